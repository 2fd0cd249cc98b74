"""From one wanted thing to its value on one page: a field, a label with its value, or a cell of a table."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Literal

from vlpro.engines.ocr import grid
from vlpro.engines.ocr.amounts import find_amounts, find_capitals
from vlpro.engines.ocr.dates import find_dates, find_times
from vlpro.engines.ocr.fields.kinds import KINDS
from vlpro.engines.ocr.fields.labels import loosely_labelled, value_after
from vlpro.engines.ocr.fields.money import money_lines
from vlpro.engines.ocr.fields.synonyms import synonyms
from vlpro.engines.ocr.fields.table import find_sum
from vlpro.engines.ocr.questions import MONEY, party_of
from vlpro.engines.ocr.text import compact, has_cjk, words
from vlpro.engines.ocr.wording import clean, leftover, singular, without

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vlpro.engines.ocr.fields.document import Document
    from vlpro.engines.ocr.fields.found import Found
    from vlpro.engines.ocr.fields.labels import Pair
    from vlpro.engines.ocr.layout import Cell
    from vlpro.engines.ocr.questions import Want

__all__ = ["Result", "counted_line", "items_of", "nearest", "resolve", "search"]

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
        unproven: The words of the question that the page does not say of this value; empty where it answers.
    """

    name: str
    text: str
    cells: tuple[Cell, ...] = ()
    found: Found | None = None
    kind: str = ""
    also: tuple[Result, ...] = ()
    unproven: str = ""


def items_of(document: Document) -> list[tuple[str, str, tuple[Cell, ...]]]:
    """Line items: name, amount as written, cells; from the table, else rows with an amount above the first total."""
    table = document.table
    if table is not None and table.items:
        amount = table.column("amount")
        amount = table.column("unit_price") if amount is None else amount
        rows = []
        for item in table.items:
            cells = tuple(cell for row in item.row for cell in row.cells)
            # A header that was not read leaves its column unknown: the amount is the last one of the row.
            figures = [one.text for cell in cells for one in find_amounts(cell.text) if one.is_money]
            last = figures[-1] if figures else ""
            rows.append((table.name(item), item.text(amount) if amount is not None else last, cells))
        return [row for row in rows if any(map(str.isalpha, row[0]))]
    if not {"total", "subtotal", "due", "paid", "tendered"} & document.fields.keys():
        return []  # figures on a page that is no bill are no prices
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
        if not start <= line.row < end or not money or money[-1][0].value <= 0:
            continue  # nothing, or a coupon's deduction
        name, cells = line.label.strip(" :：.-@xX*，,。；;、"), document.layout.rows[line.row].cells
        least = 2 if has_cjk(name) else 3  # 牛奶 is a name, EA is not
        if (
            sum(char.isalpha() for char in name) < least
            and line.row - 1 >= start
            and line.row - 1 not in priced
        ):
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
    text = re.sub(r"(?:^|\s)?一[箱瓶个件袋盒包斤份台本支]", " ", text)
    text = re.sub(
        r"\b(?:of|the|for|each|one|did|buy|bought|is|was|were|are)\b|的|买了|买|了|一共|每|是|付", " ", text
    )
    return " ".join(text.split())


def _similar(asked: str, name: str) -> bool:
    asked_key, name_key = compact(asked), compact(name)
    if asked_key.isascii() and asked_key not in name_key:  # "chairs" are lines of Chair
        asked_key = "".join(map(singular, words(asked)))
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
                break
    if role in {"price", "amount", "unit_price"}:
        for name, amount, cells in items_of(document):
            if amount and _similar(subject, name):
                cell = next((cell for cell in cells if amount in cell.text), cells[-1])
                return Result(name, amount, (cell,))
    return None


def _column(document: Document, asked: str) -> Result | None:
    """Everything under a column of the table that is asked for by its name."""
    key, table = compact(asked), document.table
    if len(key) < 2:
        return None
    if table is None or not table.items:
        found = grid.column(document.layout, key)
        return (
            _listing(found[0].text, [cell.text for cell in found[1]], (*found[1], found[0]))
            if found
            else None
        )
    for index, column in enumerate(table.columns):
        name = compact(column.name)
        if name == key or (len(key) >= 4 and key in name):
            texts = [text for item in table.items if (text := item.text(index))]
            cells = tuple(cell for item in table.items for cell in item.cells.get(index, ()))
            if texts:
                return _listing(column.name, dict.fromkeys(texts), cells)
    return None


def _listing(name: str, texts: Iterable[str], cells: tuple[Cell, ...]) -> Result:
    mark = ", " if name.isascii() else "、"
    return Result(name.strip(), mark.join(text.strip() for text in texts), cells)


