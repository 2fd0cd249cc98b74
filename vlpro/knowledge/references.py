"""Passages that explain a picture: for an engine that sees it, and beside what was found without one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from vlpro.chat.material import Material
from vlpro.chat.service import Finds, Question
from vlpro.engines.interface import Language, Message
from vlpro.identity.principal import Person
from vlpro.knowledge.answer import words_on
from vlpro.knowledge.codes import codes_in
from vlpro.knowledge.finder import Finder
from vlpro.knowledge.quoting import (
    REFERENCE_RULES,
    beginning,
    citation,
    ending,
    nothing,
    one_a_page,
    passage,
    record,
)
from vlpro.knowledge.search import Found, Hit
from vlpro.workflows.reading import PageReader

__all__ = ["References"]

PASSAGES = 3
"""Passages beside an inspection, at most."""


class References:
    """Finds passages that explain what is, or may be, seen in a picture.

    Args:
        finder: Finds them.
        reader: Reads the codes in the picture.
        count_tokens: Of the engine.
    """

    def __init__(self, finder: Finder, reader: PageReader, count_tokens: Callable[[str], int]) -> None:
        self._finder = finder
        self._reader = reader
        self._count_tokens = count_tokens

    def finds(self, person: Person, bases: Sequence[str], words: str, language: Language) -> Finds:
        """What finds the passages for a question about a picture: text only, so that boxes stay the picture's.

        Args:
            person: Who asks.
            bases: Where to look.
            words: What for, beside the codes that are read in the picture.
            language: In which the material is introduced.

        It raises what :meth:`Finder.find` raises.
        """

        async def find(_: Question, messages: Sequence[Message], room: int) -> Material:
            pictures = [picture for message in messages for picture in message.pictures]
            codes = frozenset(codes_in(await words_on(self._reader, person, pictures)))
            found = await self._finder.find(person, bases, words, limit=PASSAGES, picture_codes=codes)
            hits: list[Hit] = []
            fixed = (REFERENCE_RULES[language], beginning(language), ending(language))
            room -= sum(map(self._count_tokens, fixed)) + 8
            for hit in found.hits:
                room -= self._count_tokens(passage(len(hits) + 1, hit, language))
                if room < 0 and hits:
                    break
                hits.append(hit)
            quoted = "\n".join(passage(number, hit, language) for number, hit in enumerate(hits, 1))
            return _material(
                bases,
                found,
                hits,
                rules=REFERENCE_RULES[language],
                parts=(beginning(language), quoted or nothing(language), ending(language)),
                given=partial(self._finder.given.add, {(hit.base, hit.version) for hit in hits}),
            )

        return find

    async def beside(self, person: Person, bases: Sequence[str], words: str) -> Material:
        """The passages that belong to what was found without an engine; none where none answers.

        Args:
            person: Who asks.
            bases: Where to look.
            words: What was found.

        Raises:
            VlproError: As :meth:`Finder.find`.
        """
        found = await self._finder.find(person, bases, words, limit=PASSAGES)
        return _material(bases, found, found.hits if found.answers else ())


def _material(bases: Sequence[str], found: Found, hits: Sequence[Hit], **more: Any) -> Material:
    return Material(
        sources=tuple(citation(number, hit) for number, hit in enumerate(hits, 1)),
        named={
            "bases": list(bases),
            "answers": found.answers,
            "pages": [record(hit) for hit in one_a_page(hits)],
        },
        names={number: record(hit) for number, hit in enumerate(hits, 1)},
        **more,
    )
