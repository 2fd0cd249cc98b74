"""A whole answer: the places in it, and what is left for a person to read."""

from __future__ import annotations

from collections.abc import Sequence

from vlpro.chat.grounding import json_places, markup
from vlpro.chat.grounding.place import Mark, Place

__all__ = ["MAX_PLACES", "places", "without_places"]

MAX_PLACES = 500


def places(answer: str, sizes: Sequence[tuple[int, int]]) -> tuple[Place, ...]:
    """All boxes and points that an answer names.

    Args:
        answer: As the engine wrote it; of one that was cut off, what is complete counts.
        sizes: Width and height, pixels, of each original picture of the conversation, oldest first.

    Returns:
        In the answer's order, at most :data:`MAX_PLACES`; what is malformed or lies in no picture is left out.
    """
    if not sizes:
        return ()
    known = list(sizes)
    found = (told.place(known) for mark in _marks(answer) for told in mark.told)
    return tuple(place for place in found if place is not None)[:MAX_PLACES]


def without_places(answer: str) -> str:
    """The answer as a person reads it: what tells places is left out, also what is still being written."""
    kept, at = [], 0
    for mark in _marks(answer):
        kept.append(answer[at : mark.start])
        at = mark.end
    return "".join([*kept, answer[at:]]).rstrip()


def _marks(answer: str) -> list[Mark]:
    """What tells places, in order.

    None at all where one of them lies far outside the picture: then the answer measures in pixels, of whatever size
    the model had in mind, and even a box that would fit is wrong.
    """
    found = sorted([*json_places.marks(answer), *markup.marks(answer)], key=lambda mark: mark.start)
    if any(told.beyond for mark in found for told in mark.told):
        return []
    apart: list[Mark] = []
    for mark in found:
        if not apart or mark.end > apart[-1].end:  # what stands inside another one is text of it
            apart.append(mark)
    return apart
