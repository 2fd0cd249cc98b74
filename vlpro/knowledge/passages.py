"""A page's lines as passages: what is found, cited and marked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Box", "Clause", "PageContent", "Passage", "PassageKind"]

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
