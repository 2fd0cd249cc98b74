"""The embedded engine: reads the text of pictures and answers what it proves; on any machine, without a model."""

from __future__ import annotations

import asyncio
import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from vlpro.engines.interface import Capabilities, Delta, Engine, Forgotten, Loading, Request, Usage
from vlpro.engines.ocr import tokens
from vlpro.engines.ocr.answers import answer, without_pictures
from vlpro.engines.ocr.evidence import Answer, render
from vlpro.engines.ocr.pages import PageStore
from vlpro.engines.ocr.questions import asks_again, is_follow_up, language_of, parse, points_back
from vlpro.engines.ocr.readings import readings_of
from vlpro.engines.ocr.scene import Scene, Shown, choose
from vlpro.engines.ocr.schema_fill import fill, plain_object
from vlpro.engines.reading import encode
from vlpro.errors import EngineUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from vlpro.engines.ocr.fields.document import Document
    from vlpro.engines.ocr.pages import Reads
    from vlpro.engines.ocr.questions import Ask
    from vlpro.imaging.picture import Picture

__all__ = ["OcrEngine"]

_PIECE = 65_536  # characters of a reading that are handed over at once


def _load() -> Reads:
    from vlpro.engines.ocr.reader import Reader  # noqa: PLC0415 - importing the engine must not load its libraries

    reader = Reader()
    reader.warm_up()
    return reader


class OcrEngine(Engine):
    """Answers by reading.

    Sampling has nothing to act on, but ``max_tokens`` is kept: the same question has the same answer.

    Args:
        load: Makes the reader, in a thread; tests give a fake one.
        memory: The most bytes of read pages to keep.
    """

    name = "ocr"

    def __init__(self, *, load: Callable[[], Reads] = _load, memory: int = 64 * 2**20) -> None:
        self.capabilities = Capabilities(
            model="vlpro-ocr",
            sees=False,
            context_tokens=262_144,
            picture_pixels=4_000_000,
            concurrency=2,
            reads_ahead=True,
            reads=True,
            honours=frozenset({"response_format", "seed", "temperature", "top_p"}),
        )
        self._load = load
        self._memory = memory
        self._reading: ThreadPoolExecutor | None = None
        self._thinking: ThreadPoolExecutor | None = None
        self._pages: PageStore | None = None
        self._ahead: dict[str, asyncio.Future[Document]] = {}
        self._answering = 0

    async def start(self, tell: Callable[[Loading], None] = lambda _: None) -> None:  # noqa: ARG002 - it is soon ready
        """Load the models in a thread and read a first small picture.

        Raises:
            EngineUnavailableError: They cannot be loaded.
        """
        if self._pages is not None:
            return
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="ocr-read")
        self._thinking = ThreadPoolExecutor(1, thread_name_prefix="ocr-think")
        try:
            reader = await asyncio.get_running_loop().run_in_executor(self._reading, self._load)
        except Exception as error:
            await self.stop()
            raise EngineUnavailableError(
                "The text reader could not be loaded. Check that the packages of requirements.txt are installed.",
                zh="文字识别引擎无法加载，请检查 requirements.txt 中的依赖是否已安装。",
            ) from error
        self._pages = PageStore(reader, self._reading, limit=self._memory)

    async def stop(self) -> None:
        """End the threads and drop all pages."""
        if self._pages is not None:
            self._pages.clear()
        self._pages = None
        for executor in (self._reading, self._thinking):
            if executor is not None:
                executor.shutdown(wait=False, cancel_futures=True)
        self._reading = self._thinking = None

    async def forget(
        self,
        pictures: frozenset[str],
        conversations: frozenset[str] = frozenset(),  # noqa: ARG002 - what is kept belongs to pictures
    ) -> Forgotten:
        """Drop the pages of pictures with these ``pixels_sha256``."""
        return await self._pages.forget(pictures) if self._pages is not None else Forgotten()

    async def document(self, picture: Picture) -> Document:
        """What the rules know of one picture; read now, or kept from before.

        Args:
            picture: The picture.

        Returns:
            Its page, understood: for programs that want fields rather than an answer.

        Raises:
            EngineUnavailableError: The engine is not started.
        """
        return await self._started()[0].get(picture)

    def _started(self) -> tuple[PageStore, ThreadPoolExecutor]:
        if self._pages is None or self._thinking is None:
            raise EngineUnavailableError("The text reader is not started yet.", zh="文字识别引擎尚未启动。")
        return self._pages, self._thinking

    def count_tokens(self, text: str) -> int:
        """See :mod:`vlpro.engines.ocr.tokens`."""
        return tokens.count(text)

    async def _generate(self, request: Request) -> AsyncGenerator[Delta, None]:
        pages, thinking = self._started()
        if request.ahead:
            await self._read_ahead(request, pages)
            yield Delta(finish_reason="stop", usage=Usage(self.count_prompt(request), 0))
            return
        asked = {picture.pixels_sha256 for picture in request.pictures}
        for digest, reading in self._ahead.items():
            if digest not in asked:
                reading.cancel()
        self._answering += 1
        try:
            async for delta in self._answer(request, pages, thinking):
                yield delta
        finally:
            self._answering -= 1

    async def _read_ahead(self, request: Request, pages: PageStore) -> None:
        """Read pictures that nobody has asked about; whoever asks about others ends it."""
        for picture in request.pictures:
            if self._answering:
                return
            reading = asyncio.ensure_future(pages.get(picture))
            self._ahead[picture.pixels_sha256] = reading
            try:
                await asyncio.wait((reading,))
                if not reading.cancelled():
                    reading.exception()  # for its question to tell
            finally:
                reading.cancel()
                self._ahead.pop(picture.pixels_sha256, None)

    async def _answer(
        self, request: Request, pages: PageStore, thinking: ThreadPoolExecutor
    ) -> AsyncGenerator[Delta, None]:
        loop = asyncio.get_running_loop()
        if request.reading:
            read = [await pages.get(picture) for picture in request.pictures]
            written = await loop.run_in_executor(thinking, _read_out, read, request)
            for begin in range(0, len(written), _PIECE):
                yield Delta(written[begin : begin + _PIECE])
            yield Delta(finish_reason="stop", usage=Usage(self.count_prompt(request), tokens.count(written)))
            return
        question = _question(request)
        ask = await loop.run_in_executor(thinking, _understand, request, question)
        groups = tuple(len(message.pictures) for message in request.messages)
        pictures, numbers = request.pictures, choose(ask, groups)
        documents: dict[int, Document] = {}
        for number in numbers:
            documents[number] = await pages.get(pictures[number - 1])
        language = request.language or language_of(question)
        scene = Scene(ask, tuple(Shown(n, d) for n, d in documents.items()), len(pictures), language)
        text, cut = await loop.run_in_executor(thinking, _compose, scene, request)
        for piece in _pieces(text):
            yield Delta(piece)
        usage = Usage(self.count_prompt(request), tokens.count(text))
        yield Delta(finish_reason="length" if cut else "stop", usage=usage)


