"""A place as an answer tells it, and as the rest of the program knows it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["SCALE", "Mark", "Place", "Told", "coordinates"]

SCALE = 1000  # what width and height count
SLACK = 20  # a model may be a little beside the picture; what is further out was measured in something else

Box = tuple[float, float, float, float]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Place:
    """A box or a point in a picture.

    Args:
        image: Which picture of the conversation, from 1.
        box: ``(x1, y1, x2, y2)`` in pixels of the upright original; None of a point.
        point: ``(x, y)``, likewise; None of a box.
        label: What it is.
        text: What is written there.
        confidence: 0 to 1, None where the engine does not say.
    """

    image: int
    box: Box | None = None
    point: Point | None = None
    label: str = ""
    text: str = ""
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """A place as it stands in an answer.

    Args:
        numbers: Four of a box, two of a point; finite, of :data:`SCALE`.
        image: Which picture of the conversation, from 1; None where the answer does not say.
        label: What it is.
        text: What is written there.
        confidence: 0 to 1, None where the engine does not say.
    """

    numbers: tuple[float, ...]
    image: float | None = None
    label: str = ""
    text: str = ""
    confidence: float | None = None

    @property
    def beyond(self) -> bool:
        """Whether it lies so far outside that it must have been measured in pixels."""
        return max(self.numbers) > SCALE + SLACK

    def place(self, sizes: list[tuple[int, int]]) -> Place | None:
        """In pixels.

        Args:
            sizes: Width and height, pixels, of each original picture of the conversation, oldest first.

        Returns:
            Inside its picture; None where there is no such picture.
        """
        image = len(sizes) if self.image is None else self.image
        if image not in range(1, len(sizes) + 1):
            return None
        width, height = sizes[int(image) - 1]
        inside = [min(max(number, 0), SCALE) / SCALE for number in self.numbers]
        across, down = (
            sorted(part * side for part in inside[start::2]) for start, side in ((0, width), (1, height))
        )
        return Place(
            image=int(image),
            box=(across[0], down[0], across[1], down[1]) if len(inside) == 4 else None,
            point=(across[0], down[0]) if len(inside) == 2 else None,
            label=self.label,
            text=self.text,
            confidence=self.confidence,
        )


@dataclass(frozen=True, slots=True)
class Mark:
    """Part of an answer that tells places and is not for reading.

    Args:
        start: Where it begins.
        end: Where it has ended.
        told: The places; none while it is being written.
    """

    start: int
    end: int
    told: tuple[Told, ...] = ()


def coordinates(values: Iterable[object]) -> tuple[float, ...]:
    """Numbers, also those written as text.

    Returns:
        Empty where one of them is no number, not finite, or well below 0.
    """
    numbers = []
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return ()
        try:
            number = float(value)
        except ValueError:
            return ()
        if not (math.isfinite(number) and number >= -SLACK):
            return ()
        numbers.append(number)
    return tuple(numbers)
