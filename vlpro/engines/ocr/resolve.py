"""From one wanted thing to its value on one page: a field, a label with its value, or a cell of a table."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Literal

from vlpro.engines.ocr.fields.kinds import KINDS
from vlpro.engines.ocr.fields.labels import value_after
from vlpro.engines.ocr.fields.money import money_lines
from vlpro.engines.ocr.questions import clean
from vlpro.engines.ocr.text import compact, has_cjk, is_cjk

if TYPE_CHECKING:
    from vlpro.engines.ocr.fields.document import Document
    from vlpro.engines.ocr.fields.found import Found
    from vlpro.engines.ocr.layout import Cell
    from vlpro.engines.ocr.questions import Want

__all__ = ["Result", "items_of", "resolve", "search"]

# Kinds whose label on the page, if it is worded as the question is, beats the general rule.
_LITERAL_FIRST = frozenset(
    {
        "",
        "number",
        "code",
        "check_code",
        "phone",
        "cashier",
        "payment",
        "discount",
        "address",
        "buyer",
        "bank",
    }
)
_ROLE_WORDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("unit_price", re.compile(r"单价|unit price|price each|each|per unit")),
    (
        "quantity",
        re.compile(
            r"数量|quantity|qty|几[个件瓶包盒台本支份斤次天箱袋张把只双]|how many|"
            r"多少[个件瓶包盒台本支份斤次天箱袋张把只双]"
        ),
    ),
    ("tax_rate", re.compile(r"税率|tax rate")),
    ("tax", re.compile(r"税额|tax")),
    ("spec", re.compile(r"规格|型号|spec|model")),
    ("unit", re.compile(r"单位|unit\b")),
    ("price", re.compile(r"价格|售价|多少钱|price|cost|how much")),
    ("amount", re.compile(r"金额|小计|总价|amount|total")),
)


@dataclass(frozen=True, eq=False)
class Result:
    """A value that answers a want.

    Args:
        name: What it is, in the page's words or the kind's name.
        text: The value as written.
        cells: Where it stands; empty where ``found`` tells it.
        found: The field, where a rule found it.
        kind: The field's kind; empty for a label or a cell of a table.
        also: What the same words may mean as well: the amount of a line beside its unit price.
    """

    name: str
    text: str
    cells: tuple[Cell, ...] = ()
    found: Found | None = None
    kind: str = ""
    also: tuple[Result, ...] = ()


def items_of(document: Document) -> list[tuple[str, str, tuple[Cell, ...]]]:
    """Line items: name, amount as written, cells; from the table, else rows with an amount above the first total."""
    table = document.table
    if table is not None and table.items:
        amount = table.column("amount")
        amount = table.column("unit_price") if amount is None else amount
        rows = []
        for item in table.items:
            cells = tuple(cell for row in item.row for cell in row.cells)
            rows.append((table.name(item), item.text(amount) if amount is not None else "", cells))
        return [row for row in rows if row[0] or row[1]]
    lines = money_lines(document.layout)
    ends = [
        line.row
        for line in lines
        if any(amount.is_money for amount, _ in line.amounts)
        and re.search(r"total|合计|小计|总计|tax|gst|cash|balance|^change", line.key)
    ]
    end = min(ends, default=len(document.layout.rows))
    merchant = document.fields.get("address") or document.fields.get("merchant")
    start = document.layout.row_index(merchant.cells[-1]) + 1 if merchant and merchant.cells else 0
    items = []
    priced = {line.row for line in lines if any(amount.is_money for amount, _ in line.amounts)}
    for line in lines:
        money = [pick for pick in line.amounts if pick[0].is_money]
        if not start <= line.row < end or not money or not money[-1][0].value:
            continue
        name, cells = line.label.strip(" :：.-@xX*"), document.layout.rows[line.row].cells
        if sum(char.isalpha() for char in name) < 3 and line.row - 1 >= start and line.row - 1 not in priced:
            above = document.layout.rows[line.row - 1]  # the name stands on the line above its price
            name, cells = above.text, above.cells + cells
        if sum(char.isalpha() for char in name) >= 2:
            items.append((" ".join(name.split()), money[-1][0].text, cells))
    return items


def _role(text: str) -> str:
    return next((role for role, pattern in _ROLE_WORDS if pattern.search(text)), "")


def _subject(text: str) -> str:
    """What is left of 苹果的单价 or "price of apple juice" without the word for the column."""
    for _, pattern in _ROLE_WORDS:
        text = pattern.sub(" ", text)
    text = re.sub(
        r"\b(?:of|the|for|each|one|did|buy|bought|is|was|were|are)\b|的|买了|买|了|一共|每|是|付", " ", text
    )
    return " ".join(text.split())


def _similar(asked: str, name: str) -> bool:
    asked_key, name_key = compact(asked), compact(name)
    least = 2 if has_cjk(asked_key) else 3
    if len(asked_key) < least or not name_key:
        return False
    if asked_key in name_key or (len(name_key) >= least and name_key in asked_key):
        return True
    return len(asked_key) >= 4 and SequenceMatcher(None, asked_key[:60], name_key[:60]).ratio() >= 0.8


def _table_cell(document: Document, question: str) -> Result | None:
    role, subject = _role(question), clean(_subject(question))
    if not subject or not role:
        return None
    table = document.table
    if table is not None:
        roles = ("unit_price", "amount") if role == "price" else (role,)
        columns = [index for one in roles if (index := table.column(one)) is not None]
        for item in table.items:
            if _similar(subject, table.name(item)):
                results = [
                    Result(f"{table.name(item)} · {table.columns[i].name}", item.text(i), item.cells[i])
                    for i in columns
                    if item.text(i)
                ]
                if results:
                    first, *rest = results
                    also = tuple(other for other in rest if other.text != first.text)
                    return replace(first, also=also)
                return None
    if role in {"price", "amount", "unit_price"}:
        for name, amount, cells in items_of(document):
            if amount and _similar(subject, name):
                cell = next((cell for cell in cells if amount in cell.text), cells[-1])
                return Result(name, amount, (cell,))
    return None


def _column(document: Document, asked: str) -> Result | None:
    """Everything under a column of the table that is asked for by its name."""
    key, table = compact(asked), document.table
    if table is None or not table.items or len(key) < 2:
        return None
    for index, column in enumerate(table.columns):
        name = compact(column.name)
        if name == key or (len(key) >= 4 and key in name):
            texts = [text for item in table.items if (text := item.text(index))]
            cells = tuple(cell for item in table.items for cell in item.cells.get(index, ()))
            if texts:
                return Result(
                    column.name, (", " if column.name.isascii() else "、").join(dict.fromkeys(texts)), cells
                )
    return None


def _label_value(document: Document, asked: str) -> Result | None:
    """The value of the label that is worded just as the question is."""
    key = compact(asked)
    if len(key) < 2:
        return None
    for pair in document.pairs:
        if pair.key == key:
            return Result(pair.label, pair.value, pair.cells)
    for cell in document.layout.cells:
        if compact(cell.text) == key and (after := value_after(document.layout, cell)):
            return Result(cell.text.strip(" :："), after[0], (after[1], cell))
    return None


def _like_label(document: Document, asked: str) -> Result | None:
    """The value of the label that is worded most like the question."""
    key = compact(asked)
    scored = [(_likeness(key, pair.key), pair) for pair in document.pairs[:500]]
    score, pair = max(scored, key=lambda item: item[0], default=(0.0, None))
    if pair is not None and score:
        return Result(pair.label, pair.value, pair.cells)
    for cell in document.layout.cells[:1500]:
        text = cell.text.strip()
        if glued := _glued(text, key):
            return Result(glued[0], glued[1], (cell,))
        alike = _likeness(key, compact(text)) and len(text) <= 2 * len(key) + 4
        if alike and (after := value_after(document.layout, cell)):
            return Result(text.strip(" :："), after[0], (after[1], cell))
    return None


def _glued(text: str, key: str) -> tuple[str, str] | None:
    """Label and value of a Chinese label with its value behind it, without a colon: 型号IS80-65-160."""
    if len(key) < 2 or not has_cjk(key) or not compact(text).startswith(key):
        return None
    end = next((place for place in range(1, len(text)) if compact(text[:place]) == key), 0)
    value = text[end:].strip(" :：")
    return (text[:end], value) if end and value and not is_cjk(text[end]) else None


def _likeness(asked: str, label: str) -> float:
    if not label or len(asked) < 2:
        return 0.0
    if asked == label:
        return 3.0
    least = 2 if has_cjk(asked) else 4
    if len(asked) >= least and asked in label:
        return 2.0 + len(asked) / len(label)
    if len(label) >= least and label in asked and len(label) * 2 >= len(asked):
        return 1.0 + len(label) / len(asked)
    if len(asked) >= 4 and len(label) >= 4 and SequenceMatcher(None, asked[:40], label[:40]).ratio() >= 0.84:
        return 1.0
    return 0.0


def resolve(document: Document, want: Want) -> Result | None:
    """Find one wanted thing on one page.

    Args:
        document: The page.
        want: The thing.

    Returns:
        Its value; None where the page does not prove one.
    """
    asked = want.literal or want.phrase
    named = compact(asked) != compact(want.phrase)
    if (not want.kind or (named and want.kind in {"total", "tax", "number"})) and (
        cell := _table_cell(document, want.raw or asked)
    ):
        return cell
    if not want.kind:
        return _column(document, asked) or _label_value(document, asked) or _like_label(document, asked)
    if want.kind in _LITERAL_FIRST and (labelled := _label_value(document, asked)):
        return labelled
    found = document.fields.get(want.kind)
    return Result(found.label, found.text, found=found, kind=want.kind) if found else None


def search(document: Document, words: str) -> list[tuple[Cell, Literal["whole", "part", "alike"]]]:
    """Cells that contain words, best first.

    Args:
        document: The page.
        words: What to look for; case, spaces and punctuation do not matter.

    Returns:
        The cells and how they match; nearly equal ones only where no cell contains the words.
    """
    key = compact(words)
    if not key:
        return []
    hits: list[tuple[Cell, Literal["whole", "part", "alike"]]] = []
    for cell in (*document.layout.cells, *document.layout.vertical):
        text = compact(cell.text)
        if text == key:
            hits.append((cell, "whole"))
        elif key in text and (has_cjk(key) or len(key) >= 3 or _word_in(key, cell.text)):
            hits.append((cell, "part"))
    if not hits and len(key) >= 4:
        alike = [
            cell
            for cell in document.layout.cells[:1500]
            if len(cell.text) < 80 and SequenceMatcher(None, key[:60], compact(cell.text)).ratio() >= 0.8
        ]
        hits = [(cell, "alike") for cell in alike]
    return sorted(hits, key=lambda hit: ("whole", "part", "alike").index(hit[1]))


def _word_in(key: str, text: str) -> bool:
    return re.search(rf"(?<![^\W_]){re.escape(key)}(?![^\W_])", text.lower()) is not None


def kind_name(kind: str, language: str) -> str:
    """A kind's name in a language."""
    return KINDS[kind].zh if language == "zh" else KINDS[kind].en
