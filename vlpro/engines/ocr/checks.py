"""Whether the figures of one page agree: items and sum, sum and tax, capitals and figures, cash and change."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from vlpro.engines.ocr.evidence import Answer, Evidence, of_cells, of_found
from vlpro.engines.ocr.resolve import kind_name
from vlpro.engines.ocr.text import escape_markdown

if TYPE_CHECKING:
    from vlpro.engines.ocr.fields.document import Document
    from vlpro.engines.ocr.scene import Scene, Shown

__all__ = ["Check", "checks_of", "plain", "verify"]

_CENT = Decimal("0.01")


def plain(value: Decimal) -> str:
    """A figure with separators for thousands, and two decimals unless it has more."""
    cents = value.quantize(_CENT)
    return f"{cents:,}" if value == cents else f"{value:,}"


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison of figures within a page.

    Args:
        en: What is compared, in English.
        zh: The same in Chinese.
        left: The figure computed from the parts.
        right: The figure that the page gives for it.
        formula: The arithmetic, as text.
        sure: False where a mismatch may as well mean that a line was not read.
    """

    en: str
    zh: str
    left: Decimal
    right: Decimal
    formula: str
    sure: bool = True

    @property
    def holds(self) -> bool:
        """Whether both are the same to the cent."""
        return abs(self.left - self.right) < _CENT


def checks_of(document: Document) -> list[Check]:
    """All checks that the figures of one page allow.

    Args:
        document: The page.

    Returns:
        The checks, those over the whole first.
    """
    amounts = {
        kind: found.value for kind, found in document.fields.items() if isinstance(found.value, Decimal)
    }
    checks = _capitals(document, amounts) + _items(document, amounts)
    if not any(check.en.startswith("sum") for check in checks):
        checks += _subtotal(amounts)
    return checks + _cash(amounts) + _lines(document)


def _capitals(document: Document, amounts: dict[str, Decimal]) -> list[Check]:
    if "total" not in amounts or "capitals" not in amounts:
        return []
    formula = f"{document.fields['capitals'].text} = {plain(amounts['capitals'])}"
    return [
        Check(
            "amount in capitals and in figures",
            "大写与小写金额",
            amounts["capitals"],
            amounts["total"],
            formula,
        )
    ]


def _items(document: Document, amounts: dict[str, Decimal]) -> list[Check]:
    table, total = document.table, amounts.get("total")
    if table is None or not table.items or total is None:
        return []
    numbers = [table.number(item, "amount") for item in table.items]
    known = [number for number in numbers if number is not None]
    if not known or len(known) < len(numbers):
        return []
    added = sum(known, Decimal(0))
    formula = f"{' + '.join(map(plain, known))} = {plain(added)}" if len(known) > 1 else plain(added)
    discount, tax = abs(amounts.get("discount", Decimal(0))), document.sum_row("tax")
    goal = document.sum_row("amount")
    if goal is None or goal < max(known):
        if discount and added != total:
            formula, added = (
                f"{' + '.join(map(plain, known))} − {plain(discount)} = {plain(added - discount)}",
                added - discount,
            )
        return [Check("items and total", "各项金额之和与合计", added, total, formula, sure=False)]
    checks = [Check("items and their sum", "各项金额之和与合计", added, goal, formula, sure=False)]
    if tax is not None:
        checks.append(Check("sum with tax and total", "金额加税额与价税合计", goal + tax, total,
                            f"{plain(goal)} + {plain(tax)} = {plain(goal + tax)}"))  # fmt: skip
    elif discount and goal != total:
        checks.append(Check("sum less discount and what was paid", "合计减优惠与实付", goal - discount, total,
                            f"{plain(goal)} − {plain(discount)} = {plain(goal - discount)}"))  # fmt: skip
    return checks


