"""Finds personal data in a text and puts stars in its place, in time that grows with the text's length only.

What becomes of a character depends on a bounded stretch of text around it. So a text may come in pieces: a piece is
held back only while it may be the beginning of something to mask, and what comes out is the same however it was cut.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from vlpro.masking.labels import LOOK_BACK, Label, is_glued, label_before, names_passport
from vlpro.masking.names import NameMasker
from vlpro.masking.numbers import IDENTITY, LEAST, MOST, MOST_GROUPS, PREFIX, lengths, shown

__all__ = ["Masker", "mask_text"]

_KEPT = 2 * LOOK_BACK  # characters before what is looked at
_LOCAL = 64  # RFC 5321, section 4.5.3.1.1
_DOMAIN_CHARS = 330
_UUID_CHARS = 36

_MAY = re.compile("[0-9@]")
_IN_LOCAL = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._%+-")
_DOMAIN = re.compile(r"(?:[A-Za-z0-9-]{1,63}+\.){1,4}[A-Za-z][A-Za-z0-9-]")
_DOMAIN_BEGUN = re.compile(r"(?:[A-Za-z0-9-]{1,63}+\.){0,4}[A-Za-z0-9-]{0,63}\Z")
_PASSPORT = re.compile(r"(?<![0-9A-Za-z])[A-Za-z]{1,2}[0-9]{7,8}(?![0-9A-Za-z])")
_UUID = re.compile(
    r"(?<![0-9A-Za-z])[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}(?![0-9A-Za-z])"
)
_GROUP = re.compile("[0-9]++")
# Where at least LEAST - 1 digits follow each other (and maybe X); nothing shorter is looked at.
_LONG = re.compile(r"(?<![0-9])[0-9](?:(?:\)[ -]{0,3}|[ -]{1,3})?[0-9]){8}")
_BETWEEN = re.compile(r"\)[ -]{0,3}|[ -]{1,3}")
_IS_PART = re.compile("[*_A-Za-z]|[.][0-9]")
_HEX = re.compile("[0-9a-fA-F-]+")
_CHECK = re.compile(r"[ -]{0,3}[Xx](?![0-9A-Za-z])")

Spans = list[tuple[int, int]]


def mask_text(text: str, names: Iterable[str] = ()) -> str:
    """A text with its personal data masked.

    Found are: identity numbers of China, telephone numbers, bank cards, e-mail addresses, passports that are called
    so, and the given names. Digits may be of full width, stand between Chinese characters, and stand in groups.

    Args:
        text: Any text.
        names: Also masked, exactly as they are written here.

    Returns:
        Of the same length; each character is the old one or ``*``.
    """
    masker = Masker(names)
    return masker.feed(text) + masker.rest()


class Masker:
    """Masks a text that comes in pieces.

    Args:
        names: As for :func:`mask_text`.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = NameMasker(names)
        self._text = ""  # what was passed on last, and what is held back
        self._plain = ""  # the same, as it is looked at
        self._at = 0  # where what is held back begins

    def feed(self, text: str) -> str:
        """Take the next piece; returns what is safe to pass on, which may be nothing."""
        return self._fed(self._names.feed(text), whole=False)

    def rest(self) -> str:
        """What was held back, at the end of the text."""
        return self._fed(self._names.rest(), whole=True)

    def skip(self, text: str) -> None:
        """Take note of text between what is masked, that goes its own way. Only after :meth:`rest`."""
        self._names.skip(text)
        self._text += text
        self._plain += _plain(text)
        self._at = len(self._text)
        self._forget()

    def _fed(self, text: str, *, whole: bool) -> str:
        self._text += text
        self._plain += _plain(text)
        spans, until = _scan(self._plain, self._at, whole=whole)
        out, at = [], self._at
        for start, end in spans:
            out += [self._text[at:start], "*" * (end - start)]
            at = end
        out.append(self._text[at:until])
        self._at = until
        self._forget()
        return "".join(out)

    def _forget(self) -> None:
        if self._at > 4 * _KEPT:
            gone = self._at - _KEPT
            self._text, self._plain, self._at = self._text[gone:], self._plain[gone:], _KEPT


