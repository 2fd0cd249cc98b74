from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
import zxingcpp
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from vlpro.engines.ocr.page import Page
from vlpro.engines.ocr.reader import Cancelled, Reader

SHARED = Path(__file__).parents[5] / "shared" / "data"
TEXTS = (
    "GREEN HILL MARKET",
    "Invoice No: 2024-00817",
    "Date: 17/03/2024",
    "Orange juice 12.40",
    "Whole wheat bread 3.95",
    "TOTAL RM 16.35",
    "Thank you, come again",
    "Cashier: Margaret",
)


def picture(texts: tuple[str, ...] = TEXTS, *, size: int = 28, width: int = 520) -> NDArray[np.uint8]:
    image = Image.new("RGB", (width, 60 + 2 * size * len(texts)), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size)
    for number, text in enumerate(texts):
        draw.text((40, 30 + 2 * size * number), text, "black", font)
    return np.array(image)


def texts(page: Page) -> list[str]:
    return [line.text for line in page.lines]


@pytest.fixture(scope="module")
def reader() -> Reader:
    reader = Reader()
    reader.warm_up()
    return reader


def test_memory_goes_back_to_the_system_when_it_is_released(reader: Reader) -> None:
    page = np.full((2400, 1600, 3), 255, np.uint8)
    page[:508, :520] = picture()
    before = reader.read(page)
    used = psutil.Process().memory_info().rss
    reader.release()
    assert used - psutil.Process().memory_info().rss > 50_000_000
    assert reader.read(page) == before


def test_reads_every_line_in_order_with_its_place(reader: Reader) -> None:
    page = reader.read(picture())
    assert texts(page) == list(TEXTS)
    assert (page.width, page.height) == (520, 508)
    for number, line in enumerate(page.lines):
        x1, y1, x2, y2 = line.box
        assert 25 < x1 < 45
        assert x2 < 500
        assert 20 + 56 * number < y1 < y2 < 78 + 56 * number
        assert 0.9 < line.confidence <= 1


def test_the_same_pixels_give_the_same_page(reader: Reader) -> None:
    assert reader.read(picture()) == reader.read(picture())


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_page_of_another_orientation_is_read_upright(reader: Reader, turns: int) -> None:
    upright = picture()
    page = reader.read(np.ascontiguousarray(np.rot90(upright, turns)))
    assert texts(page) == list(TEXTS)
    height, width = upright.shape[:2]
    assert (page.width, page.height) == ((height, width) if turns % 2 else (width, height))
    # The first line's start, as it lies on the turned picture.
    x, y = page.lines[0].quad[0]
    expected = {1: (30, width - 35), 2: (width - 35, height - 30), 3: (height - 30, 35)}[turns]
    assert abs(x - expected[0]) < 15
    assert abs(y - expected[1]) < 15


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (9, 9), (12, 4000), (4000, 12), (700, 700)])
@pytest.mark.parametrize("shade", [0, 255])
def test_an_empty_picture_of_any_shape_is_an_empty_page(
    reader: Reader, shape: tuple[int, int], shade: int
) -> None:
    height, width = shape
    assert reader.read(np.full((height, width, 3), shade, np.uint8)) == Page(width, height, ())


def test_noise_does_not_become_a_page_of_text(reader: Reader) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (300, 400, 3), np.uint8)
    assert len("".join(texts(reader.read(noise)))) < 5


def test_a_long_receipt_is_read_to_its_end(reader: Reader) -> None:
    wanted = tuple(f"Item number {number} at {number * 3}.50" for number in range(100, 170))
    assert texts(reader.read(picture(wanted, size=24, width=440))) == list(wanted)


def test_a_cutting_of_one_line_is_read(reader: Reader) -> None:
    assert texts(reader.read(picture(("TOTAL RM 16.35",))[26:64, 30:300])) == ["TOTAL RM 16.35"]


def test_small_print_is_read(reader: Reader) -> None:
    page = reader.read(picture(("The terms of the contract", "apply to every delivery"), size=12, width=240))
    assert texts(page) == ["The terms of the contract", "apply to every delivery"]


