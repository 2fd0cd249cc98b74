"""What only Chinese VAT invoices (增值税发票) have: buyer and seller side by side, and their two-dimensional code."""

from __future__ import annotations

import datetime as dt
import re
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from vlpro.engines.ocr.fields.found import Found

if TYPE_CHECKING:
    from vlpro.engines.ocr.fields.labels import Pair
    from vlpro.engines.ocr.layout import Layout
    from vlpro.engines.ocr.page import Code

__all__ = ["find_code_fields", "find_form", "find_parties"]

_NAME = re.compile(r"^名\s?称$")
_TAX_ID = re.compile(r"纳税人识别号|统一社会信用代码|税号")
_ID = re.compile(r"[0-9A-Z]{15,20}")
_OF_LABEL = re.compile(
    r"\s*(?:no\b|num|date\b|time\b|id\b|ref|[#:\d]|号|日期|时间|代码|编号|金额)", re.IGNORECASE
)
_TYPE = re.compile(
    r"增值税(?:电子)?(?:专用|普通)发票|电子发票|专用发票|普通发票|通用机打发票|定额发票|火车票|行程单|收据|"
    r"小票|送货单|出库单|报价单|电子回单|回单|合同|"
    r"simplified tax invoice|tax\s?invoice|invoice|cash (?:bill|sales?)|receipt|delivery order|quotation|"
    r"purchase order",
    re.IGNORECASE,
)
_CAPTION_SELLER = re.compile(r"销|銷")
_CAPTION_BUYER = re.compile(r"购|購")


def _side(layout: Layout, pair: Pair) -> str:
    """``buyer``, ``seller`` or "" by the caption (mostly upright: 购买方 …) left of a pair."""
    cell = pair.cells[-1]
    x, y = cell.x1, cell.middle[1]
    best, best_distance = "", 1e9
    captions = [
        other for other in (*layout.vertical, *layout.cells) if other is not cell and len(other.text) <= 8
    ]
    for other in captions:
        side = (
            "seller"
            if _CAPTION_SELLER.search(other.text)
            else "buyer"
            if _CAPTION_BUYER.search(other.text)
            else ""
        )
        if not side or other.x1 >= x or not other.y1 - 2 * cell.height <= y <= other.y2 + 2 * cell.height:
            continue
        distance = x - other.x2
        if distance < best_distance:
            best, best_distance = side, distance
    return best


def find_parties(layout: Layout, pairs: list[Pair]) -> dict[str, Found]:
    """Buyer and seller with their tax ids, by the captions beside them.

    Args:
        layout: The page.
        pairs: All labelled values of the page.

    Returns:
        ``buyer``, ``merchant``, ``buyer_tax_id`` and ``seller_tax_id``, as far as found.
    """
    found: dict[str, Found] = {}
    names = [pair for pair in pairs if _NAME.match(pair.label)]
    ids = [pair for pair in pairs if _TAX_ID.search(pair.label) and _ID.search(pair.value)]
    addresses = [pair for pair in pairs if re.match(r"地址", pair.label)] if names else []
    banks = [pair for pair in pairs if re.match(r"开户", pair.label)] if names else []
    groups = (
        (names, ("buyer", "merchant")),
        (ids, ("buyer_tax_id", "seller_tax_id")),
        (addresses, ("buyer_address", "seller_address")),
        (banks, ("buyer_bank", "seller_bank")),
    )
    for group, kinds in groups:
        sides = [_side(layout, pair) for pair in group]
        if len(group) == 2 and len(set(sides) - {""}) < 2:
            # The forms have the buyer to the left, or above.
            sides = ["buyer", "seller"]
            first, second = group[0].cells[-1], group[1].cells[-1]
            if abs(first.middle[1] - second.middle[1]) < first.height and first.x1 > second.x1:
                sides = ["seller", "buyer"]
        for pair, side in zip(group, sides, strict=True):
            kind = kinds[0] if side == "buyer" else kinds[1] if side == "seller" else ""
            if kind and kind not in found:
                match = _ID.search(pair.value) if group is ids else None
                text = match[0] if match else pair.value
                found[kind] = Found(
                    kind, text, text, pair.cells, min(c.confidence for c in pair.cells), pair.label
                )
    return found


def find_form(layout: Layout) -> dict[str, Found]:
    """What kind of document it is, and what invoices print without a label: their code and number at the top.

    Args:
        layout: The page.

    Returns:
        ``document_type``, ``code`` and ``number``, as far as found.
    """
    found: dict[str, Found] = {}
    for cell in layout.cells:
        match = _TYPE.search(cell.flat)
        # A label's value may mention a contract without the page being one, and "Invoice No" is a label itself.
        if (
            match
            and not re.match(r"[^:]{1,12}:", cell.flat[: match.start()])
            and not _OF_LABEL.match(cell.flat, match.end())
        ):
            text = cell.text.strip() if len(cell.text) <= 24 else cell.text[match.start() : match.end()]
            row = layout.rows[layout.row_index(cell)].cells
            joined = "".join(other.text for other in row) if len(row) == 2 and len(cell.text) <= 4 else text
            found["document_type"] = Found("document_type", joined, joined, (cell,), cell.confidence)
            break
    texts = "".join(cell.flat for cell in layout.cells)
    if "价税合计" not in texts and "增值税" not in texts:
        return found
    for cell in layout.cells:
        if cell.y1 > 0.35 * layout.page.height:
            break
        text = cell.flat.strip()
        if "code" not in found and re.fullmatch(r"\d{10}|\d{12}", text):
            found["code"] = Found("code", text, text, (cell,), 0.8 * cell.confidence)
        elif "number" not in found and (match := re.fullmatch(r"(?:N[o0][.:\s]?)?(\d{8})", text)):
            found["number"] = Found("number", match[1], match[1], (cell,), 0.8 * cell.confidence)
    return found


def find_code_fields(codes: tuple[Code, ...]) -> dict[str, Found]:
    """Fields of the code that the tax administration prints on its invoices.

    The content is ``01,type,code,number,amount,date,check code,…``; amount is without tax on the special
    invoice's form and with tax on the fully digital one, so it is not offered as a total.

    Args:
        codes: All codes of the page.

    Returns:
        ``code``, ``number``, ``code_amount``, ``date`` and ``check_code``, as far as found.
    """
    found: dict[str, Found] = {}
    for code in codes:
        parts = [part.strip() for part in code.text.split(",")]
        if len(parts) < 6 or parts[0] != "01" or not parts[3].isdigit():
            continue

        def take(kind: str, text: str, value: str | Decimal | dt.date, code: Code = code) -> None:
            if text:
                found[kind] = Found(kind, text, value, (), 1.0, "QR", code=code)

        take("code", parts[2], parts[2])
        take("number", parts[3], parts[3])
        with suppress(InvalidOperation):
            take("code_amount", parts[4], Decimal(parts[4]))
        with suppress(ValueError):
            take("date", parts[5], dt.datetime.strptime(parts[5], "%Y%m%d").replace(tzinfo=dt.UTC).date())
        if len(parts) > 6 and parts[6]:
            take("check_code", parts[6], parts[6])
        break
    return found
