"""Uploads become pages."""

from __future__ import annotations

import pytest

from tests.unit.imaging.pdfs import ENCRYPTED, invoice
from tests.unit.imaging.samples import file, quarters
from vlpro.errors import BadRequestError, ImageError
from vlpro.imaging.ingest import Limits
from vlpro.imaging.workers import ThreadReader
from vlpro.workflows.pages import Input, each_page, read_pages

pytestmark = pytest.mark.anyio
READER = ThreadReader(Limits())
FILES = [
    Input(file(quarters(), "PNG"), "a.png"),
    Input(invoice(2), "b.pdf"),
    Input(file(quarters(), "JPEG"), "c"),
]


async def test_a_picture_is_a_page_and_a_pdf_has_many() -> None:
    pages = await read_pages(FILES, READER, max_pixels_used=100_000, max_pages=4, with_text=True)
    assert [(p.name, p.page, p.number, p.picture.format) for p in pages] == [
        ("a.png", 1, 1, "png"),
        ("b.pdf", 1, 2, "pdf"),
        ("b.pdf", 2, 3, "pdf"),
        ("c", 1, 4, "jpeg"),
    ]
    assert [line.text for line in pages[1].text] == ["No. 12345678", "发票号码"]
    assert pages[0].text == ()
    one_by_one = [p async for p in each_page(FILES, READER, max_pixels_used=100_000, max_pages=4)]
    assert [p.picture.pixels_sha256 for p in one_by_one] == [p.picture.pixels_sha256 for p in pages]


async def test_too_many_pages_none_and_a_bad_one() -> None:
    with pytest.raises(BadRequestError, match="4 pages together; at most 3") as many:
        await read_pages(FILES, READER, max_pixels_used=1000, max_pages=3)
    assert (many.value.param, many.value.code) == ("input", "too_many_pages")
    with pytest.raises(BadRequestError, match="no picture and no PDF"):
        await read_pages([], READER, max_pixels_used=1000, max_pages=3)
    for bad in (b"hello", ENCRYPTED):
        with pytest.raises(ImageError) as refused:
            await read_pages(
                [FILES[0], Input(bad, param="input[1]")], READER, max_pixels_used=1000, max_pages=9
            )
        assert refused.value.param == "input[1]"
