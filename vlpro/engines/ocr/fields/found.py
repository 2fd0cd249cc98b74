"""What a rule finds: a value with the text that proves it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vlpro.engines.ocr.layout import Cell
    from vlpro.engines.ocr.page import Code

__all__ = ["Found", "Value"]

Value = str | Decimal | dt.date


@dataclass(frozen=True, eq=False)
class Found:
    """One value on one page.

    Args:
        kind: Which field it is: a key of :data:`vlpro.engines.ocr.fields.kinds.KINDS`.
        text: As written on the page.
        value: Typed: amounts as Decimal, days as date, the rest as text.
        cells: The cells that hold it, the value first.
        confidence: 0 to 1: the reading's confidence, lowered where the rule is a weak one.
        label: The page's own words for it; empty where the place, not a label, tells what it is.
        other: The other reading of an ambiguous date.
        code: The bar code or two-dimensional code that holds it, where no text does.
    """

    kind: str
    text: str
    value: Value
    cells: tuple[Cell, ...]
    confidence: float
    label: str = ""
    other: dt.date | None = None
    code: Code | None = None
