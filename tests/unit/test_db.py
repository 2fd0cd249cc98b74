from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

import vlpro.chat.tables
import vlpro.migrations
import vlpro.workflows.batch.tables
import vlpro.workflows.delivery.tables
import vlpro.workflows.extraction.tables
import vlpro.workflows.inspection.tables
import vlpro.workflows.report.tables
from tests.people import World
from tests.postgresql import Cluster
from vlpro import db
from vlpro.db import Database
from vlpro.errors import BadRequestError, ConfigError, DatabaseError
from vlpro.identity.permissions import Role
from vlpro.identity.tables import accounts, metadata


def _revisions() -> list[str]:
    """All revisions, the oldest first."""
    config = Config()
    config.set_main_option("script_location", str(Path(vlpro.migrations.__file__).parent))
    walked = ScriptDirectory.from_config(config).walk_revisions()
    return [revision.revision for revision in walked][::-1]


def test_the_migrations_make_what_the_software_expects(database_url: str) -> None:
    database = Database(database_url)
    database.migrate()
    with database.read() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
    database.close()


@pytest.mark.parametrize("released", _revisions())
def test_people_survive_the_way_up_from_each_version(database_url: str, released: str) -> None:
    """The versions before 0001 had no database at all: that way up is the first start."""
    early = Database(database_url)
    early.migrate(released)
    early.close()
    world = World(database_url)
    admins = world.found()
    person = world.person("liwei", Role.USER, by=admins)
    token = world.sign_in(person)
    world.identity.database.migrate()
    assert world.identity.authentication.who(token, "127.0.0.1").login == "liwei"
    world.close()


def test_many_replicas_may_start_at_once(database_url: str) -> None:
    databases = [Database(database_url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda database: database.migrate(), databases))
    with databases[0].read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(accounts)).scalar_one() == 0
    for database in databases:
        database.close()


def test_a_newer_schema_is_refused(database_url: str) -> None:
    database = Database(database_url)
    database.migrate()
    with database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigError, match="9999, which is newer"):
        database.migrate()
    database.close()


def test_a_migration_that_fails_leaves_nothing_behind(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(database_url)
    upgrade = command.upgrade

    def half(config: Config, revision: str) -> None:
        upgrade(config, revision)
        raise RuntimeError("the power fails")

    monkeypatch.setattr(command, "upgrade", half)
    with pytest.raises(RuntimeError):
        database.migrate()
    with database.read() as connection:
        assert sa.inspect(connection).get_table_names() == []
    monkeypatch.setattr(command, "upgrade", upgrade)
    database.migrate()
    database.close()


@pytest.mark.parametrize(
    "url",
    [
        "mysql://h/x",
        "oracle://x",
        "file:///etc/passwd",
        "x",
        "",
        "sqlite+pysqlite:///x",
        "postgresql://[::1/x",
    ],
)
def test_what_is_no_database(url: str) -> None:
    with pytest.raises(ConfigError) as error:
        Database(url)
    assert error.value.param == "database_url"


def test_an_exception_undoes_what_was_written(database_url: str) -> None:
    database = Database(database_url)
    database.migrate()

    def fail() -> None:
        with database.write() as connection:
            connection.execute(sa.text("INSERT INTO setups (id, secret, expires_at) VALUES (1, 'x', 0)"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with database.read() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM setups")).scalar_one() == 0
    database.close()


def test_writers_that_want_to_be_alone_wait_for_each_other(database_url: str) -> None:
    database = Database(database_url)
    database.migrate()
    inside, most = 0, 0
    lock = threading.Lock()

    def work(_: int) -> None:
        nonlocal inside, most
        with database.write(alone=True):
            with lock:
                inside += 1
                most = max(most, inside)
            threading.Event().wait(0.01)
            with lock:
                inside -= 1

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(12)))
    assert most == 1
    database.close()


def test_a_database_that_is_gone_is_a_sentence(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'missing' / 'vlpro.db'}")
    with pytest.raises(DatabaseError, match="does not answer"), database.read():
        pass
    gone = Database(f"postgresql://nobody@/x?host={tmp_path}")
    with pytest.raises(DatabaseError), gone.read():
        pass
    gone.close()


@pytest.mark.anyio
async def test_what_cannot_be_stored_is_refused_in_both_ways(postgresql: Cluster) -> None:
    database = Database(postgresql.new())
    types = sa.table("pg_type", sa.column("typname", sa.String))
    query = sa.select(types.c.typname).where(types.c.typname == sa.bindparam("id"))
    with pytest.raises(BadRequestError, match="cannot be stored"):
        database.one(query, {"id": "a\0"})
    with pytest.raises(BadRequestError, match="cannot be stored"):
        await database.aone(query, {"id": "a\0"})
    assert await database.aone(query, {"id": "bool"}) is not None
    database.close()


def test_sqlite_is_durable_and_overwrites_what_is_deleted(tmp_path: Path) -> None:
    database = Database(db.sqlite_url(tmp_path))
    with database.read() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}
    database.close()
