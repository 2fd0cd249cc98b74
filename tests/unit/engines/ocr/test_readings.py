from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.unit.engines.ocr.asking import Reader, collect, picture
from tests.unit.engines.ocr.pages_of import english_receipt, quad, vat_invoice
from vlpro.engines.fake import FakeEngine
from vlpro.engines.interface import Engine, Message, Request, ResponseFormat
from vlpro.engines.ocr.engine import OcrEngine
from vlpro.engines.ocr.page import Code, Page
from vlpro.engines.reading import Readings, decode
from vlpro.errors import EngineError, UnsupportedError


def read(*pages: Page, schema: dict[str, object] | None = None) -> Readings:
    pictures = tuple(
        replace(picture(number, page), original_width=2 * page.width, original_height=3 * page.height)
        for number, page in enumerate(pages, 1)
    )
    request = Request(
        (Message("user", pictures),), response_format=ResponseFormat(schema) if schema else None, reading=True
    )

    async def run() -> str:
        engine = OcrEngine(load=lambda: Reader(dict(enumerate(pages, 1))))
        await engine.start()
        try:
            return (await collect(engine, request))[0]
        finally:
            await engine.stop()

    return decode(asyncio.run(run()))


def test_everything_has_its_place_in_the_original() -> None:
    code = Code("01,10,,12345678", "QRCode", quad(900, 10, 980, 90))
    reading = read(replace(vat_invoice(), codes=(code,))).pictures[0]
    assert (reading.width, reading.height) == (2000, 3000)
    total = reading.fields["total"]
    assert (total.text, total.value) == ("￥7018.83", "7018.83")
    line = next(one for one in reading.lines if "7018.83" in one.text)
    assert total.box == line.box
    assert line.box[1] == 3 * 276
    assert line.corners[0] == line.box[:2]
    assert line.corners[2] == line.box[2:]
    assert reading.fields["date"].value == "2010-11-18"
    assert reading.codes[0].box == (1800, 30, 1960, 270)
    [item] = reading.items
    assert {role: cell.text for role, cell in item.items()} == {
        "name": "计算机",
        "spec": "A6100",
        "quantity": "1",
        "unit_price": "5999.00",
        "amount": "5999.00",
        "tax_rate": "17%",
        "tax": "1019.83",
    }
    assert reading.columns["amount"] == "金额"


def test_a_schema_is_filled_over_all_pages_and_each_value_has_its_proof() -> None:
    properties: dict[str, object] = {
        "store": {"type": "object", "properties": {"tax_id": {"type": "string"}}},
        "大写金额": {"type": "string"},
        "fax": {"type": "string"},
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "qty": {"type": "integer"}},
            },
        },
    }
    readings = read(english_receipt(), vat_invoice(), schema={"type": "object", "properties": properties})
    assert readings.filled == {
        "store": {"tax_id": "000849813504"},
        "大写金额": "柒仟零壹拾捌圆捌角叁分",
        "fax": None,
        "items": [
            {"name": "HAMMER 16OZ", "qty": 1},
            {"name": "NAILS BOX", "qty": 2},
            {"name": "计算机", "qty": 1},
        ],
    }
    proof = {place.path: place for place in readings.proof}
    assert set(proof) == {
        "/store/tax_id",
        "/大写金额",
        *(f"/items/{i}/{column}" for i in range(3) for column in ("name", "qty")),
    }
    assert [proof[path].page for path in ("/store/tax_id", "/大写金额", "/items/1/qty", "/items/2/qty")] == [
        1,
        2,
        1,
        2,
    ]
    words = next(one for one in readings.pictures[1].lines if "柒仟" in one.text)
    assert proof["/大写金额"].box == words.box


def test_an_engine_without_places_refuses_by_name() -> None:
    async def run(engine: Engine) -> None:
        await anext(engine.generate(Request((Message("user", ("?",)),), reading=True), timeout_s=30))

    with pytest.raises(UnsupportedError) as caught:
        asyncio.run(run(FakeEngine()))
    assert caught.value.param == "reading"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"pictures": [{}], "filled": null, "proof": []}'])
def test_what_is_no_reading_is_an_error_of_the_engine(text: str) -> None:
    with pytest.raises(EngineError):
        decode(text)
