"""What the shipper asks of a destination."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

from vlpro.audit.ship.documents import Document, Kind

__all__ = ["Destination", "Outcome"]


@dataclass(slots=True)
class Outcome:
    """What became of the documents of one request.

    Args:
        arrived: Are there now.
        there: Were there before, under the same id; whether they are the same is not known.
        again: Were not taken now, and may be later, and why.
        refused: Will not be taken as they are, and why.
    """

    arrived: list[Document] = field(default_factory=list)
    there: list[Document] = field(default_factory=list)
    again: list[tuple[Document, str]] = field(default_factory=list)
    refused: list[tuple[Document, str]] = field(default_factory=list)


class Destination(ABC):
    """Where copies go. Every method raises a ShippingError where the destination does not do its part."""

    name: str
    """How the position file knows it: an address, without a secret."""

    can_be_asked: bool
    """Whether it tells what it has."""

    @abstractmethod
    def prepare(self) -> None:
        """Check, before the first document, that it takes documents as they are meant."""

    @abstractmethod
    def put(self, documents: Sequence[Document]) -> Outcome:
        """Send documents in one request."""

    @abstractmethod
    def present(self, kind: Kind, log: str, first: int, last: int) -> dict[int, list[str]]:
        """Hashes of what it has of a range of 10,000 numbers at most; several where a number is there twice."""

    @abstractmethod
    def last(self, kind: Kind, log: str) -> int:
        """The highest number that it has; 0 where it has none."""

    @abstractmethod
    def close(self) -> None:
        """Give the connection back."""
