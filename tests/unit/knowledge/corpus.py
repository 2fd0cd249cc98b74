"""Documents as an index gets them: vectors in clusters, some passages with codes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from vlpro.knowledge.embedding.interface import Vectors
from vlpro.knowledge.index.interface import Candidate, Index, IndexedPage

__all__ = ["DIMENSIONS", "Corpus", "fill", "question"]

DIMENSIONS = 48
CODES = [f"E{number:02}" for number in range(40)]

_random = np.random.default_rng(9)
_CENTRES = _random.normal(size=(30, DIMENSIONS))
_COMMON = 2 * _random.normal(size=DIMENSIONS)  # real models' vectors all lean one way, too


def question(number: int) -> Vectors:
    """A vector near some passages."""
    vector: Vectors = _unit(np.random.default_rng(1000 + number), 1)[0]
    return vector


def _unit(random: np.random.Generator, count: int) -> Vectors:
    made = (
        _COMMON + _CENTRES[random.integers(0, len(_CENTRES), count)] + random.normal(size=(count, DIMENSIONS))
    )
    unit: Vectors = (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)
    return unit


@dataclass
class Corpus:
    """Documents by base and id."""

    documents: dict[tuple[str, str], list[IndexedPage]]

    @classmethod
    def made(cls, *, bases: int = 3, documents: int = 4, pages: int = 8, passages: int = 6) -> Corpus:
        found = {}
        for base in range(bases):
            for document in range(documents):
                random = np.random.default_rng(100 * base + document)
                found[f"base_{base}", f"doc_{base}_{document}"] = [
                    IndexedPage(page, _unit(random, passages), [cls._codes(random) for _ in range(passages)])
                    for page in range(1, pages + 1)
                ]
        return cls(found)

    @staticmethod
    def _codes(random: np.random.Generator) -> frozenset[str]:
        return frozenset(CODES[place] for place in random.integers(0, 40, random.integers(0, 3)))

    def exact(
        self, bases: Collection[str], vector: Vectors, codes: frozenset[str], limit: int
    ) -> list[Candidate]:
        """What an index should find: all compared, in double precision."""
        scored = []
        for (base, document), pages in self.documents.items():
            for page in pages if base in bases else []:
                for passage, (found, has) in enumerate(zip(page.vectors, page.codes, strict=True)):
                    score = float(found.astype(np.float64) @ vector)
                    scored.append((bool(has & codes), Candidate(base, document, page.page, passage, score)))
        scored.sort(key=lambda one: -one[1].score)
        nearest = [candidate for _, candidate in scored[:limit]]
        coded = [candidate for coded, candidate in scored if coded][:limit]
        return nearest + [candidate for candidate in coded if candidate not in nearest]


def fill(index: Index, corpus: Corpus) -> None:
    """Put all documents."""
    for (base, document), pages in corpus.documents.items():
        index.put(base, document, pages)
