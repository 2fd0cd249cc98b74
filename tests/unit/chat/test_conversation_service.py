from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace

import pytest

from tests.support import eventually
from tests.unit.imaging.samples import file, quarters
from vlpro.chat.answering import Asked
from vlpro.chat.conversation_service import ConversationService
from vlpro.chat.conversations import StoredMessage
from vlpro.chat.pictures import PictureStore
from vlpro.chat.service import ChatService, Question, Turn
from vlpro.engines.fake import FakeEngine
from vlpro.engines.interface import Delta, Request
from vlpro.errors import BadRequestError, EngineError, NotFoundError
from vlpro.identity.principal import Person
from vlpro.imaging.ingest import Limits

pytestmark = pytest.mark.anyio
LI, WANG = Person("li"), Person("wang")
PNG = file(quarters(), "PNG")


class _Engine(FakeEngine):
    """Remembers what it was told to forget, or refuses to."""

    def __init__(self) -> None:
        super().__init__(delay_s=0.001)
        self.forgotten: list[str] = []
        self.broken = False

    async def forget(self, pictures: frozenset[str], conversations: frozenset[str] = frozenset()) -> None:
        if self.broken:
            raise EngineError("broken")
        await asyncio.sleep(0)
        self.forgotten += sorted(pictures)


@pytest.fixture
def engine() -> _Engine:
    return _Engine()


def _chat(engine: _Engine, *, share_prefixes: bool = False) -> ChatService:
    return ChatService(
        engine,
        limits=Limits(),
        max_images=4,
        max_text_chars=1000,
        max_choices=1,
        queue_size=5,
        answer_timeout_s=10,
        share_prefixes=share_prefixes,
    )


@pytest.fixture
async def service(engine: _Engine) -> AsyncIterator[ConversationService]:
    chat = _chat(engine)
    pictures = PictureStore(max_bytes=10_000_000, ttl_s=60)
    service = ConversationService(
        chat, pictures, limits=Limits(), max_images=4, max_conversations=5, ttl_s=60
    )
    await service.start()
    yield service
    await service.close()


async def test_of_what_belongs_to_somebody_else_nothing_is_read_ahead(service: ConversationService) -> None:
    kept = await service.pictures.add(LI, PNG)
    with pytest.raises(NotFoundError) as refused:
        await service.pictures.add(WANG, PNG, after=(kept.id,))
    assert refused.value.param == "after"
    with pytest.raises(NotFoundError):
        await service.pictures.add(WANG, PNG, conversation_id=(await service.new(LI)).id)


@pytest.mark.parametrize(("context", "read"), [(32_768, 1), (4, 0)])
async def test_what_will_not_be_shown_as_it_is_is_not_read_ahead(
    engine: _Engine, service: ConversationService, monkeypatch: pytest.MonkeyPatch, context: int, read: int
) -> None:
    engine.capabilities = replace(engine.capabilities, reads_ahead=True, context_tokens=context)
    asked = []

    def noted(request: Request, **more: float) -> AsyncGenerator[Delta, None]:
        asked.append(request)
        return FakeEngine.generate(engine, request, **more)

    monkeypatch.setattr(engine, "generate", noted)
    await service.pictures.add(LI, PNG)
    await eventually(lambda: not service.pictures.reading_ahead)
    assert [request.ahead for request in asked] == [True] * read


@pytest.mark.parametrize(("shares", "found"), [(False, {"li", "wang"}), (True, {""})])
async def test_what_was_read_for_one_person_serves_others_only_where_that_is_set(
    engine: _Engine, monkeypatch: pytest.MonkeyPatch, *, shares: bool, found: set[str]
) -> None:
    owners = set()
    generate = engine.generate

    def noted(request: Request, **more: float) -> AsyncGenerator[Delta, None]:
        owners.add(request.owner)
        return generate(request, **more)

    monkeypatch.setattr(engine, "generate", noted)
    chat = _chat(engine, share_prefixes=shares)
    for owner in ("li", "wang"):
        async for _ in chat.answer(Question((Turn("user", ("hi",)),), owner=owner)):
            pass
    assert owners == found


async def _ask(service: ConversationService, conversation: str, text: str = "hi", **more: object) -> str:
    answer = await service.ask(LI, conversation, Asked(text, **more))  # type: ignore[arg-type]
    await eventually(lambda: not answer.busy)
    return answer.text


async def test_what_belongs_to_somebody_else_does_not_exist(service: ConversationService) -> None:
    conversation = (await service.new(LI)).id
    kept = await service.pictures.add(LI, PNG)
    await _ask(service, conversation, images=(kept.id,))
    for call in (
        lambda: service.ask(WANG, conversation, Asked("hi")),
        lambda: service.stop(WANG, conversation),
        lambda: service.clear(WANG, conversation),
        lambda: service.pictures.content(WANG, kept.id, None),
        lambda: service.pictures.delete(WANG, kept.id),
    ):
        with pytest.raises(NotFoundError):
            await call()
    with pytest.raises(NotFoundError):
        await service.get(WANG, conversation)
    with pytest.raises(NotFoundError):
        service.pictures.get(WANG, kept.id)
    own = (await service.new(WANG)).id
    with pytest.raises(NotFoundError, match="no longer in memory"):
        await service.ask(WANG, own, Asked("hi", images=(kept.id,)))


