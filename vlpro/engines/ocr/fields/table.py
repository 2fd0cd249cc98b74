"""Tables: a header row, the rows under it, and which cell belongs to which column."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from vlpro.engines.ocr.amounts import find_amounts
from vlpro.engines.ocr.fields.found import Found
from vlpro.engines.ocr.layout import Cell
from vlpro.engines.ocr.text import compact

if TYPE_CHECKING:
    from vlpro.engines.ocr.layout import Layout, Row

__all__ = ["Column", "Item", "Table", "find_sum", "find_table", "is_header"]

_ROLES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("unit_price", re.compile(r"^(?:s?unit)?s?price|unitprice|uprice|^rate$|单价|^价格|^售价|rsp")),
    ("quantity", re.compile(r"qty|quantity|^qnty|数量|^份数|^件数|^次数|^pcs$")),
    ("tax_rate", re.compile(r"税率|taxrate|^tax$|gst|征收率|taxcode")),
    ("tax", re.compile(r"税额|taxamount|taxamt")),
    (
        "amount",
        re.compile(
            r"^am[oa]unt|^amt|^total|金额|^小计|^sub-?total|^合计|^price|^ext|linetotal|^netamt|^value"
        ),
    ),
    ("spec", re.compile(r"规格|型号|spec")),
    ("unit", re.compile(r"^单位|^uom|^unit$")),
    (
        "name",
        re.compile(
            r"^it[ea]?m|desc|品名|名称|商品|项目|货物|产品|菜品|product|particular|article|service|^goods|品项"
        ),
    ),
    ("number", re.compile(r"^no$|^sn$|序号|^code|编号|条码|barcode|^line$")),
    ("discount", re.compile(r"^disc|优惠|折扣")),
    ("date", re.compile(r"^date|日期")),
)
# Columns of Chinese invoices whose headers stand so close that they are read as one cell.
_HEADERS_IN_ONE = re.compile(
    r"(?P<first>项目名称|规格型号|规格|单位|数量|单价|金额|税率(?:/征收率)?)\s?(?P<second>规格型号|单位|数量|单价|金额|"
    r"税率(?:/征收率)?|税额)"
)
_END = re.compile(
    r"^tot|items?count|^总件数|^总数|^件数|^qty|total|subtotal|合计|小计|总计|价税合计|应付|实付|cash|change|balance|rounding|"
    r"discount|优惠|找零|thank|谢谢|^tax|^gst|gst@|备注|amountdue|tax\d|^[合计]$"
)


@dataclass(frozen=True, eq=False)
class Column:
    """One column.

    Args:
        name: As written in the header.
        role: What it holds: name, quantity, unit_price, amount, …; empty where the header does not tell.
        cell: The header's cell.
    """

    name: str
    role: str
    cell: Cell


@dataclass(frozen=True, eq=False)
class Item:
    """One row of a table.

    Args:
        cells: Cells by index of their column.
        row: The row, or the rows where an item takes two.
    """

    cells: dict[int, tuple[Cell, ...]]
    row: tuple[Row, ...]

    def text(self, column: int) -> str:
        """What stands in a column; empty where nothing does."""
        return " ".join(cell.text for cell in self.cells.get(column, ()))


@dataclass(frozen=True, eq=False)
class Table:
    """Columns and items.

    Args:
        columns: From left to right.
        items: From top to bottom.
    """

    columns: tuple[Column, ...]
    items: tuple[Item, ...]

    def column(self, role: str) -> int | None:
        """Index of the column with a role; None where none has it."""
        return next((i for i, column in enumerate(self.columns) if column.role == role), None)

    def number(self, item: Item, role: str) -> Decimal | None:
        """The number that an item has in the column of a role."""
        index = self.column(role)
        if index is None:
            return None
        amounts = find_amounts(item.text(index))
        return amounts[-1].value if amounts else None

    def name(self, item: Item) -> str:
        """The item's name; where its column is empty, the words that stand in another one."""
        index = self.column("name")
        name = item.text(0 if index is None else index)
        if name:
            return name
        wordy = [text for i in item.cells if sum(map(str.isalpha, text := item.text(i))) >= 3]
        return wordy[0] if wordy else ""


def _role(text: str) -> str:
    key = compact(text)
    return next((role for role, pattern in _ROLES if pattern.search(key)), "") if len(key) <= 24 else ""


def _header_cells(cell: Cell) -> list[Cell]:
    """A header's cell; two where two headers were read as one (税率/征收率税额)."""
    match = _HEADERS_IN_ONE.fullmatch(cell.flat.strip())
    if match is None or match["first"] + match["second"] == "规格型号":
        return [cell]
    x1, y1, x2, y2 = cell.box
    middle = x1 + (x2 - x1) * match.start("second") / len(cell.flat.strip())
    return [
        Cell(match["first"], cell.lines, (x1, y1, middle, y2)),
        Cell(match["second"], cell.lines, (middle, y1, x2, y2)),
    ]


def is_header(row: Row) -> bool:
    """Whether a row is the header of a table."""
    return bool(_header_columns(row))


