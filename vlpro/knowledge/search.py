"""Which candidates answer a question: ranked by sense, by the clause that fits best, by words and by exact codes.

A passage says several things, and its vector is their mean; so the clause nearest to the question counts as well
(late interaction, as Khattab & Zaharia, "ColBERT", SIGIR 2020, have it for words). The question's own words count
little, since others may say the same, but they tell whether there is an answer at all. Weights and threshold are
measured by ``bench/retrieval.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vlpro.knowledge.codes import codes_in
from vlpro.knowledge.embedding.interface import Vectors
from vlpro.knowledge.passages import Box, Passage
from vlpro.knowledge.words import question_words, share

__all__ = ["Found", "Hit", "Question", "Ranking", "Stored", "question", "rank"]


_BEFORE, _BEHIND = 1, 2  # clauses that are marked with the one that fits best


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What is searched for.

    Args:
        text: As asked.
        vector: Of it: ``[dimensions]``.
        codes: In it, and those that were read in the person's picture.
    """

    text: str
    vector: Vectors
    codes: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A candidate, with what the store says about it.

    Args:
        base: Its base.
        document: The document's name.
        version: Id of the document's version.
        page: Number of the page, from 1.
        number: Of the passage on its page, from 0.
        passage: What it says.
        page_size: Width and height of the page's picture, pixels.
        vector: Of the passage: ``[dimensions]``.
        clauses: Of its clauses: ``[clauses, dimensions]``.
        codes: In the passage.
    """

    base: str
    document: str
    version: str
    page: int
    number: int
    passage: Passage
    page_size: tuple[int, int]
    vector: Vectors
    clauses: Vectors
    codes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found.

    Args:
        base: Its base.
        document: The document's name.
        version: Id of the document's version.
        page: Number of the page, from 1.
        number: Of the passage on its page, from 0.
        score: How well it fits: about 0.8 for anything, 0.9 and more for what answers.
        text: What it says.
        boxes: Of the clause that fits best and those around it, in pixels of the page's picture.
        page_size: Width and height of that picture.
    """

    base: str
    document: str
    version: str
    page: int
    number: int
    score: float
    text: str
    boxes: tuple[Box, ...]
    page_size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found.

    Args:
        hits: The best first.
        answers: Whether the best one answers; False: it is not in these documents.
    """

    hits: tuple[Hit, ...]
    answers: bool


@dataclass(frozen=True, slots=True)
class Ranking:
    """How much each sign counts.

    Args:
        clause: Of the clause that fits best, against 1 for the whole passage.
        words: Is added where a passage has all words of the question; half of them add half.
        code: Is added where a passage names all codes of the question, half of them add half; and where it names
            one that was read in the person's picture.
        sure: As ``words``, when it is judged whether a passage is an answer.
        least: An answer fits as well by sense, words and codes: what fits less is not in the documents.
    """

    clause: float = 1.25
    words: float = 0.05
    code: float = 0.05
    sure: float = 0.12
    least: float = 0.89


def question(text: str, vector: Vectors, more: frozenset[str] = frozenset()) -> Question:
    """A question with its codes.

    Args:
        text: As asked.
        vector: Of it.
        more: Codes that were read in the person's picture.
    """
    return Question(text, vector, codes_in(text) | more)


def rank(
    asked: Question,
    candidates: Sequence[Stored],
    limit: int,
    ranking: Ranking = Ranking(),
) -> Found:
    """The best candidates.

    Args:
        asked: The question.
        candidates: In any order.
        limit: How many hits at most.
        ranking: The weights.
    """
    words = question_words(asked.text)
    own = codes_in(asked.text)
    scored = [_Scored(one, asked, words, own, ranking) for one in candidates]
    scored.sort(key=lambda one: one.order)
    hits = tuple(one.hit() for one in scored[:limit])
    wanted = _whole(own)
    named = not wanted or any(wanted & one.codes for one in candidates)
    return Found(hits, bool(hits) and named and scored[0].sureness >= ranking.least)


class _Scored:
    """A candidate and how well it fits."""

    def __init__(
        self, one: Stored, asked: Question, words: frozenset[str], own: frozenset[str], ranking: Ranking
    ) -> None:
        self._one = one
        whole = part = float(one.vector @ asked.vector)
        self._best = 0
        if len(one.clauses):
            fits = one.clauses @ asked.vector
            worth = fits
            if (
                asked.codes & one.codes
            ):  # of a table's rows the one with the code, however alike the others are
                has = [bool(asked.codes & codes_in(clause.text)) for clause in one.passage.clauses]
                worth = fits + ranking.code * np.array(has)
            self._best = int(np.argmax(worth))
            part = float(fits[self._best])
        sense = (whole + ranking.clause * part) / (1 + ranking.clause)
        said = share(words, one.passage.text)
        self._score = sense + ranking.words * said
        named = ranking.code * _named(own, asked.codes - own, one)
        self._score += named
        # A code that is read in the person's picture is what the question is about, whatever its words.
        self.sureness = 1.0 if (asked.codes - own) & one.codes else sense + named + ranking.sure * said

    @property
    def order(self) -> tuple[float, str, str, int, int]:
        """The best first; the same each time."""
        one = self._one
        return -self._score, one.base, one.version, one.page, one.number

    def hit(self) -> Hit:
        """For whoever asked."""
        one = self._one
        return Hit(
            one.base,
            one.document,
            one.version,
            one.page,
            one.number,
            self._score,
            one.passage.text,
            _boxes(one.passage, self._best),
            one.page_size,
        )


def _named(own: frozenset[str], read: frozenset[str], one: Stored) -> float:
    """The share of the question's own codes that a candidate has; of those read in a picture one is enough."""
    if read & one.codes:
        return 1.0
    return len(own & one.codes) / len(own) if own else 0.0


def _whole(codes: frozenset[str]) -> frozenset[str]:
    """Codes that are no part of another one: of F0-28 not F0; a number in parts may be a date."""
    return frozenset(
        code
        for code in codes
        if not code.isdigit() and not any(code != other and code in other for other in codes)
    )


def _boxes(passage: Passage, best: int) -> tuple[Box, ...]:
    """Where to look: the clause that fits best, with those around it."""
    if not passage.clauses:
        return passage.boxes
    near = passage.clauses[max(0, best - _BEFORE) : best + 1 + _BEHIND]
    return tuple(box for clause in near for box in clause.boxes)
