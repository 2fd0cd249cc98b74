"""Reads boxes out of an answer, in the convention of Qwen3-VL, and gives them in pixels of the original.

The convention (Qwen3-VL cookbook, 2d_grounding): a JSON list, usually in a fenced block, of objects with
``bbox_2d: [x1, y1, x2, y2]``, each 0 to 1000 of the picture's width or height. Besides ``label`` and
``text_content`` (the model's own), the embedded engine gives ``confidence`` and, where the conversation has
several pictures, ``image`` (from 1). An answer that was cut off keeps the boxes that are complete.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Place", "places", "without_places"]

# A fence stands at the beginning of a line; the newlines before it go with it. The lookbehind keeps the search
# linear where an answer has many newlines.
_BEFORE = r"(?:(?<!\n)\n+|\A)"
_FENCE = re.compile(
    _BEFORE + r"```(?:json)?[ \t]*\n(?P<body>\s*[\[{].*?)(?:(?P<end>```)[ \t]*|\Z)", re.DOTALL
)
_OPENING = re.compile(_BEFORE + r"(?:`{1,2}|```(?:j(?:s(?:on?)?)?)?[ \t]*(?:\n\s*)?)\Z")
_FENCES = re.compile(r"^```", re.MULTILINE)
_KEYS = ('"bbox_2d"', '"label"', '"text_content"')  # with which an object of the convention may begin
_DECODER = json.JSONDecoder()
MAX_PLACES = 500


@dataclass(frozen=True, slots=True)
class Place:
    """A box in a picture.

    Args:
        image: Which picture of the conversation, from 1.
        box: ``(x1, y1, x2, y2)`` in pixels of the upright original.
        label: What it is.
        text: What is written there.
        confidence: 0 to 1, None where the engine does not say.
    """

    image: int
    box: tuple[float, float, float, float]
    label: str = ""
    text: str = ""
    confidence: float | None = None


def places(answer: str, sizes: Sequence[tuple[int, int]]) -> tuple[Place, ...]:
    """All boxes that an answer names.

    Args:
        answer: As the engine wrote it.
        sizes: Width and height, pixels, of each original picture of the conversation, oldest first.

    Returns:
        In the answer's order, at most :data:`MAX_PLACES`; what is malformed or lies in no picture is left out.
    """
    if not sizes:
        return ()
    bodies = [match["body"] for match in _FENCE.finditer(answer)]
    if not bodies and answer.lstrip().startswith(("[", "{")):
        bodies = [answer.strip()]
    found = (_place(entry, sizes) for body in bodies for entry in _objects(body))
    return tuple(place for place in found if place is not None)[:MAX_PLACES]


def without_places(answer: str) -> str:
    """The answer as a person reads it: blocks that hold boxes left out, also one that is still being written."""

    def keep(match: re.Match[str]) -> str:
        return "" if _holds_places(match["body"], closed=match["end"] is not None) else match[0]

    opening = _OPENING.search(answer)
    if opening and len(_FENCES.findall(answer, 0, opening.start())) % 2 == 0:  # otherwise it closes a block
        answer = answer[: opening.start()]
    return _FENCE.sub(keep, answer).rstrip()


def _holds_places(body: str, *, closed: bool) -> bool:
    """Whether a block holds boxes, or may yet turn out to."""
    if '"bbox_2d"' in body or closed:
        return '"bbox_2d"' in body
    begun = body.lstrip("[{ \r\n\t")
    return any(key.startswith(begun[: len(key)]) for key in _KEYS)


def _objects(body: str) -> list[dict[str, object]]:
    """The complete objects of a list that may be cut off."""
    try:
        whole = _DECODER.decode(body)
    except (ValueError, RecursionError):
        whole = None
    if isinstance(whole, dict):
        return [whole]
    if isinstance(whole, list):
        return [entry for entry in whole if isinstance(entry, dict)]
    objects: list[dict[str, object]] = []
    position = body.find("{")
    while position >= 0 and len(objects) < MAX_PLACES:
        try:
            entry, end = _DECODER.raw_decode(body, position)
        except (ValueError, RecursionError):
            break
        objects.append(entry)
        position = body.find("{", end)
    return objects


def _place(entry: dict[str, object], sizes: Sequence[tuple[int, int]]) -> Place | None:
    box, image = entry.get("bbox_2d"), entry.get("image", len(sizes))
    if not (isinstance(image, int) and not isinstance(image, bool) and 1 <= image <= len(sizes)):
        return None
    if not (isinstance(box, list) and len(box) == 4 and all(_is_number(v) for v in box)):
        return None
    x1, y1, x2, y2 = (float(min(max(v, 0), 1000)) for v in box)
    if x1 > x2 or y1 > y2:
        return None
    width, height = sizes[image - 1]
    confidence = entry.get("confidence")
    return Place(
        image=image,
        box=(x1 * width / 1000, y1 * height / 1000, x2 * width / 1000, y2 * height / 1000),
        label=_text(entry.get("label")),
        text=_text(entry.get("text_content")),
        confidence=(
            float(confidence) if isinstance(confidence, int | float) and 0 <= confidence <= 1 else None
        ),
    )


def _is_number(value: object) -> bool:
    """Whether it is a finite number; integers may be of any length."""
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


def _text(value: object) -> str:
    """The text; halves of characters, which JSON's escapes allow and UTF-8 does not, are replaced."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""
