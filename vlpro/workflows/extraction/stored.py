"""A result with what people did to it, as it is stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from vlpro.crypto import DataKey
from vlpro.identity.labels import Level
from vlpro.workflows.extraction.result import Extraction, Verdict

__all__ = ["Correction", "Head", "PageNote", "Seen", "State", "Stored"]

State = Literal["open", "approved", "returned"]


@dataclass(frozen=True, slots=True)
class PageNote:
    """What stays known of a page.

    Args:
        name: Of its file, as its sender calls it.
        sha256: Of the file.
        available: Whether its picture is stored.
    """

    name: str
    sha256: str
    available: bool = False


@dataclass(frozen=True, slots=True)
class Correction:
    """What a person read instead.

    Args:
        value: As it should be written; None: the page does not have it.
        normalized: In one form for programs.
    """

    value: str | None
    normalized: str | None


@dataclass(slots=True)
class Stored:
    """A result with what people did to it.

    Args:
        id: Its name in the API.
        owner: Whose it is.
        level: How confidential.
        created: Unix time.
        updated: Unix time of the last change.
        state: ``open``: nobody has decided.
        handed_over: Whether everybody who may review sees it.
        extraction: What was read; corrections are not in it.
        engine: By which engine.
        pages: In order.
        version: One more with each change.
        corrections: By field.
        confirmed: Fields and checks that somebody said are right although one failed.
        reason: Why it was sent back.
        decided_by: Who decided.
        decided: Unix time of the decision.
        duplicate_of: The earlier result of the same document.
        deliver: Where it goes when it is approved.
        metadata: Of the caller's own.
        schema: The caller's own, where there is one.
        key: Of what is sealed.
    """

    id: str
    owner: str
    level: Level
    created: float
    updated: float
    state: State
    handed_over: bool
    extraction: Extraction
    engine: str
    pages: tuple[PageNote, ...]
    version: int = 1
    corrections: dict[str, Correction] = field(default_factory=dict)
    confirmed: tuple[str, ...] = ()
    reason: str = ""
    decided_by: str = ""
    decided: float | None = None
    duplicate_of: str = ""
    deliver: str = ""
    metadata: dict[str, str] | None = None
    schema: dict[str, Any] | None = None
    key: DataKey | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """A result that does not open: what the database says of it."""

    id: str
    owner: str
    level: Level
    created: float
    updated: float
    state: State
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Seen:
    """An earlier result of the same document.

    Args:
        id: Of that result.
        owner: Whose it is.
        created: Unix time.
    """

    id: str
    owner: str
    created: float
