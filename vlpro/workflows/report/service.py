"""A report's path: pictures read in, recorded, looked at one by one, concluded, stored; then taken out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from vlpro.audit.events import Event, Outcome
from vlpro.chat.service import ChatService, Question, Turn
from vlpro.documents.label import Label
from vlpro.documents.writing import written
from vlpro.engines.interface import Language, ResponseFormat, Usage
from vlpro.engines.reading import Reading, decode
from vlpro.errors import BusyError, ContextLengthError, NotFoundError, VlproError
from vlpro.identity.labels import Level, check_read
from vlpro.identity.principal import Person
from vlpro.imaging.encode import to_jpeg
from vlpro.imaging.picture import Picture
from vlpro.masking import Masking
from vlpro.workflows.pages import Input, Page, read_pages
from vlpro.workflows.paging import place_of
from vlpro.workflows.report import proof, sight
from vlpro.workflows.report.document import annotated, document_of
from vlpro.workflows.report.options import ReportOptions
from vlpro.workflows.report.result import Finding, Report, ReportPicture
from vlpro.workflows.report.store import ReportStore, StoredReport

__all__ = ["MOST_PICTURES", "Asked", "Asker", "Format", "ReportService", "Shown", "State"]

log = logging.getLogger(__name__)

T = TypeVar("T")
Format = Literal["docx", "pdf"]
State = Literal["in_progress", "completed", "failed", "cancelled"]

MOST_PICTURES = 16
KIND = "report"

_AT_ONCE, _EACH = 8, 2  # reports that are made: of all people, of one; each holds its pictures in memory
_REMEMBERED = 200  # reports that came to no end, of which it is told why
_SWEEP_S = 3_600.0
_DAY_S = 86_400.0
_AGAIN_S = 5.0
_TRIES = 60  # of a question that finds the queue full


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and who is told what engines took; None: nobody."""

    person: Person
    spent: Callable[[Usage], None] | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be reported on.

    Args:
        inputs: Pictures and PDFs, with 16 pictures or pages at most.
        instruction: What to look for; may be empty.
        title: Of the report; empty: the engine's.
        language: To write in.
        level: How confidential; None: as much as the person may read.
    """

    inputs: Sequence[Input]
    instruction: str = ""
    title: str = ""
    language: Language = "zh"
    level: Level | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A report as its owner sees it.

    Args:
        id: Its name.
        created: Unix time.
        state: How far it is.
        level: How confidential.
        done: Steps that are done: one a picture, and one for the conclusion.
        steps: How many there are.
        stored: The report; None until it is complete.
        error: Why it came to no end.
    """

    id: str
    created: float
    state: State
    level: Level
    done: int
    steps: int
    stored: StoredReport | None = None
    error: VlproError | None = None


@dataclass(slots=True, eq=False)
class _Run:
    """A report that is being made, or that came to no end."""

    id: str
    owner: str
    level: Level
    created: float
    steps: int
    done: int = 0
    state: State = "in_progress"
    task: asyncio.Task[StoredReport] | None = None
    error: VlproError | None = None

    def shown(self) -> Shown:
        return Shown(self.id, self.created, self.state, self.level, self.done, self.steps, error=self.error)


