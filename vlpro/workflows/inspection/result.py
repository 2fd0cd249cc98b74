"""What an inspection finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vlpro.chat.material import Citation

__all__ = ["Box", "Defect", "Inspection", "Method", "Verdict"]

Box = tuple[int, int, int, int]
"""``(x1, y1, x2, y2)`` in pixels of the inspected picture's original."""

Verdict = Literal["pass", "review", "fail"]
"""Nothing found; a person should confirm (all of what a model saw is only screening); defects found."""

Method = Literal["template", "thermal", "sight"]
"""Difference to a golden template; hottest regions; what an engine sees."""


@dataclass(frozen=True, slots=True)
class Defect:
    """One finding.

    Args:
        kind: ``open``, ``short``, ``mousebite``, ``spur``, ``copper``, ``pin-hole``, ``hot``, or an
            engine's own word.
        box: Where.
        score: 0 to 1: how sure.
        note: What else is known, such as the temperature read from the scale; may be empty.
    """

    kind: str
    box: Box
    score: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Inspection:
    """A picture, inspected.

    Args:
        method: How.
        defects: Surest first.
        verdict: What to do with it.
        width: Of the inspected picture's original, pixels.
        height: Likewise.
        shift: How the template had to be moved to lie on the picture: degrees, scale, x and y in pixels; None where
            there is no template.
        message: What a person should know beyond the defects, in English: why it could not be compared, or why a
            region is abnormal; may be empty.
        zh: The same in Chinese.
        citations: Passages of knowledge bases that explain it; None: nobody asked for them.
    """

    method: Method
    defects: tuple[Defect, ...]
    verdict: Verdict
    width: int
    height: int
    shift: tuple[float, float, float, float] | None = None
    message: str = ""
    zh: str = ""
    citations: tuple[Citation, ...] | None = None
