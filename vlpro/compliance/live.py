"""What the live system has stored: read, never written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from vlpro.audit.place import LOCK, audit_database_url
from vlpro.compliance.clause import FailedError, NotEvaluatedError
from vlpro.config import Settings
from vlpro.db import Database, sqlite_url
from vlpro.identity.policy import Policy
from vlpro.identity.tables import policies

__all__ = ["Live"]


class Live:
    """The databases of the live system.

    Args:
        settings: Of the live system.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open: dict[str, Database] = {}

    def close(self) -> None:
        """Give the connections back."""
        for database in self._open.values():
            database.close()
        self._open.clear()

    def accounts(self) -> Database:
        """The database of accounts.

        Raises:
            NotEvaluatedError: There are no accounts.
        """
        self.require_accounts()
        url = self._settings.database_url.get_secret_value()
        return self._database(url or sqlite_url(self._settings.data_dir.resolve()))

    def audit(self) -> Database:
        """The database of the audit.

        Raises:
            NotEvaluatedError: There is none yet.
        """
        return self._database(self.audit_url, lock=LOCK)

    @property
    def audit_url(self) -> str:
        """Of the database of the audit."""
        settings = self._settings
        return audit_database_url(
            data_dir=settings.data_dir,
            database_url=settings.database_url.get_secret_value(),
            audit_database_url=settings.audit_database_url.get_secret_value(),
        )

    def policy(self) -> tuple[int, Policy]:
        """The policy in force, and its version.

        Raises:
            NotEvaluatedError: There are no accounts, so none decides a policy.
        """
        with self.reading(self.accounts()) as connection:
            row = connection.execute(
                sa.select(policies).order_by(policies.c.version.desc()).limit(1)
            ).one_or_none()
        return (row.version, Policy.model_validate(row.content)) if row is not None else (0, Policy())

    def require_accounts(self) -> None:
        """Raises: NotEvaluatedError in profile ``local``, whose person is whoever sits at the machine."""
        if self._settings.profile == "local":
            raise NotEvaluatedError(
                "This system runs in profile local: it has no accounts. Run it in profile mlps3, and check again.",
                "本系统以 local 模式运行，没有账号。请改用 mlps3 模式后重新检查。",
                {"profile": "local"},
            )

    @contextmanager
    def reading(self, database: Database) -> Iterator[sa.Connection]:
        """A connection that only reads.

        Raises:
            FailedError: The tables are not there, or are of another version.
        """
        try:
            with database.read() as connection:
                yield connection
        except (sa.exc.ProgrammingError, sa.exc.OperationalError) as error:
            raise FailedError(
                "The database has not this version's tables.", "数据库中没有本版本的表。"
            ) from error

    def _database(self, url: str, **options: int) -> Database:
        made = sa.make_url(url)
        if url.startswith("sqlite") and not (made.database and Path(made.database).is_file()):
            raise NotEvaluatedError(
                "Nothing is stored yet: the service has not run with these settings.",
                "尚未存储任何内容：服务还没有以这些设置运行过。",
                {"stored": False},
            )
        if url not in self._open:
            self._open[url] = Database(url, **options)
        return self._open[url]
