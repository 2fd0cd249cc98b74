"""One page as the templates look at it: where a label's value stands, what a pattern finds, with places."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import regex

from vlpro.engines.ocr.layout import Cell, Layout, Row
from vlpro.engines.ocr.page import Line, Page
from vlpro.engines.ocr.text import fold, is_cjk
from vlpro.engines.reading import Reading
from vlpro.workflows.extraction.result import Box

_ENUMERATION = re.compile(r"\s*(?:第?[一二三四五六七八九十]{1,3}条?|\d{1,2}(?:\.\d{1,2})?)[、.．:：\s]\s*")
"""The number of a clause before its label: 二、合同总价."""

_GAP = re.compile(r"(?<=\S)[\s;；,，]{1,8}(?=\S)")
_LONGEST = 200  # characters of a line in which a second label is looked for

__all__ = ["Clock", "Piece", "Sheet"]

_PATTERN_S = 0.05  # for one pattern on one line: a thousand times what a bounded one takes
_NEAR = 6.0  # heights of a line: so far from its label a value may stand without a colon


class Clock:
    """Keeps the time that patterns take: those of a company's own templates may be without bounds. For one thread.

    Args:
        limit_s: Seconds of this thread's processor time for a whole extraction: a machine that is busy with other
            work does not make a template's patterns bad ones.
    """

    def __init__(self, limit_s: float) -> None:
        self._end = time.thread_time() + limit_s
        self.ran_out = False

    def search(self, pattern: regex.Pattern[str], text: str) -> regex.Match[str] | None:
        """The first match in a text; None also where there is no time left, which ``ran_out`` tells."""
        return self._timed(pattern.search, text)

    def is_whole(self, pattern: regex.Pattern[str], text: str) -> bool:
        """Whether a pattern matches a text as a whole; False also where there is no time left."""
        return self._timed(pattern.fullmatch, text) is not None

    def _timed(self, run: Callable[..., regex.Match[str] | None], text: str) -> regex.Match[str] | None:
        left = self._end - time.thread_time()
        if left <= 0:
            self.ran_out = True
            return None
        try:
            return run(text, timeout=min(_PATTERN_S, left))
        except TimeoutError:
            self.ran_out = True
            return None


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text of a page.

    Args:
        text: As read.
        cells: Where it stands; several where it is a row.
        start: Where the text begins in that of the cells, joined by two spaces.
    """

    text: str
    cells: tuple[Cell, ...]
    start: int = 0

    @property
    def confidence(self) -> float:
        """The least sure cell's."""
        return min(cell.confidence for cell in self.cells)

    def box(self, start: int, end: int) -> Box:
        """Around a part of the text, estimated by the width of its characters; pixels of the original."""
        begin, boxes = -self.start, []
        for cell in self.cells:
            length = len(cell.text)
            first, last = max(0, start - begin), min(length, end - begin)
            if first < last:
                boxes.append(_part(cell, first, last))
            begin += length + 2
        if not boxes:
            boxes = [_part(cell, 0, len(cell.text)) for cell in self.cells]
        left, top, right, bottom = zip(*boxes, strict=True)
        return round(min(left)), round(min(top)), round(max(right)), round(max(bottom))


def _width(text: str) -> float:
    return sum(1.0 if is_cjk(char) else 0.55 for char in text)


def _part(cell: Cell, first: int, last: int) -> tuple[float, float, float, float]:
    """The part of a cell's box in which some of its characters stand, tilt included."""
    if len(cell.lines) > 1 or (first == 0 and last >= len(cell.text)):
        xs = [x for line in cell.lines for x, _ in line.quad]
        ys = [y for line in cell.lines for _, y in line.quad]
        return min(xs), min(ys), max(xs), max(ys)
    text, quad = cell.text, cell.lines[0].quad
    whole = max(_width(text), 0.1)
    shares = _width(text[:first]) / whole, _width(text[:last]) / whole
    (x1, y1), (x2, y2), (x3, y3), (x4, y4) = quad
    xs, ys = [], []
    for share in shares:
        xs += [x1 + (x2 - x1) * share, x4 + (x3 - x4) * share]
        ys += [y1 + (y2 - y1) * share, y4 + (y3 - y4) * share]
    return min(xs), min(ys), max(xs), max(ys)


