"""What a service has stored, and where."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from vlpro import db
from vlpro.audit.place import LOCK
from vlpro.audit.service import MIGRATIONS as AUDIT_MIGRATIONS
from vlpro.backup.manifest import NEVER
from vlpro.db import Database, sqlite_url
from vlpro.errors import BackupError

__all__ = ["Stores", "known_revisions", "newest_schema"]

_SIDE_FILES = ("-wal", "-shm", "-journal", ".part", ".new")


@dataclass(frozen=True, slots=True)
class Stores:
    """Where a service's data is.

    Args:
        data_dir: The data folder.
        database_url: Of the service's database.
        audit_url: Of the audit's; may be the same.
        left_out: Files and folders that are not backed up, wherever they lie: key file, model.
    """

    data_dir: Path
    database_url: str
    audit_url: str
    left_out: tuple[Path, ...] = ()

    @classmethod
    def of(
        cls,
        data_dir: Path,
        database_url: str = "",
        audit_database_url: str = "",
        left_out: tuple[Path, ...] = (),
    ) -> Stores:
        """By the settings of a service."""
        folder = data_dir.resolve()
        main = database_url or sqlite_url(folder)
        audit = audit_database_url or (main if main.startswith("postgres") else sqlite_url(folder, "audit"))
        return cls(folder, main, audit, left_out)

    @property
    def sqlite(self) -> bool:
        """Whether both databases are files.

        Raises:
            BackupError: One is, the other is not.
        """
        kinds = {url.partition(":")[0] == "sqlite" for url in (self.database_url, self.audit_url)}
        if len(kinds) > 1:
            raise BackupError(
                "A backup needs both databases of one kind: SQLite, or PostgreSQL. Set VLPRO_DATABASE_URL and "
                "VLPRO_AUDIT_DATABASE_URL alike.",
                zh="备份要求两个数据库同为 SQLite 或同为 PostgreSQL。"
                "请统一 VLPRO_DATABASE_URL 和 VLPRO_AUDIT_DATABASE_URL。",
                param="database_url",
            )
        return kinds.pop()

    @property
    def database_files(self) -> list[Path]:
        """Of SQLite: the service's file, and the audit's."""
        return [Path(url.removeprefix("sqlite:///")) for url in (self.database_url, self.audit_url)]

    def database(self) -> Database:
        """The service's database."""
        return Database(self.database_url)

    def audit(self) -> Database:
        """The audit's database."""
        return Database(self.audit_url, lock=LOCK)

    def files(self) -> Iterator[tuple[str, Path]]:
        """Plain files below the data folder that are no database, by their name there, in order.

        Hidden ones, links, what the service makes anew, and keys are left out.
        """
        out = {path.resolve() for path in self.left_out}
        if self.sqlite:
            out |= {path.resolve() for path in self.database_files}
        yield from self._below(self.data_dir, "", out)

    def _below(self, folder: Path, prefix: str, out: set[Path]) -> Iterator[tuple[str, Path]]:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            path = Path(entry.path)
            if (
                entry.name.startswith(".")
                or entry.name.endswith(_SIDE_FILES)
                or (not prefix and entry.name in NEVER)
                or path in out
            ):
                continue
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                yield from self._below(path, f"{prefix}{entry.name}/", out)
            elif stat.S_ISREG(mode):
                yield prefix + entry.name, path


def schema_of(connection: sa.Connection, table: str) -> str:
    """The revision of a database's schema; empty where there is none."""
    found = MigrationContext.configure(connection, opts={"version_table": table}).get_current_revision()
    return found or ""


def known_revisions(folder: Path) -> list[str]:
    """All revisions that this version knows, the newest first."""
    config = Config()
    config.set_main_option("script_location", str(folder))
    return [each.revision for each in ScriptDirectory.from_config(config).walk_revisions()]


def newest_schema() -> tuple[str, str]:
    """Revisions of the two databases that this version makes."""
    return known_revisions(db.MIGRATIONS)[0], known_revisions(AUDIT_MIGRATIONS)[0]
