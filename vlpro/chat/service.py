"""The question's path: admitted, its pictures read in, counted, asked, answered. The only way to an engine."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from bisect import bisect_right
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, nullcontext
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Literal

from vlpro.audit.recorder import NullRecorder, Recorder
from vlpro.chat import grounding
from vlpro.chat.fitting import Counted, Shown, count, reduced
from vlpro.chat.json_schema import check_schema
from vlpro.chat.language import AnswerLanguage, with_language
from vlpro.chat.material import Citation, Material, citations, with_material
from vlpro.chat.queue import Queue, Ticket, is_background
from vlpro.chat.recording import Recorded
from vlpro.chat.stopping import StopCutter
from vlpro.engines.interface import (
    Delta,
    Engine,
    FinishReason,
    Language,
    Message,
    Request,
    ResponseFormat,
    Role,
    Sampling,
    Usage,
)
from vlpro.errors import (
    BadRequestError,
    ContextLengthError,
    EngineError,
    NotFoundError,
    UnsupportedError,
    VlproError,
)
from vlpro.imaging.ingest import Limits
from vlpro.imaging.picture import Picture
from vlpro.imaging.workers import PictureReader, ThreadReader
from vlpro.masking import Masking

__all__ = [
    "ALIAS",
    "ChatService",
    "Finds",
    "Finished",
    "Measured",
    "Piece",
    "Question",
    "Started",
    "Timing",
    "Turn",
    "Upload",
]

log = logging.getLogger(__name__)

ALIAS = "vlpro"
"""A model name that always means the engine in use, for scripts that outlive an engine."""
_QUOTED_CHARS = 24  # of an answer that comes from the material itself, at once
_TURN_OFF = "; in a chat program, turn its built-in tools off", "；在聊天软件中，请关闭其内置工具"


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture as it came: encoded bytes, and the field that they came in."""

    data: bytes
    param: str | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One message, its pictures still as they came or already read in; and the language chosen with it, if any."""

    role: Role
    parts: tuple[str | Upload | Picture, ...]
    language: Language | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """All that is asked at once.

    Args:
        turns: The conversation, oldest first.
        sampling: How to choose tokens; ``max_tokens`` None is as many as the engine gives by default.
        max_tokens_param: The field that ``max_tokens`` came in.
        response_format: None for free text.
        schema_param: The field that its JSON Schema came in.
        stop: Strings before which the answer ends.
        choices: How many answers.
        language: Language to answer in; None: as the service is set.
        wants: Optional fields with a value that an engine must act on, by their API name.
        param: The field that the conversation came in.
        owner: Whose question it is.
        conversation: The conversation that it belongs to, where it is one of ours.
        spent: Is told what the answers took, also where they were ended.
        finds: Finds what it is to be answered from; None: it is answered from itself.
    """

    turns: tuple[Turn, ...]
    sampling: Sampling = field(default_factory=Sampling)
    max_tokens: int | None = None
    max_tokens_param: str = "max_tokens"
    response_format: ResponseFormat | None = None
    schema_param: str = "response_format.json_schema.schema"
    stop: tuple[str, ...] = ()
    choices: int = 1
    language: Language | None = None
    wants: frozenset[str] = frozenset()
    param: str = "messages"
    owner: str = ""
    conversation: str = ""
    spent: Callable[[Usage], None] | None = None
    finds: Finds | None = None


Finds = Callable[["Question", Sequence[Message], int], Awaitable[Material]]
"""Finds material for a question, its turns with their pictures read in, and the tokens that it may take."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds since the question was taken; ``tokens_per_s`` counts from the turn's begin.

    An engine that reads or quotes, and writes nothing of its own, has no such speed.
    """

    queued_ms: float
    first_token_ms: float | None = None
    total_ms: float | None = None
    tokens_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """How one question ended.

    Args:
        outcome: ``stopped``: whoever asked went away, or ended it.
        timing: None: it never had its turn.
        usage: What it took.
    """

    outcome: Literal["answered", "failed", "stopped"]
    timing: Timing | None
    usage: Usage


@dataclass(frozen=True, slots=True)
class Started:
    """The engine has begun: all pictures of the conversation, oldest first, as the engine was given them."""

    pictures: tuple[Shown, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """Text for one of the answers; ``finish_reason`` on its last piece."""

    choice: int
    text: str
    finish_reason: FinishReason | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """All answers are complete.

    Args:
        usage: Of all answers together; the prompt counts once.
        timing: Of the whole question.
        grounding: Boxes of each answer.
        citations: What each answer cites of its material.
    """

    usage: Usage
    timing: Timing
    grounding: tuple[tuple[grounding.Place, ...], ...]
    citations: tuple[tuple[Citation, ...], ...] = ()


@dataclass(slots=True)
class _Written:
    """What the engine has written to one question so far; ``texts`` is what of it is given out."""

    texts: list[str] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    reasons: list[FinishReason] = field(default_factory=list)
    used: Usage = field(default_factory=lambda: Usage(0, 0))
    uncounted: str = ""

    def begin(self) -> None:
        """The next answer."""
        self.texts.append("")
        self.raw.append("")

    def add(self, delta: Delta) -> None:
        """A piece of the last one."""
        self.raw[-1] += delta.text
        self.uncounted += delta.text
        if delta.finish_reason is not None:
            self.reasons.append(delta.finish_reason)
        if delta.usage is not None:
            # The prompt counts once, and as the first answer found it.
            first = self.used if self.used.prompt_tokens else delta.usage
            total = self.used.completion_tokens + delta.usage.completion_tokens
            self.used, self.uncounted = replace(first, completion_tokens=total), ""


class ChatService:
    """Answers questions with one engine, a bounded number at once.

    Args:
        engine: Started by the caller.
        limits: For pictures.
        reader: Reads them in, started by the caller. Left out: in a thread of this process, for tests.
        max_images: Most pictures in one question.
        max_text_chars: Most characters of text in one question.
        max_choices: Most answers to one question.
        queue_size: Questions that may wait.
        answer_timeout_s: Seconds that one answer may take, waiting excluded.
        answer_language: Language to ask an engine that sees for, where the question does not choose one.
        share_prefixes: Whether what the engine has read for one person serves the others.
        recorder: Of the audit; nobody is answered without a record. Left out: nothing is recorded, for tests.
        model_digest: Of the model's files, for the record; empty: they come with the engine, or lie elsewhere.

    Attributes:
        masking: Which personal data is masked in answers, as the policy has it; None: none.
        measured: Is told how each question ended that was recorded.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        limits: Limits,
        reader: PictureReader | None = None,
        max_images: int,
        max_text_chars: int,
        max_choices: int,
        queue_size: int,
        answer_timeout_s: float,
        answer_language: AnswerLanguage = "off",
        share_prefixes: bool = False,
        recorder: Recorder | None = None,
        model_digest: str = "",
    ) -> None:
        self.engine = engine
        self.queue = Queue(concurrency=engine.capabilities.concurrency, size=queue_size)
        self.last: Timing | None = None
        self.reader = reader or ThreadReader(limits)
        self._max_images = max_images
        self._max_text_chars = max_text_chars
        self._max_choices = max_choices
        self._answer_timeout_s = answer_timeout_s
        self._answer_language = answer_language
        self._share_prefixes = share_prefixes
        self.recorder = recorder or NullRecorder()
        self.masking: Callable[[], Masking | None] = lambda: None
        self.measured: Callable[[Measured], None] = lambda _: None
        self._model_digest = model_digest
        self._shrinking = asyncio.Semaphore(2)
        self._reading_behind = asyncio.Semaphore(1)

    def beside(self, engine: Engine) -> ChatService:
        """The same service with another engine, for work in the background only."""
        other = copy(self)
        other.engine = engine
        other.queue = Queue(concurrency=engine.capabilities.concurrency, size=0, kept_free=0)
        return other

    def check_model(self, name: str) -> None:
        """Accept the engine's model and :data:`ALIAS`.

        Raises:
            NotFoundError: Any other name.
        """
        if name not in (ALIAS, self.engine.capabilities.model):
            raise NotFoundError(
                f"The model {name[:100]!r} does not exist here. Use {self.engine.capabilities.model!r} "
                f"or {ALIAS!r}; GET /v1/models lists them.",
                zh=f"这里没有模型 {name[:100]!r}，请使用 {self.engine.capabilities.model!r} 或 {ALIAS!r}。",
                param="model",
                code="model_not_found",
            )

    async def read_picture(self, upload: Upload) -> Picture:
        """Turn one upload into the pixels that the engine wants, off the event loop.

        Raises:
            ImageError: It is no usable picture.
        """
        pixels = self.engine.capabilities.picture_pixels
        # The background reads one picture after the other: the reader has room for people's beside it.
        async with self._reading_behind if is_background() else nullcontext():
            return await self.reader.read(upload.data, max_pixels_used=pixels, param=upload.param)

    def _speed(self, used: Usage, seconds: float) -> float | None:
        return used.completion_tokens / max(seconds, 1e-6) if self.engine.capabilities.sees else None

    async def answer(
        self, question: Question, *, waits: Callable[[Ticket], None] = lambda _: None
    ) -> AsyncGenerator[Started | Piece | Finished, None]:
        """Answer a question.

        Args:
            question: The question.
            waits: Is told its place in the queue.

        Yields:
            One :class:`Started`, pieces of the first answer, then of the next, and one :class:`Finished`. Closing
            the generator ends the engine's work.

        Raises:
            BusyError: The queue is full.
            BadRequestError: Something in the question is wrong, or the engine cannot honour it.
            EngineError: The engine failed.
            AuditError: The question, or the answer, cannot be recorded.
        """
        began = time.perf_counter()
        self.check(question)
        if question.response_format is not None and question.response_format.schema is not None:
            await asyncio.to_thread(check_schema, question.response_format.schema, question.schema_param)
        async with self.queue.ticket() as ticket:
            waits(ticket)
            messages = await self._read(question)
            material = await self._found(question, messages)
            counted = self.fit(question, messages, material)
            request, given = await self._reduced(counted)
            shown = _own(given, material, question.conversation)
            record = await Recorded.ask(
                self.recorder, question, request, self.engine, self._model_digest, material=material
            )
            written, masking = _Written(), self.masking()
            timing: Timing | None = None
            try:
                async with ticket.turn():
                    turn = time.perf_counter()
                    timing = Timing(queued_ms=(turn - began) * 1000)
                    yield Started(shown)
                    for choice in range(question.choices):
                        written.begin()
                        json = question.response_format is not None
                        masker = masking.stream(json=json) if masking is not None else None
                        async with aclosing(self._one(request, question, choice, material.answer)) as deltas:
                            async for delta in deltas:
                                if timing.first_token_ms is None and delta.text:
                                    first = (time.perf_counter() - began) * 1000
                                    timing = replace(timing, first_token_ms=first)
                                written.add(delta)
                                text = delta.text if masker is None else masker.feed(delta.text)
                                if masker is not None and delta.finish_reason:
                                    text += masker.rest()
                                written.texts[-1] += text
                                if text or delta.finish_reason:
                                    yield Piece(choice, text, delta.finish_reason)
                    end = time.perf_counter()
                    self.last = timing = replace(
                        timing,
                        total_ms=(end - began) * 1000,
                        tokens_per_s=self._speed(written.used, end - turn),
                    )
                # Before the end of the answer is told to anybody: without its record it has none.
                await record.answered(written.texts, written.reasons, written.used, timing)
            except BaseException as error:
                record.ended(written.texts, self._spent(request, written), error)
                raise
            finally:
                self._ended(question, self._spent(request, written), timing)
        sizes = [(p.original_width, p.original_height) for p in shown]
        # Where something is, is read from what the engine wrote: masked coordinates would be none.
        boxes = tuple(grounding.places(text, sizes) for text in written.raw)
        cites = tuple(citations(text, material, len(shown)) for text in written.raw)
        if masking is not None:
            boxes = tuple(tuple(_masked(place, masking) for place in places) for places in boxes)
            cites = tuple(
                tuple(replace(one, text=masking.text(one.text)) for one in found) for found in cites
            )
        yield Finished(written.used, timing, boxes, cites)

    async def whole(
        self, question: Question, *, reading: bool = False, began: Callable[[], Awaitable[None]] | None = None
    ) -> str:
        """The whole answer to a question of a workflow, which records and masks for itself.

        Args:
            question: The question; ``choices`` and ``stop`` do nothing.
            reading: Whether all that the pictures say is wanted (:mod:`vlpro.engines.reading`).
            began: Awaited before the engine hears of it.

        Raises:
            BusyError: The queue is full.
            BadRequestError: Something in the question is wrong, or the engine cannot honour it.
            EngineError: The engine failed.
        """
        came = time.perf_counter()
        self.check(question)
        async with self.queue.ticket() as ticket:
            counted = self.fit(question, await self._read(question))
            request, _ = await self._reduced(counted)
            request = replace(request, reading=reading)
            written = _Written()
            written.begin()
            outcome: Literal["answered", "failed", "stopped"] = "stopped"
            async with ticket.turn():
                timing = Timing(queued_ms=(time.perf_counter() - came) * 1000)
                try:
                    if began is not None:
                        await began()
                    async with aclosing(
                        self.engine.generate(request, timeout_s=self._answer_timeout_s)
                    ) as deltas:
                        async for delta in deltas:
                            written.add(delta)
                            if delta.usage is not None and question.spent is not None:
                                question.spent(delta.usage)
                    outcome = "answered"
                except Exception:
                    outcome = "failed"
                    raise
                finally:
                    self.measured(Measured(outcome, timing, written.used))
        return written.raw[0]

    def _ended(self, question: Question, spent: Usage, timing: Timing | None) -> None:
        """Tell who counts; called while the error that ended the question, if any, is being handled."""
        error = sys.exception()
        failed = isinstance(error, Exception)
        self.measured(
            Measured("failed" if failed else "stopped" if error is not None else "answered", timing, spent)
        )
        if question.spent is not None:
            question.spent(spent)

    def _spent(self, request: Request, written: _Written) -> Usage:
        """What answers took: complete ones as the engine counted, one that was ended as it is counted here."""
        used, rest = written.used, written.uncounted
        if not rest and used.prompt_tokens:
            return used
        return Usage(
            used.prompt_tokens or self.engine.count_prompt(request),
            used.completion_tokens + self.engine.count_tokens(rest),
        )

    async def read_ahead(self, expected: Question, messages: Sequence[Message]) -> None:
        """Let the engine read what a question that is still being typed will begin with; it gives way to all others.

        Whatever goes wrong is for the question to tell.

        Args:
            expected: The conversation with the new pictures at its end.
            messages: Its turns, with their pictures read in.
        """
        if not (self.engine.capabilities.reads_ahead and self.engine.ready):
            return
        try:
            counted = self.count(expected, messages)
            if counted.too_large or counted.tokens > self.engine.capabilities.context_tokens:
                return  # they will not be shown as they are
            request = replace(counted.request, ahead=True)
            async with aclosing(self.engine.generate(request, timeout_s=self._answer_timeout_s)) as deltas:
                async for _ in deltas:
                    pass
        except VlproError as error:
            log.info("a picture was not read ahead: %s", error.message)

    async def _one(
        self, request: Request, question: Question, choice: int, said: str | None = None
    ) -> AsyncGenerator[Delta, None]:
        """One answer, ended before a stop string; the last delta always has usage. ``said``: what it says."""
        if choice and request.sampling.seed is not None:
            seed = (request.sampling.seed + choice) % 2**63
            request = replace(request, sampling=replace(request.sampling, seed=seed))
        cutter = StopCutter(question.stop)
        written = 0
        if said is not None:
            answer = self._quoted(request, said)
        else:
            answer = self.engine.generate(request, timeout_s=self._answer_timeout_s)
        async with aclosing(answer) as deltas:
            async for delta in deltas:
                if question.stop:  # otherwise the engine itself has counted, and counting each piece is dear
                    written += self.engine.count_tokens(delta.text)
                text = cutter.feed(delta.text)
                if cutter.stopped:
                    usage = delta.usage or Usage(self.engine.count_prompt(request), written)
                    yield Delta(text, "stop", usage)
                    return
                if delta.finish_reason is not None:
                    if delta.usage is None:
                        raise EngineError("The engine did not count its tokens.")
                    yield Delta(text + cutter.rest(), delta.finish_reason, delta.usage)
                    return
                if text:
                    yield Delta(text)

    async def _quoted(self, request: Request, said: str) -> AsyncGenerator[Delta, None]:
        """An answer that the material gives itself, as an engine would."""
        most, count = request.sampling.max_tokens, self.engine.count_tokens
        end = len(said)
        if count(said) > most:  # more characters are never fewer tokens
            end = bisect_right(range(len(said)), most, key=lambda chars: count(said[:chars])) - 1
        for begin in range(0, end, _QUOTED_CHARS):
            yield Delta(said[begin : min(begin + _QUOTED_CHARS, end)])
        usage = Usage(self.engine.count_prompt(request), count(said[:end]))
        yield Delta(finish_reason="length" if end < len(said) else "stop", usage=usage)

    async def _found(self, question: Question, messages: Sequence[Message]) -> Material:
        """What the question is to be answered from, within what the context leaves."""
        if question.finds is None:
            return Material()
        capabilities = self.engine.capabilities
        answer = question.max_tokens or min(capabilities.default_max_tokens, capabilities.context_tokens // 4)
        room = capabilities.context_tokens - self.count(question, messages).tokens - answer
        return await question.finds(question, messages, max(room, 0))

    async def _reduced(self, counted: Counted) -> tuple[Request, tuple[Shown, ...]]:
        if not counted.too_large:
            return reduced(counted)
        async with self._shrinking:
            return await asyncio.to_thread(reduced, counted)

    def check(self, question: Question) -> None:
        """Refuse what can be refused without reading a picture.

        Raises:
            BadRequestError: Too much of something, or a field that the engine cannot honour.
        """
        for name in sorted(question.wants - self.engine.capabilities.honours):
            # Programs send tools of their own accord, and show this sentence to people who know of no field.
            more, zh_more = _TURN_OFF if name == "tools" else ("", "")
            raise UnsupportedError(
                f"{name} is not supported by the engine in use ({self.engine.name}). Leave it out{more}.",
                zh=f"当前引擎（{self.engine.name}）不支持 {name}，请去掉该参数{zh_more}。",
                param=name,
            )
        if question.choices > self._max_choices:
            raise BadRequestError(
                f"n is {question.choices}; at most {self._max_choices} answers are given at once.",
                zh=f"n 为 {question.choices}，一次最多生成 {self._max_choices} 个回答。",
                param="n",
            )
        parts = [part for turn in question.turns for part in turn.parts]
        images = sum(not isinstance(part, str) for part in parts)
        if images > self._max_images:
            raise BadRequestError(
                f"The conversation holds {images} pictures; at most {self._max_images} are possible. "
                "Remove some, or begin a new conversation.",
                zh=f"对话中有 {images} 张图片，最多 {self._max_images} 张。请减少图片或新建对话。",
                param=question.param,
                code="too_many_images",
            )
        characters = sum(len(part) for part in parts if isinstance(part, str))
        if characters > self._max_text_chars:
            raise ContextLengthError(
                f"The text has {characters} characters; at most {self._max_text_chars} are possible.",
                zh=f"文字共 {characters} 个字符，最多 {self._max_text_chars} 个。",
                param=question.param,
            )

    async def _read(self, question: Question) -> tuple[Message, ...]:
        """Read all uploads in; equal bytes once."""
        uploads: dict[bytes, Upload] = {}
        for turn in question.turns:
            for part in turn.parts:
                if isinstance(part, Upload):
                    uploads.setdefault(part.data, part)
        tasks = [asyncio.ensure_future(self.read_picture(upload)) for upload in uploads.values()]
        try:
            pictures = dict(zip(uploads, await asyncio.gather(*tasks), strict=True))
        finally:
            for task in tasks:
                task.cancel()
        return tuple(
            Message(turn.role, tuple(pictures[p.data] if isinstance(p, Upload) else p for p in turn.parts))
            for turn in question.turns
        )

    def count(
        self, question: Question, messages: Sequence[Message], material: Material | None = None
    ) -> Counted:
        """The request for the engine, and what it takes of the context, be it too much.

        Args:
            question: What is asked.
            messages: Its turns, with their pictures read in.
            material: What it is to be answered from.
        """
        if self.engine.capabilities.sees and question.response_format is None:
            chosen = [turn.language for turn in question.turns]
            asking = max((i for i, turn in enumerate(question.turns) if turn.role == "user"), default=None)
            if asking is not None and question.language is not None:
                chosen[asking] = question.language
            messages = with_language(messages, chosen, self._answer_language)
        if material is not None:  # last, so that the language is that of the person's own words
            messages = with_material(messages, material)
        request = Request(
            messages=tuple(messages),
            sampling=question.sampling,
            response_format=question.response_format,
            language=question.language,
            owner="" if self._share_prefixes else question.owner,
            conversation=question.conversation,
        )
        return count(self.engine, request, question.max_tokens)

    def fit(
        self, question: Question, messages: Sequence[Message], material: Material | None = None
    ) -> Counted:
        """The request for the engine; only counted, no picture is made smaller yet.

        Args:
            question: What is asked.
            messages: Its turns, with their pictures read in.
            material: What it is to be answered from.

        Raises:
            ContextLengthError: With its answer, and with its pictures as small as can be, it is longer than the
                engine's context.
        """
        capabilities = self.engine.capabilities
        counted = self.count(question, messages, material)
        request, prompt = counted.request, counted.tokens
        wanted = question.max_tokens or 1
        if prompt + wanted > capabilities.context_tokens:
            room = capabilities.context_tokens - prompt
            raise ContextLengthError(
                f"The conversation has {prompt} tokens and the answer may have {wanted}; together that is more "
                f"than the {capabilities.context_tokens} of the model. Remove pictures, shorten the text, or "
                "ask for a shorter answer.",
                zh=f"对话共 {prompt} 个 token，回答最多 {wanted} 个，合计超过模型的 "
                f"{capabilities.context_tokens} 个。请减少图片、缩短文字或降低回答长度。",
                param=question.max_tokens_param if room > 0 else question.param,
            )
        limit = question.max_tokens or min(
            capabilities.default_max_tokens, capabilities.context_tokens - prompt
        )
        return replace(
            counted, request=replace(request, sampling=replace(request.sampling, max_tokens=limit))
        )


def _own(given: tuple[Shown, ...], material: Material, conversation: str) -> tuple[Shown, ...]:
    """The person's own pictures of what the engine is given; the material is told of the others, its pages."""
    own = given[: len(given) - len(material.pages)]
    if material.given is not None:
        material.given([page.pixels_sha256 for page in given[len(own) :]], conversation)
    return own


def _masked(place: grounding.Place, masking: Masking) -> grounding.Place:
    return replace(place, label=masking.text(place.label), text=masking.text(place.text))
