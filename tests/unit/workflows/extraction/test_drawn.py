"""The whole way on documents with real letters: drawn here, damaged, read by the real reader."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.invoices.draw import Specimen, specimen
from tests.unit.workflows.extraction.documents import TEMPLATES
from vlpro.engines.ocr.fields.document import Document
from vlpro.engines.ocr.reader import Reader
from vlpro.engines.ocr.readings import readings_of
from vlpro.imaging.picture import Picture
from vlpro.workflows.extraction.extract import extract, recognise
from vlpro.workflows.extraction.result import Extraction

FONT = Path("/usr/share/fonts/opentype/noto/NotoSerifCJK-Regular.ttc")
DRAWN = (("digital_ordinary", "photo"), ("special", "stamp"), ("train_paper", "tilt"))

pytestmark = pytest.mark.skipif(not FONT.exists(), reason="needs the Debian package fonts-noto-cjk")


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    made = Reader()
    yield made
    made.release()


def read(reader: Reader, drawn: Specimen) -> tuple[Extraction, dict[str, bool]]:
    page = reader.read(drawn.pixels)
    picture = Picture(drawn.pixels, "", "", "png", 0, page.width, page.height)
    readings = readings_of([Document(page)], [picture])
    template = recognise(readings, TEMPLATES)
    assert template is not None
    made = extract(readings, template, today=dt.date(2026, 11, 27))
    return made, {name: made.fields[name].normalized == value for name, value in drawn.labels.items()}


def test_damaged_documents_are_recognised_and_read(reader: Reader) -> None:
    right: list[bool] = []
    for kind, damage in DRAWN:
        drawn = specimen(kind, 7, damage)
        made, fields = read(reader, drawn)
        assert made.template == drawn.template
        right += fields.values()
        height, width = drawn.pixels.shape[:2]
        for found in made.fields.values():
            if found.box:
                assert -1 <= found.box[0] < found.box[2] <= width + 1
                assert -1 <= found.box[1] < found.box[3] <= height + 1
    assert sum(right) / len(right) >= 0.9


def test_the_same_seed_draws_the_same() -> None:
    first, again, other = specimen("quota", 3), specimen("quota", 3), specimen("quota", 4)
    assert (first.pixels == again.pixels).all()
    assert first.labels == again.labels != other.labels
