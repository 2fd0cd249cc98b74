"""Conversations that outlive the service, seen by several of its processes, and found again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.support import eventually
from tests.unit.imaging.samples import file, quarters
from vlpro.audit.events import Event, Outcome
from vlpro.audit.recorder import NullRecorder
from vlpro.chat import history
from vlpro.chat.answering import Asked
from vlpro.chat.conversation_service import ConversationService
from vlpro.chat.conversations import Conversation, StoredMessage
from vlpro.chat.history import Rules
from vlpro.chat.pictures import PictureNote, PictureStore
from vlpro.chat.search import Search
from vlpro.chat.service import ChatService
from vlpro.chat.store import ConversationStore
from vlpro.chat.tables import conversations, kept_pictures, messages
from vlpro.crypto import Sealer
from vlpro.db import Database, sqlite_url
from vlpro.engines.fake import FakeEngine
from vlpro.errors import (
    AuditError,
    BadRequestError,
    ConflictError,
    DatabaseError,
    ForbiddenError,
    NotFoundError,
    VlproError,
)
from vlpro.identity.labels import Level
from vlpro.identity.principal import Person
from vlpro.imaging.ingest import Limits

pytestmark = pytest.mark.anyio
LI, WANG = Person("li"), Person("wang")
KEY = bytes(range(32))
PNG = file(quarters(), "PNG")


@dataclass
class House:
    """A database, and the service's processes over it."""

    url: str
    rules: Rules = field(default_factory=Rules)
    recorder: NullRecorder = field(default_factory=NullRecorder)
    opened: list[Database] = field(default_factory=list)

    @asynccontextmanager
    async def service(self, *, most: int = 5, start: bool = True) -> AsyncIterator[ConversationService]:
        chat = ChatService(
            FakeEngine(delay_s=0.001), limits=Limits(), max_images=4, max_text_chars=1000, max_choices=1,
            queue_size=5, answer_timeout_s=30, recorder=self.recorder,
        )  # fmt: skip
        service = ConversationService(
            chat, PictureStore(max_bytes=10_000_000, ttl_s=60), limits=Limits(), max_images=4,
            max_conversations=most, ttl_s=60, store=self.store(), rules=lambda: self.rules,
        )  # fmt: skip
        if start:
            await service.start()
        yield service
        await service.close()

    def store(self) -> ConversationStore:
        self.opened.append(Database(self.url))
        return ConversationStore(self.opened[-1], Sealer(KEY))

    def rows(self, table: sa.Table) -> int:
        database = Database(self.url)
        with database.read() as connection:
            found = connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
        database.close()
        return int(found)

    def change(self, work: Callable[[sa.Connection], object]) -> None:
        database = Database(self.url)
        with database.write() as connection:
            work(connection)
        database.close()

    def told(self, event: Event) -> list[dict[str, Any]]:
        return [dict(entry.detail) for entry in self.recorder.entries if entry.event is event]


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    database = Database(database_url)
    database.migrate()
    database.close()
    made = House(database_url)
    yield made
    for each in made.opened:
        each.close()


async def asked(service: ConversationService, name: str, text: str = "hi", **more: Any) -> StoredMessage:
    """Ask, and wait for the end of the answer."""
    answer = await service.ask(LI, name, Asked(text, **more))
    await eventually(lambda: not answer.busy)
    return answer


async def test_a_conversation_survives_the_service_and_goes_on(house: House) -> None:
    async with house.service() as service:
        name = (await service.new(LI)).id
        kept = await service.pictures.add(LI, PNG)
        await asked(service, name, "first", images=(kept.id,))
        await asked(service, name, "count to 3")
    async with house.service() as service:
        (head,) = (await service.page(LI)).heads
        assert (head.id, head.title) == (name, "first")
        held = await service.get(LI, name)
        assert [m.text for m in held.messages[2:]] == ["count to 3", "1 2 3"]
        (picture,) = held.pictures
        assert isinstance(picture, PictureNote)  # by default pictures are not stored
        assert (picture.sha256, picture.stored) == (kept.picture.sha256, False)
        with pytest.raises(NotFoundError, match="no longer in memory"):
            await asked(service, name, "again", images=(kept.id,), replaces=held.messages[0].id)
        assert len((await service.get(LI, name)).messages) == 4  # nothing was lost by that
        another = await service.pictures.add(LI, PNG)
        answer = await asked(service, name, "box it", images=(another.id,))
        assert answer.grounding[0].image == 2  # as the whole conversation counts them
        with pytest.raises(NotFoundError):
            await service.get(WANG, name)
        assert (await service.page(WANG)).heads == ()
    assert house.rows(kept_pictures) == 0


