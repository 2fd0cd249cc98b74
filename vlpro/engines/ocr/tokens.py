"""Length of a text in this engine's own count: it has no tokenizer, so it counts by a simple rule.

A Chinese character is one token, so is each started group of four Latin letters or digits, and each other
visible character or line end. For the texts that this engine writes that is an upper estimate of what
Qwen's tokenizer would count.
"""

from __future__ import annotations

import re

__all__ = ["count", "cut"]

_PIECE = re.compile(r"[A-Za-z0-9]{1,4}|\n|[^\sA-Za-z0-9]")


def count(text: str) -> int:
    """Number of tokens in a text."""
    return sum(1 for _ in _PIECE.finditer(text))


def cut(text: str, tokens: int) -> tuple[str, bool]:
    """The longest beginning of a text that has at most so many tokens.

    Args:
        text: The text.
        tokens: The most tokens, at least 0.

    Returns:
        The beginning, and whether something was cut off.
    """
    for index, match in enumerate(_PIECE.finditer(text)):
        if index == tokens:
            return text[: match.start()].rstrip(" "), True
    return text, False
