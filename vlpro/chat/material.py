"""What a question is to be answered from, beside the person's own words and pictures: quoted, and cited by number.

It goes to the engine with this one question only: it is no part of the conversation, and of the record of what was
asked only its names are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from vlpro.chat.grounding import places
from vlpro.engines.interface import Message
from vlpro.imaging.picture import Picture

__all__ = ["Citation", "Material", "ShownPage", "citations", "cited", "with_material"]

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
class ShownPage:
    """A page that the engine is given as a picture.

    Args:
        width: As :class:`Citation` counts boxes, pixels.
        height: Likewise.
        sources: Numbers of the citations on it, the best first; at least one.
    """

    width: int
    height: int
    sources: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Material:
    """What one question is to be answered from.

    Args:
        rules: What the engine is told about it, before all turns.
        parts: Stand before the question's own words, behind its pictures.
        sources: What can be cited.
        pages: For each picture of the parts: its size, and the sources on it by number.
        answer: The whole answer, where the engine is none that writes; None: the engine writes it.
        named: How the record of the question names it.
        names: How the record of the answer names each source that it cites, by number.
        given: Is told, before the engine is, under which digests it is given the pages, and in which conversation.
    """

    rules: str = ""
    parts: tuple[str | Picture, ...] = ()
    sources: tuple[Citation, ...] = ()
    pages: tuple[ShownPage, ...] = ()
    answer: str | None = None
    named: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    given: Callable[[Collection[str], str], None] | None = None


def citations(text: str, material: Material, own: int) -> tuple[Citation, ...]:
    """What an answer cites, with the places in pages that it names.

    Args:
        text: As the engine wrote it.
        material: That the engine was given.
        own: How many pictures of the person came before the material's.
    """
    told = {one.number: one for one in cited(text, material.sources)}
    if material.pages:
        by_number = {source.number: source for source in material.sources}
        blank = [(1000, 1000)] * own
        sizes = [*blank, *((page.width, page.height) for page in material.pages)]
        if len(sizes) > 1:  # a place that does not say in which picture it is: not to be guessed
            sizes.append((1000, 1000))
        for place in places(text, sizes):
            if place.box is None or not own < place.image <= own + len(material.pages):
                continue
            number = material.pages[place.image - own - 1].sources[0]
            known = told.get(number, by_number[number])
            x1, y1, x2, y2 = (round(edge) for edge in place.box)
            told[number] = replace(known, boxes=(*known.boxes, (x1, y1, x2, y2)))
    return tuple(told.values())


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
