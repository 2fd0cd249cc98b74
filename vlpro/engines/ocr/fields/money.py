"""Sums of a receipt or an invoice: total, subtotal, tax, change, capitals, and whether they agree."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from vlpro.engines.ocr.amounts import Amount, find_amounts, find_capitals, parse_capitals
from vlpro.engines.ocr.fields.found import Found
from vlpro.engines.ocr.text import compact

if TYPE_CHECKING:
    from vlpro.engines.ocr.layout import Cell, Layout, Row

__all__ = ["MoneyLine", "find_money", "find_sum_line", "money_lines"]

_CURRENCY_WORDS = re.compile(r"(?<![a-z])(?:rm|myr|usd|cny|rmb|sgd|eur|gbp)(?![a-z])|[¥$€£]", re.IGNORECASE)
_LETTERS = str.maketrans("01", "ol")  # a misread "T0TA1"
_MISREAD_TOTAL = re.compile(
    r"(?:(?<![a-z])|(?<=grand)|(?<=sub)|(?<=net)|(?<=bill))t[oec][tfi][aeo][lit1]|t[oec][tfi][aeo][lit1]$|"
    r"(?<![a-z])otal|tota$"
)
_SUMMARY = re.compile(
    r"(?:gst|tax|vat|sst)\w{0,8}(?:summary|analysis|code|breakdown)|summary|am(?:oun)?trm\w{0,9}(?:tax|gst)rm"
)
_NOT_TOTAL = re.compile(
    r"qty|quantity|item|pcs|unit|point|disc|saving|saved|change|rounding|roundadj|roundedadj|rndadj|tender|"
    r"deposit|count|数量|件数|积分"
)
_TAX = re.compile(r"gst|tax|vat|sst|税额|税金")
_INCLUSIVE = re.compile(
    r"in[cd]l|lncl|inci|inc(?=gst)|with|after|含税|价税|total(?:sales|amt|amount)?in\w{0,3}gst|paidin"
)
_EXCLUSIVE = re.compile(r"excl|exci|before|without|net?tax|taxable|不含税")


_SAYS_TOTAL = 6  # so much must a heading say that under it stands a total
_MOST_TAXED = Decimal("1.4")  # of a bill's subtotal with all taxes and service


@dataclass(frozen=True, eq=False)
class MoneyLine:
    """A label with the amounts beside (or just under) it.

    Args:
        label: As written.
        amounts: With the cell of each, from left to right.
        cell: The label's cell; None where the amounts have none.
        row: Index of the row of the label.
    """

    label: str
    amounts: tuple[tuple[Amount, Cell], ...]
    cell: Cell | None
    row: int

    @property
    def key(self) -> str:
        """The label for comparing, misread digits in words mended."""
        key = compact(_CURRENCY_WORDS.sub(" ", self.label.lower())).translate(_LETTERS)
        return _MISREAD_TOTAL.sub("total", key).replace("peyable", "payable").replace("payabie", "payable")


def _groups(row: Row, index: int) -> list[MoneyLine]:
    lines: list[MoneyLine] = []
    label, label_cell = "", None
    amounts: list[tuple[Amount, Cell]] = []

    def close() -> None:
        nonlocal label, label_cell, amounts
        if label.strip() or amounts:
            lines.append(MoneyLine(label.strip(), tuple(amounts), label_cell, index))
        label, label_cell, amounts = "", None, []

    for cell in row.cells:
        end = 0
        for amount in [*find_amounts(cell.text)]:
            words = cell.text[end : amount.start]
            if compact(_CURRENCY_WORDS.sub(" ", words)):
                if amounts:
                    close()
                label, label_cell = f"{label} {words}", label_cell or cell
            amounts.append((amount, cell))
            end = amount.end
        words = cell.text[end:]
        if end and len(compact(words)) <= 2:  # a tax code or 元 behind the amount
            continue
        if compact(_CURRENCY_WORDS.sub(" ", words)):
            if amounts:
                close()
            label, label_cell = f"{label} {words}", label_cell or cell
    close()
    return lines


def money_lines(layout: Layout) -> list[MoneyLine]:
    """Every label that has amounts, from top to bottom.

    Args:
        layout: The page.

    Returns:
        The lines; a label without an amount in its row takes those of the next row, if that has no label.
    """
    rows = [_groups(row, index) for index, row in enumerate(layout.rows)]
    lines: list[MoneyLine] = []
    for index, groups in enumerate(rows):
        for line in groups:
            taken = line
            if not line.amounts and line.cell is not None and line is groups[-1]:
                for near in (index + 1, index - 1):
                    if (
                        not 0 <= near < len(rows)
                        or any(other.label for other in rows[near])
                        or not rows[near]
                    ):
                        continue
                    row = layout.rows[near]
                    gap = row.box[1] - line.cell.y2 if near > index else line.cell.y1 - row.box[3]
                    limit = 1.2 if near > index else 0.2
                    if gap < limit * line.cell.height and row.box[2] > line.cell.x1:
                        taken = MoneyLine(line.label, rows[near][0].amounts, line.cell, index)
                        break
            if taken.amounts:
                lines.append(taken)
    return lines


# How much a label says "this is what there is to pay"; the first pattern that matches decides.
_TOTAL_WORDS: tuple[tuple[int, re.Pattern[str]], ...] = tuple(
    (score, re.compile(pattern))
    for score, pattern in (
        (
            0,
            r"^$|sub-?t|sous-?total|zwischensumme|subtotaal|小计|included?in|^(?:total)?included?(?:gst|tax|sst)|totaltax|totalgst(?!in)",
        ),
        # Parts of a bill that restaurants add up before what there is to pay.
        (3, r"(?:food|beverage|bev|drinks?|liquor|beer|wine|bar|merch\w*|nontax\w*)total"),
        (10, r"round\w{0,3}total|total\w{0,8}round|afterround|afteradj"),
        (9, r"grandtota|net\w?total|nettt?amount|netamount|nettamt|totalpayable|amountpayable|payableamount"),
        (9, r"am(?:oun)?tdue|totaldue|balancedue|total\w{0,12}(?:inc|lncl|with)|amount\w{0,6}incl"),
        (9, r"totaltopay|pleasepay|paythisamount|youowe|bal(?:anc)?due|topay$"),
        (
            9,
            r"zuzahlen|endbetrag|rechnungsbetrag|gesamtbetrag|totalapagar|importetotal|(?:net)?[aà]payer|tebetalen",
        ),
        (9, r"价税合计|实付|应付|实收|应收|支付金额|需付|待付"),
        (8, r"totalam|totalsale|totalbill|totalprice|invoicetotal|billtotal"),
        (7, r"合同(?:总?价款?|总?金额|总额)(?:人民币)?$|^(?:小写|金额小写|小写金额)(?:人民币)?$"),
        (7, r"^(?:the)?total|^合[计計]|^总[计价额金]|^總|总金额|合计金额|共计"),
        (6, r"total|合计|总计|^due$|am(?:oun)?tpaid|grossam|^sald[oa]|^summe|gesamt|^importe|apagar"),
        (6, r"^(?:bl|bill|net|gr|grand)?(?:tot|ttl)(?:amt)?$|^totaa|^jumlah|^montant|^betrag|^suma$|^razem"),
        (4, r"^(?:amount|金额|amt|balance|bal)$"),
    )
)


def _total_score(key: str) -> int:
    """How much a label says "this is what there is to pay": 0 not at all, 10 most."""
    if _NOT_TOTAL.search(key) and not re.search(r"round\w{0,3}total|total\w{0,8}round", key):
        return 0
    score = next((score for score, pattern in _TOTAL_WORDS if pattern.search(key)), 0)
    if not score:
        return 0
    if _TAX.search(key) and not _INCLUSIVE.search(key):
        return 2 if "totalsales" in key or "totalamount" in key else 0
    return 2 if _EXCLUSIVE.search(key) else score


_PARTS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("rounding", re.compile(r"round|rnd|抹零|舍入")),
    ("subtotal", re.compile(r"sub\W?to?ta?l|subttl|小计|不含税|total\w{0,10}excl|exclu\w{0,6}gst|beforetax")),
    ("discount", re.compile(r"disc|优惠|折扣|saving|yousaved|满减|立减")),
    ("change", re.compile(r"^change|change$|changedue|找零|找赎|找回")),
    (
        "tax",
        re.compile(
            r"^(?:total)?(?:\d{1,2})?(?:sales|gov|service)?(?:gst|tax(?!able)|vat|sst)|gst@|gstamt|税额|税金|增值税"
        ),
    ),
    ("due", re.compile(r"amountdue|balancedue|totaldue|payable|应付|应收")),
    ("paid", re.compile(r"实付|实际支付|支付金额|付款金额|amountpaid|totalpaid|^paid")),
    (
        "tendered",
        re.compile(
            r"^cash(?!i|t)|tender|^visa|^master|^amex|现金|实收|收款|creditcard|debitcard|^card|received"
        ),
    ),
)


def _part(key: str) -> str:
    if _INCLUSIVE.search(key) and "total" in key and not re.search(r"sub-?t", key):
        return ""
    return next((kind for kind, pattern in _PARTS if pattern.search(key)), "")


def _tidy(label: str) -> str:
    """A label without what stands between it and the figure: currency, brackets, the amount in capitals."""
    if capitals := find_capitals(label):
        label = label.replace(capitals, " ")
    label = re.sub(r"[（(]\s?(?:大写|小写|RM|元|¥|\$)\s?[)）]|(?<![A-Za-z])RM$", " ", label)
    label = " ".join(label.split()).strip(" :：.*-，,。；;、")  # the end of a sentence before it, too
    return re.sub(r"(?<=\w\w)(?:计|为|共)?人民币$", "", label)


def _found(kind: str, line: MoneyLine, pick: tuple[Amount, Cell], sureness: float = 1.0) -> Found:
    amount, cell = pick
    cells = (cell, line.cell) if line.cell is not None and line.cell is not cell else (cell,)
    confidence = sureness * min(part.confidence for part in cells)
    return Found(kind, amount.text, amount.value, cells, confidence, _tidy(line.label))


def _last_money(line: MoneyLine) -> tuple[Amount, Cell] | None:
    money = [pick for pick in line.amounts if pick[0].is_money]
    return money[-1] if money else (line.amounts[-1] if line.amounts else None)


def _summary_row(layout: Layout) -> int:
    """Index of the row where the summary of taxes begins; beyond all rows where there is none."""
    return next(
        (i for i, row in enumerate(layout.rows) if _SUMMARY.search(compact(row.text))), len(layout.rows)
    )


# "Tip 18% = 6.63, total 43.47": what somebody may add is no total.
_SUGGESTED = re.compile(
    r"suggest|\d\d\s?%.{0,20}(?:tip|gratuity|is\b|=)|(?:tip|gratuity).{0,20}\d\d\s?%", re.IGNORECASE
)


def _mended(lines: list[MoneyLine]) -> list[MoneyLine]:
    """Amounts that lost their point (600 for 6.00) put right where the page has the same figure with a point."""
    known = {amount.value for line in lines for amount, _ in line.amounts if amount.is_money}
    mended = []
    for line in lines:
        picks = []
        for amount, cell in line.amounts:
            right = (amount.value / 100).quantize(Decimal("0.01"))
            whole = not amount.decimals and not amount.currency and len(amount.text) >= 3 and right in known
            if whole and (_total_score(line.key) or _part(line.key)):
                picks.append((replace(amount, value=right, text=str(right), decimals=2), cell))
            else:
                picks.append((amount, cell))
        mended.append(replace(line, amounts=tuple(picks)))
    return mended


def _decimal(found: Found | None) -> Decimal | None:
    return found.value if found is not None and isinstance(found.value, Decimal) else None


class _Bill:
    """What the page says besides totals, against which candidates for the total are weighed."""

    def __init__(self, layout: Layout, lines: list[MoneyLine], parts: dict[str, Found]) -> None:
        self.layout, self.lines, self.parts = layout, lines, parts
        self.summary = _summary_row(layout)
        self.change, self.rounding = (_decimal(parts.get(kind)) for kind in ("change", "rounding"))
        tendered = _decimal(parts.get("tendered"))
        self.settled = (
            tendered - abs(self.change) if tendered is not None and self.change is not None else None
        )
        self.rounding_row = (
            layout.row_index(parts["rounding"].cells[0]) if self.rounding else len(layout.rows)
        )
        self.suggested = {
            index
            for index, row in enumerate(layout.rows)
            if _SUGGESTED.search(row.text) and "tax" not in row.text.lower()
        }
        self.counts = Counter(amount.value for line in lines for amount, _ in line.amounts if amount.is_money)

    def score(self, line: MoneyLine, amount: Amount) -> float:
        """How likely a line is the total: above 0 where it may be."""
        score: float = _total_score(line.key)
        if not score and _part(line.key) == "rounding" and amount.is_money and abs(amount.value) >= 1:
            score = 9  # "Rounding 52.10": the total after it
        if not score or ("大写" in line.key and "小写" not in line.key and not amount.is_money):
            return 0
        if amount.value <= 0 and (score < 10 or self.rounding is not None):
            score -= 5
        score -= 0 if amount.is_money else 3
        score -= 4 if line.row > self.summary or line.row in self.suggested else 0
        score += 3 if self.settled is not None and amount.value == self.settled else 0
        return score + (2 if line.row > self.rounding_row else 0)

    def best(self) -> Found | None:
        """The likeliest labelled total; of equal ones the value that the page repeats, then the lowest one."""
        best: tuple[tuple[float, int, int], Found] | None = None
        for line in self.lines:
            pick = _last_money(line)
            score = self.score(line, pick[0]) if pick else 0
            if pick and score > 0:
                order = (score, self.counts[pick[0].value], line.row)
                if best is None or order > best[0]:
                    best = order, _found("total", line, pick, min(1.0, 0.5 + score / 18))
        return best[1] if best else None

    def after_rounding(self, layout: Layout, found: Found) -> Found:
        """What there is to pay follows the rounding, whatever its label is."""
        value = _decimal(found)
        if (
            not self.rounding
            or value is None
            or value == self.settled
            or layout.row_index(found.cells[0]) > self.rounding_row
        ):
            return found
        return (
            _with_value(self.lines, {value + self.rounding, value - self.rounding}, self.rounding_row)
            or found
        )

    def summed(self) -> Found | None:
        """The lowest amount that is the sum of all items above it, or of the two amounts just above it."""
        picks = [
            (line, pick)
            for line in self.lines
            if (pick := _last_money(line)) is not None and pick[0].is_money
        ]
        subtotals = {line.row for line in self.lines if line.key.startswith("sub")}
        for index in range(len(picks) - 1, 1, -1):
            line, (amount, _) = picks[index]
            above = [pick[0].value for _, pick in picks[:index]]
            if line.row in subtotals or _part(line.key):
                continue
            if amount.value > 0 and amount.value in {sum(above), sum(above[-2:])} and line.row < self.summary:
                return _found("total", line, picks[index][1], 0.6)
        return None

    def restored(self, found: Found) -> Found:
        """A total without its decimals put right where what was paid, or subtotal and tax, tell them: $9 J22."""
        value, settled = _decimal(found), self.settled
        parts = [_decimal(self.parts.get(kind)) for kind in ("subtotal", "tax")]
        known = [settled] if settled is not None else []
        if parts[0] is not None and parts[1] is not None:
            known.append(parts[0] + parts[1])
        amounts = find_amounts(found.text)
        if value is None or not amounts or amounts[0].decimals:
            return found
        for right in known:
            if right != value and 0 < right - value < 1:
                return replace(found, text=str(right), value=right, confidence=0.7 * found.confidence)
        return found

    def columned(self) -> Found | None:
        """The amount under the heading "Total" of a table of taxes, where it is the largest of the page."""
        most = max((value for value in self.counts), default=None)
        for cell in self.layout.cells:
            under = self.layout.below(cell) if _total_score(compact(cell.text)) >= _SAYS_TOTAL else None
            for amount in find_amounts(under.text) if under else ():
                if under and amount.is_money and amount.value == most:
                    line = MoneyLine(cell.text, ((amount, under),), cell, self.layout.row_index(cell))
                    return _found("total", line, (amount, under), 0.6)
        return None

    def paid_exactly(self) -> Found | None:
        """What was given without change, where it is the subtotal with its taxes."""
        subtotal, tendered = self.parts.get("subtotal"), self.parts.get("tendered")
        before, given = _decimal(subtotal), _decimal(tendered)
        if before is None or given is None or self.change is not None or "tax" not in self.parts:
            return None
        return tendered if before < given <= before * _MOST_TAXED else None

    def unlabelled(self) -> Found | None:
        """Without a word for a total: what was kept of the cash, a sum, what stands as subtotal, or what was paid."""
        if self.settled is not None and (found := _with_value(self.lines, {self.settled}, -1)):
            return found
        if found := self.summed() or self.columned():
            return found
        part = (
            self.paid_exactly()
            or self.parts.get("subtotal")
            or (self.parts.get("tendered") if self.change is None else None)
        )
        return replace(part, kind="total", confidence=0.6 * part.confidence) if part else None


def _find_total(layout: Layout, lines: list[MoneyLine], parts: dict[str, Found]) -> Found | None:
    bill = _Bill(layout, lines, parts)
    found = bill.best()
    if found and not _is_money(found) and (other := bill.summed()):
        return other
    return bill.restored(bill.after_rounding(layout, found)) if found else bill.unlabelled()


def _is_money(found: Found) -> bool:
    return any(amount.is_money for amount in find_amounts(found.text))


def _with_value(lines: list[MoneyLine], values: set[Decimal], after: int) -> Found | None:
    for line in lines:
        for pick in line.amounts:
            if (
                line.row > after
                and _part(line.key) != "tendered"
                and pick[0].is_money
                and pick[0].value in values
            ):
                return _found("total", line, pick, 0.7)
    return None


def _fitting_tax(lines: list[MoneyLine], total: Found) -> Found | None:
    """Of several tax lines the one that makes the total together with another amount of the page."""
    known = {amount.value for line in lines for amount, _ in line.amounts if amount.is_money}
    for line in lines:
        pick = _last_money(line)
        value = _decimal(total)
        if (
            pick
            and value
            and _part(line.key) == "tax"
            and 0 < pick[0].value < value / 2
            and value - pick[0].value in known
        ):
            return _found("tax", line, pick)
    return None


def find_money(layout: Layout) -> dict[str, Found]:
    """Total, its parts (tax, discount, rounding …) and the capitals, as far as the page says them.

    Args:
        layout: The page.

    Returns:
        The found ones by kind.
    """
    lines = _mended(money_lines(layout))
    parts: dict[str, Found] = {}
    for line in lines:
        kind, pick = _part(line.key), _last_money(line)
        if kind == "rounding" and pick and abs(pick[0].value) >= 1:
            continue
        if kind and pick and (pick[0].is_money or pick[0].value == 0) and kind not in parts:
            parts[kind] = _found(kind, line, pick)
    if "change" in parts:  # of several lines about cash the one just above the change
        row = layout.row_index(parts["change"].cells[0])
        cash = [line for line in lines if line.row <= row and _part(line.key) == "tendered"]
        if cash and (pick := _last_money(cash[-1])) and pick[0].is_money:
            parts["tendered"] = _found("tendered", cash[-1], pick)
    if total := _find_total(layout, lines, parts):
        parts["total"] = total
        if tax := _fitting_tax(lines, total):
            parts["tax"] = tax
    for cell in layout.cells:
        if (text := find_capitals(cell.text)) and (value := parse_capitals(text)) is not None:
            label = cell.text[: cell.text.index(text)].strip(" :：") or "大写"
            parts["capitals"] = Found("capitals", text, value, (cell,), cell.confidence, label)
            break
    return parts


def find_sum_line(layout: Layout, words: str) -> Found | None:
    """The amount of the line whose label says just these words.

    Args:
        layout: The page.
        words: Such as 合计, 合计金额 or ``grand total``.

    Returns:
        The amount; None where no label is worded so, or where it has several amounts (a table's sum row).
    """
    key = compact(words).removesuffix("金额").removesuffix("amount")
    for line in money_lines(layout):
        if key and line.key == key and len(line.amounts) == 1:
            return _found("total", line, line.amounts[0])
    return None
