"""Files and batches as people have them: sent, begun, paused, resumed, cancelled, deleted; results taken out."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from vlpro.audit.events import Event
from vlpro.audit.record import Actor
from vlpro.audit.recorder import Recorder
from vlpro.documents.label import Label
from vlpro.errors import (
    BadRequestError,
    ConflictError,
    NotFoundError,
    RequestTooLargeError,
    VlproError,
)
from vlpro.identity.principal import Person, Principal
from vlpro.imaging.encode import thumbnail
from vlpro.imaging.workers import PictureReader
from vlpro.masking import Masking
from vlpro.workflows.batch import results
from vlpro.workflows.batch.archive import ArchiveLimits
from vlpro.workflows.batch.asking import LineAsker
from vlpro.workflows.batch.batch import Batch, Head, Line, State
from vlpro.workflows.batch.files import PART_BYTES, FileStore, NewFile, Purpose, StoredFile
from vlpro.workflows.batch.options import BatchOptions
from vlpro.workflows.batch.recording import note
from vlpro.workflows.batch.sources import Sources
from vlpro.workflows.batch.store import BatchStore
from vlpro.workflows.batch.worker import DAY_S, BatchWorker

__all__ = ["BatchService"]

_FIGURE_SIDE = 1000  # pixels of a picture in a report
_FIGURE_PIXELS = 1_500_000
_WINDOW = re.compile(r"^([1-9]\d{0,2})([hd])$")
_MOST_DAYS = 30


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
        worker: Works on them, in the background.
        masking: Which personal data is masked in results that are taken out; None: none.
        generates: Whether the engine writes answers, rather than reads them: results say so.
    """

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
        self.masking: Callable[[], Masking | None] = lambda: None
        self.generates: Callable[[], bool] = lambda: False
        asker = LineAsker(self.sources, owner, picture_pixels=picture_pixels)
        self.worker = BatchWorker(files, store, self.sources, asker, options, recorder=recorder, clock=clock)
        self._recorder = recorder
        self._producer = producer

    async def start(self) -> None:
        """Go on with what goes on."""
        await self.worker.start()

    async def close(self) -> None:
        """Stop working; another process, or the next one, goes on."""
        await self.worker.close()

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
        return self.options.days * DAY_S

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
        self.worker.look()
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

    async def delete(self, person: Person, name: str, *, files: bool = False) -> None:
        """Delete a batch that has ended, with its results.

        Args:
            person: Whose.
            name: Of the batch.
            files: Whether the files it read go too, but for those that another batch names: a report of that one
                shows their pictures.

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
        own = await asyncio.to_thread(self._only_in, person, batch) if files else ()
        await note(self._recorder, batch, "deleted", files=len(own) or None)
        # The files first: what a crash leaves is a batch on the page, which can be deleted again.
        for file in own:
            # Gone already; or a batch that began meanwhile reads it.
            with suppress(NotFoundError, ConflictError):
                await asyncio.to_thread(self.files.delete, person, file)
        await asyncio.to_thread(self.store.delete, name)

    def _only_in(self, person: Person, batch: Batch) -> tuple[str, ...]:
        """The files that a batch read and no other of its owner names."""
        mine, after, more = dict.fromkeys(batch.head.inputs), None, True
        while more and mine:
            found, more = self.store.page(person, after=after, limit=100)
            for other in found:
                if other.id != batch.id:
                    for file in other.head.inputs:
                        mine.pop(file, None)
            after = found[-1].id if found else None
        return tuple(mine)

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
            return (results.result_of(line, masked) for line in self.store.lines.all(batch))

        match kind:
            case "docx" | "pdf":
                lines = await asyncio.to_thread(list, self.store.lines.all(batch))
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
            await note(self._recorder, batch, what)
            self.worker.look(name)
            return batch
        raise AssertionError


def _window_s(window: str) -> float:
    found = _WINDOW.match(window)
    seconds = int(found[1]) * (3_600.0 if found[2] == "h" else DAY_S) if found else 0.0
    if not 0 < seconds <= _MOST_DAYS * DAY_S:
        raise BadRequestError(
            f"completion_window must be hours or days, such as 24h or 7d, up to {_MOST_DAYS}d.",
            zh=f"completion_window 须为小时或天数，例如 24h 或 7d，最长 {_MOST_DAYS}d。",
            param="completion_window",
        )
    return seconds
