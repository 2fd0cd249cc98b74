"""What an extraction finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Box", "Check", "ExtractedField", "Extraction", "Verdict"]

Box = tuple[int, int, int, int]
"""``(x1, y1, x2, y2)`` in pixels of the page's original."""

Verdict = Literal["pass", "review", "fail"]
"""All is read and every check holds; a person should look; a check fails or a required field is missing."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a bookkeeper would check.

    Args:
        name: Stable name, such as ``total_in_words``.
        passed: None where it could not be checked, for want of a field.
        message: A sentence in English: what was compared, and what came out.
        zh: The same in Chinese.
    """

    name: str
    passed: bool | None
    message: str
    zh: str


@dataclass(frozen=True, slots=True)
class ExtractedField:
    """One value with its evidence.

    Args:
        value: As written on the page; None where it is not there.
        normalized: In one form for programs: a date as ISO 8601, an amount as a plain decimal, the rest as text
            without stray spaces.
        confidence: 0 to 1.
        box: Where it stands; None where no place proves it.
        page: Number of the page among all that were given, from 1.
        checks: That concern this field.
    """

    value: str | None
    normalized: str | None
    confidence: float
    box: Box | None = None
    page: int = 1
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True)
class Extraction:
    """A document as fields.

    Args:
        template: Name of the template; ``custom`` for a schema of the caller's own.
        fields: By name, in the template's order.
        checks: All of them, those of fields included.
        verdict: What to do with it.
        items: Lines of a table, where the template has them: each a field by column.
        pages: Width and height of each page's original, pixels.
    """

    template: str
    fields: Mapping[str, ExtractedField]
    checks: tuple[Check, ...]
    verdict: Verdict
    items: tuple[Mapping[str, ExtractedField], ...] = ()
    pages: tuple[tuple[int, int], ...] = field(default=())
