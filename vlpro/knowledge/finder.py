"""Passages found in knowledge bases, and the pages that they stand on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from vlpro.audit.events import Event
from vlpro.audit.recorder import Recorder
from vlpro.errors import EngineUnavailableError, NotFoundError
from vlpro.identity.principal import Person
from vlpro.imaging.encode import pixels_to_jpeg
from vlpro.imaging.overlay import highlight
from vlpro.imaging.picture import Picture
from vlpro.imaging.workers import PictureReader
from vlpro.knowledge.access import Access
from vlpro.knowledge.embedding.interface import Embedder
from vlpro.knowledge.given import GivenPages
from vlpro.knowledge.index.interface import Index
from vlpro.knowledge.keeping import IndexKeeper
from vlpro.knowledge.options import KnowledgeOptions
from vlpro.knowledge.passages import Box
from vlpro.knowledge.rerank import Reranker, reordered
from vlpro.knowledge.search import Found, Hit, Ranking, question, rank
from vlpro.knowledge.store import KnowledgeStore

__all__ = ["Finder"]

_WAIT_S = 10.0  # for the index, after a start
_ALL = 100_000_000  # pixels: as many as there are


class Finder:
    """Finds passages for people, where they may see them.

    Args:
        store: Where pages lie.
        access: Says who may see what.
        index: Finds candidates.
        keeper: Loads the index.
        embedder: Makes vectors.
        pictures: Reads pages' pictures for an engine.
        recorder: Of the audit.
        options: Limits.
        ranking: How much each sign counts.
        reranker: Ranks the best hits once more; None: nobody does.

    Attributes:
        searches: How often passages were looked for since the start.
    """

    def __init__(
        self,
        store: KnowledgeStore,
        access: Access,
        index: Index,
        keeper: IndexKeeper,
        embedder: Embedder,
        *,
        pictures: PictureReader,
        recorder: Recorder,
        options: KnowledgeOptions,
        ranking: Ranking,
        reranker: Reranker | None,
    ) -> None:
        self._store = store
        self._access = access
        self._index = index
        self._keeper = keeper
        self._embedder = embedder
        self._pictures = pictures
        self._recorder = recorder
        self._options = options
        self._ranking = ranking
        self._reranker = reranker
        self.searches = 0

    @property
    def given(self) -> GivenPages:
        """What an engine was given of pages: whoever gives it any, notes it there."""
        return self._keeper.given

    async def search(self, person: Person, base_ids: Sequence[str], query: str, *, limit: int = 5) -> Found:
        """Find passages; who finds what is on the record before it is told.

        Args:
            person: Who asks.
            base_ids: Where to look.
            query: What for.
            limit: How many hits at most.

        Raises:
            AuditError: It cannot be recorded.
            VlproError: As :meth:`find`.
        """
        found = await self.find(person, base_ids, query, limit=limit)
        said, contents = self._recorder.commit_to(query)
        await self._recorder.anote(
            Event.KNOWLEDGE_SEARCHED,
            object=base_ids[0] if len(base_ids) == 1 else "",
            detail={
                "bases": list(base_ids),
                "query": said,
                "hits": [{"document": hit.version, "page": hit.page} for hit in found.hits],
                "answers": found.answers,
            },
            contents=contents,
        )
        return found

    async def find(
        self,
        person: Person,
        base_ids: Sequence[str],
        query: str,
        *,
        limit: int = 5,
        picture_codes: frozenset[str] = frozenset(),
    ) -> Found:
        """Find passages for who records that by itself: what a question is answered from is on its own record.

        Args:
            person: Who asks.
            base_ids: Where to look.
            query: What for.
            limit: How many hits at most.
            picture_codes: That were read in the person's picture.

        Raises:
            NotFoundError: There is no such base for this person.
            EngineError: The model of vectors failed.
            EngineUnavailableError: The index is still being loaded.
        """
        self.searches += 1
        names = list(dict.fromkeys(base_ids))
        await self._access.seen(person, names)
        await self._loaded()
        asked = question(query, await self._embedder.query(query), picture_codes)
        candidates = await asyncio.to_thread(
            self._index.candidates, names, asked.vector, asked.codes, self._options.candidates
        )
        stored = await asyncio.to_thread(self._store.stored, candidates)
        most = max(limit, self._options.rerank.best) if self._options.rerank is not None else limit
        found = await asyncio.to_thread(rank, asked, stored, most, self._ranking)
        if self._reranker is not None:
            found = await reordered(found, query, self._reranker, self._picture_of, limit)
        return found

    async def page(
        self, person: Person, base_id: str, name: str, number: int, boxes: Sequence[Box] = ()
    ) -> bytes:
        """A page as a JPEG, with boxes marked on it.

        Args:
            person: Who looks.
            base_id: The base.
            name: Of the document.
            number: Of the page, from 1.
            boxes: In pixels of the page, as a hit has them.

        Raises:
            NotFoundError: There is no such base, document or page for this person.
            AuditError: It cannot be recorded.
        """
        await self._access.base(person, base_id)
        for version in sorted(
            await self._access.versions(base_id, name), key=lambda one: one.state != "ready"
        ):
            data = await asyncio.to_thread(self._store.picture, version.id, base_id, number)
            if data is not None:
                break
        else:
            raise NotFoundError(
                f"This document has no page {number}.", zh=f"该文档没有第 {number} 页。", param="number"
            )
        await self._recorder.anote(
            Event.PAGE_VIEWED, object=base_id, detail={"document": version.id, "page": number}
        )
        if not boxes:
            return data
        picture = await self._pictures.read(data, max_pixels_used=_ALL)
        return await asyncio.to_thread(lambda: pixels_to_jpeg(highlight(picture.pixels, boxes)))

    async def page_picture(self, person: Person, hit: Hit) -> Picture:
        """The page of a hit as a picture for an engine, of the same bytes each time.

        Raises:
            NotFoundError: There is no such base or page for this person.
        """
        await self._access.base(person, hit.base)
        return await self._pictures.read(await self._picture_of(hit), max_pixels_used=_ALL)

    async def _loaded(self) -> None:
        try:
            async with asyncio.timeout(_WAIT_S):
                await self._keeper.loaded.wait()
        except TimeoutError as error:
            share = round(100 * (self._keeper.loading or 0))
            raise EngineUnavailableError(
                f"The index of knowledge bases is still being loaded ({share} %). Try again shortly.",
                zh=f"知识库索引仍在加载（{share} %），请稍后重试。",
            ) from error

    async def _picture_of(self, hit: Hit) -> bytes:
        data = await asyncio.to_thread(self._store.picture, hit.version, hit.base, hit.page)
        if data is None:
            raise NotFoundError("The page was deleted.", zh="该页面已被删除。")
        return data
