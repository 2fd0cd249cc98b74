"""A sheet to draw on."""

from __future__ import annotations

import subprocess
from functools import lru_cache
from pathlib import Path
from random import Random

import numpy as np
import segno
from PIL import Image, ImageDraw, ImageFont

FAMILIES = {"sans": "Noto Sans CJK SC", "serif": "Noto Serif CJK SC", "mono": "DejaVu Sans Mono"}


@lru_cache(maxsize=16)
def font_file(family: str, bold: bool = False) -> tuple[str, int]:  # noqa: FBT001, FBT002 - a question of fontconfig
    """File and index of a font, as fontconfig knows it.

    Raises:
        FileNotFoundError: The family is not installed.
    """
    wanted = FAMILIES[family] + (":bold" if bold else "")
    command = ["fc-match", "-f", "%{family}|%{file}|%{index}", wanted]
    name, file, index = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("|")
    if FAMILIES[family].split()[0] not in name:
        raise FileNotFoundError(f"no font {FAMILIES[family]}: install fonts-noto-cjk")
    return file, int(index) & 0xFFFF


@lru_cache(maxsize=256)
def font(family: str, size: int, bold: bool = False) -> ImageFont.FreeTypeFont:  # noqa: FBT001, FBT002 - likewise
    file, index = font_file(family, bold)
    return ImageFont.truetype(file, size, index=index if Path(file).suffix == ".ttc" else 0)


class Canvas:
    """Draws text and lines; everything random comes from the seed."""

    def __init__(self, width: int, height: int, random: Random, paper: str = "white") -> None:
        self.image = Image.new("RGB", (width, height), paper)
        self.draw = ImageDraw.Draw(self.image)
        self.random = random
        self.family = random.choice(("sans", "serif", "serif"))

    def text(
        self,
        x: float,
        y: float,
        words: str,
        size: int = 24,
        ink: str = "#111",
        *,
        family: str = "",
        bold: bool = False,
        anchor: str = "la",
        most: float = 0,
    ) -> float:
        """Write; at most so wide, smaller where it would not fit. Returns where it ends."""
        face = font(family or self.family, size, bold)
        while most and size > 12 and self.draw.textlength(words, face) > most:
            size -= 1
            face = font(family or self.family, size, bold)
        self.draw.text((x, y), words, ink, face, anchor=anchor)
        return x + self.draw.textlength(words, face)

    def upright(self, x: float, y: float, words: str, size: int, ink: str) -> None:
        """Write from top to bottom, a character a line."""
        for place, char in enumerate(words):
            self.text(x, y + place * size * 1.15, char, size, ink)

    def line(self, x1: float, y1: float, x2: float, y2: float, ink: str) -> None:
        self.draw.line((x1, y1, x2, y2), ink, 2)

    def box(self, x1: float, y1: float, x2: float, y2: float, ink: str) -> None:
        self.draw.rectangle((x1, y1, x2, y2), outline=ink, width=2)

    def qr(self, x: int, y: int, text: str, side: int) -> None:
        code = segno.make(text, error="m", micro=False)
        modules = np.array([[not cell for cell in row] for row in code.matrix], np.uint8) * 255
        scale = max(2, side // (len(modules) + 2))
        picture = Image.fromarray(np.kron(modules, np.ones((scale, scale), np.uint8)))
        self.image.paste(picture.convert("RGB"), (x, y))

    def seal(self, x: float, y: float, words: str, ink: tuple[int, int, int] = (205, 40, 40)) -> None:
        """A round or oval stamp over whatever is there."""
        layer = Image.new("RGBA", self.image.size, (0, 0, 0, 0))
        draw = ImageDraw.Draw(layer)
        wide, high = (105, 72) if self.random.random() < 0.6 else (85, 85)
        alpha = self.random.randrange(110, 190)
        draw.ellipse((x - wide, y - high, x + wide, y + high), outline=(*ink, alpha), width=5)
        draw.text((x, y - high * 0.45), words[:10], (*ink, alpha), font(self.family, 17), anchor="mm")
        draw.text((x, y), "发票专用章", (*ink, alpha), font(self.family, 24), anchor="mm")
        draw.text((x, y + high * 0.5), "★", (*ink, alpha), font("sans", 20), anchor="mm")
        layer = layer.rotate(self.random.uniform(-18, 18), center=(x, y), resample=Image.Resampling.BILINEAR)
        self.image = Image.alpha_composite(self.image.convert("RGBA"), layer).convert("RGB")
        self.draw = ImageDraw.Draw(self.image)
