"""Knowledge bases without HTTP: a database, and services over it that live and die."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import numpy as np

from vlpro.audit.recorder import NullRecorder
from vlpro.chat.queue import is_background
from vlpro.crypto import Sealer
from vlpro.db import Database
from vlpro.engines.reading import Reading, Readings, ReadLine
from vlpro.identity.labels import Level
from vlpro.identity.principal import Person
from vlpro.imaging.ingest import Limits
from vlpro.imaging.pdf import PdfLimits
from vlpro.imaging.picture import Picture
from vlpro.imaging.workers import ThreadReader
from vlpro.knowledge.document import Base, Document
from vlpro.knowledge.embedding.interface import Embedder, Vectors
from vlpro.knowledge.index.memory import MemoryIndex
from vlpro.knowledge.ingest import Ingest
from vlpro.knowledge.office import OfficeConverter
from vlpro.knowledge.options import KnowledgeOptions
from vlpro.knowledge.search import Ranking
from vlpro.knowledge.service import KnowledgeService
from vlpro.knowledge.store import KnowledgeStore
from vlpro.workflows.reading import PageReader

__all__ = ["LI", "WANG", "Scans", "Words", "World", "until"]

LI, WANG = Person("usr_li"), Person("usr_wang")


class Words(Embedder):
    """Texts with the same words lie near each other. It stops where the test says."""

    def __init__(self, model: str = "words 1") -> None:
        self._model = model
        self.read: list[str] = []
        self.stops_at = ""
        self.stopped, self.goes_on = asyncio.Event(), asyncio.Event()

    @property
    def model(self) -> str:
        return self._model

    @property
    def dimensions(self) -> int:
        return 128

    async def query(self, text: str) -> Vectors:
        return self._vector(text)

    async def passages(self, texts: Sequence[str]) -> Vectors:
        if self.stops_at and any(self.stops_at in text for text in texts):
            self.stopped.set()
            await self.goes_on.wait()
        self.read += texts
        return np.stack([self._vector(text) for text in texts]) if texts else np.zeros((0, 128), np.float32)

    def _vector(self, text: str) -> Vectors:
        made = np.full(128, 0.01, np.float32)
        for word in re.findall(r"\w+", text.lower()):
            made[hashlib.sha256((self._model + word).encode()).digest()[0] % 128] += 1
        unit: Vectors = made / np.float32(np.linalg.norm(made))
        return unit


class Scans:
    """Reads the same on every page, and remembers how it was asked."""

    pixels = 1_000_000

    def __init__(self, *lines: tuple[str, tuple[int, int, int, int]]) -> None:
        self.lines = lines
        self.in_background: list[bool] = []
        self.held: set[str] = set()

    async def read(self, pictures: Sequence[Picture], **_: Any) -> Readings:
        self.in_background.append(is_background())
        self.held |= {picture.pixels_sha256 for picture in pictures}
        lines = tuple(ReadLine(text, box, ((0, 0),) * 4, 1.0) for text, box in self.lines)
        return Readings(tuple(Reading(one.original_width, one.original_height, lines) for one in pictures))

    async def forget(self, pictures: Sequence[Picture]) -> None:
        self.held -= {picture.pixels_sha256 for picture in pictures}


class World:
    """One database."""

    def __init__(self, url: str) -> None:
        self.now = 1000.0
        self.database = Database(url)
        self.database.migrate()
        self.store = KnowledgeStore(self.database, Sealer(b"k" * 32), clock=lambda: self.now)
        self.recorder = NullRecorder()
        self.scans = Scans()
        self.embedder = Words()
        self.index = MemoryIndex(128)

    def service(self, **options: Any) -> KnowledgeService:
        """One, not started, with an index of its own."""
        chosen = KnowledgeOptions(**options)
        pictures = ThreadReader(Limits(), PdfLimits(max_pages=chosen.max_pages, max_bytes=chosen.max_bytes))
        self.index = MemoryIndex(128)
        ingest = Ingest(
            self.store,
            pictures,
            cast("PageReader", self.scans),
            self.embedder,
            OfficeConverter(timeout_s=chosen.office_timeout_s),
            max_base_pages=chosen.max_base_pages,
        )
        return KnowledgeService(
            self.store,
            self.index,
            self.embedder,
            ingest=ingest,
            pictures=pictures,
            recorder=self.recorder,
            options=chosen,
            ranking=Ranking(),
        )

    @asynccontextmanager
    async def running(self, **options: Any) -> AsyncIterator[KnowledgeService]:
        """One that runs."""
        made = self.service(**options)
        await made.start()
        try:
            yield made
        finally:
            await made.close()

    def changes(self) -> list[str]:
        """What the audit was told of documents."""
        return [
            str(entry.detail["change"])
            for entry in self.recorder.entries
            if entry.event == "knowledge:document:changed"
        ]


async def until(service: KnowledgeService, base: Base, name: str, *states: str) -> Document:
    """Wait until a document is in one of some states."""
    async with asyncio.timeout(60):
        while True:
            found = await service.document(Person(base.owner, Level.SECRET), base.id, name)
            if found.state in states:
                return found
            await asyncio.sleep(0.01)