class ReportService:
    """Makes reports and keeps them for their owners.

    Args:
        chat: The engine, the reader of pictures and the audit.
        store: Where reports lie.
        options: How long.
        producer: Name or code by which documents say who generated them.
        keeps_pictures: Whether the policy keeps pictures.
        masking: What is masked in what is taken out; None: nothing.
        clock: Unix time.
    """

    def __init__(
        self,
        chat: ChatService,
        store: ReportStore,
        options: ReportOptions,
        *,
        producer: str,
        keeps_pictures: Callable[[], bool] = lambda: False,
        masking: Callable[[], Masking | None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._chat = chat
        self._store = store
        self._options = options
        self._producer = producer
        self._keeps_pictures = keeps_pictures
        self.masking = masking
        self._clock = clock
        self._recorder = chat.recorder
        self._runs: dict[str, _Run] = {}
        self._sweeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to delete what has been kept for long enough."""
        self._sweeping = asyncio.create_task(self._sweep())

    async def close(self) -> None:
        """End, with all reports that are being made."""
        tasks: list[asyncio.Task[Any]] = [run.task for run in self._runs.values() if run.task is not None]
        tasks += [self._sweeping] if self._sweeping is not None else []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def going(self) -> int:
        """Reports that are being made."""
        return sum(run.state == "in_progress" for run in self._runs.values())

    def label(self, name: str) -> Label:
        """What a report's files say of who generated them."""
        return Label(self._producer, name)

    # --- making

    async def begin(self, asker: Asker, asked: Asked) -> Shown:
        """Begin a report; it is made in the background.

        Raises:
            BadRequestError: A picture cannot be used, or there are too many; names the field.
            ForbiddenError: The level is above the person's.
            BusyError: Too many are being made.
            AuditError: It cannot be recorded.
        """
        return (await self._begin(asker, asked)).shown()

    async def make(self, asker: Asker, asked: Asked) -> Shown:
        """Make a report, and wait for it; it is stopped where nobody waits any more.

        Raises:
            BadRequestError: As :meth:`begin`.
            ForbiddenError: As :meth:`begin`.
            BusyError: As :meth:`begin`.
            EngineError: The engine failed.
            AuditError: It cannot be recorded.
        """
        run = await self._begin(asker, asked)
        assert run.task is not None  # noqa: S101 - it was begun
        try:
            stored = await run.task
        finally:
            run.task.cancel()
        return _complete(stored)

    async def _begin(self, asker: Asker, asked: Asked) -> _Run:
        person = asker.person
        level = person.level if asked.level is None else asked.level
        check_read(person.level, level)
        name = f"report_{secrets.token_hex(12)}"
        run = _Run(name, person.id, level, self._clock(), steps=1)
        self._make_room(run)
        try:
            pages = await read_pages(
                asked.inputs,
                self._chat.reader,
                max_pixels_used=self._chat.engine.capabilities.picture_pixels,
                max_pages=MOST_PICTURES,
            )
            run.steps = len(pages) + 1
            # Durable before any engine hears of it: without a record there is no report.
            started = await self._recorder.anote(
                Event.WORKFLOW_STARTED, object=name, detail=self._start(asked, pages, level)
            )
        except BaseException:
            del self._runs[name]
            raise
        run.task = asyncio.create_task(self._recorded(run, asker, asked, pages, started))
        run.task.add_done_callback(lambda task: task.cancelled() or task.exception())  # it is told in the run
        return run

    def _make_room(self, run: _Run) -> None:
        going = [one for one in self._runs.values() if one.state == "in_progress"]
        if len(going) >= _AT_ONCE or sum(one.owner == run.owner for one in going) >= _EACH:
            raise BusyError(
                "Too many reports are being made now. Wait until one of them is complete, or stop it.",
                zh="正在生成的报告过多，请等其中一份完成，或先停止它。",
                retry_after=30,
            )
        over = [name for name, one in self._runs.items() if one.state != "in_progress"]
        for name in over[: max(0, len(over) - _REMEMBERED)]:
            del self._runs[name]
        self._runs[run.id] = run

    def _start(self, asked: Asked, pages: Sequence[Page], level: Level) -> dict[str, Any]:
        files = {page.picture.sha256: _named(page.picture) for page in pages}
        said, _ = self._recorder.commit_to(asked.instruction)
        engine = self._chat.engine
        return {
            "workflow": KIND,
            "images": list(files.values()),
            "pages": len(pages),
            "instruction": said,
            "level": level.word,
            "engine": engine.name,
            "model": engine.capabilities.model,
        }

    async def _recorded(
        self, run: _Run, asker: Asker, asked: Asked, pages: Sequence[Page], started: int
    ) -> StoredReport:
        """Make a report, and record how that ended: before anybody is told of a complete one."""
        about: dict[str, Any] = {"workflow": KIND, "started": started}
        try:
            report = await self._report(run, asker, asked, pages)
            pictures = [await asyncio.to_thread(to_jpeg, page.picture) for page in pages]
            kept = frozenset(range(1, len(pictures) + 1))
            stored = StoredReport(run.id, run.owner, run.level, run.created, report, kept)
            await asyncio.to_thread(self._store.add, stored, pictures)
            severities = [finding.severity for finding in report.findings]
            about |= {
                "verdict": report.verdict,
                "findings": {one: severities.count(one) for one in set(severities)},
            }
            try:
                await self._recorder.anote(Event.WORKFLOW_COMPLETED, object=run.id, detail=about)
            except VlproError:
                await asyncio.to_thread(self._store.delete, run.id)
                raise
        except BaseException as error:
            known = error if isinstance(error, VlproError) else None
            run.error, run.state = (
                known,
                "cancelled" if isinstance(error, asyncio.CancelledError) else "failed",
            )
            if known is None and run.state == "failed":
                log.exception("a report failed")
                run.error = VlproError("Something failed inside the service.", zh="服务内部出错。")
            self._recorder.later(
                Event.WORKFLOW_COMPLETED,
                object=run.id,
                outcome=Outcome.REFUSED if run.state == "cancelled" else Outcome.FAILED,
                detail=about | {"why": run.error.code if run.error is not None else "stopped"},
            )
            raise
        del self._runs[run.id]
        return stored

    async def _report(self, run: _Run, asker: Asker, asked: Asked, pages: Sequence[Page]) -> Report:
        engine = self._chat.engine
        draft = Report(
            title=asked.title,
            summary="",
            verdict="review",
            findings=(),
            pictures=tuple(_known(page) for page in pages),
            instruction=asked.instruction,
            language=asked.language,
            engine=engine.name,
            model=engine.capabilities.model,
            sees=engine.capabilities.sees,
        )
        pictures = [page.picture for page in pages]
        try:
            report = await (self._seen if draft.sees else self._read)(run, asker, draft, pictures)
        finally:
            await engine.forget(frozenset(picture.pixels_sha256 for picture in pictures))
        masking = self._chat.masking()
        return _masked(report, masking) if masking is not None else report

    async def _seen(self, run: _Run, asker: Asker, draft: Report, pictures: Sequence[Picture]) -> Report:
        """By an engine that sees."""
        findings: list[Finding] = []
        for number, picture in enumerate(pictures, 1):
            text = sight.picture_question(number, len(pictures), draft.instruction, draft.language)
            answer = await self._ask(asker, (picture, text), sight.PICTURE_SCHEMA)
            findings += sight.found(answer, number, (picture.original_width, picture.original_height))
            run.done = number
        draft = replace(draft, findings=tuple(findings))
        text = sight.whole_question(findings, len(pictures), draft.instruction, draft.language)
        try:
            answer = await self._ask(asker, (*pictures, text), sight.WHOLE_SCHEMA)
        except ContextLengthError:  # all of them at once are too much: what was found in each has to do
            answer = await self._ask(asker, (text,), sight.WHOLE_SCHEMA)
        title, summary, verdict = sight.concluded(answer, draft)
        run.done = run.steps
        return replace(draft, title=title, summary=summary, verdict=verdict)

    async def _read(self, run: _Run, asker: Asker, draft: Report, pictures: Sequence[Picture]) -> Report:
        """By an engine that reads."""
        readings: list[Reading] = []
        for number, picture in enumerate(pictures, 1):
            readings += decode(await self._ask(asker, (picture, "read"), None)).pictures
            run.done = number
        title, summary = proof.concluded(readings, draft.engine, draft.language)
        run.done = run.steps
        findings = proof.found(readings, draft.language)
        return replace(draft, title=draft.title or title, summary=summary, findings=findings)

    async def _ask(
        self, asker: Asker, parts: tuple[str | Picture, ...], form: Mapping[str, Any] | None
    ) -> str:
        """An answer in a form, or a reading where there is none; a full queue is waited for."""
        question = Question(
            turns=(Turn("user", parts),),
            response_format=ResponseFormat(form) if form is not None else None,
            param="input",
            owner=asker.person.id,
            spent=asker.spent,
        )
        for _ in range(_TRIES):
            try:
                return await self._chat.whole(question, reading=form is None)
            except BusyError as error:
                await asyncio.sleep(min(error.retry_after, _AGAIN_S))
        return await self._chat.whole(question, reading=form is None)

    # --- finding

    async def get(self, person: Person, name: str) -> Shown:
        """One's own report, complete or not.

        Raises:
            NotFoundError: There is none of this id, or it is somebody else's.
            ForbiddenError: It is marked above what the person may read.
        """
        run = self._runs.get(name)
        if run is not None:
            if run.owner != person.id:
                raise _unknown(foreign=True)
            check_read(person.level, run.level)
            return run.shown()
        return _complete(await self._stored(person, name))

    async def page(self, person: Person, *, after: str, limit: int) -> tuple[list[Shown], str | None]:
        """One's own reports, the newest first, with those that are being made; and what to ask for the page after.

        Raises:
            BadRequestError: ``after`` is no such value.
        """
        before = place_of(after)
        found = await asyncio.to_thread(
            self._store.page, person.id, person.level, before=before, limit=limit + 1
        )
        more, found = len(found) > limit, found[:limit]
        stored = {one.id for one in found}
        going = [
            run.shown()
            for run in reversed(self._runs.values())
            if not after and run.owner == person.id and run.level <= person.level and run.id not in stored
        ]
        following = f"{found[-1].created!r}~{found[-1].id}" if more else None
        return [*going, *(_complete(one) for one in found)], following

    async def _stored(self, person: Person, name: str) -> StoredReport:
        found = await asyncio.to_thread(self._store.get, name[:64])
        if found is None or found.owner != person.id:
            raise _unknown(foreign=found is not None)
        check_read(person.level, found.level)
        return found

    async def picture(self, person: Person, name: str, number: int, *, boxes: bool) -> bytes:
        """A picture of a report as a JPEG.

        Args:
            person: Who asks.
            name: Of the report.
            number: Of the picture, from 1.
            boxes: Whether its findings' numbered boxes are drawn on it.

        Raises:
            NotFoundError: There is no such report or picture, or it is not kept any more.
        """
        stored = await self._stored(person, name)
        jpeg = await asyncio.to_thread(self._store.picture, stored, number)
        if jpeg is None:
            raise NotFoundError(
                "There is no such picture, or it was deleted when its time was over.",
                zh="没有这张图片，或已按保存期限删除。",
                code="picture_not_found",
            )
        if not boxes:
            return jpeg
        return (await asyncio.to_thread(annotated, stored.report, number, jpeg))[0]

    async def document(self, person: Person, name: str, kind: Format) -> bytes:
        """A report as a Word or PDF file; that it is taken out is recorded first.

        Raises:
            NotFoundError: There is no such report.
            ConfigError: This machine has no font for a PDF.
        """
        stored = await self._stored(person, name)
        masking = self.masking()
        if masking is not None:
            stored = replace(stored, report=_masked(stored.report, masking))
        await self._recorder.anote(
            Event.WORKFLOW_EXPORTED,
            object=name,
            detail={"workflow": KIND, "format": kind, "pictures": len(stored.pictures)},
        )

        def write() -> bytes:
            found = {number: self._store.picture(stored, number) for number in sorted(stored.pictures)}
            pictures = {number: jpeg for number, jpeg in found.items() if jpeg is not None}
            document = document_of(stored, pictures, self.label(name))
            return written(document, kind)

        return await asyncio.to_thread(write)

    # --- ending

    async def cancel(self, person: Person, name: str) -> Shown:
        """Stop a report that is being made; a complete one stays as it is. Raises: as :meth:`get`."""
        shown = await self.get(person, name)
        run = self._runs.get(name)
        if run is not None and run.task is not None and not run.task.done():
            run.task.cancel()
            with contextlib.suppress(asyncio.CancelledError, VlproError):
                await asyncio.wait([run.task])
            return await self.get(person, name)
        return shown

    async def delete(self, person: Person, name: str) -> None:
        """Delete a report with its pictures; one that is being made is stopped. Raises: as :meth:`get`."""
        shown = await self.cancel(person, name)
        self._runs.pop(name, None)
        if shown.stored is not None:
            await self._recorder.anote(
                Event.WORKFLOW_DECIDED, object=name, detail={"workflow": KIND, "decision": "deleted"}
            )
            await asyncio.to_thread(self._store.delete, name)

    async def _sweep(self) -> None:
        while True:
            now = self._clock()
            pictures = None if self._keeps_pictures() else now - self._options.picture_days * _DAY_S
            before = now - self._options.days * _DAY_S
            try:
                await asyncio.to_thread(self._store.sweep, reports_before=before, pictures_before=pictures)
            except VlproError as error:
                log.warning("reports that are over were not deleted: %s", error.message)
            await asyncio.sleep(_SWEEP_S)


def _complete(stored: StoredReport) -> Shown:
    steps = len(stored.report.pictures) + 1
    return Shown(stored.id, stored.created, "completed", stored.level, steps, steps, stored)


def _known(page: Page) -> ReportPicture:
    picture = page.picture
    return ReportPicture(
        page.name, page.page, picture.original_width, picture.original_height, picture.sha256
    )


def _named(picture: Picture) -> dict[str, Any]:
    """A file, as the record names it."""
    said = {"sha256": picture.sha256, "bytes": picture.size, "format": picture.format}
    return said | ({"sm3": picture.sm3} if picture.sm3 else {})


def _masked(report: Report, masking: Masking) -> Report:
    return replace(
        report,
        title=masking.text(report.title),
        summary=masking.text(report.summary),
        instruction=masking.text(report.instruction),
        findings=tuple(replace(one, text=masking.text(one.text)) for one in report.findings),
    )


def _unknown(*, foreign: bool = False) -> NotFoundError:
    return NotFoundError(
        "There is no such report.", zh="没有这份报告。", code="report_not_found", foreign=foreign
    )
