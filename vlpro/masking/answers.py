"""Answers, masked as they come: free text, or JSON that must stay JSON."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from vlpro.masking.text import Masker, mask_text

__all__ = ["JsonMasker", "Masking"]

_HEX = re.compile("[0-9a-fA-F]{4}")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


@dataclass(frozen=True, slots=True)
class Masking:
    """Which personal data is masked: all that :func:`mask_text` finds, and these names."""

    names: tuple[str, ...] = ()

    def text(self, text: str) -> str:
        """A whole text."""
        return mask_text(text, self.names)

    def stream(self, *, json: bool) -> Masker | JsonMasker:
        """For an answer that comes in pieces; ``json``: it is JSON."""
        return JsonMasker(self.names) if json else Masker(self.names)


class JsonMasker:
    """Masks the strings of JSON that comes in pieces; numbers stay, since a star would end the JSON.

    Args:
        names: As for :func:`mask_text`.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._masker = Masker(names)
        self._inside = False
        self._escape = ""  # of which not all has come yet
        self._written: deque[tuple[str, str]] = (
            deque()
        )  # characters that are held back, and how they were written

    def feed(self, text: str) -> str:
        """Take the next piece; returns what is safe to pass on, which may be nothing."""
        out: list[str] = []
        inside: list[str] = []
        for character in text:
            if self._inside and (self._escape or character != '"'):
                inside += self._meant(character)
                continue
            if self._inside:
                out += [*self._passed(self._masker.feed("".join(inside))), *self._passed(self._masker.rest())]
                inside.clear()
            if character == '"':
                self._inside = not self._inside
            self._masker.skip(character)
            out.append(character)
        return "".join([*out, *self._passed(self._masker.feed("".join(inside)))])

    def rest(self) -> str:
        """What was held back, at the end of the answer, be it complete or not."""
        out = "".join(self._passed(self._masker.rest())) + self._escape
        self._escape = ""
        return out

    def _meant(self, character: str) -> str:
        """What a character within a string adds to its text (RFC 8259, section 7)."""
        written = self._escape + character
        if not written.startswith("\\"):
            meant = written
        elif len(written) == 1 or (written[1] == "u" and len(written) < 6):
            self._escape = written
            return ""
        elif written[1] == "u":
            digits = written[2:]
            meant = chr(int(digits, 16)) if _HEX.fullmatch(digits) else "\ufffd"
        else:
            meant = _ESCAPES.get(written[1], written[1])
        self._escape = ""
        self._written.append((meant, written))
        return meant

    def _passed(self, text: str) -> list[str]:
        """What was let through, as it was written."""
        out = []
        for character in text:
            meant, written = self._written.popleft()
            out.append(written if character == meant else character)
        return out
