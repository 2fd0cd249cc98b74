"""Batches: made, worked on in the background, paused, resumed and cancelled; each line by the way of any request.

A line is asked in its owner's name and with the permissions of that moment, gives way to people
(:func:`vlpro.chat.queue.in_background`), and is stored in one transaction with its count. So a process that is killed
at any point leaves lines that were answered and lines that wait; whoever takes the batch over goes on with these.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, NamedTuple, Protocol

from vlpro.audit.events import Event, Outcome
from vlpro.audit.record import Actor
from vlpro.audit.recorder import Recorder
from vlpro.chat.queue import in_background
from vlpro.chat.service import Question, Turn
from vlpro.documents.label import Label
from vlpro.engines.interface import Engine, Usage
from vlpro.errors import (
    AuditError,
    BadRequestError,
    BusyError,
    ConflictError,
    DatabaseError,
    ForbiddenError,
    NotFoundError,
    RequestTooLargeError,
    UnauthenticatedError,
    VlproError,
)
from vlpro.identity.principal import Person, Principal
from vlpro.imaging.encode import thumbnail
from vlpro.imaging.pdf import is_pdf
from vlpro.imaging.workers import PictureReader
from vlpro.masking import Masking
from vlpro.workflows.batch import requests, results
from vlpro.workflows.batch.archive import ArchiveLimits
from vlpro.workflows.batch.files import PART_BYTES, FileStore, NewFile, Purpose, StoredFile
from vlpro.workflows.batch.options import BatchOptions
from vlpro.workflows.batch.sources import Sources
from vlpro.workflows.batch.store import COMPLETED, FAILED, LEASE_S, Batch, BatchStore, Head, Line, State

__all__ = ["Api", "BatchService", "Progress", "Reply"]

log = logging.getLogger(__name__)

_LOOK_S = 1.0  # what other processes changed is seen within this time
_AGAIN_S = 2.0  # before a line is asked again for which the engine, the audit or the database was not there
_TIDY_S = 600.0
_FIGURE_SIDE = 1000  # pixels of a picture in a report
_FIGURE_PIXELS = 1_500_000
_RATE_S = 120.0  # over which the rate is told
_TRANSIENT = (429, 503)
_DAY_S = 86_400.0
_WINDOW = re.compile(r"^([1-9]\d{0,2})([hd])$")
_MOST_DAYS = 30


class Reply(NamedTuple):
    """What the API answered: the status, the request's id, and the body, JSON."""

    status: int
    request_id: str
    body: bytes


class Api(Protocol):
    """The API's own routes, called in somebody's name."""

    async def post(self, who: Principal, actor: Actor, path: str, body: bytes) -> Reply:
        """Send a request; whatever is refused is an answer, too."""

    async def ask(self, who: Principal, actor: Actor, question: Question) -> Reply:
        """Ask a question whose pictures are read in already; the answer is a chat completion."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How fast a batch goes on; None where that is not known (yet).

    Args:
        per_second: Lines.
        seconds_left: Until all are answered.
        waits_for: Code of what it waits for, such as an engine that is not ready; empty: nothing.
    """

    per_second: float | None = None
    seconds_left: float | None = None
    waits_for: str = ""


