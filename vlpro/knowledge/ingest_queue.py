"""Documents that wait, read in behind whoever put them down; what comes of each is stored and recorded."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from functools import partial
from typing import Any

from vlpro.audit.events import Event, Outcome
from vlpro.audit.recorder import Recorder
from vlpro.errors import AuditError, ConflictError, DatabaseError, VlproError
from vlpro.knowledge.document import Document, Failure
from vlpro.knowledge.ingest import Ingest
from vlpro.knowledge.keeping import IndexKeeper
from vlpro.knowledge.store import KnowledgeStore

__all__ = ["IngestQueue", "record_change"]

log = logging.getLogger(__name__)

_AT_ONCE = 2  # documents that are read in
_LOOK_S = 5.0  # between two looks for documents that others put down
_HOLD_S = 10.0  # between two times that a document is said to be at work


class IngestQueue:
    """Reads in what the store has waiting, of this process and of others.

    Args:
        store: Where documents wait.
        ingest: Reads one in.
        keeper: Has it answer.
        recorder: Of the audit.
    """

    def __init__(
        self, store: KnowledgeStore, ingest: Ingest, keeper: IndexKeeper, recorder: Recorder
    ) -> None:
        self._store = store
        self._ingest = ingest
        self._keeper = keeper
        self._recorder = recorder
        self._reading: dict[str, asyncio.Task[bool]] = {}  # by version
        self._task: asyncio.Task[None] | None = None
        self._new = asyncio.Event()

    def start(self) -> None:
        """Begin; for the event loop."""
        self._new.set()
        self._task = asyncio.create_task(self._work())

    async def close(self) -> None:
        """End; what is being read in goes on after the next start."""
        tasks = [*([self._task] if self._task is not None else []), *self._reading.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._task, self._reading = None, {}

    def look(self) -> None:
        """Look at once for what waits: a document was put down."""
        self._new.set()

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
        await record_change(self._recorder, held, "ready", pages=held.pages)
        return await self._keeper.take_over(held)

    async def _failed(self, document: Document, failure: Failure) -> None:
        try:
            ended = await asyncio.to_thread(self._store.end, document, "failed", failure)
        except ConflictError:  # deleted meanwhile
            return
        if ended:
            await record_change(self._recorder, document, "failed", why=failure.code or "failed")

    async def _hold(self, document: Document) -> None:
        """Say that it is being read in, however long a page or LibreOffice takes."""
        while True:
            await asyncio.sleep(_HOLD_S)
            with suppress(VlproError):
                await asyncio.to_thread(self._store.hold, document.id)

    def stop(self, document: Document) -> None:
        """Read a version in no further, if it is being read."""
        task = self._reading.get(document.id)
        if task is not None:
            task.cancel()


async def record_change(recorder: Recorder, document: Document, change: str, **more: Any) -> None:
    """Record what became of a document. Raises: AuditError.

    Args:
        recorder: Of the audit.
        document: Its version.
        change: What.
        more: Of the details.
    """
    await recorder.anote(
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
