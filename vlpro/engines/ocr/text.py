"""Comparing text as a reader does: full-width or half-width, capitals or not, spaces or not."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

__all__ = ["compact", "escape_markdown", "fold", "has_cjk", "is_cjk", "words"]

_ANYWHERE = re.compile(r"[\\`*\[\]<|]|~(?=~)|&(?=#?\w{1,31};)|(?<![^\W_])_|_(?![^\W_])")
_AT_START = re.compile(
    r"(?=[-+](?:\s|$)|#{1,6}(?:\s|$)|>|=+$|-{2,}$|:::)|(?<=^)(?P<number>\d{1,9})(?=[.)](?:\s|$))"
)


@lru_cache(maxsize=4096)
def _fold_char(char: str) -> str:
    if char == "，":
        return ","
    if char == "。":
        return "."
    folded = unicodedata.normalize("NFKC", char)
    return folded if len(folded) == 1 else char


def fold(text: str) -> str:
    """Full-width forms to half-width ones, character by character: the length stays the same.

    Args:
        text: As read.

    Returns:
        Text in which position i still means position i of the original.
    """
    return text if text.isascii() else "".join(map(_fold_char, text))


def compact(text: str) -> str:
    """Letters and digits only, folded and in lower case: equal for readings that mean the same."""
    return "".join(char for char in fold(text).lower() if char.isalnum())


def is_cjk(char: str) -> bool:
    """Whether a character is a Chinese one (or Chinese punctuation, or a full-width form)."""
    return "\u2e80" <= char <= "\u9fff" or "\uf900" <= char <= "\ufaff" or "\uff00" <= char <= "\uffef"


def has_cjk(text: str) -> bool:
    """Whether any Chinese character occurs."""
    return any(map(is_cjk, text))


def words(text: str) -> list[str]:
    """Lower-case runs of Latin letters and digits, and each Chinese character by itself."""
    found: list[str] = []
    run = ""
    for char in fold(text).lower():
        if char.isalnum() and not is_cjk(char):
            run += char
            continue
        if run:
            found.append(run)
            run = ""
        if char.isalnum():
            found.append(char)
    return [*found, run] if run else found


def escape_markdown(text: str) -> str:
    """Text of a page so that Markdown shows it as it stands: never a link, a picture or a heading.

    Args:
        text: As read; line ends become spaces.

    Returns:
        Text with a backslash where Markdown (CommonMark, with GitHub's tables) would see more than the text.
    """
    flat = _ANYWHERE.sub(lambda match: "\\" + match[0], " ".join(text.splitlines()).strip())
    return (
        _AT_START.sub(lambda match: (match["number"] or "") + "\\", flat, count=1)
        if _AT_START.match(flat)
        else flat
    )
