"""Pages of a PDF: how many there are, their pixels, their text; by PDFium, which is built without scripts and XFA.

The service has it done by :mod:`vlpro.imaging.workers`, in a process that has no files but fonts, and bounded memory
and time. What can be told before anything is drawn is refused here: a password, too many pages, a page or a picture
in it that is too large.
"""

from __future__ import annotations

import ctypes
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vlpro.errors import ImageError
from vlpro.imaging.ingest import Clean, Limits, target_size
from vlpro.imaging.pdf_text import text_runs

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage

__all__ = [
    "FONT_FOLDERS",
    "Pdf",
    "PdfLimits",
    "TextLine",
    "clean_page",
    "is_pdf",
    "page_sizes",
    "page_text",
    "warm_up",
]

FONT_FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))
"""Where PDFium looks for the letters of a PDF that brings none, as most Chinese invoices do."""

_START = re.compile(rb"(?:\xef\xbb\xbf)?\s{0,1000}%PDF-\d")
_POINTS_AN_INCH = 72
_MOST_POINTS = 14_400  # of a page's side (PDF 1.7, annex C.2)
_MOST_OBJECTS = 500_000  # that are looked at for pictures
_MOST_TEXT = 200_000  # characters of a page
_DEEPEST = 8  # forms within forms

_one_at_a_time = threading.Lock()  # PDFium is not for several threads


@dataclass(frozen=True, slots=True)
class PdfLimits:
    """Caps on a PDF.

    Args:
        max_bytes: Length of the file.
        max_pages: Of the file.
        dpi: That a page is drawn at; its coordinates are the pixels of this size.
        max_page_pixels: The most pixels of a page at that resolution; a larger page is drawn more coarsely. 24
            million is A2 at 200 dpi.
        max_picture_pixels: Width times height of a picture inside; more is refused before it is decoded.
    """

    max_bytes: int = 50_000_000
    max_pages: int = 200
    dpi: int = 200
    max_page_pixels: int = 24_000_000
    max_picture_pixels: int = 120_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Pdf:
    """A PDF that can be read.

    Args:
        data: The file.
        sha256: Hex digest of it.
        pages: Width and height of each page at the resolution that it is drawn at, pixels.
        sm3: The digest by SM3; empty where nobody asked for it.
        param: The request's field that it came in, for errors.
    """

    data: bytes
    sha256: str
    pages: tuple[tuple[int, int], ...]
    sm3: str = ""
    param: str | None = None


@dataclass(frozen=True, slots=True)
class TextLine:
    """Text that a page holds as text.

    Args:
        text: One line, or a part of it.
        box: ``(x1, y1, x2, y2)`` in pixels of the page, as :attr:`Pdf.pages` has it.
    """

    text: str
    box: tuple[int, int, int, int]


def is_pdf(data: bytes) -> bool:
    """Whether a file is a PDF by its first bytes."""
    return _START.match(data) is not None


def warm_up() -> None:
    """Load the library, and have it look for fonts, before files are closed to this process."""
    clean_page(_SAMPLE, 1, limits=PdfLimits(), max_pixels_used=10_000)
    page_text(_SAMPLE, 1, limits=PdfLimits())


def page_sizes(data: bytes, *, limits: PdfLimits) -> list[tuple[int, int]]:
    """Width and height of each page at the resolution that it is drawn at, pixels.

    Args:
        data: The whole file.
        limits: Caps on it.

    Raises:
        ImageError: It is no PDF or is broken (``invalid_pdf``), wants a password (``pdf_password``), has too many
            pages (``pdf_too_many_pages``), or is too large in another way (``pdf_too_large``).
    """
    with _opened(data, limits) as document:
        return [_size(document.get_page_size(index), index + 1, limits) for index in range(len(document))]


def clean_page(data: bytes, number: int, *, limits: PdfLimits, max_pixels_used: int) -> Clean:
    """Draw one page.

    Args:
        data: The whole file.
        number: Of the page, from 1.
        limits: Caps on the file.
        max_pixels_used: The most pixels that the result may have.

    Returns:
        Its pixels; the original is the page at the limits' resolution.

    Raises:
        ImageError: As :func:`page_sizes`.
    """
    import pypdfium2.raw as pdfium  # noqa: PLC0415 - the library is loaded by importing it

    with _opened(data, limits) as document, _page(document, number) as page:
        size = _size(page.get_size(), number, limits)
        _check_pictures(page, number, limits)
        width, height = target_size(*size, max_pixels_used)
        pixels = np.full((height, width, 3), 255, np.uint8)
        bitmap = pdfium.FPDFBitmap_CreateEx(
            width, height, pdfium.FPDFBitmap_BGR, pixels.ctypes.data, 3 * width
        )
        if not bitmap:
            raise MemoryError
        try:
            place = (0, 0, width, height, 0, pdfium.FPDF_ANNOT | pdfium.FPDF_REVERSE_BYTE_ORDER)
            pdfium.FPDF_RenderPageBitmap(bitmap, page, *place)
            if page.formenv is not None:  # what was filled in
                pdfium.FPDF_FFLDraw(page.formenv, bitmap, page, *place)
        finally:
            pdfium.FPDFBitmap_Destroy(bitmap)
    return Clean(pixels, "pdf", *size)


