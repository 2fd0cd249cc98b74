"""What stands at the beginning of a backup: of which version it is, what is in it, how far the audit reaches."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

from vlpro.errors import BackupError

__all__ = ["FORMAT", "NEVER", "AuditState", "Manifest", "Member", "check_names"]

FORMAT = 1
_HASH = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[^\x00-\x1f\x7f\\]{1,1000}")
_MOST_BYTES = 2**50  # of one file
NEVER = frozenset({"key", "tmp", "backup.part", "backup.lock", "backup-state.json", "restore.part"})
"""Names in the data folder that are never in a backup: the key of profile ``local``, and what is made anew."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file in the backup.

    Args:
        name: Below the data folder, with ``/``; or of a dump of PostgreSQL.
        size: Bytes.
        sha256: Of its content, hexadecimal.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class AuditState:
    """How far the audit reaches in the backup.

    Args:
        log_id: Which log.
        sequence: Number of the last record.
        root: Of RFC 6962's tree over all records, hexadecimal.
        signed: Records that the last checkpoint signs.
    """

    log_id: str
    sequence: int
    root: str
    signed: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """The beginning of a backup.

    Args:
        version: Of the software.
        at: When it was made, Unix time.
        store: What holds the rows.
        schema: Revision of the service's database, and of the audit's.
        audit: How far the audit reaches.
        members: The files, in the order in which they follow.
    """

    version: str
    at: float
    store: Literal["sqlite", "postgresql"]
    schema: tuple[str, str]
    audit: AuditState
    members: tuple[Member, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(member.size for member in self.members)

    def as_json(self) -> bytes:
        """As it stands in the backup."""
        return json.dumps({"format": FORMAT, **asdict(self)}, ensure_ascii=False).encode()

    @classmethod
    def parse(cls, data: bytes) -> Manifest:
        """Read it.

        Raises:
            BackupError: It is of a newer format, or none, or names a file that may not be written.
        """
        try:
            said = json.loads(data)
            newer = int(said["format"]) > FORMAT
        except (ValueError, KeyError, TypeError, RecursionError):
            raise _none() from None
        if newer:
            raise BackupError(
                f"The backup was made by a newer version ({str(said.get('version'))[:20]!r}). Restore it with that "
                "version.",
                zh=f"备份由更新的版本（{str(said.get('version'))[:20]!r}）制作，请用该版本恢复。",
                param="file",
            )
        try:
            main, audit = (_text(part) for part in said["schema"])
            made = cls(
                version=_text(said["version"]),
                at=float(said["at"]),
                store=said["store"],
                schema=(main, audit),
                audit=AuditState(
                    _text(said["audit"]["log_id"]),
                    _whole(said["audit"]["sequence"]),
                    _hash(said["audit"]["root"]),
                    _whole(said["audit"]["signed"]),
                ),
                members=tuple(
                    Member(_text(each["name"]), _whole(each["size"]), _hash(each["sha256"]))
                    for each in said["members"]
                ),
            )
        except (ValueError, KeyError, TypeError, OverflowError):
            raise _none() from None
        if made.store not in ("sqlite", "postgresql"):
            raise _none()
        check_names(member.name for member in made.members)
        return made


def check_names(names: Iterable[str]) -> None:
    """See that files of these names stay inside the folder that they are put into, and take nobody's place there.

    Raises:
        BackupError: One does not.
    """
    seen: set[str] = set()
    for name in sorted(names):
        path = PurePosixPath(name)
        if (
            not _NAME.fullmatch(name)
            or path.as_posix() != name
            or any(part.startswith(("/", ".")) for part in path.parts)
            or name in (seen | NEVER)
            or not seen.isdisjoint(map(str, path.parents))
        ):
            raise BackupError(
                f"The backup names a file that may not be written: {name[:100]!r}. It is not used.",
                zh=f"备份中有不允许写入的文件名：{name[:100]!r}，不予使用。",
                param="file",
            )
        seen.add(name)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _MOST_BYTES:
        raise ValueError
    return value


def _hash(value: Any) -> str:
    if not _HASH.fullmatch(_text(value)):
        raise ValueError
    return str(value)


def _none() -> BackupError:
    return BackupError(
        "The backup's list of contents cannot be read. Use another backup.",
        zh="无法读取备份的内容清单，请使用其他备份。",
        param="file",
    )
