"""Places told in markup: ``qwenvl html`` and ``qwenvl markdown``."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from vlpro.chat.grounding.place import Mark, Told, coordinates

__all__ = ["marks"]

# Possessive quantifiers and the lookbehinds keep these linear: no run of characters is tried twice.
_TAG = re.compile(r"<(?P<name>[A-Za-z][\w-]*+)(?P<attributes>[^<>]*+)>")
_ANY_TAG = re.compile(r"<[^<>]*+>")
_BOX = re.compile(r"""(?<!\s)\s+data-bbox\s*=\s*(?P<quote>["'])(?P<numbers>[^"'<>]*)(?P=quote)""")
_CLASS = re.compile(r"""\sclass\s*=\s*(?P<quote>["'])(?P<name>[^"'<>]*)(?P=quote)""")
_COMMENT = re.compile(r"<!--\s*(?P<name>[A-Za-z]\w*)\s*\((?P<numbers>[^()<>]*)\)\s*-->")
# Of a tag or comment without an end: what comes after the name of the element, and any comment.
_BEGUN = re.compile(r"(?<!\s)\s+data-bbox\s*=|<!-[-\s\w(),.]*\Z")


def marks(answer: str) -> Iterator[Mark]:
    """Attributes and comments that tell places, and the one at the end that is still being written."""
    yield from _attributes(answer)
    for comment in _COMMENT.finditer(answer):
        numbers = coordinates(comment["numbers"].replace(",", " ").split())
        if len(numbers) == 4:
            yield Mark(comment.start(), comment.end(), (Told(numbers, label=comment["name"]),))
    last = answer.rfind("<")
    if last > answer.rfind(">") and (begun := _BEGUN.search(answer, last)):
        yield Mark(begun.start(), len(answer))


def _attributes(answer: str) -> Iterator[Mark]:
    """The attributes of HTML elements; what is written in an element goes up to the next one with a box."""
    tags = [
        (tag, box)
        for tag in _TAG.finditer(answer)
        if (box := _BOX.search(answer, tag.end("name"), tag.end()))
    ]
    ends = [*(tag.start() for tag, _ in tags[1:]), len(answer)]
    for (tag, box), end in zip(tags, ends, strict=False):  # without tags there is still the end
        numbers = coordinates(box["numbers"].replace(",", " ").split())
        if len(numbers) == 4:
            close = answer.find(f"</{tag['name']}", tag.end(), end)
            inside = _ANY_TAG.sub(" ", answer[tag.end() : end if close < 0 else close])
            kind = _CLASS.search(tag["attributes"])
            label = kind["name"].strip() if kind else ""
            text = " ".join(html.unescape(inside).split())
            yield Mark(box.start(), box.end(), (Told(numbers, label=label or tag["name"], text=text),))
