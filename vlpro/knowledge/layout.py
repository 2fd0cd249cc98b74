"""How a page's lines belong together: columns, paragraphs, tables, the words of a drawing; in reading order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Literal

__all__ = ["Block", "Line", "blocks_of", "joined", "rows_of"]

_Box = tuple[int, int, int, int]
_WIDE_GAP = 1.4  # line heights between two cells of a row, or two columns; less is a space
_SPACE = 1.0  # line heights between parts of one line, at most
_PARAGRAPH_GAP = 0.75  # line heights between two lines of a paragraph, at most; more where a page is set wide
_SECTION_GAP = 1.6  # line heights between what stands apart on a page
_MANY_ROWS = 3
_CELL_GAP = 0.6  # line heights between two lines of a cell, at most
_CHINESE = re.compile(r"[\u3400-\u9fff\u3000-\u303f\uff00-\uffef]")
_PROSE_CHARS = 24  # letters of a line of a column, Chinese ones count twice; a table's cell has fewer


@dataclass(frozen=True, slots=True)
class Line:
    """Text with its place.

    Args:
        text: Without ends of lines.
        box: ``(x1, y1, x2, y2)`` in pixels of the page.
    """

    text: str
    box: _Box

    @property
    def height(self) -> int:
        """Of its box, pixels."""
        return max(1, self.box[3] - self.box[1])


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that belong together.

    Args:
        rows: In reading order; a row of a table has several cells.
        kind: What it is.
        group: Blocks of the same part of the page have the same one.
        heading: Whether it is one short line above what follows.
    """

    rows: tuple[tuple[Line, ...], ...]
    kind: Literal["text", "table", "figure"]
    group: int
    heading: bool = False

    @property
    def lines(self) -> Iterator[Line]:
        """All of them."""
        return (line for row in self.rows for line in row)


def blocks_of(lines: Sequence[Line]) -> list[Block]:
    """The blocks of a page.

    Args:
        lines: In any order; parts of one line are put together.
    """
    told = [line for line in lines if line.text.strip()]
    if not told:
        return []
    usual = median(line.height for line in told)
    whole = _whole(told)
    apart = max(_SECTION_GAP * usual, 1.5 * _usual_gap(rows_of(whole)))
    found: list[Block] = []
    for group, region in enumerate(_regions(whole, usual, apart, depth=0)):
        found += _blocks(region, usual, apart, group)
    return found


def _usual_gap(rows: Sequence[Sequence[Line]]) -> float:
    """Between two lines of the page, pixels: some are set wide."""
    gaps = [_around_row(below)[1] - _around_row(above)[3] for above, below in pairwise(rows)]
    return median(gaps) if len(gaps) >= _MANY_ROWS else 0.0


def _whole(lines: Sequence[Line]) -> list[Line]:
    """Parts of a line that stand next to each other, as one: a PDF cuts where the font changes."""
    found: list[Line] = []
    for row in rows_of(lines):
        current = row[0]
        for line in row[1:]:
            gap = line.box[0] - current.box[2]
            high = max(current.height, line.height)
            if gap > _SPACE * high or min(current.height, line.height) < 0.4 * high:
                found.append(current)
                current = line
                continue
            space = " " if gap > 0.18 * high and _latin(current.text[-1]) and _latin(line.text[0]) else ""
            current = Line(current.text + space + line.text, _around((current.box, line.box)))
        found.append(current)
    return found


def rows_of(lines: Sequence[Line]) -> list[list[Line]]:
    """Lines at the same height, from left to right; rows from top to bottom."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda one: (one.box[1] + one.box[3], one.box[0])):
        if rows:
            last = rows[-1][-1]
            overlap = min(last.box[3], line.box[3]) - max(last.box[1], line.box[1])
            if overlap > 0.6 * min(last.height, line.height):
                rows[-1].append(line)
                continue
        rows.append([line])
    return [sorted(row, key=lambda one: one.box[0]) for row in rows]


def _regions(lines: list[Line], usual: float, apart: float, *, depth: int) -> Iterator[list[Line]]:
    """The page, cut where it is empty: across first, then between columns (recursive XY cut; Nagy & Seth, 1984)."""
    if depth > 12 or len(lines) < 2:
        yield lines
        return
    parts = _cut(lines, axis=1, gap=apart)
    if len(parts) == 1:
        columns = _cut(lines, axis=0, gap=_WIDE_GAP * usual)
        if len(columns) > 1 and _are_columns(columns):
            parts = columns
    if len(parts) == 1:
        yield lines
        return
    for part in parts:
        yield from _regions(part, usual, apart, depth=depth + 1)


def _cut(lines: Sequence[Line], *, axis: int, gap: float) -> list[list[Line]]:
    """Parts that are a gap apart, along x (0) or y (1)."""
    parts: list[list[Line]] = []
    reach = 0
    for line in sorted(lines, key=lambda one: one.box[axis]):
        if parts and line.box[axis] - reach < gap:
            parts[-1].append(line)
        else:
            parts.append([line])
        reach = max(reach, line.box[axis + 2]) if len(parts[-1]) > 1 else line.box[axis + 2]
    return parts


def _are_columns(parts: Sequence[Sequence[Line]]) -> bool:
    """Whether parts beside each other are columns of text, or of a drawing, and no table's."""
    many = sum(len(rows_of(part)) >= _MANY_ROWS for part in parts)
    if many < 2:
        return True
    return all(median(_letters(line.text) for line in part) >= _PROSE_CHARS for part in parts)


