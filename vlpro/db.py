"""The database: one door for all stores, on SQLite by itself or PostgreSQL by URL, and its migrations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import ArgumentError, DataError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from vlpro.errors import BadRequestError, ConfigError, DatabaseError

if TYPE_CHECKING:
    import psycopg

__all__ = ["MIGRATIONS", "Database", "sqlite_url"]

MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_MS = 10_000
_DIRECT = 8  # connections of the event loop that are kept
_POSTGRESQL = {"connect_timeout": 5, "options": "-c statement_timeout=20000"}
_LOCK = 0x766C70726F  # "vlpro": the key of PostgreSQL's advisory locks, which are numbers


def sqlite_url(folder: Path, name: str = "vlpro") -> str:
    """The URL of the database that lies in a folder."""
    return f"sqlite:///{folder / name}.db"


class Database:
    """A database with the schema of this version.

    Args:
        url: ``sqlite:///…`` or ``postgresql://…``; the driver is chosen here.
        lock: What its writers that want to be alone wait for; another number is another lock.

    Raises:
        ConfigError: The URL names another kind, is malformed, or its driver is not installed.
    """

    def __init__(self, url: str, *, lock: int = _LOCK) -> None:
        scheme = url.partition("://")[0]
        if scheme not in ("sqlite", "postgresql", "postgres"):
            raise ConfigError(
                "VLPRO_DATABASE_URL must begin with postgresql:// or sqlite:///.",
                zh="VLPRO_DATABASE_URL 必须以 postgresql:// 或 sqlite:/// 开头。",
                param="database_url",
            )
        self.sqlite = scheme == "sqlite"
        self._lock = lock
        self._direct: _Direct | None = None
        try:
            parsed = sa.make_url(url)
            if self.sqlite:
                self._engine = sa.create_engine(parsed, pool_size=8, max_overflow=24, hide_parameters=True)
                self._reader = self._engine
            else:
                parsed = parsed.set(drivername="postgresql+psycopg")
                self._engine = sa.create_engine(
                    parsed,
                    pool_size=8,
                    max_overflow=24,
                    pool_pre_ping=True,
                    hide_parameters=True,
                    connect_args=_POSTGRESQL,
                )
                # One round trip a question: no ping before it, no transaction around it.
                self._reader = sa.create_engine(
                    parsed,
                    pool_size=8,
                    max_overflow=24,
                    pool_reset_on_return=None,
                    isolation_level="AUTOCOMMIT",
                    hide_parameters=True,
                    connect_args=_POSTGRESQL,
                )
        except (ArgumentError, ValueError) as error:
            raise ConfigError(
                "VLPRO_DATABASE_URL is not a database URL.",
                zh="VLPRO_DATABASE_URL 不是数据库网址。",
                param="database_url",
            ) from error
        except ModuleNotFoundError as error:
            raise ConfigError(
                "PostgreSQL needs its driver: pip install 'vlpro[postgresql]'.",
                zh="使用 PostgreSQL 需要驱动：pip install 'vlpro[postgresql]'。",
                param="database_url",
            ) from error
        self._writer = self._engine.execution_options(vlpro_write=True)
        if self.sqlite:
            sa.event.listen(self._engine, "connect", _prepare_sqlite)
            sa.event.listen(self._engine, "begin", _begin_sqlite)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection that only reads.

        Raises:
            DatabaseError: The database does not answer.
        """
        with _told(), self._reader.connect() as connection:
            yield connection

    def one(self, statement: sa.Select[Any], values: Mapping[str, object]) -> sa.Row[Any] | None:
        """The row that a statement finds, or None; asked once more where the connection had been lost meanwhile.

        Raises:
            DatabaseError: The database does not answer.
        """
        with _told():
            for _ in range(2):
                try:
                    with self._reader.connect() as connection:
                        return connection.execute(statement, values).one_or_none()
                except OperationalError as error:
                    if not error.connection_invalidated:
                        raise
                    lost = error
            raise lost

    async def aone(self, statement: sa.Select[Any], values: Mapping[str, object]) -> Any:
        """As :meth:`one`, for the event loop; what is returned has the columns as attributes.

        A reader of SQLite waits for nobody (WAL), and is done sooner than a thread would have begun. PostgreSQL is
        asked over connections of the event loop's own.

        Raises:
            DatabaseError: The database does not answer.
        """
        if self.sqlite:
            return self.one(statement, values)
        if self._direct is None:
            self._direct = _Direct(self._reader.dialect, self._reader.url)
        return await self._direct.one(statement, values)

    @contextmanager
    def write(self, *, alone: bool = False) -> Iterator[sa.Connection]:
        """A transaction: committed at the end of the block, undone by an exception.

        Args:
            alone: No other such block runs at the same time, in any process. On SQLite every writer is alone.

        Raises:
            DatabaseError: The database does not answer.
        """
        with _told(), self._writer.begin() as connection:
            if alone and not self.sqlite:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(self._lock)))
            yield connection

    def migrate(self, revision: str = "head", *, folder: Path = MIGRATIONS) -> None:
        """Bring the schema up to this version; several processes may call it at once.

        Args:
            revision: An earlier one, for tests.
            folder: Of the migrations; its name names the table of versions.

        Raises:
            ConfigError: The schema is of a newer version than this software.
            DatabaseError: The database does not answer.
        """
        config = Config()
        config.set_main_option("script_location", str(folder))
        versions = "alembic_version" if folder == MIGRATIONS else f"{folder.parent.name}_version"
        config.attributes["version_table"] = versions
        script = ScriptDirectory.from_config(config)
        known = {revision.revision for revision in script.walk_revisions()}
        with self.write(alone=True) as connection:
            current = MigrationContext.configure(
                connection, opts={"version_table": versions}
            ).get_current_revision()
            if current is not None and current not in known:
                raise ConfigError(
                    f"The database has schema {current}, which is newer than this software knows. Run the version "
                    "that made it, or restore a backup from before the upgrade.",
                    zh=f"数据库结构 {current} 比本软件新。请运行写入它的版本，或恢复升级前的备份。",
                    param="database_url",
                )
            if current is not None and revision == "head" and current == script.get_current_head():
                return  # so that a role may run the service that may not alter the schema
            config.attributes["connection"] = connection
            command.upgrade(config, revision)

    def overwrite(self) -> bool:
        """See that what was deleted is gone from the files, too: SQLite's log holds earlier pages until then.

        PostgreSQL has its own ways with deleted rows (VACUUM), which this does not touch.

        Returns:
            Whether it is; otherwise a reader was in the way: try again later.

        Raises:
            DatabaseError: The database does not answer.
        """
        if not self.sqlite:
            return True
        with _told():
            connection = self._engine.raw_connection()
            try:
                cursor = connection.cursor()
                cursor.execute("PRAGMA busy_timeout=500")
                busy = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
                cursor.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
                return not busy
            finally:
                connection.close()

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()
        self._reader.dispose()
        if self._direct is not None:
            self._direct.close()


