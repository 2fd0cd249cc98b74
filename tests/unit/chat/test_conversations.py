from __future__ import annotations

import pytest

from vlpro.chat import conversations
from vlpro.chat.conversations import Conversation, ConversationsInMemory, StoredMessage, titled
from vlpro.errors import BusyError, NotFoundError
from vlpro.identity.labels import Level
from vlpro.identity.principal import Person


class _Clock:
    now = 1000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    clock = _Clock()
    monkeypatch.setattr(conversations, "time", clock)
    return clock


@pytest.fixture
def dropped() -> list[Conversation]:
    return []


@pytest.fixture
def store(clock: _Clock, dropped: list[Conversation]) -> ConversationsInMemory:
    return ConversationsInMemory(max_conversations=2, ttl_s=60, dropped=dropped.append)


def test_nobody_else_gets_it(store: ConversationsInMemory) -> None:
    own = store.new("li", "", Level.PUBLIC)
    with pytest.raises(NotFoundError) as refused:
        store.own(Person("wang"), own.id)
    assert refused.value.code == "conversation_not_found"
    assert store.of(Person("wang")) == []
    assert store.of(Person("li")) == [own]


def test_last_used_first(store: ConversationsInMemory, clock: _Clock) -> None:
    first = store.new("li", "", Level.PUBLIC)
    clock.now += 1
    second = store.new("li", "", Level.PUBLIC)
    assert store.of(Person("li")) == [second, first]
    clock.now += 1
    first.updated = clock.now
    assert store.of(Person("li")) == [first, second]


def test_an_empty_one_makes_room_before_an_older_one(
    store: ConversationsInMemory, clock: _Clock, dropped: list[Conversation]
) -> None:
    old = store.new("li", "", Level.PUBLIC)
    old.messages.append(StoredMessage("user", "x"))
    clock.now += 1
    empty = store.new("li", "", Level.PUBLIC)
    clock.now += 1
    new = store.new("li", "", Level.PUBLIC)
    assert dropped == [empty]
    new.messages.append(StoredMessage("user", "y"))
    store.new("li", "", Level.PUBLIC)
    assert dropped == [empty, old]


def test_one_that_answers_stays(
    store: ConversationsInMemory, clock: _Clock, dropped: list[Conversation]
) -> None:
    for _ in range(2):
        store.new("li", "", Level.PUBLIC).messages.append(StoredMessage("assistant", state="queued"))
    clock.now += 1000
    with pytest.raises(BusyError):
        store.new("li", "", Level.PUBLIC)
    assert dropped == []
    for conversation in store.of(Person("li")):
        conversation.messages[-1].state = "done"
    assert store.of(Person("li")) == []
    assert len(dropped) == 2


def test_the_title_is_the_first_question() -> None:
    asked = StoredMessage("user", "  合计\n金额  " + "x" * 100)
    assert titled([asked, StoredMessage("user", "other")]) == ("合计 金额 " + "x" * 100)[:39] + "…"
    assert titled([]) == ""


def test_an_answer_reads_without_its_boxes_and_a_question_as_it_was_asked() -> None:
    raw = 'See\n\n```json\n[{"bbox_2d": [1,2,3,4]}]\n```'
    assert StoredMessage("assistant", raw).text == "See"
    assert StoredMessage("user", raw).text == raw
