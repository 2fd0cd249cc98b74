"""Copies of both databases at one point in time, while the service goes on writing.

The service puts a deed on the audit record before it does it. So the point of the service's database is taken first
and that of the audit behind it: the copied audit tells of everything that the copied data shows. It may be ahead by
what happened in between, as after a crash.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from vlpro.audit.checkpoint import Checkpoint
from vlpro.audit.errors import VerificationError
from vlpro.audit.leaves import checkpoint_at, frontier_at
from vlpro.audit.log import last_record
from vlpro.audit.service import log_id
from vlpro.audit.sources import snapshot as one_moment
from vlpro.audit.tables import archives
from vlpro.backup import postgresql
from vlpro.backup.manifest import AuditState
from vlpro.backup.stores import Stores, newest_schema, schema_of
from vlpro.db import Database, sqlite_url
from vlpro.errors import BackupError

__all__ = ["Snapshot", "check_schema", "taken"]

_PAGES = 4096  # copied between two looks at how far it is

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Both databases as files.

    Args:
        files: By their name in the backup.
        schema: Revisions of the two.
        audit: How far the audit reaches.
    """

    files: dict[str, Path]
    schema: tuple[str, str]
    audit: AuditState


def taken(stores: Stores, folder: Path, progress: Progress) -> Snapshot:
    """Copy both databases into a folder.

    Args:
        stores: Where they are.
        folder: Empty, on a disk with room for both.
        progress: Is given how many bytes were copied, and how many will be.

    Raises:
        BackupError: There is nothing yet, a database is of another version, or a copy cannot be made.
        DatabaseError: A database does not answer.
    """
    return _of_sqlite(stores, folder, progress) if stores.sqlite else _of_postgresql(stores, folder)


def _of_sqlite(stores: Stores, folder: Path, progress: Progress) -> Snapshot:
    sources = stores.database_files
    names = ("vlpro.db", "audit.db")
    if not all(path.is_file() for path in sources):
        raise _nothing(stores)
    total = sum(path.stat().st_size for path in sources)
    try:
        with _reading(sources[0]) as main, _reading(sources[1]) as audit:  # the audit behind the data
            before = 0
            for source, name in zip((main, audit), names, strict=True):
                before += _copied(source, folder / name, before, total, progress)
    except sqlite3.Error as error:
        raise BackupError(
            f"The database cannot be copied: {error}. Look at the disk; vlpro audit verify tells more.",
            zh=f"无法复制数据库：{error}。请检查磁盘；vlpro audit verify 可进一步检查。",
        ) from error
    databases = Database(sqlite_url(folder)), Database(sqlite_url(folder, "audit"))
    try:
        with databases[0].read() as main_, one_moment(databases[1]) as audit_:
            schema = _checked_schema(main_, audit_)
            state = _audit_state(audit_)
    finally:
        for database in databases:
            database.close()
    return Snapshot({name: folder / name for name in names}, schema, state)


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that sees one moment, from now on."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as connection:
        connection.execute("BEGIN")
        connection.execute(
            "SELECT count(*) FROM sqlite_master"
        ).fetchone()  # a transaction begins with what it reads
        yield connection


def _copied(source: sqlite3.Connection, path: Path, before: int, total: int, progress: Progress) -> int:
    """Copy with SQLite's online backup; its bytes."""
    (page,) = source.execute("PRAGMA page_size").fetchone()

    def told(_: int, remaining: int, pages: int) -> None:
        progress(min(total, before + (pages - remaining) * page), total)

    with closing(sqlite3.connect(path)) as made:
        source.backup(made, pages=_PAGES, progress=told)
    return path.stat().st_size


def _of_postgresql(stores: Stores, folder: Path) -> Snapshot:
    files = {"database.dump": folder / "database.dump"}
    same = stores.database_url == stores.audit_url
    if not same:
        files["audit.dump"] = folder / "audit.dump"
    with postgresql.moment(stores.database_url) as (main, main_id):
        if same:
            schema, state = _checked_schema(main, main), _audit_state(main)
            postgresql.dump(stores.database_url, main_id, files["database.dump"])
            return Snapshot(files, schema, state)
        with postgresql.moment(stores.audit_url) as (audit, audit_id):
            schema, state = _checked_schema(main, audit), _audit_state(audit)
            postgresql.dump(stores.database_url, main_id, files["database.dump"])
            postgresql.dump(stores.audit_url, audit_id, files["audit.dump"])
            return Snapshot(files, schema, state)


def check_schema(stores: Stores) -> None:
    """See that both databases are there and of this version.

    Raises:
        BackupError: They are not.
        DatabaseError: One does not answer.
    """
    if stores.sqlite and not all(path.is_file() for path in stores.database_files):
        raise _nothing(stores)
    main, audit = stores.database(), stores.audit()
    try:
        with main.read() as of_main, audit.read() as of_audit:
            _checked_schema(of_main, of_audit)
    finally:
        main.close()
        audit.close()


def _checked_schema(main: sa.Connection, audit: sa.Connection) -> tuple[str, str]:
    found = (schema_of(main, "alembic_version"), schema_of(audit, "audit_version"))
    if "" in found:
        raise BackupError(
            "Nothing is stored yet: there is nothing to back up.", zh="尚未存储任何内容，无需备份。"
        )
    if found != newest_schema():
        raise BackupError(
            f"The databases are of another version ({found[0]}, {found[1]}) than this software. Make the backup with "
            "the version that made them.",
            zh=f"数据库版本（{found[0]}、{found[1]}）与本软件不符，请用写入它们的版本制作备份。",
            param="database_url",
        )
    return found


def _audit_state(connection: sa.Connection) -> AuditState:
    known = log_id(connection)
    sequence, _ = last_record(connection)
    signed: Checkpoint | None = checkpoint_at(connection, newest=True)
    if sequence == 0:  # all may lie in archives
        sequence = connection.execute(sa.select(sa.func.max(archives.c.last))).scalar() or 0
    try:
        frontier = frontier_at(connection, sequence)
    except VerificationError as error:
        raise BackupError(
            f"The audit record is damaged, so no backup is made of it: {error}. Run vlpro audit verify.",
            zh=f"审计记录已损坏，不制作备份：{error.zh}。请运行 vlpro audit verify。",
        ) from error
    size = signed.size if signed is not None else 0
    return AuditState(known or "", sequence, frontier.root().hex(), size)


def _nothing(stores: Stores) -> BackupError:
    return BackupError(
        f"There is no database in {stores.data_dir}: nothing is stored yet. Is VLPRO_DATA_DIR right?",
        zh=f"{stores.data_dir} 中没有数据库，尚未存储任何内容。VLPRO_DATA_DIR 是否正确？",
        param="data_dir",
    )