def page_text(data: bytes, number: int, *, limits: PdfLimits) -> list[TextLine]:
    """What a page holds as text, in the file's own order; nothing where it is a scan.

    Args:
        data: The whole file.
        number: Of the page, from 1.
        limits: Caps on the file.

    Raises:
        ImageError: As :func:`page_sizes`.
    """
    found: list[TextLine] = []
    with _opened(data, limits) as document, _page(document, number) as page:
        width, height = _size(page.get_size(), number, limits)
        points_wide, points_high = page.get_size()
        length = 0
        for line, (left, bottom, right, top) in text_runs(page.get_textpage(), _MOST_TEXT):
            length += len(line)
            if length > _MOST_TEXT:
                break
            x1, y1 = left / points_wide * width, (1 - top / points_high) * height
            x2, y2 = right / points_wide * width, (1 - bottom / points_high) * height
            x1, x2 = (min(max(round(x), 0), width) for x in (x1, x2))
            y1, y2 = (min(max(round(y), 0), height) for y in (y1, y2))
            found.append(TextLine(line, (x1, y1, x2, y2)))
    return found


@contextmanager
def _opened(data: bytes, limits: PdfLimits) -> Iterator[PdfDocument]:
    if len(data) > limits.max_bytes:
        raise too_long(len(data), limits)
    if not is_pdf(data):
        raise ImageError("This is not a PDF.", zh="这不是 PDF 文件。", code="invalid_pdf")
    import pypdfium2  # noqa: PLC0415 - the library is loaded by importing it

    with _one_at_a_time:
        try:
            with pypdfium2.PdfDocument(data) as document:
                pages = len(document)
                if pages < 1:
                    raise ImageError("This PDF has no page.", zh="这个 PDF 没有页面。", code="invalid_pdf")
                if pages > limits.max_pages:
                    raise ImageError(
                        f"This PDF has {pages} pages, more than the {limits.max_pages} allowed. Split it, and send "
                        "the parts.",
                        zh=f"这个 PDF 有 {pages} 页，超过上限 {limits.max_pages} 页，请拆分后分别上传。",
                        code="pdf_too_many_pages",
                    )
                document.init_forms()
                yield document
        except pypdfium2.PdfiumError as error:
            raise _unreadable(getattr(error, "err_code", None)) from error
        except MemoryError as error:
            raise ImageError(
                "There is not enough memory for this page now. Send a smaller one, or try again later.",
                zh="当前内存不足以处理这一页，请上传更小的文件或稍后重试。",
                code="pdf_too_large",
            ) from error


@contextmanager
def _page(document: PdfDocument, number: int) -> Iterator[PdfPage]:
    if not 1 <= number <= len(document):
        raise ImageError(
            f"This PDF has {len(document)} pages, and none with the number {number}.",
            zh=f"这个 PDF 共 {len(document)} 页，没有第 {number} 页。",
            code="invalid_pdf",
        )
    page = document.get_page(number - 1)
    try:
        yield page
    finally:
        page.close()


def _size(points: tuple[float, float], number: int, limits: PdfLimits) -> tuple[int, int]:
    width, height = points
    if not (0 < width <= _MOST_POINTS and 0 < height <= _MOST_POINTS):
        raise _too_large(
            f"Page {number} of this PDF measures {width:.6g} × {height:.6g} points; a side has more than 0 and at "
            f"most {_MOST_POINTS} (200 inches).",
            f"这个 PDF 第 {number} 页的尺寸为 {width:.6g} × {height:.6g} 点，边长须大于 0 且不超过 {_MOST_POINTS} "
            "点（200 英寸）。",
        )
    if max(points) > Limits().max_aspect * min(points):
        raise _too_large(
            f"Page {number} of this PDF is more than {Limits().max_aspect:g} times as long as it is wide.",
            f"这个 PDF 第 {number} 页的长边超过短边的 {Limits().max_aspect:g} 倍。",
        )
    scale = limits.dpi / _POINTS_AN_INCH
    return target_size(max(1, round(width * scale)), max(1, round(height * scale)), limits.max_page_pixels)


