"""A document read in: its pages drawn, their text taken or read, cut into passages, and those made into vectors.

Page by page, and each is stored before the next is begun, so that a restart goes on where it was. People come first:
pages are read by the engine in the background, and vectors are made by a worker that gives way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

import cv2
import numpy as np

from vlpro.chat.queue import in_background
from vlpro.errors import BadRequestError, BusyError, ImageError
from vlpro.imaging.encode import to_jpeg
from vlpro.imaging.pdf import Pdf, TextLine, is_pdf
from vlpro.imaging.picture import Picture
from vlpro.imaging.workers import PictureReader
from vlpro.knowledge.codes import codes_in
from vlpro.knowledge.document import Document
from vlpro.knowledge.embedding.interface import Embedder
from vlpro.knowledge.layout import Line
from vlpro.knowledge.office import OfficeConverter, kind_of
from vlpro.knowledge.packing import PageVectors
from vlpro.knowledge.passages import Box, PageContent, Passage, page_content, running_lines
from vlpro.knowledge.store import KnowledgeStore
from vlpro.workflows.reading import PageReader

__all__ = ["Ingest", "vectors_of", "with_whole"]

T = TypeVar("T")

_PICTURE_PIXELS = 4_000_000  # of a page as it is kept: A4 as it is drawn, at 200 dpi
_LOOKED_AT = 12  # pages that tell what is at the head or foot of most
_INK = 0.02  # share of a page that is neither paper nor text: there are pictures, which may hold words
_COARSE = 8  # pixels of a side, which are looked at as one
_AGAIN_S = 5.0
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # the container of old Office files, and of encrypted new ones
_WHOLE_CHARS = 1_200  # of a page's text, where the page as a whole is found


class Ingest:
    """Reads documents in.

    Args:
        store: Where they lie.
        pictures: Reads pictures and PDFs, with the limits of documents.
        reader: Reads the text of scans.
        embedder: Makes vectors.
        office: Makes PDFs of office files.
        max_base_pages: Of a base.
    """

    def __init__(
        self,
        store: KnowledgeStore,
        pictures: PictureReader,
        reader: PageReader,
        embedder: Embedder,
        office: OfficeConverter,
        *,
        max_base_pages: int,
    ) -> None:
        self._store = store
        self._pictures = pictures
        self._reader = reader
        self._embedder = embedder
        self._office = office
        self._max_base_pages = max_base_pages

    async def check(self, data: bytes) -> None:
        """Refuse at once what can be told without reading a page.

        Args:
            data: The file.

        Raises:
            BadRequestError: It is empty, or of a kind that nobody here reads.
            ImageError: It is a broken PDF or one with a password, or has too many pages; or no usable picture.
        """
        if not data:
            raise BadRequestError(
                "The file is empty.", zh="文件为空。", param="file", code="invalid_document"
            )
        if is_pdf(data):
            await self._pictures.pdf_pages(data, param="file")
        elif (kind := await asyncio.to_thread(kind_of, data)) is not None:
            self._office.check(kind)
        else:
            try:
                await self._pictures.read(data, max_pixels_used=10_000, param="file")
            except ImageError as error:
                if error.code == "invalid_image_format":
                    raise _unknown(data) from error
                raise

    async def read(self, document: Document) -> bool:
        """Read a document in, from the page where it was left; whether all of it is stored now.

        Raises:
            VlproError: It cannot be read, and why.
        """
        data = await asyncio.to_thread(self._store.file, document)
        kind = await asyncio.to_thread(kind_of, data)
        if kind is not None:
            data = await self._office.pdf(data, kind)
            await asyncio.to_thread(self._store.put_file, document, data)
        if is_pdf(data):
            return await self._pdf(document, await self._pictures.pdf_pages(data))
        picture = await self._pictures.read(data, max_pixels_used=max(self._reader.pixels, _PICTURE_PIXELS))
        document = await self._begin(document, 1)
        content = page_content(await self._lines(picture), picture.original_width, picture.original_height)
        return await self._add(document, 1, content, picture)

    async def _pdf(self, document: Document, pdf: Pdf) -> bool:
        document = await self._begin(document, len(pdf.pages))
        running = await self._running(pdf)
        for number in range(document.pages_done + 1, len(pdf.pages) + 1):
            width, height = pdf.pages[number - 1]
            picture = await _patiently(
                partial(self._pictures.pdf_page, pdf, number, max_pixels_used=_PICTURE_PIXELS)
            )
            told = [Line(one.text, one.box) for one in await self._pictures.pdf_text(pdf, number)]
            drawn: list[Line] = []
            if await asyncio.to_thread(_has_pictures, picture, told):
                read = await self._lines(picture)
                drawn = [line for line in read if not any(_over(line, other) for other in told)]
            if told:
                content = page_content(told, width, height, drawn=drawn, running=running)
            else:
                content = page_content(drawn, width, height)
            if not await self._add(document, number, content, picture):
                return False
        return True

    async def _begin(self, document: Document, pages: int) -> Document:
        if document.pages_done and document.model != self._embedder.model:
            document = replace(document, pages_done=0)  # from the beginning, with the other model
        others = await asyncio.to_thread(self._store.pages_of, document.base) - document.pages
        if others + pages > self._max_base_pages:
            raise BadRequestError(
                f"With this document the knowledge base would have more than {self._max_base_pages} pages. Delete "
                "some documents, or make another base.",
                zh=f"加入该文档后知识库将超过 {self._max_base_pages} 页，请删除一些文档或新建知识库。",
                code="too_many_pages",
            )
        return await asyncio.to_thread(
            partial(self._store.begin, document, pages=pages, model=self._embedder.model)
        )

    async def _running(self, pdf: Pdf) -> frozenset[str]:
        step = max(1, len(pdf.pages) // _LOOKED_AT)
        numbers = range(1, len(pdf.pages) + 1, step)[:_LOOKED_AT]
        if len(numbers) < 3:
            return frozenset()
        texts: list[Sequence[TextLine]] = [await self._pictures.pdf_text(pdf, number) for number in numbers]
        return running_lines(
            [
                ([Line(one.text, one.box) for one in text], pdf.pages[number - 1][1])
                for number, text in zip(numbers, texts, strict=True)
            ]
        )

    async def _lines(self, picture: Picture) -> list[Line]:
        """What an engine reads on a page; people's questions come before."""

        async def read() -> list[Line]:
            try:
                found = await self._reader.read([picture])
            finally:
                await self._reader.forget([picture])
            return [Line(line.text, line.box) for page in found.pictures for line in page.lines]

        return await _patiently(lambda: in_background(read))

    async def _add(self, document: Document, number: int, content: PageContent, picture: Picture) -> bool:
        jpeg = await asyncio.to_thread(to_jpeg, picture)
        content = _in_pixels_of(picture, content)
        if self._embedder.sees:
            content = with_whole(content)
        vectors = await vectors_of(content, self._embedder, jpeg)
        return await asyncio.to_thread(self._store.add_page, document, number, content, vectors, jpeg)


