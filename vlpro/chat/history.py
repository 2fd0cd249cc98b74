"""Everybody's conversations: in memory while they are used, and stored where the policy says so."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from vlpro.audit.events import Event, Outcome
from vlpro.audit.recorder import Recorder
from vlpro.chat.conversations import (
    Conversation,
    ConversationsInMemory,
    StoredMessage,
    no_such_conversation,
)
from vlpro.chat.pictures import KeptPicture, PictureStore
from vlpro.chat.search import Found, Search
from vlpro.chat.store import ConversationStore, Head
from vlpro.errors import BadRequestError, DatabaseError, ForbiddenError, VlproError
from vlpro.identity.labels import Level, check_read
from vlpro.identity.principal import Person

__all__ = ["History", "Page", "Rules"]

log = logging.getLogger(__name__)

DAY_S = 86_400.0
_SWEPT_AT_ONCE = 200
_BEAT_S = 5.0  # a sixth of what other processes wait for


@dataclass(frozen=True, slots=True)
class Rules:
    """What the policy says about conversations.

    Args:
        store: Whether they are stored.
        days: After how many without a question stored ones are deleted.
        keep_images: Whether their pictures are stored with them.
    """

    store: bool = True
    days: int = 180
    keep_images: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a person's conversations, last used first.

    Args:
        heads: Those.
        next: What to ask for the page after; None: this is the last.
        total: How many there are on all pages.
    """

    heads: tuple[Head, ...]
    next: str | None
    total: int