def _blocks(lines: Sequence[Line], usual: float, apart: float, group: int) -> Iterator[Block]:
    rows = rows_of(lines)
    if _is_table(rows, usual):
        yield Block(tuple(tuple(row) for row in _records(rows, usual)), "table", group)
        return
    most = min(max(_PARAGRAPH_GAP * usual, 1.25 * _usual_gap(rows)), apart)
    current: list[list[Line]] = []
    for row in rows:
        if current and not _goes_on(current[-1], row, most):
            yield _block(current, group)
            current = []
        current.append(row)
    if current:
        yield _block(current, group)


def _is_table(rows: Sequence[Sequence[Line]], usual: float) -> bool:
    """Whether most rows have cells, whose left edges stand under each other."""
    edges = [
        [cell.box[0] for before, cell in pairwise(row) if cell.box[0] - before.box[2] > _WIDE_GAP * usual]
        for row in rows
    ]
    if len(rows) < 2 or sum(bool(row) for row in edges) < 0.6 * len(rows):
        return False
    known = sorted(edge for row in edges for edge in row)
    under = sum(second - first < usual for first, second in pairwise(known))
    return under >= 0.5 * (len(known) - 1)


def _records(rows: Sequence[list[Line]], usual: float) -> list[list[Line]]:
    """A table's rows, where cells of several lines are whole: a line without a first cell belongs to its neighbour.

    To the one above, or, where the first cell stands in the middle of its row, to the one below.
    """
    left = min(row[0].box[0] for row in rows)
    first = [row[0].box[0] - left < usual for row in rows]
    gaps = [_around_row(below)[1] - _around_row(above)[3] for above, below in pairwise(rows)]
    found: list[list[list[Line]]] = []
    own: list[bool] = []  # whether the record has its first cell
    for number, row in enumerate(rows):
        gap = gaps[number - 1] if number else usual
        near = bool(found) and gap <= _CELL_GAP * usual
        next_gap = gaps[number] if number < len(gaps) else usual
        belongs = near and (
            (first[number] and not own[-1]) or (not first[number] and (gap <= next_gap or not own[-1]))
        )
        if belongs:
            found[-1].append(row)
            own[-1] |= first[number]
        else:
            found.append([row])
            own.append(first[number])
    return [_cells(record) for record in found]


def _cells(rows: Sequence[Sequence[Line]]) -> list[Line]:
    """The cells of some lines of a table: what stands under each other is one."""
    cells: list[Line] = []
    for line in (line for row in rows for line in row):
        for at, cell in enumerate(cells):
            if min(cell.box[2], line.box[2]) > max(cell.box[0], line.box[0]):
                cells[at] = Line(joined(cell.text, line.text), _around((cell.box, line.box)))
                break
        else:
            cells.append(line)
    return sorted(cells, key=lambda cell: cell.box[0])


def joined(first: str, second: str) -> str:
    """Two lines as one text: Chinese goes on without a space, a word cut by a hyphen is whole again."""
    if not first or not second:
        return first or second
    if first.endswith("-") and len(first) > 1 and first[-2].isalpha() and second[0].islower():
        return first[:-1] + second
    if _CHINESE.match(first[-1]) or _CHINESE.match(second[0]):
        return first + second
    return f"{first} {second}"


def _goes_on(above: Sequence[Line], below: Sequence[Line], most: float) -> bool:
    """Whether a row belongs to the paragraph above it."""
    first, second = _around_row(above), _around_row(below)
    heights = max(line.height for line in above), max(line.height for line in below)
    beside = min(first[2], second[2]) - max(first[0], second[0]) > 0
    return second[1] - first[3] <= most and beside and max(heights) < 1.35 * min(heights)


def _block(rows: Sequence[Sequence[Line]], group: int) -> Block:
    short = len(rows) == 1 and sum(len(line.text) for line in rows[0]) < 40
    return Block(tuple(tuple(row) for row in rows), "text", group, heading=short)


def _around_row(row: Sequence[Line]) -> _Box:
    return _around([line.box for line in row])


def _around(boxes: Sequence[_Box]) -> _Box:
    x1, y1, x2, y2 = zip(*boxes, strict=True)
    return min(x1), min(y1), max(x2), max(y2)


def _latin(letter: str) -> bool:
    return letter.isascii() and not letter.isspace()


def _letters(text: str) -> int:
    return sum(1 if letter.isascii() else 2 for letter in text)
