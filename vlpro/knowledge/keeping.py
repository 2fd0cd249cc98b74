"""The index kept as the store is: filled after a start, and brought up to what other replicas put down or deleted."""

from __future__ import annotations

import asyncio
import logging

from vlpro.errors import ConflictError, VlproError
from vlpro.knowledge.embedding.interface import Embedder
from vlpro.knowledge.index.interface import Index, IndexedPage
from vlpro.knowledge.ingest import vectors_of
from vlpro.knowledge.store import KnowledgeStore

__all__ = ["IndexKeeper"]

log = logging.getLogger(__name__)

_LOOK_S = 5.0


class IndexKeeper:
    """Fills an index from the store.

    Args:
        store: What there is.
        index: What is filled.
        embedder: The model in use: what another one made is made anew, from the stored text.
    """

    def __init__(self, store: KnowledgeStore, index: Index, embedder: Embedder) -> None:
        self._store = store
        self._index = index
        self._embedder = embedder
        self._known: dict[tuple[str, str], tuple[int, int]] = {}  # pages and passages, by base and version
        self._turn = asyncio.Lock()
        self.loaded = asyncio.Event()
        """Set when all that was there at the start can be found."""
        self.loading: float | None = 0.0
        """Share that is loaded, 0 to 1; None: all."""

    @property
    def pages(self) -> int:
        """In the index."""
        return sum(pages for pages, _ in self._known.values())

    @property
    def passages(self) -> int:
        """In the index."""
        return sum(passages for _, passages in self._known.values())

    async def keep(self) -> None:
        """Fill it, and go on looking; until it is cancelled."""
        while True:
            try:
                await self.look()
            except VlproError as error:
                log.warning("the index of knowledge bases waits: %s", error.message)
            else:
                self.loading = None
                self.loaded.set()
            await asyncio.sleep(_LOOK_S)

    async def look(self) -> None:
        """Bring the index up to the store."""
        async with self._turn:
            there = await asyncio.to_thread(self._store.ready)
            for base, document in self._known.keys() - set(there):
                await asyncio.to_thread(self._index.remove, base, document)
                self._known.pop((base, document), None)
            missing = [one for one in there if one not in self._known]
            first = not self.loaded.is_set()
            kept = await asyncio.to_thread(self._index.kept) if missing or first else {}
            if first:  # what was deleted while nobody looked
                for base, document in kept.keys() - set(there):
                    await asyncio.to_thread(self._index.remove, base, document)
            for number, (base, document) in enumerate(missing):
                if self.loading is not None:
                    self.loading = number / len(missing)
                try:
                    await self._load(base, document, kept.get((base, document)))
                except ConflictError:  # deleted meanwhile
                    continue

    def forget(self, base: str, document: str | None = None) -> None:
        """Forget a version, or a whole base, at once."""
        self._index.remove(base, document)
        for known in [one for one in self._known if one[0] == base and document in (None, one[1])]:
            self._known.pop(known, None)

    async def _load(self, base: str, document: str, kept: int | None) -> None:
        version = await asyncio.to_thread(self._store.version, document)
        if version is None:
            return
        if version.model != self._embedder.model:
            for number, content, _ in await asyncio.to_thread(lambda: list(self._store.pages(version))):
                picture = None
                if self._embedder.sees:
                    picture = await asyncio.to_thread(self._store.picture, document, base, number)
                made = await vectors_of(content, self._embedder, picture)
                await asyncio.to_thread(self._store.change_vectors, version, number, made)
            await asyncio.to_thread(
                lambda: self._store.begin(version, pages=version.pages, model=self._embedder.model)
            )
        elif kept is not None:
            self._known[base, document] = (version.pages, kept)
            return
        pages = await asyncio.to_thread(
            lambda: [
                IndexedPage(number, vectors.passages, vectors.codes)
                for number, vectors in self._store.vectors(document, base)
            ]
        )
        await asyncio.to_thread(self._index.put, base, document, pages)
        self._known[base, document] = (len(pages), sum(len(page.vectors) for page in pages))