def test_a_slanted_page_keeps_its_rows_together(reader: Reader) -> None:
    image = Image.new("RGB", (900, 420), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(26)
    rows = [
        ("Apple", "11.00"),
        ("Lemon", "12.00"),
        ("Grape", "13.00"),
        ("Melon", "14.00"),
        ("Peach", "15.00"),
    ]
    draw.text((60, 10), "Fruit of the season, picked this morning", "black", font)
    for number, (name, price) in enumerate(rows):
        draw.text((60, 60 + 60 * number), name, "black", font)
        draw.text((740, 60 + 60 * number), price, "black", font)
    slanted = image.rotate(4, fillcolor="white", resample=Image.Resampling.BICUBIC)
    assert texts(reader.read(np.array(slanted)))[1:] == [text for row in rows for text in row]


def test_a_code_is_read_beside_the_text(reader: Reader) -> None:
    drawn = zxingcpp.create_barcode("https://example.com/发票", zxingcpp.BarcodeFormat.QRCode)
    code = np.asarray(zxingcpp.write_barcode_to_image(drawn, scale=5))
    page_pixels = picture(width=700)
    height, width = code.shape
    page_pixels[200 : 200 + height, 500 : 500 + width] = code[:, :, None]
    page = reader.read(page_pixels)
    assert [(found.text, found.format) for found in page.codes] == [("https://example.com/发票", "QRCode")]
    x1, y1, x2, y2 = page.codes[0].box
    assert 500 <= x1 < x2 <= 500 + width
    assert 200 <= y1 < y2 <= 200 + height
    assert [text for text in texts(page) if text in TEXTS] == list(TEXTS)


@pytest.mark.parametrize("after", [0, 1, 2, 5])
def test_a_cancelled_reading_ends_and_the_next_one_works(reader: Reader, after: int) -> None:
    asked = 0

    def cancelled() -> bool:
        nonlocal asked
        asked += 1
        return asked > after

    with pytest.raises(Cancelled):
        reader.read(picture(), cancelled)
    assert asked == after + 1
    assert texts(reader.read(picture())) == list(TEXTS)


def test_reads_what_rapidocr_reads(reader: Reader) -> None:
    rapidocr = pytest.importorskip("rapidocr")
    pytest.importorskip("onnxruntime")
    theirs = rapidocr.RapidOCR(params={"Global.use_cls": False, "Global.log_level": "critical"})
    found = theirs(cv2.cvtColor(picture(), cv2.COLOR_RGB2BGR))
    page = reader.read(picture())
    assert sorted(found.txts) == sorted(texts(page))
    their_boxes = dict(zip(found.txts, found.boxes, strict=True))
    for line in page.lines:
        assert np.abs(np.array(line.quad) - their_boxes[line.text]).max() <= 4


def test_a_chinese_invoice_is_read(reader: Reader) -> None:
    path = SHARED / "invoices_zh" / "vat-specimen.jpg"
    if not path.is_file():
        pytest.skip("../shared/data is absent")
    page = reader.read(np.array(Image.open(path).convert("RGB")))
    assert {"开票日期：2010年11月18日", "柒仟零壹拾捌圆捌角叁分", "纳税人识别号：410305123456789"} <= set(
        texts(page)
    )


def test_loading_and_reading_say_nothing_and_bring_no_other_program_along() -> None:
    script = """
import logging, socket, sys
before = (logging.getLogger().level, list(logging.getLogger().handlers))
def refuse(*arguments, **named): raise AssertionError("a socket was opened")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from vlpro.engines.ocr.reader import Reader
Reader(threads=1).warm_up()
assert (logging.getLogger().level, list(logging.getLogger().handlers)) == before
assert sys.modules.get("openvino") is not None
loaded = [name for name in ("rapidocr", "onnxruntime", "torch", "openvino_telemetry") if sys.modules.get(name)]
assert not loaded, loaded
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
