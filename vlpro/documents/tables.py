"""Rows for Excel and other programs: XLSX and CSV, in which nothing that came from a picture is computed."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import xlsxwriter

from vlpro.documents.document import plain
from vlpro.documents.label import NAME, Label

__all__ = ["Cell", "Sheet", "to_csv", "to_xlsx"]

Cell = str | int | float | Decimal | bool | None
"""A text stays text, also where it looks like a formula, a number or an address; numbers are numbers."""

_MOST_CHARACTERS = 32_767  # of a cell (Excel's own limit)
_MOST_NAME = 31  # characters of a sheet's name
_WIDEST = 60  # characters of a column, as first shown
_NOT_IN_NAMES = re.compile(r"[\[\]:*?/\\]")

# What a spreadsheet takes for the beginning of a formula (OWASP, CSV Injection); Chinese keyboards have wide ones.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_NUMBER = re.compile(r"[-+]?\d{1,15}(\.\d{1,10})?")


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table.

    Args:
        name: Of the sheet; cut and cleaned as Excel wants it, and numbered where it stands twice.
        header: A name a column.
        rows: As long as the header.
    """

    name: str
    header: Sequence[str]
    rows: Iterable[Sequence[Cell]]


def to_csv(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    """A CSV file (RFC 4180) in UTF-8, with the mark by which Excel knows it.

    A text that a spreadsheet would compute gets an apostrophe in front; plain numbers are left as they are. CSV has
    no types: Excel shows a long number, such as an invoice's, rounded. XLSX does not.

    Args:
        header: A name a column.
        rows: As long as the header.
    """
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow([_csv_cell(name) for name in header])
    for row in rows:
        writer.writerow([_csv_cell(cell) for cell in row])
    return b"\xef\xbb\xbf" + written.getvalue().encode()


def _csv_cell(value: Cell) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "TRUE" if value else "FALSE"
        case str():
            text = plain(value)
            return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text
        case _:
            return str(value)


def to_xlsx(sheets: Sequence[Sheet], *, title: str, created: datetime, label: Label | None = None) -> bytes:
    """An Excel file; made in memory, no temporary file.

    Args:
        sheets: One or more.
        title: In its properties.
        created: Likewise; the file depends on nothing else.
        label: That its content was generated.
    """
    written = io.BytesIO()
    with xlsxwriter.Workbook(written, {"in_memory": True, "nan_inf_to_errors": True}) as book:
        naive = created.astimezone(None).replace(tzinfo=None) if created.tzinfo is None else created
        book.set_properties({"title": plain(title)[:255], "created": naive})
        if label is not None:
            book.set_custom_property(NAME, label.text(), "text")
        bold = book.add_format({"bold": True, "bg_color": "#F4F6F8", "bottom": 1, "text_wrap": True})
        wrapped = book.add_format({"text_wrap": True, "valign": "top"})
        names: set[str] = set()
        for sheet in sheets:
            page = book.add_worksheet(_sheet_name(sheet.name, names))
            widths = [_width(name) for name in sheet.header]
            for column, name in enumerate(sheet.header):
                page.write_string(0, column, plain(name)[:_MOST_CHARACTERS], bold)
            last = 0
            for last, row in enumerate(sheet.rows, start=1):
                for column, cell in enumerate(row):
                    _write(page, last, column, cell, wrapped)
                    if column < len(widths):
                        widths[column] = max(widths[column], _width(str(cell if cell is not None else "")))
            for column, width in enumerate(widths):
                page.set_column(column, column, min(_WIDEST, width + 2))
            page.freeze_panes(1, 0)
            if sheet.header and last:
                page.autofilter(0, 0, last, len(sheet.header) - 1)
    return written.getvalue()


def _write(
    page: xlsxwriter.worksheet.Worksheet, row: int, column: int, value: Cell, style: xlsxwriter.format.Format
) -> None:
    match value:
        case None:
            return
        case bool():
            page.write_boolean(row, column, value, style)
        case str():
            page.write_string(row, column, plain(value)[:_MOST_CHARACTERS], style)
        case _:
            page.write_number(row, column, float(value), style)


def _width(text: str) -> int:
    """Of the longest line, in digits; a Chinese letter is as wide as two."""
    return max(
        sum(1 + (ord(letter) > 0x2E7F) for letter in line) for line in (text[:200].split("\n") or [""])
    )


def _sheet_name(name: str, taken: set[str]) -> str:
    base = _NOT_IN_NAMES.sub(" ", plain(name)).strip("' ")[:_MOST_NAME] or "Sheet"
    found, number = base, 2
    while found.casefold() in taken:
        ending = f" {number}"
        found, number = base[: _MOST_NAME - len(ending)] + ending, number + 1
    taken.add(found.casefold())
    return found
