"""Dates and times as receipts, invoices and letters print them."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from vlpro.engines.ocr.text import fold

__all__ = ["Day", "find_dates", "find_times"]

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
# Months in Spanish, French, German, Italian, Portuguese, Dutch, Malay and Indonesian, short and long.
_OTHER_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "ene enero janv janvier jän jänner januar janeiro gen gennaio januari",
            "febrero févr fevr fév février fevrier februar febbraio fev fevereiro februari",
            "marzo mars märz maerz mrz março marco maart mrt mac maret",
            "abr abril avr avril aprile",
            "mayo mai mag maggio maio mei",
            "junio juin juni giu giugno junho",
            "julio juil juillet juli lug luglio julho julai",
            "ago agosto août aout augustus ogos agu agt agustus",
            "set septiembre setiembre septembre settembre setembro",
            "okt oktober octubre octobre ott ottobre out outubro",
            "noviembre novembre novembro",
            "dic diciembre déc décembre decembre dez dezember dezembro dicembre des desember dis disember",
        ),
        1,
    )
    for name in names.split()
}
_OTHER_MONTH = rf"(?P<month>{'|'.join(sorted(_OTHER_MONTHS, key=len, reverse=True))})"
_GLUED = r"(?=\D|$|[0-2]?\d[:：])"  # a time may follow without a space
_LONG_YEAR = r"(?P<y>(?:19|20)\d{2})"
_YEAR = r"(?P<y>(?:19|20)\d{2}|\d{2}(?!:\d\d))"
_DAY = r"(?P<d>\d{1,2})(?:st|nd|rd|th)?"
_SIGN = r"\s?[-/.,~]\s?"
# What the space before was not read of: FriMar05, 2:07PMMar05, 14:0705/03/2018.
_WORD = r"(?:(?<![a-z])|(?<=mon|tue|wed|thu|fri|sat|sun|day)|(?<=\d[ap]m))"
_FIGURE = r"(?:(?<!\d)|(?<=:\d\d))"
_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"{_FIGURE}{_LONG_YEAR}\s?[-/.年]\s?(?P<m>\d{{1,2}})\s?[-/.月]\s?(?P<d>\d{{2}}|\d)\s?日?{_GLUED}",
        rf"{_FIGURE}(?P<a>\d{{1,2}}){_SIGN}(?P<b>\d{{1,2}}){_SIGN}{_LONG_YEAR}{_GLUED}",
        (
            r"(?:(?<![\d./-])|(?<=:\d\d))(?P<a>\d{1,2})(?:[-/.~]|/\s)(?P<b>\d{1,2})(?:[-/.~]'?|/\s)(?P<y>\d{2})"
            r"(?:(?![\d/-]|[.,]\d)|(?=[0-2]?\d:[0-5]\d))"
        ),
        # Tue Mar 06 15:32:11 2018
        rf"{_WORD}{_MONTH}\s{{0,2}}(?P<d>\d{{1,2}})\s?\d\d:\d\d(?::\d\d)?\s?(?:[a-z]{{3,4}}\s)?{_LONG_YEAR}(?!\d)",
        rf"{_FIGURE}{_DAY}(?:\sof)?[\s\-/.,']{{0,2}}{_MONTH}[\s\-/.,']{{0,3}}{_YEAR}{_GLUED}",
        rf"{_WORD}{_MONTH}[\s.\-/]{{0,2}}{_DAY}[\s,.'\-/]{{1,3}}{_YEAR}{_GLUED}",
        rf"{_WORD}{_MONTH}[\s.]?(?P<d>\d{{1,2}}),?(?P<y>20\d{{2}}){_GLUED}",
        # Jul19'14 12:36PM, as tills of restaurants print it; the apostrophe is often misread, or not read.
        rf"{_WORD}{_MONTH}(?P<d>\d{{2}})['’`:.1]??(?P<y>\d{{2}})(?=\s{{0,2}}\d{{1,2}}:\d\d\s?[ap]m)",
        rf"{_WORD}{_MONTH}(?P<d>\d{{2}})['’`:]?(?P<y>[0-3]\d)(?=\s*$)",
        (
            rf"{_FIGURE}(?P<d>\d{{1,2}})\.?(?:\sde)?[\s\-/.]{{0,2}}{_OTHER_MONTH}\.?(?:\sde)?[\s\-/.]{{0,2}}"
            rf"{_LONG_YEAR}{_GLUED}"
        ),
        rf"(?<![\d./-])(?P<d>\d{{1,2}})[-/.]{_OTHER_MONTH}[-/.](?P<y>\d{{2}})(?![\d/-]|[.,]\d)",
    )
)
_DIGITS_ONLY = re.compile(r"(?<!\d)(\d{8})(?!\d)")
_HAN = re.compile(
    r"(?P<y>[一二三四五六七八九〇零○]{4})年(?P<m>[一二三四五六七八九十]{1,2})月(?P<d>[一二三四五六七八九十]{1,3})日"
)
_HAN_DIGITS = dict(zip("〇一二三四五六七八九", range(10), strict=True)) | {"零": 0, "○": 0}
_TIME = re.compile(
    r"(?<![\d:.])(?P<h>[01]?\d|"
    r"2[0-3])(?P<s>[:：])(?P<m>[0-5]\d)(?:[:：](?P<sec>[0-5]\d))?(?:\s?(?P<half>[ap])\.?m\b\.?)?(?!\d)",
    re.IGNORECASE,
)
# The space before a time is often not read: 2018/03/2514:22, 2026-10-0318:25:41.
_GLUED_TIME = re.compile(
    r"(?:(?<=\d{4})|(?<=[-/.]\d\d))(?P<h>[01]\d|2[0-3]):(?P<m>[0-5]\d)(?::(?P<sec>[0-5]\d))?(?!\d)"
)


@dataclass(frozen=True, slots=True)
class Day:
    """One date within a text.

    Args:
        value: The day; of an ambiguous one (``05/03/2018``) the reading with the day first.
        other: The reading with the month first, of an ambiguous one.
        text: As written.
        start: Where it begins in the text.
        end: Where it ends.
    """

    value: dt.date
    other: dt.date | None
    text: str
    start: int
    end: int


def _year(text: str) -> int:
    year = int(text)
    return year if year > 99 else year + (2000 if year < 70 else 1900)


def _day(year: int, month: int, day: int) -> dt.date | None:
    try:
        return dt.date(year, month, day) if 1950 <= year <= 2100 else None
    except ValueError:
        return None


def _month(name: str) -> int:
    return _OTHER_MONTHS.get(name) or _MONTHS.index(name[:3]) + 1


def _read(match: re.Match[str]) -> tuple[dt.date, dt.date | None] | None:
    parts = match.groupdict()
    year = _year(parts["y"])
    if parts.get("month"):
        value = _day(year, _month(parts["month"].lower()), int(parts["d"]))
        return (value, None) if value else None
    if "m" in parts:
        value = _day(year, int(parts["m"]), int(parts["d"]))
        return (value, None) if value else None
    first, second = int(parts["a"]), int(parts["b"])
    if len(parts["y"]) == 2 and year > dt.datetime.now(dt.UTC).year + 1:  # 18/05/31: no receipt is of 2031
        value = _day(_year(parts["a"].zfill(2)), second, int(parts["y"]))
        return (value, None) if value else None
    day_first, month_first = _day(year, second, first), _day(year, first, second)
    if day_first and month_first:
        return day_first, (month_first if month_first != day_first else None)
    value = day_first or month_first
    return (value, None) if value else None


def _han(text: str) -> int:
    tens, mark, ones = text.rpartition("十")
    if not mark:
        return _HAN_DIGITS[text]
    return (_HAN_DIGITS[tens] if tens else 1) * 10 + (_HAN_DIGITS[ones] if ones else 0)


# Digits that are misread within a date, and the letter l within a month: 07-03-201o, Ju119'14.
_MISREAD = re.compile(
    r"(?<=\d[-/.]\d{2}[-/.]20\d)[oOQ]|(?<=\d[-/.]\d{2}[-/.]2)[oOQ](?=\d\d)|(?<=[-/.]\d)[oO](?=[-/.]\d)"
)
_MISREAD_DAY = re.compile(r"(?<![\w./-])[\dOoIl]{1,2}([-/.])[\dOoIl]{1,2}\1(?:[12][\dOo]{3}|\d{2})(?![\w/-])")
_AS_DIGITS = str.maketrans("OoIl", "0011")
_MISREAD_MONTH = re.compile(r"(?<![a-z])(?:ju1|0ct|n0v)(?=[\s.,'\-]?\d{2})", re.IGNORECASE)


def _mended(flat: str) -> str:
    flat = _MISREAD.sub("0", flat)
    flat = _MISREAD_DAY.sub(lambda match: match[0].translate(_AS_DIGITS), flat)
    return _MISREAD_MONTH.sub(lambda match: match[0].lower().replace("1", "l").replace("0", "o"), flat)


def find_dates(text: str) -> list[Day]:
    """All dates in one line, from left to right.

    Args:
        text: One line; longer than 500 characters is cut.

    Returns:
        The dates with their places; where there is none, the first eight digits that can be one.
    """
    text = text[:500]
    flat = _mended(fold(text))
    found: list[Day] = []
    for pattern in _PATTERNS:
        for match in pattern.finditer(flat):
            if any(match.start() < day.end and day.start < match.end() for day in found):
                continue
            if read := _read(match):
                found.append(
                    Day(*read, text[match.start() : match.end()].strip(), match.start(), match.end())
                )
    for match in _HAN.finditer(flat):
        year = int("".join(str(_HAN_DIGITS[char]) for char in match["y"]))
        try:
            value = _day(year, _han(match["m"]), _han(match["d"]))
        except KeyError:
            continue
        if value:
            found.append(Day(value, None, match[0], match.start(), match.end()))
    for match in _DIGITS_ONLY.finditer(flat) if not found else ():
        digits = match[1]
        value = (
            _day(int(digits[:4]), int(digits[4:6]), int(digits[6:])) if digits[:2] in {"19", "20"} else None
        )
        value = value or _day(int(digits[4:]), int(digits[2:4]), int(digits[:2]))
        if value:
            found.append(Day(value, None, digits, match.start(), match.end()))
            break
    return sorted(found, key=lambda day: day.start)


def find_times(text: str) -> list[tuple[str, int, int]]:
    """All times of day in one line: as written, start, end."""
    flat = fold(text[:500])
    matches = [*_TIME.finditer(flat), *_GLUED_TIME.finditer(flat)]
    return [
        (text[m.start() : m.end()].strip(), m.start(), m.end())
        for m in sorted(matches, key=lambda m: m.start())
    ]
