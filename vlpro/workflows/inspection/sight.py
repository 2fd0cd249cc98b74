"""Inspection by an engine that sees, for what has no template: screening, which a person confirms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from vlpro.engines.interface import Language
from vlpro.imaging.picture import Picture
from vlpro.workflows.inspection.result import Inspection

__all__ = ["Subject", "inspect", "question"]

Subject = Literal["board", "heat"]
"""Solder joints and surfaces; the abnormally hot region of a thermal picture and why."""


def question(subject: Subject, language: Language, passages: Sequence[str] = ()) -> str:
    """What to ask the engine beside the picture.

    Args:
        subject: What is looked for.
        language: In which it is to answer.
        passages: Of the knowledge base, that may explain what is seen.
    """
    del subject, language, passages
    return ""


def inspect(picture: Picture, answer: str) -> Inspection:
    """Read the engine's answer.

    Args:
        picture: That the engine was asked about.
        answer: As it wrote it.

    Returns:
        ``sight``; the verdict is always ``review``.
    """
    del answer
    return Inspection("sight", (), "review", picture.original_width, picture.original_height)
