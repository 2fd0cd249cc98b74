"""A page's lines as passages: what is found, cited and marked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from vlpro.knowledge.layout import Block, Line, blocks_of, joined, rows_of

__all__ = ["Box", "Clause", "PageContent", "Passage", "PassageKind", "page_content", "running_lines"]

Box = tuple[int, int, int, int]
"""``(x1, y1, x2, y2)`` in pixels of the page, as :class:`PageContent` states its size."""

PassageKind = Literal["text", "table", "figure"]


@dataclass(frozen=True, slots=True)
class Clause:
    """The smallest part of a passage that says something by itself.

    Args:
        text: As written.
        boxes: Of its lines, or of the parts of them.
    """

    text: str
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class Passage:
    """What is found as one: a paragraph, an item of a list, a table's row with its head, a figure's words.

    Args:
        text: As written, lines joined.
        boxes: Of its lines.
        kind: What it was on the page.
        clauses: Its parts, in order; at least one.
    """

    text: str
    boxes: tuple[Box, ...]
    kind: PassageKind
    clauses: tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class PageContent:
    """What a page says.

    Args:
        width: Of the page's picture, pixels.
        height: Of the page's picture, pixels.
        passages: In reading order.
    """

    width: int
    height: int
    passages: tuple[Passage, ...]


_SHORT, _LONG = 60, 320  # characters of a passage: one that is shorter takes the next in, a longer one is cut
_EDGE = 0.12  # of a page's height: where running heads and feet stand
_FULL = 0.75  # of a page's width, where a full line ends at least
_SHORT_CLAUSE, _LONG_CLAUSE = 8, 80
_BROKEN_OFF = 0.75  # of the width of its paragraph: a line that ends before is the last of what it says
_CHINESE = re.compile(r"[\u3400-\u9fff\u3000-\u303f\uff00-\uffef]")
# Where a sentence or a part of it ends; a point within 3.3V or V2.0 ends nothing, nor does a colon: a value needs its
# name.
_END = re.compile(r"[\u3002\uff1b\uff01\uff1f;!?]|\.(?=\s|$)|[\uff0c\u3001]|,(?=\s)")
_PRIVATE = re.compile(r"[\ue000-\uf8ff\u25cf\u2022\ufffd]+")  # bullets, which fonts of symbols draw
_ITEM = re.compile(r"[\u4e00-\u9fff]{1,3}[\u3001\uff0e.]|\u7b2c")  # 一、 第
_NUMBER = re.compile(r"[(\uff08]?\d{1,3}[.)\uff09]")  # of an item: it belongs to what follows
_SENTENCE_END = re.compile(r"[\u3002\uff1b\uff01\uff1f;!?]$|\.$")


def page_content(
    lines: Sequence[Line],
    width: int,
    height: int,
    *,
    drawn: Sequence[Line] = (),
    running: frozenset[str] = frozenset(),
) -> PageContent:
    """A page's lines as passages.

    Args:
        lines: Text with its places, in any order: of a PDF's text, or as read.
        width: Of the page's picture, pixels.
        height: Of the page's picture, pixels.
        drawn: What was read in the page's pictures and drawings.
        running: What stands on most pages of the document, as :func:`running_lines` tells; it is left out.
    """
    told = [
        Line(_PRIVATE.sub(" ", line.text).strip(), line.box)
        for line in lines
        if not (_at_edge(line, height) and _in_one_form(line.text) in running)
    ]
    passages: list[Passage] = []
    waiting: list[Block] = []

    def length(blocks: Sequence[Block]) -> int:
        return sum(len(line.text) for block in blocks for line in block.lines)

    def finish() -> None:
        if waiting:
            passages.extend(_passages(waiting))
            waiting.clear()

    for block in blocks_of(told):
        short = length(waiting) < _SHORT or waiting[-1].heading
        ends = bool(waiting) and bool(_SENTENCE_END.search(_last(waiting[-1]).text))
        apart = bool(waiting) and (
            block.kind != waiting[0].kind
            or (block.group != waiting[-1].group and not _flows(_last(waiting[-1]), block, width))
        )
        if waiting and not short and (ends or apart or length([*waiting, block]) > _LONG):
            finish()
        waiting.append(block)
    finish()
    passages.extend(_passage(part, "figure") for part in _cut_rows(rows_of(drawn)))
    said = [passage for passage in passages if any(letter.isalnum() for letter in passage.text)]
    return PageContent(width, height, tuple(said))


def running_lines(pages: Sequence[tuple[Sequence[Line], int]]) -> frozenset[str]:
    """What stands at the head or foot of most pages, but for numbers.

    Args:
        pages: Of some pages of a document, three or more: the lines, and the page's height in pixels.
    """
    seen: Counter[str] = Counter()
    for lines, height in pages:
        seen.update({_in_one_form(line.text) for line in lines if _at_edge(line, height)})
    least = max(3, 0.6 * len(pages))
    return frozenset(text for text, count in seen.items() if count >= least)


def _at_edge(line: Line, height: int) -> bool:
    return line.box[3] < _EDGE * height or line.box[1] > (1 - _EDGE) * height


def _in_one_form(text: str) -> str:
    return re.sub(r"[\d\s]+", "", text)


def _flows(line: Line, block: Block, width: int) -> bool:
    """Whether a paragraph goes on in a block that stands apart: its line was full, and no new sentence begins."""
    text = block.rows[0][0].text
    full = line.box[2] > _FULL * width
    return full and (text[:1].islower() or (bool(_CHINESE.match(text)) and not _ITEM.match(text)))


def _last(block: Block) -> Line:
    return block.rows[-1][-1]


def _passages(blocks: Sequence[Block]) -> Iterator[Passage]:
    kind = blocks[-1].kind  # a heading is above a table
    head = blocks[-1].rows[0]
    for number, rows in enumerate(_cut_rows([row for block in blocks for row in block.rows])):
        passage = _passage(rows, kind)
        if kind == "table" and number and head not in rows and not re.search(r"\d", _cells(head)):
            # What its columns are is said in each part of a table; a first row with numbers says no such thing.
            passage = replace(passage, text=f"{_cells(head)}\n{passage.text}")
        yield passage


def _cut_rows(rows: Sequence[Sequence[Line]]) -> Iterator[list[Sequence[Line]]]:
    """Rows that are not too long together, cut at the end of a sentence where there is one.

    Where a passage is full, within a sentence, what has begun goes to the next one, if no more than half goes.
    """
    taken: list[Sequence[Line]] = []
    for row in rows:
        length = _length(taken)
        if taken and length + _length([row]) > _LONG:
            whole = next((n for n in range(len(taken), 0, -1) if _ends_sentence(taken[n - 1])), 0)
            if _length(taken[:whole]) < _LONG / 2:
                whole = len(taken)
            yield taken[:whole]
            taken = taken[whole:]
        elif taken and length > 0.7 * _LONG and _ends_sentence(taken[-1]):
            yield taken
            taken = []
        taken.append(row)
    if taken:
        yield taken


def _length(rows: Sequence[Sequence[Line]]) -> int:
    return sum(len(line.text) for row in rows for line in row)


def _ends_sentence(row: Sequence[Line]) -> bool:
    return bool(_SENTENCE_END.search(row[-1].text))


def _passage(rows: Sequence[Sequence[Line]], kind: PassageKind) -> Passage:
    flat = [line for row in rows for line in row]
    if kind == "text":
        text = ""
        for line in flat:
            text = joined(text, line.text)
        clauses = tuple(_clauses(flat))
    else:
        text = "\n".join(_cells(row) for row in rows)
        clauses = tuple(Clause(_cells(row), tuple(line.box for line in row)) for row in rows)
    return Passage(text, tuple(line.box for line in flat), kind, clauses)


def _cells(row: Sequence[Line]) -> str:
    return " ".join(cell.text for cell in row)


def _clauses(lines: Sequence[Line]) -> Iterator[Clause]:
    """Cut at punctuation, whatever lines it is written in; a part of a line gets its share of the line's box."""
    text, boxes = "", list[Box]()
    left, right = min(line.box[0] for line in lines), max(line.box[2] for line in lines)
    for line in lines:
        start = 0
        broken_off = (
            line.box[2] - left < _BROKEN_OFF * (right - left) and line.text.rstrip()[-1:] not in ":\uff1a"
        )
        for end in [*(match.end() for match in _END.finditer(line.text)), len(line.text)]:
            part = line.text[start:end]
            if not part.strip():
                start = end
                continue
            text = joined(text, part) if start == 0 else text + part
            boxes.append(_part(line, start, end))
            start = end
            strong = bool(_SENTENCE_END.search(part.rstrip()))
            ends = bool(_END.search(part[-1:] + " ")) and end != 0
            ends = ends or (broken_off and end == len(line.text))
            ends = ends and not _NUMBER.fullmatch(text.strip())
            if (ends and (strong or len(text) >= _SHORT_CLAUSE)) or len(text) >= _LONG_CLAUSE:
                yield Clause(text.strip(), tuple(boxes))
                text, boxes = "", []
    if text.strip():
        yield Clause(text.strip(), tuple(boxes))


def _part(line: Line, start: int, end: int) -> Box:
    """Where a part of a line is, by its share of the characters; Chinese ones are twice as wide."""
    x1, y1, x2, y2 = line.box
    wide = [2 if _CHINESE.match(c) else 1 for c in line.text]
    whole = max(1, sum(wide))
    left, right = sum(wide[:start]) / whole, sum(wide[:end]) / whole
    return round(x1 + left * (x2 - x1)), y1, round(x1 + right * (x2 - x1)), y2