def _header_columns(row: Row) -> list[Column]:
    columns = []
    for cell in (part for whole in row.cells for part in _header_cells(whole)):
        if any(amount.is_money for amount in find_amounts(cell.text)):
            return []
        columns.append(Column(cell.text.strip(" :："), _role(cell.text), cell))
    roles = [column.role for column in columns if column.role]
    numeric = {"amount", "unit_price", "quantity", "tax"} & set(roles)
    # A summary of taxes (GST Code, Amount, Tax) lists no articles.
    articles = {"name", "quantity", "unit_price", "spec"} & set(roles)
    enough = len(set(roles)) >= 2 and numeric and articles and len(roles) * 2 >= len(columns)
    return columns if enough else []


def _nearest(columns: list[Column], cell: Cell) -> int:
    if sum(char.isalpha() for char in cell.text) >= 3:  # words run on to the right: their left edge tells
        over = [
            i for i, column in enumerate(columns) if column.cell.x2 > cell.x1 and column.cell.x1 < cell.x2
        ]
        if len(over) > 1:
            return over[0]

    def distance(column: Column) -> float:
        overlap = min(column.cell.x2, cell.x2) - max(column.cell.x1, cell.x1)
        if overlap > 0:
            return -overlap / max(1.0, min(column.cell.x2 - column.cell.x1, cell.x2 - cell.x1))
        return -overlap

    return min(range(len(columns)), key=lambda index: distance(columns[index]))


def _place(columns: list[Column], row: Row) -> dict[int, tuple[Cell, ...]]:
    cells: dict[int, tuple[Cell, ...]] = {}
    for cell in row.cells:
        index = _nearest(columns, cell)
        cells[index] = (*cells.get(index, ()), cell)
    return cells


def find_table(layout: Layout) -> Table | None:
    """The first table with a header row that names at least two known columns, one of them of numbers.

    Args:
        layout: The page.

    Returns:
        The table; None where no header is recognised.
    """
    for index, row in enumerate(layout.rows):
        columns = _header_columns(row)
        if columns:
            items = _items(layout, columns, index)
            names = [i for i, column in enumerate(columns) if column.role == "name"]
            if len(names) > 1 and not any(map(str.isalpha, "".join(item.text(names[0]) for item in items))):
                # Item 1, 2, 3 beside a Description
                columns[names[0]] = replace(columns[names[0]], role="number")
                items = _items(layout, columns, index)
            return Table(tuple(columns), tuple(items))
    return None


def _is_words(cell: Cell) -> bool:
    letters = sum(char.isalpha() for char in cell.text)
    return (
        letters > 3 and letters > sum(char.isdigit() for char in cell.text) / 4 and not _money_only(cell.text)
    )


def _money_only(text: str) -> bool:
    return any(amount.is_money for amount in find_amounts(text))


def _words(row: Row) -> str:
    """A row's text without its amounts."""
    parts = []
    for cell in row.cells:
        end = 0
        for amount in find_amounts(cell.text):
            parts.append(cell.text[end : amount.start])
            end = amount.end
        parts.append(cell.text[end:])
    return " ".join(parts)


def _items(layout: Layout, columns: list[Column], header: int) -> list[Item]:
    items: list[Item] = []
    waiting: list[Row] = []
    numeric = {
        i for i, column in enumerate(columns) if column.role in {"amount", "unit_price", "quantity", "tax"}
    }
    first = next((i for i, column in enumerate(columns) if column.role == "name"), 0)
    bottom = layout.rows[header].box[3]
    for row in layout.rows[header + 1 :]:
        key = compact(_words(row))
        if _END.search(key) or row.box[1] - bottom > 12 * row.height:
            break
        bottom = row.box[3]
        cells = _place(columns, row)
        has_numbers = any(
            find_amounts(cell.text)
            for i in numeric & cells.keys()
            for cell in cells[i]
            if not _is_words(cell)
        )
        if not has_numbers:
            waiting = [*waiting[-1:], row]
            continue
        rows: tuple[Row, ...] = (row,)
        name = " ".join(cell.text for cell in cells.get(first, ()))
        nameless = sum(char.isalpha() for char in name) < 2 and columns[first].role == "name"
        if waiting and nameless:  # the name stands on the line above its numbers
            above = waiting[-1]
            cells = {**cells, first: above.cells}
            rows = (above, row)
        waiting = []
        items.append(Item(cells, rows))
    return items


_SUM_ROW = re.compile(r"^(?:合计|小计|总计|total|subtotal|sum|totalamount)(?:rm|\d*)$")


def find_sum(layout: Layout, table: Table, role: str) -> Found | None:
    """The figure in the table's sum row.

    Args:
        layout: The page.
        table: The table.
        role: The column's role.

    Returns:
        The figure that stands in that column in the first row below the items whose label is a word for a sum.
    """
    index = table.column(role)
    if index is None or not table.items:
        return None
    last = layout.row_index(table.items[-1].row[-1].cells[0])
    for row in layout.rows[last + 1 : last + 12]:
        label = compact(_words(row))
        if _SUM_ROW.match(label):
            columns = list(table.columns)
            for cell in row.cells:
                amounts = find_amounts(cell.text)
                if amounts and _nearest(columns, cell) == index:
                    amount = amounts[-1]
                    label = row.cells[0].text.strip() + " · " + table.columns[index].name
                    return Found("total", amount.text, amount.value, (cell,), cell.confidence, label)
            return None
    return None