def _unknown(data: bytes) -> BadRequestError:
    if data.startswith(_OLE):
        return BadRequestError(
            "This is a file of Office 97-2003, or an Office file with a password. Save it as PDF, or as DOCX or PPTX "
            "without a password.",
            zh="这是 Office 97-2003 格式或带密码的 Office 文件，请另存为 PDF，或不带密码的 DOCX、PPTX。",
            param="file",
            code="invalid_document",
        )
    return BadRequestError(
        "This is no document that can be read here, whatever its name says. Send PDF, DOCX, PPTX, JPEG, PNG, BMP or "
        "WebP.",
        zh="无论文件名如何，这不是可读取的文档。请上传 PDF、DOCX、PPTX、JPEG、PNG、BMP 或 WebP。",
        param="file",
        code="invalid_document",
    )


def _in_pixels_of(picture: Picture, content: PageContent) -> PageContent:
    """Boxes as they stand on the picture that is kept, which may be smaller than the page as drawn."""
    if (picture.width, picture.height) == (content.width, content.height):
        return content
    across, down = picture.width / content.width, picture.height / content.height

    def moved(boxes: Sequence[Box]) -> tuple[Box, ...]:
        return tuple(
            (round(x1 * across), round(y1 * down), round(x2 * across), round(y2 * down))
            for x1, y1, x2, y2 in boxes
        )

    passages = [
        replace(
            one,
            boxes=moved(one.boxes),
            clauses=tuple(replace(part, boxes=moved(part.boxes)) for part in one.clauses),
        )
        for one in content.passages
    ]
    return PageContent(picture.width, picture.height, tuple(passages))


