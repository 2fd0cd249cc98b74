"""Knowledge bases and their documents: made, changed, put down and deleted, each on the record."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import partial

from vlpro.audit.events import Event
from vlpro.audit.recorder import Recorder
from vlpro.errors import BadRequestError
from vlpro.identity.labels import Level, check_read
from vlpro.identity.principal import Person
from vlpro.imaging.workers import PictureReader
from vlpro.knowledge.access import Access
from vlpro.knowledge.document import Base, Document, State
from vlpro.knowledge.embedding.interface import Embedder
from vlpro.knowledge.finder import Finder
from vlpro.knowledge.given import GivenPages
from vlpro.knowledge.index.interface import Index
from vlpro.knowledge.ingest import Ingest
from vlpro.knowledge.ingest_queue import IngestQueue, record_change
from vlpro.knowledge.keeping import IndexKeeper
from vlpro.knowledge.options import KnowledgeOptions
from vlpro.knowledge.rerank import Reranker
from vlpro.knowledge.search import Ranking
from vlpro.knowledge.store import KnowledgeStore

__all__ = ["KnowledgeService", "KnowledgeStatus"]


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
    """Keeps knowledge bases.

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
        finder: Finds in them.
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
        self._reranker = reranker
        self._access = Access(store)
        self._keeper = IndexKeeper(store, index, embedder, given)
        self._queue = IngestQueue(store, ingest, self._keeper, recorder)
        self._keeping: asyncio.Task[None] | None = None
        self.finder = Finder(
            store,
            self._access,
            index,
            self._keeper,
            embedder,
            pictures=pictures,
            recorder=recorder,
            options=options,
            ranking=ranking,
            reranker=reranker,
        )

    async def start(self) -> None:
        """Load the index, and read in what still waits.

        Raises:
            DatabaseError: The database does not answer.
        """
        await asyncio.to_thread(self._store.tidy)
        self._keeping = asyncio.create_task(self._keeper.keep())
        self._queue.start()

    async def close(self) -> None:
        """End; what is being read in goes on after the next start."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
            self._keeping = None
        await self._queue.close()
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
        return await self._access.base(person, name)

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
        base = await self._access.own(person, base_id)
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
        base = await self._access.own(person, name)
        await self._changed(base, "deleted")
        for document in await asyncio.to_thread(self._store.documents, name):
            self._queue.stop(document)
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
        base = await self._access.own(person, base_id)
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
            self._queue.stop(version)
        made = await asyncio.to_thread(
            partial(self._store.add_document, base, name, data, sha256, most=self._options.max_documents)
        )
        self._queue.look()
        return made

    async def document(self, person: Person, base_id: str, name: str) -> Document:
        """A document: its newest version.

        Raises:
            NotFoundError: There is no such base for this person, or no such document in it.
        """
        await self.base(person, base_id)
        return (await self._access.versions(base_id, name))[0]

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
        await self._access.own(person, base_id)
        newest = (await self._access.versions(base_id, name))[0]
        if await asyncio.to_thread(self._store.end, newest, "cancelled"):
            self._queue.stop(newest)
            await record_change(self._recorder, newest, "cancelled")
        return (await self._access.versions(base_id, name))[0]

    async def remove(self, person: Person, base_id: str, name: str) -> None:
        """Delete a document, all its versions, and their keys.

        Raises:
            NotFoundError: There is no such base for this person, or no such document in it.
            ForbiddenError: The base is somebody else's.
        """
        await self._access.own(person, base_id)
        for version in await self._access.versions(base_id, name):
            await record_change(self._recorder, version, "deleted")
            self._queue.stop(version)
        for version in await asyncio.to_thread(self._store.delete_document, base_id, name):
            await self._keeper.forget(base_id, version.id)

    async def _changed(self, base: Base, change: str) -> None:
        await self._recorder.anote(
            Event.KNOWLEDGE_CHANGED,
            object=base.id,
            detail={"change": change, "shared": base.shared, "level": base.level.word},
        )