def _crossing(document: Document, asked: str) -> Result | None:
    """A cell of a table of any kind that is asked for by its row and its column."""
    if (found := grid.crossing(document.layout, asked)) is None:
        return None
    cell, first, head = found
    return Result(f"{first.text} · {head.text}", cell.text.strip(), found)


def _labels(document: Document) -> Iterator[Pair]:
    """Labels with their values: those with a colon, then those without."""
    yield from document.pairs[:500]
    items = _listed(document)
    yield from (pair for pair in loosely_labelled(document.layout) if id(pair.cells[0]) not in items)


def _listed(document: Document) -> set[int]:
    """Cells of the table's items: names of articles, which look like labels (鸡蛋30枚) but are none."""
    items = document.table.items if document.table else ()
    return {id(cell) for item in items for row in item.row for cell in row.cells}


def _listed_item(document: Document, asked: str) -> Result | None:
    """All that the table says of an article that is asked for by its name alone."""
    table = document.table
    if table is None:
        return None
    results = []
    for item in table.items:
        name = table.name(item)
        if _likeness(asked, name) and any(map(str.isalpha, name)):
            texts = [
                f"{column.name} {text}"
                for index, column in enumerate(table.columns)
                if column.role not in {"name", "number"} and (text := item.text(index))
            ]
            cells = tuple(cell for row in item.row for cell in row.cells)
            if texts:
                results.append(Result(name, ", ".join(texts), cells))
    if not results or len(results) > 5:
        return None
    return replace(results[0], also=tuple(results[1:]))


def _heads(document: Document) -> set[int]:
    """Cells of the table: what stands beside a header is another header, never its value, and so with an item."""
    rows = document.layout.rows
    named = {id(cell) for place in grid.heads(document.layout) for cell in rows[place].cells}
    if document.table is None:
        return named
    lines = {id(line) for column in document.table.columns for line in column.cell.lines}
    heads = {id(cell) for cell in document.layout.cells if any(id(line) in lines for line in cell.lines)}
    return named | heads | _listed(document)


def _label_value(document: Document, asked: str) -> Result | None:
    """The value of the label that is worded just as the question is; all of them where the page has several."""
    key = _same(asked)
    if len(key) < 2:
        return None
    pairs = list(_labels(document))
    same = [pair for pair in pairs if _same(pair.key) == key] or [
        pair for pair in pairs if _same(_unremarked(pair.label)) == key
    ]
    if same:
        first, *rest = {
            compact(pair.value): Result(pair.label, pair.value, pair.cells) for pair in same
        }.values()
        return replace(first, also=tuple(rest[:3]))
    heads = _heads(document)
    results = [
        Result(cell.text.strip(" :："), after[0], (after[1], cell))
        for cell in document.layout.cells
        if id(cell) not in heads
        and _same(cell.text) == key
        and (after := value_after(document.layout, cell))
        and id(after[1]) not in heads
    ]
    # A charge that the page lists for several days is not just its first line.
    return replace(results[0], also=tuple(results[1:5])) if results else None


# 甲方（采购方）, 送货人（签字）: whose, or how, is a remark beside the label.
_REMARK = re.compile(r"[（(][^（()）]{0,8}(?:方|人|单位|者|章|签字|签名)[)）]\s*$")


def _unremarked(label: str) -> str:
    return _REMARK.sub("", label)


def _same(label: str) -> str:
    """A label for comparing, whether it says number, no. or nothing but the sign."""
    key = compact(label)
    return key.removesuffix("number") + "no" if key.endswith("number") and len(key) > 6 else key


def _like_label(document: Document, asked: str) -> Result | None:
    """The value of the label that is worded most like the question."""
    best: tuple[float, Result] | None = None
    for pair in _labels(document):
        score = _likeness(asked, pair.label)
        if score and (best is None or score > best[0]):
            best = score, Result(pair.label, pair.value, pair.cells)
    heads = _heads(document)
    for cell in document.layout.cells[:1500]:
        text = cell.text.strip()
        if id(cell) in heads:
            continue
        score = _likeness(asked, text) if len(text) <= 2 * len(compact(asked)) + 4 else 0.0
        if (
            score
            and (best is None or score > best[0])
            and (after := value_after(document.layout, cell))
            and id(after[1]) not in heads
        ):
            best = score, Result(text.strip(" :："), after[0], (after[1], cell))
    if best is None:
        return None
    score, result = best
    rest = leftover(without(asked, result.name)) if score < 2 else ""
    if rest and not _of_the_page(document, rest):
        # 乙方账号, and the page has 账号: is it the one under 乙方?
        return _under(document, rest, result.name) or replace(result, unproven=rest)
    return result