class _HoldError(Exception):
    """A line cannot be asked now, nor can the others: the batch is paused."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class BatchService:
    """Everything that can be done with files and batches.

    Args:
        files: Where files are.
        store: Where batches are.
        reader: Reads pictures and PDFs.
        options: The settings.
        recorder: Of the audit; nothing is begun without a record.
        owner: Who somebody is now, by account and key. Raises as
            :meth:`vlpro.identity.authentication.Authentication.aowner`.
        max_line_bytes: Of a request in a file.
        max_document_bytes: Of a picture or PDF.
        picture_pixels: The most pixels that the engine wants of a picture.
        producer: Name or code by which files say who generated them.
        clock: Unix time.

    Attributes:
        api: Answers the lines; set before :meth:`start`.
        cluster: What answers them instead of the engine here; it is started and stopped with the batches.
        masking: Which personal data is masked in results that are taken out; None: none.
        generates: Whether the engine writes answers, rather than reads them: results say so.
    """

    api: Api

    def __init__(
        self,
        files: FileStore,
        store: BatchStore,
        reader: PictureReader,
        options: BatchOptions,
        recorder: Recorder,
        *,
        owner: Callable[[str, str | None], Awaitable[Principal]],
        max_line_bytes: int,
        max_document_bytes: int,
        picture_pixels: int,
        producer: str = "vlpro",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.files = files
        self.store = store
        self.options = options
        self.sources = Sources(
            files,
            reader,
            limits=ArchiveLimits(
                max_files=options.max_archive_files,
                max_file_bytes=max_document_bytes,
                max_bytes=options.max_archive_bytes,
                max_ratio=options.max_archive_ratio,
            ),
            max_lines=options.max_lines,
            max_line_bytes=max_line_bytes,
        )
        self.cluster: Engine | None = None
        self.masking: Callable[[], Masking | None] = lambda: None
        self.generates: Callable[[], bool] = lambda: False
        self._recorder = recorder
        self._owner = owner
        self._picture_pixels = picture_pixels
        self._producer = producer
        self._clock = clock
        self._places = asyncio.Semaphore(options.workers)
        self._drivers: dict[str, asyncio.Task[None]] = {}
        self._news: dict[str, asyncio.Event] = {}
        self._done: dict[str, deque[float]] = {}
        self._waits_for: dict[str, str] = {}
        self._look = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    # --- files

    async def add_file(
        self,
        person: Person,
        pieces: AsyncIterator[bytes],
        told: Callable[[], tuple[str, Purpose, float | None]],
    ) -> StoredFile:
        """Store a file as it comes in; none of it is ever written in clear.

        Args:
            person: Whose.
            pieces: Its bytes.
            told: Asked when all have come: its name, its purpose, and the seconds after which it is to be deleted.

        Raises:
            RequestTooLargeError: It is too large.
            BadRequestError: It is empty.
            ConflictError: The person's files take as much as they may.
        """
        new = await asyncio.to_thread(self.files.begin, person, self.options.max_owner_bytes)
        try:
            sha256 = await self._write(new, pieces)
            name, purpose, keep_s = told()
            return await asyncio.to_thread(
                self.files.finish, new, name, purpose, sha256, keep_s=keep_s or self._keep_s
            )
        except BaseException:
            await asyncio.shield(asyncio.to_thread(self.files.discard, new))
            raise

    async def _write(self, new: NewFile, pieces: AsyncIterator[bytes]) -> str:
        held, digest, most = bytearray(), hashlib.sha256(), self.options.max_file_bytes
        async for piece in pieces:
            held += piece
            if new.bytes + len(held) > most:
                raise RequestTooLargeError(
                    f"The file is larger than {most / 1e6:g} MB. Split it.",
                    zh=f"文件超过 {most / 1e6:g} MB，请拆分。",
                    param="file",
                )
            while len(held) >= PART_BYTES:
                part = bytes(held[:PART_BYTES])
                del held[:PART_BYTES]
                digest.update(part)
                await asyncio.to_thread(self.files.append, new, part)
        digest.update(held)
        if held:
            await asyncio.to_thread(self.files.append, new, bytes(held))
        if not new.bytes:
            raise BadRequestError("The file is empty.", zh="文件为空。", param="file", code="empty_file")
        return digest.hexdigest()

    @property
    def _keep_s(self) -> float:
        return self.options.days * _DAY_S

    # --- what people do with batches

    async def create(self, who: Principal, actor: Actor, head: Head) -> Batch:
        """Begin a batch.

        Args:
            who: Whose.
            actor: Who asks; its key, if any, is asked for again at each line.
            head: What is asked.

        Raises:
            NotFoundError: A file is not there, or is somebody else's.
            BadRequestError: A file is for something else, or the window is none.
            ConflictError: The person has too many batches going on.
            AuditError: It cannot be recorded, and is not begun.
        """
        window_s = _window_s(head.window)
        digests = []
        for index, name in enumerate(head.inputs):
            param = "input_file_id" if head.jsonl else f"input.file_ids[{index}]"
            file = await asyncio.to_thread(self.files.get, who.person, name, param=param)
            if head.jsonl != (file.purpose == "batch"):
                wanted = "batch" if head.jsonl else "user_data"
                raise BadRequestError(
                    f"This file has the purpose {file.purpose}. Upload it with purpose {wanted}.",
                    zh=f"该文件的用途为 {file.purpose}，请以用途 {wanted} 上传。",
                    param=param,
                    code="invalid_purpose",
                )
            digests.append(file.sha256)
        most = self.options.max_owner_batches
        if await asyncio.to_thread(self.store.count_going, who.person) >= most:
            raise ConflictError(
                f"{most} batches of yours go on, which is all that may. Wait until one has ended.",
                zh=f"您已有 {most} 个批处理在进行，请等待其中一个结束。",
                code="too_many_batches",
            )
        name = self.store.new_id()
        detail = {
            "change": "created",
            "endpoint": head.endpoint,
            "files": len(digests),
            "sha256": digests[:20],
        }
        if head.template:
            detail["template"] = head.template
        await self._recorder.anote(Event.BATCH_CHANGED, object=name, detail=detail)
        head = replace(head, actor=actor)
        batch = await asyncio.to_thread(self.store.add, name, who.person, head, window_s=window_s)
        self._look.set()
        return batch

    async def pause(self, person: Person, name: str) -> Batch:
        """Ask no further lines; those that are being answered end. Raises: NotFoundError, ConflictError."""
        return await self._changed(person, name, "paused", paused=True, why="paused")

    async def resume(self, person: Person, name: str, actor: Actor) -> Batch:
        """Go on, in the name of who resumes. Raises: NotFoundError, ConflictError."""
        return await self._changed(person, name, "resumed", paused=False, why="", actor=actor)

    async def cancel(self, person: Person, name: str) -> Batch:
        """End a batch; what was answered stays. Raises: NotFoundError, ConflictError."""
        return await self._changed(person, name, "cancelling", state="cancelling")

    async def delete(self, person: Person, name: str) -> None:
        """Delete a batch that has ended, with its results.

        Raises:
            NotFoundError: There is none, or it is somebody else's.
            ConflictError: It goes on.
        """
        batch = await asyncio.to_thread(self.store.get, person, name)
        if batch.going:
            raise ConflictError(
                "The batch goes on. Cancel it first.",
                zh="批处理仍在进行，请先取消。",
                code="batch_in_progress",
            )
        await self._note(batch, "deleted")
        await asyncio.to_thread(self.store.delete, name)

    async def results(
        self, person: Person, name: str, kind: results.Format, language: results.Language
    ) -> bytes:
        """A batch's results as one file; that it goes out is recorded first.

        Args:
            person: Who takes them.
            name: Of the batch.
            kind: Of file.
            language: Of its own words.

        Raises:
            NotFoundError: There is none, or it is somebody else's.
            BadRequestError: There are too many lines for a report.
            AuditError: It cannot be recorded.
        """
        batch = await asyncio.to_thread(self.store.get, person, name)
        if kind in ("docx", "pdf") and batch.total > results.REPORT_LINES:
            raise BadRequestError(
                f"A report has at most {results.REPORT_LINES} lines, and this batch {batch.total}. Take xlsx or csv.",
                zh=f"报告最多 {results.REPORT_LINES} 项，该批处理有 {batch.total} 项，请改用 xlsx 或 csv。",
                param="format",
                code="too_many_lines",
            )
        await self._recorder.anote(
            Event.WORKFLOW_EXPORTED, object=name, detail={"format": kind, "lines": batch.total}
        )
        masking = self.masking()
        masked = masking.text if masking is not None else str
        label = Label(self._producer, batch.id) if self.generates() else None

        def read() -> Iterator[results.Result]:
            return (results.result_of(line, masked) for line in self.store.all_lines(batch))

        match kind:
            case "docx" | "pdf":
                lines = await asyncio.to_thread(list, self.store.all_lines(batch))
                found = [(results.result_of(line, masked), await self._figure(batch, line)) for line in lines]
                return await asyncio.to_thread(results.report, batch, found, kind, language, label)
            case _:
                return await asyncio.to_thread(results.as_table, batch, read, kind, language, label)

    async def _figure(self, batch: Batch, line: Line) -> tuple[bytes, int, int] | None:
        """A line's picture as a report shows it; None: it has none, or not any more."""
        if batch.head.jsonl:
            return None
        try:
            picture = await self.sources.picture(batch, line, max_pixels_used=_FIGURE_PIXELS)
        except VlproError:
            return None
        jpeg = await asyncio.to_thread(thumbnail, picture, _FIGURE_SIDE)
        scale = min(1.0, _FIGURE_SIDE / max(picture.width, picture.height))
        return jpeg, max(1, round(picture.width * scale)), max(1, round(picture.height * scale))

    def progress(self, batch: Batch) -> Progress:
        """How fast it goes on, as far as this process knows."""
        done = self._done.get(batch.id)
        waits_for = self._waits_for.get(batch.id, "")
        if not done or batch.paused or batch.state != "in_progress":
            return Progress(waits_for=waits_for)
        now = time.monotonic()
        recent = [when for when in done if when > now - _RATE_S]
        if len(recent) < 3:
            return Progress(waits_for=waits_for)
        rate = (len(recent) - 1) / max(now - recent[0], 1e-3)
        return Progress(rate, (batch.total - batch.completed - batch.failed) / rate, waits_for)

    async def _changed(
        self, person: Person, name: str, what: str, *, state: State | None = None, **more: Any
    ) -> Batch:
        for again in range(5):
            batch = await asyncio.to_thread(self.store.get, person, name)
            if not batch.going:
                raise ConflictError(
                    f"The batch has ended ({batch.state}).",
                    zh=f"该批处理已结束（{batch.state}）。",
                    code="batch_ended",
                )
            if batch.state == "cancelling" or more.get("paused") == batch.paused:
                return batch
            try:
                batch = await asyncio.to_thread(self.store.change, batch, state=state, **more)
            except ConflictError:
                if again == 4:
                    raise
                continue
            await self._note(batch, what)
            self._tell(name)
            return batch
        raise AssertionError

    def _tell(self, name: str) -> None:
        if name in self._news:
            self._news[name].set()
        self._look.set()

    async def _note(
        self,
        batch: Batch,
        what: str,
        *,
        outcome: Outcome = Outcome.OK,
        by: Actor | None = None,
        **more: object,
    ) -> None:
        told = {name: value for name, value in more.items() if value not in ("", None)}
        detail = {"change": what, "lines": batch.total, **told}
        if not batch.going or what in ("completed", "expired", "cancelled", "failed"):
            detail |= {"completed": batch.completed, "failed": batch.failed}
        known = {} if by is None else asdict(by)
        await self._recorder.anote(
            Event.BATCH_CHANGED, object=batch.id, outcome=outcome, detail=detail, **known
        )

    # --- working

    async def start(self) -> None:
        """Go on with what goes on."""
        if self.cluster is not None:
            await self.cluster.start()
        await asyncio.to_thread(self.store.release, all_runners=True)
        self._loop = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop working; another process, or the next one, goes on."""
        tasks = [task for task in (self._loop, *self._drivers.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._loop = None
        if self.cluster is not None:
            await self.cluster.stop()
        try:
            await asyncio.to_thread(self.store.release)
        except DatabaseError as error:
            log.warning("batches were not released: %s", error.message)

    async def _run(self) -> None:
        claimed_at = tidied_at = float("-inf")
        while True:
            now = time.monotonic()
            try:
                if now - tidied_at > _TIDY_S:
                    tidied_at = now
                    await asyncio.to_thread(self._tidy)
                due = now - claimed_at > LEASE_S / 3 or self._look.is_set()
                self._look.clear()
                if due and await asyncio.to_thread(self.store.any_going):
                    claimed_at = now
                    await self._claim()
            except VlproError as error:
                log.warning("batches wait: %s", error.message)
            try:
                async with asyncio.timeout(_LOOK_S):
                    await self._look.wait()
            except TimeoutError:
                pass

    def _tidy(self) -> None:
        self.files.expire()
        self.store.expire(self._clock() - self._keep_s)

    async def _claim(self) -> None:
        mine = await asyncio.to_thread(self.store.claim)
        for name in mine:
            if name not in self._drivers:
                self._news[name] = asyncio.Event()
                self._done[name] = deque(maxlen=1000)
                task = self._drivers[name] = asyncio.create_task(self._drive(name))
                task.add_done_callback(partial(self._let_go, name))
        for name in set(self._drivers) - set(mine):  # deleted, or taken for dead and taken over
            self._drivers[name].cancel()

    def _let_go(self, name: str, task: asyncio.Task[None]) -> None:
        self._drivers.pop(name)
        self._news.pop(name)
        self._done.pop(name)
        self._waits_for.pop(name, None)
        if not self._drivers:
            self.sources.close()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("batch %s stopped; it is tried again", name, exc_info=error)

    async def _drive(self, name: str) -> None:
        """Work on one batch to its end."""
        while (batch := await asyncio.to_thread(self.store.load, name)) is not None and batch.going:
            try:
                if batch.state == "cancelling":
                    await self._end(batch, "cancelled", "batch_cancelled")
                elif self._clock() >= batch.expires:
                    await self._end(batch, "expired", "batch_expired")
                elif batch.paused:
                    await self._wait_for_news(name)
                elif batch.state == "validating":
                    await self._find_lines(batch)
                else:
                    await self._answer_lines(batch)
            except ConflictError:
                continue  # somebody changed it meanwhile: look again
            except (AuditError, DatabaseError) as error:
                log.warning("batch %s waits: %s", name, error.message)
                await asyncio.sleep(_AGAIN_S)
            except VlproError as error:  # something stored was altered
                await self._hold(batch, error.code)

    async def _wait_for_news(self, name: str) -> None:
        news = self._news[name]
        try:
            async with asyncio.timeout(_LOOK_S):
                await news.wait()
        except TimeoutError:
            return
        news.clear()

    async def _find_lines(self, batch: Batch) -> None:
        await asyncio.to_thread(self.store.clear_lines, batch)
        try:
            async for lines in self.sources.lines(batch):
                await asyncio.to_thread(self.store.add_lines, batch, lines)
        except (BadRequestError, NotFoundError) as error:
            await asyncio.to_thread(self.store.clear_lines, batch)
            told = replace(batch, total=0, failed=0)
            await self._note(told, "failed", outcome=Outcome.FAILED, by=batch.head.actor, why=error.code)
            found = {**requests.refused(0, error), "line": None}
            await asyncio.to_thread(
                self.store.end, batch, "failed", keep_s=self._keep_s, errors=[found], why=error.code
            )
            return
        await asyncio.to_thread(self.store.begin, batch)

    async def _answer_lines(self, batch: Batch) -> None:
        """Answer the lines that wait, until there is none, or the batch is changed."""
        last, going, looked = 0, set[asyncio.Task[None]](), time.monotonic()
        news = self._news[batch.id]
        news.clear()
        try:
            while not news.is_set():
                lines = await asyncio.to_thread(
                    self.store.lines, batch, after=last, limit=self.options.workers, state=0
                )
                for line in lines:
                    last = line.number
                    going.add(asyncio.create_task(self._answer_line(batch, line)))
                    if len(going) >= self.options.workers:
                        going = await _some(going, news)
                    if time.monotonic() - looked > _LOOK_S:
                        looked = time.monotonic()
                        await self._check_unchanged(batch)
                    if news.is_set():
                        break
                if not lines:
                    if not going:
                        await self._complete(batch)
                        return
                    going = await _some(going, news)
                    await self._check_unchanged(batch)
        except _HoldError as hold:
            await self._hold(batch, hold.why)
        except BaseException:
            await _stop(going)
            raise
        fresh = await asyncio.to_thread(self.store.load, batch.id)
        if fresh is None or fresh.state == "cancelling":
            await _stop(going)
        await asyncio.gather(*going, return_exceptions=True)  # a pause lets them end

    async def _check_unchanged(self, batch: Batch) -> None:
        """Another process may have paused or cancelled it; its time may be up."""
        now = await asyncio.to_thread(self.store.load, batch.id)
        if now is None or now.version != batch.version or self._clock() >= batch.expires:
            self._news[batch.id].set()

    async def _hold(self, batch: Batch, why: str) -> None:
        log.warning("batch %s is paused: %s", batch.id, why)
        await self._note(batch, "paused", outcome=Outcome.REFUSED, by=batch.head.actor, why=why)
        await asyncio.to_thread(self.store.change, batch, paused=True, why=why)

    async def _complete(self, batch: Batch) -> None:
        now = await asyncio.to_thread(self.store.load, batch.id)
        if now is None or now.version != batch.version:
            return
        now = await asyncio.to_thread(self.store.change, now, state="finalizing")
        await self._note(now, "completed", by=batch.head.actor)
        await asyncio.to_thread(self.store.end, now, "completed", keep_s=self._keep_s)

    async def _end(self, batch: Batch, state: State, code: str) -> None:
        error = _given_up(code)

        def answer(line: Line) -> bytes:
            return requests.told(line.source["line"], line.source["id"], batch=batch.id, error=error)

        await asyncio.to_thread(self.store.give_up, batch, answer)
        now = await asyncio.to_thread(self.store.load, batch.id)
        if now is None or now.version != batch.version:
            return
        await self._note(now, state, by=batch.head.actor)
        await asyncio.to_thread(self.store.end, now, state, keep_s=self._keep_s)

    # --- one line

    async def _answer_line(self, batch: Batch, line: Line) -> None:
        """Ask one line and store what came of it; where that cannot be now, again later.

        Raises:
            _HoldError: Its owner may not ask any more.
        """
        number, custom_id = line.source["line"], line.source["id"]
        news = self._news[batch.id]
        while not news.is_set():
            try:
                who = await self._who(batch)
                async with self._places:
                    if news.is_set():
                        return
                    reply = await in_background(partial(self._ask, batch, line, who))
            except BusyError as busy:
                self._waits_for[batch.id] = busy.code
                await _pause(news, min(60, busy.retry_after))
                continue
            except (AuditError, DatabaseError) as error:
                self._waits_for[batch.id] = error.code
                await _pause(news, _AGAIN_S)
                continue
            except _HoldError:
                raise
            except Exception as error:  # one line that breaks something must not hold up the others
                if not isinstance(error, VlproError):
                    log.exception("line %d of %s failed", line.number, batch.id)
                known = error if isinstance(error, VlproError) else _inside()
                state, used = FAILED, Usage(0, 0)
                told = requests.told(number, custom_id, batch=batch.id, error=known)
            else:
                if reply.status in _TRANSIENT:
                    self._waits_for[batch.id] = _code(reply.body)
                    await _pause(news, _AGAIN_S)
                    continue
                state, used = COMPLETED if reply.status < 300 else FAILED, _usage(reply.body)
                told = requests.told(
                    number,
                    custom_id,
                    batch=batch.id,
                    status=reply.status,
                    request_id=reply.request_id,
                    body=reply.body,
                )
            self._waits_for.pop(batch.id, None)
            await self._store(batch, line, state, told, used)
            return

    async def _store(self, batch: Batch, line: Line, state: int, told: bytes, used: Usage) -> None:
        """Keep at it: what was answered is not asked again for the database's sake."""
        while True:
            try:
                if await asyncio.to_thread(self.store.finish, batch, line.number, state, told, used):
                    self._done[batch.id].append(time.monotonic())
            except DatabaseError as error:
                log.warning("an answer of %s waits to be stored: %s", batch.id, error.message)
                await asyncio.sleep(_AGAIN_S)
            else:
                return

    async def _who(self, batch: Batch) -> Principal:
        actor = batch.head.actor
        try:
            who = await self._owner(batch.owner, actor.key or None)
        except (UnauthenticatedError, ForbiddenError) as error:
            raise _HoldError("owner_not_permitted") from error
        if who.level < batch.level:
            raise _HoldError("owner_level_lowered")
        return who

    async def _ask(self, batch: Batch, line: Line, who: Principal) -> Reply:
        head = batch.head
        actor = replace(head.actor, request=f"{batch.id}:{line.source['line']}")
        if head.jsonl:
            body = await self.sources.request(batch, line)
            return await self.api.post(who, actor, head.endpoint, body)
        if head.template:
            document = await self.sources.document(batch, line)
            body = await asyncio.to_thread(_extraction, head.template, document.data, document.name)
            return await self.api.post(who, actor, head.endpoint, body)
        picture = await self.sources.picture(batch, line, max_pixels_used=self._picture_pixels)
        question = Question(turns=(Turn("user", (picture, head.instruction)),), owner=who.account)
        return await self.api.ask(who, actor, question)


