"""Tables of any kind, such as those of a laboratory or a production line: a head of words over rows of figures.

Tables of articles with prices have rules of their own: :mod:`vlpro.engines.ocr.fields.table`.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from vlpro.engines.ocr.text import compact, has_cjk, words
from vlpro.engines.ocr.wording import without

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vlpro.engines.ocr.layout import Cell, Layout

__all__ = ["column", "crossing", "heads"]


def heads(layout: Layout) -> list[int]:
    """Rows that head such a table: words alone, over as many cells of which most are figures.

    Args:
        layout: The page.

    Returns:
        Their indices among the page's rows.
    """

    def figures(cells: Sequence[Cell]) -> int:
        return sum(any(map(str.isdigit, cell.text)) for cell in cells)

    return [
        place
        for place, (row, under) in enumerate(pairwise(layout.rows))
        if min(len(row.cells), len(under.cells)) > 2
        and abs(len(row.cells) - len(under.cells)) < 2
        and not figures(row.cells)
        and not any(":" in cell.flat for cell in row.cells)
        and 2 * figures(under.cells[1:]) >= len(under.cells) - 1
    ]


def column(layout: Layout, key: str) -> tuple[Cell, tuple[Cell, ...]] | None:
    """A column by its name.

    Args:
        layout: The page.
        key: The name, compacted.

    Returns:
        The head's cell and those under it; None where no table has such a column.
    """
    for place in heads(layout):
        named = layout.rows[place].cells
        head = next((cell for cell in named if compact(cell.text) == key), None)
        if head is None:
            continue
        under = []
        for row in layout.rows[place + 1 :]:
            if len(row.cells) < 2:
                break
            if _nearest(cell := _nearest(head, row.cells), named) is head:
                under.append(cell)
        if under:
            return head, tuple(under)
    return None


def crossing(layout: Layout, asked: str) -> tuple[Cell, Cell, Cell] | None:
    """What stands in the row of one thing and under the head of a column, where both are named: 葡萄糖的参考范围.

    Args:
        layout: The page.
        asked: The words of a question.

    Returns:
        The cell, the first one of its row, and the head; None where nothing stands there.
    """
    named = [
        (place, cell)
        for place, row in enumerate(layout.rows)
        if len(row.cells) > 2
        for cell in row.cells[1:]
        if len(compact(cell.text)) >= 2 and _names(asked, cell.text)
    ]
    for place, head in sorted(named, key=lambda one: -len(one[1].text)):
        subject = compact(re.sub(r"^(?:of|for|in)\s", "", without(asked, head.text).strip(" 的")))
        for row in layout.rows[place + 1 :]:
            first, *rest = row.cells
            if len(subject) < 2 or compact(first.text) != subject or not rest:
                continue
            under = _nearest(head, rest)
            if _nearest(under, layout.rows[place].cells) is head:
                return under, first, head
    return None


def _nearest(cell: Cell, cells: Sequence[Cell]) -> Cell:
    """The cell that stands most above or below another one: heads are often centred where their columns are not."""
    return min(cells, key=lambda one: abs(one.middle[0] - cell.middle[0]))


def _names(asked: str, head: str) -> bool:
    """Whether a question names the head of a column."""
    if has_cjk(asked):
        return compact(asked).endswith(compact(head))
    own = " ".join(words(head))
    return len(own) >= 4 and f" {own} " in f" {' '.join(words(asked))} "