def _of_the_page(document: Document, words_left: str) -> bool:
    """Whether words only name the page or who issued it: the 送货 of 送货单号, "Walmart" in "Walmart phone"."""
    said = [found.text for kind in ("document_type", "merchant") if (found := document.fields.get(kind))]
    parts = words_left.split()
    return any(all(compact(part) in compact(text) for part in parts) for text in said)


def _under(document: Document, whose: str, label: str) -> Result | None:
    """The value of a label that stands under the name of who it belongs to, in the same column."""
    key, layout = compact(label), document.layout
    name = re.compile(rf"{re.escape(whose)}\s*(?:方|人|单位|名称|户名|姓名|信息|[(（:：]|$)", re.IGNORECASE)
    heads = [cell for cell in layout.cells if name.match(cell.text.strip())]
    best: tuple[float, Pair] | None = None
    for pair in document.pairs[:500]:
        if not compact(pair.label).endswith(key):
            continue
        cell = pair.cells[-1]
        for head in heads:
            down = cell.y1 - head.y1
            if head is not cell and 0 < down < 10 * cell.height and abs(cell.x1 - head.x1) < 3 * cell.height:
                best = min(best or (down, pair), (down, pair), key=lambda one: one[0])
    return Result(f"{whose} {best[1].label}", best[1].value, best[1].cells) if best else None


def _likeness(asked: str, label: str) -> float:
    """How much a label is worded as the question: 3 just so; 2 and more where it says more; 1 and more where less."""
    ask_key, label_key = _same(asked), _same(label)
    if len(ask_key) < 2 or not label_key:
        return 0.0
    if ask_key == label_key:
        return 3.0
    score = _within_han(ask_key, label_key) if has_cjk(ask_key) else _within_latin(asked, label)
    lengths = sorted((min(len(ask_key), 40), min(len(label_key), 40)))
    if not score and lengths[0] >= 4 and lengths[0] * 1.4 >= lengths[1]:  # others cannot be so much alike
        score = 2.0 if SequenceMatcher(None, ask_key[:40], label_key[:40]).ratio() >= 0.84 else 0.0
    return score


# Nouns at the end of a label that say no more than what stands before them: 订单号 is the 订单.
_IDLE_END = re.compile(
    r"(?:号码?|编号|名称?|全称|姓名|信息|金额|数额|内容|情况|说明|值|额|元|人|方|种类|类型|[a-z\d%]+)$"
)


def _within_han(asked: str, label: str) -> float:
    if asked in label:
        # The last characters of a Chinese label are its noun: 额定功率 is a 功率, 功率因数 is none, 甲方代表 no 甲方.
        if label.endswith(asked):
            return 2.0 + len(asked) / len(label) * 0.9
        return (2.0 if _IDLE_END.search(label) else 1.0) + len(asked) / len(label) * 0.4
    return (
        1.0 + len(label) / len(asked)
        if len(label) >= 2 and label in asked and len(label) * 2 >= len(asked)
        else 0.0
    )


def _within_latin(asked: str, label: str) -> float:
    ask, own = (" ".join(map(singular, words(text))) for text in (asked, label))
    if len(ask) >= 4 and f" {ask} " in f" {own} ":
        return 2.0 + len(ask) / len(own)
    return (
        1.0 + len(own) / len(ask)
        if len(own) >= 4 and f" {own} " in f" {ask} " and len(own) * 2 >= len(ask)
        else 0.0
    )


def _of_kind(kind: str, result: Result | None) -> Result | None:
    """A label's value, or the part of it, that can be of a kind; None where it cannot be."""
    part = _part_of_kind(kind, result.text) if result is not None else ""
    return replace(result, text=part) if result is not None and part else None


_LASTS = re.compile(
    r"\d\s?(?:分钟?|小时|天|秒|个月|(?:min(?:ute)?s?|h(?:ou)?rs?|days?|h|s)\b)", re.IGNORECASE
)


def _part_of_kind(kind: str, text: str) -> str:
    found: list[str] = [text]
    if kind in MONEY - {"capitals"}:
        amounts = find_amounts(text)
        found = [amount.text for amount in amounts if amount.is_money]
        if not found and len(amounts) == 1 and compact(amounts[0].text) == compact(text):
            found = [text]
    elif kind == "capitals":
        found = [capitals] if (capitals := find_capitals(text)) else []
    elif kind in {"date", "due_date"}:
        found = [text] if find_dates(text) or re.search(r"\d{1,4}[-/.年月]\d", text) else []
    elif kind == "time":
        # 离店时间 may be answered by a day, a 报告时间 by both, a 停机时间 by how long it was.
        at = [day.text for day in find_dates(text)[:1]] + [time for time, _, _ in find_times(text)[:1]]
        found = [" ".join(at)] if at else [text] if _LASTS.search(text) else []
    elif kind == "phone":
        found = re.findall(r"[+\d(][\d\s()\-/]{5,24}\d", text)[:1]
    elif kind in {"number", "code", "check_code", "tax_id"}:
        found = [text] if any(map(str.isdigit, text)) else []
    return found[-1] if found else ""


