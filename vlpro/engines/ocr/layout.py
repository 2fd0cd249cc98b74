"""Where things stand on a page: rows of cells, straightened, with what is beside and below what."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import TYPE_CHECKING

from vlpro.engines.ocr.text import fold, is_cjk

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vlpro.engines.ocr.page import Box, Line, Page

__all__ = ["Cell", "Layout", "Row", "union"]

_MOST_LINES = 3000
_LONGEST_LINE = 400  # characters; no line that was read is longer
# Words whose characters forms spread over a cell: "合      计".
_FORMER = str.maketrans(
    "額稅單價數規號開計", "额税单价数规号开计"
)  # forms as old as some forms' type, or misread so
_SPREAD = frozenset(
    (
        "合计",
        "小计",
        "总计",
        "金额",
        "税额",
        "税率",
        "单价",
        "数量",
        "单位",
        "名称",
        "日期",
        "备注",
        "项目",
        "规格",
        "品名",
        "型号",
    )
)


@dataclass(frozen=True, eq=False)
class Cell:
    """A piece of text on the page, straightened.

    Args:
        text: As read; several lines joined where a form spread one word.
        lines: The lines it comes from.
        box: ``(x1, y1, x2, y2)`` after the page's tilt is taken out, pixels.
    """

    text: str
    lines: tuple[Line, ...]
    box: Box

    @cached_property
    def flat(self) -> str:
        """The text in half-width forms, position by position."""
        return fold(self.text)

    @property
    def x1(self) -> float:
        """Left."""
        return self.box[0]

    @property
    def y1(self) -> float:
        """Top."""
        return self.box[1]

    @property
    def x2(self) -> float:
        """Right."""
        return self.box[2]

    @property
    def y2(self) -> float:
        """Bottom."""
        return self.box[3]

    @property
    def height(self) -> float:
        """Height in pixels, at least 1."""
        return max(self.box[3] - self.box[1], 1.0)

    @property
    def middle(self) -> tuple[float, float]:
        """Centre."""
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2

    @property
    def confidence(self) -> float:
        """The least sure line's confidence."""
        return min(line.confidence for line in self.lines)


@dataclass(frozen=True, eq=False)
class Row:
    """Cells that stand side by side, from left to right."""

    cells: tuple[Cell, ...]

    @cached_property
    def text(self) -> str:
        """The cells' texts with a gap between them."""
        return "  ".join(cell.text for cell in self.cells)

    @cached_property
    def box(self) -> Box:
        """Around all cells."""
        return union(cell.box for cell in self.cells)

    @property
    def height(self) -> float:
        """Median height of its cells, pixels."""
        return median(cell.height for cell in self.cells)


def union(boxes: Iterable[Box]) -> Box:
    """The box around boxes; raises ValueError where there is none."""
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)


