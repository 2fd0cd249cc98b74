"""The letters of a PDF's page, as runs of those that stand next to each other.

Letter by letter: what PDFium gives for a box (``FPDFText_GetBoundedText``) has letters of its neighbours, too, and
lacks some of its own where they touch, which makes another part number of STM32F103RCT6. And over changes of the
font, so that what is one word is whole.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pypdfium2 import PdfTextPage

__all__ = ["text_runs"]

Sides = tuple[float, float, float, float]
"""Left, bottom, right and top, in points from the page's lower left corner."""

_TINY = 0.01  # points: what is no larger shows nothing, as a space
_BACK, _AHEAD = (
    0.3,
    0.5,
)  # of a letter's height: what the next one may lie behind the end of a run, or beyond it
_BESIDE = 0.5  # of a letter's height: what two on one line share at least
_NO_LETTERS = frozenset({0xFFFE, 0xFFFF})


@dataclass(slots=True)
class _Run:
    letters: list[str] = field(default_factory=list)
    box: Sides | None = None  # of what shows
    last: int = -1  # the last letter that shows
    drawn_by: int = 0  # the page's object with it

    def told(self) -> Iterator[tuple[str, Sides]]:
        """What it says, with one space where there are some; nothing, where it shows nothing."""
        line = " ".join("".join(self.letters).split())
        if line and self.box is not None:
            yield line, self.box


def text_runs(text: PdfTextPage, most: int) -> Iterator[tuple[str, Sides]]:
    """What a page says, in the file's order: runs of letters and where they are.

    Args:
        text: Of the page.
        most: Letters that are looked at.
    """
    from pypdfium2 import raw  # noqa: PLC0415 - the library is loaded by importing it

    run = _Run()
    for index in range(min(text.count_chars(), most)):
        # PDFium has a control character for a hyphen that parts a word at the end of a line.
        hyphen = raw.FPDFText_IsHyphen(text, index) == 1
        letter = "-" if hyphen else _letter(raw.FPDFText_GetUnicode(text, index))
        if letter in ("\r", "\n"):
            yield from run.told()
            run = _Run()
            continue
        box = text.get_charbox(index)
        if box[2] - box[0] < _TINY or box[3] - box[1] < _TINY:
            run.letters.append(letter)
            continue
        drawn_by = ctypes.cast(raw.FPDFText_GetTextObject(text, index), ctypes.c_void_p).value or 0
        if run.box is not None and drawn_by != run.drawn_by and not _are_neighbours(text, run.last, index):
            yield from run.told()
            run = _Run()
        run.letters.append(letter)
        run.box = box if run.box is None else _around(run.box, box)
        run.last, run.drawn_by = index, drawn_by
    yield from run.told()


def _letter(code: int) -> str:
    """Empty: it is none."""
    surrogate = 0xD800 <= code < 0xE000
    return chr(code) if 0 < code < 0x110000 and not surrogate and code not in _NO_LETTERS else ""


def _are_neighbours(text: PdfTextPage, first: int, second: int) -> bool:
    """Whether a letter stands on one line with the one before, and next to it; boxes are those of their fonts."""
    _, bottom, right, top = text.get_charbox(first, loose=True)
    left, low, _, high = text.get_charbox(second, loose=True)
    height = min(top - bottom, high - low)
    beside: bool = min(top, high) - max(bottom, low) >= _BESIDE * height
    near: bool = -_BACK * height <= left - right <= _AHEAD * height
    return beside and near


def _around(first: Sides, second: Sides) -> Sides:
    return (
        min(first[0], second[0]),
        min(first[1], second[1]),
        max(first[2], second[2]),
        max(first[3], second[3]),
    )
