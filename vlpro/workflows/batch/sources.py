"""What a batch's lines are made of: requests in a file, or files, those of archives and pages of PDFs among them."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

from vlpro.errors import BadRequestError, ImageError, VlproError
from vlpro.identity.principal import Person
from vlpro.imaging.pdf import Pdf, is_pdf
from vlpro.imaging.picture import Picture
from vlpro.imaging.workers import PictureReader
from vlpro.workflows.batch import requests
from vlpro.workflows.batch.archive import Archive, ArchiveLimits, is_archive
from vlpro.workflows.batch.batch import FAILED, WAITING, Batch, Line
from vlpro.workflows.batch.files import FileStore, StoredFile

__all__ = ["Document", "Sources"]

_GROUP = 100  # lines that are stored at once
_OPEN_PDFS = 4
_OPEN_ARCHIVES = 2


class Document(NamedTuple):
    """A file that a line is about; ``page`` is its number in a PDF, None: the whole file."""

    data: bytes
    name: str
    page: int | None


class Sources:
    """Finds the lines of a batch, and what each of them asks.

    Args:
        files: What batches read.
        reader: Opens PDFs.
        limits: Caps on archives.
        max_lines: Of a batch.
        max_line_bytes: Of a request.
    """

    def __init__(
        self,
        files: FileStore,
        reader: PictureReader,
        *,
        limits: ArchiveLimits,
        max_lines: int,
        max_line_bytes: int,
    ) -> None:
        self._files = files
        self._reader = reader
        self._limits = limits
        self._max_lines = max_lines
        self._max_line_bytes = max_line_bytes
        self._pdfs: OrderedDict[tuple[str, int | None], Pdf] = OrderedDict()
        self._archives: OrderedDict[str, Archive] = OrderedDict()
        self._opening = threading.Lock()
        self._reading = asyncio.Semaphore(1)

    # --- finding lines

    async def lines(self, batch: Batch) -> AsyncIterator[list[Line]]:
        """All lines, some at a time; those whose request or file cannot be used have failed already.

        Raises:
            BadRequestError: There is none, or there are too many.
        """
        count = 0
        found = self._requests(batch) if batch.head.jsonl else self._documents(batch)
        async for group in found:
            count += len(group)
            if count > self._max_lines:
                raise BadRequestError(
                    f"A batch has at most {self._max_lines} lines. Split it.",
                    zh=f"一个批处理最多 {self._max_lines} 行，请拆分。",
                    code="too_many_lines",
                )
            yield group
        if not count:
            raise BadRequestError(
                "There is nothing to do: the file is empty.",
                zh="文件为空，没有可处理的内容。",
                code="empty_file",
            )

    async def _requests(self, batch: Batch) -> AsyncIterator[list[Line]]:
        file = self._file(batch, batch.head.inputs[0])
        groups = self._request_groups(batch, file)
        while group := await asyncio.to_thread(next, groups, None):
            yield group

    def _request_groups(self, batch: Batch, file: StoredFile) -> Iterator[list[Line]]:
        group: list[Line] = []
        seen: set[str] = set()
        found = requests.spans(self._files.parts(file), max_bytes=self._max_line_bytes)
        for number, span in enumerate(found, 1):
            name, problem = requests.check(span, batch.head.endpoint, self._max_line_bytes)
            if problem is None and name in seen:
                problem = BadRequestError(
                    "custom_id stands on an earlier line, too.",
                    zh="custom_id 与前面的行重复。",
                    param="custom_id",
                    code="duplicate_custom_id",
                )
            if name:
                seen.add(name)
            # "line" is as an editor shows it, empty ones counted.
            source = {"id": name, "line": span.number, "start": span.start, "length": span.length}
            group.append(_line(batch, number, source, problem))
            if len(group) >= _GROUP:
                yield group
                group = []
        if group:
            yield group

    async def _documents(self, batch: Batch) -> AsyncIterator[list[Line]]:
        number, group = 0, list[Line]()
        names: set[str] = set()
        async for source, problem in self._each(batch):
            number += 1
            label = name = str(source["id"])
            again = 1
            while name in names:
                again += 1
                name = f"{label} ({again})"
            names.add(name)
            group.append(_line(batch, number, {**source, "id": name, "line": number}, problem))
            if len(group) >= _GROUP:
                yield group
                group = []
        if group:
            yield group

    async def _each(self, batch: Batch) -> AsyncIterator[tuple[dict[str, Any], VlproError | None]]:
        for file_id in batch.head.inputs:
            file = await asyncio.to_thread(self._file, batch, file_id)
            start = await asyncio.to_thread(self._files.part, file, 0) if file.bytes else b""
            if not is_archive(start):
                async for found in self._pages(batch, {"id": file.name, "file": file_id}, start):
                    yield found
                continue
            try:
                archive = await asyncio.to_thread(Archive, self._files.open(file), self._limits)
            except VlproError as error:
                yield {"id": file.name, "file": file_id}, error
                continue
            entries = archive.entries()
            while (entry := await asyncio.to_thread(next, entries, None)) is not None:
                source = {"id": entry.name, "file": file_id, "entry": entry.index}
                if entry.problem is not None:
                    yield source, entry.problem
                    continue
                start = b"" if batch.head.template else await asyncio.to_thread(archive.start, entry.index)
                async for found in self._pages(batch, source, start):
                    yield found

    async def _pages(
        self, batch: Batch, source: dict[str, Any], start: bytes
    ) -> AsyncIterator[tuple[dict[str, Any], VlproError | None]]:
        """One line a page where each page is asked about; one for the file where it is read as a whole."""
        if batch.head.template or not is_pdf(start):
            yield source, None
            return
        try:
            pdf = await self._pdf(batch, source)
        except VlproError as error:
            yield source, error
            return
        for page in range(1, len(pdf.pages) + 1):
            yield {**source, "id": f"{source['id']}#{page}", "page": page}, None

    # --- what a line asks

    async def request(self, batch: Batch, line: Line) -> bytes:
        """The body of a line's request, JSON."""

        def read() -> bytes:
            file = self._file(batch, batch.head.inputs[0])
            with self._files.open(file) as opened:
                opened.seek(line.source["start"])
                return requests.body_of(opened.read(line.source["length"]))

        return await asyncio.to_thread(read)

    async def document(self, batch: Batch, line: Line) -> Document:
        """The file that a line is about.

        Raises:
            BadRequestError: It cannot be unpacked, or is too large.
        """
        return await self._read(batch, line.source)

    async def picture(self, batch: Batch, line: Line, *, max_pixels_used: int) -> Picture:
        """The picture, or the page, that a line is about.

        Raises:
            ImageError: It is none that can be used.
        """
        name, page = _place(line.source), line.source.get("page")
        async with self._reading:  # one after the other: the reader has room for people's pictures beside it
            if name not in self._pdfs:
                document = await self._read(batch, line.source)
                if not is_pdf(document.data):
                    return await self._reader.read(document.data, max_pixels_used=max_pixels_used)
            pdf = await self._pdf(batch, line.source)
            return await self._reader.pdf_page(pdf, page or 1, max_pixels_used=max_pixels_used)

    async def _pdf(self, batch: Batch, source: dict[str, Any]) -> Pdf:
        """A PDF, opened; the last ones stay open for their other pages."""
        name = _place(source)
        if name in self._pdfs:
            self._pdfs.move_to_end(name)
            return self._pdfs[name]
        document = await self._read(batch, source)
        opened = await self._reader.pdf_pages(document.data)
        self._pdfs[name] = opened
        while len(self._pdfs) > _OPEN_PDFS:
            self._pdfs.popitem(last=False)
        return opened

    def close(self) -> None:
        """Let go of what stays open."""
        self._pdfs.clear()
        with self._opening:
            self._archives.clear()

    async def _read(self, batch: Batch, source: dict[str, Any]) -> Document:
        def read() -> bytes:
            file = self._file(batch, source["file"])
            if source.get("entry") is None:
                if file.bytes > self._limits.max_file_bytes:
                    raise ImageError(
                        f"The file is larger than {self._limits.max_file_bytes / 1e6:g} MB.",
                        zh=f"文件超过 {self._limits.max_file_bytes / 1e6:g} MB。",
                        code="file_too_large",
                    )
                return b"".join(self._files.parts(file))
            return self._archive(file).read(source["entry"])

        return Document(await asyncio.to_thread(read), str(source["id"]), source.get("page"))

    def _archive(self, file: StoredFile) -> Archive:
        """An archive, opened; the last ones stay open for their other files. Called in threads."""
        with self._opening:
            if file.id not in self._archives:
                self._archives[file.id] = Archive(self._files.open(file), self._limits)
                while len(self._archives) > _OPEN_ARCHIVES:
                    self._archives.popitem(last=False)
            return self._archives[file.id]

    def _file(self, batch: Batch, name: str) -> StoredFile:
        return self._files.get(Person(batch.owner, batch.level), name)


def _place(source: dict[str, Any]) -> tuple[str, int | None]:
    return str(source["file"]), source.get("entry")


def _line(batch: Batch, number: int, source: dict[str, Any], problem: VlproError | None) -> Line:
    if problem is None:
        return Line(number, WAITING, source)
    told = requests.told(source["line"], source["id"], batch=batch.id, error=problem)
    return Line(number, FAILED, source, told)
