"""Pages of PDFs, read by processes of their own."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import psutil
import pytest

from tests.malformed import pdf_mutations
from tests.support import eventually
from tests.unit.documents.test_documents import document as report
from tests.unit.imaging.pdfs import ENCRYPTED, invoice, pdf, picture
from tests.unit.imaging.samples import file, quarters
from vlpro.crypto.sm3 import sm3
from vlpro.documents.paper import to_pdf
from vlpro.errors import ImageError
from vlpro.imaging import workers
from vlpro.imaging.ingest import Limits
from vlpro.imaging.pdf import Pdf, PdfLimits, is_pdf
from vlpro.imaging.workers import ThreadReader, WorkerPool

pytestmark = pytest.mark.anyio
A4 = (1653, 2339)  # at 200 dpi
PLENTY = 24_000_000


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(Limits(), seconds=20, with_sm3=True)
    yield pool
    await pool.stop()


async def test_pages_are_drawn_at_200_dpi_and_named_by_the_whole_file(pool: WorkerPool) -> None:
    data = invoice(3)
    opened = await pool.pdf_pages(data)
    assert opened.pages == (A4, A4, A4)
    page = await pool.pdf_page(opened, 2, max_pixels_used=PLENTY)
    assert (page.width, page.height) == (page.original_width, page.original_height) == A4
    assert (page.format, page.size, page.shrunk) == ("pdf", len(data), False)
    assert page.sha256 == hashlib.sha256(data).hexdigest()
    assert page.sm3 == sm3(data).hex()
    smaller = await pool.pdf_page(opened, 2, max_pixels_used=1_000_000)
    assert smaller.width * smaller.height <= 1_000_000
    assert (smaller.original_width, smaller.original_height) == A4


async def test_letters_that_the_file_does_not_bring_are_drawn_too(pool: WorkerPool) -> None:
    """As in Chinese invoices, whose fonts are those of the machine; a confined worker may read no file but fonts."""
    page = await pool.pdf_page(await pool.pdf_pages(invoice()), 1, max_pixels_used=PLENTY)
    dark = page.pixels.min(axis=2) < 100
    top, bottom = 842 - 700 - 24, 842 - 700 + 8  # of the line in Latin letters, points from above
    latin, chinese = (
        dark[round(y1 / 72 * 200) : round(y2 / 72 * 200)]
        for y1, y2 in ((top, bottom), (top + 100, bottom + 100))
    )
    assert latin.sum() > 1000
    assert chinese.sum() > 1000
    assert not dark[: round(top / 72 * 200)].any()


async def test_text_comes_with_its_places(pool: WorkerPool) -> None:
    lines = await pool.pdf_text(await pool.pdf_pages(invoice()), 1)
    assert [line.text for line in lines] == ["No. 12345678", "发票号码"]
    for line, baseline in zip(lines, (700, 600), strict=True):
        x1, y1, x2, y2 = line.box
        assert abs(x1 - 72 / 72 * 200) < 12
        assert y1 < (842 - baseline) / 72 * 200 < y2 + 12
        assert 100 < x2 - x1 < 600
    blank = await pool.pdf_pages(pdf())
    assert await pool.pdf_text(blank, 1) == []


async def test_a_word_is_whole_in_however_many_parts_it_is_drawn(pool: WorkerPool) -> None:
    """A part number that changes its font, or is set tight, must be found by what it is."""
    parts: list[tuple[float, int, bytes]] = [
        (72, 700, b"STM32F103RC"),
        (155.1, 700, b"T6"),
        (172, 700, b"32"),
        (185.3, 700, b"-"),
        (189.2, 700, b"bit in a man-"),
        (72, 680, b"ual."),
        (400, 700, b"12 V"),
        (72, 640, b"a"),
        (79, 643, b"b"),
    ]
    content = b"".join(b"BT /A 12 Tf %.1f %d Td (%s) Tj ET " % part for part in parts)
    lines = await pool.pdf_text(await pool.pdf_pages(pdf(content=content)), 1)
    assert [line.text for line in lines] == ["STM32F103RCT6 32-bit in a man-", "ual.", "12 V", "ab"]
    x1, y1, x2, y2 = lines[0].box
    assert abs(x1 - 72 / 72 * 200) < 6
    assert 240 / 72 * 200 < x2 < 260 / 72 * 200
    assert (842 - 712) / 72 * 200 < y1 < y2 < (842 - 695) / 72 * 200


async def test_what_was_filled_into_a_form_is_drawn(pool: WorkerPool) -> None:
    look = b"0 0 0 rg 0 0 300 100 re f"
    objects = (
        b"<</Type/Annot/Subtype/Widget/FT/Tx/T(a)/V(x)/Rect[100 100 400 200]/F 4/AP<</N 11 0 R>>>>",
        b"<</Type/XObject/Subtype/Form/BBox[0 0 300 100]/Length %d>>stream\n%s\nendstream"
        % (len(look), look),
    )
    data = pdf(objects=objects, catalog=b"/AcroForm<</Fields[10 0 R]>>").replace(
        b"/Contents 3 0 R", b"/Annots[10 0 R]/Contents 3 0 R"
    )
    page = await pool.pdf_page(await pool.pdf_pages(data), 1, max_pixels_used=PLENTY)
    assert (page.pixels[round((842 - 150) / 72 * 200), round(250 / 72 * 200)] < 50).all()


BAD = {
    "a password": (ENCRYPTED, "pdf_password", "password"),
    "500 pages": (pdf(500), "pdf_too_many_pages", "500 pages, more than the 200 allowed"),
    "a picture": (file(quarters(), "PNG"), "invalid_pdf", "not a PDF"),
    "nothing": (b"", "invalid_pdf", "not a PDF"),
    "half of it": (invoice()[:200], "invalid_pdf", "broken or incomplete"),
    "noise": (b"%PDF-1.7\n" + np.random.default_rng(1).bytes(5000), "invalid_pdf", "broken or incomplete"),
    "a giant page": (pdf(size=(1e6, 1e6)), "pdf_too_large", "measures"),
    "a strip": (pdf(size=(14_000, 10)), "pdf_too_large", "200 times"),
    "50 MB and more": (b"%PDF-1.7\n" + bytes(50_000_000), "pdf_too_large", "50 MB allowed"),
}


@pytest.mark.parametrize("kind", BAD)
async def test_a_bad_file_is_refused_in_its_own_words(pool: WorkerPool, kind: str) -> None:
    data, code, words = BAD[kind]
    told = []
    for reader in (pool, ThreadReader(Limits())):
        with pytest.raises(ImageError, match=words) as refused:
            await reader.pdf_pages(data, param="input[0]")
        error = refused.value
        assert (error.code, error.param) == (code, "input[0]")
        assert error.zh != error.message
        told.append(error.message)
    assert told[0] == told[1]


async def test_a_picture_that_would_fill_the_memory_is_refused_with_its_page(pool: WorkerPool) -> None:
    data = picture(40_000, 30_000)
    assert len(data) < 10_000
    opened = await pool.pdf_pages(data, param="input[0]")
    with pytest.raises(ImageError, match=r"Page 1 .* 40000 × 30000 pixels") as refused:
        await pool.pdf_page(opened, 1, max_pixels_used=PLENTY)
    assert (refused.value.code, refused.value.param) == ("pdf_too_large", "input[0]")
    fine = await pool.pdf_page(await pool.pdf_pages(picture(9000, 12_000)), 1, max_pixels_used=PLENTY)
    assert (fine.pixels[1000, 800] < 10).all()


async def test_a_page_that_is_not_there(pool: WorkerPool) -> None:
    opened = await pool.pdf_pages(pdf(2))
    for number in (0, 3):
        with pytest.raises(ImageError, match=f"none with the number {number}"):
            await pool.pdf_page(opened, number, max_pixels_used=PLENTY)


async def test_a_page_that_takes_too_long_is_one_refused_page(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    circles = b"".join(
        b"%d %d m %d %d %d %d %d %d c S " % (i, i, 500, i, i, 800, 0, 0) for i in range(1, 400)
    )
    slow = pdf(content=b"q 0.5 w [0.1 0.1] 0 d " + circles * 200 + b"Q")
    opened = await pool.pdf_pages(slow, param="file")
    with monkeypatch.context() as impatient:  # with this page only
        impatient.setattr(pool, "_seconds", 1)
        with pytest.raises(ImageError, match="longer than 1 seconds") as refused:
            await pool.pdf_page(opened, 1, max_pixels_used=PLENTY)
    assert (refused.value.code, refused.value.param) == ("invalid_pdf", "file")
    assert (await pool.pdf_pages(invoice())).pages == (A4,)


async def test_two_pages_at_once_and_all_in_order(pool: WorkerPool) -> None:
    opened = await pool.pdf_pages(invoice(12))
    pages = await asyncio.gather(*(pool.pdf_page(opened, n, max_pixels_used=100_000) for n in range(1, 13)))
    assert len({page.pixels_sha256 for page in pages}) == 1


async def test_each_broken_pdf_is_its_own_error_and_costs_nothing_else(pool: WorkerPool) -> None:
    seeds = [("invoice", invoice(3)), ("picture", picture(600, 800)), ("report", to_pdf(report()))]
    await pool.pdf_pages(invoice())
    assert pool.pid is not None
    maker = psutil.Process(pool.pid)
    # What it shares with those that wait is not its own alone.
    await eventually(lambda: len(maker.children()) >= 2)
    before = maker.memory_full_info().uss
    read: list[str] = []
    refused: dict[str, ImageError] = {}

    async def one(name: str, data: bytes) -> None:
        try:
            opened = await pool.pdf_pages(data, param="file")
            await pool.pdf_page(opened, len(opened.pages), max_pixels_used=100_000)
            await pool.pdf_text(opened, 1)
            read.append(name)
        except ImageError as error:
            refused[name] = error

    await asyncio.gather(*(one(*each) for each in pdf_mutations(seeds, 50, seed=11)))
    assert len(read) + len(refused) == 50
    assert len(read) > 10  # PDFium mends much
    assert len(refused) > 5
    for name, error in refused.items():
        assert (error.code in ("invalid_pdf", "pdf_too_large"), error.param) == (True, "file"), name
        assert error.zh != error.message, name
    assert pool.pid == maker.pid
    await eventually(lambda: maker.memory_full_info().uss < before + 5_000_000)


LIES: dict[str, dict[str, Any]] = {
    "no page": {"pages": []},
    "too many": {"pages": [[10, 10]] * 201},
    "giant": {"pages": [[100_000, 100_000]]},
    "below zero": {"pages": [[-1, 10]]},
    "no numbers": {"pages": [["1", 10]]},
    "nothing": {},
}


async def test_a_worker_that_was_taken_over_is_not_believed(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, Any] = {}

    async def ask(*_: object) -> bytes:
        return json.dumps({"bytes": 0, **told}).encode()

    monkeypatch.setattr(workers._Worker, "ask", ask)
    for lie in LIES.values():
        told.clear()
        told.update(lie)
        with pytest.raises(ImageError):
            await pool.pdf_pages(invoice())
    opened = Pdf(b"", "", (A4,))
    told.update({"format": "png", "size": [8, 8], "original": [8, 8], "bytes": 192})
    with pytest.raises(ImageError):
        await pool.pdf_page(opened, 1, max_pixels_used=100)
    with pytest.raises(ImageError):
        await pool.pdf_text(opened, 1)


def test_a_pdf_is_told_by_its_first_bytes() -> None:
    assert is_pdf(invoice())
    assert is_pdf(b"\xef\xbb\xbf\n" + invoice())
    assert not is_pdf(b"PDF")
    assert not is_pdf(file(quarters(), "PNG") + invoice())
    assert PdfLimits().max_pages == 200