async def test_pictures_are_stored_where_the_policy_says_so_and_seen_again(house: House) -> None:
    house.rules = Rules(keep_images=True)
    async with house.service() as service:
        name = (await service.new(LI)).id
        kept = await service.pictures.add(LI, PNG)
        await asked(service, name, "box it", images=(kept.id,))
    async with house.service() as service:
        held = await service.get(LI, name)
        assert held.pictures[0].note.stored
        assert (await service.pictures.content(LI, kept.id, None))[:3] == b"\xff\xd8\xff"
        assert (await service.pictures.content(LI, kept.id, 32))[:3] == b"\xff\xd8\xff"
        assert (await service.pictures.annotated(LI, name, held.messages[1].id, None))[:3] == b"\xff\xd8\xff"
        with pytest.raises(NotFoundError):
            await service.pictures.content(WANG, kept.id, None)
        answer = await asked(service, name, "box it again")
        assert "96×64" in answer.text  # the engine sees it
        assert answer.shown[0].sha256 == kept.picture.sha256  # known by the file that came
    house.rules = Rules(keep_images=False)  # from now on: what is kept goes
    async with house.service() as service:
        assert not (await service.get(LI, name)).pictures[0].note.stored
        with pytest.raises(NotFoundError):
            await service.pictures.content(LI, kept.id, None)
        await service._history.tidy()
    assert house.rows(kept_pictures) == 0


async def test_what_the_policy_does_not_store_lives_in_memory_only(house: House) -> None:
    async with house.service() as service:
        name = (await service.new(LI)).id
        await asked(service, name, "before")
        house.rules = Rules(store=False)
        with pytest.raises(ForbiddenError) as refused:
            await asked(service, name, "after")
        assert refused.value.code == "storing_is_off"
        fleeting = await service.new(LI)
        await asked(service, fleeting.id, "in memory only")
        assert {head.title for head in (await service.page(LI)).heads} == {"before", "in memory only"}
        assert (await service.find(LI, "memory only", 5)).total == 1
    assert (house.rows(conversations), house.rows(messages)) == (1, 2)
    async with house.service() as service:
        assert [head.title for head in (await service.page(LI)).heads] == ["before"]
        assert len((await service.get(LI, name)).messages) == 2


async def test_two_processes_see_each_others_turns(house: House) -> None:
    async with house.service() as one, house.service() as other:
        name = (await one.new(LI)).id
        await asked(one, name, "one")
        seen = await other.get(LI, name)
        assert [m.raw for m in seen.messages[::2]] == ["one"]
        version = seen.version
        await asked(other, name, "two")
        assert [m.raw for m in (await one.get(LI, name)).messages[::2]] == ["one", "two"]
        with pytest.raises(ConflictError) as refused:
            await asked(one, name, "three", version=version)
        assert (refused.value.code, refused.value.param) == ("conversation_changed", "version")
        await one.rename(LI, name, "  renamed  there ")
        assert (await other.get(LI, name)).title == "renamed there"
        await other.clear(LI, name)
        with pytest.raises(NotFoundError):
            await one.get(LI, name)
        assert one._memory._by_id == {}


async def test_of_two_who_ask_at_the_same_moment_one_is_told(house: House) -> None:
    async with house.service() as one, house.service() as other:
        name = (await one.new(LI)).id
        seen = [(service, await service.get(LI, name)) for service in (one, other)]
        # Both have looked; now both write.
        both = await asyncio.gather(
            *(service._answers._begin(LI, held, Asked("mine")) for service, held in seen),
            return_exceptions=True,
        )
        refused = [each for each in both if isinstance(each, VlproError)]
        assert [each.code for each in refused] == ["conversation_changed"]
        (answer,) = (each for each in both if isinstance(each, StoredMessage))
        await eventually(lambda: not answer.busy)
        assert [m.raw for m in (await one.get(LI, name)).messages[::2]] == ["mine"]


