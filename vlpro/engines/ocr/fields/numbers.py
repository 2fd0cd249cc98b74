"""Dates, times, document numbers, tax ids and other labelled values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vlpro.engines.ocr.dates import Day, find_dates, find_times
from vlpro.engines.ocr.fields.found import Found
from vlpro.engines.ocr.fields.kinds import KINDS
from vlpro.engines.ocr.fields.labels import Pair, labelled, value_after
from vlpro.engines.ocr.text import compact, has_cjk, is_cjk

if TYPE_CHECKING:
    from vlpro.engines.ocr.layout import Cell, Layout, Row

__all__ = ["find_labelled", "find_when"]

_DATE_WORD = re.compile(r"date|日期|时间|fecha|tarikh|tanggal|datum|\bdt\b", re.IGNORECASE)
_OTHER_DATE = re.compile(
    r"due|expir|\bexp\b|valid|until|return|before|deliver|到期|有效|截止|print|birth|生日|gst|w\.?e\.?f|"
    r"thru|through|\boffer|since|effective|survey|redeem|coupon|\bends?\b|\bstarts?\b|policy",
    re.IGNORECASE,
)
_DUE = re.compile(r"due|到期|截止", re.IGNORECASE)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9/\-_.*]{1,40}")
_CN_TAX_ID = re.compile(
    r"(?<![0-9A-Z])(?:[0-9A-HJ-NPQRTUWXY]{2}\d{6}[0-9A-HJ-NPQRTUWXY]{10}|\d{15}|\d{17}[\dX]|\d{20})(?![0-9A-Z])"
)
_PAYMENT = re.compile(
    r"cash|visa|master|card|credit|debit|che(?:que|ck)|wechat|alipay|amex|nets|transfer|wallet|paypal|grab|"
    r"touch|boost|union|apple|voucher|"
    r"微信|支付宝|现金|银行|刷卡|转账|信用|云闪付|储值|余额|支票|汇款|月结|会员",
    re.IGNORECASE,
)
_PLAIN = (
    "number",
    "code",
    "check_code",
    "tax_id",
    "buyer",
    "payment",
    "cashier",
    "merchant",
    "phone",
    "address",
)


def _day_score(day: Day, label: str, cell: Cell, row: Row) -> float:
    """How likely a date is the document's own; 0 where eight digits are more likely something else."""
    named = bool(_DATE_WORD.search(label))
    if _OTHER_DATE.search(label) and not re.search(r"invoice|开票", label, re.IGNORECASE):
        score = 0.5
    elif named:
        score = 3.0
    else:
        score = 0.2 if day.text.isdigit() else 1.5
    if day.text.isdigit() and find_times(cell.flat[day.end :]):
        score = 1.2
    elif day.text.isdigit() and not named and len(compact(cell.text)) > 8:
        return 0
    timed = any(find_times(other.text) for other in row.cells)
    return score + (0.6 if timed else 0)


def _days(layout: Layout) -> list[tuple[float, int, Day, Cell, str]]:
    """All dates: how likely each is the document's, its place from the top (negative), itself, cell and label."""
    days: list[tuple[float, int, Day, Cell, str]] = []
    for index, row in enumerate(layout.rows):
        for place, cell in enumerate(row.cells):
            for day in find_dates(cell.text):
                before, left = cell.flat[: day.start], row.cells[place - 1].flat if place else ""
                label = before if re.search(r"[^\W\d]", before) else left
                if score := _day_score(day, label, cell, row):
                    days.append((score, -index, day, cell, label))
    return days


def find_when(layout: Layout) -> dict[str, Found]:
    """The document's date, its time of day, and a due date.

    Args:
        layout: The page.

    Returns:
        ``date``, ``time`` and ``due_date``, as far as found.
    """
    candidates = _days(layout)
    due = next(((day, cell) for _, _, day, cell, label in candidates if _DUE.search(label)), None)
    found: dict[str, Found] = {}
    if due:
        day, cell = due
        found["due_date"] = Found("due_date", day.text, day.value, (cell,), cell.confidence, other=day.other)
    if candidates:
        score, _, day, cell, label = max(candidates, key=lambda item: (item[0], item[1]))
        confidence = cell.confidence * (1.0 if score >= 1 else 0.6)
        label = label.strip(" :：") if score >= 3 else ""
        found["date"] = Found("date", day.text, day.value, (cell,), confidence, label, day.other)
    time = _find_time(layout, found.get("date"))
    if time:
        found["time"] = time
    return found


def _find_time(layout: Layout, date: Found | None) -> Found | None:
    best: tuple[float, Found] | None = None
    for row in layout.rows:
        for place, cell in enumerate(row.cells):
            for text, start, _ in find_times(cell.text):
                label = cell.flat[:start] + (row.cells[place - 1].flat if place else "")
                score = 1.0
                if re.search(r"time|时间|时刻|masa|hora", label, re.IGNORECASE):
                    score += 2
                if re.search(r"open|clos|hour|营业|daily", row.text, re.IGNORECASE):
                    score -= 2
                if date and date.cells[0] in row.cells:
                    score += 1.5
                if best is None or score > best[0]:
                    best = score, Found("time", text, text, (cell,), cell.confidence)
    return best[1] if best and best[0] > 0 else None


