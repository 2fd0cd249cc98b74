"""A document becomes a result: pages read in, recorded, read, checked, compared with others, stored."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vlpro.audit.events import Event, Outcome
from vlpro.chat.json_schema import check_schema
from vlpro.chat.service import ChatService, Question, Turn
from vlpro.engines.interface import ResponseFormat
from vlpro.engines.reading import Readings
from vlpro.errors import BadRequestError, ConflictError, EngineError, VlproError
from vlpro.identity.labels import Level, check_read
from vlpro.imaging.encode import to_jpeg
from vlpro.workflows.extraction.custom import seen_custom
from vlpro.workflows.extraction.duplicates import compare
from vlpro.workflows.extraction.extract import extract, extract_custom, identity_of, recognise
from vlpro.workflows.extraction.result import Extraction
from vlpro.workflows.extraction.standing import Viewer
from vlpro.workflows.extraction.store import ExtractionStore
from vlpro.workflows.extraction.stored import PageNote, Stored
from vlpro.workflows.extraction.template import CUSTOM, Template, json_schema
from vlpro.workflows.pages import Input, Page, read_pages
from vlpro.workflows.reading import PageReader

__all__ = ["AUTO", "KIND", "Asked", "DocumentReader"]

log = logging.getLogger(__name__)

AUTO = "auto"
KIND = "extraction"
"""Of workflows and deliveries."""

_SIGHT = (
    "Read the document in the pictures. Give each value as it is written there; null where it is not there."
)


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
        once: The same however often the caller asks for the same; empty: each time is another one.
    """

    inputs: Sequence[Input]
    template: str = AUTO
    schema: Mapping[str, Any] | None = None
    review: bool = False
    deliver: str = ""
    level: Level | None = None
    metadata: Mapping[str, str] | None = None
    once: str = ""


class DocumentReader:
    """Reads documents as fields.

    Args:
        chat: The main engine, the reader of pictures and the audit.
        reader: Gives the text of pages.
        store: Where results go.
        templates: By name.
        max_pages: Of one document.
        clock: Unix time.
    """

    def __init__(
        self,
        chat: ChatService,
        reader: PageReader,
        store: ExtractionStore,
        templates: Mapping[str, Template],
        *,
        max_pages: int,
        clock: Callable[[], float],
    ) -> None:
        self._chat = chat
        self._reader = reader
        self._store = store
        self._templates = templates
        self._max_pages = max_pages
        self._clock = clock
        self._recorder = chat.recorder

    async def read(self, viewer: Viewer, asked: Asked) -> Stored:
        """Read a document; what was read before under the same ``once`` is given as it stands.

        Raises:
            BadRequestError: A file cannot be used, or there is no such template or schema; names the field.
            ConflictError: Something else was read under the same ``once``.
            ForbiddenError: The level is above the person's.
            BusyError: Too many wait.
            EngineError: The engine failed.
            AuditError: It cannot be recorded.
        """
        person = viewer.person
        named = self._named(asked)
        level = person.level if asked.level is None else asked.level
        check_read(person.level, level)
        if asked.schema is not None:
            await asyncio.to_thread(check_schema, asked.schema, "schema")
        pages = await read_pages(
            asked.inputs,
            self._chat.reader,
            max_pixels_used=self._reader.pixels,
            max_pages=self._max_pages,
        )
        name = self._store.new_id(person.id, asked.once)
        if asked.once and (known := await self._known(viewer, name, pages)) is not None:
            return known
        # Durable before any engine hears of it: without a record there is no result.
        started = await self._recorder.anote(
            Event.WORKFLOW_STARTED, object=name, detail=self._start(asked, pages, level)
        )
        try:
            template, read = await self._found(viewer, asked, named, pages)
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
        return stored

    async def _known(self, viewer: Viewer, name: str, pages: Sequence[Page]) -> Stored | None:
        stored = await asyncio.to_thread(self._store.load, name)
        if stored is None:
            return None
        check_read(viewer.person.level, stored.level)
        if [page.sha256 for page in stored.pages] != [page.picture.sha256 for page in pages]:
            raise ConflictError(
                "This Idempotency-Key was used for other files. Take a new one for each document.",
                zh="该 Idempotency-Key 已用于其他文件，请为每份单据使用新的值。",
                param="Idempotency-Key",
                code="idempotency_key_reused",
            )
        # Whoever read it may have ended before it was told, and before that was on the record.
        told = {"template": stored.extraction.template, "verdict": stored.extraction.verdict}
        await self._recorder.anote(
            Event.WORKFLOW_COMPLETED, object=name, detail={"workflow": KIND, "again": True, **told}
        )
        return stored

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
        if asked.template not in self._templates:
            known = ", ".join((AUTO, CUSTOM, *self._templates))
            raise BadRequestError(
                f"There is no template {asked.template[:100]!r}. Use one of: {known}.",
                zh=f"没有模板 {asked.template[:100]!r}，可用：{known}。",
                param="template",
                code="unknown_template",
            )
        return self._templates[asked.template]

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

    async def _found(
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
        template = await asyncio.to_thread(recognise, readings, self._templates)
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
        await compare(self._store, stored, mark)
        await asyncio.to_thread(self._store.add, stored, pictures, mark)
        if mark is not None and not stored.duplicate_of and await compare(self._store, stored, mark):
            # Another one came in between: the earlier of the two is the first.
            await asyncio.to_thread(self._store.save, stored)