async def _patiently(work: Callable[[], Awaitable[T]]) -> T:
    """Do something when there is room for it: a document waits, where a person would be told to."""
    while True:
        try:
            return await work()
        except BusyError as error:
            await asyncio.sleep(error.retry_after or _AGAIN_S)


def with_whole(content: PageContent) -> PageContent:
    """With the page as a whole behind its passages, for a model that sees: it is the one without clauses."""
    text = "\n".join(passage.text for passage in content.passages)[:_WHOLE_CHARS]
    whole = Passage(text, ((0, 0, content.width, content.height),), "figure", ())
    return replace(content, passages=(*content.passages, whole))


async def vectors_of(content: PageContent, embedder: Embedder, picture: bytes | None) -> PageVectors:
    """The vectors of a page's passages and of their clauses; a text that comes twice is looked at once.

    Args:
        content: What the page says.
        embedder: The model.
        picture: The page, as a JPEG: what the vector of the page as a whole is made of, where the model sees.

    Raises:
        EngineError: The model failed.
    """
    told = content.passages
    looks = embedder.sees and picture is not None and bool(told) and not told[-1].clauses
    if looks:
        told = told[:-1]
    parts = [clause.text for passage in told for clause in passage.clauses]
    different = list(dict.fromkeys([*(passage.text for passage in told), *parts]))
    at = {text: number for number, text in enumerate(different)}
    made = await embedder.passages(different)
    whole = made[[at[passage.text] for passage in told]]
    if looks and picture is not None:
        whole = np.concatenate([whole, await embedder.pages([picture])])
    clauses = [made[[at[clause.text] for clause in passage.clauses]] for passage in content.passages]
    # The page as a whole is found by its looks alone.
    codes = [codes_in(passage.text) if passage.clauses else frozenset[str]() for passage in content.passages]
    return PageVectors(whole, clauses, codes)


def _has_pictures(picture: Picture, lines: Sequence[Line]) -> bool:
    """Whether there is more on a page than its text: looked at coarsely."""
    if not lines:
        return True
    scale = picture.width / picture.original_width
    grey = cv2.cvtColor(picture.pixels, cv2.COLOR_RGB2GRAY)
    for line in lines:
        x1, y1, x2, y2 = (round(side * scale) for side in line.box)
        grey[max(0, y1 - 2) : y2 + 3, max(0, x1 - 2) : x2 + 3] = 255
    size = max(1, picture.width // _COARSE), max(1, picture.height // _COARSE)
    coarse = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    paper = float(np.median(coarse))
    return float((np.abs(coarse.astype(np.int16) - paper) > 24).mean()) > _INK


def _over(line: Line, other: Line) -> bool:
    """Whether a line that was read is, mostly, one that the file told."""
    x1, y1, x2, y2 = line.box
    a1, b1, a2, b2 = other.box
    common = max(0, min(x2, a2) - max(x1, a1)) * max(0, min(y2, b2) - max(y1, b1))
    return common > 0.4 * max(1, min((x2 - x1) * (y2 - y1), (a2 - a1) * (b2 - b1)))
