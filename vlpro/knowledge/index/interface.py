"""Who finds the passages that may answer: the interface, which every implementation keeps.

An index gives candidates; :mod:`vlpro.knowledge.search` ranks them by what the store says about each, whichever
index they come from.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from vlpro.knowledge.embedding.interface import Vectors

__all__ = ["Candidate", "Index", "IndexedPage"]


@dataclass(frozen=True, slots=True)
class IndexedPage:
    """The passages of a page, for an index.

    Args:
        page: Its number, from 1.
        vectors: One a passage: ``[passages, dimensions]``.
        codes: Of each passage: exact names in one form, as :mod:`vlpro.knowledge.codes` finds them.
    """

    page: int
    vectors: Vectors
    codes: Sequence[frozenset[str]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage that may answer.

    Args:
        base: Its base.
        document: Its document: the id of one version of it.
        page: Number of the page, from 1.
        passage: Its place on the page, from 0.
        score: The vectors' dot product; an index may give it to two decimals.
    """

    base: str
    document: str
    page: int
    passage: int
    score: float


class Index(ABC):
    """Vectors and codes of passages, by base and document. Blocks: not for the event loop; several threads may."""

    @abstractmethod
    def put(self, base: str, document: str, pages: Sequence[IndexedPage]) -> None:
        """Add a whole document; one of that id is replaced."""

    @abstractmethod
    def remove(self, base: str, document: str | None = None) -> None:
        """Forget a document, or a whole base. One that is not there is no error."""

    def kept(self) -> Mapping[tuple[str, str], int]:
        """What it holds from earlier, by base and document: how many passages. Nothing, where it is in memory.

        Who fills it at start leaves that out, and removes what there is no longer.
        """
        return {}

    @abstractmethod
    def candidates(
        self, bases: Collection[str], vector: Vectors, codes: frozenset[str], limit: int
    ) -> list[Candidate]:
        """The nearest passages in some bases, the nearest first, and those that hold one of the codes.

        Args:
            bases: Only these are looked at.
            vector: Of the question: ``[dimensions]``.
            codes: In the question.
            limit: How many of the nearest; as many again with codes at most.

        Returns:
            Each passage once.
        """