def counted_line(document: Document, asked: str) -> Result | None:
    """How many of an article a line says before its name, as restaurants do: "3  Iced Tea  11.25"."""
    for line in money_lines(document.layout):
        row = document.layout.rows[line.row]
        match = re.match(r"(\d{1,3})\s?[xX*]?\s+(\D.*)", row.text.strip())
        if match and match[1] != "0" and _similar(asked, re.sub(r"[\d.,\s]+$", "", match[2])):
            return Result(re.sub(r"\s*[$¥£€]?[\d.,\s]+$", "", match[2]).strip(), match[1], row.cells[:2])
    return None


def _tax_rate(document: Document) -> Result | None:
    """The rate of tax: the table's column, or the percentage in the label of the tax."""
    table = document.table
    if table is not None and (index := table.column("tax_rate")) is not None:
        texts = {text: item for item in table.items if "%" in (text := item.text(index))}
        if texts:
            cells = tuple(cell for item in texts.values() for cell in item.cells[index])
            return Result(table.columns[index].name, "、".join(texts), cells)
    tax = document.fields.get("tax")
    for cell in tax.cells if tax else ():
        if match := re.search(r"\d{1,2}(?:\.\d{1,3})?\s?[%％]", cell.text):
            return Result(cell.text.strip(), match[0], (cell,))
    return None


def resolve(document: Document, want: Want) -> Result | None:
    """Find one wanted thing on one page.

    Args:
        document: The page.
        want: The thing.

    Returns:
        Its value; None where the page does not prove one.
    """
    result = _resolve(document, want)
    return result if result is not None and not result.unproven else None


def nearest(document: Document, want: Want) -> Result | None:
    """What the page has instead of what was asked for: the date, where it does not say that it is the check-out's.

    Args:
        document: The page.
        want: The thing, which :func:`resolve` does not find.

    Returns:
        A value whose ``unproven`` tells what the page does not say of it; None where there is no such value.
    """
    result = _resolve(document, want)
    return result if result is not None and result.unproven else None


def _resolve(document: Document, want: Want) -> Result | None:
    asked = want.literal or want.phrase
    named = compact(asked) != compact(want.phrase)
    priced = not want.kind or (named and want.kind in {"total", "tax", "tax_rate", "number"})
    if priced and (cell := _table_cell(document, want.raw or asked)):
        return cell
    if named and (cell := _crossing(document, asked)):  # 合计实际产量, in a table without prices
        return cell
    if not want.kind:
        return _labelled(document, asked)
    return _of_both(document, want) or _by_words(document, want, asked) or _field(document, want)


def _of_both(document: Document, want: Want) -> Result | None:
    """What both parties of an invoice have, where the question does not say whose is meant."""
    if want.beside or want.kind not in {"tax_id", "address", "bank"}:
        return None
    found = [document.fields.get(f"{side}_{want.kind}") for side in ("seller", "buyer")]
    results = [Result(one.label, one.text, found=one, kind=one.kind) for one in found if one]
    return replace(results[0], also=(results[1],)) if len(results) == 2 else None


_FORMED = MONEY | {"date", "due_date", "time", "phone"}
_NAMED_OTHERWISE = frozenset({"number", "total", "date", "time", "address", "phone", "bank"})


def _by_words(document: Document, want: Want, asked: str) -> Result | None:
    """The value of the label that the question words, rather than the kind, point at."""

    def first(labels: Iterable[str]) -> Result | None:
        values = (_of_kind(want.kind, _label_value(document, one)) for one in labels)
        return next((value for value in values if value is not None), None)

    def like(words_asked: str) -> Result | None:
        return _of_kind(want.kind, _proven(_like_label(document, words_asked)))

    named = compact(asked) != compact(want.phrase)
    found = first([asked]) if named or want.kind in _LITERAL_FIRST else None
    if found is None and want.kind == "number" and has_cjk(asked):
        found = like(asked)  # 流水号 is 交易流水号, not 回单编号
    if found is None and want.kind in _NAMED_OTHERWISE:
        found = first(_also_called(asked, want))
    if found is None and want.kind == "phone" and not want.beside:
        found = _phones(document)
    if found is None and want.beside:
        # More was asked than the kind: the label may be the rest of the words (押金, 上车), or stand under them.
        found = (
            _sum_of_column(document, want)
            # A text may be anything: only what has the form of its kind is taken from a label that does not name it.
            or (first([want.beside]) or like(want.beside) if want.kind in _FORMED else None)
            or _of_kind(want.kind, _under(document, want.beside, want.phrase))
            or (_phone_of(document, want.beside) if want.kind == "phone" else None)
        )
    return found


