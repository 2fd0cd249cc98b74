"""Stored conversations: nothing in clear, nothing altered unseen, nothing left after it was deleted."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.postgresql import BINARIES, Cluster
from vlpro.chat.conversations import Conversation, StoredMessage
from vlpro.chat.grounding import Place
from vlpro.chat.pictures import PictureNote
from vlpro.chat.store import ConversationStore
from vlpro.chat.tables import conversations, kept_pictures, messages
from vlpro.crypto import Sealer
from vlpro.db import Database, sqlite_url
from vlpro.errors import ConflictError, EngineError, NotFoundError, VlproError
from vlpro.identity.labels import Level

KEY = bytes(range(32))
TITLE, TEXT, LABEL, FILE = (
    "canary-title-6d2f",
    "canary-text-91c0 金丝雀",
    "canary-label-77ab",
    b"canary-file-40e8",
)
CANARIES = (TITLE.encode(), b"canary-text-91c0", "金丝雀".encode(), LABEL.encode(), FILE)
NOTE = PictureNote("img_1", 5.0, "ab" * 32, "png", 10, 40, 30, 40, 30)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def store(database: Database) -> ConversationStore:
    return ConversationStore(database, Sealer(KEY))


def begun(
    store: ConversationStore, name: str = "conv_a", owner: str = "li", at: float = 100.0
) -> Conversation:
    """A conversation of one question with a picture, and its answer."""
    made = Conversation(name, owner, Level.INTERNAL, "", at, at)
    store.add(made)
    asked = StoredMessage("user", TEXT, (NOTE,), created=at)
    answer = StoredMessage("assistant", f"Yes, {TEXT}", grounding=(Place(1, (1, 2, 3, 4), label=LABEL),))
    turns = [asked, answer]
    made.version = store.save(made, turns, 0, title=TITLE, updated=at, pictures={"img_1": FILE})
    made.messages = turns
    for message in turns:
        message.version = made.version
    return made


def loaded(store: ConversationStore, name: str = "conv_a") -> Conversation:
    found = store.load(name, pictures=True)
    assert found is not None
    return found


def test_what_was_stored_comes_back_as_it_was(store: ConversationStore) -> None:
    made = begun(store)
    made.messages[1].error = EngineError("It broke.", zh="坏了。", code="odd")
    store.save(made, made.messages, 1, title=TITLE, updated=120.0)
    again = loaded(store)
    assert (again.title, again.level, again.created, again.updated) == (TITLE, Level.INTERNAL, 100.0, 120.0)
    asked, answer = again.messages
    assert (asked.raw, asked.pictures[0].note.sha256) == (TEXT, NOTE.sha256)
    assert isinstance(asked.pictures[0], PictureNote)
    assert asked.pictures[0].stored
    assert answer.grounding == (Place(1, (1, 2, 3, 4), label=LABEL),)
    assert isinstance(answer.error, EngineError)
    assert (answer.error.code, answer.error.zh) == ("odd", "坏了。")
    assert store.picture("li", Level.INTERNAL, "img_1") == FILE
    assert store.picture("wang", Level.SECRET, "img_1") is None
    assert store.picture("li", Level.PUBLIC, "img_1") is None


COLUMNS = [
    (conversations.c.key, "id"),
    (conversations.c.head, "id"),
    (messages.c.data, "conversation"),
    (kept_pictures.c.data, "conversation"),
]


def opens(store: ConversationStore, column: sa.Column[Any], name: str) -> object:
    """Open what a column holds."""
    if column.table is kept_pictures:
        return store.picture("li", Level.INTERNAL, "img_1")
    return store.load(name, pictures=True)


@pytest.mark.parametrize("at", [0, 1, 15, -1])
@pytest.mark.parametrize(("column", "name"), COLUMNS, ids=str)
def test_a_changed_byte_is_found_and_named_and_the_others_go_on_working(
    database: Database, store: ConversationStore, column: sa.Column[Any], name: str, at: int
) -> None:
    begun(store)
    other = begun(store, "conv_b", "wang")
    of = column.table.c[name] == "conv_a"
    with database.write() as connection:
        value = bytearray(connection.execute(sa.select(column).where(of).limit(1)).scalar_one())
        value[at] ^= 1
        connection.execute(sa.update(column.table).where(of).values({column.name: bytes(value)}))
    with pytest.raises(VlproError, match="conv_a cannot be opened") as refused:
        opens(store, column, "conv_a")
    assert refused.value.code == "integrity_error"
    assert "conv_a" in refused.value.zh
    assert loaded(store, "conv_b").messages[0].raw == other.messages[0].raw
    assert store.delete(["conv_a"]) == ["conv_a"]  # a damaged one can still be deleted


def moved(**values: object) -> Callable[[sa.Connection], None]:
    def work(connection: sa.Connection) -> None:
        connection.execute(sa.update(conversations).where(conversations.c.id == "conv_a").values(**values))

    return work


def copied_from_another(connection: sa.Connection) -> None:
    data = connection.execute(
        sa.select(messages.c.data).where(messages.c.conversation == "conv_b", messages.c.number == 0)
    ).scalar_one()
    connection.execute(
        sa.update(messages)
        .where(messages.c.conversation == "conv_a", messages.c.number == 0)
        .values(data=data)
    )


def key_and_all_from_another(connection: sa.Connection) -> None:
    row = connection.execute(sa.select(conversations).where(conversations.c.id == "conv_b")).one()
    moved(key=row.key, head=row.head, version=row.version)(connection)
    connection.execute(sa.delete(messages).where(messages.c.conversation == "conv_a"))
    connection.execute(
        sa.update(messages).where(messages.c.conversation == "conv_b").values(conversation="conv_a")
    )


def swapped(connection: sa.Connection) -> None:
    for old, new in ((0, 9), (1, 0), (9, 1)):
        connection.execute(
            sa.update(messages)
            .where(messages.c.conversation == "conv_a", messages.c.number == old)
            .values(number=new)
        )


def other_version(connection: sa.Connection) -> None:
    connection.execute(sa.update(messages).where(messages.c.conversation == "conv_a").values(version=1))


def removed(connection: sa.Connection) -> None:
    connection.execute(sa.delete(messages).where(messages.c.conversation == "conv_a", messages.c.number == 1))


@pytest.mark.parametrize(
    "attack",
    [
        moved(owner="eve"),
        moved(level=0),
        moved(version=9),
        copied_from_another,
        key_and_all_from_another,
        swapped,
        other_version,
        removed,
    ],
    ids=[
        "given to somebody else", "a lower level", "another version", "message of another conversation",
        "all rows of another conversation", "messages swapped", "messages of another version", "last removed",
    ],
)  # fmt: skip
def test_a_row_that_was_copied_moved_or_removed_does_not_open(
    database: Database, store: ConversationStore, attack: Callable[[sa.Connection], None]
) -> None:
    begun(store)
    begun(store, "conv_b")
    with database.write() as connection:
        attack(connection)
    with pytest.raises(VlproError, match="conv_a cannot be opened"):
        store.load("conv_a", pictures=True)


def test_an_older_message_that_is_put_back_does_not_open(
    database: Database, store: ConversationStore
) -> None:
    made = begun(store)
    at = sa.and_(messages.c.conversation == "conv_a", messages.c.number == 1)
    with database.read() as connection:
        older = connection.execute(sa.select(messages).where(at)).one()
    store.save(made, [made.messages[0], StoredMessage("assistant", "newer")], 1, title=TITLE, updated=1.0)
    assert loaded(store).messages[1].raw == "newer"
    with database.write() as connection:
        connection.execute(sa.update(messages).where(at).values(data=older.data, version=older.version))
    with pytest.raises(VlproError, match="cannot be opened"):
        loaded(store)


def test_another_key_file_opens_nothing(database: Database, store: ConversationStore) -> None:
    begun(store)
    stranger = ConversationStore(database, Sealer(bytes(32)))
    with pytest.raises(VlproError, match="the key file is another one"):
        stranger.load("conv_a", pictures=True)
    assert [head.damaged for head in stranger.page("li", Level.SECRET, limit=5)] == [True]


def test_two_who_change_the_same_conversation_are_told_apart(store: ConversationStore) -> None:
    begun(store)
    mine, theirs = loaded(store), loaded(store)
    store.save(mine, [*mine.messages, StoredMessage("user", "mine")], 2, title=TITLE, updated=1.0)
    with pytest.raises(ConflictError):
        store.save(theirs, [*theirs.messages, StoredMessage("user", "theirs")], 2, title="x", updated=2.0)
    assert [m.raw for m in loaded(store).messages[2:]] == ["mine"]  # and nothing half
    assert loaded(store).title == TITLE
    store.delete(["conv_a"])
    with pytest.raises(NotFoundError):
        store.save(mine, mine.messages, 2, title="x", updated=3.0)


def test_an_answer_whose_process_is_gone_is_broken_off_and_the_question_stays(database: Database) -> None:
    now = [1000.0]
    store = ConversationStore(database, Sealer(KEY), clock=lambda: now[0])
    other = ConversationStore(database, Sealer(KEY), clock=lambda: now[0])
    made = begun(store)
    turns = [*made.messages, StoredMessage("user", "and?"), StoredMessage("assistant", state="queued")]
    store.save(made, turns, 2, title=TITLE, updated=1.0, answering=True)
    assert loaded(other).busy  # it is written elsewhere
    now[0] += 25
    assert store.still_answering(["conv_a"]) == {"conv_a"}
    assert other.still_answering(["conv_a"]) == set()
    now[0] += 25
    assert loaded(other).busy
    now[0] += 10
    asked, answer = loaded(other).messages[2:]
    assert asked.raw == "and?"
    assert (answer.state, answer.error.code if answer.error else "") == ("failed", "broken_off")


def test_at_the_start_on_sqlite_nobody_else_is_answering(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path))
    database.migrate()
    store = ConversationStore(database, Sealer(KEY))
    made = begun(store)
    turns = [*made.messages, StoredMessage("user", "and?"), StoredMessage("assistant", state="queued")]
    store.save(made, turns, 2, title=TITLE, updated=1.0, answering=True)
    store.end_earlier_answers()
    assert loaded(store).messages[-1].state == "failed"
    database.close()


def test_pages_of_many(store: ConversationStore) -> None:
    for number in range(25):
        begun(store, f"conv_{number:02}", at=float(number // 2))  # two at each time
    begun(store, "conv_x", "wang")
    seen: list[str] = []
    before = None
    while page := store.page("li", Level.SECRET, before=before, limit=7):
        seen += [head.id for head in page]
        before = page[-1].updated, page[-1].id
        assert {head.title for head in page} == {TITLE}
    assert seen == sorted(seen, reverse=True)
    assert (len(seen), store.count("li", Level.SECRET)) == (25, 25)
    assert store.page("li", Level.PUBLIC, limit=7) == []  # marked above


def _files(folder: Path) -> dict[str, bytes]:
    found = {}
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # PostgreSQL renames and removes some at times of its own
            if path.is_file():
                found[path.name] = path.read_bytes()
    return found


def _holding(files: dict[str, bytes], *wanted: bytes) -> list[tuple[str, bytes]]:
    return [(name, canary) for name, data in files.items() for canary in wanted if canary in data]


def in_clear(database: Database, *values: bytes) -> None:
    """The positive control: the same, written as people without this product do."""
    table = sa.Table("clear", sa.MetaData(), sa.Column("value", sa.LargeBinary), sa.Column("text", sa.Text))
    with database.write() as connection:
        table.create(connection)
        for value in values:
            text = value.decode(errors="replace")
            connection.execute(sa.insert(table).values(value=value, text=text))


def test_nothing_is_in_clear_in_the_files_of_sqlite_its_log_or_a_backup(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path))
    database.migrate()
    begun(ConversationStore(database, Sealer(KEY)))

    def everywhere() -> dict[str, bytes]:
        with (
            closing(sqlite3.connect(tmp_path / "vlpro.db")) as source,
            closing(sqlite3.connect(tmp_path / "copy.db")) as copy,
        ):
            source.backup(copy)
        return _files(tmp_path)

    files = everywhere()
    assert {"vlpro.db", "vlpro.db-wal", "vlpro.db-shm", "copy.db"} <= files.keys()
    assert _holding(files, b"conv_a") != []  # the search itself works
    assert _holding(files, *CANARIES) == []
    in_clear(database, *CANARIES)
    found = _holding(everywhere(), *CANARIES)
    assert {canary for _, canary in found} == set(CANARIES)
    assert {"vlpro.db-wal", "copy.db"} <= {name for name, _ in found}
    database.close()


def test_nothing_is_in_clear_in_the_files_of_postgresql_or_a_dump(postgresql: Cluster) -> None:
    assert BINARIES is not None
    url = postgresql.new()
    database = Database(url)
    database.migrate()
    begun(ConversationStore(database, Sealer(KEY)))
    with database.read() as connection:
        folder = Path(connection.exec_driver_sql("SHOW data_directory").scalar_one())
        own = connection.exec_driver_sql(
            "SELECT oid::text FROM pg_database WHERE datname = current_database()"
        ).scalar_one()

    def everywhere() -> dict[str, bytes]:
        with database._writer.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("CHECKPOINT")
        dump = subprocess.run(
            [str(BINARIES / "pg_dump"), "--inserts", url], check=True, capture_output=True
        ).stdout  # a bytea is written in hexadecimal
        plain = b"".join(bytes.fromhex(h.decode()) for h in re.findall(rb"\\x((?:[0-9a-f]{2})+)", dump))
        # The database's own folder, and the write-ahead log that all share; not those of other tests.
        files = _files(folder / "base" / own) | _files(folder / "pg_wal")
        return files | {"dump": dump, "dump's bytes": plain}

    files = everywhere()
    assert _holding({"dump": files["dump"]}, b"conv_a") != []
    assert _holding(files, *CANARIES) == []
    in_clear(database, *CANARIES)
    found = _holding(everywhere(), *CANARIES)
    assert {canary for _, canary in found} == set(CANARIES)
    assert {"dump", "dump's bytes"} <= {name for name, _ in found}
    assert len({name for name, _ in found}) > 2  # tables or write-ahead log, too
    database.close()


def test_after_deleting_the_wrapped_key_is_in_no_file(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path))
    database.migrate()
    store = ConversationStore(database, Sealer(KEY))
    begun(store)
    begun(store, "conv_b")
    with database.read() as connection:
        rows = dict(connection.execute(sa.select(conversations.c.id, conversations.c.key)).all())
        sealed = connection.execute(sa.select(messages.c.data)).scalars().all()
    before = shutil.copytree(tmp_path, tmp_path / "before")
    assert _holding(_files(before), rows["conv_a"]) != []  # the search itself works
    shutil.rmtree(before)
    assert store.delete(["conv_a", "conv_none"]) == ["conv_a"]
    assert _holding(_files(tmp_path), rows["conv_a"], b"conv_a") == []
    assert _holding(_files(tmp_path), rows["conv_b"]) != []
    store.delete(["conv_b"])
    assert _holding(_files(tmp_path), *rows.values(), *sealed) == []
    database.close()


def test_a_replaced_question_leaves_the_log_in_time(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path))
    database.migrate()
    store = ConversationStore(database, Sealer(KEY))
    made = begun(store)
    with database.read() as connection:
        data = connection.execute(sa.select(messages.c.data).where(messages.c.number == 0)).scalar_one()
    store.save(made, [StoredMessage("user", "another")], 0, title=TITLE, updated=1.0)
    assert store.picture("li", Level.SECRET, "img_1") is None  # no message has it any more
    store.tidy()
    assert _holding(_files(tmp_path), data) == []
    database.close()
