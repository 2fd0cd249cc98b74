"""Uploads as pages: a picture is one, a PDF as many as it has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from vlpro.errors import BadRequestError
from vlpro.imaging.pdf import Pdf, TextLine, is_pdf
from vlpro.imaging.picture import Picture
from vlpro.imaging.workers import PictureReader

__all__ = ["Input", "Page", "each_page", "read_pages"]


@dataclass(frozen=True, slots=True)
class Input:
    """A file as it came.

    Args:
        data: All of it.
        name: What its sender calls it; may be empty.
        param: The request's field that it came in, for errors.
    """

    data: bytes
    name: str = ""
    param: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """One page.

    Args:
        picture: Its pixels; of a PDF, the digest is that of the whole file.
        name: Of its file.
        page: Its number in the file, from 1.
        number: Its number among all that were given, from 1.
        text: What a PDF's page holds as text, where that was asked for.
    """

    picture: Picture
    name: str
    page: int
    number: int
    text: tuple[TextLine, ...] = ()


@dataclass(frozen=True, slots=True)
class _Place:
    source: Input
    pdf: Pdf | None
    page: int
    number: int


async def read_pages(
    inputs: Sequence[Input],
    reader: PictureReader,
    *,
    max_pixels_used: int,
    max_pages: int,
    param: str = "input",
    with_text: bool = False,
) -> list[Page]:
    """Read all pages in, each in a process of its own; all of them are in memory afterwards.

    Args:
        inputs: Pictures and PDFs, told by their content.
        reader: Who reads them.
        max_pixels_used: The most pixels that a page may have.
        max_pages: Of all files together.
        param: The request's field that the files came in, for the error.
        with_text: Whether text that PDFs hold is wanted, too.

    Returns:
        In the order of the files and of their pages.

    Raises:
        BadRequestError: There is no file, or there are too many pages.
        ImageError: One of them is no usable picture or PDF; nothing is returned then.
        BusyError: The machine has no room for another process.
    """
    places = await _places(inputs, reader, max_pages, param)
    tasks = [asyncio.ensure_future(_read(place, reader, max_pixels_used, with_text)) for place in places]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()


async def each_page(
    inputs: Sequence[Input],
    reader: PictureReader,
    *,
    max_pixels_used: int,
    max_pages: int,
    param: str = "input",
    with_text: bool = False,
) -> AsyncIterator[Page]:
    """As :func:`read_pages`, one page after the other: for files of which not all fits into memory."""
    for place in await _places(inputs, reader, max_pages, param):
        yield await _read(place, reader, max_pixels_used, with_text)


async def _places(inputs: Sequence[Input], reader: PictureReader, max_pages: int, param: str) -> list[_Place]:
    """Where the pages are: only PDFs are opened, no page is read."""
    if not inputs:
        raise BadRequestError(
            "There is no picture and no PDF. Send at least one.",
            zh="没有图片或 PDF，请至少上传一个文件。",
            param=param,
        )
    found: list[_Place] = []
    for source in inputs:
        pdf = await reader.pdf_pages(source.data, param=source.param) if is_pdf(source.data) else None
        pages = len(pdf.pages) if pdf is not None else 1
        found += [_Place(source, pdf, page, len(found) + page) for page in range(1, pages + 1)]
    if len(found) > max_pages:
        raise BadRequestError(
            f"These files have {len(found)} pages together; at most {max_pages} are possible at once. Send fewer.",
            zh=f"这些文件共 {len(found)} 页，一次最多 {max_pages} 页，请减少文件。",
            param=param,
            code="too_many_pages",
        )
    return found


async def _read(place: _Place, reader: PictureReader, max_pixels_used: int, with_text: bool) -> Page:  # noqa: FBT001
    source, pdf = place.source, place.pdf
    if pdf is None:
        picture = await reader.read(source.data, max_pixels_used=max_pixels_used, param=source.param)
        return Page(picture, source.name, place.page, place.number)
    picture = await reader.pdf_page(pdf, place.page, max_pixels_used=max_pixels_used)
    text = await reader.pdf_text(pdf, place.page) if with_text else []
    return Page(picture, source.name, place.page, place.number, tuple(text))