class _Direct:
    """Asks PostgreSQL from the event loop, without a thread: a few connections, each statement prepared once.

    Args:
        dialect: Writes statements.
        url: Of the database.
    """

    def __init__(self, dialect: sa.Dialect, url: sa.URL) -> None:
        import psycopg.rows  # noqa: PLC0415 - an extra

        self._psycopg = psycopg
        _, given = dialect.create_connect_args(url)
        self._given: dict[str, Any] = {**given, **_POSTGRESQL, "autocommit": True}
        self._dialect = dialect
        self._idle: list[psycopg.AsyncConnection[Any]] = []
        self._text: dict[int, str] = {}  # by the statement's id: there are a few, and they last

    async def one(self, statement: sa.Select[Any], values: Mapping[str, object]) -> Any:
        text = self._text.get(id(statement)) or self._written(statement)
        for last in (False, True):
            connection = self._idle.pop() if self._idle else None
            try:
                connection = connection or await self._new()
                cursor = await connection.execute(text, values, prepare=True)
                row = await cursor.fetchone()
            except self._psycopg.OperationalError as error:
                if connection is not None:
                    await connection.close()
                if last:
                    raise _silent() from error
                self._forget()
            except BaseException as error:
                if connection is not None:
                    await connection.close()
                if isinstance(error, self._psycopg.DataError):
                    raise _not_storable() from error
                raise
            else:
                if len(self._idle) < _DIRECT:
                    self._idle.append(connection)
                else:
                    await connection.close()
                return row
        raise AssertionError  # the second try returns or raises

    async def _new(self) -> psycopg.AsyncConnection[Any]:
        rows = self._psycopg.rows.namedtuple_row
        return await self._psycopg.AsyncConnection.connect(**self._given, row_factory=rows)

    def _written(self, statement: sa.Select[Any]) -> str:
        text = self._text[id(statement)] = str(statement.compile(dialect=self._dialect))
        return text

    def _forget(self) -> None:
        """All connections were of a server that is gone."""
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.pgconn.finish()

    close = _forget


@contextmanager
def _told() -> Iterator[None]:
    """Makes a database that is gone, locked or full a sentence."""
    try:
        yield
    except OperationalError as error:
        raise _silent() from error
    except DataError as error:  # PostgreSQL stores no NUL, and no text beyond a column's length
        raise _not_storable() from error


def _not_storable() -> BadRequestError:
    return BadRequestError(
        "A text is too long, or holds a character that cannot be stored.",
        zh="文字过长，或含有无法存储的字符。",
    )


def _silent() -> DatabaseError:
    return DatabaseError(
        "The database does not answer. Try again; if it goes on, tell your administrator.",
        zh="数据库没有响应，请重试；若持续出现，请告知管理员。",
    )


def _prepare_sqlite(connection: Any, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver's guess
    for pragma in (
        f"busy_timeout={_BUSY_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        # Pages (16 MB), four times the usual: what is written again and again goes to the database once, so who
        # records waits less often for it.
        "wal_autocheckpoint=4000",
        "foreign_keys=ON",
        "secure_delete=ON",  # what is deleted is overwritten
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    """A writer takes the lock at once: one that reads first and writes later could be refused (SQLITE_BUSY)."""
    writes = connection.get_execution_options().get("vlpro_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
