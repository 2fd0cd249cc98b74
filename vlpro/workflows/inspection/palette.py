"""How hot a colour of a thermal picture is: by the scale bar that is printed in it, else by the usual palettes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[Any]  # uint8; OpenCV's stubs tell no kind of number
    Box = tuple[int, int, int, int]

__all__ = ["Bar", "Degrees", "degrees", "find_bar", "heat"]

_FLAT = 12  # difference of a channel up to which neighbours have one colour
_JUMP = 24  # of a channel along a bar: there it has ended
_NARROWEST, _WIDEST = 5, 0.1  # of a bar: pixels, share of the picture
_LONGEST_STEP = 90  # between neighbours of 32 colours of a bar, in RGB
_PATH = 250  # that the colours of a bar go in RGB at least: from black to white it is 441
_OFF_PALETTE = 40  # distance in RGB from which a colour is not of the bar
_PALETTE_SHARE = 0.7  # of the picture that must be of its bar's colours

_TEXT = re.compile(r"\s*(?P<number>[-+−]?\s?\d{1,4}(?:[.,]\d{1,2})?)\s*(?:[°º˚oO]?\s*(?P<unit>[CF℃℉])?)\s*")

# The usual palettes, cold to hot, as points of their colour curves.
_PALETTES = {
    "grey": ((0, 0, 0), (255, 255, 255)),
    "iron": (
        (0, 0, 10),
        (30, 0, 110),
        (95, 0, 150),
        (160, 0, 152),
        (208, 46, 84),
        (239, 98, 10),
        (252, 150, 5),
        (255, 205, 40),
        (255, 240, 140),
        (255, 255, 255),
    ),
    "rainbow": (
        (0, 0, 128),
        (0, 0, 255),
        (0, 128, 255),
        (0, 255, 255),
        (0, 255, 0),
        (255, 255, 0),
        (255, 128, 0),
        (255, 0, 0),
        (128, 0, 0),
    ),
    "hot": ((0, 0, 0), (128, 0, 0), (255, 0, 0), (255, 128, 0), (255, 255, 0), (255, 255, 255)),
}


@dataclass(frozen=True, slots=True, eq=False)
class Bar:
    """A scale bar.

    Args:
        box: Where, pixels.
        colours: ``(n, 3)`` RGB along it, from its top or its left.
        upright: Whether it stands; else it lies.
    """

    box: Box
    colours: Pixels
    upright: bool


@dataclass(frozen=True, slots=True)
class Degrees:
    """What a scale's numbers say.

    Args:
        first: Of the top or the left end of the bar.
        last: Of its other end.
        unit: ``°C`` or ``°F``.
    """

    first: float
    last: float
    unit: str


def find_bar(pixels: Pixels) -> Bar | None:
    """Find the scale bar: a narrow strip that is even across and runs through the picture's own colours.

    Args:
        pixels: ``(height, width, 3)`` uint8, RGB.
    """
    for upright in (True, False):
        turned = pixels if upright else np.ascontiguousarray(pixels.transpose(1, 0, 2))
        for x, y, width, height in _strips(turned):
            # neither its sides nor its ends, where a border runs into it
            middle = turned[y + 2 : y + height - 2, x + width // 4 : x + width - width // 4]
            colours = np.median(middle, axis=1).astype(np.uint8)
            if _runs(colours) and _explains(colours, pixels):
                box = (x, y, x + width, y + height)
                return Bar(box if upright else (y, x, y + height, x + width), colours, upright)
    return None


def _strips(pixels: Pixels) -> list[tuple[int, int, int, int]]:
    """Upright strips that are even across."""
    height, width = pixels.shape[:2]
    if min(height, width) <= _NARROWEST:
        return []
    flat = (cv2.absdiff(pixels[:, 1:], pixels[:, :-1]).max(axis=2) <= _FLAT).astype(np.uint8)
    flat[1:][cv2.absdiff(pixels[1:], pixels[:-1]).max(axis=2)[:, 1:] > _JUMP] = 0  # its ends
    tall = cv2.getStructuringElement(cv2.MORPH_RECT, (_NARROWEST - 1, max(9, int(0.3 * height))))
    even = cv2.morphologyEx(flat, cv2.MORPH_OPEN, tall)
    _, _, stats, _ = cv2.connectedComponentsWithStats(even, connectivity=4)
    return [
        (int(x), int(y), int(wide) + 1, int(high))
        for x, y, wide, high, area in stats[1:]
        if wide < _WIDEST * width and area > 0.8 * wide * high
    ]


def _runs(colours: Pixels) -> bool:
    """Whether colours go a long way without turning back; noise goes a long way to and fro."""
    fine, coarse = (_path(colours, parts) for parts in (32, 16))
    return bool(coarse.sum() >= _PATH and coarse.sum() >= 0.85 * fine.sum() and fine.max() <= _LONGEST_STEP)


def _path(colours: Pixels, parts: int) -> NDArray[Any]:
    few = cv2.resize(colours[:, None].astype(np.float32), (1, parts), interpolation=cv2.INTER_AREA)
    steps: NDArray[Any] = np.linalg.norm(np.diff(few.reshape(parts, 3), axis=0), axis=1)
    return steps


def _explains(colours: Pixels, pixels: Pixels) -> bool:
    some = pixels[::4, ::4].reshape(-1, 3)
    _, off = _nearest(some, colours[:: max(1, len(colours) // 64)])
    return float((off <= _OFF_PALETTE).mean()) >= _PALETTE_SHARE


def _nearest(colours: Pixels, curve: Pixels) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """For each colour the nearest point of a curve, and how far that is."""
    a, b = colours.astype(np.float32), curve.astype(np.float32)
    squares = (a * a).sum(axis=1)[:, None] - 2 * a @ b.T + (b * b).sum(axis=1)[None, :]
    best = squares.argmin(axis=1)
    return best, np.sqrt(np.maximum(squares[np.arange(len(a)), best], 0))


def heat(pixels: Pixels, bar: Bar | None, *, hot_first: bool = True) -> Pixels:
    """How hot each pixel is, 0 to 255 along the palette.

    Args:
        pixels: ``(height, width, 3)`` uint8, RGB.
        bar: The picture's scale bar; None: whichever of the usual palettes fits best, light hot in a grey one.
        hot_first: Whether the top or left end of the bar is the hot one.

    Returns:
        ``(height, width)`` uint8.
    """
    fine = cv2.medianBlur(pixels, 3).astype(np.int32) >> 3
    codes = (fine[..., 0] << 10) | (fine[..., 1] << 5) | fine[..., 2]
    known, where = np.unique(codes, return_inverse=True)  # few: each colour is looked up once
    colours = np.stack([known >> 10, (known >> 5) & 31, known & 31], axis=1) * 8 + 4
    if bar is not None:
        curve = bar.colours[::-1] if hot_first else bar.colours
        best, _ = _nearest(colours, curve)
        levels = (best * (255 / max(1, len(curve) - 1))).astype(np.uint8)
    else:
        counts = np.bincount(where.reshape(-1))
        fits = [_nearest(colours, _curve(points)) for points in _PALETTES.values()]
        levels = min(fits, key=lambda fit: float(fit[1] @ counts))[0].astype(np.uint8)
    hot: Pixels = levels[where].reshape(pixels.shape[:2])
    return hot


def _curve(points: Sequence[tuple[int, int, int]]) -> Pixels:
    at, known = np.linspace(0, 1, 256), np.linspace(0, 1, len(points))
    return np.stack([np.interp(at, known, channel) for channel in zip(*points, strict=True)], axis=1)


def degrees(bar: Bar, printed: Sequence[tuple[str, tuple[float, float, float, float]]]) -> Degrees | None:
    """What the numbers beside a bar say of its ends.

    Args:
        bar: The bar.
        printed: Lines of text with their boxes, pixels.

    Returns:
        None where fewer than two numbers stand at it, or where they contradict each other.
    """
    x1, y1, x2, y2 = bar.box if bar.upright else (bar.box[1], bar.box[0], bar.box[3], bar.box[2])
    length, near = y2 - y1, max(3 * (x2 - x1), 0.35 * (y2 - y1))
    told: list[tuple[float, float]] = []
    unit = "°C"
    for text, place in printed:
        found = _TEXT.fullmatch(text)
        left, top, right, bottom = place if bar.upright else (place[1], place[0], place[3], place[2])
        along = ((top + bottom) / 2 - y1) / length
        beside = max(x1 - right, left - x2)
        if found is None or beside > near or not -0.2 <= along <= 1.2:
            continue
        told.append((along, float(re.sub(r"[−]", "-", found["number"]).replace(",", ".").replace(" ", ""))))
        if found["unit"] in ("F", "℉"):
            unit = "°F"
    if len(told) < 2:
        return None
    told.sort()
    if len(told) == 2:  # the numbers of the ends stand at them, above and below, or beside
        (start, first), (end, last) = told
        return Degrees(first, last, unit) if end - start > 0.6 and first != last else None
    at, values = np.array(told).T
    slope, begin = np.polyfit(at, values, 1)
    off = np.abs(values - (slope * at + begin)).max()
    if not slope or off > 0.1 * abs(slope) or at[-1] - at[0] < 0.5:
        return None
    return Degrees(float(begin), float(begin + slope), unit)