def _subtotal(amounts: dict[str, Decimal]) -> list[Check]:
    """Subtotal, tax and rounding against the total; left out where the subtotal holds the tax already."""
    total, subtotal, tax = (amounts.get(kind) for kind in ("total", "subtotal", "tax"))
    if total is None or subtotal is None or tax is None:
        return []
    rounding = amounts.get("rounding", Decimal(0))
    if abs(subtotal + rounding - total) < Decimal("0.10"):
        return []
    parts = subtotal + tax + rounding
    formula = f"{plain(subtotal)} + {plain(tax)}" + (f" + ({plain(rounding)})" if rounding else "")
    return [
        Check(
            "subtotal with tax and total",
            "小计加税额与合计",
            parts,
            total,
            f"{formula} = {plain(parts)}",
            sure=False,
        )
    ]


def _cash(amounts: dict[str, Decimal]) -> list[Check]:
    total, tendered, change = (amounts.get(kind) for kind in ("total", "tendered", "change"))
    if total is None or tendered is None or change is None or tendered < total:
        return []
    left = tendered - abs(change)
    if 0 < abs(left - total) <= Decimal("0.05"):  # cash is rounded to coins
        return []
    formula = f"{plain(tendered)} − {plain(abs(change))} = {plain(left)}"
    return [Check("cash less change and total", "收款减找零与合计", left, total, formula, sure=False)]


def _lines(document: Document) -> list[Check]:
    """Lines whose unit price times quantity is not their amount."""
    checks: list[Check] = []
    table = document.table
    if table is None:
        return checks
    for item in table.items:
        price, count, line = (table.number(item, role) for role in ("unit_price", "quantity", "amount"))
        if price is None or count is None or line is None or abs(price * count - line) < _CENT:
            continue
        name, product = table.name(item), (price * count).quantize(_CENT)
        formula = f"{plain(price)} × {count.normalize():f} = {plain(product)}"
        checks.append(
            Check(
                f"unit price × quantity of {name}", f"{name} 的单价×数量", product, line, formula, sure=False
            )
        )
    return checks


def _verdict(scene: Scene, checks: list[Check]) -> str:
    wrong = [check for check in checks if not check.holds]
    if not wrong:
        return scene.say("The figures **agree**.", "金额**一致**。")
    if any(check.sure for check in wrong):
        return scene.say("The figures do **not agree**.", "金额**不一致**。")
    return scene.say(
        "The figures that were read do **not add up**; a line may not have been read, so check it against "
        "the picture.",
        "读到的数字**对不上**；可能有行未读到，请对照图片核实。",
    )


def _line(scene: Scene, check: Check) -> str:
    mark, tail = ("✓", "") if check.holds else ("✗", f" ≠ {plain(check.right)}")
    if check.holds and check.formula == plain(check.right):
        tail = f" = {plain(check.right)}"
    return f"- {mark} {escape_markdown(scene.say(check.en, check.zh))}{scene.say(': ', '：')}{check.formula}{tail}"


def _proof(scene: Scene, shown: Shown) -> list[Evidence]:
    document = shown.document
    proof = [
        of_found(shown.number, document.page, found, kind_name(kind, scene.language))
        for kind in ("total", "capitals", "subtotal", "tax", "discount", "tendered", "change")
        if (found := document.fields.get(kind))
    ]
    column = document.table.column("amount") if document.table else None
    for item in document.table.items[:20] if document.table and column is not None else ():
        if column in item.cells:
            name = document.table.name(item) if document.table else ""
            proof.append(of_cells(shown.number, document.page, item.cells[column], name))
    return proof


def verify(scene: Scene) -> Answer:
    """Say whether the figures of each picture agree with each other, and show the arithmetic.

    Args:
        scene: The question with its pictures.
    """
    blocks: list[str] = []
    evidence: list[Evidence] = []
    for shown in scene.shown:
        checks = checks_of(shown.document)
        prefix = scene.at(shown.number)
        if not checks:
            blocks.append(
                prefix
                + scene.say(
                    "There are not enough figures on the page to check one against another.",
                    "页面上可以互相核对的数字不足，无法判断金额是否正确。",
                )
            )
            continue
        blocks.append(
            "\n".join([prefix + _verdict(scene, checks), *(_line(scene, check) for check in checks)])
        )
        evidence += _proof(scene, shown)
    return Answer("\n\n".join(blocks), tuple(evidence))
