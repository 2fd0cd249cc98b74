"""Reading order of the lines of a page."""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vlpro.engines.ocr.page import Box, Line

__all__ = ["reading_order"]

_LEAST_LINES = 5  # a column of text has at least so many lines …
_LEAST_CHARACTERS = 9  # … of which half are at least so long: a list of prices is no column of text …
_LEAST_FILLED = 0.6  # … and fill so much of the column's width


def reading_order(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Sort lines: rows from top to bottom, left to right within a row; columns of running text one by one.

    A page that was photographed at a slant is set straight first: rows are rows along the text's direction.

    Args:
        lines: In any order.

    Returns:
        The same lines. The order depends on their places and texts only.
    """
    given = sorted(lines, key=lambda line: (line.box[1], line.box[0], line.text))
    slope = _slope(given)
    placed = [(_straight(line, slope), line) for line in given]
    return tuple(line for _, line in _by_columns(placed))


def _slope(lines: Sequence[Line]) -> float:
    """Rise of the text per pixel to the right: the median over the lines, the wide ones counting most."""
    slopes: list[tuple[float, float]] = []
    for line in lines:
        (x1, y1), (x2, y2) = line.quad[:2]
        if x2 - x1 > 1.5 * (line.quad[3][1] - line.quad[0][1]) > 0:
            slopes.append(((y2 - y1) / (x2 - x1), (x2 - x1) ** 2))
    half = sum(weight for _, weight in slopes) / 2
    for slope, weight in sorted(slopes):
        half -= weight
        if half <= 0:
            return slope
    return 0.0


def _straight(line: Line, slope: float) -> Box:
    """The line's box after the page was turned so that its text is level."""
    angle = -math.atan(slope)
    cos, sin = math.cos(angle), math.sin(angle)
    points = [(x * cos - y * sin, x * sin + y * cos) for x, y in line.quad]
    xs, ys = sorted(x for x, _ in points), sorted(y for _, y in points)
    return (xs[0] + xs[1]) / 2, (ys[0] + ys[1]) / 2, (xs[2] + xs[3]) / 2, (ys[2] + ys[3]) / 2


_Placed = tuple["Box", "Line"]


def _by_columns(placed: Sequence[_Placed]) -> list[_Placed]:
    """Order lines, those left and right of a gutter apart; lines across it part the page into bands."""
    gutter = _gutter(placed)
    if gutter is None:
        return _by_rows(placed)
    ordered: list[_Placed] = []
    band: list[_Placed] = []

    def end_band() -> None:
        for side in ([p for p in band if p[0][2] <= gutter], [p for p in band if p[0][0] >= gutter]):
            ordered.extend(_by_columns(side))
        band.clear()

    for item in sorted(placed, key=lambda p: (p[0][1], p[0][0])):
        if _crosses(item[0], gutter):
            end_band()
            ordered.append(item)
        else:
            band.append(item)
    end_band()
    return ordered


def _crosses(box: Box, x: float) -> bool:
    return box[0] < x < box[2]


def _gutter(placed: Sequence[_Placed]) -> float | None:
    """Find where running text stands left and right of an empty strip.

    Returns:
        The strip's middle; None where the page has no such strip.
    """
    if len(placed) < 2 * _LEAST_LINES:
        return None
    left, right = min(box[0] for box, _ in placed), max(box[2] for box, _ in placed)
    for step in range(8, 33):  # the middle fifth to four fifths of the page, in fortieths
        x = left + (right - left) * step / 40
        sides = [p for p in placed if p[0][2] <= x], [p for p in placed if p[0][0] >= x]
        if len(placed) - sum(map(len, sides)) <= 0.2 * len(placed) and all(map(_running_text, sides)):
            end, start = (max(box[2] for box, _ in sides[0]), min(box[0] for box, _ in sides[1]))
            return (end + start) / 2
    return None


def _running_text(placed: Sequence[_Placed]) -> bool:
    if len(placed) < _LEAST_LINES:
        return False
    width = max(box[2] for box, _ in placed) - min(box[0] for box, _ in placed)
    return (
        median(len(line.text) for _, line in placed) >= _LEAST_CHARACTERS
        and median(box[2] - box[0] for box, _ in placed) >= _LEAST_FILLED * width
    )


def _by_rows(placed: Sequence[_Placed]) -> list[_Placed]:
    rows: list[list[_Placed]] = []
    for item in sorted(placed, key=lambda p: (p[0][1] + p[0][3], p[0][0])):
        if rows and _same_row(rows[-1][0][0], item[0]):
            rows[-1].append(item)
        else:
            rows.append([item])
    return [item for row in rows for item in sorted(row, key=lambda p: p[0][0])]


def _same_row(first: Box, other: Box) -> bool:
    """Whether two boxes' middles are nearer than half the lower one's height."""
    apart = abs((first[1] + first[3]) - (other[1] + other[3])) / 2
    return apart < 0.5 * min(first[3] - first[1], other[3] - other[1])
