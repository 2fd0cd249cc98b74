"""The proof under an answer: boxes in Qwen3-VL's own form, and an answer that fits its length."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vlpro.engines.ocr import tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vlpro.engines.ocr.fields.found import Found
    from vlpro.engines.ocr.layout import Cell
    from vlpro.engines.ocr.page import Box, Page

__all__ = ["Answer", "Evidence", "of_cells", "of_codes", "of_found", "relative", "render"]

_MOST_BOXES = 300


@dataclass(frozen=True, slots=True)
class Evidence:
    """A place on a picture.

    Args:
        image: Number of the picture in the conversation, from 1.
        box: ``(x1, y1, x2, y2)``, each 0 to 1000 of the picture's width or height.
        label: What it is.
        text: What stands there.
        confidence: 0 to 1.
    """

    image: int
    box: tuple[int, int, int, int]
    label: str
    text: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer before it is cut to length.

    Args:
        text: Markdown, or JSON where ``boxes_only``.
        evidence: Boxes for it.
        boxes_only: The answer is the list of boxes, nothing else.
    """

    text: str
    evidence: tuple[Evidence, ...] = ()
    boxes_only: bool = False


def relative(box: Box, page: Page) -> tuple[int, int, int, int]:
    """A box in pixels as Qwen3-VL gives it: 0 to 1000 of the page's width and height."""

    def side(value: float, length: int) -> int:
        return min(1000, max(0, round(value / max(1, length) * 1000)))

    x1, y1, x2, y2 = box
    return side(x1, page.width), side(y1, page.height), side(x2, page.width), side(y2, page.height)


def _around(boxes: Sequence[Box]) -> Box:
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)


def of_cells(  # noqa: PLR0917 - in the order of a sentence: where, what, called how
    image: int, page: Page, cells: Sequence[Cell], label: str, text: str = "", confidence: float | None = None
) -> Evidence:
    """Evidence from cells of a page: one box around them.

    Args:
        image: Number of the picture, from 1.
        page: The page.
        cells: One or more.
        label: What they are.
        text: What stands there; the cells' own text where empty.
        confidence: 0 to 1; the least sure cell's where None.
    """
    box = _around([line.box for cell in cells for line in cell.lines])
    text = text or " ".join(cell.text for cell in cells)
    sure = min(cell.confidence for cell in cells) if confidence is None else confidence
    return Evidence(image, relative(box, page), label, text, round(sure, 2))


def of_codes(image: int, page: Page) -> list[Evidence]:
    """Evidence for the codes of a page."""
    return [
        Evidence(image, relative(code.box, page), code.format, code.text[:300], 1.0) for code in page.codes
    ]


def of_found(image: int, page: Page, found: Found, label: str) -> Evidence:
    """Evidence for a field: the box of its value; of a name or an address, of all its lines."""
    if found.code is not None:
        return Evidence(image, relative(found.code.box, page), label, found.text, round(found.confidence, 2))
    cells = found.cells[:1] if found.label else found.cells
    return of_cells(image, page, cells, found.label or label, found.text, confidence=found.confidence)


def _entry(evidence: Evidence, *, numbered: bool, bare: bool) -> str:
    entry: dict[str, object] = {"bbox_2d": list(evidence.box)}
    if evidence.label:
        entry["label"] = evidence.label
    entry["text_content"] = evidence.text
    if not bare:
        entry["confidence"] = evidence.confidence
    if numbered:
        entry["image"] = evidence.image
    return json.dumps(entry, ensure_ascii=False)


def _listing(entries: Sequence[str]) -> str:
    return "[\n  " + ",\n  ".join(entries) + "\n]" if entries else "[]"


def render(answer: Answer, max_tokens: int, *, numbered: bool) -> tuple[str, bool]:
    """The answer as text, at most so many tokens long.

    The sentence comes first; as many boxes follow as there is room for, so that the JSON is always whole.

    Args:
        answer: What to say.
        max_tokens: The most tokens.
        numbered: Whether each box names its picture.

    Returns:
        The text, and whether part of the answer or of its boxes was cut off. Boxes without a label, of a page that
        was read out, repeat lines of the text: without some of them it is whole.
    """
    entries = [_entry(item, numbered=numbered, bare=answer.boxes_only) for item in answer.evidence]
    if answer.boxes_only:
        kept = _fitting(entries, max_tokens - 2)
        return _listing(entries[:kept]), kept < len(entries)
    text, shortened = tokens.cut(answer.text, max_tokens)
    if shortened or not entries:
        return text, shortened
    room = max_tokens - tokens.count(text) - tokens.count("\n\n```json\n[\n\n]\n```")
    entries = entries[:_MOST_BOXES]
    if kept := _fitting(entries, room):
        text += f"\n\n```json\n{_listing(entries[:kept])}\n```"
    return text, any(item.label for item in answer.evidence[kept : len(entries)])


def _fitting(entries: Sequence[str], room: int) -> int:
    used = 0
    for index, entry in enumerate(entries):
        used += tokens.count(entry) + 2
        if used > room:
            return index
    return len(entries)
