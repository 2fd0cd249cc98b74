"""The embedded default: vectors in this process's memory, looked through without exception.

Two steps, as in Yamada et al., "Efficient Passage Retrieval with Hashing for Open-domain Question Answering" (ACL
2021): the signs of a vector's parts, one bit each, tell the 16,000 nearest; whole vectors, a byte a part, then
tell the order of those. Nothing is trained, a document is there at once, and gone at once. 432 bytes a passage.
"""

from __future__ import annotations

import heapq
import threading
from array import array
from collections import defaultdict
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from vlpro.knowledge.embedding.interface import Vectors
from vlpro.knowledge.index.interface import Candidate, Index, IndexedPage

__all__ = ["MemoryIndex"]

_LOOKED_AT = 16_000  # of the nearest by signs, all bases together, by their sizes
_LEAST = 1_000  # in each base; one that is no larger is looked at as a whole
_HEAVY = 0.4  # share of a question's parts that count twice, since they are the largest
_CHUNK = 16_384  # passages whose signs are compared at once: they stay in the processor's cache
_WORDS_OF_A_BYTE = 3  # words of 64 signs that a byte can count
_FIRST_ROOM = 1_024  # passages
_MOST_DEAD = 0.25  # share of passages that are forgotten, but still take room


class MemoryIndex(Index):
    """All bases, in memory.

    Args:
        dimensions: Of a vector; a multiple of 64 is fastest.
    """

    def __init__(self, dimensions: int) -> None:
        self._dimensions = dimensions
        self._bases: dict[str, _Base] = {}
        self._changing = threading.Lock()

    def put(self, base: str, document: str, pages: Sequence[IndexedPage]) -> None:
        """See :meth:`Index.put`."""
        with self._changing:
            held = self._bases.setdefault(base, _Base(self._dimensions))
            held.remove(document)
            held.add(document, pages)

    def remove(self, base: str, document: str | None = None) -> None:
        """See :meth:`Index.remove`."""
        with self._changing:
            if document is None:
                self._bases.pop(base, None)
            elif base in self._bases:
                self._bases[base].remove(document)

    def candidates(
        self, bases: Collection[str], vector: Vectors, codes: frozenset[str], limit: int
    ) -> list[Candidate]:
        """See :meth:`Index.candidates`."""
        with self._changing:
            views = [
                (name, self._bases[name].view(codes)) for name in dict.fromkeys(bases) if name in self._bases
            ]
        whole = max(1, sum(view.count for _, view in views))
        near, named = [], []
        for number, (_, view) in enumerate(views):
            looked_at = max(_LEAST, limit, _LOOKED_AT * view.count // whole)
            near += [(score, number, row) for score, row in view.nearest(vector, limit, looked_at)]
            named += [(score, number, row) for score, row in view.named(vector, limit)]
        best = heapq.nsmallest(limit, near, key=_best_first) + heapq.nsmallest(limit, named, key=_best_first)
        return [
            views[number][1].candidate(views[number][0], row, score)
            for score, number, row in dict.fromkeys(best)
        ]

    @property
    def passages(self) -> int:
        """How many can be found."""
        with self._changing:
            return sum(held.alive for held in self._bases.values())


class _View:
    """A base as it was at one moment: what is added later lies behind its count."""

    def __init__(self, base: _Base, codes: frozenset[str]) -> None:
        self.count = base.count
        self._vectors, self._scales, self._signs = base.vectors, base.scales, base.signs
        self._mean = base.mean
        self._places, self._names, self._dead = base.places, base.names, base.dead
        self._rows = np.fromiter({row for code in codes for row in base.codes.get(code, ())}, np.int64)

    def nearest(self, vector: Vectors, limit: int, looked_at: int) -> list[tuple[float, int]]:
        """The nearest by whole vectors among the nearest by signs: scores and rows."""
        if self.count <= looked_at:
            return self._best(np.arange(self.count), vector, limit)
        apart = self._apart(vector)
        # Whole numbers below some hundreds: to count them is quicker than to order a part of them.
        far = int(np.searchsorted(np.cumsum(np.bincount(apart)), looked_at))
        return self._best(np.flatnonzero(apart <= far), vector, limit)

    def _apart(self, vector: Vectors) -> NDArray[np.uint16]:
        """How many signs of each passage are not those of the question; those of its largest parts count twice."""
        common = self._mean * (vector @ self._mean) / max(float(self._mean @ self._mean), 1e-9)
        own = vector - common  # what all passages have tells none from another
        heavy = np.abs(own) > np.quantile(np.abs(own), 1 - _HEAVY)
        asked, twice = _signs(np.stack([own, heavy - 0.5]), np.zeros_like(own))
        apart = np.zeros(self.count, np.uint16)
        for first in range(0, self.count, _CHUNK):
            end = min(first + _CHUNK, self.count)
            other, counted = np.empty(end - first, np.uint64), np.empty(end - first, np.uint8)
            for some in range(0, len(asked), _WORDS_OF_A_BYTE):
                once, again = np.zeros(end - first, np.uint8), np.zeros(end - first, np.uint8)
                for word in range(some, min(some + _WORDS_OF_A_BYTE, len(asked))):
                    np.bitwise_xor(self._signs[word, first:end], asked[word], out=other)
                    once += np.bitwise_count(other, out=counted)
                    other &= twice[word]
                    again += np.bitwise_count(other, out=counted)
                apart[first:end] += once
                apart[first:end] += again
        return apart

    def named(self, vector: Vectors, limit: int) -> list[tuple[float, int]]:
        """Those that name one of the codes: scores and rows."""
        return self._best(self._rows, vector, limit)

    def _best(self, rows: NDArray[np.int64], vector: Vectors, limit: int) -> list[tuple[float, int]]:
        rows = rows[~self._dead[rows]]
        # Not by @: BLAS would start threads for it, which wait for each other longer than the work takes.
        scores = np.vecdot(self._vectors[rows].astype(np.float32), vector) * self._scales[rows]
        order = np.lexsort((rows, -scores))[:limit]
        return list(zip(scores[order].tolist(), rows[order].tolist(), strict=True))

    def candidate(self, base: str, row: int, score: float) -> Candidate:
        """What lies in a row."""
        document, page, passage = self._places[row].tolist()
        return Candidate(base, self._names[document], page, passage, score)


class _Base:
    """The passages of a base, in arrays that grow; only ever changed under the index's lock."""

    def __init__(self, dimensions: int) -> None:
        self._dimensions = dimensions
        self._words = -(-dimensions // 64)
        self._clear(_FIRST_ROOM)

    def _clear(self, room: int) -> None:
        self.count = 0
        self.alive = 0
        self.vectors = np.zeros((room, self._dimensions), np.int8)
        self.scales = np.zeros(room, np.float32)
        self.signs = np.zeros((self._words, room), np.uint64)  # by words: what is compared lies side by side
        self.places = np.zeros((room, 3), np.int32)
        self.dead = np.zeros(room, np.bool_)
        self.mean: Vectors = np.zeros(self._dimensions, np.float32)
        self.names: list[str] = []
        self.codes: dict[str, array[int]] = defaultdict(lambda: array("q"))
        self._documents: dict[str, tuple[int, int]] = {}

    def view(self, codes: frozenset[str]) -> _View:
        return _View(self, codes)

    def add(self, document: str, pages: Sequence[IndexedPage]) -> None:
        new = sum(len(page.vectors) for page in pages)
        self._make_room(self.count + new)
        number, row = len(self.names), self.count
        self.names.append(document)
        for page in pages:
            for passage, codes in enumerate(page.codes):
                for code in codes:
                    self.codes[code].append(row + passage)
            end = row + len(page.vectors)
            self._write(row, end, page.vectors)
            self.places[row:end, 0], self.places[row:end, 1] = number, page.page
            self.places[row:end, 2] = np.arange(end - row)
            self.dead[row:end] = False
            row = end
        self._documents[document] = (self.count, row)
        self.count, self.alive = row, self.alive + new
        if not self.mean.any() and self.count > _LEAST:
            self._centre()

    def remove(self, document: str) -> None:
        if document not in self._documents:
            return
        first, end = self._documents.pop(document)
        self.dead[first:end] = True
        self.vectors[first:end] = 0
        self.signs[:, first:end] = 0
        self.alive -= end - first
        if self.count > _FIRST_ROOM and self.count - self.alive > _MOST_DEAD * self.count:
            self._make_whole()

    def _write(self, row: int, end: int, vectors: Vectors) -> None:
        if end == row:
            return
        most = np.maximum(np.abs(vectors).max(1), 1e-9)
        self.vectors[row:end] = np.rint(vectors / most[:, None] * 127).astype(np.int8)
        self.scales[row:end] = most / 127
        self.signs[:, row:end] = _signs(vectors, self.mean).T

    def _make_room(self, wanted: int) -> None:
        room = len(self.scales)
        if wanted <= room:
            return
        room = max(wanted, room + room // 2)
        for name in ("vectors", "scales", "places", "dead"):
            old = getattr(self, name)
            new = np.zeros((room, *old.shape[1:]), old.dtype)
            new[: self.count] = old[: self.count]
            setattr(self, name, new)
        signs = np.zeros((self._words, room), np.uint64)
        signs[:, : self.count] = self.signs[:, : self.count]
        self.signs = signs
        if self.count > _LEAST:
            self._centre()

    def _centre(self) -> None:
        """Signs say most about vectors whose mean is zero; as the base grows its mean is told anew."""
        if not self.count:
            return
        some = self.vectors[: self.count : max(1, self.count // 20_000)]
        scales = self.scales[: self.count : max(1, self.count // 20_000)]
        self.mean = (some * scales[:, None]).mean(0, dtype=np.float32)
        signs = np.zeros_like(self.signs)  # a new one: somebody may be looking at the old one
        for first in range(0, self.count, 10_000):
            part = slice(first, min(first + 10_000, self.count))
            signs[:, part] = _signs(self.vectors[part] * self.scales[part, None], self.mean).T
        self.signs = signs

    def _make_whole(self) -> None:
        """Let go of what is dead."""
        old = (self.count, self.vectors, self.scales, self.places, self.names, self.codes, self.dead)
        count, vectors, scales, places, names, codes, dead = old
        kept = np.flatnonzero(~dead[:count])
        self._clear(max(_FIRST_ROOM, len(kept)))
        self.count = self.alive = len(kept)
        self.vectors[: self.count], self.scales[: self.count] = vectors[kept], scales[kept]
        numbers, inverse = np.unique(places[kept, 0], return_inverse=True)
        self.names = [names[number] for number in numbers]
        self.places[: self.count] = places[kept]
        self.places[: self.count, 0] = inverse
        for number, name in enumerate(self.names):
            rows = np.flatnonzero(inverse == number)
            self._documents[name] = (int(rows[0]), int(rows[-1]) + 1)
        new = np.full(count, -1, np.int64)
        new[kept] = np.arange(len(kept))
        for code, rows_of_code in codes.items():
            moved = new[np.frombuffer(rows_of_code, np.int64)]
            moved = moved[moved >= 0]
            if len(moved):
                self.codes[code] = array("q", moved.tobytes())
        self._centre()


def _best_first(found: tuple[float, int, int]) -> tuple[float, int, int]:
    score, number, row = found
    return -score, number, row


def _signs(vectors: Vectors, mean: Vectors) -> NDArray[np.uint64]:
    bits = np.packbits(vectors > mean, axis=1)
    missing = -bits.shape[1] % 8
    return np.ascontiguousarray(np.pad(bits, ((0, 0), (0, missing)))).view(np.uint64)
