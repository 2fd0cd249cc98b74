"""Numbers that name a person, by their own rules: check digits, dates, areas, issuers' prefixes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from functools import lru_cache

from vlpro.masking.labels import Label

__all__ = ["IDENTITY", "LEAST", "MOST", "MOST_GROUPS", "PREFIX", "lengths", "shown"]

LEAST, MOST = 10, 19
"""How many digits such a number has; a telephone's extension counts."""

IDENTITY = 18
"""How many an identity number has, its check digit (which may be X) among them."""

PREFIX = 8
"""So many digits tell how many there may be."""

MOST_GROUPS = 6
"""In more groups than these a number stands only where each digit stands alone."""

_PROVINCES = frozenset(
    map(
        str,
        [
            *range(11, 16),
            *range(21, 24),
            *range(31, 38),
            *range(41, 47),
            *range(50, 55),
            *range(61, 66),
            71,
            81,
            82,
            83,
        ],
    )
)  # GB/T 2260; 83: residence permits of people from Taiwan
_FOREIGNERS = "9"  # GA/T 2176: identity cards of foreign permanent residents
_CENTURIES = ("18", "19", "20")
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)

_EXTENSION = 5

# Prefixes of card issuers (ISO/IEC 7812), each with the lengths that its cards have. Mastercard's second range (2221
# to 2720) is left to the label "card": numbers that begin with a date of the twenties look the same.
_16_TO_19, _16 = frozenset({16, 17, 18, 19}), frozenset({16})
_ISSUERS: tuple[tuple[tuple[str, ...], frozenset[int]], ...] = (
    (("62",), _16_TO_19),  # UnionPay
    (("4",), frozenset({16, 19})),  # Visa
    (("51", "52", "53", "54", "55"), _16),  # Mastercard
    (("34", "37"), frozenset({15})),  # American Express
    (tuple(str(prefix) for prefix in range(3528, 3590)), _16_TO_19),  # JCB
    (("300", "301", "302", "303", "304", "305", "36", "38", "39"), frozenset({14, 16})),  # Diners Club
    (("6011", "644", "645", "646", "647", "648", "649", "65"), _16_TO_19),  # Discover
    (
        ("5018", "5020", "5038", "5893", "6304", "6759", "6761", "6762", "6763"),
        frozenset(range(12, 20)),
    ),  # Maestro
    (("9555", "9558", "9559", "6013"), frozenset({16, 17, 18, 19})),  # debit cards of China before UnionPay
)


@lru_cache(65_536)
def lengths(prefix: str, label: Label, *, alone: bool) -> tuple[int, ...]:
    """How many digits a number of a person may have that begins with these: the most first.

    Args:
        prefix: Its first digits, ASCII, :data:`PREFIX` of them or all that are there yet.
        label: What stands before.
        alone: Whether the first digit is a group of its own.
    """
    if label is Label.PLACE:
        return ()
    found: set[int] = set()
    if prefix[0] == _FOREIGNERS or _begins(prefix, _PROVINCES):
        found |= {15} if label is not Label.OTHER else set()
        found |= {IDENTITY} if _begins(prefix[6:8], _CENTURIES) else set()
    if label is Label.OTHER:
        return tuple(sorted(found, reverse=True))
    found |= _of_cards(prefix[:4])
    if label is Label.CARD:
        found |= set(range(12, MOST + 1))
    if prefix[0] == "1" and prefix[1:2] not in {"0", "1", "2"}:
        found.add(11)
    if prefix[0] == "0" and not alone:
        found |= set(range(LEAST, 12 + _EXTENSION + 1))
    if _begins(prefix, ("86", "0086")) and not alone:
        found |= set(range(LEAST, MOST + 1))
    return tuple(sorted(found, reverse=True))


@lru_cache(65_536)
def _of_cards(prefix: str) -> frozenset[int]:
    """How many digits cards have that begin with these, of which there may be fewer than four yet."""
    return frozenset().union(*(some for prefixes, some in _ISSUERS if _begins(prefix, prefixes)))


def shown(digits: str, sizes: Sequence[int], label: Label) -> tuple[int, int] | None:
    """How many digits stay at the beginning and at the end of a number of a person.

    Args:
        digits: ASCII; ``X`` may be the last one.
        sizes: Of the groups that they stand in: :data:`MOST_GROUPS` at most, or one for each digit.
        label: What stands before.

    Returns:
        None: it names nobody.
    """
    if label is Label.PLACE:
        return None
    if _is_identity(digits):
        return 6, 4
    if label is Label.OTHER:
        return None
    return _telephone(digits, sizes, label) or _card(digits, label)


