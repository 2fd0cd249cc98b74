"""Everything that the rules know of one page, found once."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING

from vlpro.engines.ocr.dates import find_dates
from vlpro.engines.ocr.fields.found import Found
from vlpro.engines.ocr.fields.money import find_money, find_sum_line
from vlpro.engines.ocr.fields.numbers import find_labelled, find_when
from vlpro.engines.ocr.fields.parties import find_header
from vlpro.engines.ocr.fields.table import Table, find_sum, find_table
from vlpro.engines.ocr.fields.vat import find_code_fields, find_form, find_parties
from vlpro.engines.ocr.layout import Layout
from vlpro.engines.ocr.text import compact

if TYPE_CHECKING:
    from vlpro.engines.ocr.fields.labels import Pair
    from vlpro.engines.ocr.page import Page

__all__ = ["Document"]

# Signs of countries that write the day first, and of the one that writes the month first.
_DAY_FIRST = re.compile(
    r"\bRM\s?\d|SDN\.?\s?BHD|\bS/B\b|\bJALAN\b|\bJLN\b|MALAYSIA|SINGAPORE|[£€]|\bVAT\b|\bABN\b|\bPTE\b|"
    r"\bPLC\b|\bUK\b",
    re.IGNORECASE,
)
_MONTH_FIRST = re.compile(
    r"\b(?:AL|AK|AZ|AR|CA|CO|CT|DC|DE|FL|GA|HI|IA|ID|IL|IN|KS|KY|LA|MA|MD|ME|MI|MN|MO|MS|MT|NC|ND|NE|NH|NJ|"
    r"NM|NV|NY|OH|OK|OR|"
    r"PA|RI|SC|SD|TN|TX|UT|VA|VT|WA|WI|WV|WY)[,.]?\s\d{5}(?!\d)|\bUSA\b"
)


_CARD = re.compile(
    r"(?:visa|master\s?card|amex|american express|discover|debit card|credit card|unionpay|银联卡?|信用卡|借记卡)"
    r"\W{0,3}(?:(?:card|no|acct?|ending(?: in)?|尾号)\W{0,3})?[*xX#.•]{0,16}\s?[*xX#.\d\s-]{0,16}\d{4}\s*",
    re.IGNORECASE,
)


def _payment(layout: Layout, tendered: Found | None) -> Found | None:
    """The card that a receipt says it was paid with, such as VISA ****4417; else the word beside what was given."""
    for cell in layout.cells:
        if _CARD.fullmatch(cell.flat.strip()):
            text = cell.text.strip()
            return Found("payment", text, text, (cell,), 0.9 * cell.confidence)
    if tendered is None or not tendered.label:
        return None
    word = tendered.label
    return replace(tendered, kind="payment", text=word, value=word, cells=tendered.cells[-1:], label="")


class Document:
    """A page, understood.

    Args:
        page: What was read.
    """

    def __init__(self, page: Page) -> None:
        self.page = page

    @cached_property
    def layout(self) -> Layout:
        """The page as rows."""
        return Layout(self.page)

    @cached_property
    def _labelled(self) -> tuple[dict[str, Found], list[Pair]]:
        return find_labelled(self.layout)

    @property
    def pairs(self) -> list[Pair]:
        """All labels with their values."""
        return self._labelled[1]

    @cached_property
    def fields(self) -> dict[str, Found]:
        """Found fields by kind; see :data:`vlpro.engines.ocr.fields.kinds.KINDS`."""
        labelled, pairs = self._labelled
        fields = {**find_form(self.layout), **find_header(self.layout), **find_when(self.layout)}
        fields.update(
            {
                kind: found
                for kind, found in labelled.items()
                if kind not in fields or kind in {"merchant", "number"}
            }
        )
        parties = find_parties(self.layout, pairs)
        if "buyer" in parties or "merchant" in parties:
            # A form with named parties has no head of its own: the address is the seller's.
            for kind in ("address", "phone", "tax_id"):
                fields.pop(kind, None)
            for kind, own in (
                ("address", "seller_address"),
                ("tax_id", "seller_tax_id"),
                ("bank", "seller_bank"),
            ):
                if own in parties:
                    fields[kind] = parties[own]
        fields.update(parties)
        fields.update(find_money(self.layout))
        if self.table and self.table.column("tax") is not None:
            for kind, role in (("subtotal", "amount"), ("tax", "tax")):
                if found := find_sum(self.layout, self.table, role):
                    fields[kind] = replace(found, kind=kind)
        if "payment" not in fields and (payment := _payment(self.layout, fields.get("tendered"))):
            fields["payment"] = payment
        if (
            not {"total", "date"} & fields.keys()
            # 编号 alone may be the serial number on a nameplate.
            and not ("number" in fields and compact(fields["number"].label) not in {"编号", "no"})
            and (name := fields.get("merchant"))
            and not name.label
        ) and name.confidence < 0.9:  # the first line of a page that is no bill is no merchant
            del fields["merchant"]
        for kind in ("date", "due_date"):
            if (found := fields.get(kind)) and found.other:
                fields[kind] = self._settled(found)
        for kind, found in find_code_fields(self.page.codes).items():
            fields.setdefault(kind, found)
        return fields

    def _settled(self, found: Found) -> Found:
        """A date such as 05/03/2018 with its order settled, where the page shows whose order it is."""
        text = "\n".join(cell.flat for cell in self.layout.cells)
        days = [
            day
            for cell in self.layout.cells
            for day in find_dates(cell.text)
            if re.match(r"\d{1,2}[-/.]", day.text)
        ]
        firsts = {
            int(re.split(r"\D", day.text)[0]) > 12 for day in days if day.other is None and day.value.day > 12
        }
        if firsts == {True} or (not firsts and _DAY_FIRST.search(text) and not _MONTH_FIRST.search(text)):
            return replace(found, other=None)
        if firsts == {False} or (not firsts and _MONTH_FIRST.search(text) and not _DAY_FIRST.search(text)):
            return replace(found, value=found.other or found.value, other=None)
        return found

    def sum_row(self, role: str) -> Decimal | None:
        """The figure that the table's own sum row (合计, Total) has in the column of a role.

        Args:
            role: ``amount`` or ``tax``.

        Returns:
            The figure; None where there is no sum row, or nothing in that column.
        """
        found = find_sum(self.layout, self.table, role) if self.table else None
        return found.value if found and isinstance(found.value, Decimal) else None

    def sum_line(self, words: str) -> Found | None:
        """The amount beside a label that says just what a question says (合计, 合计金额, grand total).

        Args:
            words: The question's words for the sum.

        Returns:
            The amount; None where no label is worded so, or where it has several amounts (a table's sum row).
        """
        return find_sum_line(self.layout, words)

    @cached_property
    def table(self) -> Table | None:
        """The table of line items, where the page has one with a header row."""
        return find_table(self.layout)
