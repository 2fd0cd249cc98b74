"""Places told as JSON: in a fenced block or between sentences, cut off, or not quite JSON.

Besides ``label`` and ``text_content`` (the model's own), the embedded engine gives ``confidence`` and, where the
conversation has several pictures, ``image`` (from 1).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise

from vlpro.chat.grounding.place import Mark, Told, coordinates

__all__ = ["marks"]

# A fence stands at the beginning of a line; the newlines before it go with it. The lookbehind keeps the search
# linear where an answer has many newlines.
_BEFORE = r"(?:(?<!\n)\n+|\A)"
_FENCE = re.compile(_BEFORE + r"```(?P<language>[^\n`]*)\n(?P<body>.*?)(?:(?P<end>```)[ \t]*|\Z)", re.DOTALL)
_OPENING = re.compile(_BEFORE + r"(?:`{1,2}|```(?:j(?:s(?:on?)?)?)?[ \t]*)\Z")

_COUNTS = {"bbox_2d": 4, "point_2d": 2}  # how many numbers
_BEGINNINGS = ('"bbox_2d"', '"point_2d"', '"label"', '"text_content"')  # of an object of the convention

_BRACKET = re.compile(r"[\[{]")
# Commas may be missing or too many, names and texts may have other quotes or none: models write all of that.
_TOKEN = re.compile(
    r"""[\s,]*+(?:
        (?P<mark>[\[\]{}:])
      | (?P<text>"(?:[^"\\]|\\.)*+"|'(?:[^'\\\n]|\\.)*+')
      | (?P<number>[-+]?(?:\d++\.?\d*+|\.\d++)(?:[eE][-+]?\d++)?+)(?!\w)
      | (?P<word>true|false|null|True|False|None|NaN|[-+]?Infinity)(?!\w)
      | (?P<name>[A-Za-z_]\w*+)(?=\s*:)
    )""",
    re.VERBOSE | re.DOTALL,
)
_END = re.compile(
    r"""[\s,]*+(?:\Z|"|'[^\n]*\Z)"""
)  # where no token is: the text has ended, maybe inside a string
_OPENED_BY = {"]": "[", "}": "{"}
_COLON = object()
_WORDS = {"true": True, "True": True, "false": False, "False": False}


_Objects = list[dict[str, object]]


def marks(answer: str) -> Iterator[Mark]:
    """The parts of an answer that are such JSON, in order; the last one may still be being written."""
    at = 0
    for fence in _FENCE.finditer(answer):
        yield from _between(answer, at, fence.start())
        if (mark := _block(fence)) is not None:
            yield mark
        at = fence.end()
    opening = _OPENING.search(answer, at)
    yield from _between(answer, at, opening.start() if opening else len(answer))
    if opening:
        yield Mark(opening.start(), len(answer))


def _block(fence: re.Match[str]) -> Mark | None:
    """A fenced block, if it is of JSON and tells places, or may yet turn out to."""
    body, closed = fence["body"], fence["end"] is not None
    if fence["language"].strip().lower() not in ("", "json") or body.lstrip()[:1] not in ("", "[", "{"):
        return None
    told = [
        place
        for _, _, objects, _ in _values(body, 0, len(body))
        for entry in objects
        for place in _told(entry)
    ]
    if told or (not closed and _may_tell(body, so_far=True)):
        return Mark(fence.start(), fence.end(), tuple(told))
    return None


def _between(answer: str, start: int, stop: int) -> Iterator[Mark]:
    """JSON between sentences; the space before it goes with it, or the comma after the one before."""
    last = start
    for begin, end, objects, cut in _values(answer, start, stop):
        told = tuple(place for entry in objects for place in _told(entry))
        if told or (cut and stop == len(answer) and _may_tell(answer[begin:], so_far=False)):
            before = answer[last:begin]
            last += len(before.rstrip()) if before.strip(" \t\r\n,") else 0
            yield Mark(last, stop if cut else end, told)
            last = stop if cut else end


def _may_tell(written: str, *, so_far: bool) -> bool:
    """Whether JSON that is still being written may tell places; ``so_far`` where there are only brackets of it."""
    begun = written.lstrip("[{ \r\n\t").replace("'", '"')
    if not begun:
        return so_far
    return any(f'"{key}"' in begun for key in _COUNTS) or any(
        key.startswith(begun[: len(key)]) for key in _BEGINNINGS
    )


