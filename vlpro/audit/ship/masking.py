"""Masks numbers that name a person: identity cards, mobile phones, bank cards of China."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

__all__ = ["mask", "mask_text"]

_SHOWN = 4
_MOST = 19
_LENGTHS = frozenset({11, 13, 15, 16, 17, 18, 19})
_GROUPS = re.compile(r"(?<!\d)\d+(?:[ -]\d+)*(?:[ -]?[Xx](?![0-9A-Za-z]))?(?!\d)")
# Ids and hashes of our own hold runs of digits by chance.
_OURS = re.compile(
    r"(?<![0-9A-Za-z_])(?=[0-9a-z_]*[a-f])(?:[a-z]{1,8}_[0-9a-f]{24}|[0-9a-f]{32}|[0-9a-f]{64})(?![0-9A-Za-z_])"
)
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_FIXED = frozenset({"prev", "time", "seq", "v", "event", "outcome", "address"})


def mask(content: dict[str, Any]) -> dict[str, Any]:
    """A record's content with such numbers masked; equal to what was given where there is none."""
    return {name: value if name in _FIXED else _masked(value) for name, value in content.items()}


def mask_text(text: str) -> str:
    """A text with such numbers masked: all but their last four digits are stars.

    Digits may stand in groups, between spaces or hyphens, and may be of full width. Nothing is found in a longer run
    of digits than such a number has, nor in an id of vlpro's own.
    """
    if not any(character.isdigit() for character in text):
        return text
    pieces, end = [], 0
    for ours in _OURS.finditer(text):
        pieces += [_GROUPS.sub(_in_groups, text[end : ours.start()]), ours[0]]
        end = ours.end()
    return "".join([*pieces, _GROUPS.sub(_in_groups, text[end:])])


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, int) and not isinstance(value, bool):
        text = mask_text(str(value))
        return value if text == str(value) else text
    if isinstance(value, dict):
        return {mask_text(name): _masked(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_masked(inner) for inner in value]
    return value


def _in_groups(found: re.Match[str]) -> str:
    """Stars over each number that consecutive groups of digits make; the longest that begins with a group."""
    out = list(found[0])
    places = [i for i, character in enumerate(out) if character not in " -"]
    digits = "".join("X" if out[i] in "Xx" else str(int(out[i])) for i in places)
    begins = [i for i, place in enumerate(places) if i == 0 or places[i - 1] != place - 1 or digits[i] == "X"]
    ends = [*begins[1:], len(places)]
    group = 0
    while group < len(begins):
        begin, following = begins[group], group + 1
        for last in range(group, min(group + _MOST, len(ends))):
            end = ends[last]
            if end - begin > _MOST:
                break
            if _names_somebody(digits[begin:end]):
                following = last + 1
                for place in places[begin : end - _SHOWN]:
                    out[place] = "*"
        group = following
    return "".join(out)


def _names_somebody(digits: str) -> bool:
    if len(digits) not in _LENGTHS:
        return False
    if len(digits) == 13 and digits.startswith("86"):
        digits = digits[2:]
    return _is_mobile(digits) or _is_identity_card(digits) or _is_bank_card(digits)


def _is_mobile(digits: str) -> bool:
    return len(digits) == 11 and digits.isdigit() and digits[0] == "1" and digits[1] in "3456789"


def _is_identity_card(digits: str) -> bool:
    """GB 11643: region, date of birth, serial number, check digit (ISO 7064, MOD 11-2)."""
    if len(digits) != 18 or not digits[:17].isdigit() or digits[0] == "0":
        return False
    try:
        date(int(digits[6:10]), int(digits[10:12]), int(digits[12:14]))
    except ValueError:
        return False
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, digits, strict=False))
    return digits[17] == "10X98765432"[total % 11]


def _is_bank_card(digits: str) -> bool:
    """ISO/IEC 7812: 15 to 19 digits, the last by Luhn's formula; 0, 1, 7 and 8 begin no card of a bank's."""
    if not (15 <= len(digits) <= 19 and digits.isdigit() and digits[0] in "234569"):
        return False
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) << (place & 1)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0