@pytest.mark.parametrize("steps", range(12))
async def test_asked_right_at_the_end_it_can_still_be_stopped(
    service: ConversationService, engine: _Engine, steps: int
) -> None:
    """The end of one job must not make the next one untraceable, in whatever order the loop takes them."""
    conversation = await service.new(LI)
    engine._delay_s = 0
    first = await service.ask(LI, conversation.id, Asked("hi"))

    async def ask_again() -> StoredMessage:
        while first.busy:
            await asyncio.sleep(0)
        engine._delay_s = 0.001
        return await service.ask(LI, conversation.id, Asked("count to 9000"))

    for _ in range(steps):
        await asyncio.sleep(0)
    second = await asyncio.create_task(ask_again())
    for _ in range(5):
        await asyncio.sleep(0)
    await service.stop(LI, conversation.id)
    assert second.state == "stopped"
    assert service._chat.queue.running == 0
    assert not service._answers._tasks


async def test_nothing_can_be_asked_while_it_is_being_cleared(service: ConversationService) -> None:
    conversation = await service.new(LI)
    kept = await service.pictures.add(LI, PNG)
    await service.ask(LI, conversation.id, Asked("count to 9000", images=(kept.id,)))
    clearing = asyncio.create_task(service.clear(LI, conversation.id))
    refused = 0
    while not clearing.done():
        await asyncio.sleep(0)
        try:
            await service.ask(LI, conversation.id, Asked("and?"))
        except (NotFoundError, BadRequestError):
            refused += 1
    assert (await clearing).images == 1
    assert refused > 0
    assert not service._answers._tasks
    assert service._pictures.bytes_used == 0


async def test_stopped_before_its_first_step(service: ConversationService) -> None:
    conversation = await service.new(LI)
    answer = await service.ask(LI, conversation.id, Asked("hi"))
    await service.stop(LI, conversation.id)
    assert answer.state == "stopped"


async def test_one_picture_twice_in_one_conversation(service: ConversationService, engine: _Engine) -> None:
    conversation = (await service.new(LI)).id
    kept = await service.pictures.add(LI, PNG)
    await _ask(service, conversation, images=(kept.id, kept.id))
    await _ask(service, conversation, images=(kept.id,))
    assert kept.held == 3
    assert (await service.clear(LI, conversation)).images == 1
    assert engine.forgotten == [kept.picture.pixels_sha256]


async def test_an_edit_keeps_the_picture_that_is_asked_for_again(
    service: ConversationService, engine: _Engine
) -> None:
    conversation = await service.new(LI)
    kept, other = (
        await service.pictures.add(LI, PNG),
        await service.pictures.add(LI, file(quarters(50, 50), "PNG")),
    )
    await _ask(service, conversation.id, images=(kept.id, other.id))
    question = conversation.messages[0].id
    text = await _ask(service, conversation.id, "again", images=(kept.id,), replaces=question)
    assert "96×64" in text
    assert "50×50" not in text
    assert kept.held == 1
    assert engine.forgotten == [other.picture.pixels_sha256]


async def test_a_full_conversation_makes_room_when_its_first_question_is_replaced(
    service: ConversationService,
) -> None:
    conversation = await service.new(LI)
    kept = [await service.pictures.add(LI, PNG) for _ in range(5)]
    await _ask(service, conversation.id, images=tuple(k.id for k in kept[:4]))
    with pytest.raises(BadRequestError, match="5 pictures"):
        await service.ask(LI, conversation.id, Asked("x", images=(kept[4].id,)))
    await _ask(service, conversation.id, images=(kept[4].id,), replaces=conversation.messages[0].id)
    assert len(conversation.pictures) == 1


async def test_too_much_text_is_refused_before_anything_changes(service: ConversationService) -> None:
    conversation = await service.new(LI)
    await _ask(service, conversation.id, "x" * 400)
    before = list(conversation.messages)
    with pytest.raises(BadRequestError) as refused:
        await service.ask(LI, conversation.id, Asked("y" * 600))
    assert refused.value.param == "text"
    assert conversation.messages == before


async def test_an_engine_that_cannot_forget_stops_nothing(
    service: ConversationService, engine: _Engine
) -> None:
    engine.broken = True
    conversation = (await service.new(LI)).id
    kept = await service.pictures.add(LI, PNG)
    await _ask(service, conversation, images=(kept.id,))
    assert (await service.clear(LI, conversation)).images == 1


async def test_a_bug_inside_fails_the_answer_only(
    service: ConversationService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> int:
        raise ZeroDivisionError("secret")

    conversation = await service.new(LI)
    monkeypatch.setattr(service._chat, "answer", broken)
    await _ask(service, conversation.id)
    monkeypatch.undo()
    answer = conversation.messages[-1]
    assert answer.state == "failed"
    assert answer.error is not None
    assert "secret" not in answer.error.message
    assert await _ask(service, conversation.id, "count to 2") == "1 2"


async def test_the_end_of_the_service_ends_all_answers(service: ConversationService) -> None:
    conversation = await service.new(LI)
    answer = await service.ask(LI, conversation.id, Asked("count to 9000"))
    await service.close()
    assert answer.state in ("stopped", "queued")
    assert service._chat.queue.running == 0
