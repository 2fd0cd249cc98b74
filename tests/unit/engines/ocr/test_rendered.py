"""The whole engine on a picture with real letters: drawn here, read by the real reader."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from tests.unit.engines.ocr.asking import boxes, collect, said
from vlpro.engines.interface import Message, Request, Sampling
from vlpro.engines.ocr.engine import OcrEngine
from vlpro.imaging.picture import Picture

FONT = Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc")

pytestmark = pytest.mark.skipif(not FONT.exists(), reason="needs the Debian package fonts-noto-cjk")


def invoice() -> Picture:
    image = Image.new("RGB", (1200, 760), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.truetype(str(FONT), 26)

    def text(x: int, y: int, words: str) -> None:
        draw.text((x, y), words, "black", font)

    text(460, 30, "电子发票（普通发票）")
    text(800, 30, "发票号码：26317000001284650371")
    text(800, 75, "开票日期：2026年11月16日")
    text(60, 130, "名称：华东精密仪器有限公司")
    text(660, 130, "名称：上海云岫技术服务有限公司")
    text(60, 175, "统一社会信用代码：91320500MA1XQ3TK7P")
    text(660, 175, "统一社会信用代码：91310115MA1K4B8N2E")
    for x, name in (
        (60, "项目名称"),
        (400, "数量"),
        (560, "单价"),
        (720, "金额"),
        (880, "税率"),
        (1020, "税额"),
    ):
        text(x, 260, name)
    for y, row in (
        (310, ("设备校准", "4", "2400.00", "9600.00", "6%", "576.00")),
        (360, ("现场检测", "2", "1580.00", "3160.00", "6%", "189.60")),
    ):
        for x, cell in zip((60, 400, 560, 720, 880, 1020), row, strict=True):
            text(x, y, cell)
    text(60, 440, "合计")
    text(720, 440, "¥12760.00")
    text(1020, 440, "¥765.60")
    text(60, 520, "价税合计（大写）")
    text(330, 520, "壹万叁仟伍佰贰拾伍圆陆角整")
    text(800, 520, "（小写）¥13525.60")
    text(60, 620, "开票人：周敏")
    pixels = np.asarray(image, np.uint8)
    return Picture(pixels, "a" * 64, "b" * 64, "png", 1000, 1200, 760)


def test_a_drawn_invoice_is_understood() -> None:
    picture = invoice()

    async def run() -> list[str]:
        engine = OcrEngine()
        await engine.start()
        answers = []
        for question in (
            "价税合计是多少？",
            "销售方名称和税号",
            "税额是多少",
            "现场检测的金额",
            "金额对不对？",
            "Who is the buyer?",
        ):
            request = Request((Message("user", (picture, question)),), Sampling(max_tokens=2000))
            answers.append((await collect(engine, request))[0])
        await engine.stop()
        return answers

    total, seller, tax, item, check, buyer = asyncio.run(run())
    assert "13525.60**" in said(total)
    assert "不一致" not in said(total)
    (box,) = boxes(total)
    left, top, right, bottom = box["bbox_2d"]
    assert left / 1000 * 1200 > 790
    assert right / 1000 * 1200 < 1100
    assert 500 < top / 1000 * 760 < bottom / 1000 * 760 < 580
    assert "上海云岫技术服务有限公司" in seller
    assert "91310115MA1K4B8N2E" in seller
    assert "765.60" in said(tax)
    assert "**3160.00**" in said(item)
    assert "金额**一致**" in check
    assert "华东精密仪器有限公司" in buyer
