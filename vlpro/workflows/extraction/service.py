"""An extraction's path: pages read in, recorded, read, checked, stored; then a person's decision, and on its way."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import hashlib
import json
import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from vlpro.audit.events import Event, Outcome
from vlpro.chat.history import Rules
from vlpro.chat.json_schema import check_schema
from vlpro.chat.service import ChatService, Question, Turn
from vlpro.engines.interface import ResponseFormat, Usage
from vlpro.engines.reading import Readings
from vlpro.errors import BadRequestError, ConflictError, EngineError, VlproError
from vlpro.identity.labels import Level, check_read
from vlpro.identity.principal import Person
from vlpro.imaging.encode import to_jpeg
from vlpro.masking import Masking
from vlpro.workflows.delivery.outbox import Delivery, no_such_delivery
from vlpro.workflows.delivery.service import Deliveries
from vlpro.workflows.extraction import review
from vlpro.workflows.extraction.custom import seen_custom
from vlpro.workflows.extraction.exports import Format, as_file, as_json
from vlpro.workflows.extraction.extract import extract, extract_custom, identity_of, recognise
from vlpro.workflows.extraction.result import Extraction
from vlpro.workflows.extraction.store import (
    ExtractionStore,
    Head,
    PageNote,
    State,
    Stored,
    changed_meanwhile,
    no_such_extraction,
)
from vlpro.workflows.extraction.template import CUSTOM, Template, json_schema
from vlpro.workflows.pages import Input, Page, read_pages
from vlpro.workflows.reading import PageReader

__all__ = ["AUTO", "Asked", "ExtractionService", "Measured", "Standing", "Viewer"]

log = logging.getLogger(__name__)

AUTO = "auto"
KIND = "extraction"
"""Of deliveries."""

_SWEEP_S = 3_600.0
_MOST_EXPORTED = 10_000
_SIGHT = (
    "Read the document in the pictures. Give each value as it is written there; null where it is not there."
)


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks.

    Args:
        person: The person.
        reviews: Whether they may review what others handed over.
        spent: Is told what engines took for them.
    """

    person: Person
    reviews: bool = True
    spent: Callable[[Usage], None] | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be read.

    Args:
        inputs: Files of one document, in order.
        template: Name of a template; :data:`AUTO` or :data:`~vlpro.workflows.extraction.template.CUSTOM`.
        schema: The caller's own JSON Schema.
        review: Whether everybody who may review sees it.
        deliver: Where it goes when it is approved; empty: as the settings say.
        level: How confidential; None: as much as the person may read.
        metadata: Of the caller's own.
    """

    inputs: Sequence[Input]
    template: str = AUTO
    schema: Mapping[str, Any] | None = None
    review: bool = False
    deliver: str = ""
    level: Level | None = None
    metadata: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """A result as one person sees it.

    Args:
        stored: As it is stored.
        now: With what people put.
        template: That it was made with; None: there is none (any more).
        unsettled: What stands between it and approval.
        own: Whether it is this person's.
    """

    stored: Stored
    now: Extraction
    template: Template | None
    unsettled: tuple[str, ...]
    own: bool

    def as_json(self) -> dict[str, Any]:
        """As JSON values."""
        return as_json(self.stored, self.now, self.template)


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
        self._chat = chat
        self._reader = reader
        self._store = store
        self._max_pages = max_pages
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
        person = viewer.person
        named = self._named(asked)
        level = person.level if asked.level is None else asked.level
        check_read(person.level, level)
        if asked.deliver:
            self.deliveries.check(asked.deliver, "deliver")
        if asked.schema is not None:
            await asyncio.to_thread(check_schema, asked.schema, "schema")
        pages = await read_pages(
            asked.inputs,
            self._chat.reader,
            max_pixels_used=self._reader.pixels,
            max_pages=self._max_pages,
        )
        name = f"ext_{secrets.token_hex(12)}"
        # Durable before any engine hears of it: without a record there is no result.
        started = await self._recorder.anote(
            Event.WORKFLOW_STARTED, object=name, detail=self._start(asked, pages, level)
        )
        try:
            template, read = await self._read(viewer, asked, named, pages)
            stored = Stored(
                id=name,
                owner=person.id,
                level=level,
                created=(now := self._clock()),
                updated=now,
                state="open",
                handed_over=asked.review,
                extraction=read,
                engine=self._engine_name,
                pages=tuple(PageNote(page.name, page.picture.sha256, available=True) for page in pages),
                deliver=asked.deliver,
                metadata=dict(asked.metadata) if asked.metadata else None,
                schema=dict(asked.schema) if asked.schema is not None else None,
            )
            await self._keep(stored, template, pages)
        except BaseException as error:
            why = error.code if isinstance(error, VlproError) else "stopped"
            outcome = Outcome.REFUSED if isinstance(error, BadRequestError) else Outcome.FAILED
            self._recorder.later(
                Event.WORKFLOW_COMPLETED,
                object=name,
                outcome=outcome,
                detail={"workflow": KIND, "started": started, "why": why},
            )
            raise
        done = {
            "workflow": KIND,
            "started": started,
            "template": stored.extraction.template,
            "verdict": stored.extraction.verdict,
            "fields": sum(field.value is not None for field in stored.extraction.fields.values()),
            "failed": [check.name for check in stored.extraction.checks if check.passed is False],
        }
        try:
            await self._recorder.anote(Event.WORKFLOW_COMPLETED, object=name, detail=done)
        except VlproError:
            await asyncio.to_thread(self._store.delete, name, keep_mark=False)
            raise
        return self._standing(viewer, stored)

    def _named(self, asked: Asked) -> Template | None:
        """The template that is asked for; None: it is told by the pages, or the schema is the caller's own."""
        if asked.schema is not None and asked.template not in (AUTO, CUSTOM):
            raise BadRequestError(
                "template and schema exclude each other. Leave one of them out.",
                zh="template 与 schema 不能同时使用，请只保留一个。",
                param="schema",
            )
        if asked.template == CUSTOM and asked.schema is None:
            raise BadRequestError(
                "The template custom needs a JSON Schema in schema.",
                zh="模板 custom 需要在 schema 中给出 JSON Schema。",
                param="schema",
            )
        if asked.template in (AUTO, CUSTOM):
            return None
        if asked.template not in self.templates:
            known = ", ".join((AUTO, CUSTOM, *self.templates))
            raise BadRequestError(
                f"There is no template {asked.template[:100]!r}. Use one of: {known}.",
                zh=f"没有模板 {asked.template[:100]!r}，可用：{known}。",
                param="template",
                code="unknown_template",
            )
        return self.templates[asked.template]

    def _start(self, asked: Asked, pages: Sequence[Page], level: Level) -> dict[str, Any]:
        files = {
            page.picture.sha256: {
                "sha256": page.picture.sha256,
                "bytes": page.picture.size,
                "format": page.picture.format,
            }
            | ({"sm3": page.picture.sm3} if page.picture.sm3 else {})
            for page in pages
        }
        return {
            "workflow": KIND,
            "template": CUSTOM if asked.schema is not None else asked.template,
            "images": list(files.values()),
            "pages": len(pages),
            "level": level.word,
            "engine": self._engine_name,
            "model": self._chat.engine.capabilities.model,
        }

    @property
    def _engine_name(self) -> str:
        reads, sees = self._reader.engine.name, self._chat.engine
        return f"{reads}+{sees.name}" if sees.capabilities.sees else reads

    async def _read(
        self, viewer: Viewer, asked: Asked, named: Template | None, pages: Sequence[Page]
    ) -> tuple[Template | None, Extraction]:
        pictures = [page.picture for page in pages]
        owner = viewer.person.id
        try:
            readings = await self._reader.read(pictures, schema=asked.schema, owner=owner)
        finally:
            await self._reader.forget(pictures)
        if asked.schema is not None:
            seen = await self._seen(viewer, asked.schema, pages)
            custom = await asyncio.to_thread(extract_custom, readings, asked.schema)
            return None, custom if seen is None else seen_custom(custom, seen)
        template = named or await self._recognised(readings)
        seen = await self._seen(viewer, json_schema(template), pages)
        today = dt.datetime.fromtimestamp(self._clock()).astimezone().date()
        return template, await asyncio.to_thread(extract, readings, template, today=today, seen=seen)

    async def _recognised(self, readings: Readings) -> Template:
        template = await asyncio.to_thread(recognise, readings, self.templates)
        if template is None:
            raise BadRequestError(
                "None of the templates fits these pages. Name the template, or send a JSON Schema in schema.",
                zh="没有模板适合这些页面，请指定模板，或在 schema 中给出 JSON Schema。",
                param="template",
                code="template_not_recognised",
            )
        return template

    async def _seen(
        self, viewer: Viewer, schema: Mapping[str, Any], pages: Sequence[Page]
    ) -> Mapping[str, Any] | None:
        """The second reading, by an engine that sees; None: there is none, or it failed, which the log tells."""
        if not self._chat.engine.capabilities.sees:
            return None
        question = Question(
            turns=(Turn("user", (*(page.picture for page in pages), _SIGHT)),),
            response_format=ResponseFormat(schema),
            schema_param="schema",
            param="input",
            owner=viewer.person.id,
            spent=viewer.spent,
        )
        try:
            found = json.loads(await self._chat.whole(question))
        except EngineError as error:
            log.warning("there is no second reading: %s", error.message)
            return None
        except ValueError:
            log.warning("there is no second reading: the engine's answer is no JSON")
            return None
        return found if isinstance(found, dict) else None

    async def _keep(self, stored: Stored, template: Template | None, pages: Sequence[Page]) -> None:
        identity = identity_of(stored.extraction, template) if template is not None else None
        mark = self._store.mark((identity,)) if identity is not None else None
        pictures = [await asyncio.to_thread(to_jpeg, page.picture) for page in pages]
        await self._compare(stored, mark)
        await asyncio.to_thread(self._store.add, stored, pictures, mark)
        if mark is not None and not stored.duplicate_of and await self._compare(stored, mark):
            # Another one came in between: the earlier of the two is the first.
            await asyncio.to_thread(self._store.save, stored)

    async def _compare(self, stored: Stored, mark: bytes | None) -> bool:
        """Say in a result whether the same document is known, as far as it can be told; returns whether it is."""
        seen = await asyncio.to_thread(self._store.seen, mark) if mark is not None else None
        known = seen is not None and seen.id != stored.id
        checks = [check for check in stored.extraction.checks if check.name != review.DUPLICATE]
        stored.duplicate_of = ""
        if seen is not None and known:
            own = seen.owner == stored.owner
            # The id of somebody else's result is nobody's business.
            stored.duplicate_of = seen.id if own else ""
            day = dt.datetime.fromtimestamp(seen.created).astimezone().date().isoformat()
            checks.append(review.duplicate("own" if own else "other", day))
        elif mark is not None:
            checks.append(review.duplicate(None, ""))
        verdict = "fail" if known else stored.extraction.verdict
        stored.extraction = replace(stored.extraction, checks=tuple(checks), verdict=verdict)
        return known

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
            before=_position(after),
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
            following = f"{found[-1].created!r}_{found[-1].id}"
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
            await self._compare(stored, mark)
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
        await asyncio.to_thread(self._store.delete, name, keep_mark=stored.state == "approved")
        await self.deliveries.forget(KIND, name)

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
        template = self._template_of(stored)
        now = review.current(stored, template)
        now = replace(now, verdict=stored.extraction.verdict)
        left = tuple(review.unsettled(stored, now, template))
        return Standing(stored, now, template, left, own=stored.owner == viewer.person.id)

    def _identity(self, stored: Stored, template: Template | None) -> str | None:
        return identity_of(review.current(stored, template), template) if template is not None else None

    def _template_of(self, stored: Stored) -> Template | None:
        return self.templates.get(stored.extraction.template)

    async def _sweep(self) -> None:
        while True:
            try:
                moment = self._clock() - self._rules().days * 24 * 3600
                while gone := await asyncio.to_thread(self._store.delete_before, moment):
                    for name in gone:
                        await self.deliveries.forget(KIND, name)
            except VlproError as error:
                log.warning("old results were not deleted: %s", error.message)
            await asyncio.sleep(_SWEEP_S)


def _position(after: str) -> tuple[float, str] | None:
    if not after:
        return None
    made, _, name = after.partition("_")
    try:
        return float(made), name
    except ValueError:
        raise BadRequestError(
            "after must be the next of an earlier page.",
            zh="after 必须是前一页返回的 next。",
            param="after",
        ) from None
