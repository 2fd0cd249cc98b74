"""Conversations as this process has them in memory: those in use, and those that are not stored at all."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from vlpro.chat.fitting import Shown
from vlpro.chat.grounding import Place, without_places
from vlpro.chat.material import Citation
from vlpro.chat.pictures import KeptPicture, PictureNote
from vlpro.chat.queue import Ticket
from vlpro.chat.service import Question, Timing, Turn
from vlpro.crypto import DataKey
from vlpro.engines.interface import FinishReason, Language, Message, Usage
from vlpro.errors import BusyError, NotFoundError, VlproError
from vlpro.identity.labels import Level, check_read
from vlpro.identity.principal import Person

__all__ = [
    "Conversation",
    "ConversationsInMemory",
    "State",
    "StoredMessage",
    "no_such_conversation",
    "question_of",
    "titled",
]

State = Literal["queued", "answering", "done", "stopped", "failed"]
_TITLE_CHARS = 40


@dataclass(slots=True)
class StoredMessage:
    """One turn; an answer grows until its state is final.

    Args:
        role: Who speaks.
        raw: The text as asked, or as the engine wrote it, boxes included.
        pictures: Of a question; of those that left memory what stays known.
        state: How far an answer is.
        request_id: Of the request that asked.
        language: Chosen with a question.
        bases: Ids of the knowledge bases that a question was to be answered from.
        shown: Of an answer: all pictures up to it, as the engine was given them.
        version: Of the conversation, when this was stored; 0: it is not.
    """

    role: Literal["user", "assistant"]
    raw: str = ""
    pictures: tuple[KeptPicture | PictureNote, ...] = ()
    state: State = "done"
    request_id: str = ""
    language: Language | None = None
    bases: tuple[str, ...] = ()
    id: str = field(default_factory=lambda: f"msg_{secrets.token_hex(12)}")
    created: float = field(default_factory=time.time)
    finish_reason: FinishReason | None = None
    error: VlproError | None = None
    usage: Usage | None = None
    timing: Timing | None = None
    grounding: tuple[Place, ...] = ()
    citations: tuple[Citation, ...] = ()
    shown: tuple[Shown, ...] = ()
    ticket: Ticket | None = None
    version: int = 0

    @property
    def text(self) -> str:
        """As a person reads it."""
        return without_places(self.raw) if self.role == "assistant" else self.raw

    @property
    def busy(self) -> bool:
        """Whether the answer still grows."""
        return self.state in ("queued", "answering")


@dataclass(slots=True)
class Conversation:
    """Turns of one person, oldest first: questions and answers in turn.

    Args:
        id: Its name in the API; not to be guessed.
        owner: Whose it is.
        level: How confidential it is.
        title: Given, or the beginning of the first question.
        created: Unix time, seconds.
        updated: Unix time of the last question.
        messages: Its turns.
        version: One more with each change.
        key: Seals what is stored of it; None: it lives in memory only.
        working: Whether this process is answering or storing it: what the store says meanwhile is older.
        used: Unix time of the last look.
    """

    id: str
    owner: str
    level: Level
    title: str
    created: float
    updated: float
    messages: list[StoredMessage] = field(default_factory=list)
    version: int = 1
    key: DataKey | None = None
    working: bool = False
    used: float = field(default_factory=time.time)

    @property
    def busy(self) -> bool:
        """Whether an answer is being generated."""
        return bool(self.messages) and self.messages[-1].busy

    @property
    def pictures(self) -> tuple[KeptPicture | PictureNote, ...]:
        """All pictures of the conversation, oldest first."""
        return tuple(picture for message in self.messages for picture in message.pictures)

    def message(self, message_id: str) -> StoredMessage:
        """One of its messages.

        Raises:
            NotFoundError: It has no such message.
        """
        for message in self.messages:
            if message.id == message_id:
                return message
        raise NotFoundError(
            "This message is not part of the conversation any more.", zh="对话中已没有这条消息。"
        )

    def hold(self, messages: list[StoredMessage]) -> list[KeptPicture]:
        """Have other messages than before, and hold the pictures of these.

        Returns:
            The pictures that it held before: who is held by nobody any more may go.
        """
        before = [picture for picture in self.pictures if isinstance(picture, KeptPicture)]
        self.messages = messages
        for picture in self.pictures:
            if isinstance(picture, KeptPicture):
                picture.held += 1
        for picture in before:
            picture.held -= 1
        return before


def titled(messages: list[StoredMessage]) -> str:
    """What a conversation is called after its first question; empty where nothing was asked."""
    asked = next((" ".join(message.raw.split()) for message in messages if message.role == "user"), "")
    return asked if len(asked) <= _TITLE_CHARS else f"{asked[: _TITLE_CHARS - 1]}…"


def no_such_conversation(*, foreign: bool = False) -> NotFoundError:
    """The refusal for an unknown id, and for somebody else's."""
    return NotFoundError(
        "This conversation does not exist any more. Begin a new one.",
        zh="这个对话已不存在，请新建对话。",
        code="conversation_not_found",
        foreign=foreign,
    )


