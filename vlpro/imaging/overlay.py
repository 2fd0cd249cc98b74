"""Boxes and points drawn on a picture, each with its number and its name.

Colours are those of Okabe and Ito (Color Universal Design, 2008) that stand out on most pictures: people with any
kind of colour vision tell them apart. A white rim keeps them visible on a ground of the same colour.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PALETTE", "Drawn", "draw", "highlight"]

PALETTE = ((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233))
_WHITE = (255, 255, 255)
_LABEL_CHARS = 24


@dataclass(frozen=True, slots=True)
class Drawn:
    """What to draw.

    Args:
        number: By which it is known beside the picture.
        corners: ``(x1, y1, x2, y2)`` of a box or ``(x, y)`` of a point, pixels, inside the picture.
        label: What it is; equal labels get the same colour.
    """

    number: int
    corners: tuple[float, ...]
    label: str = ""


def draw(pixels: NDArray[np.uint8], places: Sequence[Drawn]) -> NDArray[np.uint8]:
    """Draw places on a copy of a picture; lines and letters grow with its shorter side.

    A name is left out, its number stays, where it is wider than the picture, or where this machine has no font for
    it: letters beyond ASCII need one with Chinese, which fontconfig is asked for.

    Args:
        pixels: ``(height, width, 3)`` uint8, RGB.
        places: In the order in which they are drawn.

    Returns:
        Of the same shape.
    """
    drawn = pixels.copy()
    shorter = min(pixels.shape[:2])
    line, font = max(2, round(shorter / 400)), _font(max(12, round(shorter / 45)))
    colours: dict[str, tuple[int, int, int]] = {}
    for place in places:
        colours.setdefault(place.label, PALETTE[len(colours) % len(PALETTE)])
        _outline(drawn, place.corners, colours[place.label], line)
    for place in places:  # after all lines, so that none crosses them
        _name(drawn, place, font, colours[place.label], line)
    return drawn


def highlight(pixels: NDArray[np.uint8], boxes: Sequence[tuple[float, ...]]) -> NDArray[np.uint8]:
    """Mark text on a copy of a picture as a marker pen does: paper turns yellow, letters stay as they are.

    Args:
        pixels: ``(height, width, 3)`` uint8, RGB.
        boxes: ``(x1, y1, x2, y2)``, pixels.

    Returns:
        Of the same shape.
    """
    marked = pixels.copy()
    inside = np.zeros(pixels.shape[:2], bool)
    rim = max(2, round(min(pixels.shape[:2]) / 300))
    for box in boxes:
        x1, y1, x2, y2 = (round(side) for side in box)
        inside[max(0, y1 - rim) : y2 + rim, max(0, x1 - rim) : x2 + rim] = True
    marked[inside, 2] = marked[inside, 2] // 3
    return marked


def _outline(
    pixels: NDArray[np.uint8], corners: tuple[float, ...], colour: tuple[int, int, int], line: int
) -> None:
    height, width, _ = pixels.shape
    x1, y1, *opposite = (
        min(round(value), side - 1) for value, side in zip(corners, (width, height) * 2, strict=False)
    )
    for shade, rim in ((_WHITE, max(1, line // 2)), (colour, 0)):
        if opposite:
            x2, y2 = opposite
            cv2.rectangle(pixels, (x1, y1), (x2, y2), shade, line + 2 * rim)
        else:
            cv2.circle(pixels, (x1, y1), 3 * line + rim, shade, cv2.FILLED, cv2.LINE_AA)


def _name(
    pixels: NDArray[np.uint8],
    place: Drawn,
    font: ImageFont.FreeTypeFont,
    colour: tuple[int, int, int],
    line: int,
) -> None:
    """Write number and name above the place, below it where there is no room, and never outside the picture."""
    height, width, _ = pixels.shape
    label = " ".join(place.label.split())
    if len(label) > _LABEL_CHARS:
        label = f"{label[: _LABEL_CHARS - 3]}..."
    if not label.isascii() and _chinese_font() is None:
        label = ""
    for text in (f"{place.number} {label}".rstrip(), str(place.number)):
        patch = _patch(text, font, colour)
        tall, wide, _ = patch.shape
        if tall <= height and wide <= width:
            break
    else:
        return
    reach = line if len(place.corners) == 4 else 5 * line
    top, bottom = place.corners[1], place.corners[-1]
    y = round(top) - reach - tall
    if y < 0:
        y = round(bottom) + reach
    x = round(place.corners[0]) - line
    x, y = min(max(x, 0), width - wide), min(max(y, 0), height - tall)
    pixels[y : y + tall, x : x + wide] = patch


def _patch(text: str, font: ImageFont.FreeTypeFont, colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    """A text on its colour, in black or, where that is hard to read, in white."""
    ascent, descent = font.getmetrics()
    edge = max(2, ascent // 5)
    image = Image.new("RGB", (round(font.getlength(text)) + 2 * edge, ascent + descent + edge), colour)
    bright = sum(weight * part for weight, part in zip((0.299, 0.587, 0.114), colour, strict=True)) > 100
    ImageDraw.Draw(image).text((edge, edge // 2), text, "black" if bright else "white", font)
    return np.asarray(image)


def _font(size: int) -> ImageFont.FreeTypeFont:
    found = _chinese_font()
    if found is None:
        return cast(ImageFont.FreeTypeFont, ImageFont.load_default(size))  # Pillow's own, Latin only
    path, index = found
    return ImageFont.truetype(path, size, index, layout_engine=ImageFont.Layout.BASIC)


@cache
def _chinese_font() -> tuple[str, int] | None:
    """File and face of a font with Chinese, as fontconfig knows it; None where there is none."""
    program = shutil.which("fc-match")
    if program is None:
        return None
    command = [program, "-f", "%{file}\n%{index}\n%{lang}", ":lang=zh-cn:scalable=true"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout  # noqa: S603
        path, index, languages = told.split("\n")
        if "zh-cn" not in languages.split("|"):  # fontconfig always names one, if need be without Chinese
            return None
        ImageFont.truetype(path, 12, int(index))
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return path, int(index)
