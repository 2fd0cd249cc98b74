"""How far the copy is: a small file outside the database. Losing it loses nothing: Elasticsearch is asked then."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from vlpro.audit.ship.options import ShipOptions
from vlpro.errors import ConfigError

__all__ = ["Position", "PositionFile", "last_arrived", "position_file"]


@dataclass(frozen=True, slots=True)
class Position:
    """What is known to have arrived.

    Args:
        to: The destination.
        log: Id of the log; empty: nothing was shipped yet.
        seq: Every record up to this number.
        hash: That record's, in hexadecimal digits.
        checkpoint: Every checkpoint up to this size.
        masked: Whether the policy has copies masked from there on; None: that is not known.
        names: Which names it has masked.
    """

    to: str
    log: str = ""
    seq: int = 0
    hash: str = ""
    checkpoint: int = 0
    masked: bool | None = None
    names: tuple[str, ...] = ()


class PositionFile:
    """Keeps a position.

    Args:
        path: The file; its folder must be writable.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, to: str) -> Position:
        """What is kept of a destination; nothing where the file is missing, of another destination, or damaged."""
        try:
            found = Position(**json.loads(self._path.read_text(encoding="utf-8")))
            found = replace(found, names=tuple(map(str, found.names)))
        except (OSError, ValueError, TypeError):
            return Position(to)
        return found if found.to == to and type(found.seq) is type(found.checkpoint) is int else Position(to)

    def save(self, position: Position) -> None:
        """Keep it: the file is the old one or the new one at any moment.

        Raises:
            ConfigError: It cannot be written.
        """
        new = self._path.with_name(self._path.name + ".new")
        try:
            with new.open("w", encoding="utf-8") as file:
                file.write(json.dumps(asdict(position)) + "\n")
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        except OSError as error:
            raise _unwritable(self._path, error) from error

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else ships with this file until the block ends.

        Raises:
            ConfigError: Somebody does, or the folder cannot be written to.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = self._path.with_name(self._path.name + ".lock").open("a")
        except OSError as error:
            raise _unwritable(self._path, error) from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ConfigError(
                    f"Another shipper is at work with {self._path}.",
                    zh=f"已有另一个发送进程在使用 {self._path}。",
                    param="audit_ship.state",
                ) from error
            yield


def position_file(options: ShipOptions, data_dir: Path) -> Path:
    """Where a shipper with these options keeps how far it is.

    Args:
        options: Of the shipper.
        data_dir: The service's data folder, where the file is unless the options name another.
    """
    return options.state or data_dir / "audit-ship.json"


def last_arrived(path: Path) -> int | None:
    """Number of the last record that is known to have arrived; None: that cannot be read here.

    Args:
        path: The shipper's file.
    """
    try:
        seq = json.loads(path.read_text(encoding="utf-8"))["seq"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return seq if type(seq) is int else None


def _unwritable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"{path} cannot be written: {error.strerror}. "
        "Set audit_ship.state to a file in a folder of the shipper's user.",
        zh=f"无法写入 {path}：{error.strerror}。请将 audit_ship.state 设为发送进程用户可写的文件。",
        param="audit_ship.state",
    )
