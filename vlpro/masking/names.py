"""Given names, masked exactly as they are written."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["NameMasker"]


class NameMasker:
    """Masks given names in a text that comes in pieces: all of a name but its first character.

    Args:
        names: The longest one wins. One that begins or ends with a letter or digit of ASCII is found as a word only.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._lengths: dict[str, list[int]] = {}
        self._names = frozenset(name for name in names if len(name) > 1)
        for name in sorted(self._names, key=len, reverse=True):
            found = self._lengths.setdefault(name[0], [])
            if len(name) not in found:
                found.append(len(name))
        self._begins = frozenset(name[:size] for name in self._names for size in range(1, len(name) + 1))
        self._longest = max(map(len, self._names), default=0)
        first = "".join(map(re.escape, self._lengths))
        self._first = re.compile(f"[{first}]") if first else None
        self._before = ""
        self._held = ""

    def feed(self, text: str) -> str:
        """Take the next piece; returns what is safe to pass on, which may be nothing."""
        return self._fed(text, whole=False) if self._first is not None else text

    def rest(self) -> str:
        """What was held back, at the end of the text."""
        return self._fed("", whole=True) if self._first is not None else ""

    def skip(self, text: str) -> None:
        """Take note of text that goes its own way. Only after :meth:`rest`."""
        self._before = (self._before + text)[-1:]

    def _fed(self, text: str, *, whole: bool) -> str:
        held = self._held + text
        out: list[str] = []
        at = done = 0
        until = len(held)
        while self._first is not None and (first := self._first.search(held, at)):
            at = first.start()
            if not whole and len(held) - at <= self._longest and held[at:] in self._begins:
                until = at  # a name may go on, or a word
                break
            length = self._length(held, at)
            if length:
                out += [held[done : at + 1], "*" * (length - 1)]
                done = at + length
            at += length or 1
        out.append(held[done:until])
        self._before = (self._before + held[:until])[-1:]
        self._held = held[until:]
        return "".join(out)

    def _length(self, text: str, at: int) -> int:
        """Of the name that begins here; 0: none does."""
        before = text[at - 1] if at else self._before
        for length in self._lengths[text[at]]:
            name = text[at : at + length]
            after = text[at + length : at + length + 1]
            whole = not (_is_word(before, name[0]) or _is_word(name[-1], after))
            if len(name) == length and name in self._names and whole:
                return length
        return 0


def _is_word(one: str, next_one: str) -> bool:
    """Whether two characters, or fewer, are in one word of ASCII."""
    both = one + next_one
    return len(both) == 2 and both.isascii() and both.isalnum()