class ConversationsInMemory:
    """Conversations by id.

    Args:
        max_conversations: How many there may be. Who has the most loses one first: of the empty ones, then of all,
            the longest unused.
        ttl_s: Seconds after which an unused one goes.
        dropped: Called with a conversation that goes by itself.
    """

    def __init__(
        self, *, max_conversations: int, ttl_s: float, dropped: Callable[[Conversation], None]
    ) -> None:
        self._max = max_conversations
        self._ttl_s = ttl_s
        self._dropped = dropped
        self._by_id: dict[str, Conversation] = {}

    def new(self, owner: str, title: str, level: Level) -> Conversation:
        """Begin a conversation.

        Raises:
            BusyError: There are too many, and each is answering.
        """
        now = time.time()
        begun = Conversation(f"conv_{secrets.token_hex(12)}", owner, level, title, now, now, used=now)
        self.put(begun)
        return begun

    def put(self, conversation: Conversation) -> None:
        """Take a conversation in.

        Raises:
            BusyError: There are too many, and each is answering.
        """
        self.expire()
        if len(self._by_id) >= self._max:
            idle = [c for c in self._by_id.values() if not (c.busy or c.working)]
            if not idle:
                raise BusyError(
                    "All conversations are being answered. Try again shortly.",
                    zh="所有对话都在生成回答，请稍后再试。",
                    retry_after=5,
                )
            held = Counter(c.owner for c in self._by_id.values())
            first = min(idle, key=lambda c: (-held[c.owner], bool(c.messages), c.used))
            self._dropped(self._by_id.pop(first.id))
        self._by_id[conversation.id] = conversation

    def find(self, conversation_id: str) -> Conversation | None:
        """The conversation of an id, whosoever it is."""
        self.expire()
        return self._by_id.get(conversation_id)

    def own(self, person: Person, conversation_id: str) -> Conversation:
        """One's own conversation.

        Raises:
            NotFoundError: There is none of this id, or it is somebody else's.
            ForbiddenError: It is marked above the level that the person may read now.
        """
        conversation = self.find(conversation_id)
        if conversation is None or conversation.owner != person.id:
            raise no_such_conversation(foreign=conversation is not None)
        check_read(person.level, conversation.level)
        conversation.used = time.time()
        return conversation

    def of(self, person: Person) -> list[Conversation]:
        """All of one person that the person may read, last used first."""
        self.expire()
        own = [c for c in self._by_id.values() if c.owner == person.id and c.level <= person.level]
        return sorted(own, key=lambda c: (c.updated, c.id), reverse=True)

    def answering(self) -> list[str]:
        """Ids of the stored ones in which this process is writing an answer."""
        return [c.id for c in self._by_id.values() if c.working and c.busy and c.key is not None]

    def stored(self) -> list[str]:
        """Ids of the stored ones that nobody works on."""
        return [c.id for c in self._by_id.values() if c.key is not None and not c.working]

    def remove(self, conversation: Conversation) -> None:
        """Forget a conversation."""
        self._by_id.pop(conversation.id, None)

    def expire(self) -> None:
        """Let go what was not used for the time to live."""
        oldest = time.time() - self._ttl_s
        for conversation in [
            c for c in self._by_id.values() if c.used < oldest and not (c.busy or c.working)
        ]:
            self._dropped(self._by_id.pop(conversation.id))


def question_of(stored: Sequence[StoredMessage]) -> tuple[Question, tuple[Message, ...]]:
    """Messages of a conversation, without empty ones, as what is asked and as the engine is to see it.

    Pictures of which only a note is left are not shown to it.
    """
    seen = [
        (message, [kept.picture for kept in message.pictures if isinstance(kept, KeptPicture)])
        for message in stored
    ]
    told = [(message, pictures) for message, pictures in seen if message.raw or pictures]
    messages = tuple(
        Message(message.role, (*pictures, *filter(None, (message.raw,)))) for message, pictures in told
    )
    turns = (Turn(m.role, m.parts, before.language) for m, (before, _) in zip(messages, told, strict=True))
    return Question(tuple(turns)), messages
