"""Amounts of money: figures as receipts print them, and Chinese capitals (大写)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from vlpro.engines.ocr.text import fold

__all__ = ["Amount", "find_amounts", "find_capitals", "parse_amount", "parse_capitals", "to_capitals"]

_CURRENCY = r"(?:RMB|RM|MYR|US\$|USD|HK\$|NT\$|S\$|SGD|CNY|EUR|GBP|INR|IDR|Rs\.?|Rp\.?|[¥$€£₹₩])"
_NUMBER = (
    r"\d{1,3}(?:[,'’]\d{3}){1,4}(?:\s?\.\s?\d{1,4})?"  # 1,234.50
    r"|\d{1,3}(?:\.\d{3}){1,4},\d{2}"  # 1.234,50
    r"|\d{1,10}(?:\s?\.\s?|,)\d{2}(?!\d)"  # 12.50, 12. 50, 12,50
    r"|\d{1,10}\.\d{1,4}"  # 12.5
    r"|\d{1,12}"
)
_AMOUNT = re.compile(
    rf"(?<![0-9.,"
    rf"#])(?<![0-9A-Za-z][-/])(?<!\d:)(?P<open>[(-]?\s?)(?P<currency>{_CURRENCY})?\s?(?P<minus>-?)\s?(?P<nu"
    rf"mber>{_NUMBER})"
    r"(?P<close>\)|-(?!\w))?(?P<unit>\s?(?:元|圆|块))?(?![.,]?\d)(?!\s?%)(?![/:]\d)(?!-\d)",
    re.IGNORECASE,
)
# Letters that may follow an amount at once: a tax code (SR, S, Z, T…) or 元.
_TAIL = re.compile(r"(?:SR|ZR|ZRL|S|Z|T|A|E|X|N|B|F|TX|RM|CR|DR|EA|C|USD|CNY)?(?![A-Za-z])", re.IGNORECASE)

# Letters that are misread digits: RMO.02, RMI11.90, 1O.00, 4.O0.
_MISREAD = re.compile(
    r"(?:(?<=RM)|(?<=RM )|(?<=[$¥€£\d.,]))[OoIl](?=[.,]?\d|[.,][Oo]\d)|(?<=\d[.,]\d)[Oo](?!\w)|(?<=\d[.,"
    r"])[Oo](?=[Oo\d])"
)
_POINT_LOST = re.compile(r"^\s*(?P<front>(?:RM|[$¥€£])?\s?\d{1,6})\s(?P<cents>\d{2})\s*$")  # "10 00"

_DIGITS = dict(zip("零壹贰叁肆伍陆柒捌玖", range(10), strict=True)) | {
    "〇": 0, "○": 0, "一": 1, "二": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9, "两": 2,
    "貳": 2, "弐": 2, "參": 3, "陸": 6, "叄": 3,
}  # fmt: skip
_SMALL_UNITS = {"拾": 10, "十": 10, "佰": 100, "百": 100, "仟": 1000, "千": 1000}
_BIG_UNITS = {"万": 10_000, "萬": 10_000, "亿": 100_000_000, "億": 100_000_000}
_YUAN = "圆圓元"
_CAPITALS = re.compile(  # 3.82亿元 is none: what begins with a unit is no number, or not the whole of one
    r"(?<![佰仟万萬亿億])(?![佰仟万萬亿億])"
    r"[零〇壹贰貳弐叁叄參肆伍陆陸柒捌玖拾佰仟万萬亿億]{1,30}[圆圓元](?:[零〇壹贰貳叁叄參肆伍陆陸柒捌玖角分整正]{0,8})"
)
_CAPITAL_DIGITS = "零壹贰叁肆伍陆柒捌玖"


@dataclass(frozen=True, slots=True)
class Amount:
    """One amount within a text.

    Args:
        value: Its value; negative where the text says so.
        text: As written, currency included.
        start: Where it begins in the text.
        end: Where it ends.
        currency: As written, in capitals; empty where none is.
        decimals: Digits after the decimal sign.
    """

    value: Decimal
    text: str
    start: int
    end: int
    currency: str
    decimals: int

    @property
    def is_money(self) -> bool:
        """Whether it is written as money is: with two decimals, or with a currency."""
        return self.decimals == 2 or bool(self.currency)


def _decimal(number: str) -> tuple[Decimal, int]:
    number = re.sub(r"[\s'’]", "", number)
    if re.fullmatch(r"\d{1,3}(?:\.\d{3}){1,4},\d{2}", number) or re.fullmatch(r"\d{1,10},\d{2}", number):
        number = number.replace(".", "").replace(",", ".")
    number = number.replace(",", "")
    return Decimal(number), len(number.partition(".")[2])


def find_amounts(text: str) -> list[Amount]:
    """All numbers that may be amounts, from left to right; not dates, times, percentages or parts of codes.

    Args:
        text: One line; longer than 500 characters is cut.

    Returns:
        The amounts with their places.
    """
    flat = _MISREAD.sub(lambda match: "0" if match[0] in "Oo" else "1", fold(text[:500]))
    if match := _POINT_LOST.match(flat):
        flat = flat[: match.end("front")] + "." + flat[match.start("cents") :]
    found = []
    for match in _AMOUNT.finditer(flat):
        value, decimals = _decimal(match["number"])
        currency = (match["currency"] or "").upper().rstrip(".") or ("元" if match["unit"] else "")
        before = flat[match.start() - 1 : match.start()]
        lead = flat[match.start() : match.start("number")]
        if before.isascii() and before.isalpha() and not any(char.isspace() for char in lead):
            if decimals != 2 or match["open"]:  # TOTAL8.20 is an amount, A4 and USG-99 are not
                continue
            currency = ""
        if decimals == 2 or currency:
            if not _TAIL.match(flat, match.end()):
                continue
        elif match.end() < len(flat) and flat[match.end()].isalpha():
            continue
        negative = bool(match["minus"]) or "-" in match["open"] or match["close"] == "-"
        negative = negative or (match["open"].startswith("(") and match["close"] == ")")
        start, end = match.start(), match.end()
        if not negative:
            start = match.start("currency") if currency and match["currency"] else match.start("number")
            end = match.end("unit") if match["unit"] else match.end("number")
        written = text[start:end].strip()
        found.append(Amount(-value if negative else value, written, start, end, currency, decimals))
    return found


def parse_amount(text: str) -> Decimal | None:
    """The value of a text that is one amount and nothing else; None where it is not."""
    amounts = find_amounts(text)
    if len(amounts) == 1 and not text.replace(amounts[0].text, "", 1).strip(" :：*"):
        return amounts[0].value
    return None


def _section(text: str) -> int:
    """Value below 10,000 of a text such as 柒仟零壹拾捌; raises ValueError where it cannot be one."""
    total, digit = 0, None
    for char in text:
        if char in _DIGITS:
            if digit:
                raise ValueError(text)
            digit = _DIGITS[char]
        else:
            total += (1 if digit is None else digit) * _SMALL_UNITS[char]
            digit = None
    return total + (digit or 0)


def _integer(text: str) -> int:
    total, rest = 0, text
    for big in ("亿億", "万萬"):
        place = max(rest.rfind(char) for char in big)
        if place >= 0:
            left = rest[:place]
            count = _integer(left) if any(char in _BIG_UNITS for char in left) else _section(left)
            total += count * _BIG_UNITS[rest[place]]
            rest = rest[place + 1 :]
    return total + _section(rest)


def parse_capitals(text: str) -> Decimal | None:
    """Value of an amount in Chinese capitals, such as 柒仟零壹拾捌圆捌角叁分.

    Args:
        text: The capitals; 人民币 and brackets around them are allowed.

    Returns:
        The value in yuan; None where the text is not a well-formed amount.
    """
    text = re.sub(r"[\s()（）:：⊗]|人民币|大写", "", text)
    yuan = next((char for char in text if char in _YUAN), "")
    whole, _, cents = text.partition(yuan) if yuan else ("", "", text)
    if not yuan and not text.endswith(("角", "分", "整", "正")):
        return None
    try:
        value = Decimal(_integer(whole)) if whole else Decimal(0)
        cents = cents.rstrip("整正").lstrip("零〇")
        for unit, worth in (("角", Decimal("0.1")), ("分", Decimal("0.01"))):
            head, found, rest = cents.partition(unit)
            if found:
                value += _DIGITS[head.lstrip("零〇")] * worth
                cents = rest
    except (KeyError, ValueError, InvalidOperation):
        return None
    return None if cents else value


def find_capitals(text: str) -> str | None:
    """The amount in Chinese capitals within a text, as written; None where there is none."""
    match = _CAPITALS.search(text[:500])
    return match[0] if match else None


def to_capitals(value: Decimal) -> str:
    """Write an amount in Chinese capitals, as the Ministry's rules for bills do (正确填写票据和结算凭证的基本规定).

    Args:
        value: Yuan, not negative, below 10**12, at most two decimals.

    Raises:
        ValueError: For any other value.
    """
    cents = value * 100
    if value < 0 or value >= 10**12 or cents != int(cents):
        raise ValueError(value)
    whole, rest = divmod(int(cents), 100)
    text, gap = "", False
    for position, char in enumerate(digits := str(whole)):
        place = len(digits) - 1 - position
        if char == "0":
            gap = True
        else:
            text += (
                ("零" if gap and text else "")
                + _CAPITAL_DIGITS[int(char)]
                + ("", "拾", "佰", "仟")[place % 4]
            )
            gap = False
        if place in {4, 8} and int(digits[max(0, position - 3) : position + 1]):
            text += "万" if place == 4 else "亿"
    text = text + "圆" if whole else ""
    tenths, hundredths = divmod(rest, 10)
    if not rest:
        return (text or "零圆") + "整"
    if tenths:
        text += _CAPITAL_DIGITS[tenths] + "角"
    elif text:
        text += "零"
    return text + (_CAPITAL_DIGITS[hundredths] + "分" if hundredths else "整")
