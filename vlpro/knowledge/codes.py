"""Exact names in text, in one form: fault codes, parameters, part numbers, model names, clauses.

A vector does not tell E11 from E12; a person who asks for E11 wants no other.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["codes_in"]

_DASHES = re.compile("[\u2010-\u2015\u2212\u30fc\ufe58\ufe63\uff0d\u2043]")
# Letters and digits together, in parts: E11, F0-28, SKR-mini-E3-V2.0; or a number in parts: 6-0.
_CODE = re.compile(r"[a-z0-9]+(?:[-_.][a-z0-9]+)*")
_SPACED = re.compile(
    r"(?<![A-Za-z0-9])(?!A |I )([A-Z]{1,3}) (\d{1,4})(?![A-Za-z0-9])"
)  # E 11, AL 07; not "at 10"
_MEASURE = re.compile(r"\d+(?:\.\d+)?[a-z]{1,4}")  # 24V, 115200bps
# What is read from pictures takes 0 for O, and 1 for l; no code has both forms.
_ZERO = re.compile(r"(?<=\d)o|(?<=^[a-z])o(?=[-_]?\d)")
_ONE = re.compile(r"(?<=\d)[il](?=\d|$)")
_MOST = 64
_LONGEST = 40


def codes_in(text: str) -> frozenset[str]:
    """The codes that a text names.

    Args:
        text: As written; full-width letters, other dashes and case make no difference.

    Returns:
        In lower case, without dashes, underscores and spaces between their parts; with those of its parts that are
        codes themselves.
    """
    written = _DASHES.sub("-", unicodedata.normalize("NFKC", text))
    plain = written.lower()
    found: dict[str, None] = {}
    for match in _CODE.finditer(plain):
        whole = match[0]
        if len(whole) > _LONGEST:
            continue
        if _is_code(whole):
            found[_one_form(whole)] = None
        for part in re.split(r"[-_]", whole):
            if part != whole and _is_code(part):
                found[_one_form(part)] = None
        if len(found) > _MOST:
            break
    for match in _SPACED.finditer(written):
        found[(match[1] + match[2]).lower()] = None
    return frozenset(list(found)[:_MOST])


def _is_code(word: str) -> bool:
    """Letters and digits, or a number in parts by dashes: neither a word nor a plain number, nor a measure."""
    if _MEASURE.fullmatch(word):
        return False
    digits = any(c.isdigit() for c in word)
    letters = any(c.isalpha() for c in word)
    return digits and (letters or "-" in word) and len(word) > 1


def _one_form(code: str) -> str:
    return re.sub(r"[-_]", "", _ONE.sub("1", _ZERO.sub("0", code)))
