"""Documents as pages built by hand, and what the engine that reads would give for them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import numpy as np

from tests.unit.engines.ocr.pages_of import page, quad
from vlpro.engines.ocr.fields.document import Document
from vlpro.engines.ocr.page import Code, Line, Page
from vlpro.engines.ocr.readings import readings_of
from vlpro.engines.reading import Readings, decode, encode
from vlpro.imaging.picture import Picture
from vlpro.workflows.extraction.extract import extract
from vlpro.workflows.extraction.result import Extraction
from vlpro.workflows.extraction.template import load_templates

TEMPLATES = load_templates()
TODAY = dt.date(2026, 11, 27)
SELLER, BUYER = "91350100M000100Y43", "91110000802100433B"

Row = tuple[tuple[float, str], ...] | str


def readings(*pages: Page, schema: Mapping[str, Any] | None = None) -> Readings:
    pixels = np.zeros((1, 1, 3), np.uint8)
    pictures = []
    for one in pages:
        # As large as its page, so that places stay what they are.
        broad = np.broadcast_to(pixels, (one.height, one.width, 3))
        pictures.append(Picture(broad, "a" * 64, "b" * 64, "png", 1, one.width, one.height))
    return decode(encode(readings_of([Document(one) for one in pages], pictures, schema)))


def extracted(
    template: str, *pages: Page, today: dt.date = TODAY, seen: Mapping[str, Any] | None = None
) -> Extraction:
    return extract(readings(*pages), TEMPLATES[template], today=today, seen=seen)


def normals(extraction: Extraction) -> dict[str, str]:
    return {name: one.normalized for name, one in extraction.fields.items() if one.normalized is not None}


def passed(extraction: Extraction) -> dict[str, bool | None]:
    return {check.name: check.passed for check in extraction.checks}


def special_invoice(
    *,
    number: str = "87654321",
    code: str = "1100194140",
    date: str = "2020年11月18日",
    net: str = "5999.00",
    tax: str = "779.87",
    rate: str = "13%",
    total: str = "6778.87",
    words: str = "陆仟柒佰柒拾捌圆捌角柒分",
    seller: str = SELLER,
    line: str = "5999.00",
    coded: str | None = None,
) -> Page:
    """增值税专用发票 whose figures agree unless told otherwise."""
    rows = page(
        ((40, code), (380, "北京增值税专用发票"), (750, f"No{number}")),
        ((650, f"开票日期：{date}"),),
        ((60, "名"), (100, "称：测试购方企业")),
        "",
        ((60, f"纳税人识别号：{BUYER}"),),
        (
            (40, "货物名称"), (300, "规格型号"), (450, "数量"), (550, "单价"), (650, "金额"), (750, "税率"),
            (850, "税额"),
        ),
        ((40, "计算机"), (300, "A6100"), (450, "1"), (550, line), (650, line), (750, rate), (850, tax)),
        ((60, "合"), (120, "计"), (650, f"￥{net}"), (850, f"￥{tax}")),
        ((40, "价税合计（大写）"), (300, words), (650, f"（小写）￥{total}")),
        "",
        "",
        "",
        ((60, "名称：测试销方企业"),),
        ((60, f"纳税人识别号：{seller}"),),
        ((60, "收款人：王芳"), (400, "开票人：李雷")),
    )  # fmt: skip
    sides = (
        Line("购买方", 0.99, quad(10, 90, 30, 160)),
        Line("销售方", 0.99, quad(10, 400, 30, 480)),
    )
    codes = (Code(coded, "QRCode", quad(20, 20, 30, 30)),) if coded else ()
    return Page(1000, 1000, (*rows.lines, *sides), codes)
