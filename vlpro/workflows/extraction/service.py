"""Extractions: read, looked at, corrected, decided by a person, taken out, and on their way to other systems."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import sqlalchemy as sa

from vlpro.audit.events import Event
from vlpro.chat.history import Rules
from vlpro.chat.service import ChatService
from vlpro.errors import BadRequestError, ConflictError, VlproError
from vlpro.identity.labels import check_read
from vlpro.masking import Masking
from vlpro.workflows.delivery.outbox import Delivery, no_such_delivery
from vlpro.workflows.delivery.service import Deliveries
from vlpro.workflows.extraction import review
from vlpro.workflows.extraction.duplicates import compare
from vlpro.workflows.extraction.exports import Format, as_file
from vlpro.workflows.extraction.extract import identity_of
from vlpro.workflows.extraction.reading import KIND, Asked, DocumentReader
from vlpro.workflows.extraction.standing import Standing, Viewer, standing_of
from vlpro.workflows.extraction.store import ExtractionStore, changed_meanwhile, no_such_extraction
from vlpro.workflows.extraction.stored import Head, State, Stored
from vlpro.workflows.extraction.template import Template
from vlpro.workflows.paging import place_of
from vlpro.workflows.reading import PageReader

__all__ = ["ExtractionService", "Measured"]

log = logging.getLogger(__name__)

_SWEEP_S = 3_600.0
_MOST_EXPORTED = 10_000


@dataclass(frozen=True, slots=True)
class Measured:
    """What people corrected.

    Args:
        corrections: Field by field: the result, the field's name, its normal form from now on.
        extractions: Decided results that were looked at.
        fields: Their fields that were found or corrected.
    """

    corrections: tuple[tuple[Stored, str, str | None], ...]
    extractions: int
    fields: int


class ExtractionService:
    """Reads documents as fields, and keeps them for people to check.

    Args:
        chat: The main engine, the reader of pictures and the audit.
        reader: Gives the text of pages.
        store: Where results lie.
        templates: By name.
        deliveries: Takes results to other systems.
        max_pages: Of one document.
        rules: What the policy says about keeping.
        masking: What is masked in what is taken out; None: nothing.
        clock: Unix time.
    """

    def __init__(
        self,
        chat: ChatService,
        reader: PageReader,
        store: ExtractionStore,
        templates: Mapping[str, Template],
        deliveries: Deliveries,
        *,
        max_pages: int,
        rules: Callable[[], Rules] = Rules,
        masking: Callable[[], Masking | None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.templates = templates
        self.deliveries = deliveries
        self._documents = DocumentReader(chat, reader, store, templates, max_pages=max_pages, clock=clock)
        self._reader = reader
        self._store = store
        self._rules = rules
        self._masking = masking
        self._clock = clock
        self._recorder = chat.recorder
        self._sweeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to delete what has been kept for long enough."""
        self._sweeping = asyncio.create_task(self._sweep())

    async def close(self) -> None:
        """End, with the second engine."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeping
        await self._reader.stop()

    # --- reading

    async def extract(self, viewer: Viewer, asked: Asked) -> Standing:
        """Read a document.

        Raises:
            BadRequestError: A file cannot be used, or there is no such template, target or schema; names the field.
            ForbiddenError: The level is above the person's.
            BusyError: Too many wait.
            EngineError: The engine failed.
            AuditError: It cannot be recorded.
        """
        if asked.deliver:
            self.deliveries.check(asked.deliver, "deliver")
        return self._standing(viewer, await self._documents.read(viewer, asked))

    # --- looking

    async def get(self, viewer: Viewer, name: str) -> Standing:
        """One result. Raises: NotFoundError, also where it is somebody else's; ForbiddenError."""
        return self._standing(viewer, await self._visible(viewer, name))

    async def page(
        self,
        viewer: Viewer,
        *,
        states: Sequence[State] = (),
        after: str = "",
        limit: int = 50,
    ) -> tuple[list[Standing | Head], str | None, int, int]:
        """Results that somebody may see, the newest first: their own, and those handed over.

        Args:
            viewer: Who asks.
            states: Only these; none: all.
            after: ``next`` of the page before.
            limit: How many at most.

        Returns:
            Results; what the next page follows, None where there is none; how many are open in all, and how many
            were decided today.

        Raises:
            BadRequestError: ``after`` came from no page.
        """
        found = await asyncio.to_thread(
            self._store.page,
            viewer.person.id,
            viewer.person.level,
            reviews=viewer.reviews,
            states=states,
            before=place_of(after),
            limit=limit + 1,
        )
        today = dt.datetime.fromtimestamp(self._clock()).astimezone()
        midnight = today.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
        waiting, decided = await asyncio.to_thread(
            self._store.counts,
            viewer.person.id,
            viewer.person.level,
            reviews=viewer.reviews,
            since=midnight,
        )
        following = None
        if len(found) > limit:
            found = found[:limit]
            following = f"{found[-1].created!r}~{found[-1].id}"
        return (
            [self._standing(viewer, one) if isinstance(one, Stored) else one for one in found],
            following,
            waiting,
            decided,
        )

    async def picture(self, viewer: Viewer, name: str, number: int) -> bytes:
        """The JPEG of a page. Raises: NotFoundError, where it is not kept (any more), too; ForbiddenError."""
        stored = await self._visible(viewer, name)
        data = await asyncio.to_thread(self._store.picture, stored, number)
        if data is None:
            raise no_such_extraction()
        return data

    # --- deciding

    async def correct(
        self, viewer: Viewer, name: str, fields: Mapping[str, str | None], version: int | None
    ) -> Standing:
        """Put other values in place of what was read; everything is checked again.

        Raises:
            BadRequestError: There is no such field, or a value is not of its type.
            ConflictError: It is decided already, or somebody changed it meanwhile.
            NotFoundError: There is no such result for this person.
            AuditError: It cannot be recorded.
        """
        stored = await self._open(viewer, name, version)
        template = self._template_of(stored)
        before = self._identity(stored, template)
        stored.corrections = review.corrected(stored, fields, template)
        if (identity := self._identity(stored, template)) != before:
            mark = self._store.mark((identity,)) if identity is not None else None
            await asyncio.to_thread(self._store.remark, stored, mark)
            await compare(self._store, stored, mark)
        now = review.current(stored, template)
        stored.extraction = replace(stored.extraction, verdict=now.verdict)
        await self._decided(stored, "corrected", {"fields": sorted(fields)})
        await asyncio.to_thread(self._store.save, stored)
        return self._standing(viewer, stored)

    async def approve(
        self, viewer: Viewer, name: str, confirmed: Sequence[str], version: int | None
    ) -> Standing:
        """Say that a result is right; it goes to its target, and its pictures go unless the policy keeps them.

        Args:
            viewer: Who says so.
            name: The result.
            confirmed: Fields and checks that are right as they stand, although one failed.
            version: That was looked at; None: whichever it is.

        Raises:
            BadRequestError: There is no such field or check.
            ConflictError: Something failed that nobody corrected or confirmed; or as :meth:`correct`.
            NotFoundError: As :meth:`correct`.
            AuditError: As :meth:`correct`.
        """
        stored = await self._open(viewer, name, version)
        template = self._template_of(stored)
        now = review.current(stored, template)
        known = {*now.fields, *(check.name for check in now.checks)}
        for each in confirmed:
            if each not in known:
                raise BadRequestError(
                    f"There is no field and no check {each[:100]!r} in this result.",
                    zh=f"该结果没有字段或校验 {each[:100]!r}。",
                    param="confirmed",
                    code="unknown_field",
                )
        stored.confirmed = tuple(sorted({*stored.confirmed, *confirmed}))
        if left := review.unsettled(stored, now, template):
            raise ConflictError(
                f"These failed and are neither corrected nor confirmed: {', '.join(left)}.",
                zh=f"以下各项未通过，且未更正或确认：{'、'.join(left)}。",
                param="confirmed",
                code="unsettled",
            )
        stored.state = "approved"
        await self._settle(viewer, stored, {"confirmed": list(stored.confirmed)})
        return self._standing(viewer, stored)

    async def send_back(self, viewer: Viewer, name: str, reason: str, version: int | None) -> Standing:
        """Say that a result is of no use, and why: the document may be handed in again.

        Raises:
            ConflictError: As :meth:`correct`.
            NotFoundError: As :meth:`correct`.
            AuditError: As :meth:`correct`.
        """
        stored = await self._open(viewer, name, version)
        stored.state, stored.reason = "returned", reason
        said, contents = self._recorder.commit_to(reason)
        await self._settle(viewer, stored, {"reason": said}, contents)
        return self._standing(viewer, stored)

    async def delete(self, viewer: Viewer, name: str) -> None:
        """Delete a result of one's own, with its pictures and with what is on its way.

        Raises:
            NotFoundError: There is none of one's own.
            AuditError: It cannot be recorded.
        """
        stored = await self._visible(viewer, name)
        if stored.owner != viewer.person.id:
            raise no_such_extraction(foreign=True)
        await self._decided(stored, "deleted", {})
        await asyncio.to_thread(
            self._store.delete, name, keep_mark=stored.state == "approved", also=self._drop_deliveries
        )

    # --- taking out

    async def export(self, viewer: Viewer, kind: Format, *, states: Sequence[State], zh: bool) -> bytes:
        """All results that somebody may see, as one file; that they were taken out is on the record first.

        Raises:
            BadRequestError: They are too many.
            AuditError: It cannot be recorded.
        """
        found = await asyncio.to_thread(
            self._store.page,
            viewer.person.id,
            viewer.person.level,
            reviews=viewer.reviews,
            states=states,
            limit=_MOST_EXPORTED + 1,
        )
        if len(found) > _MOST_EXPORTED:
            raise BadRequestError(
                f"These are more than {_MOST_EXPORTED} results. Delete old ones, or export fewer states.",
                zh=f"结果超过 {_MOST_EXPORTED} 条，请删除旧结果或只导出部分状态。",
                param="state",
                code="too_many",
            )
        standings = [self._standing(viewer, one) for one in found if isinstance(one, Stored)]
        masking = self._masking()
        masked = masking.text if masking is not None else (lambda text: text)

        def made() -> bytes:
            results = [(each.stored, each.now, each.template) for each in standings]
            return as_file(results, kind, zh=zh, masked=masked)

        data = await asyncio.to_thread(made)
        detail = {
            "workflow": KIND,
            "format": kind,
            "results": len(standings),
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        await self._recorder.anote(Event.WORKFLOW_EXPORTED, object=KIND, detail=detail)
        return data

    async def corrections(self, viewer: Viewer) -> Measured:
        """What people corrected in the results that somebody may see, for measuring; on the record first.

        Raises:
            AuditError: It cannot be recorded.
        """
        found = await asyncio.to_thread(
            self._store.page,
            viewer.person.id,
            viewer.person.level,
            reviews=viewer.reviews,
            states=("approved", "returned"),
            limit=_MOST_EXPORTED,
        )
        decided = [one for one in found if isinstance(one, Stored)]
        corrections = tuple(
            (one, name, put.normalized) for one in decided for name, put in one.corrections.items()
        )
        fields = sum(
            field.value is not None or name in one.corrections
            for one in decided
            for name, field in one.extraction.fields.items()
        )
        detail = {"workflow": KIND, "format": "corrections", "results": len(decided)}
        await self._recorder.anote(Event.WORKFLOW_EXPORTED, object=KIND, detail=detail)
        return Measured(corrections, len(decided), fields)

    async def deliver(self, viewer: Viewer, name: str, target: str) -> Delivery:
        """Send an approved result to a system that the settings name.

        Raises:
            BadRequestError: They name no such target.
            ConflictError: It is not approved.
            NotFoundError: There is no such result for this person.
            AuditError: It cannot be recorded.
        """
        stored = await self._visible(viewer, name)
        self.deliveries.check(target, "target")
        if stored.state != "approved":
            raise ConflictError(
                "Only an approved result is sent. Approve it first.",
                zh="只有已通过的结果才能推送，请先确认。",
                code="not_approved",
            )
        body = self._standing(viewer, stored).as_json()
        return await self.deliveries.deliver(KIND, name, body, target, event="approved", owner=stored.owner)

    async def delivered(self, viewer: Viewer, name: str) -> list[Delivery]:
        """Where a result was sent. Raises: NotFoundError."""
        await self._visible(viewer, name)
        return await self.deliveries.of(KIND, name)

    async def deliver_again(self, viewer: Viewer, name: str, delivery: str) -> Delivery:
        """Try a delivery of a result again. Raises: NotFoundError."""
        await self._visible(viewer, name)
        if delivery not in {one.id for one in await self.deliveries.of(KIND, name)}:
            raise no_such_delivery()
        return await self.deliveries.again(delivery)

    # ---

    async def _visible(self, viewer: Viewer, name: str) -> Stored:
        stored = await asyncio.to_thread(self._store.load, name)
        if stored is None:
            raise no_such_extraction()
        if stored.owner == viewer.person.id:
            check_read(viewer.person.level, stored.level)
        elif not (viewer.reviews and stored.handed_over and stored.level <= viewer.person.level):
            raise no_such_extraction(foreign=True)
        return stored

    async def _open(self, viewer: Viewer, name: str, version: int | None) -> Stored:
        stored = await self._visible(viewer, name)
        if version is not None and version != stored.version:
            raise changed_meanwhile()
        if stored.state != "open":
            raise ConflictError(
                "This result is decided already.",
                zh="该结果已有结论，不能再修改。",
                code="already_decided",
            )
        return stored

    async def _settle(
        self,
        viewer: Viewer,
        stored: Stored,
        detail: Mapping[str, Any],
        contents: Mapping[str, bytes] | None = None,
    ) -> None:
        """Store a decision; in the same transaction what is approved is taken to be sent: no crash parts them."""
        now = self._clock()
        stored.decided_by, stored.decided = viewer.person.id, now
        await self._decided(stored, stored.state, detail, contents)
        target = (stored.deliver or self.deliveries.approved) if stored.state == "approved" else ""
        also = None
        if target:
            body = self._standing(viewer, replace(stored, version=stored.version + 1, updated=now)).as_json()
            parcel = await self.deliveries.parcel(
                KIND, stored.id, body, target, event=stored.state, owner=stored.owner
            )
            also = partial(self.deliveries.put, parcel=parcel)
        drop = not self._rules().keep_images
        await asyncio.to_thread(
            self._store.save,
            stored,
            at=now,
            drop_pictures=drop,
            drop_mark=stored.state == "returned",
            also=also,
        )
        if target:
            self.deliveries.look()
        if drop:
            stored.pages = tuple(replace(page, available=False) for page in stored.pages)

    async def _decided(
        self,
        stored: Stored,
        decision: str,
        detail: Mapping[str, Any],
        contents: Mapping[str, bytes] | None = None,
    ) -> None:
        told = {"workflow": KIND, "decision": decision, "version": stored.version, **detail}
        await self._recorder.anote(Event.WORKFLOW_DECIDED, object=stored.id, detail=told, contents=contents)

    def _standing(self, viewer: Viewer, stored: Stored) -> Standing:
        return standing_of(viewer, stored, self.templates)

    def _identity(self, stored: Stored, template: Template | None) -> str | None:
        return identity_of(review.current(stored, template), template) if template is not None else None

    def _template_of(self, stored: Stored) -> Template | None:
        return self.templates.get(stored.extraction.template)

    def _drop_deliveries(self, connection: sa.Connection, name: str) -> None:
        self.deliveries.drop(connection, KIND, name)

    async def _sweep(self) -> None:
        while True:
            try:
                moment = self._clock() - self._rules().days * 24 * 3600
                while await asyncio.to_thread(self._store.delete_before, moment, also=self._drop_deliveries):
                    pass
            except VlproError as error:
                log.warning("old results were not deleted: %s", error.message)
            await asyncio.sleep(_SWEEP_S)