async def _stop(going: set[asyncio.Task[None]]) -> None:
    for task in going:
        task.cancel()
    await asyncio.gather(*going, return_exceptions=True)


async def _some(going: set[asyncio.Task[None]], news: asyncio.Event) -> set[asyncio.Task[None]]:
    """Wait until one of the tasks, or all of them, have ended, or there is news; returns those that have not."""
    waiting = asyncio.ensure_future(news.wait())
    try:
        await asyncio.wait({*going, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    for task in [task for task in going if task.done()]:
        going.discard(task)
        task.result()
    return going


async def _pause(news: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await news.wait()
    except TimeoutError:
        pass


def _window_s(window: str) -> float:
    found = _WINDOW.match(window)
    seconds = int(found[1]) * (3_600.0 if found[2] == "h" else _DAY_S) if found else 0.0
    if not 0 < seconds <= _MOST_DAYS * _DAY_S:
        raise BadRequestError(
            f"completion_window must be hours or days, such as 24h or 7d, up to {_MOST_DAYS}d.",
            zh=f"completion_window 须为小时或天数，例如 24h 或 7d，最长 {_MOST_DAYS}d。",
            param="completion_window",
        )
    return seconds


def _inside() -> VlproError:
    return VlproError(
        "Something failed inside the service. Try again; if it happens again, tell your administrator.",
        zh="服务内部出错，请重试；若再次出现，请告知管理员。",
    )


def _given_up(code: str) -> VlproError:
    if code == "batch_expired":
        return BadRequestError(
            "This request could not be executed before the completion window expired.",
            zh="在完成时限内未能执行该请求。",
            code=code,
        )
    return BadRequestError(
        "The batch was cancelled before this request was executed.",
        zh="批处理在执行该请求之前已被取消。",
        code=code,
    )


def _usage(body: bytes) -> Usage:
    """Tokens that an answer says it took, by either of OpenAI's names; none where it says nothing."""
    try:
        told: Mapping[str, Any] = json.loads(body).get("usage") or {}
        details = told.get("prompt_tokens_details") or told.get("input_tokens_details") or {}
        return Usage(
            int(told.get("prompt_tokens") or told.get("input_tokens") or 0),
            int(told.get("completion_tokens") or told.get("output_tokens") or 0),
            int(details.get("cached_tokens") or 0),
        )
    except (ValueError, TypeError, AttributeError):
        return Usage(0, 0)


def _code(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["code"])
    except (ValueError, TypeError, LookupError):
        return ""


def _extraction(template: str, data: bytes, name: str) -> bytes:
    media = "application/pdf" if is_pdf(data) else "image/unknown"  # what it is is told by its bytes
    url = f"data:{media};base64,{base64.b64encode(data).decode()}"
    part = {"type": "file", "file": {"file_data": url, "filename": name[-255:]}}
    return json.dumps({"template": template, "input": [part]}).encode()