def _values(text: str, start: int, stop: int) -> Iterator[tuple[int, int, _Objects, bool]]:
    """All that may be JSON: where it begins and ends, its objects, and whether it was cut off by ``stop``."""
    bracket = _BRACKET.search(text, start, stop)
    if bracket and (valid := _valid(text[bracket.start() : stop])) is not None:
        yield bracket.start(), stop, valid, False
        return
    while bracket:
        objects, end, cut = _objects(text, bracket.start(), stop)
        yield bracket.start(), end, objects, cut
        bracket = _BRACKET.search(text, end, stop)


def _valid(text: str) -> _Objects | None:
    """All objects of a text that is one JSON value and no more; much faster than :func:`_objects`."""
    objects: _Objects = []

    def note(entry: dict[str, object]) -> dict[str, object]:
        objects.append(entry)
        return entry

    try:
        json.loads(text, object_hook=note, parse_int=float)
    except (ValueError, RecursionError):
        return None
    return objects


def _objects(text: str, start: int, stop: int) -> tuple[_Objects, int, bool]:
    """All objects of a JSON value, the inner ones too, and before the outer; as far as they are complete.

    Args:
        text: Holds it.
        start: Its first bracket.
        stop: Where to end at the latest.

    Returns:
        The objects, where the value or what can be read of it ends, and whether it was cut off by ``stop``.
    """
    objects: _Objects = []
    outer: list[list[object]] = []
    inner: list[object] = []  # what stands in the innermost open bracket, which it begins with
    at = start
    while token := _TOKEN.match(text, at, stop):
        kind = token.lastgroup or ""
        written = token[kind]
        if kind == "mark" and written in "[{":
            outer.append(inner)
            inner = [written]
        elif kind == "mark" and written in "]}":
            if inner[0] != _OPENED_BY[written]:
                return objects, at, False
            value: object = inner[1:]
            if written == "}":
                value = _object(inner)
                objects.append(value)
            inner = outer.pop()
            inner.append(value)
            if not outer:
                return objects, token.end(), False
        else:
            inner.append(_COLON if kind == "mark" else _value(kind, written))
        at = token.end()
    return objects, at, _END.match(text, at, stop) is not None


def _object(items: list[object]) -> dict[str, object]:
    return {
        name: items[place + 1]
        for place, (name, colon) in enumerate(pairwise(items), 1)
        if colon is _COLON and isinstance(name, str) and place + 1 < len(items)
    }


def _value(kind: str, written: str) -> object:
    if kind == "number":
        return float(written)
    if kind == "text":
        return _text(written)
    return _WORDS.get(written) if kind == "word" else written


def _text(written: str) -> str:
    """A string without its quotes and escapes."""
    inner = written[1:-1]
    if "\\" not in inner:
        return inner
    if written[0] == "'":
        inner = inner.replace("\\'", "'").replace('"', '\\"')
    try:
        text: str = json.loads(f'"{inner}"', strict=False)
    except ValueError:
        return inner
    return text


def _told(entry: dict[str, object]) -> Iterator[Told]:
    """The places of one object: a box, a point, or several of them."""
    image, confidence = entry.get("image"), entry.get("confidence")
    if image is not None and not isinstance(image, float):
        return
    for name, count in _COUNTS.items():
        for values in _lists(entry.get(name)):
            numbers = coordinates(values)
            if len(numbers) == count:
                yield Told(
                    numbers,
                    image=image,
                    label=_readable(entry.get("label")),
                    text=_readable(entry.get("text_content")),
                    confidence=confidence if isinstance(confidence, float) and 0 <= confidence <= 1 else None,
                )


def _readable(value: object) -> str:
    """A text; halves of characters, which JSON's escapes allow and UTF-8 does not, are replaced."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _lists(value: object) -> list[list[object]]:
    """Coordinates as lists: of one place, of several, or of one in a string."""
    if isinstance(value, str):
        return [list(value.strip("[]() ").replace(",", " ").split())]
    if not isinstance(value, list):
        return []
    return value if value and all(isinstance(part, list) for part in value) else [value]
