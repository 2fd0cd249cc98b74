"""Up from every version with data in it, and the way back: by a backup from before."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.functional.test_cli import vlpro
from tests.people import World
from tests.unit.backup.conftest import KEY, Edit, Folder, listed
from tests.unit.backup.test_restore import Forge
from vlpro import db
from vlpro.audit.service import MIGRATIONS as AUDIT_MIGRATIONS
from vlpro.backup.restore import restore
from vlpro.backup.stores import known_revisions, newest_schema
from vlpro.chat.conversations import Conversation, StoredMessage
from vlpro.chat.store import ConversationStore
from vlpro.crypto import Sealer
from vlpro.db import Database, sqlite_url
from vlpro.identity.labels import Level
from vlpro.identity.permissions import Role

OLD = known_revisions(db.MIGRATIONS)[:0:-1]
"""All revisions but the newest, the oldest first."""
SEALER = Sealer(KEY)


@pytest.fixture(scope="module")
def newest(tmp_path_factory: pytest.TempPathFactory) -> tuple[Database, str]:
    """A database of this version with people and a conversation in it."""
    url = sqlite_url(tmp_path_factory.mktemp("newest"))
    world = World(url, key=KEY)
    world.person("liwei", Role.USER, by=world.found())
    store, now = ConversationStore(world.identity.database, SEALER), time.time()
    talk = Conversation("cnv_1", "acc_1", Level.INTERNAL, "the pump", now, now)
    store.add(talk)
    store.save(
        talk,
        [StoredMessage("user", "is loud"), StoredMessage("assistant", "E11")],
        0,
        title="the pump",
        updated=now,
    )
    return world.identity.database, url


def rows(database: Database, tables: list[str]) -> dict[str, list[tuple[object, ...]]]:
    """All rows of some tables, by the columns' names."""
    found = {}
    with database.read() as connection:
        for name in tables:
            table = sa.Table(name, sa.MetaData(), autoload_with=connection)
            columns = sorted(column.name for column in table.c)
            found[name] = sorted(
                (tuple(row) for row in connection.execute(sa.select(*(table.c[each] for each in columns)))),
                key=repr,
            )
    return found


def older(source: Database, url: str, revision: str) -> list[str]:
    """A database of an earlier version with the rows that it could hold; the names of its tables."""
    made = Database(url)
    made.migrate(revision)
    with source.read() as reading, made.write() as writing:
        writing.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        names = [name for name in sa.inspect(writing).get_table_names() if name != "alembic_version"]
        for name in names:
            table = sa.Table(name, sa.MetaData(), autoload_with=writing)
            there = sa.Table(name, sa.MetaData(), autoload_with=reading)
            found = reading.execute(sa.select(*(there.c[column.name] for column in table.c))).mappings().all()
            if found:
                writing.execute(sa.insert(table), [dict(row) for row in found])
    made.close()
    return names


def talked(database: Database) -> list[str]:
    """The texts of the conversation."""
    found = ConversationStore(database, SEALER).load("cnv_1", pictures=False)
    assert found is not None
    return [message.text for message in found.messages]


@pytest.mark.parametrize("revision", OLD)
def test_data_of_every_version_is_read_by_this_one(
    newest: tuple[Database, str], tmp_path: Path, revision: str
) -> None:
    url = sqlite_url(tmp_path)
    tables = older(newest[0], url, revision)
    assert "accounts" in tables
    database = Database(url)
    before = rows(database, tables)
    assert before["accounts"]
    database.migrate()
    with database.read() as connection:
        assert sa.inspect(connection).has_table("knowledge_bases")
        revisions = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all()
    assert revisions == [newest_schema()[0]]
    assert rows(database, tables) == before
    if "conversations" in tables:
        assert talked(database) == ["is loud", "E11"]
    database.close()


def test_an_older_backup_is_brought_to_this_version(
    newest: tuple[Database, str], folder: Folder, forged: Forge, backup: Path, tmp_path: Path
) -> None:
    """As the earlier version made it: its database within."""
    old = tmp_path / "old"
    old.mkdir()
    older(newest[0], sqlite_url(old), "0002")

    def edit(said: dict[str, object], contents: dict[str, bytes]) -> None:
        contents["vlpro.db"] = (old / "vlpro.db").read_bytes()
        listed(said, contents)
        said["schema"] = ["0002", newest_schema()[1]]

    made: Edit = edit
    restore(forged(backup, made), SEALER, tmp_path / "into")
    database = Database(sqlite_url(tmp_path / "into"))
    assert talked(database) == ["is loud", "E11"]
    with database.read() as connection:
        assert sa.inspect(connection).has_table("knowledge_bases")
    database.close()


NEWER = {
    "vlpro": "UPDATE alembic_version SET version_num = '9999'",
    "audit": "UPDATE audit_version SET version_num = '9999'",
}


@pytest.mark.parametrize(("name", "command"), [("vlpro", ["serve", "--port", "1"]), ("audit", ["migrate"])])
def test_a_database_of_a_newer_version_is_refused_with_a_sentence(
    name: str, command: list[str], tmp_path: Path
) -> None:
    settings = {"VLPRO_ENGINE": "fake", "VLPRO_DATA_DIR": str(tmp_path)}
    for own, folder in (("vlpro", db.MIGRATIONS), ("audit", AUDIT_MIGRATIONS)):
        database = Database(sqlite_url(tmp_path, own))
        database.migrate(folder=folder)
        database.close()
    with closing(sqlite3.connect(tmp_path / f"{name}.db")) as connection:
        connection.execute(NEWER[name])
        connection.commit()
    done = vlpro(*command, **settings)
    assert done.returncode == 1
    assert "schema 9999, which is newer than this software knows" in done.stderr
    assert "restore a backup from before the upgrade" in done.stderr
    assert "Traceback" not in done.stderr