async def test_an_answer_is_ended_by_another_process(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_BEAT_S", 0.05)
    async with house.service() as one, house.service() as other:
        stopped, deleted = [(await one.new(LI)).id for _ in "12"]
        first, second = [await one.ask(LI, name, Asked("count to 9000")) for name in (stopped, deleted)]
        assert (await other.get(LI, stopped)).busy
        with pytest.raises(BadRequestError, match="still being generated"):
            await other.ask(LI, stopped, Asked("and?"))
        await other.stop(LI, stopped)
        await other.clear(LI, deleted)
        await eventually(lambda: not first.busy and not second.busy)
        assert first.state == "stopped"
        assert (await other.get(LI, stopped)).messages[-1].state == "stopped"
        assert (await other.get(LI, stopped)).messages[-1].raw.startswith("1 2")
        assert one._chat.queue.running == 0
    assert house.rows(conversations) == 1


async def test_after_a_crash_the_question_is_there_and_the_answer_is_broken_off(house: House) -> None:
    async with house.service() as service:
        name = (await service.new(LI)).id
        await service.ask(LI, name, Asked("count to 9000"))
        store = house.store()
        house.change(  # as after the time that a process may be silent, or on SQLite at the next start
            lambda c: c.execute(sa.update(conversations).values(runner_until=1.0))
        )
        broken = store.load(name, pictures=False)
        assert broken is not None
        question, answer = broken.messages
        assert question.raw == "count to 9000"
        assert answer.error is not None
        assert (answer.state, answer.error.code) == ("failed", "broken_off")


async def test_without_its_database_nothing_is_asked_and_nothing_half_stored(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object, **__: object) -> int:
        raise DatabaseError("gone")

    async with house.service() as service:
        name = (await service.new(LI)).id
        await asked(service, name, "one")
        with monkeypatch.context() as broken:
            broken.setattr(ConversationStore, "save", gone)
            with pytest.raises(DatabaseError):
                await service.ask(LI, name, Asked("two"))
            held = await service.get(LI, name)
            assert ([m.raw for m in held.messages[::2]], held.busy) == (["one"], False)
        answer = await service.ask(LI, name, Asked("count to 300"))
        with monkeypatch.context() as broken:
            broken.setattr(ConversationStore, "save", gone)
            await eventually(lambda: not answer.busy)
        assert answer.text.endswith("300")  # it can still be copied
        assert answer.error is not None
        assert (answer.state, answer.error.code) == ("failed", "answer_not_stored")
        assert (await asked(service, name, "count to 2", replaces=held.messages[2].id)).text == "1 2"
        again = house.store().load(name, pictures=False)
        assert again is not None
        assert [m.raw for m in again.messages[::2]] == ["one", "count to 2"]


async def test_memory_is_only_a_cache(house: House) -> None:
    async with house.service(most=2) as service:
        names = []
        for number in range(6):
            names.append((await service.new(LI)).id)
            await asked(service, names[-1], f"talk {number}")
        assert len(service._memory._by_id) <= 2
        assert (await service.get(LI, names[0])).title == "talk 0"
        page = await service.page(LI, limit=4)
        rest = await service.page(LI, limit=4, after=page.next or "")
        assert [head.title for head in (*page.heads, *rest.heads)] == [f"talk {n}" for n in range(5, -1, -1)]
        assert (page.total, rest.next) == (6, None)
        with pytest.raises(BadRequestError):
            await service.page(LI, after="yesterday")


async def test_labels_hold_for_what_is_stored(house: House) -> None:
    async with house.service() as service:
        name = (await service.new(LI, level=Level.SECRET)).id
        await asked(service, name, "secret talk")
    lowered = Person("li", Level.INTERNAL)
    async with house.service() as service:
        for call in (
            service.get(lowered, name),
            service.clear(lowered, name),
            service.rename(lowered, name, "x"),
        ):
            with pytest.raises(ForbiddenError) as refused:
                await call
            assert refused.value.code == "label_too_high"
        assert (await service.page(lowered)).heads == ()
        assert (await service.find(LI, "secret", 5)).total == 1
        assert (await service.find(lowered, "secret", 5)).total == 0  # although it is open in memory
        assert await service.clear_all(lowered) == 0
        assert (await service.page(LI)).total == 1


async def test_what_is_old_goes_by_itself_and_that_is_recorded(house: House) -> None:
    async with house.service() as service:
        old, new = [(await service.new(LI)).id for _ in "12"]
        await asked(service, new, "new")
        house.change(
            lambda c: c.execute(
                sa.update(conversations).where(conversations.c.id == old).values(updated_at=1000.0)
            )
        )
        await service._history.tidy()
        assert [head.id for head in (await service.page(LI)).heads] == [new]
    (record,) = house.told(Event.CONVERSATION_CLEARED)
    assert record == {"why": "retention", "days": 180, "conversations": 1, "ids": [old]}


async def test_all_of_a_person_are_deleted_and_that_is_recorded(house: House) -> None:
    async with house.service() as service:
        names = [(await service.new(LI)).id for _ in "123"]
        growing = await service.ask(LI, names[0], Asked("count to 9000"))
        theirs = (await service.new(WANG)).id
        assert await service.clear_all(LI) == 3
        assert not growing.busy
        assert (await service.page(LI)).heads == ()
        with pytest.raises(NotFoundError):
            await service.get(LI, names[0])
        assert (await service.get(WANG, theirs)).id == theirs
    (record,) = house.told(Event.CONVERSATION_CLEARED)
    assert record == {"why": "all", "conversations": 3}
    assert (house.rows(conversations), house.rows(messages)) == (1, 0)


async def test_a_damaged_conversation_is_listed_told_and_deleted(house: House) -> None:
    async with house.service() as service:
        bad, good = [(await service.new(LI)).id for _ in "12"]
        for name in (bad, good):
            await asked(service, name, "发票 talk")
    house.change(
        lambda c: c.execute(sa.update(conversations).where(conversations.c.id == bad).values(head=b"\3\1x"))
    )
    async with house.service() as service:
        assert {h.id: h.damaged for h in (await service.page(LI)).heads} == {bad: True, good: False}
        with pytest.raises(VlproError, match=bad):
            await service.get(LI, bad)
        found = await service.find(LI, "发票", 5)
        assert ([hit.id for hit in found.hits], found.damaged) == ([good], 1)
        await service.clear(LI, bad)
        assert [h.id for h in (await service.page(LI)).heads] == [good]


async def test_a_changed_byte_is_on_the_record_once_however_it_is_met(house: House) -> None:
    house.rules = Rules(keep_images=True)
    async with house.service() as service:
        names = [(await service.new(LI)).id for _ in "1234"]
        for name in names:
            kept = await service.pictures.add(LI, PNG)
            await asked(service, name, "hi", images=(kept.id,))
    head, message, picture, fine = names
    for table, column, row in (
        (conversations, "head", conversations.c.id == head),
        (messages, "data", sa.and_(messages.c.conversation == message, messages.c.number == 1)),
        (kept_pictures, "data", kept_pictures.c.conversation == picture),
    ):
        house.change(lambda c, t=table, k=column, r=row: flip(c, t, k, r))  # type: ignore[misc]
    async with house.service() as service:
        for _ in "12":
            await service.page(LI)
            await service.find(LI, "hi", 5)
            for name in (head, message):
                with pytest.raises(VlproError, match=name):
                    await service.get(LI, name)
            with pytest.raises(VlproError, match=picture):
                await service.ask(LI, picture, Asked("again"))
        assert (await service.get(LI, fine)).id == fine
    told = [entry for entry in house.recorder.entries if entry.event is Event.CONVERSATION_DAMAGED]
    assert sorted(entry.object for entry in told) == sorted([head, message, picture])
    assert {entry.outcome for entry in told} == {Outcome.FAILED}


def flip(connection: sa.Connection, table: sa.Table, column: str, row: sa.ColumnElement[bool]) -> None:
    """Change the last byte of what is sealed."""
    data = connection.execute(sa.select(table.c[column]).where(row)).scalar_one()
    connection.execute(sa.update(table).where(row).values({column: data[:-1] + bytes([data[-1] ^ 1])}))


# --- by itself


async def test_what_another_process_deleted_leaves_memory_here_too(house: House) -> None:
    async with house.service() as here, house.service(start=False) as there:
        name = (await here.new(LI)).id
        kept = await here.pictures.add(LI, PNG)
        await asked(here, name, images=(kept.id,))
        await there.clear(LI, name)
        assert here._pictures.bytes_used > 0
        await here._history.tidy()
        assert here._pictures.bytes_used == 0
        assert here._memory.find(name) is None


async def test_what_is_asked_in_just_when_it_would_go_stays(house: House) -> None:
    async with house.service() as service:
        name = (await service.new(LI)).id
        in_use = sa.update(conversations).where(conversations.c.id == name)
        house.change(lambda c: c.execute(in_use.values(updated_at=1000.0)))

        def asks(*_: Any, **__: Any) -> int:
            house.change(lambda c: c.execute(in_use.values(updated_at=time.time())))
            return 1

        house.recorder.note = asks  # type: ignore[method-assign]
        await service._history.tidy()
        assert [head.id for head in (await service.page(LI)).heads] == [name]


async def test_what_cannot_be_recorded_stays_and_the_next_time_comes(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    def note(*_: Any, **__: Any) -> int:
        nonlocal tries
        tries += 1
        raise AuditError("The disk is full.", zh="磁盘已满。") if tries == 1 else RuntimeError("odd")

    async with house.service(start=False) as service:
        name = (await service.new(LI)).id
        old = sa.update(conversations).where(conversations.c.id == name).values(updated_at=1000.0)
        house.change(lambda c: c.execute(old))
        house.recorder.note = note  # type: ignore[method-assign]
        monkeypatch.setattr(service, "_tidy_s", 0.01)
        await service.start()
        await eventually(lambda: tries >= 3)
        assert house.rows(conversations) == 1


# --- search


@pytest.fixture
def searched(tmp_path: Path) -> Iterator[tuple[ConversationStore, Search]]:
    database = Database(sqlite_url(tmp_path))
    database.migrate()
    store = ConversationStore(database, Sealer(KEY))
    for name, owner, title, *said in (
        ("conv_1", "li", "Receipts", "今天的发票。合计金额是多少？谢谢", "合计 １,２３４ 元（ＴＯＴＡＬ）。有 VAT。"),
        ("conv_2", "li", "Pump", "Which VALVE is open?", "Straße 7 is open; the ﬁlter is not."),
        ("conv_3", "wang", "发票", "我的发票", "好"),
    ):  # fmt: skip
        made = Conversation(name, owner, Level.INTERNAL, title, 1.0, float(name[-1]))
        store.add(made)
        turns = [
            StoredMessage("user", said[0], id=f"{name}u"),
            StoredMessage("assistant", said[1], id=f"{name}a"),
        ]
        store.save(made, turns, 0, title=title, updated=made.updated)
    yield store, Search(store, max_bytes=10_000_000)
    database.close()


@pytest.mark.parametrize(
    ("text", "names", "marked", "sentence"),
    [
        ("合计金额", ["conv_1"], "合计金额", "合计金额是多少？"),
        ("1,234", ["conv_1"], "１,２３４", "合计 １,２３４ 元（ＴＯＴＡＬ）。"),
        ("total", ["conv_1"], "ＴＯＴＡＬ", "合计 １,２３４ 元（ＴＯＴＡＬ）。"),
        ("ｖａｌｖｅ", ["conv_2"], "VALVE", "Which VALVE is open?"),
        ("STRASSE", ["conv_2"], "Straße", "Straße 7 is open;"),
        ("filter", ["conv_2"], "ﬁlter", " the ﬁlter is not."),
        ("open  valve", ["conv_2"], "open", "Which VALVE is open?"),  # both words, wherever
        ("valve nothing", [], None, None),
        ("发票", ["conv_1"], "发票", "今天的发票。"),  # and not the other person's
        ("a", ["conv_1", "conv_2"][::-1], None, None),
    ],
)
def test_what_is_found(
    searched: tuple[ConversationStore, Search], text: str, names: list[str], marked: str, sentence: str
) -> None:
    for _ in range(2):  # opened for it, and as it stayed open
        found = searched[1].find(LI, text, limit=10)
        assert [hit.id for hit in found.hits] == names
        if marked:
            excerpt = found.hits[0].excerpt
            assert excerpt is not None
            assert excerpt.text[excerpt.begin : excerpt.end] == marked
            assert excerpt.text == sentence


def test_a_hit_in_the_title_only_has_no_sentence(searched: tuple[ConversationStore, Search]) -> None:
    (hit,) = searched[1].find(LI, "pump", limit=10).hits
    assert (hit.title, hit.excerpt) == ("Pump", None)


def test_a_search_sees_what_changed(searched: tuple[ConversationStore, Search]) -> None:
    store, search = searched
    assert search.find(LI, "later", limit=5).total == 0
    held = store.load("conv_1", pictures=False)
    assert held is not None
    store.save(held, [*held.messages, StoredMessage("user", "later")], 2, title="Receipts", updated=9.0)
    assert [hit.id for hit in search.find(LI, "later", limit=5).hits] == ["conv_1"]
    store.delete(["conv_1"])
    assert search.find(LI, "later", limit=5).total == 0


def test_what_stays_open_is_bounded_and_closed(
    searched: tuple[ConversationStore, Search], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, search = searched
    search.find(LI, "x", limit=5)
    assert search.bytes_used > 500
    search.forget("li")
    assert search.bytes_used == 0
    search.find(LI, "x", limit=5)
    now = [0.0]
    tight = Search(store, max_bytes=900, clock=lambda: now[0])
    assert tight.find(LI, "open", limit=5).total == 1
    assert 0 < tight.bytes_used <= 900
    assert tight.find(WANG, "发票", limit=5).total == 1
    assert tight.find(LI, "open", limit=5).total == 1  # found all the same
    now[0] += 601
    tight.expire()
    assert tight.bytes_used == 0