def _one_by_one(sizes: Sequence[int]) -> bool:
    return max(sizes) == 1


def _begins(digits: str, prefixes: Iterable[str]) -> bool:
    """Whether digits, of which there may be too few yet, begin with one of some prefixes."""
    return any(digits.startswith(p) or p.startswith(digits) for p in prefixes)


def _is_identity(digits: str) -> bool:
    """GB 11643-1999: region, date of birth, serial number, check digit (ISO 7064, MOD 11-2)."""
    if len(digits) != 18 or not (digits[0] == _FOREIGNERS or digits[:2] in _PROVINCES):
        return False
    if digits[6:8] not in _CENTURIES or not _is_date(digits[6:14]):
        return False
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, digits, strict=False))
    return digits[17] == "10X98765432"[total % 11]


def _is_old_identity(digits: str) -> bool:
    """15 digits until 1999: region, date of birth without its century, serial number."""
    return len(digits) == 15 and digits[:2] in _PROVINCES and _is_date("19" + digits[6:12])


def _is_date(digits: str) -> bool:
    if not ("01" <= digits[4:6] <= "12" and "01" <= digits[6:8] <= "31"):  # raising is dear
        return False
    try:
        date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return False
    return True


def _telephone(digits: str, sizes: Sequence[int], label: Label) -> tuple[int, int] | None:
    country = 4 if digits.startswith("0086") else 2 if digits.startswith("86") else 0
    if country:
        sizes = _without(sizes, country)
        digits = digits[country:]
    found = _mobile(digits, sizes, label) or _landline(digits, sizes, label)
    if found is None and country:
        found = _landline("0" + digits, [sizes[0] + 1, *sizes[1:]], label) if sizes else None
        country -= 1
    return (found[0] + country, found[1]) if found is not None else None


def _without(sizes: Sequence[int], first: int) -> list[int]:
    """Sizes of the groups behind the first digits."""
    left = list(sizes)
    while left and first:
        taken = min(left[0], first)
        first -= taken
        left[0] -= taken
        if not left[0]:
            del left[0]
    return left


def _mobile(digits: str, sizes: Sequence[int], label: Label) -> tuple[int, int] | None:
    if len(digits) != 11 or digits[0] != "1" or digits[1] not in "3456789":
        return None
    usual = list(sizes) in ([11], [3, 4, 4]) or _one_by_one(sizes)
    return (3, 4) if usual or label is Label.PHONE else None


def _landline(digits: str, sizes: Sequence[int], label: Label) -> tuple[int, int] | None:
    """Area code, subscriber's number, maybe an extension, each in a group of its own."""
    if len(digits) < LEAST or digits[0] != "0" or (digits[1] in "01" and digits[:3] != "010"):
        return None
    area = 3 if digits[1] in "12" else 4
    left = list(sizes)
    if label is Label.PHONE and left[0] >= area + 7:
        left = [area, left[0] - area, *left[1:]]
    if len(left) < 2 or left.pop(0) != area:
        return None
    number = left.pop(0)
    if number in (3, 4) and left and left[0] == 4:
        number += left.pop(0)
    usual = number in ((8,) if area == 3 else (7, 8)) and digits[area] in "2345678"
    dated = label is not Label.PHONE and _is_recent(digits[area : area + number])
    extended = len(left) <= 1 and sum(left) <= _EXTENSION
    return (area, 4 + sum(left)) if usual and extended and not dated else None


def _is_recent(digits: str) -> bool:
    """Whether it is a date of these years: 20241127."""
    return len(digits) == 8 and digits.startswith("20") and _is_date(digits)


def _card(digits: str, label: Label) -> tuple[int, int] | None:
    issued = len(digits) >= 12 and (label is Label.CARD or len(digits) in _of_cards(digits[:4]))
    if issued and digits.isdigit() and _luhn(digits):
        return 6, 4
    return (6, 3) if _is_old_identity(digits) else None


_DOUBLED = str.maketrans("0123456789", "0246813579")


def _luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    total = sum(map(int, digits[::-2])) + sum(map(int, digits[-2::-2].translate(_DOUBLED)))
    return total % 10 == 0 and digits.strip("0") != ""
