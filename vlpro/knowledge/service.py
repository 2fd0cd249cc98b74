"""Knowledge bases: who may see and write which, documents that are read in behind them, and what is found in them."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from vlpro.audit.events import Event, Outcome
from vlpro.audit.recorder import Recorder
from vlpro.errors import (
    AuditError,
    BadRequestError,
    ConflictError,
    DatabaseError,
    EngineUnavailableError,
    ForbiddenError,
    NotFoundError,
    VlproError,
)
from vlpro.identity.labels import Level, check_read
from vlpro.identity.principal import Person
from vlpro.imaging.encode import pixels_to_jpeg
from vlpro.imaging.overlay import highlight
from vlpro.imaging.picture import Picture
from vlpro.imaging.workers import PictureReader
from vlpro.knowledge.document import Base, Document, Failure, State
from vlpro.knowledge.embedding.interface import Embedder
from vlpro.knowledge.given import GivenPages
from vlpro.knowledge.index.interface import Index
from vlpro.knowledge.ingest import Ingest
from vlpro.knowledge.keeping import IndexKeeper
from vlpro.knowledge.options import KnowledgeOptions
from vlpro.knowledge.passages import Box
from vlpro.knowledge.rerank import Reranker, reordered
from vlpro.knowledge.search import Found, Hit, Ranking, question, rank
from vlpro.knowledge.store import KnowledgeStore

__all__ = ["Base", "Document", "KnowledgeService", "KnowledgeStatus"]

log = logging.getLogger(__name__)

_WAIT_S = 10.0  # for the index, after a start
_AT_ONCE = 2  # documents that are read in
_ALL = 100_000_000  # pixels: as many as there are
_LOOK_S = 5.0  # between two looks for documents that others put down
_HOLD_S = 10.0  # between two times that a document is said to be at work


@dataclass(frozen=True, slots=True)
class KnowledgeStatus:
    """What finds pages.

    Args:
        embedder: The model that makes vectors.
        index: Where they lie.
        pages: In the index.
        passages: In the index.
        loading: Share that is loaded after a start, 0 to 1; None: all of it.
    """

    embedder: str
    index: str
    pages: int
    passages: int
    loading: float | None


class KnowledgeService:
    """Keeps knowledge bases, and finds in them.

    Args:
        store: Where they lie.
        index: Finds candidates.
        embedder: Makes vectors.
        ingest: Reads documents in.
        pictures: Reads pages' pictures for an engine.
        recorder: Of the audit.
        options: Limits.
        ranking: How much each sign counts.
        reranker: Ranks the best hits once more; None: nobody does.
        given: What the engine is given of pages; None: no engine is given any.

    Attributes:
        searches: How often passages were looked for since the start.
    """

    def __init__(
        self,
        store: KnowledgeStore,
        index: Index,
        embedder: Embedder,
        *,
        ingest: Ingest,
        pictures: PictureReader,
        recorder: Recorder,
        options: KnowledgeOptions,
        ranking: Ranking,
        reranker: Reranker | None = None,
        given: GivenPages | None = None,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._ingest = ingest
        self._pictures = pictures
        self._recorder = recorder
        self._options = options
        self._ranking = ranking
        self._reranker = reranker
        self._keeper = IndexKeeper(store, index, embedder, given)
        self._index = index
        self._reading: dict[str, asyncio.Task[bool]] = {}  # by version
        self._tasks: list[asyncio.Task[None]] = []
        self._new = asyncio.Event()
        self.searches = 0

    async def start(self) -> None:
        """Load the index, and read in what still waits.

        Raises:
            DatabaseError: The database does not answer.
        """
        await asyncio.to_thread(self._store.tidy)
        self._new.set()
        self._tasks = [asyncio.create_task(self._keeper.keep()), asyncio.create_task(self._work())]

    async def close(self) -> None:
        """End; what is being read in goes on after the next start."""
        for task in [*self._tasks, *self._reading.values()]:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._reading.values(), return_exceptions=True)
        self._tasks, self._reading = [], {}
        await self._embedder.stop()
        if self._reranker is not None:
            await self._reranker.stop()
        await self._pictures.stop()

    def status(self) -> KnowledgeStatus:
        """What finds pages, and how much there is."""
        keeper = self._keeper
        return KnowledgeStatus(
            self._embedder.model, self._options.index, keeper.pages, keeper.passages, keeper.loading
        )

    @property
    def given(self) -> GivenPages:
        """What an engine was given of pages: whoever gives it any, notes it there."""
        return self._keeper.given

    # --- bases

    async def create(
        self, person: Person, *, name: str, shared: bool, level: Level, description: str = ""
    ) -> Base:
        """Make a base.

        Raises:
            ForbiddenError: The level is above the person's.
            ConflictError: The person has as many as they may.
            AuditError: It cannot be recorded.
        """
        check_read(person.level, level)
        base = await asyncio.to_thread(
            partial(
                self._store.add_base,
                person,
                name=name,
                description=description,
                shared=shared,
                level=level,
                most=self._options.max_bases,
            )
        )
        try:
            await self._changed(base, "created")
        except BaseException:
            await asyncio.to_thread(self._store.delete_base, base.id)
            raise
        return base

    async def bases(self, person: Person) -> list[Base]:
        """All bases that a person may see: their own, and shared ones up to their level."""
        return await asyncio.to_thread(self._store.bases, person)

    async def base(self, person: Person, name: str) -> Base:
        """A base.

        Raises:
            NotFoundError: There is none of this id for this person.
        """
        return (await self._seen(person, [name]))[0]

    async def _seen(self, person: Person, names: Sequence[str]) -> list[Base]:
        """Bases in this order. Raises: as :meth:`base`."""
        known = {base.id: base for base in await asyncio.to_thread(self._store.named, names)}
        for found in map(known.get, names):
            if found is None or found.level > person.level or not (found.shared or found.owner == person.id):
                raise NotFoundError(
                    "There is no such knowledge base. GET /v1/knowledge-bases lists those that you may see.",
                    zh="没有这个知识库，GET /v1/knowledge-bases 可列出您能查看的知识库。",
                    param="knowledge_base",
                    foreign=found is not None,
                )
        return [known[name] for name in names]

    async def change(
        self,
        person: Person,
        base_id: str,
        *,
        name: str | None = None,
        shared: bool | None = None,
        description: str | None = None,
    ) -> Base:
        """Change what is given.

        Raises:
            NotFoundError: There is no such base for this person.
            ForbiddenError: It is somebody else's.
        """
        base = await self._own(person, base_id)
        changed = replace(
            base,
            name=base.name if name is None else name,
            shared=base.shared if shared is None else shared,
            description=base.description if description is None else description,
        )
        if changed == base:
            return base
        what = "renamed" if changed.shared == base.shared else "shared" if changed.shared else "unshared"
        await self._changed(changed, what)  # before: nobody sees more than the record says
        await asyncio.to_thread(self._store.change_base, changed)
        return changed

    async def delete(self, person: Person, name: str) -> None:
        """Delete a base with all its documents, and their keys.

        Raises:
            NotFoundError: There is no such base for this person.
            ForbiddenError: It is somebody else's.
        """
        base = await self._own(person, name)
        await self._changed(base, "deleted")
        for document in await asyncio.to_thread(self._store.documents, name):
            self._stop_reading(document)
        await asyncio.to_thread(self._store.delete_base, name)
        await self._keeper.forget(name)

    # --- documents

    async def put(self, person: Person, base_id: str, name: str, data: bytes) -> Document:
        """Put a document down, or its next version; the same bytes change nothing.

        Args:
            person: Who.
            base_id: Where.
            name: Of the file.
            data: The file.

        Returns:
            The new version, which is read in in the background; or the one that is there already.

        Raises:
            NotFoundError: There is no such base for this person.
            ForbiddenError: It is somebody else's.
            BadRequestError: The file cannot be read, and why.
            ConflictError: The base is full.
            AuditError: It cannot be recorded.
        """
        base = await self._own(person, base_id)
        if len(data) > self._options.max_bytes:
            raise BadRequestError(
                f"The file has {len(data) / 1e6:.4g} MB, more than the {self._options.max_bytes / 1e6:.4g} MB "
                "allowed. Split it.",
                zh=f"文件为 {len(data) / 1e6:.4g} MB，超过上限 {self._options.max_bytes / 1e6:.4g} MB，请拆分。",
                param="file",
                code="document_too_large",
            )
        sha256 = await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest())
        held = await asyncio.to_thread(self._store.versions, base_id, name)
        if held and held[0].sha256 == sha256 and held[0].state in ("ready", "queued", "reading"):
            return held[0]
        await self._ingest.check(data)
        await self._recorder.anote(
            Event.DOCUMENT_CHANGED,
            object=base_id,
            detail={"change": "put", "bytes": len(data), "sha256": sha256, "level": base.level.word},
        )
        for version in held:
            self._stop_reading(version)
        made = await asyncio.to_thread(
            partial(self._store.add_document, base, name, data, sha256, most=self._options.max_documents)
        )
        self._new.set()
        return made

    async def document(self, person: Person, base_id: str, name: str) -> Document:
        """A document: its newest version.

        Raises:
            NotFoundError: There is no such base for this person, or no such document in it.
        """
        await self.base(person, base_id)
        return (await self._versions(base_id, name))[0]

    async def documents(
        self,
        person: Person,
        base_id: str,
        *,
        after: str = "",
        limit: int = 100,
        named: str = "",
        states: Collection[State] = (),
    ) -> tuple[list[Document], str | None]:
        """A base's documents by name, and what to ask for the page after.

        Args:
            person: Who asks.
            base_id: Of the base.
            after: What was to ask for; empty: from the first.
            limit: How many at most.
            named: Only those whose name has this in it, however its letters are written.
            states: Only those in one of these states; none: all.

        Raises:
            NotFoundError: There is no such base for this person.
        """
        await self.base(person, base_id)
        found = await asyncio.to_thread(self._store.documents, base_id)
        if after:
            place = (after.casefold(), after)
            found = [one for one in found if (one.name.casefold(), one.name) > place]
        if wanted := named.casefold():
            found = [one for one in found if wanted in one.name.casefold()]
        if states:
            found = [one for one in found if one.state in states]
        return found[:limit], found[limit - 1].name if len(found) > limit else None

    async def cancel(self, person: Person, base_id: str, name: str) -> Document:
        """Stop reading a document in; the version before it goes on answering. One that is read stays as it is.

        Raises:
            NotFoundError: There is no such base for this person, or no such document in it.
            ForbiddenError: The base is somebody else's.
        """
        await self._own(person, base_id)
        newest = (await self._versions(base_id, name))[0]
        if await asyncio.to_thread(self._store.end, newest, "cancelled"):
            self._stop_reading(newest)
            await self._document_changed(newest, "cancelled")
        return (await self._versions(base_id, name))[0]

    async def remove(self, person: Person, base_id: str, name: str) -> None:
        """Delete a document, all its versions, and their keys.

        Raises:
            NotFoundError: There is no such base for this person, or no such document in it.
            ForbiddenError: The base is somebody else's.
        """
        await self._own(person, base_id)
        for version in await self._versions(base_id, name):
            await self._document_changed(version, "deleted")
            self._stop_reading(version)
        for version in await asyncio.to_thread(self._store.delete_document, base_id, name):
            await self._keeper.forget(base_id, version.id)

    # --- finding

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
        await self._seen(person, names)
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
        await self.base(person, base_id)
        for version in sorted(await self._versions(base_id, name), key=lambda one: one.state != "ready"):
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
        await self.base(person, hit.base)
        return await self._pictures.read(await self._picture_of(hit), max_pixels_used=_ALL)

    # --- behind it

    async def _work(self) -> None:
        """Read in what waits, two documents at a time."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._new.wait()
            self._new.clear()
            try:
                await self._read_all()
            except VlproError as error:
                log.warning("documents wait: %s", error.message)

    async def _read_all(self) -> None:
        while len(self._reading) < _AT_ONCE:
            document = await asyncio.to_thread(self._store.claim)
            if document is None:
                return
            task = asyncio.create_task(self._read(document))
            self._reading[document.id] = task
            task.add_done_callback(partial(self._read_done, document))

    def _read_done(self, document: Document, task: asyncio.Task[bool]) -> None:
        self._reading.pop(document.id, None)
        self._new.set()
        if not task.cancelled() and task.exception() is not None:
            log.error("a document was not read in", exc_info=task.exception())

    async def _read(self, document: Document) -> bool:
        """Read a document in; whatever comes of it is stored and recorded."""
        holding = asyncio.create_task(self._hold(document))
        try:
            return await self._ingest.read(document) and await self._take_over(document)
        except asyncio.CancelledError:
            holding.cancel()
            await asyncio.shield(asyncio.to_thread(self._store.let_go, document.id))
            raise
        except (AuditError, DatabaseError) as error:  # it is begun again when nobody holds it any more
            log.warning("a document waits: %s", error.message)
            return False
        except VlproError as error:
            await self._failed(document, Failure(error.code, error.message, error.zh))
            return False
        except Exception:
            await self._failed(
                document, Failure("internal_error", "Something failed inside the service.", "服务内部出错。")
            )
            raise
        finally:
            holding.cancel()

    async def _take_over(self, document: Document) -> bool:
        """Have a version answer that is read in; not before that is on the record."""
        held = await asyncio.to_thread(self._store.version, document.id)
        if held is None or held.state != "reading":
            return False
        await self._document_changed(held, "ready", pages=held.pages)
        return await self._keeper.take_over(held)

    async def _failed(self, document: Document, failure: Failure) -> None:
        try:
            ended = await asyncio.to_thread(self._store.end, document, "failed", failure)
        except ConflictError:  # deleted meanwhile
            return
        if ended:
            await self._document_changed(document, "failed", why=failure.code or "failed")

    async def _hold(self, document: Document) -> None:
        """Say that it is being read in, however long a page or LibreOffice takes."""
        while True:
            await asyncio.sleep(_HOLD_S)
            with suppress(VlproError):
                await asyncio.to_thread(self._store.hold, document.id)

    def _stop_reading(self, document: Document) -> None:
        task = self._reading.get(document.id)
        if task is not None:
            task.cancel()

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

    async def _own(self, person: Person, name: str) -> Base:
        base = await self.base(person, name)
        if base.owner != person.id:
            raise ForbiddenError(
                "This knowledge base is somebody else's: you may search it, and not change it.",
                zh="该知识库由他人维护，您可以检索，不能修改。",
                code="not_your_base",
            )
        return base

    async def _versions(self, base: str, name: str) -> list[Document]:
        found = await asyncio.to_thread(self._store.versions, base, name)
        if not found:
            raise NotFoundError(
                "There is no such document in this knowledge base.",
                zh="该知识库中没有这个文档。",
                param="name",
            )
        return found

    async def _changed(self, base: Base, change: str) -> None:
        await self._recorder.anote(
            Event.KNOWLEDGE_CHANGED,
            object=base.id,
            detail={"change": change, "shared": base.shared, "level": base.level.word},
        )

    async def _document_changed(self, document: Document, change: str, **more: Any) -> None:
        await self._recorder.anote(
            Event.DOCUMENT_CHANGED,
            object=document.base,
            outcome=Outcome.FAILED if change == "failed" else Outcome.OK,
            detail={
                "change": change,
                "document": document.id,
                "version": document.version,
                "sha256": document.sha256,
                **more,
            },
        )