def _label_rank(kind: str, label: str) -> int | None:
    """How well a page's label names a kind: the length that matches; None where it does not."""
    key = compact(label)
    for word in KINDS[kind].labels:
        if key == word:
            return 100 + len(word)
        if len(word) >= 3 and key.endswith(word) and (has_cjk(word) or len(key) <= len(word) + 8):
            return 50 + len(word)
        if len(word) >= 4 and key.startswith(word) and len(key) <= len(word) + 6:
            return 30 + len(word)
    return None


def _prefix_pairs(layout: Layout) -> list[Pair]:
    """Labels without a colon: 单号XS-20261118-0472, 支付方式 对公转账, ``Invoice #:`` is with the others."""
    pairs = []
    words = {word for kind in _PLAIN for word in KINDS[kind].labels}
    chinese = sorted((word for word in words if has_cjk(word) and len(word) > 1), key=len, reverse=True)
    latin = re.compile(
        r"^(?P<label>(?:tax\s)?(?:invoice|receipt|bill|doc(?:ument)?|order|trans(?:action)?|trx|slip|"
        r"ticket|check|chk|inv|gst\s?reg|gst|cash\s?bill|ref)"
        r"(?:\.?\s?(?:no\.?|number|num|id|#)){1,2}\.?\s?|(?:inv|receipt|order|check|ticket|trans|bill|"
        r"invoice)\s?#\s?)(?P<value>\S.{0,40})$",
        re.IGNORECASE,
    )
    for cell in layout.cells:
        if ":" in cell.flat:
            continue
        word = next((word for word in chinese if cell.text.startswith(word)), None)
        if word is not None:
            value = cell.text[len(word) :].strip(" .。")
            if value:
                if not is_cjk(value[0]) or word in {"支付方式", "付款方式", "收银员", "操作员", "结算方式"}:
                    pairs.append(Pair(word, value, (cell,)))
            elif after := value_after(layout, cell, below=False):
                pairs.append(Pair(word, after[0], (after[1], cell)))
        elif match := latin.match(cell.flat):
            pairs.append(Pair(match["label"].strip(), match["value"].strip(), (cell,)))
        elif compact(cell.text) in words and (after := value_after(layout, cell, below=False)):
            pairs.append(Pair(cell.text.strip(), after[0], (after[1], cell)))
    return pairs


def _acceptable(kind: str, value: str) -> str | None:
    """The part of a value that can be of a kind; None where none can."""
    if kind == "tax_id":
        if match := _CN_TAX_ID.search(value):
            return match[0]
        match = re.search(r"[A-Z]{0,3}[-\s]?\d[\d\-]{6,20}[A-Z]{0,2}", value)
        return match[0].strip() if match else None
    if kind in {"number", "code", "check_code"}:
        flat = value.strip(" #:：.")
        if find_dates(flat) and not re.search(r"[A-Za-z]", flat) and not flat.replace(" ", "").isdigit():
            return None
        match = _ID.match(flat)
        return match[0].rstrip(".") if match and any(char.isdigit() for char in match[0]) else None
    if kind == "phone":
        match = re.search(r"[+\d(][\d\s()\-/]{5,24}\d", value)
        return match[0] if match else None
    wordy = kind in {"merchant", "buyer", "cashier", "address"}
    refused = (kind == "payment" and not _PAYMENT.search(value)) or (
        wordy and sum(map(str.isalpha, value)) < 2
    )
    return None if refused else value


def find_labelled(layout: Layout) -> tuple[dict[str, Found], list[Pair]]:
    """Numbers, codes, ids and names that a label of the page announces.

    Args:
        layout: The page.

    Returns:
        The found ones by kind (names of parties only where a label is explicit), and all pairs of the page.
    """
    pairs = labelled(layout) + _prefix_pairs(layout)
    found: dict[str, Found] = {}
    for kind in _PLAIN:
        best: tuple[int, Found] | None = None
        for pair in pairs:
            rank = _label_rank(kind, pair.label)
            if rank is None:
                continue
            value = _acceptable(kind, pair.value)
            if value is None:
                continue
            if kind == "number" and re.search(
                r"gst|tax\s?(?:id|reg)|tel|fax|table|co\.?\s?(?:reg|no)|reg|vat|税|phone|qty|quantity|card|"
                r"a/?c|account|item|pcs|客户|member|电话|会员|approv|batch|terminal|stan",
                pair.label,
                re.IGNORECASE,
            ):
                continue
            if best is None or rank > best[0]:
                confidence = min(cell.confidence for cell in pair.cells)
                best = rank, Found(kind, value, value, pair.cells, confidence, pair.label)
        if best:
            found[kind] = best[1]
    return found, pairs
