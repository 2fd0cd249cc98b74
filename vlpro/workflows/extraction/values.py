"""Values as written, and in one form for programs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from vlpro.engines.ocr.amounts import find_amounts, find_capitals, parse_capitals
from vlpro.engines.ocr.dates import find_dates, find_times
from vlpro.engines.ocr.text import fold
from vlpro.workflows.extraction.credit_code import as_meant, is_valid, repaired
from vlpro.workflows.extraction.template import ValueType

__all__ = ["MENDED", "Value", "is_cash", "normalize", "simplified", "values_in"]

MENDED = 0.8
"""How sure a value is that a check character put right."""

_LONGEST = 300
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Value:
    """One value within a text.

    Args:
        text: As written.
        normalized: In one form.
        start: Where it begins in the text.
        end: Where it ends.
        sure: 1, or less where it was put right or is one of two readings.
    """

    text: str
    normalized: str
    start: int
    end: int
    sure: float = 1.0


def values_in(text: str, kind: ValueType) -> list[Value]:
    """All values of a type within a text, the likeliest first.

    Args:
        text: As read; longer than 300 characters is cut.
        kind: The type.

    Returns:
        The values; none where the text has none.
    """
    return list(_FINDERS[kind](text[:_LONGEST]))


def normalize(text: str, kind: ValueType) -> str | None:
    """A value in its one form.

    Args:
        text: The value and nothing else, as written.
        kind: Its type.

    Returns:
        The form; None where the text is no such value.
    """
    found = values_in(text, kind)
    return found[0].normalized if found else None


def is_cash(value: Decimal) -> str:
    """An amount of money as a plain decimal, with two decimals unless it has more."""
    cents = value.quantize(_CENT)
    return f"{cents:f}" if cents == value else f"{value:f}"


# Forms of characters that the reader takes for each other; mainland documents have the second of each.
_SIMPLIFIED = str.maketrans(
    "靜強戶內黃呂吳溫別錄綠淨爭冊沒減潔奧產單號員會紅級東車門時間開關電話費廣張陳劉楊趙許鄭馮韓",
    "静强户内黄吕吴温别录绿净争册没减洁奥产单号员会红级东车门时间开关电话费广张陈刘杨赵许郑冯韩",
)


def simplified(text: str) -> str:
    """A text as a document of mainland China has it: traditional forms there are misread simplified ones."""
    return text.translate(_SIMPLIFIED)


def _tidy(text: str) -> str:
    """Text in half-width forms, without spaces between Chinese characters and with single ones elsewhere."""
    flat = " ".join(fold(text).split())
    return re.sub(r"(?<=[⺀-鿿]) (?=[⺀-鿿])", "", flat)


def _stripped(text: str) -> tuple[str, int, int]:
    """A text without what punctuation stands around it, and where it begins and ends."""
    lead = len(text) - len(text.lstrip(" \u3000:：;；,，.。、|·*-—_=>〉》)）]】"))
    core = text[lead:].rstrip(" \u3000:：;；,，、|·-—_=<〈《(（[【")
    return core, lead, lead + len(core)


def _text(text: str) -> Iterator[Value]:
    core, start, end = _stripped(text)
    if any(map(str.isalnum, core)):
        yield Value(core, _tidy(core), start, end)


def _name(text: str) -> Iterator[Value]:
    for value in _text(text):
        if sum(map(str.isalpha, value.text)) >= 2:
            yield value


def _date(text: str) -> Iterator[Value]:
    for day in find_dates(text):
        yield Value(day.text, day.value.isoformat(), day.start, day.end, 1.0 if day.other is None else 0.75)
        if day.other is not None:
            yield Value(day.text, day.other.isoformat(), day.start, day.end, 0.7)


def _time(text: str) -> Iterator[Value]:
    for written, start, end in find_times(text):
        match = re.match(r"(\d{1,2})[:：](\d\d)(?:[:：](\d\d))?\s?([ap])?", written, re.IGNORECASE)
        if match is None:
            continue
        hour = int(match[1])
        if match[4]:
            hour = hour % 12 + (12 if match[4].lower() == "p" else 0)
        yield Value(written, f"{hour:02}:{match[2]}" + (f":{match[3]}" if match[3] else ""), start, end)


# What is read instead of the sign of the yuan.
_YUAN_SIGN = re.compile(r"[半羊芈￥¥Y](?=\s?\d)")


def _amount(text: str) -> Iterator[Value]:
    flat = _YUAN_SIGN.sub("¥", text)
    amounts = find_amounts(flat)
    for amount in sorted(amounts, key=lambda one: not one.is_money):
        written = text[amount.start : amount.end].strip() or amount.text
        yield Value(
            written, is_cash(amount.value), amount.start, amount.end, 1.0 if amount.is_money else 0.85
        )
    for amount in amounts:  # a point that was not read: ¥599900
        if not amount.decimals and len(re.sub(r"\D", "", amount.text)) >= 4:
            yield Value(amount.text, is_cash(amount.value / 100), amount.start, amount.end, 0.5)


# Strokes that are misread in capitals, where only one of both can stand.
_CAPITALS_MENDED = str.maketrans(
    "園囿柴染集陷歪督零遗任件什伯拍拾员角", "圆圆柒柒叁陆整叁零壹仟仟仟佰拾拾圆角"
)


def _words(text: str) -> Iterator[Value]:
    flat = re.sub(r"\s", "", text)
    for known, sure in ((flat, 1.0), (flat.translate(_CAPITALS_MENDED), 0.8)):
        if (written := find_capitals(known)) and (value := parse_capitals(written)) is not None:
            place = text.find(written[:1])
            start = max(0, place)
            yield Value(written, is_cash(value), start, min(len(text), start + len(written)), sure)
            return


def _number(text: str) -> Iterator[Value]:
    flat = fold(text)
    for match in re.finditer(r"(?<![\d.])-?\d{1,12}(?:,\d{3}){0,4}(?:\.\d{1,6})?(?![\d])", flat):
        yield Value(text[match.start() : match.end()], match[0].replace(",", ""), match.start(), match.end())


def _percent(text: str) -> Iterator[Value]:
    flat = fold(text)
    for match in re.finditer(r"(?<![\d.])(\d{1,3}(?:\.\d{1,2})?)\s?[%％]", flat):
        share = (Decimal(match[1]) / 100).normalize()
        yield Value(text[match.start() : match.end()], f"{share:f}", match.start(), match.end())
    if free := re.search(r"免税|不征税", flat):
        yield Value(free[0], "0", free.start(), free.end())


_MISREAD_DIGITS = str.maketrans("OoQDIl|iSsBZzbG", "000011115582266")
_DIGIT_RUN = re.compile(
    r"(?<![0-9A-Za-z])[0-9OoQDIl|SsBZzbG]{2,24}(?:\s[0-9OoQDIl|SsBZzbG]{2,24}){0,5}(?![A-Za-z])"
)


def _digits(text: str) -> Iterator[Value]:
    flat = fold(text)
    for match in re.finditer(r"\d{2,24}(?:\s\d{2,24}){1,5}", flat):  # printed in groups
        yield Value(
            text[match.start() : match.end()], re.sub(r"\s", "", match[0]), match.start(), match.end()
        )
    for match in re.finditer(r"\d{2,30}", flat):
        yield Value(text[match.start() : match.end()], match[0], match.start(), match.end())
    for match in _DIGIT_RUN.finditer(flat):
        known = match[0].translate(_MISREAD_DIGITS)
        if known != match[0] and sum(map(str.isdigit, match[0])) * 2 > len(match[0]):
            plain = re.sub(r"\s", "", known)
            yield Value(text[match.start() : match.end()], plain, match.start(), match.end(), 0.75)


def _code(text: str) -> Iterator[Value]:
    flat = fold(text)
    for match in re.finditer(r"[A-Za-z0-9][A-Za-z0-9/\-_.]{0,38}[A-Za-z0-9]", flat):
        if any(map(str.isdigit, match[0])):
            yield Value(text[match.start() : match.end()], match[0], match.start(), match.end())


def _tax_id(text: str) -> Iterator[Value]:
    """Codes of 18 characters, also as one that is valid; older numbers of 15 and 20."""
    flat = fold(text).upper()
    for match in re.finditer(r"(?<![0-9A-Z])[0-9A-Z](?:\s?[0-9A-Z]){14,21}(?![0-9A-Z])", flat):
        known = re.sub(r"\s", "", match[0])
        written = text[match.start() : match.end()]
        if sum(map(str.isdigit, known)) < 8:
            continue
        if len(known) in {15, 20}:
            yield Value(written, known, match.start(), match.end())
        elif len(known) == 18:
            meant = as_meant(known)
            yield Value(written, meant, match.start(), match.end())
            if not is_valid(meant) and (mended := repaired(meant)):
                yield Value(written, mended, match.start(), match.end(), MENDED)
        else:  # a character too many or too few
            yield Value(written, known, match.start(), match.end(), 0.5)


def _phone(text: str) -> Iterator[Value]:
    flat = fold(text)
    for match in re.finditer(r"[+(]?\d[\d\s()\-/]{5,22}\d", flat):
        digits = re.sub(r"[^\d+]", "", match[0])
        if 7 <= len(digits) <= 15:
            yield Value(text[match.start() : match.end()].strip(), digits, match.start(), match.end())


def _email(text: str) -> Iterator[Value]:
    flat = fold(text)
    for match in re.finditer(
        r"[A-Za-z0-9][\w.+-]{0,63}\s?@\s?[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,4}", flat
    ):
        yield Value(
            text[match.start() : match.end()],
            re.sub(r"\s", "", match[0]).lower(),
            match.start(),
            match.end(),
        )


def _url(text: str) -> Iterator[Value]:
    flat = fold(text)
    pattern = r"(?:https?://)?(?:www\.)?(?<![@\w.])[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,4}(?:/[\w./-]{0,80})?(?![\w@])"
    for match in re.finditer(pattern, flat):
        if re.search(r"[A-Za-z]{2,}(?:/|$)", match[0]):
            yield Value(text[match.start() : match.end()], match[0].lower(), match.start(), match.end())


def _choice(text: str) -> Iterator[Value]:
    yield from _text(text)  # which of the choices it is, the field tells


_FINDERS: Mapping[ValueType, Callable[[str], Iterator[Value]]] = {
    "text": _text,
    "name": _name,
    "date": _date,
    "time": _time,
    "amount": _amount,
    "words": _words,
    "number": _number,
    "percent": _percent,
    "digits": _digits,
    "code": _code,
    "tax_id": _tax_id,
    "phone": _phone,
    "email": _email,
    "url": _url,
    "choice": _choice,
}