@cache
def _forms() -> dict[int, str]:
    """Characters that mean a digit, a letter or a separator of ASCII."""
    forms: dict[int, str] = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
    forms |= {
        code: str(unicodedata.decimal(chr(code)))
        for code in range(0x80, 0x20000)  # behind are ideographs
        if unicodedata.decimal(chr(code), None) is not None
    }
    forms |= dict.fromkeys([0xA0, 0xAD, *range(0x2000, 0x200E), 0x202F, 0x205F, 0x2060, 0x3000, 0xFEFF], " ")
    forms |= dict.fromkeys([*range(0x2010, 0x2016), 0x2212, 0x2500, 0xFE58, 0xFE63], "-")
    return forms


def _plain(text: str) -> str:
    """A text of the same length in plain forms of digits, letters and separators."""
    return text if text.isascii() else text.translate(_forms())


def _scan(plain: str, begin: int, *, whole: bool) -> tuple[Spans, int]:
    """What is to be masked from a place on, and up to where that is certain.

    Args:
        plain: The text in plain forms.
        begin: The place.
        whole: Whether nothing follows.
    """
    known = len(plain) if whole else _known(plain, begin)
    if _MAY.search(plain, begin) is None:
        return [], known
    addresses = _addresses(plain, begin, known)
    numbers, known = _Numbers(plain, begin, known, addresses, whole=whole).found()
    others = _passports(plain, begin, known)
    return sorted(span for span in [*addresses, *numbers, *others] if span[0] < known), known


def _known(plain: str, begin: int) -> int:
    """Up to where no e-mail address may have begun that goes on in what follows."""
    known = _local(plain, begin, len(plain))
    at = plain.rfind("@", max(begin, len(plain) - _DOMAIN_CHARS))
    if at >= 0 and _DOMAIN.match(plain, at + 1) is None and _DOMAIN_BEGUN.match(plain, at + 1):
        known = min(known, _local(plain, begin, at))
    return known


def _local(plain: str, begin: int, end: int) -> int:
    """Where a local part that ends here begins."""
    start, least = end, max(begin, end - _LOCAL)
    while start > least and plain[start - 1] in _IN_LOCAL:
        start -= 1
    return start


def _addresses(plain: str, begin: int, known: int) -> Spans:
    """What is hidden of e-mail addresses: their local parts but for the first letter, or all of a single one."""
    spans: Spans = []
    at = plain.find("@", begin)
    while at >= 0:
        start = _local(plain, begin, at)
        while start < at and not plain[start].isalnum():
            start += 1
        if start < min(at, known) and _DOMAIN.match(plain, at + 1):
            spans.append((start + 1 if at - start > 1 else start, at))
        at = plain.find("@", at + 1)
    return spans


def _passports(plain: str, begin: int, known: int) -> Spans:
    """What is hidden of passports' numbers: all but the first character and the last four."""
    return [
        (found.start() + 1, found.end() - 4)
        for found in _PASSPORT.finditer(plain, begin)
        if found.end() <= known and names_passport(plain, found.start())
    ]


@dataclass(slots=True)
class _Run:
    """Groups of digits with nothing but separators between them.

    Args:
        digits: All of them.
        places: Of each digit, in the text.
        begins: Of each group, where it begins in ``digits``.
        ends: Where it ends there; and which group that is.
        is_open: Whether what follows may add to it.
    """

    digits: str
    places: list[int]
    begins: list[int]
    ends: dict[int, int]
    is_open: bool


