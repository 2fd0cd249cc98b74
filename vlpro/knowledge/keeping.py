"""The index kept as the store is: filled after a start, and brought up to what other replicas put down or deleted."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from vlpro.errors import ConflictError, VlproError
from vlpro.knowledge.document import Document
from vlpro.knowledge.embedding.interface import Embedder
from vlpro.knowledge.given import GivenPages
from vlpro.knowledge.index.interface import Index
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
        given: What the engine was given of it; it forgets what the index does.
    """

    def __init__(
        self, store: KnowledgeStore, index: Index, embedder: Embedder, given: GivenPages | None = None
    ) -> None:
        self._store = store
        self._index = index
        self._embedder = embedder
        self.given = given or GivenPages()
        """What an engine was given of what is found."""
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
                stale = await self.look()
                self.loading = None
                self.loaded.set()
                for version in stale:
                    await self._embed_anew(version)
                if stale:
                    continue
            except VlproError as error:
                log.warning("the index of knowledge bases waits: %s", error.message)
            await asyncio.sleep(_LOOK_S)

    async def look(self) -> list[Document]:
        """Bring the index up to the store; returns what another model made the vectors of, which is left out."""
        stale = []
        async with self._turn:
            there = await asyncio.to_thread(self._store.ready)
            for base, document in self._known.keys() - set(there):
                await self.forget(base, document)
            missing = [one for one in there if one not in self._known]
            first = not self.loaded.is_set()
            kept = await asyncio.to_thread(self._index.kept) if missing or first else {}
            if first:  # what was deleted while nobody looked
                for base, document in kept.keys() - set(there):
                    await asyncio.to_thread(self._index.remove, base, document)
            for number, (base, document) in enumerate(missing):
                if self.loading is not None:
                    self.loading = number / len(missing)
                version = await asyncio.to_thread(self._store.version, document)
                if version is None:
                    continue
                if version.model != self._embedder.model:
                    stale.append(version)
                elif (base, document) in kept:
                    self._known[base, document] = (version.pages, kept[base, document])
                else:
                    await self._load(version)
        return stale

    async def take_over(self, document: Document) -> bool:
        """Have a version that is read in answer from now on, and the one before it no more.

        Returns:
            Whether it was still to be read in.
        """
        async with self._turn:
            await self._load(document)  # first: until the store says that it is ready, nobody sees it
            done = await asyncio.to_thread(self._store.finish, document)
        if not done:
            await self.forget(document.base, document.id)
        await self.look()
        return done

    async def forget(self, base: str, document: str | None = None) -> None:
        """Forget a version, or a whole base, at once; the engine, too."""
        await asyncio.to_thread(self._index.remove, base, document)
        for known in [one for one in self._known if one[0] == base and document in (None, one[1])]:
            self._known.pop(known, None)
        await self.given.forget(base, document)

    async def _load(self, version: Document) -> None:
        base, document = version.base, version.id
        try:
            pages = await asyncio.to_thread(lambda: list(self._store.indexed(document, base)))
        except ConflictError:  # deleted meanwhile
            return
        await asyncio.to_thread(self._index.put, base, document, pages)
        self._known[base, document] = (len(pages), sum(len(page.vectors) for page in pages))
        if await asyncio.to_thread(self._store.version, document) is None:
            await self.forget(base, document)

    async def _embed_anew(self, version: Document) -> None:
        """Other vectors of what a version says, from what is stored of it."""
        try:
            last = 0
            while some := await asyncio.to_thread(self._store.contents, version, last):
                for number, content in some:
                    picture = None
                    if self._embedder.sees:
                        picture = await asyncio.to_thread(
                            self._store.picture, version.id, version.base, number
                        )
                    made = await vectors_of(content, self._embedder, picture)
                    await asyncio.to_thread(self._store.change_vectors, version, number, made)
                    last = number
            model = self._embedder.model
            await asyncio.to_thread(partial(self._store.begin, version, pages=version.pages, model=model))
        except ConflictError:  # deleted meanwhile
            return
