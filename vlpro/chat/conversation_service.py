"""Conversations whose answers go on while nobody looks: a page may reload, come back, and find its answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from vlpro.audit.events import Event
from vlpro.chat.conversations import (
    Conversation,
    ConversationsInMemory,
    State,
    StoredMessage,
    titled,
)
from vlpro.chat.fitting import Shown
from vlpro.chat.grounding import Place
from vlpro.chat.history import History, Page, Rules
from vlpro.chat.pictures import KeptPicture, PictureNote, PictureStore
from vlpro.chat.queue import Ticket
from vlpro.chat.search import Found
from vlpro.chat.service import ChatService, Finds, Finished, Piece, Question, Started, Turn, Upload
from vlpro.chat.store import ConversationStore
from vlpro.engines.interface import Forgotten, Language, Message, Sampling, Usage
from vlpro.errors import (
    BadRequestError,
    ConflictError,
    DatabaseError,
    EngineError,
    ForbiddenError,
    NotFoundError,
    VlproError,
)
from vlpro.identity.labels import Level, check_read
from vlpro.identity.principal import Person
from vlpro.imaging.encode import pixels_to_jpeg, thumbnail, to_jpeg
from vlpro.imaging.ingest import Limits
from vlpro.imaging.overlay import Drawn, draw
from vlpro.imaging.picture import Picture
from vlpro.masking import Masking

__all__ = ["Asked", "ConversationService", "Receipt"]

log = logging.getLogger(__name__)

_MOST_AHEAD = 64
"""Pictures that are being read ahead at once; each is held in memory meanwhile."""


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


@dataclass(slots=True, eq=False)
class Receipt:
    """What went with a conversation.

    Args:
        messages: Of it.
        images: That left memory.
        image_bytes: Memory that they held: their files, and their pixels.
        engine: What the engine dropped; None: it keeps nothing.
    """

    messages: int = 0
    images: int = 0
    image_bytes: int = 0
    engine: Forgotten | None = None


class ConversationService:
    """Conversations with their pictures and the answers that are being generated.

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
        self._limits = limits
        self._max_images = max_images
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
            encode=self._jpeg,
            free=self._free,
            drop=self._let_go,
            end=self._cancel,
        )
        self._jobs: dict[str, asyncio.Task[None]] = {}
        self._reads_ahead = reads_ahead
        self._reading_ahead: set[asyncio.Task[None]] = set()
        self._drawing = asyncio.Semaphore(2)  # each holds a whole picture at its original size
        self._clearing: set[Receipt] = set()
        self._gone: set[str] = set()
        self._copies: dict[str, set[str]] = {}  # pixels_sha256 of a picture: of its smaller copies
        self._ended: set[str] = set()
        self._forgetting: asyncio.Task[None] | None = None
        self._tidying: asyncio.Task[None] | None = None
        self._tidy_s = min(60.0, ttl_s / 4)
        pictures.dropped = self._picture_gone

    # --- pictures

    async def add_picture(
        self, person: Person, data: bytes, *, conversation_id: str = "", after: Sequence[str] = ()
    ) -> KeptPicture:
        """Read a picture in and keep it; the engine reads it too, while the person types.

        Args:
            person: Whose it is.
            data: The file.
            conversation_id: In which it will be asked about; empty: in a new one.
            after: Ids of the pictures that come before it in the same question.

        Raises:
            NotFoundError: No such conversation or picture.
            ImageError: It is no usable picture.
            BusyError: The memory for pictures is full.
        """
        conversation = await self._history.get(person, conversation_id) if conversation_id else None
        before = [self._pictures.get(person.id, image, param="after") for image in after]
        picture = await self._chat.read_picture(Upload(data, "body"))
        kept = self._pictures.add(person.id, data, picture)
        if self._reads_ahead and len(self._reading_ahead) < _MOST_AHEAD:
            stored = [*conversation.messages] if conversation is not None and not conversation.busy else []
            expected, messages = _question_of((*stored, StoredMessage("user", pictures=(*before, kept))))
            expected = replace(expected, owner=person.id, conversation=conversation_id)
            task = asyncio.create_task(self._chat.read_ahead(expected, messages))
            self._reading_ahead.add(task)
            task.add_done_callback(self._reading_ahead.discard)
        return kept

    @property
    def reading_ahead(self) -> int:
        """Pictures that the engine reads, or will when it has nothing else to do, before they are asked about."""
        return len(self._reading_ahead)

    @property
    def answering(self) -> int:
        """Answers that are being generated, or stored."""
        return len(self._jobs)

    def picture(self, person: Person, picture_id: str) -> KeptPicture:
        """One's own picture. Raises: NotFoundError."""
        return self._pictures.get(person.id, picture_id)

    async def picture_content(self, person: Person, picture_id: str, size: int | None) -> bytes:
        """A picture to look at, encoded anew from clean pixels.

        Args:
            person: Who asks.
            picture_id: Which.
            size: Longest side in pixels; None: the original size.

        Returns:
            A JPEG file.

        Raises:
            NotFoundError: There is none of this id.
        """
        kept = self._pictures.find(person.id, picture_id)
        file = await self._history.picture_file(person, picture_id) if kept is None else None
        async with self._drawing:
            if file is not None and size is None:
                return file
            if file is not None:
                picture = await self._chat.read_picture(Upload(file))
            else:
                kept = self._pictures.get(person.id, picture_id)
                picture = kept.picture
            if size is None:
                assert kept is not None  # noqa: S101 - for the type checker
                return await self._jpeg(kept)
            return await asyncio.to_thread(thumbnail, picture, size)

    async def _jpeg(self, kept: KeptPicture) -> bytes:
        """A picture at its original size, without metadata."""
        if kept.picture.shrunk:
            return await self._chat.reader.jpeg(kept.data)
        return await asyncio.to_thread(to_jpeg, kept.picture)

    async def _original(self, picture: KeptPicture | PictureNote, person: Person) -> Picture:
        """A picture at its original size; slow where it was shrunk.

        Raises:
            NotFoundError: It is not kept.
        """
        if isinstance(picture, KeptPicture) and not picture.picture.shrunk:
            return picture.picture
        if isinstance(picture, KeptPicture):
            file: bytes | None = picture.data
        else:
            file = await self._history.picture_file(person, picture.id)
        if file is None:
            raise _not_kept()
        return await self._chat.reader.read(file, max_pixels_used=self._limits.max_pixels)

    async def _restore(self, person: Person, conversation: Conversation) -> None:
        """Take the pictures of a conversation that are stored into memory again, for the engine to see."""
        for message in list(conversation.messages):
            for at, note in enumerate(message.pictures):
                if not isinstance(note, PictureNote) or not note.stored:
                    continue
                again = self._pictures.find(person.id, note.id)
                if again is None and (file := await self._history.picture_file(person, note.id)) is not None:
                    read = await self._chat.read_picture(Upload(file))
                    # Known by the file that came, of which this one was made.
                    as_it_came = replace(
                        read,
                        sha256=note.sha256,
                        format=note.format,
                        size=note.size,
                        original_width=note.original_width,
                        original_height=note.original_height,
                    )
                    again = self._pictures.find(person.id, note.id) or self._pictures.add(
                        person.id, file, as_it_came, again=note
                    )
                if again is not None:
                    again.held += 1
                    message.pictures = (*message.pictures[:at], again, *message.pictures[at + 1 :])

    async def delete_picture(self, person: Person, picture_id: str) -> None:
        """Drop a picture that no conversation holds.

        Raises:
            NotFoundError: There is none of this id.
            BadRequestError: A conversation holds it.
        """
        kept = self._pictures.get(person.id, picture_id)
        if kept.held:
            raise BadRequestError(
                "This picture belongs to a conversation. Clear the conversation to remove it.",
                zh="这张图片属于一个对话，清空对话即可删除。",
                param="image_id",
            )
        self._pictures.discard(picture_id)
        await self._forgotten()

    # --- conversations

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

    async def annotated(
        self, person: Person, conversation_id: str, message_id: str, image: int | None
    ) -> bytes:
        """A picture at its original size with the places that an answer names, numbered as in its grounding.

        Args:
            person: Who asks.
            conversation_id: Of the conversation.
            message_id: Of the answer.
            image: Which picture of the conversation, from 1; None: that of the answer's first place.

        Returns:
            A JPEG file.

        Raises:
            NotFoundError: No such conversation or message, or the answer names no place in this picture.
        """
        conversation = await self._history.get(person, conversation_id)
        places = conversation.message(message_id).grounding
        if image is None and places:
            image = places[0].image
        drawn = [
            Drawn(number, place.box or place.point or (), place.label)
            for number, place in enumerate(places, 1)
            if place.image == image
        ]
        if image is None or not drawn:
            raise NotFoundError(
                "This answer names no place in this picture, or is not complete yet. Ask for boxes or points.",
                zh="这个回答没有指出图中的位置，或尚未生成完。请在提问时要求给出框或点。",
                param="image",
                code="no_places",
            )
        picture = conversation.pictures[image - 1]
        async with self._drawing:
            pixels = (await self._original(picture, person)).pixels
            return await asyncio.to_thread(lambda: pixels_to_jpeg(draw(pixels, drawn)))

    def tokens(self, conversation: Conversation) -> int:
        """What the next question carries along, in the engine's count."""
        question, messages = _question_of(conversation.messages)
        return self._chat.count(question, messages).tokens

    async def ask(self, person: Person, conversation_id: str, asked: Asked) -> StoredMessage:
        """Ask, and let the answer be generated in the background.

        Returns:
            The answer's message, which grows.

        Raises:
            NotFoundError: No such conversation, picture or earlier question.
            BadRequestError: An answer is being generated already, there are too many pictures, or it is longer than
                the engine's context.
            ForbiddenError: What it is to be answered from is more confidential than the conversation.
        """
        conversation = await self._history.get(person, conversation_id)
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
            return await self._begin_answer(person, conversation, asked)
        except BaseException:
            conversation.working = False
            raise

    async def _begin_answer(self, person: Person, conversation: Conversation, asked: Asked) -> StoredMessage:
        await self._restore(person, conversation)
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
        ask, messages = _question_of((*before, question))
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
        self._free(conversation.hold(turns))
        task = asyncio.create_task(self._generate(conversation, answer, ask))
        self._jobs[conversation.id] = task
        task.add_done_callback(lambda ended: self._job_ended(conversation.id, ended))
        return answer

    def _job_ended(self, conversation_id: str, task: asyncio.Task[None]) -> None:
        if self._jobs.get(conversation_id) is task:  # the next question may have come before this call
            del self._jobs[conversation_id]

    async def stop(self, person: Person, conversation_id: str) -> Conversation:
        """End the answer that is being generated; what was written stays."""
        conversation = await self._history.get(person, conversation_id)
        if conversation.busy and not conversation.working:
            await self._history.stop_elsewhere(conversation)
            return await self._history.get(person, conversation_id)
        await self._end(conversation)
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
        self._clearing.add(receipt)
        try:
            with self._history.hidden(names):  # nothing may be asked in them while their answers end
                await self._remove(names, person, receipt)
        finally:
            self._clearing.discard(receipt)
        return receipt

    async def _remove(self, names: Sequence[str], person: Person, receipt: Receipt) -> None:
        for name in names:
            if (held := self._memory.find(name)) is not None:
                self._memory.remove(held)
                await self._end(held)
                before = self._pictures.bytes_used
                receipt.images += self._release(held)
                receipt.image_bytes += before - self._pictures.bytes_used
        self._history.forget(person.id)
        await self._history.delete(names)
        self._tell_engine()
        await self._forgotten()

    async def start(self) -> None:
        """Let unused conversations and pictures go in time, also while nobody asks for anything.

        Raises:
            DatabaseError: The database does not answer.
        """
        await self._history.start()
        self._tidying = asyncio.create_task(self._tidy())

    async def close(self) -> None:
        """End all answers, at the end of the service."""
        idle = (task for task in (self._forgetting, self._tidying) if task is not None)
        tasks = [*self._jobs.values(), *self._reading_ahead, *idle]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._history.close()

    async def _end(self, conversation: Conversation) -> None:
        task = self._jobs.get(conversation.id)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if conversation.working and conversation.busy:  # it was cancelled before its first step
            await self._finish(conversation, conversation.messages[-1], "stopped", None)

    def _cancel(self, conversation_id: str) -> None:
        if (task := self._jobs.get(conversation_id)) is not None:
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
                            self._remember_reduced(question, event.pictures)
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

    def _remember_reduced(self, question: Question, shown: Sequence[Shown]) -> None:
        """Note under which digests the engine knows smaller copies of pictures."""
        pictures = (part for turn in question.turns for part in turn.parts if isinstance(part, Picture))
        for picture, given in zip(pictures, shown, strict=True):
            if given.reduced:
                self._copies.setdefault(picture.pixels_sha256, set()).add(given.pixels_sha256)

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(self._tidy_s)
            try:
                await self._history.tidy()
            except Exception:  # whatever it is, the next time must come
                log.exception("conversations were not tidied")

    def _let_go(self, conversation: Conversation) -> None:
        """A conversation expired or made room."""
        self._release(conversation)
        self._tell_engine()

    def _release(self, conversation: Conversation) -> int:
        """Empty a conversation; returns how many pictures left memory."""
        self._ended.add(conversation.id)
        return self._free(conversation.hold([]))

    def _free(self, pictures: Sequence[KeptPicture]) -> int:
        free = {kept.id for kept in pictures if not kept.held}
        for picture_id in free:
            self._pictures.discard(picture_id)
        return len(free)

    def _picture_gone(self, kept: KeptPicture) -> None:
        """A picture left memory, for whatever reason: the engine must not remember it either."""
        digest = kept.picture.pixels_sha256
        self._gone |= {digest} | self._copies.pop(digest, set())
        self._tell_engine()

    def _tell_engine(self) -> None:
        if self._forgetting is None or self._forgetting.done():
            self._forgetting = asyncio.create_task(self._forget())

    async def _forget(self) -> None:
        while self._gone or self._ended:
            digests = frozenset(self._gone - self._pictures.digests())
            ended = frozenset(self._ended)
            self._gone.clear()
            self._ended.clear()
            try:
                if digests or ended:
                    forgotten = await self._chat.engine.forget(digests, ended)
                    if forgotten is not None:
                        for receipt in self._clearing:
                            receipt.engine = (receipt.engine or Forgotten()) + forgotten
            except VlproError as error:
                log.warning(
                    "the engine was not told to forget %d pictures and %d conversations: %s",
                    len(digests),
                    len(ended),
                    error.message,
                )

    async def _forgotten(self) -> None:
        """Wait until the engine was told of all pictures that are gone."""
        if self._forgetting is not None:
            await asyncio.gather(self._forgetting, return_exceptions=True)


def _question_of(stored: Sequence[StoredMessage]) -> tuple[Question, tuple[Message, ...]]:
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


def _counted_with_all(conversation: Conversation, places: Sequence[Place]) -> tuple[Place, ...]:
    """Places by their pictures' numbers in the whole conversation: the engine saw only those that are not gone."""
    shown = [number for number, p in enumerate(conversation.pictures, 1) if isinstance(p, KeptPicture)]
    return tuple(
        replace(place, image=shown[place.image - 1]) if 0 < place.image <= len(shown) else place
        for place in places
    )


def _not_kept() -> NotFoundError:
    return NotFoundError(
        "This picture was not kept, as your organisation's policy has it. Add it again.",
        zh="按本单位策略，这张图片没有保存，请重新添加。",
        code="image_not_found",
    )


def _not_stored() -> DatabaseError:
    return DatabaseError(
        "The answer could not be stored: the database does not answer. Copy it now, or ask again.",
        zh="回答没有存下来：数据库没有响应。请先复制内容，或重新提问。",
        code="answer_not_stored",
    )
