"""What a report says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vlpro.engines.interface import Language

__all__ = [
    "SEVERITIES",
    "Basis",
    "Box",
    "Finding",
    "Report",
    "ReportPicture",
    "Severity",
    "Verdict",
    "settled",
]

Box = tuple[int, int, int, int]
"""``(x1, y1, x2, y2)`` in pixels of the picture's original."""

Severity = Literal["info", "minor", "major", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "minor", "major", "critical")

Verdict = Literal["pass", "review", "fail"]
"""Nothing speaks against it; a person should look; something is wrong. Whoever signs the report decides."""

Basis = Literal["sight", "text", "code", "difference"]
"""What an engine saw; text that was read; a bar code; two pictures that say different things."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding in one picture.

    Args:
        image: Number of the picture, from 1.
        text: What was found; a sentence or two.
        severity: How bad it is.
        basis: What it rests on.
        boxes: Where; none where no place proves it.
    """

    image: int
    text: str
    severity: Severity
    basis: Basis
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportPicture:
    """What is known of a picture.

    Args:
        name: Of its file; may be empty.
        page: In that file, from 1.
        width: Of the original, pixels.
        height: Of the original, pixels.
        sha256: Of the file.
    """

    name: str
    page: int
    width: int
    height: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report.

    Args:
        title: On top.
        summary: Some sentences.
        verdict: What to do with it.
        findings: By picture, in order; their numbers count from 1.
        pictures: In order.
        instruction: What was asked for; may be empty.
        language: That it is written in.
        engine: Name of the engine that answered.
        model: Of that engine.
        sees: Whether it understands what it is shown; False: it reads texts and codes only.
    """

    title: str
    summary: str
    verdict: Verdict
    findings: tuple[Finding, ...]
    pictures: tuple[ReportPicture, ...]
    instruction: str
    language: Language
    engine: str
    model: str
    sees: bool


def settled(verdict: Verdict, findings: Sequence[Finding]) -> Verdict:
    """A verdict that its findings bear: where one of them is grave, nothing passes unseen."""
    grave = any(finding.severity in ("major", "critical") for finding in findings)
    return "review" if verdict == "pass" and grave else verdict