class History:
    """Finds, stores and deletes conversations; what is stored is loaded when somebody asks for it.

    Args:
        memory: Those in use.
        pictures: Those in memory.
        store: None: nothing is ever stored.
        rules: What the policy says now; may ask a database, so it is called off the event loop.
        recorder: Of the audit.
        search_bytes: Memory for text that searches opened.
        encode: Makes a JPEG file of a picture, at its original size.
        free: Is given pictures that a conversation held before.
        drop: Is given a conversation that memory let go, to let go of the rest.
        end: Ends the answer that this process is writing in a conversation, if it is.
    """

    def __init__(
        self,
        memory: ConversationsInMemory,
        pictures: PictureStore,
        *,
        store: ConversationStore | None,
        rules: Callable[[], Rules],
        recorder: Recorder,
        search_bytes: int,
        encode: Callable[[KeptPicture], Awaitable[bytes]],
        free: Callable[[Sequence[KeptPicture]], object],
        drop: Callable[[Conversation], None],
        end: Callable[[str], None],
    ) -> None:
        self._memory = memory
        self._pictures = pictures
        self._store = store
        self._rules = rules
        self._recorder = recorder
        self._encode = encode
        self._free = free
        self._drop = drop
        self._end = end
        self._search = Search(store, max_bytes=search_bytes)
        self._searching = asyncio.Semaphore(2)  # each keeps a processor busy
        self._removing: set[str] = set()
        self._beating: asyncio.Task[None] | None = None
        if store is not None:
            store.damaged = self._damaged

    # --- one conversation

    async def begin(self, person: Person, title: str, level: Level) -> Conversation:
        """Begin a conversation, stored if the policy stores them now.

        Raises:
            BusyError: There are too many in memory, and each is answering.
            DatabaseError: It should be stored and cannot be.
        """
        begun = self._memory.new(person.id, title, level)
        if (store := self._store) is not None:

            def add() -> None:
                if self._rules().store:
                    store.add(begun)

            begun.working = True
            try:
                await asyncio.to_thread(add)
            except BaseException:
                self._memory.remove(begun)
                raise
            finally:
                begun.working = False
        return begun

    async def get(self, person: Person, conversation_id: str) -> Conversation:
        """One's own conversation, as it is now.

        Raises:
            NotFoundError: There is none of this id, or it is somebody else's.
            ForbiddenError: It is marked above the level that the person may read now.
            VlproError: ``integrity_error``: something that is stored of it was altered.
            DatabaseError: The database does not answer.
        """
        held = self._memory.find(conversation_id)
        if self._store is None or (held is not None and (held.working or held.key is None)):
            return self._memory.own(person, conversation_id)
        there = None if conversation_id in self._removing else await self._store.standing(conversation_id)
        if there is None or there.owner != person.id:
            if there is None and held is not None:
                self._memory.remove(held)  # deleted elsewhere
                self._drop(held)
            raise no_such_conversation(foreign=there is not None)
        check_read(person.level, there.level)
        if held is not None and held.version == there.version and held.busy <= there.running:
            held.used = time.time()
            return held
        return await self._load(conversation_id)

    async def _load(self, conversation_id: str) -> Conversation:
        assert self._store is not None  # noqa: S101 - for the type checker
        store = self._store

        def load() -> Conversation | None:
            return store.load(conversation_id, pictures=self._rules().keep_images)

        loaded = await asyncio.to_thread(load)
        if loaded is None or conversation_id in self._removing:
            raise no_such_conversation()
        held = self._memory.find(conversation_id)
        if held is not None and (held.working or held.version > loaded.version):
            return held  # something newer came meanwhile
        for message in loaded.messages:
            message.pictures = tuple(
                self._pictures.find(loaded.owner, picture.id) or picture for picture in message.pictures
            )
        if held is None:
            self._memory.put(loaded)
            turns, loaded.messages = loaded.messages, []
            loaded.hold(turns)
            return loaded
        held.title, held.updated, held.version = loaded.title, loaded.updated, loaded.version
        held.key, held.used = loaded.key, time.time()
        self._free(held.hold(loaded.messages))
        return held

    async def change(
        self,
        conversation: Conversation,
        turns: list[StoredMessage],
        since: int,
        *,
        title: str | None = None,
        updated: float | None = None,
        answering: bool = False,
    ) -> None:
        """Store what is about to change in a conversation, which is changed by the caller then, or not at all.

        Args:
            conversation: As it was before.
            turns: All its messages from now on.
            since: The first that is new or another than before.
            title: From now on; None: as it was.
            updated: Unix time of the last question; None: as it was.
            answering: Whether the last answer is being written.

        Raises:
            ConflictError: It was changed elsewhere.
            NotFoundError: It was deleted elsewhere.
            ForbiddenError: The policy stores no conversations any more.
            DatabaseError: It cannot be stored.
        """
        title = conversation.title if title is None else title
        updated = conversation.updated if updated is None else updated
        store = self._store
        if store is None or conversation.key is None:
            conversation.version += 1
            return
        rules = await asyncio.to_thread(self._rules)
        if answering and not rules.store:
            raise ForbiddenError(
                "Conversations are not stored any more, as your organisation's policy has it. This one can be read, "
                "exported and deleted; ask in a new one.",
                zh="本单位策略不再保存对话。这段对话仍可查看、导出和删除，请在新对话中提问。",
                code="storing_is_off",
            )
        files: dict[str, bytes] = {}
        if rules.keep_images:
            new = {p.id: p for m in turns[since:] for p in m.pictures if isinstance(p, KeptPicture)}
            files = {name: await self._encode(picture) for name, picture in new.items()}
        version = await asyncio.to_thread(
            lambda: store.save(
                conversation,
                turns,
                since,
                title=title,
                updated=updated,
                answering=answering,
                pictures=files,
            )
        )
        conversation.version = version
        for message in turns[since:]:
            message.version = version
        if answering:
            self._beat()

    async def rename(self, conversation: Conversation, title: str) -> None:
        """Give a conversation another title. Raises as :meth:`change`."""
        if conversation.working:
            raise BadRequestError(
                "An answer is being generated. Rename the conversation when it is complete.",
                zh="正在生成回答，请在完成后再改名。",
                code="conversation_busy",
            )
        conversation.working = True
        try:
            await self.change(conversation, conversation.messages, len(conversation.messages), title=title)
        finally:
            conversation.working = False
        conversation.title = title

    async def stop_elsewhere(self, conversation: Conversation) -> None:
        """Have another process end the answer that it is writing."""
        if self._store is not None and conversation.key is not None and conversation.busy:
            await asyncio.to_thread(self._store.end_answer, conversation.id)

    # --- pictures

    async def picture_file(self, person: Person, picture_id: str) -> bytes | None:
        """The JPEG file of a kept picture; None: it is not kept.

        Raises:
            VlproError: ``integrity_error``: it was altered.
        """
        if (store := self._store) is None:
            return None

        def read() -> bytes | None:
            return store.picture(person.id, person.level, picture_id) if self._rules().keep_images else None

        return await asyncio.to_thread(read)

    # --- all of a person

    async def page(self, person: Person, *, after: str = "", limit: int) -> Page:
        """Conversations of one person that the person may read, last used first.

        Args:
            person: Who asks.
            after: ``next`` of the page before.
            limit: How many at most.

        Raises:
            BadRequestError: ``after`` came from no page.
        """
        before = _cursor(after) if after else None
        mine = [c for c in self._memory.of(person) if c.key is None and c.id not in self._removing]
        heads = [
            _head_of(c) for c in mine if before is None or (c.updated, c.id) < before
        ]  # those that are not stored
        total = len(mine)
        if (store := self._store) is not None:

            def read() -> tuple[list[Head], int]:
                return (
                    store.page(person.id, person.level, before=before, limit=limit + 1),
                    store.count(person.id, person.level),
                )

            stored, count = await asyncio.to_thread(read)
            heads += [head for head in stored if head.id not in self._removing]
            total += count
        heads.sort(key=lambda head: (head.updated, head.id), reverse=True)
        some = heads[:limit]
        more = f"{some[-1].updated!r}_{some[-1].id}" if len(heads) > limit else None
        return Page(tuple(some), more, total)

    async def find(self, person: Person, text: str, limit: int) -> Found:
        """Look for words in one's own conversations."""
        others = [c for c in self._memory.of(person) if c.key is None]
        async with self._searching:
            return await asyncio.to_thread(self._search.find, person, text, limit=limit, others=others)

    async def names(self, person: Person) -> list[str]:
        """Ids of all conversations of one person that the person may read."""
        mine = [c.id for c in self._memory.of(person) if c.key is None]
        if self._store is not None:
            mine += await asyncio.to_thread(self._store.names, person.id, person.level)
        return mine

    def forget(self, owner: str) -> None:
        """Close what searches opened of a person."""
        self._search.forget(owner)

    # --- deleting

    async def deletable(self, person: Person, conversation_id: str) -> Conversation | None:
        """As :meth:`get`, for somebody who means to delete it.

        Returns:
            The conversation; None: it is one's own, but does not open.
        """
        try:
            return await self.get(person, conversation_id)
        except VlproError as error:
            if error.code != "integrity_error":
                raise
            return None

    @contextmanager
    def hidden(self, names: Sequence[str]) -> Iterator[None]:
        """Nobody gets these while the block deletes them; what could not be deleted is there again afterwards."""
        self._removing.update(names)
        try:
            yield
        finally:
            self._removing.difference_update(names)

    async def delete(self, names: Sequence[str]) -> None:
        """Delete conversations from memory and store, with their keys.

        Raises:
            DatabaseError: The database does not answer; they are there as before, but for pictures in memory.
        """
        for name in names:
            if (held := self._memory.find(name)) is not None:
                self._memory.remove(held)
                self._drop(held)
        if self._store is not None:
            for start in range(0, len(names), _SWEPT_AT_ONCE):
                await asyncio.to_thread(self._store.delete, names[start : start + _SWEPT_AT_ONCE])

    def _damaged(self, name: str) -> None:
        log.error("conversation %s cannot be opened: what is stored of it was altered", name)
        self._recorder.later(Event.CONVERSATION_DAMAGED, object=name, outcome=Outcome.FAILED)

    # --- by itself

    async def start(self) -> None:
        """What an earlier run left."""
        if self._store is not None:
            await asyncio.to_thread(self._store.end_earlier_answers)

    async def close(self) -> None:
        """End what goes on by itself."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)
        if self._store is not None:
            await asyncio.to_thread(self._store.close)

    async def tidy(self) -> None:
        """Let go what is not used; delete what the policy says is too old, a bounded number at a time."""
        self._memory.expire()
        self._pictures.expire()
        self._search.expire()
        if self._store is not None:
            try:
                await asyncio.to_thread(self._sweep, self._store)
                await self._let_go_deleted(self._store)
            except VlproError as error:  # the audit's too: what cannot be recorded is not deleted
                log.warning("old conversations were not deleted: %s", error.message)

    async def _let_go_deleted(self, store: ConversationStore) -> None:
        """What other processes deleted, or the policy, leaves this one's memory."""
        held = self._memory.stored()
        there = await asyncio.to_thread(store.those_there, held)
        for name in held:
            gone = self._memory.find(name)
            if name not in there and gone is not None and not gone.working:
                self._memory.remove(gone)
                self._drop(gone)

    def _sweep(self, store: ConversationStore) -> None:
        rules = self._rules()
        store.tidy()
        before = time.time() - rules.days * DAY_S
        old = store.unused(before, _SWEPT_AT_ONCE)
        old = [name for name in old if name not in self._removing]
        if old:
            detail = {"why": "retention", "days": rules.days, "conversations": len(old), "ids": old}
            self._recorder.note(Event.CONVERSATION_CLEARED, detail=detail)
            store.delete(old, unused_since=before)  # but not one in which somebody asks just now
        if not rules.keep_images and (dropped := store.drop_pictures(_SWEPT_AT_ONCE)):
            log.info("%d kept pictures were deleted, as the policy has it", dropped)

    def _beat(self) -> None:
        if self._beating is None or self._beating.done():
            self._beating = asyncio.create_task(self._answering())

    async def _answering(self) -> None:
        """Tell other processes, while answers are being written, that this one lives; end those that they end."""
        assert self._store is not None  # noqa: S101 - for the type checker
        while True:
            await asyncio.sleep(_BEAT_S)
            names = self._memory.answering()
            if not names:
                return
            try:
                still = await asyncio.to_thread(self._store.still_answering, names)
            except DatabaseError as error:
                log.warning("answers cannot be told of: %s", error.message)
                continue
            for name in names:
                held = self._memory.find(name)
                if name not in still and held is not None and held.busy:
                    self._end(name)


def _head_of(held: Conversation) -> Head:
    return Head(
        held.id, held.owner, held.level, held.title, held.created, held.updated, held.version, held.busy
    )


def _cursor(after: str) -> tuple[float, str]:
    used, _, name = after.partition("_")
    try:
        if name:
            return float(used), name
    except ValueError:
        pass
    raise BadRequestError(
        "after is not `next` of a page of conversations.",
        zh="after 不是上一页返回的 next。",
        param="after",
    )
