"""The text of pages with its places, whatever engine answers: where it does not read, a second one does.

The second one is the embedded engine in a worker process of its own, which is started when it is first needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing

from vlpro.chat.queue import Queue
from vlpro.chat.service import ChatService, Question, Turn
from vlpro.engines.interface import Engine, Message, Request, ResponseFormat
from vlpro.engines.reading import Readings, decode
from vlpro.imaging.picture import Picture

__all__ = ["PageReader"]

_ASKED = "read"


class PageReader:
    """Reads pages.

    Args:
        chat: The service of the main engine.
        make: Makes the second engine, not started.
        queue_size: Questions that may wait for the second engine.
        timeout_s: Seconds that one reading may take.
    """

    def __init__(
        self, chat: ChatService, make: Callable[[], Engine], *, queue_size: int, timeout_s: float
    ) -> None:
        self._chat = chat
        self._make = make
        self._timeout_s = timeout_s
        self._second: Engine | None = None
        self._queue = Queue(concurrency=1, size=queue_size)  # as many as the embedded engine reads at once

    @property
    def engine(self) -> Engine:
        """Who reads; not started, perhaps."""
        if self._chat.engine.capabilities.reads:
            return self._chat.engine
        if self._second is None:
            self._second = self._make()
        return self._second

    @property
    def pixels(self) -> int:
        """The most pixels that a page should be given with."""
        return self.engine.capabilities.picture_pixels

    async def read(
        self, pictures: Sequence[Picture], *, schema: Mapping[str, object] | None = None, owner: str = ""
    ) -> Readings:
        """Read some pages.

        Args:
            pictures: In order.
            schema: A JSON Schema to be filled from them.
            owner: Whose they are.

        Raises:
            BusyError: Too many wait.
            EngineError: The engine failed.
        """
        form = ResponseFormat(schema) if schema is not None else None
        if self._chat.engine.capabilities.reads:
            question = Question(
                turns=(Turn("user", (_ASKED, *pictures)),),
                response_format=form,
                schema_param="schema",
                param="input",
                owner=owner,
            )
            return decode(await self._chat.whole(question, reading=True))
        engine = self.engine
        message = Message("user", (_ASKED, *pictures))
        request = Request((message,), response_format=form, owner=owner, reading=True)
        async with self._queue.ticket() as ticket, ticket.turn():
            await engine.start()
            async with aclosing(engine.generate(request, timeout_s=self._timeout_s)) as deltas:
                return decode("".join([delta.text async for delta in deltas]))

    async def forget(self, pictures: Sequence[Picture]) -> None:
        """Have the engine drop what it keeps of some pages."""
        if self._second is not None or self._chat.engine.capabilities.reads:
            await self.engine.forget(frozenset(picture.pixels_sha256 for picture in pictures))

    async def stop(self) -> None:
        """End the second engine, where it runs."""
        if self._second is not None:
            await self._second.stop()
            self._second = None
