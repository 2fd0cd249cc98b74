"""Text at the size that an engine asks for stays readable: OCR before and after shrinking."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from tests.unit.imaging.samples import PLENTY, file, take
from vlpro.imaging.picture import Picture

LINES = [
    "RECEIPT No 20871 of 14/03/2024",
    "Copper wire 2.5 mm, 12 rolls at 48.60",
    "Terminal block TB-4410, 150 pieces",
    "Subtotal 1,083.20  Tax 13% 140.82",
    "TOTAL 1,224.02",
]


def test_a_page_reads_the_same_after_shrinking() -> None:
    rapidocr = pytest.importorskip("rapidocr")
    reader = rapidocr.RapidOCR(
        params={
            "Global.use_cls": False,
            "Global.log_level": "error",
            "Det.limit_type": "max",  # not the default, which enlarges small pictures, and so is slow
            "Det.limit_side_len": 1600,
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
        }
    )
    page = Image.new("RGB", (3000, 4000), (250, 249, 245))
    for number, line in enumerate(LINES):
        ImageDraw.Draw(page).text((200, 150 + 120 * number), line, (35, 35, 40), ImageFont.load_default(64))
    data = file(page, "JPEG")
    before, after = take(data, pixels=PLENTY), take(data, pixels=1_000_000)
    assert (before.shrunk, after.shrunk) == (False, True)
    assert read(reader, after) == read(reader, before)
    assert sum(line.replace(" ", "") in read(reader, after) for line in LINES) >= len(LINES) - 1


def read(reader: Any, picture: Picture) -> str:
    written_on = picture.pixels[: picture.height // 5, :, ::-1]
    found = reader(np.ascontiguousarray(written_on))
    return "".join(found.txts or ()).replace(" ", "")
