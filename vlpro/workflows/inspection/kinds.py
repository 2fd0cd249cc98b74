"""Which kind of defect a difference is: by what it touches.

Copper that should not be there touches nothing (``copper``), one conductor (``spur``) or joins two (``short``).
Copper that is missing is a mirror image of that, with the ground in the place of the copper: surrounded by copper
(``pin-hole``), open to the ground on one side (``mousebite``) or on two, so that the conductor is cut (``open``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[Any]  # uint8; OpenCV's stubs tell no kind of number

__all__ = ["Seen", "kind", "look"]

_AROUND = 14  # pixels of surroundings that decide
_TOUCHES = 3  # pixels from which something is touched
_BLOCK = np.ones((5, 5), np.uint8)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a difference touches.

    Args:
        extra: Whether copper is there and should not be; else it is missing.
        box: ``(x1, y1, x2, y2)``, pixels.
        stretches: How many separate stretches of its rim lie on the material that it continues: copper for extra
            copper, ground for missing.
        sides: How many pieces of that material it touches, as they are in its surroundings without it.
        parts: How many pieces of the other material it touches.
    """

    extra: bool
    box: tuple[int, int, int, int]
    stretches: int
    sides: int
    parts: int


def look(blob: Mask, box: tuple[int, int, int, int], copper: Mask, *, extra: bool) -> Seen:
    """Look at a difference and what is around it.

    Args:
        blob: 1 where the difference is; as large as its box.
        box: Where it is: ``(x1, y1, x2, y2)``, pixels.
        copper: ``(height, width)`` of the whole picture: 1 where it has copper, else 0.
        extra: Whether the difference is copper.
    """
    height, width = copper.shape
    x1, y1 = max(0, box[0] - _AROUND), max(0, box[1] - _AROUND)
    x2, y2 = min(width, box[2] + _AROUND), min(height, box[3] + _AROUND)
    own = np.zeros((y2 - y1, x2 - x1), np.uint8)
    own[box[1] - y1 : box[3] - y1, box[0] - x1 : box[2] - x1] = blob
    material = copper[y1:y2, x1:x2] if extra else 1 - copper[y1:y2, x1:x2]
    rest = material & (1 - own)
    rim = cv2.dilate(own, _BLOCK) & (1 - own)
    onto = rim & rest
    return Seen(
        extra=extra,
        box=box,
        stretches=_stretches(onto),
        sides=_touched(rest, onto),
        parts=_touched(1 - material, rim & (1 - material)),
    )


def kind(seen: Seen) -> str:
    """Name a difference.

    Returns:
        ``copper``, ``spur``, ``short``, ``pin-hole``, ``mousebite`` or ``open``.
    """
    names = ("copper", "spur", "short") if seen.extra else ("pin-hole", "mousebite", "open")
    # two sides may be one piece where they meet farther out, around a ring or at the end of a conductor
    across = seen.stretches >= 2 and seen.parts >= 2
    return names[2 if seen.sides == 1 and across else min(2, seen.sides)]


def _stretches(mask: Mask) -> int:
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    return int((stats[1:, cv2.CC_STAT_AREA] >= _TOUCHES).sum())


def _touched(material: Mask, at: Mask) -> int:
    _, labels = cv2.connectedComponents(material, connectivity=4)
    counts = np.bincount(labels[at > 0])
    return int((counts[1:] >= _TOUCHES).sum())