class _Numbers:
    """Finds numbers that name a person: the longest that begins with a group of digits, from left to right."""

    def __init__(self, plain: str, begin: int, known: int, taken: Spans, *, whole: bool) -> None:
        self._plain = plain
        self._begin = begin
        self._known = known
        self._taken = taken
        self._whole = whole
        self._spans: Spans = []

    def found(self) -> tuple[Spans, int]:
        """What is to be hidden, and up to where that is certain."""
        plain, at = self._plain, self._begin
        if at and plain[at - 1].isdigit() and (rest := _GROUP.match(plain, at, self._known)):
            at = rest.end()  # of a group that is too long for anything
        begins = _LONG if self._whole else _GROUP
        while first := begins.search(plain, at, self._known):
            run = self._run(first.start())
            at = run.places[-1] + 1
            undecided = self._look_through(run)
            if undecided is not None:
                return self._spans, undecided
        return self._spans, self._known

    def _run(self, at: int) -> _Run:
        plain, known = self._plain, self._known
        parts: list[str] = []
        places: list[int] = []
        begins: list[int] = []
        ends: dict[int, int] = {}
        while group := _GROUP.match(plain, at, known):
            begins.append(len(places))
            parts.append(group[0])
            places += range(group.start(), group.end())
            ends[len(places)] = len(begins) - 1
            between = _BETWEEN.match(plain, group.end())
            at = between.end() if between else group.end()
            if not between:
                break
        after = plain[at : at + 1]
        is_open = not self._whole and at >= known and (not after or after.isdigit() or after in "Xx")
        return _Run("".join(parts), places, begins, ends, is_open)

    def _look_through(self, run: _Run) -> int | None:
        """Find what a run holds; returns where it is undecided, None: nowhere."""
        group, count = 0, len(run.begins)
        while group < count:
            begin = run.begins[group]
            there = len(run.digits) - begin
            if not run.is_open and there < LEAST - 1:
                return None
            at = run.places[begin]
            size = (run.begins[group + 1] if group + 1 < count else len(run.digits)) - begin
            following = group + 1
            if size <= MOST and (at == 0 or not is_glued(self._plain, at)):
                label = label_before(self._plain, at)
                possible = lengths(run.digits[begin : begin + PREFIX], label, alone=size == 1)
                if possible and run.is_open and possible[0] > there and self._may_grow(run, group):
                    return at
                try:
                    following = self._longest(run, group, possible, label)
                except _UndecidedError:
                    return at
            group = following
        return None

    @staticmethod
    def _may_grow(run: _Run, group: int) -> bool:
        groups = len(run.begins) - group
        return groups <= MOST_GROUPS or groups == len(run.digits) - run.begins[group]

    def _longest(self, run: _Run, group: int, possible: Sequence[int], label: Label) -> int:
        """Hide the longest number that begins with a group; returns the group behind it."""
        begin = run.begins[group]
        for length in possible:
            last = run.ends.get(begin + length)
            if last is not None:
                digits = run.digits[begin : begin + length]
                end = run.places[begin + length - 1] + 1
                edges = [*run.begins[group : last + 1], begin + length]
            elif length == IDENTITY and (last := run.ends.get(begin + length - 1)) is not None:
                check = _CHECK.match(self._plain, run.places[begin + length - 2] + 1)
                if check is None:
                    continue
                digits, end = run.digits[begin : begin + length - 1] + "X", check.end()
                edges = [*run.begins[group : last + 1], begin + length - 1, begin + length]
                if len(check[0]) == 1:
                    del edges[-2]
            else:
                continue
            if len(edges) - 1 > MOST_GROUPS and len(edges) - 1 != length:
                continue
            stays = shown(digits, [b - a for a, b in pairwise(edges)], label)
            if stays is not None and self._stands_alone(run.places[begin], end):
                hidden = run.places[begin + stays[0] : begin + length - stays[1]]
                self._spans += [(place, place + 1) for place in hidden]
                return last + 1
        return group + 1

    def _stands_alone(self, start: int, end: int) -> bool:
        """Whether a number is no part of something longer.

        Raises:
            _UndecidedError: What follows decides.
        """
        plain = self._plain
        after = plain[end : end + 2]
        if not self._whole and end + (after[:1] == ".") >= min(self._known, len(plain)):
            raise _UndecidedError
        if _IS_PART.match(after):
            return False
        if any(start < taken[1] and taken[0] < end for taken in self._taken):
            return False
        if not self._whole and len(plain) < end + _UUID_CHARS and _HEX.fullmatch(plain, end):
            raise _UndecidedError
        around = _UUID.finditer(plain, max(0, start - _UUID_CHARS), end + _UUID_CHARS)
        return not any(found.start() < end and start < found.end() for found in around)


class _UndecidedError(Exception):
    """What follows decides."""