def _check_pictures(page: PdfPage, number: int, limits: PdfLimits) -> None:
    """Refuse a page with a picture that is dear to decode; PDFium tells its size without doing so."""
    import pypdfium2.raw as pdfium  # noqa: PLC0415 - the library is loaded by importing it

    width, height = ctypes.c_uint(), ctypes.c_uint()
    waiting = [
        (pdfium.FPDFPage_GetObject(page, i), 0) for i in range(_most(pdfium.FPDFPage_CountObjects(page)))
    ]
    seen = len(waiting)
    while waiting:
        found, depth = waiting.pop()
        kind = pdfium.FPDFPageObj_GetType(found)
        if kind == pdfium.FPDF_PAGEOBJ_FORM and depth < _DEEPEST:
            inside = _most(pdfium.FPDFFormObj_CountObjects(found))
            seen += inside
            if seen > _MOST_OBJECTS:
                return  # the limits of memory and time are left
            waiting += [(pdfium.FPDFFormObj_GetObject(found, i), depth + 1) for i in range(inside)]
        if kind != pdfium.FPDF_PAGEOBJ_IMAGE:
            continue
        if not pdfium.FPDFImageObj_GetImagePixelSize(found, width, height):
            continue
        if width.value * height.value > limits.max_picture_pixels:
            raise _too_large(
                f"Page {number} of this PDF holds a picture of {width.value} × {height.value} pixels, more than the "
                f"{limits.max_picture_pixels / 1e6:g} megapixels allowed. Save it with smaller pictures.",
                f"这个 PDF 第 {number} 页含有 {width.value} × {height.value} 像素的图片，超过上限 "
                f"{limits.max_picture_pixels / 1e6:g} 百万像素，请缩小图片后另存。",
            )


def _most(count: int) -> int:
    return max(0, min(count, _MOST_OBJECTS))


def _unreadable(code: int | None) -> ImageError:
    import pypdfium2.raw as pdfium  # noqa: PLC0415 - the library is loaded by importing it

    if code == pdfium.FPDF_ERR_PASSWORD:
        return ImageError(
            "This PDF is protected by a password. Save it without one, and send that.",
            zh="这个 PDF 有密码保护，请去除密码后另存再上传。",
            code="pdf_password",
        )
    if code == pdfium.FPDF_ERR_SECURITY:
        return ImageError(
            "This PDF is encrypted in a way that is not supported here. Save it without encryption, and send that.",
            zh="不支持这个 PDF 的加密方式，请去除加密后另存再上传。",
            code="pdf_password",
        )
    return ImageError(
        "This PDF is broken or incomplete. Open it, print it to a new PDF, and send that.",
        zh="PDF 已损坏或不完整，请打开后另存为新的 PDF 再上传。",
        code="invalid_pdf",
    )


def too_long(size: int, limits: PdfLimits) -> ImageError:
    """A file has too many bytes.

    Args:
        size: Its bytes.
        limits: That it is beyond.
    """
    return _too_large(
        f"This PDF is {size / 1e6:.4g} MB, more than the {limits.max_bytes / 1e6:.4g} MB allowed. Split it, and send "
        "the parts.",
        f"这个 PDF 大小为 {size / 1e6:.4g} MB，超过上限 {limits.max_bytes / 1e6:.4g} MB，请拆分后分别上传。",
    )


def _too_large(message: str, zh: str) -> ImageError:
    return ImageError(message, zh=zh, code="pdf_too_large")


_SAMPLE = b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 36]/Contents 4 0 R/Resources<</Font<</A 5 0 R/B 6 0 R>>>>>>endobj
4 0 obj<</Length 56>>stream
BT/A 12 Tf 4 20 Td(Pro) Tj/B 12 Tf 4 -14 Td<4E2D> Tj ET\x20
endstream endobj
5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj
6 0 obj<</Type/Font/Subtype/Type0/BaseFont/SimSun/Encoding/UniGB-UCS2-H/DescendantFonts[7 0 R]>>endobj
7 0 obj<</Type/Font/Subtype/CIDFontType0/BaseFont/SimSun/CIDSystemInfo<</Registry(Adobe)/Ordering(GB1)
/Supplement 4>>/FontDescriptor 8 0 R>>endobj
8 0 obj<</Type/FontDescriptor/FontName/SimSun/Flags 4/ItalicAngle 0/Ascent 859/Descent -141/CapHeight 683/StemV 80
/FontBBox[-8 -145 1000 859]>>endobj
trailer<</Root 1 0 R>>
%%EOF
"""
