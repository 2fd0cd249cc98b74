"""Labels and their values, whatever the label is: ``Doc No. : CS00031663``, 收款人：张三."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vlpro.engines.ocr.text import compact

if TYPE_CHECKING:
    from vlpro.engines.ocr.layout import Cell, Layout

__all__ = ["Pair", "labelled", "value_after"]

_LONGEST_LABEL = 40
_COLON = re.compile(r"(?<!\d):|:(?!\d)")


@dataclass(frozen=True, eq=False)
class Pair:
    """A label with its value.

    Args:
        label: As written, without the colon.
        value: As written.
        cells: The value's cell first, then the label's where it is another one.
    """

    label: str
    value: str
    cells: tuple[Cell, ...]

    @property
    def key(self) -> str:
        """The label for comparing."""
        return compact(self.label)


def _split(cell: Cell) -> tuple[str, str] | None:
    match = _COLON.search(cell.flat[: _LONGEST_LABEL + 1])
    if not match or not compact(cell.text[: match.start()]):
        return None
    return cell.text[: match.start()].strip(), cell.text[match.end() :].strip(" :：")


def value_after(layout: Layout, cell: Cell, *, below: bool = True) -> tuple[str, Cell] | None:
    """The value that belongs to a cell which holds nothing but a label: to its right, else under it.

    Args:
        layout: The page.
        cell: The label's cell.
        below: Whether a value may stand under its label.

    Returns:
        The value's text and cell; None where there is none.
    """
    for right in layout.right_of(cell)[:2]:
        text = right.text.strip().strip(":：").strip()
        if not text:
            continue
        if right.flat.lstrip().startswith(":") or _split(right) is None:
            if right.x1 - cell.x2 > 12 * cell.height and below and (under := layout.below(cell, rows=1)):
                return (under.text.strip(), under) if _split(under) is None else (text, right)
            return text, right
        return None
    if below and (under := layout.below(cell, rows=1)) and _split(under) is None:
        return under.text.strip(), under
    return None


def labelled(layout: Layout) -> list[Pair]:
    """All pairs that a colon marks, from top to bottom.

    Args:
        layout: The page.

    Returns:
        The pairs; a label whose value is missing is left out.
    """
    pairs = []
    for row in layout.rows:
        for index, cell in enumerate(row.cells):
            if split := _split(cell):
                label, value = split
                if value:
                    pairs.append(Pair(label, value, (cell,)))
                elif found := value_after(layout, cell, below=False):
                    pairs.append(Pair(label, found[0], (found[1], cell)))
            elif cell.flat.lstrip().startswith(":") and index and (value := cell.text.strip(" :：")):
                pairs.append(Pair(row.cells[index - 1].text.strip(), value, (cell, row.cells[index - 1])))
    return pairs