def _phones(document: Document) -> Result | None:
    """All of a page's telephones, where it has several: which one is meant, the question does not say."""
    several = {
        compact(number): Result(pair.label, number, pair.cells)
        for pair in document.pairs[:500]
        if (re.search(r"电话|手机|\btel|phone|mobile", pair.label.lower()) or _MOBILE_LAST.search(pair.value))
        and (number := _part_of_kind("phone", pair.value))
    }
    first, *rest = several.values() or (None,)
    if first is None or not (rest or "phone" not in document.fields):
        return None
    return replace(first, also=tuple(rest[:3]))


_MOBILE_LAST = re.compile(r"[^\W\d_]\s?1[3-9]\d{9}\s*$")  # 李晓燕13912345678
_PHONE_LAST = re.compile(r"(?:\(?0\d{2,3}\)?[-\s]?)?(?:1\d{10}|[2-9]\d{6,7})(?:[-转]\d{1,5})?\s*$")


def _phone_of(document: Document, party: str) -> Result | None:
    """A party's telephone: behind its address (地址、电话 is one label), or the page's own, of who issued it."""
    fields, side = document.fields, party_of(party)
    address = fields.get(f"{side}_address") if side else None
    if address is not None and (number := _PHONE_LAST.search(address.text)):
        return Result(address.label, number[0].strip(), address.cells)
    own = fields.get("phone") if side == "seller" and "buyer" not in fields else None
    return Result(own.label, own.text, found=own, kind=own.kind) if own else None


def _also_called(asked: str, want: Want) -> tuple[str, ...]:
    """Other names of the label that is asked for: 什么时候退房 asks for a 退房日期, which may be called 离店日期."""
    noun = {"date": "日期", "time": "时间"}.get(want.kind, "")
    whole = f"{want.beside}{noun}" if want.beside and noun and has_cjk(want.beside) else asked
    return (*synonyms(asked), *((whole, *synonyms(whole)) if whole != asked else ()))


def _sum_of_column(document: Document, want: Want) -> Result | None:
    """The figure of the table's own sum row in a column that is not money: 合计数量."""
    role = _role(want.beside)
    if want.kind != "total" or role != "quantity" or document.table is None:
        return None
    found = find_sum(document.layout, document.table, role)
    return Result(found.label, found.text, found.cells) if found else None


def _proven(result: Result | None) -> Result | None:
    return result if result is not None and not result.unproven else None


def _labelled(document: Document, asked: str) -> Result | None:
    """What the page has under the asked words, or under other words for the same."""
    near: Result | None = None
    for one in (asked, *synonyms(asked)):
        found = (
            _column(document, one)
            or _label_value(document, one)
            or _crossing(document, one)
            or _like_label(document, one)
        )
        if found is not None and not found.unproven:
            return found
        near = near or found
    return _listed_item(document, asked) or near


def _field(document: Document, want: Want) -> Result | None:
    if want.kind == "tax_rate":
        result = _tax_rate(document)
    else:
        found = document.fields.get(want.kind)
        result = Result(found.label, found.text, found=found, kind=want.kind) if found else None
    if result is None or not want.beside:
        return result
    if want.kind not in {"merchant", "buyer"} and _of_the_page(document, want.beside):
        return result
    cells = result.found.cells if result.found else result.cells
    said = compact(result.name + "".join(cell.text for cell in cells))
    parts = [want.beside] if has_cjk(want.beside) else want.beside.split()
    unsaid = [part for part in parts if compact(singular(part)) not in said]
    return replace(result, unproven=want.beside) if unsaid else result


def search(document: Document, wanted: str) -> list[tuple[Cell, Literal["whole", "part", "alike"]]]:
    """Cells that contain words, best first.

    Args:
        document: The page.
        wanted: What to look for; case, spaces and punctuation do not matter.

    Returns:
        The cells and how they match; nearly equal ones only where no cell contains the words.
    """
    key = compact(wanted)
    if not key:
        return []
    if (
        key.isascii()
        and key.endswith("s")
        and not any(key in compact(cell.text) for cell in document.layout.cells)
    ):
        key = singular(key)
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
