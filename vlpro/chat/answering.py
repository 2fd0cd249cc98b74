"""Answers of conversations, generated in the background: a page may reload, come back, and find its answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from vlpro.chat.conversation_pictures import ConversationPictures
from vlpro.chat.conversations import Conversation, State, StoredMessage, question_of, titled
from vlpro.chat.forgetting import Forgetting
from vlpro.chat.grounding import Place
from vlpro.chat.history import History
from vlpro.chat.pictures import KeptPicture, PictureStore
from vlpro.chat.queue import Ticket
from vlpro.chat.service import ChatService, Finds, Finished, Piece, Question, Started
from vlpro.engines.interface import Language, Sampling, Usage
from vlpro.errors import (
    BadRequestError,
    ConflictError,
    DatabaseError,
    EngineError,
    ForbiddenError,
    NotFoundError,
    VlproError,
)
from vlpro.identity.labels import Level
from vlpro.identity.principal import Person

__all__ = ["Answers", "Asked"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """One question of a person in a conversation.

    Args:
        text: The question.
        images: Ids of pictures that are kept.
        temperature: 0 to 2; None: the engine's default.
        max_tokens: Most tokens of the answer; None: the engine's default.
        language: Language to answer in; None: as the service is set.
        replaces: Id of an earlier question that goes first, with all after it.
        version: Of the conversation as it was seen when this was asked; None: whatever it is.
        request_id: Of the request.
        spent: Is told what the answer took.
        finds: Finds what it is to be answered from; None: it is answered from itself.
        bases: Ids of the knowledge bases that it finds it in.
        finds_level: How confidential that is, at most.
    """

    text: str
    images: tuple[str, ...] = ()
    temperature: float | None = None
    max_tokens: int | None = None
    language: Language | None = None
    replaces: str | None = None
    version: int | None = None
    request_id: str = ""
    spent: Callable[[Usage], None] | None = None
    finds: Finds | None = None
    bases: tuple[str, ...] = ()
    finds_level: Level = Level.PUBLIC


class Answers:
    """Those that are being generated, or stored.

    Args:
        chat: Answers.
        pictures: Those in memory.
        shown: Puts pictures that are stored before the engine again.
        history: Stores the answers.
        forgetting: Is told under which digests the engine knows pictures.
        max_images: Most pictures in one conversation.
    """

    def __init__(
        self,
        chat: ChatService,
        pictures: PictureStore,
        shown: ConversationPictures,
        history: History,
        forgetting: Forgetting,
        *,
        max_images: int,
    ) -> None:
        self._chat = chat
        self._pictures = pictures
        self._shown = shown
        self._history = history
        self._forgetting = forgetting
        self._max_images = max_images
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def going_on(self) -> int:
        """How many there are."""
        return len(self._tasks)

    async def begin(self, person: Person, conversation: Conversation, asked: Asked) -> StoredMessage:
        """Begin to answer a question.

        Returns:
            The answer's message, which grows.

        Raises:
            NotFoundError: No such picture or earlier question.
            BadRequestError: An answer is being generated already, there are too many pictures, or it is longer than
                the engine's context.
            ConflictError: The conversation has gone on elsewhere.
            ForbiddenError: What it is to be answered from is more confidential than the conversation.
        """
        if asked.finds_level > conversation.level:
            raise ForbiddenError(
                "The knowledge base is more confidential than this conversation. Begin a conversation of its level.",
                zh="知识库的密级高于本对话，请新建相应密级的对话后再提问。",
                param="knowledge_base",
            )
        if conversation.busy or conversation.working:
            raise BadRequestError(
                "The last answer is still being generated. Stop it or wait for it.",
                zh="上一个回答还在生成，请等待或先停止。",
                code="conversation_busy",
            )
        if asked.version is not None and asked.version != conversation.version:
            raise ConflictError(
                "This conversation has gone on elsewhere since it was shown here. Load it again, then ask.",
                zh="这段对话已在别处继续，请重新打开后再提问。",
                param="version",
                code="conversation_changed",
            )
        conversation.working = True
        try:
            return await self._begin(person, conversation, asked)
        except BaseException:
            conversation.working = False
            raise

    async def _begin(self, person: Person, conversation: Conversation, asked: Asked) -> StoredMessage:
        await self._shown.restore(person, conversation)
        kept = [
            self._pictures.get(person.id, image, param=f"images[{index}]")
            for index, image in enumerate(asked.images)
        ]
        before = conversation.messages
        if asked.replaces is not None:
            replaced = conversation.message(asked.replaces)
            if replaced.role != "user":
                raise BadRequestError(
                    "Only a question can be replaced.", zh="只能替换问题。", param="replaces"
                )
            before = before[: before.index(replaced)]
        count = len(kept) + sum(len(message.pictures) for message in before)
        if count > self._max_images:
            raise BadRequestError(
                f"With these, the conversation would hold {count} pictures; at most {self._max_images} are "
                "possible. Remove some, or begin a new conversation.",
                zh=f"加上这些图片，对话共有 {count} 张，最多 {self._max_images} 张。请减少图片或新建对话。",
                param="images",
                code="too_many_images",
            )
        question = StoredMessage(
            "user",
            asked.text,
            tuple(kept),
            request_id=asked.request_id,
            language=asked.language,
            bases=asked.bases,
        )
        ask, messages = question_of((*before, question))
        ask = replace(
            ask,
            sampling=Sampling(temperature=asked.temperature),
            max_tokens=asked.max_tokens,
            language=asked.language,
            param="text",
            owner=person.id,
            conversation=conversation.id,
            spent=asked.spent,
            finds=asked.finds,
        )
        self._chat.check(ask)
        self._chat.fit(ask, messages)  # now, while the person can still shorten it, not as a failed answer
        answer = StoredMessage("assistant", state="queued", request_id=asked.request_id)
        turns, title = [*before, question, answer], conversation.title or titled([*before, question])
        # Stored before an engine hears of it: should the process end now, only the answer is lost.
        await self._history.change(
            conversation, turns, len(before), title=title, updated=question.created, answering=True
        )
        conversation.title, conversation.updated = title, question.created
        conversation.used = question.created
        self._pictures.free(conversation.hold(turns))
        task = asyncio.create_task(self._generate(conversation, answer, ask))
        self._tasks[conversation.id] = task
        task.add_done_callback(lambda ended: self._task_ended(conversation.id, ended))
        return answer

    def _task_ended(self, conversation_id: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get(conversation_id) is task:  # the next question may have come before this call
            del self._tasks[conversation_id]

    async def end(self, conversation: Conversation) -> None:
        """End the one of a conversation, if it goes on; what was written stays."""
        task = self._tasks.get(conversation.id)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if conversation.working and conversation.busy:  # it was cancelled before its first step
            await self._finish(conversation, conversation.messages[-1], "stopped", None)

    def cancel(self, conversation_id: str) -> None:
        """Let the one of a conversation end, if it goes on."""
        if (task := self._tasks.get(conversation_id)) is not None:
            task.cancel()

    async def _generate(self, conversation: Conversation, answer: StoredMessage, question: Question) -> None:
        def waits(ticket: Ticket) -> None:
            answer.ticket = ticket

        state: State = "done"
        error: VlproError | None = None
        try:
            async with aclosing(self._chat.answer(question, waits=waits)) as events:
                async for event in events:
                    match event:
                        case Started():
                            answer.state, answer.shown = "answering", event.pictures
                            self._forgetting.remember_reduced(question, event.pictures)
                        case Piece():
                            answer.raw += event.text
                            answer.finish_reason = event.finish_reason
                        case Finished():
                            answer.usage, answer.timing = event.usage, event.timing
                            answer.grounding = _counted_with_all(conversation, event.grounding[0])
                            answer.citations = event.citations[0]
        except asyncio.CancelledError:
            state = "stopped"
            raise
        except VlproError as failed:
            state, error = "failed", failed
        except Exception:
            log.exception("request %s: the answer failed", answer.request_id)
            state = "failed"
            error = EngineError("The answer failed inside the service.", zh="服务内部出错，回答失败。")
        finally:
            await self._finish(conversation, answer, state, error)

    async def _finish(
        self, conversation: Conversation, answer: StoredMessage, state: State, error: VlproError | None
    ) -> None:
        """An answer has come to its end: store it, then say so."""
        ended = replace(answer, state=state, error=error, ticket=None)
        turns = [*conversation.messages[:-1], ended]
        try:
            if conversation.messages and conversation.messages[-1] is answer:  # not where it was cleared
                await self._history.change(conversation, turns, len(turns) - 1)
                answer.version = ended.version
        except (ConflictError, NotFoundError) as lost:
            log.info("conversation %s: the answer was not stored: %s", conversation.id, lost.code)
        except VlproError as unstored:
            log.warning("conversation %s: the answer was not stored: %s", conversation.id, unstored.message)
            if state == "done":
                state, error = "failed", _not_stored()
        finally:
            answer.state, answer.error, answer.ticket = state, error, None
            conversation.working = False

    async def close(self) -> None:
        """End all."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _counted_with_all(conversation: Conversation, places: Sequence[Place]) -> tuple[Place, ...]:
    """Places by their pictures' numbers in the whole conversation: the engine saw only those that are not gone."""
    shown = [number for number, p in enumerate(conversation.pictures, 1) if isinstance(p, KeptPicture)]
    return tuple(
        replace(place, image=shown[place.image - 1]) if 0 < place.image <= len(shown) else place
        for place in places
    )


def _not_stored() -> DatabaseError:
    return DatabaseError(
        "The answer could not be stored: the database does not answer. Copy it now, or ask again.",
        zh="回答没有存下来：数据库没有响应。请先复制内容，或重新提问。",
        code="answer_not_stored",
    )
