"""Conversations of people, with their pictures and the answers that are being generated."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from vlpro.audit.events import Event
from vlpro.chat.answering import Answers, Asked
from vlpro.chat.conversation_pictures import ConversationPictures, original_jpeg
from vlpro.chat.conversations import Conversation, ConversationsInMemory, StoredMessage, question_of
from vlpro.chat.forgetting import Forgetting, Receipt
from vlpro.chat.history import History, Page, Rules
from vlpro.chat.pictures import PictureStore
from vlpro.chat.search import Found
from vlpro.chat.service import ChatService
from vlpro.chat.store import ConversationStore
from vlpro.identity.labels import Level, check_read
from vlpro.identity.principal import Person
from vlpro.imaging.ingest import Limits
from vlpro.masking import Masking

__all__ = ["ConversationService"]

log = logging.getLogger(__name__)


class ConversationService:
    """What people do with their conversations.

    Args:
        chat: Answers.
        pictures: Keeps pictures.
        limits: For pictures.
        max_images: Most pictures in one conversation.
        max_conversations: How many are in memory.
        ttl_s: Seconds after which an unused conversation leaves memory.
        reads_ahead: Whether the engine reads pictures before they are asked about.
        store: Where conversations are stored; None: nowhere, they live in memory only.
        rules: What the policy says about storing; may ask a database.
        search_bytes: Memory for text that searches opened.

    Attributes:
        pictures: What people do with pictures in them.
        masking: Which personal data is masked in what is exported, as the policy has it; None: none.
    """

    def __init__(
        self,
        chat: ChatService,
        pictures: PictureStore,
        *,
        limits: Limits,
        max_images: int,
        max_conversations: int,
        ttl_s: float,
        reads_ahead: bool = True,
        store: ConversationStore | None = None,
        rules: Callable[[], Rules] = Rules,
        search_bytes: int = 100_000_000,
    ) -> None:
        self._chat = chat
        self.masking: Callable[[], Masking | None] = lambda: None
        self._pictures = pictures
        self._memory = ConversationsInMemory(
            max_conversations=max_conversations, ttl_s=ttl_s, dropped=self._let_go
        )
        self._history = History(
            self._memory,
            pictures,
            store=store,
            rules=rules,
            recorder=chat.recorder,
            search_bytes=search_bytes,
            encode=lambda kept: original_jpeg(chat.reader, kept),
            free=pictures.free,
            drop=self._let_go,
            end=self._cancel,
        )
        self._forgetting = Forgetting(chat, pictures)
        self.pictures = ConversationPictures(
            chat, pictures, self._history, self._forgetting, limits=limits, reads_ahead=reads_ahead
        )
        self._answers = Answers(
            chat, pictures, self.pictures, self._history, self._forgetting, max_images=max_images
        )
        self._tidying: asyncio.Task[None] | None = None
        self._tidy_s = min(60.0, ttl_s / 4)

    @property
    def answering(self) -> int:
        """Answers that are being generated, or stored."""
        return self._answers.going_on

    async def new(self, person: Person, title: str = "", level: Level | None = None) -> Conversation:
        """Begin a conversation.

        Args:
            person: Whose it is.
            title: Its title; empty: it takes its first question's.
            level: How confidential it is; None: as much as the person may read.

        Raises:
            ForbiddenError: The level is above the person's.
        """
        level = person.level if level is None else level
        check_read(person.level, level)
        return await self._history.begin(person, title, level)

    async def page(self, person: Person, *, after: str = "", limit: int = 50) -> Page:
        """Some of one person's conversations, last used first.

        Args:
            person: Who asks.
            after: ``next`` of the page before.
            limit: How many at most.

        Raises:
            BadRequestError: ``after`` came from no page.
        """
        return await self._history.page(person, after=after, limit=limit)

    async def find(self, person: Person, text: str, limit: int) -> Found:
        """Look for words in one's own conversations; what is looked for is written nowhere."""
        return await self._history.find(person, text, limit)

    def forget_searches(self, owner: str) -> None:
        """Close what searches opened of a person, who signs out."""
        self._history.forget(owner)

    async def get(self, person: Person, conversation_id: str) -> Conversation:
        """One's own conversation. Raises: NotFoundError, ForbiddenError, VlproError where it was altered."""
        return await self._history.get(person, conversation_id)

    async def rename(self, person: Person, conversation_id: str, title: str) -> Conversation:
        """Give a conversation another title.

        Raises:
            BadRequestError: An answer is being generated.
            ConflictError: It was changed elsewhere meanwhile.
        """
        conversation = await self._history.get(person, conversation_id)
        await self._history.rename(conversation, " ".join(title.split()))
        return conversation

    async def export(self, person: Person, conversation_id: str, kind: str) -> Conversation:
        """One's own conversation, to be taken out. Recorded.

        Args:
            person: Who asks.
            conversation_id: Which.
            kind: The file's format, for the record.

        Raises:
            NotFoundError: There is none of this id.
            AuditError: It cannot be recorded.
        """
        conversation = await self._history.get(person, conversation_id)
        pictures = [picture.note.sha256 for picture in conversation.pictures]
        detail = {
            "format": kind,
            "conversations": 1,
            "turns": len(conversation.messages),
            "pictures": pictures,
        }
        await self._chat.recorder.anote(Event.CONVERSATION_EXPORTED, object=conversation.id, detail=detail)
        return conversation

    def tokens(self, conversation: Conversation) -> int:
        """What the next question carries along, in the engine's count."""
        question, messages = question_of(conversation.messages)
        return self._chat.count(question, messages).tokens

    async def ask(self, person: Person, conversation_id: str, asked: Asked) -> StoredMessage:
        """Ask, and let the answer be generated in the background.

        Returns:
            The answer's message, which grows.

        Raises:
            NotFoundError: No such conversation, picture or earlier question.
            BadRequestError: An answer is being generated already, there are too many pictures, or it is longer than
                the engine's context.
            ConflictError: The conversation has gone on elsewhere.
            ForbiddenError: What it is to be answered from is more confidential than the conversation.
        """
        conversation = await self._history.get(person, conversation_id)
        return await self._answers.begin(person, conversation, asked)

    async def stop(self, person: Person, conversation_id: str) -> Conversation:
        """End the answer that is being generated; what was written stays."""
        conversation = await self._history.get(person, conversation_id)
        if conversation.busy and not conversation.working:
            await self._history.stop_elsewhere(conversation)
            return await self._history.get(person, conversation_id)
        await self._answers.end(conversation)
        return conversation

    async def clear(self, person: Person, conversation_id: str) -> Receipt:
        """Delete a conversation, its pictures, and what the engine kept of them.

        Returns:
            What went with it. Where others clear at the same time, what the engine drops for them counts too.

        Raises:
            AuditError: It cannot be recorded.
            DatabaseError: It cannot be deleted.
        """
        conversation = await self._history.deletable(person, conversation_id)
        detail: dict[str, object] = {"damaged": True}
        if conversation is not None:
            pictures = [{"sha256": picture.note.sha256} for picture in conversation.pictures]
            detail = {"images": pictures, "turns": len(conversation.messages)}
        await self._chat.recorder.anote(Event.CONVERSATION_CLEARED, object=conversation_id, detail=detail)
        messages = len(conversation.messages) if conversation is not None else 0
        receipt = await self._clear([conversation_id], person)
        receipt.messages = messages
        return receipt

    async def clear_all(self, person: Person) -> int:
        """Delete all conversations of a person that the person may read.

        Returns:
            How many there were.

        Raises:
            AuditError: It cannot be recorded.
            DatabaseError: They cannot be deleted.
        """
        names = await self._history.names(person)
        if names:
            detail = {"why": "all", "conversations": len(names)}
            await self._chat.recorder.anote(Event.CONVERSATION_CLEARED, object=person.id, detail=detail)
            await self._clear(names, person)
        return len(names)

    async def _clear(self, names: Sequence[str], person: Person) -> Receipt:
        receipt = Receipt()
        # Nothing may be asked in them while their answers end.
        with self._forgetting.counted(receipt), self._history.hidden(names):
            await self._remove(names, person, receipt)
        return receipt

    async def _remove(self, names: Sequence[str], person: Person, receipt: Receipt) -> None:
        for name in names:
            if (held := self._memory.find(name)) is not None:
                self._memory.remove(held)
                await self._answers.end(held)
                before = self._pictures.bytes_used
                receipt.images += self._release(held)
                receipt.image_bytes += before - self._pictures.bytes_used
        self._history.forget(person.id)
        await self._history.delete(names)
        self._forgetting.tell()
        await self._forgetting.told()

    async def start(self) -> None:
        """Let unused conversations and pictures go in time, also while nobody asks for anything.

        Raises:
            DatabaseError: The database does not answer.
        """
        await self._history.start()
        self._tidying = asyncio.create_task(self._tidy())

    async def close(self) -> None:
        """End all answers, at the end of the service."""
        if self._tidying is not None:
            self._tidying.cancel()
            await asyncio.gather(self._tidying, return_exceptions=True)
        await asyncio.gather(self._answers.close(), self.pictures.close(), self._forgetting.close())
        await self._history.close()

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(self._tidy_s)
            try:
                await self._history.tidy()
            except Exception:  # whatever it is, the next time must come
                log.exception("conversations were not tidied")

    def _cancel(self, conversation_id: str) -> None:
        self._answers.cancel(conversation_id)

    def _let_go(self, conversation: Conversation) -> None:
        """A conversation expired or made room."""
        self._release(conversation)
        self._forgetting.tell()

    def _release(self, conversation: Conversation) -> int:
        """Empty a conversation; returns how many pictures left memory."""
        self._forgetting.conversation_gone(conversation.id)
        return self._pictures.free(conversation.hold([]))
