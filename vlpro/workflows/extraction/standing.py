"""A result as one person sees it, and who that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from vlpro.engines.interface import Usage
from vlpro.identity.principal import Person
from vlpro.workflows.extraction import review
from vlpro.workflows.extraction.exports import as_json
from vlpro.workflows.extraction.result import Extraction
from vlpro.workflows.extraction.stored import Stored
from vlpro.workflows.extraction.template import Template

__all__ = ["Standing", "Viewer", "standing_of"]


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks.

    Args:
        person: The person.
        reviews: Whether they may review what others handed over.
        spent: Is told what engines took for them.
    """

    person: Person
    reviews: bool = True
    spent: Callable[[Usage], None] | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """A result as one person sees it.

    Args:
        stored: As it is stored.
        now: With what people put.
        template: That it was made with; None: there is none (any more).
        unsettled: What stands between it and approval.
        own: Whether it is this person's.
    """

    stored: Stored
    now: Extraction
    template: Template | None
    unsettled: tuple[str, ...]
    own: bool

    def as_json(self) -> dict[str, Any]:
        """As JSON values."""
        return as_json(self.stored, self.now, self.template)


def standing_of(viewer: Viewer, stored: Stored, templates: Mapping[str, Template]) -> Standing:
    """A result as somebody sees it.

    Args:
        viewer: Who.
        stored: The result.
        templates: By name.
    """
    template = templates.get(stored.extraction.template)
    now = review.current(stored, template)
    now = replace(now, verdict=stored.extraction.verdict)
    left = tuple(review.unsettled(stored, now, template))
    return Standing(stored, now, template, left, own=stored.owner == viewer.person.id)
