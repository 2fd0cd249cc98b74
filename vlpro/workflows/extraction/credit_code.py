"""The unified social credit code (统一社会信用代码, GB 32100-2015)."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["ALPHABET", "as_meant", "check_character", "is_valid", "repaired"]

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""The 31 characters of GB 32100-2015, table 3: no I, O, S, V, Z; each one's place is its value."""

_VALUES = {character: value for value, character in enumerate(ALPHABET)}
_WEIGHTS = tuple(pow(3, place, 31) for place in range(17))
_NOT_IN_USE = str.maketrans({"O": "0", "I": "1", "Z": "2", "S": "5", "V": "U"})
_DIGITS_OF_PLACE = str.maketrans("DQCLTBG", "0001786")
_LOOKS_LIKE = {
    "0": "DQC", "D": "0", "Q": "0", "C": "G0", "1": "L7TJ", "L": "1", "7": "1T", "T": "7", "2": "Z7", "5": "6",
    "6": "G58", "G": "6C", "8": "B36", "B": "8", "3": "8", "U": "W", "W": "U", "M": "NH", "N": "M", "H": "N",
    "X": "Y", "Y": "X", "4": "A", "A": "4", "9": "8", "P": "R", "R": "P", "E": "F", "F": "E", "K": "X", "J": "1",
}  # fmt: skip


def check_character(first: str) -> str:
    """The eighteenth character.

    Args:
        first: The seventeen before it.

    Raises:
        ValueError: One of them is not of the alphabet, or there are not seventeen.
    """
    if len(first) != 17 or any(character not in _VALUES for character in first):
        raise ValueError(first)
    total = sum(_VALUES[character] * weight for character, weight in zip(first, _WEIGHTS, strict=True))
    return ALPHABET[-total % 31]


def is_valid(code: str) -> bool:
    """Whether a text is a code whose digits of place and whose check character are right."""
    try:
        return len(code) == 18 and code[2:8].isdigit() and check_character(code[:17]) == code[17]
    except ValueError:
        return False


def as_meant(code: str) -> str:
    """A code as read, with the characters that are not in use (O, I, Z, S, V) as what they are misread from.

    Args:
        code: Letters and digits, in capitals.
    """
    code = code.translate(_NOT_IN_USE)
    return code[:2] + code[2:8].translate(_DIGITS_OF_PLACE) + code[8:]


def repaired(code: str) -> str | None:
    """The only valid code that differs from an invalid one in a single character which is often misread.

    Args:
        code: From :func:`as_meant`.

    Returns:
        The valid code; None where there is none, or more than one.
    """
    found = {other for other in _one_off(code) if is_valid(other)}
    return found.pop() if len(found) == 1 else None


def _one_off(code: str) -> Iterator[str]:
    for place, character in enumerate(code):
        for other in _LOOKS_LIKE.get(character, ""):
            yield code[:place] + other + code[place + 1 :]
