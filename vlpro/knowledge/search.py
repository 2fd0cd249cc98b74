"""Which candidates answer a question: ranked by sense, by the clause that fits best, and by exact codes.

A passage says several things, and its vector is their mean; so the clause nearest to the question counts as well
(late interaction, as Khattab & Zaharia, "ColBERT", SIGIR 2020, have it for words). Weights and threshold are
measured by ``bench/retrieval.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vlpro.knowledge.codes import codes_in
from vlpro.knowledge.embedding.interface import Vectors
from vlpro.knowledge.passages import Box, Passage

__all__ = ["Found", "Hit", "Question", "Ranking", "Stored", "question", "rank"]


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
        score: How well it fits: about 0.75 for anything to above 0.9; more with codes.
        text: What it says.
        boxes: Of the clause that fits best, in pixels of the page's picture.
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
        code: Is added where a passage names all codes of the question; half of them add half.
        least: Score of an answer: what fits less is not in the documents.
    """

    clause: float = 1.25
    code: float = 0.08
    least: float = 0.845


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
    scored = [(*_score(asked, one, ranking), one) for one in candidates]
    scored.sort(key=lambda told: (-told[0], told[2].base, told[2].version, told[2].page, told[2].number))
    hits = tuple(
        Hit(
            one.base,
            one.document,
            one.version,
            one.page,
            one.number,
            score,
            one.passage.text,
            one.passage.clauses[best].boxes if one.passage.clauses else one.passage.boxes,
            one.page_size,
        )
        for score, best, one in scored[:limit]
    )
    return Found(hits, bool(hits) and hits[0].score >= ranking.least)


def _score(asked: Question, one: Stored, ranking: Ranking) -> tuple[float, int]:
    """How well a candidate fits, and which of its clauses does best."""
    whole = float(one.vector @ asked.vector)
    best, part = 0, whole
    if len(one.clauses):
        fits = one.clauses @ asked.vector
        best = int(np.argmax(fits))
        part = float(fits[best])
    score = (whole + ranking.clause * part) / (1 + ranking.clause)
    if asked.codes:
        score += ranking.code * len(asked.codes & one.codes) / len(asked.codes)
    return score, best
