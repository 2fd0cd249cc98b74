"""Pages that were read, kept so that no picture is read twice, and read one at a time off the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from vlpro.engines.interface import Forgotten
from vlpro.engines.ocr.fields.document import Document

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    import numpy as np
    from numpy.typing import NDArray

    from vlpro.engines.ocr.page import Page
    from vlpro.imaging.picture import Picture

__all__ = ["PageStore", "Reads"]


class Reads(Protocol):
    """What reads pixels; see :class:`vlpro.engines.ocr.reader.Reader`."""

    def read(self, pixels: NDArray[np.uint8], cancelled: Callable[[], bool] = ...) -> Page:
        """Read all text and codes of ``(H, W, 3)`` uint8 RGB pixels."""
        ...

    def release(self) -> None:
        """Give back the memory in which pictures were read."""
        ...


@dataclass(eq=False)
class _Reading:
    """A picture that is being read, and how many questions wait for it."""

    task: asyncio.Task[Document]
    stop: threading.Event
    waiting: int = 0
    forgotten: bool = field(default=False)


def _size(page: Page) -> int:
    """Bytes that a page and what the rules keep of it take, about."""
    return (
        2000
        + sum(2500 + 8 * len(line.text) for line in page.lines)
        + sum(500 + 4 * len(c.text) for c in page.codes)
    )


class PageStore:
    """Reads pictures and keeps what it read, the latest used, up to a number of bytes.

    Use it from one event loop only.

    Args:
        reader: Reads pixels; called in ``executor`` only.
        executor: One thread.
        limit: The most bytes to keep.
    """

    def __init__(self, reader: Reads, executor: Executor, *, limit: int = 64 * 2**20) -> None:
        self._reader = reader
        self._executor = executor
        self._limit = limit
        self._kept: OrderedDict[str, Document] = OrderedDict()
        self._bytes = 0
        self._readings: dict[str, _Reading] = {}

    def __len__(self) -> int:
        return len(self._kept)

    async def get(self, picture: Picture) -> Document:
        """The page of a picture: a kept one, one that is being read for another question, or a new reading.

        Args:
            picture: The picture.

        Returns:
            The page, understood. Cancelling the last question that waits for a reading ends the reading.
        """
        key = picture.pixels_sha256
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        reading = self._readings.get(key)
        if reading is None:
            stop = threading.Event()
            reading = _Reading(asyncio.create_task(self._read(picture, stop)), stop)
            self._readings[key] = reading
        reading.waiting += 1
        try:
            return await asyncio.shield(reading.task)
        finally:
            reading.waiting -= 1
            if not reading.waiting and not reading.task.done():
                self._abandon(key, reading)

    def _abandon(self, key: str, reading: _Reading) -> None:
        reading.stop.set()
        reading.task.cancel()
        if self._readings.get(key) is reading:
            del self._readings[key]

    async def _read(self, picture: Picture, stop: threading.Event) -> Document:
        key = picture.pixels_sha256
        loop = asyncio.get_running_loop()
        try:
            page = await loop.run_in_executor(self._executor, self._reader.read, picture.pixels, stop.is_set)
            document = Document(page)
            reading = self._readings.get(key)
            if reading is not None and reading.stop is stop and not reading.forgotten:
                self._keep(key, document)
            return document
        finally:
            reading = self._readings.get(key)
            if reading is not None and reading.stop is stop:
                del self._readings[key]

    def _keep(self, key: str, document: Document) -> None:
        self._kept[key] = document
        self._bytes += _size(document.page)
        while self._bytes > self._limit and len(self._kept) > 1:
            _, old = self._kept.popitem(last=False)
            self._bytes -= _size(old.page)

    async def forget(self, keys: frozenset[str]) -> Forgotten:
        """Drop what is kept of pictures with these ``pixels_sha256``; a running reading of one is not kept.

        Returns when the reader has given its memory back, after the readings that run.
        """
        entries, before = len(self._kept), self._bytes
        for key in keys:
            if document := self._kept.pop(key, None):
                self._bytes -= _size(document.page)
            if reading := self._readings.get(key):
                reading.forgotten = True
        forgotten = Forgotten(entries - len(self._kept), 0, before - self._bytes)
        await asyncio.get_running_loop().run_in_executor(self._executor, self._reader.release)
        return forgotten

    def clear(self) -> None:
        """Drop everything, and end all readings."""
        self._kept.clear()
        self._bytes = 0
        for key, reading in list(self._readings.items()):
            self._abandon(key, reading)
