"""Reads the audit's database, and cannot write to it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool

from vlpro.audit.events import Event
from vlpro.audit.tables import checkpoints, records, select_signed
from vlpro.errors import ConfigError, DatabaseError

__all__ = ["Store", "StoredCheckpoint", "StoredRecord"]

_POSTGRESQL = {
    "connect_timeout": 5,
    "options": "-c default_transaction_read_only=on -c statement_timeout=20000",
}


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as it is stored; see the table."""

    seq: int
    hash: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A checkpoint as it is stored; see the table."""

    size: int
    data: bytes
    signature: bytes
    sm2: bytes = b""


class Store:
    """The audit's database, opened for reading only: on SQLite by its mode, on PostgreSQL by each transaction's.

    Args:
        url: ``sqlite:///…`` or ``postgresql://…``.

    Raises:
        ConfigError: The URL is of another kind, or a driver is missing.
    """

    def __init__(self, url: str) -> None:
        try:
            parsed = sa.make_url(url)
            if parsed.drivername == "sqlite" and parsed.database:
                self._file: Path | None = Path(parsed.database).resolve()
                self._engine = self._sqlite(self._file)
                self._frozen = self._sqlite(self._file, "&immutable=1")
            elif parsed.drivername in ("postgresql", "postgres"):
                self._file = None
                self._engine = sa.create_engine(
                    parsed.set(drivername="postgresql+psycopg"),
                    pool_size=1,
                    pool_pre_ping=True,
                    hide_parameters=True,
                    connect_args=_POSTGRESQL,
                )
            else:
                raise _unknown()
        except (ArgumentError, ValueError) as error:
            raise _unknown() from error
        except ModuleNotFoundError as error:
            raise ConfigError(
                "PostgreSQL needs its driver: pip install 'vlpro[postgresql]'.",
                zh="使用 PostgreSQL 需要驱动：pip install 'vlpro[postgresql]'。",
                param="database",
            ) from error

    @staticmethod
    def _sqlite(file: Path, more: str = "") -> sa.Engine:
        return sa.create_engine(
            f"sqlite:///file:{quote(str(file))}?mode=ro{more}&uri=true",
            poolclass=NullPool,
            hide_parameters=True,
            connect_args={"timeout": 10},
        )

    def log_id(self) -> str | None:
        """The id of the log; None where nothing was recorded yet."""
        with self._read() as connection:
            data = connection.execute(sa.select(records.c.data).where(records.c.seq == 1)).scalar()
            if data is not None:
                return str(json.loads(data)["object"])
            newest = sa.select(checkpoints.c.data).order_by(checkpoints.c.size.desc()).limit(1)
            data = connection.execute(newest).scalar()  # the first records were archived
            return str(json.loads(data)["log"]) if data is not None else None

    def ends(self) -> tuple[int, int]:
        """The first record's number and the last's; (0, 0) where there is none."""
        with self._read() as connection:
            # Each by itself: for both at once SQLite reads the whole index, and this is asked each second.
            first, last = (
                connection.execute(sa.select(which(records.c.seq))).scalar()
                for which in (sa.func.min, sa.func.max)
            )
        return first or 0, last or 0

    def hash_of(self, seq: int) -> bytes | None:
        """The hash of a record; None where it is not there."""
        with self._read() as connection:
            found = connection.execute(sa.select(records.c.hash).where(records.c.seq == seq)).scalar()
        return bytes(found) if found is not None else None

    def records(self, after: int, most: int, most_bytes: int) -> list[StoredRecord]:
        """The next records: at most so many, and at most so many bytes or a single one."""
        statement = (
            sa.select(records.c.seq, records.c.hash, records.c.data)
            .where(records.c.seq > after)
            .order_by(records.c.seq)
            .limit(most)
        )
        found: list[StoredRecord] = []
        size = 0
        with self._read() as connection:
            for row in connection.execution_options(yield_per=100).execute(statement):
                size += len(row.data)
                if found and size > most_bytes:
                    break
                found.append(StoredRecord(row.seq, bytes(row.hash), bytes(row.data)))
        return found

    def decisions(self) -> list[tuple[int, bytes]]:
        """All decisions of the policy: their numbers and bytes, in order."""
        statement = (
            sa.select(records.c.seq, records.c.data)
            .where(records.c.event == Event.POLICY_DECIDED)
            .order_by(records.c.seq)
        )
        with self._read() as connection:
            return [(row.seq, bytes(row.data)) for row in connection.execute(statement)]

    def checkpoints(self, after: int, until: int, most: int) -> list[StoredCheckpoint]:
        """The next checkpoints that are about no more than ``until`` records."""
        with self._read() as connection:
            statement = (
                select_signed(connection, checkpoints)
                .where(checkpoints.c.size > after, checkpoints.c.size <= until)
                .order_by(checkpoints.c.size)
                .limit(most)
            )
            return [
                StoredCheckpoint(row.size, bytes(row.data), bytes(row.signature), bytes(row.sm2 or b""))
                for row in connection.execute(statement)
            ]

    def hashes(self, first: int, last: int) -> dict[int, str]:
        """Hashes of the records of a range, in hexadecimal digits."""
        statement = sa.select(records.c.seq, records.c.hash).where(records.c.seq.between(first, last))
        with self._read() as connection:
            return {row.seq: bytes(row.hash).hex() for row in connection.execute(statement)}

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    @contextmanager
    def _read(self) -> Iterator[sa.Connection]:
        still = self._still()
        engine = self._engine
        if still is not None and self._file is not None and not _writable(self._file.parent):
            engine = self._frozen
        try:
            with engine.connect() as connection:
                yield connection
        except DBAPIError as error:
            raise self._unread(str(error.orig).strip()) from error
        if engine is not self._engine and still != self._still():
            raise self._unread("it was written to meanwhile")

    def _still(self) -> tuple[int, int] | None:
        """Size and time of a SQLite file that nobody has open; None: somebody has, or it is none.

        Nobody has it open where there is no write-ahead log. Who may not make one in its folder could not read it at
        all, except by telling SQLite that the file does not change: so it is looked at before and after.
        """
        if self._file is None or self._file.with_name(self._file.name + "-wal").exists():
            return None
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_size, found.st_mtime_ns

    def _unread(self, why: str) -> DatabaseError:
        name = f" ({self._file})" if self._file is not None else ""
        return DatabaseError(
            f"The audit's database cannot be read{name}: {why}.", zh=f"无法读取审计数据库{name}：{why}。"
        )


def _writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _unknown() -> ConfigError:
    return ConfigError(
        "The audit's database must be named as sqlite:///… or postgresql://….",
        zh="审计数据库地址必须以 sqlite:/// 或 postgresql:// 开头。",
        param="database",
    )