class Sheet:
    """A page that was read.

    Args:
        reading: What the engine read.
        number: Of the page among all, from 1.
    """

    def __init__(self, reading: Reading, number: int) -> None:
        self.reading = reading
        self.number = number

    @cached_property
    def layout(self) -> Layout:
        """The page as rows."""
        lines = tuple(Line(line.text, line.confidence, line.corners) for line in self.reading.lines)
        return Layout(Page(self.reading.width, self.reading.height, lines))

    @cached_property
    def text(self) -> str:
        """All that is read, row by row."""
        return "\n".join(fold(text) for text in self.layout.as_text())

    @cached_property
    def _span(self) -> tuple[float, float, float, float]:
        """Around all text: areas are shares of it, so that a margin around the document does not matter."""
        boxes = [cell.box for cell in (*self.layout.cells, *self.layout.vertical)]
        if not boxes:
            return 0.0, 0.0, 1.0, 1.0
        left, top, right, bottom = zip(*boxes, strict=True)
        return min(left), min(top), max(right), max(bottom)

    def within(self, cell: Cell, area: tuple[float, float, float, float]) -> bool:
        """Whether a cell's middle lies in an area.

        Args:
            cell: Of this page.
            area: ``(x1, y1, x2, y2)``, shares of the printed part of the page.
        """
        left, top, right, bottom = self._span
        x, y = cell.middle
        x, y = (x - left) / max(1.0, right - left), (y - top) / max(1.0, bottom - top)
        return area[0] <= x <= area[2] and area[1] <= y <= area[3]

    def cells(self, area: tuple[float, float, float, float]) -> Iterator[Piece]:
        """Each cell in an area, from top to bottom."""
        for cell in self.layout.in_reading_order():
            if self.within(cell, area):
                yield Piece(cell.text, (cell,))

    def rows(self, area: tuple[float, float, float, float]) -> Iterator[Piece]:
        """Each row whose middle cell is in an area, as one text."""
        for row in self.layout.rows:
            if self.within(row.cells[len(row.cells) // 2], area):
                yield Piece(row.text, row.cells)

    def beside(
        self,
        label: str,
        look: Sequence[str],
        area: tuple[float, float, float, float],
        labels: frozenset[str],
    ) -> Iterator[Piece]:
        """What stands beside a label, the likeliest first.

        Args:
            label: Of the page.
            look: ``same`` cell, ``right``, ``below``, ``above``.
            area: In which the label must stand.
            labels: All labels of the template: a value ends where another one begins.
        """
        for cell in self.layout.cells:
            if not self.within(cell, area):
                continue
            found = _label_in(cell.text, label)
            if found is None:
                continue
            for where in look:
                if where == "same":
                    rest = cell.text[found:]
                    end = _next_label(rest, labels)
                    if any(map(str.isalnum, rest[:end])):
                        yield Piece(rest[:end], (cell,), found)
                elif where == "right":
                    yield from self._right(cell, labels)
                elif where == "below" and (under := self.layout.below(cell)):
                    yield Piece(under.text, (under,))
                elif where == "above" and (over := self._above(cell)):
                    yield Piece(over.text, (over,))

    def _right(self, cell: Cell, labels: frozenset[str]) -> Iterator[Piece]:
        for right in self.layout.right_of(cell)[:2]:
            text = right.text
            if not text.strip(" :："):
                continue
            if any(_after(text, other) is not None for other in labels):
                return
            yield Piece(text, (right,))
            return

    def _above(self, cell: Cell) -> Cell | None:
        for row in reversed(self.layout.rows[: self.layout.row_index(cell)]):
            if cell.y1 - row.box[3] > 2.5 * cell.height:
                return None
            for other in row.cells:
                if min(other.x2, cell.x2) - max(other.x1, cell.x1) > 0:
                    return other
        return None

    def row_of(
        self, pattern: regex.Pattern[str], area: tuple[float, float, float, float], clock: Clock
    ) -> Iterator[Row]:
        """Rows whose text, in half-width forms, a pattern finds something in."""
        for row in self.layout.rows:
            if self.within(row.cells[0], area) and clock.search(pattern, fold(row.text)[:500]):
                yield row


def _label_in(text: str, label: str) -> int | None:
    """Where a text goes on behind a label: at its beginning, behind a clause's number, or behind another value."""
    begin = match.end() if (match := _ENUMERATION.match(text)) else 0
    found = _after(text[begin:], label)
    if found is not None or len(label) < 2:
        return None if found is None else begin + found
    for gap in _GAP.finditer(text[:_LONGEST]):
        found = _after(text[gap.end() :], label)
        if found is not None and text[gap.end() :][found - 1 : found] in {":", "："}:
            return gap.end() + found
    return None


def _after(text: str, label: str) -> int | None:
    """Where a text goes on behind a label at its beginning; spaces and signs do not matter.

    One misread character is forgiven in a Chinese label of four or more.

    Returns:
        The place behind the label and its colon; None where the text does not begin with it.
    """
    flat = fold(text).lower()
    wanted = [char for char in fold(label).lower() if char.isalnum()]
    slack = 1 if len(wanted) >= 4 and all(map(is_cjk, wanted)) else 0
    matched = 0
    for place, char in enumerate(flat):
        if not char.isalnum():
            continue
        if matched == len(wanted):
            return _behind(flat, place, wanted)
        if char != wanted[matched]:
            if not slack or not is_cjk(char):
                return None
            slack -= 1
        matched += 1
    return len(text) if matched == len(wanted) else None


def _behind(flat: str, place: int, wanted: list[str]) -> int | None:
    """A Latin label must end where a word ends: Total is not Totally."""
    glued = place and flat[place - 1].isalpha() and wanted[-1].isascii() and flat[place].isalpha()
    if glued and flat[place].isascii():
        return None
    while place and not flat[place - 1].isalnum() and flat[place - 1] not in ":)](":
        place -= 1
    return place


def _next_label(text: str, labels: frozenset[str]) -> int:
    """Where the next label begins in a value; the text's length where none does."""
    flat = fold(text)
    best = len(text)
    for label in labels:
        if len(label) < 2:
            continue
        place = flat.find(fold(label), 1)
        if 0 < place < best and flat[place + len(label) :].lstrip()[:1] in {":", "：", ""}:
            best = place
    return best