def _question(request: Request) -> str:
    """The user's words; those of the system message where a picture came without any."""
    question = request.question
    if not question.strip() and request.pictures:
        return next((m.text for m in request.messages if m.role == "system"), "")
    return question


def _understand(request: Request, question: str) -> Ask:
    """The question; where it only points at another picture, or at "it", what the one before it asked for."""
    ask = parse(question)
    back, again = points_back(ask), asks_again(question)
    if not (back or again or is_follow_up(question)):
        return ask
    asked = [message.text for message in request.messages if message.role == "user"][:-1]
    whole = (
        text for text in reversed(asked) if text.strip() and not (is_follow_up(text) or asks_again(text))
    )
    before = next(whole, "")
    if not before:
        return ask
    meant = parse(before)
    if again:
        return meant
    if not back:
        return replace(meant, pictures=ask.pictures, every=False)
    if meant.intent == "wants" and meant.wants:  # "What is the total?" and then "Where is it?"
        return replace(meant, intent="where", target="" if meant.wants[0].kind else meant.wants[0].phrase,
                       wants=meant.wants[:1])  # fmt: skip
    return ask


def _compose(scene: Scene, request: Request) -> tuple[str, bool]:
    form, limit = request.response_format, request.sampling.max_tokens
    if form is not None:
        documents = [shown.document for shown in scene.shown]
        value = (
            plain_object(documents, scene.ask.wants) if form.schema is None else fill(form.schema, documents)
        )
        return tokens.cut(json.dumps(value, ensure_ascii=False), limit)
    made: Answer = answer(scene) if scene.shown else without_pictures(scene)
    return render(made, limit, numbered=scene.total > 1)


def _read_out(documents: list[Document], request: Request) -> str:
    form = request.response_format
    return encode(readings_of(documents, request.pictures, form.schema if form else None))


def _pieces(text: str) -> list[str]:
    """The text in small pieces, so that a reader sees it come."""
    return re.findall(r"[\s\S]{1,24}", text)
