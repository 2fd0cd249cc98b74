"""What a question is to be answered from, beside the person's own words and pictures: quoted, and cited by number.

It goes to the engine with this one question only: it is no part of the conversation, and of the record of what was
asked only its names are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vlpro.engines.interface import Message
from vlpro.imaging.picture import Picture

__all__ = ["Citation", "Material", "cited", "with_material"]

# [1], [1, 2], and as Chinese types it: 【1】, [1、2]; a link's text, [1](…), is none.
_CITED = re.compile(r"[\[\u3010]\s*(\d{1,2}(?:\s*[,\uff0c\u3001]\s*\d{1,2})*)\s*[\]\u3011](?!\()")
_CODE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Citation:
    """A passage that an answer may cite.

    Args:
        number: By which it is cited.
        base: Id of the knowledge base.
        document: Name of the document.
        page: Its number, from 1.
        boxes: Where the passage is, ``(x1, y1, x2, y2)`` in pixels of the page's picture.
        text: What it says.
    """

    number: int
    base: str
    document: str
    page: int
    boxes: tuple[tuple[int, int, int, int], ...]
    text: str


@dataclass(frozen=True, slots=True)
class Material:
    """What one question is to be answered from.

    Args:
        rules: What the engine is told about it, before all turns.
        parts: Stand before the question's own words, behind its pictures.
        sources: What can be cited.
        answer: The whole answer, where the engine is none that writes; None: the engine writes it.
        named: How the record of the question names it.
        names: How the record of the answer names each source that it cites, by number.
    """

    rules: str = ""
    parts: tuple[str | Picture, ...] = ()
    sources: tuple[Citation, ...] = ()
    answer: str | None = None
    named: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def pictures(self) -> int:
        """How many pictures it has."""
        return sum(isinstance(part, Picture) for part in self.parts)


def cited(text: str, sources: Sequence[Citation]) -> tuple[Citation, ...]:
    """The sources that a text cites, in the order in which it does; a number that has none is no citation.

    Args:
        text: An answer; what stands in its code blocks cites nothing.
        sources: What can be cited.
    """
    by_number = {source.number: source for source in sources}
    told = (int(n) for found in _CITED.finditer(_CODE.sub("", text)) for n in re.findall(r"\d+", found[1]))
    return tuple(by_number[number] for number in dict.fromkeys(told) if number in by_number)


def with_material(messages: Sequence[Message], material: Material) -> tuple[Message, ...]:
    """The messages as the engine is given them: rules first of all, the rest in the last message of the user.

    The pictures of the person stay before those of the material, and so keep their numbers.
    """
    told = list(messages)
    asking = max((i for i, message in enumerate(told) if message.role == "user"), default=None)
    if asking is not None and material.parts:
        parts = told[asking].parts
        at = max((i + 1 for i, part in enumerate(parts) if isinstance(part, Picture)), default=0)
        told[asking] = Message("user", (*parts[:at], *material.parts, *parts[at:]))
    if material.rules:
        if told and told[0].role == "system":
            told[0] = Message("system", (*told[0].parts, material.rules))
        else:
            told.insert(0, Message("system", (material.rules,)))
    return tuple(told)
