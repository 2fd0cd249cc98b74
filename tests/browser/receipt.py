"""A receipt drawn for the tests; where each line stands is known to the pixel."""

from __future__ import annotations

import io
import shutil
import subprocess
from dataclasses import dataclass

import pytest
from PIL import Image, ImageDraw, ImageFont

__all__ = ["Receipt", "chinese_font", "photo", "receipt"]

Box = tuple[float, float, float, float]

LINES = (
    ("A4 复印纸 70g", "147.00"),
    ("中性笔 0.5 黑", "67.20"),
    ("档案盒 55mm", "120.00"),
    ("订书机", "76.00"),
)


@dataclass(frozen=True, slots=True)
class Receipt:
    """A picture as PNG bytes, and the box around its total, in pixels."""

    png: bytes
    size: tuple[int, int]
    total: Box


def chinese_font() -> str:
    """Path of a font with Chinese in it; skips the test where there is none."""
    if shutil.which("fc-match"):
        command = ["fc-match", "-f", "%{file}", "Noto Sans CJK SC:lang=zh-cn"]
        found = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        if "CJK" in found:
            return found
    pytest.skip("needs a Chinese font: apt-get install fonts-noto-cjk fontconfig")


def receipt(amount: str = "410.20") -> Receipt:
    """A sales receipt with this total."""
    path = chinese_font()
    picture = Image.new("RGB", (800, 1000), "#6e655c")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((40, 40, 760, 960), fill="#faf8f1")

    def write(x: int, y: int, text: str, size: int, anchor: str = "la") -> Box:
        font = ImageFont.truetype(path, size)
        draw.text((x, y), text, font=font, fill="#222222", anchor=anchor)
        return draw.textbbox((x, y), text, font=font, anchor=anchor)

    write(400, 90, "江宁路办公用品商店", 44, "ma")
    write(400, 156, "销售小票", 28, "ma")
    write(90, 230, "单号：XS-20261118-0472", 28)
    write(90, 276, "日期：2026-11-18", 28)
    for row, (name, price) in enumerate(LINES):
        write(90, 360 + 52 * row, name, 28)
        write(710, 360 + 52 * row, price, 28, "ra")
    write(90, 620, "合计", 36)
    total = write(710, 620, amount, 36, "ra")
    write(90, 700, "支付方式：对公转账", 28)
    return Receipt(_png(picture), picture.size, total)


def photo(number: int, size: tuple[int, int] = (64, 48)) -> bytes:
    """A small picture unlike the others."""
    return _png(Image.new("RGB", size, (number * 37 % 256, number * 91 % 256, number * 53 % 256)))


def _png(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()
