"""Thermal pictures: the hottest regions, in degrees where the picture's scale says how hot its colours are.

A region is hot against what is around it, not against the whole picture: a pole in the sun is hotter than a bad
clamp on the wire beside it. So what is long, as poles and wires are, is taken away (openings by turned lines), and
what is left over is compact and hotter than everything that it lies on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from vlpro.imaging.picture import Picture
from vlpro.workflows.inspection.palette import Degrees, degrees, find_bar, heat
from vlpro.workflows.inspection.result import Box, Defect, Inspection

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Grey = NDArray[Any]  # uint8; OpenCV's stubs tell no kind of number

__all__ = ["Printed", "inspect"]

_SIDE = 384  # pixels of the longer side in which regions are looked for: what thermal cameras have
_LINE = 27  # pixels: longer than a hot spot, shorter than what it is a part of
_TURNS = 12
_LEAST = 10  # of 255: by how much a region is hotter
_NEARLY = 0.7  # of the strongest: others that are told too
_MOST = 3
_ROOM = 5
_LARGEST, _COMPACT = 0.25, 0.5  # of the longer side, and of its own box: a region that is hot as a whole


@dataclass(frozen=True, slots=True)
class Printed:
    """A line of text that stands in the picture.

    Args:
        text: As read.
        box: Where, in pixels of the original.
    """

    text: str
    box: Box


@dataclass(frozen=True, slots=True)
class _Region:
    """A hot region of the small picture: how hot it is, and by how much more than its surroundings, of 255."""

    box: Box
    level: int
    above: int


def inspect(picture: Picture, printed: Sequence[Printed] = ()) -> Inspection:
    """Find regions that are hotter than what is around them.

    Args:
        picture: Of a thermal camera: grey (light is hot), iron, rainbow or hot-metal colours, or any other where a
            scale bar is printed in it.
        printed: What an OCR reading finds in it, for the numbers of the scale.

    Returns:
        ``thermal``; the defects are ``hot``, the most abnormal first, with degrees as their note where the scale
        could be read. ``review`` where there are any: what is normal for the equipment, a person knows.
    """
    shrink = min(1.0, 2 * _SIDE / max(picture.width, picture.height))
    size = (max(1, round(picture.width * shrink)), max(1, round(picture.height * shrink)))
    pixels = cv2.resize(picture.pixels, size, interpolation=cv2.INTER_AREA)
    across, down = size[0] / picture.original_width, size[1] / picture.original_height
    lines = [
        (line.text, (line.box[0] * across, line.box[1] * down, line.box[2] * across, line.box[3] * down))
        for line in printed
    ]
    bar = find_bar(pixels)
    scale = degrees(bar, lines) if bar is not None else None
    hot_first = scale.first > scale.last if scale is not None else bar is None or bar.upright
    hot = heat(pixels, bar, hot_first=hot_first)
    for x1, y1, x2, y2 in [box for _, box in lines] + ([bar.box] if bar is not None else []):
        hot[max(0, int(y1) - 2) : int(y2) + 3, max(0, int(x1) - 2) : int(x2) + 3] = 0  # print is not hot
    part = min(1.0, _SIDE / max(size))
    small = cv2.resize(
        hot, (max(1, round(size[0] * part)), max(1, round(size[1] * part))), interpolation=cv2.INTER_AREA
    )
    middle = int(np.median(small))
    regions = _regions(cv2.GaussianBlur(small, (3, 3), 0), middle)
    back = picture.original_width / small.shape[1], picture.original_height / small.shape[0]
    defects = tuple(
        Defect(
            "hot",
            _original(region.box, picture, back),
            round(1 - math.exp(-region.above / 60), 3),
            _note(region.level, scale),
        )
        for region in regions
    )
    message, zh = _why(regions, middle, scale)
    return Inspection(
        "thermal",
        defects,
        "review" if defects else "pass",
        picture.original_width,
        picture.original_height,
        message=message,
        zh=zh,
    )


def _regions(hot: Grey, middle: int) -> list[_Region]:
    """The hottest regions against what they lie on, the strongest first."""
    under = np.zeros_like(hot)
    for line in _lines():
        under = cv2.max(under, cv2.morphologyEx(hot, cv2.MORPH_OPEN, line))
    above = cv2.subtract(hot, under)
    weight = (
        above.astype(np.float32) * (hot.astype(np.float32) / 255) ** 2
    )  # warm spots on cold ground are many
    regions: list[_Region] = []
    strongest = 0.0
    while len(regions) < _MOST:
        _, value, _, (x, y) = cv2.minMaxLoc(weight)
        if value < max(_LEAST, _NEARLY * strongest):
            break
        strongest = max(strongest, value)
        box, _ = _around(above, (x, y), 0.5 * int(above[y, x]))
        whole, share = _around(hot, (x, y), (int(hot[y, x]) + middle) / 2)
        if share >= _COMPACT and max(whole[2] - whole[0], whole[3] - whole[1]) <= _LARGEST * max(hot.shape):
            box = (
                min(box[0], whole[0]),
                min(box[1], whole[1]),
                max(box[2], whole[2]),
                max(box[3], whole[3]),
            )
        regions.append(_Region(box, int(hot[y, x]), int(above[y, x])))
        weight[max(0, box[1]) : box[3], max(0, box[0]) : box[2]] = 0
    if not regions:
        _, peak, _, at = cv2.minMaxLoc(hot)
        if peak - middle >= 4 * _LEAST:
            box, _ = _around(hot, at, middle + 0.75 * (peak - middle))
            regions.append(_Region(box, int(peak), int(peak) - middle))
    return regions


def _lines() -> list[Grey]:
    """Lines of one length through one middle, turned in even steps."""
    lines, reach = [], (_LINE - 1) // 2
    for turn in range(_TURNS):
        angle = math.pi * turn / _TURNS
        across, down = round(reach * math.cos(angle)), round(reach * math.sin(angle))
        line = np.zeros((_LINE, _LINE), np.uint8)
        cv2.line(line, (reach - across, reach - down), (reach + across, reach + down), 1)
        lines.append(line)
    return lines


def _around(values: Grey, at: Sequence[int], level: float) -> tuple[Box, float]:
    """The box, with some room, of what is as high and connected to a place; how much of it that fills."""
    mask = (values >= max(1.0, level)).astype(np.uint8)
    area, _, _, (x, y, width, height) = cv2.floodFill(mask, None, (at[0], at[1]), 2, flags=8)
    return (x - _ROOM, y - _ROOM, x + width + _ROOM, y + height + _ROOM), area / (width * height)


def _original(box: Box, picture: Picture, back: tuple[float, float]) -> Box:
    x1, y1, x2, y2 = (round(side * times) for side, times in zip(box, back * 2, strict=True))
    width, height = picture.original_width, picture.original_height
    return max(0, x1), max(0, y1), min(width, x2), min(height, y2)


def _at(level: float, scale: Degrees) -> float:
    cold, hot = sorted((scale.first, scale.last))
    return cold + (hot - cold) * level / 255


def _note(level: int, scale: Degrees | None) -> str:
    if scale is None:
        return ""
    least = "≥ " if level >= 252 else ""  # the end of the scale: it may be hotter
    return f"{least}{_at(level, scale):.1f} {scale.unit}"


def _why(regions: Sequence[_Region], middle: int, scale: Degrees | None) -> tuple[str, str]:
    """A sentence on the first region, in English and in Chinese."""
    if not regions:
        return (
            "No region is clearly hotter than what is around it.",
            "没有明显比周围更热的区域。",
        )
    first = regions[0]
    if scale is None:
        percent = round(first.above / 2.55)
        english = (
            f"Region 1 is hotter than what it lies on, by {percent}% of the picture's colour range. No scale could "
            "be read, so degrees are not known."
        )
        return english, f"区域 1 比其所在部位更热，相差色标范围的 {percent}%。未读到温度标尺，温度未知。"
    note, unit = _note(first.level, scale), scale.unit
    apart = abs(scale.first - scale.last) * first.above / 255
    beyond = _at(first.level, scale) - _at(middle, scale)
    english = (
        f"Region 1 has {note}: {apart:.1f} {unit} more than what it lies on, {beyond:.1f} {unit} more than half of "
        "the picture."
    )
    chinese = (
        f"区域 1 为 {note}，比其所在部位高 {apart:.1f} {unit}，比画面温度的中位数高 {beyond:.1f} {unit}。"
    )
    return english, chinese