class Layout:
    """A page as rows.

    Args:
        page: What was read. Beyond 3,000 lines the rest is left out of the rules (it is still read out).
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        lines = page.lines[:_MOST_LINES]
        self.tilt = _tilt(lines)
        cells = [
            Cell(line.text.strip()[:_LONGEST_LINE], (line,), self._straight(line))
            for line in lines
            if line.text.strip()
        ]
        upright = [cell for cell in cells if not _vertical(cell)]
        self.vertical = tuple(cell for cell in cells if _vertical(cell))
        self.rows: tuple[Row, ...] = tuple(Row(tuple(_spread_words(row))) for row in _rows(upright))
        self.cells: tuple[Cell, ...] = tuple(cell for row in self.rows for cell in row.cells)
        self._row_of = {id(cell): index for index, row in enumerate(self.rows) for cell in row.cells}

    def _straight(self, line: Line) -> Box:
        cos, sin = math.cos(-self.tilt), math.sin(-self.tilt)
        points = [(x * cos - y * sin, x * sin + y * cos) for x, y in line.quad]
        xs, ys = sorted(x for x, _ in points), sorted(y for _, y in points)
        # The middle of the two outer points a side: a tight box also for a slightly slanted quad.
        return (xs[0] + xs[1]) / 2, (ys[0] + ys[1]) / 2, (xs[2] + xs[3]) / 2, (ys[2] + ys[3]) / 2

    def in_reading_order(self) -> list[Cell]:
        """All cells, row by row, with the upright ones where they begin."""
        order = [(self.rows[self.row_index(cell)].box[1], cell.x1, cell) for cell in self.cells]
        order += [(cell.y1, cell.x1, cell) for cell in self.vertical]
        return [cell for _, _, cell in sorted(order, key=lambda item: item[:2])]

    def as_text(self) -> list[str]:
        """The page as a reader would type it: a line a row, wide gaps kept between columns."""
        lines = [(row.box[1], "\u2003".join(cell.text for cell in row.cells)) for row in self.rows]
        lines += [(cell.y1, cell.text) for cell in self.vertical]
        return [text for _, text in sorted(lines, key=lambda item: item[0])]

    def row_index(self, cell: Cell) -> int:
        """Index of the row that a cell stands in."""
        return self._row_of[id(cell)]

    def right_of(self, cell: Cell) -> list[Cell]:
        """Cells to the right in the same row, nearest first."""
        row = self.rows[self.row_index(cell)].cells
        return list(row[row.index(cell) + 1 :])

    def beside(self, cell: Cell) -> list[Cell]:
        """Cells to the right in the same row; none for one that stands upright, outside of all rows."""
        return self.right_of(cell) if id(cell) in self._row_of else []

    def below(self, cell: Cell, *, rows: int = 2) -> Cell | None:
        """The nearest cell under a cell: in one of the next rows, overlapping it sideways."""
        start = self.row_index(cell) + 1
        for row in self.rows[start : start + rows]:
            if row.box[1] - cell.y2 > 2.5 * cell.height:
                return None
            under = [other for other in row.cells if min(other.x2, cell.x2) - max(other.x1, cell.x1) > 0]
            if under:
                return max(under, key=lambda other: min(other.x2, cell.x2) - max(other.x1, cell.x1))
        return None


def _tilt(lines: Sequence[Line]) -> float:
    """Radians by which the text runs downhill: the median over the long lines, also of a page on its side."""
    angles: list[tuple[float, float]] = []
    for line in lines:
        (x1, y1), (x2, y2), _, (x4, y4) = line.quad
        width, height = math.dist((x1, y1), (x2, y2)), math.dist((x1, y1), (x4, y4))
        if width > 4 * height:
            angles.append((math.atan2(y2 - y1, x2 - x1), width))
    length = [0.0] * 4
    for angle, width in angles:
        length[round(angle / (math.pi / 2)) % 4] += width
    quarter = max(range(4), key=length.__getitem__) if max(length) > 0.6 * sum(length) else 0
    # Near half a turn the angle jumps from one sign to the other.
    among = [
        a % (2 * math.pi) if quarter == 2 else a for a, _ in angles if round(a / (math.pi / 2)) % 4 == quarter
    ]
    return median(among) if len(among) >= 3 else 0.0


def _vertical(cell: Cell) -> bool:
    x1, y1, x2, y2 = cell.box
    return len(cell.text) > 1 and (y2 - y1) > 1.5 * (x2 - x1)


def _rows(cells: list[Cell]) -> list[list[Cell]]:
    """Group cells whose heights overlap by more than half of the lower one's, top to bottom."""
    rows: list[list[Cell]] = []
    open_rows: list[list[Cell]] = []  # those that a later cell may still join
    for cell in sorted(cells, key=lambda cell: cell.middle[1]):
        best, best_overlap = None, 0.5
        for row in open_rows:
            near = min(row, key=lambda other: abs(other.middle[0] - cell.middle[0]))
            overlap = (min(near.y2, cell.y2) - max(near.y1, cell.y1)) / min(near.height, cell.height)
            beside = all(
                min(o.x2, cell.x2) - max(o.x1, cell.x1) < 0.5 * min(o.x2 - o.x1, cell.x2 - cell.x1)
                for o in row
            )
            if overlap > best_overlap and beside:
                best, best_overlap = row, overlap
        if best is None:
            best = []
            rows.append(best)
            open_rows = [row for row in open_rows[-5:] if max(o.y2 for o in row) > cell.y1]
            open_rows.append(best)
        best.append(cell)
    for row in rows:
        row.sort(key=lambda cell: cell.x1)
    return rows


def _spread_words(row: list[Cell]) -> list[Cell]:
    """Join two single characters of a word that a form spread over its cell."""
    joined: list[Cell] = []
    for cell in row:
        last = joined[-1] if joined else None
        if (
            last is not None
            and len(last.text) == 1
            and is_cjk(cell.text[0])
            and (word := (last.text + cell.text[0]).translate(_FORMER)) in _SPREAD
            and (len(cell.text) == 1 or cell.flat[1] == ":")
        ):
            joined[-1] = Cell(word + cell.text[1:], last.lines + cell.lines, union((last.box, cell.box)))
        else:
            joined.append(cell)
    return joined
