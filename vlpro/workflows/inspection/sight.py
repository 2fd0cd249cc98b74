"""Inspection by an engine that sees, for what has no template: screening, which a person confirms.

Asked in the words of Qwen3-VL's cookbook (2d_grounding), so that its boxes come in the form that
:mod:`vlpro.chat.grounding` reads. Nobody has measured here how often such a model is right, so the verdict is never
more than ``review``.
"""

from __future__ import annotations

from typing import Literal

from vlpro.chat.grounding import Place, places, without_places
from vlpro.engines.interface import Language
from vlpro.imaging.picture import Picture
from vlpro.workflows.inspection.result import Defect, Inspection

__all__ = ["BOARD_KINDS", "MAX_DEFECTS", "Subject", "inspect", "question"]

Subject = Literal["board", "heat"]
"""Solder joints and surfaces; the abnormally hot region of a thermal picture and why."""

BOARD_KINDS = (
    "solder bridge",
    "insufficient solder",
    "excess solder",
    "cold solder joint",
    "solder ball",
    "missing component",
    "misaligned component",
    "scratch",
    "crack",
    "burn mark",
    "foreign object",
    "damaged trace",
)
"""What an engine is asked to look for on a board; it may name others."""

MAX_DEFECTS = 100

_KIND_CHARS, _NOTE_CHARS, _MESSAGE_CHARS = 64, 500, 2000
_UNSAID = 0.5  # score where the engine does not say how sure it is
_IN = {"zh": "Chinese", "en": "English"}
_FORM = (
    'Report bbox coordinates in JSON format like this: [{{"bbox_2d": [x1, y1, x2, y2], "label": "{label}", '
    '"text_content": "one short sentence in {language}: what you see there and why it is abnormal"}}].'
)
_BOARD = (
    "This is a photo of a circuit board in quality inspection. Locate every defect that is clearly visible and "
    "belongs to the following categories: '{categories}'. {form} Report only what you can see; where there is no "
    "defect, answer []."
)
_HEAT = (
    "This is a thermal image of equipment. Locate the regions that are abnormally hot: hotter than the same parts "
    "elsewhere in the image, not merely warm in the sun. {form} After it, say in {language} in at most three "
    "sentences which region is the most urgent, and the likely causes. Where nothing is abnormal, answer [] "
    "and say so."
)


def question(subject: Subject, language: Language) -> str:
    """What to ask the engine beside the picture.

    Args:
        subject: What is looked for.
        language: In which it is to give its reasons.

    Returns:
        English whatever the language: in other words the model answers in other forms.
    """
    told = _IN[language]
    if subject == "board":
        form = _FORM.format(label="category", language=told)
        return _BOARD.format(categories=", ".join(BOARD_KINDS), form=form)
    return _HEAT.format(form=_FORM.format(label="hot", language=told), language=told)


def inspect(picture: Picture, answer: str) -> Inspection:
    """Read the engine's answer.

    Args:
        picture: That the engine was asked about.
        answer: As it wrote it; of one that was cut off, what is complete counts.

    Returns:
        ``sight``, with the engine's own words on the whole as its message; the verdict is always ``review``, also
        where nothing was found: a person looks at what a model screened.
    """
    size = (picture.original_width, picture.original_height)
    found = [
        defect for place in places(answer, [size])[:MAX_DEFECTS] if (defect := _defect(place)) is not None
    ]
    found.sort(key=lambda one: -one.score)  # stable: the engine's order among equals
    said = without_places(answer).strip()
    said = "" if said.strip("[] \n`") in ("", "json") else said[:_MESSAGE_CHARS]
    english = "Screened by a model; a person has to confirm it."
    chinese = "由模型初步筛查，须人工确认。"
    return Inspection(
        "sight",
        tuple(found),
        "review",
        *size,
        message=f"{english}\n{said}".rstrip(),
        zh=f"{chinese}\n{said}".rstrip(),
    )


def _defect(place: Place) -> Defect | None:
    """A box as a defect; None of a point, and of a box without an inside."""
    if place.box is None:
        return None
    x1, y1, x2, y2 = (round(side) for side in place.box)
    if x2 <= x1 or y2 <= y1:
        return None
    kind = " ".join(place.label.split())[:_KIND_CHARS].strip() or "defect"
    score = _UNSAID if place.confidence is None else place.confidence
    return Defect(kind, (x1, y1, x2, y2), round(score, 3), " ".join(place.text.split())[:_NOTE_CHARS])
