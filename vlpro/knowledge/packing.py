"""Pages as bytes, for the store to seal: what they say, and their vectors, a byte a part."""

from __future__ import annotations

import json
import struct
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vlpro.knowledge.embedding.interface import Vectors
from vlpro.knowledge.passages import Box, Clause, PageContent, Passage

__all__ = [
    "PageVectors",
    "pack_content",
    "pack_vectors",
    "unpack_content",
    "unpack_for_index",
    "unpack_passages",
    "unpack_some",
    "unpack_vectors",
]

_HEAD = struct.Struct("<III")  # passages, clauses, dimensions


@dataclass(frozen=True, slots=True, eq=False)
class PageVectors:
    """The vectors of a page.

    Args:
        passages: One a passage: ``[passages, dimensions]``.
        clauses: Of each passage, those of its clauses: ``[clauses, dimensions]``.
        codes: Of each passage.
    """

    passages: Vectors
    clauses: Sequence[Vectors]
    codes: Sequence[frozenset[str]]


def pack_content(content: PageContent) -> bytes:
    """What a page says, as JSON."""
    return json.dumps(asdict(content), ensure_ascii=False, separators=(",", ":")).encode()


def unpack_content(data: bytes) -> PageContent:
    """The other way."""
    told = json.loads(data)
    return PageContent(told["width"], told["height"], tuple(map(_passage, told["passages"])))


def unpack_passages(data: bytes, numbers: Collection[int]) -> tuple[tuple[int, int], dict[int, Passage]]:
    """Of what a page says its size, and some passages: most of the work is to make all of them.

    Args:
        data: What :func:`pack_content` made.
        numbers: Of the passages, from 0; those that the page has not are left out.
    """
    told = json.loads(data)
    passages = told["passages"]
    found = {number: _passage(passages[number]) for number in numbers if number < len(passages)}
    return (told["width"], told["height"]), found


def pack_vectors(page: PageVectors) -> bytes:
    """The vectors of a page: each part as a byte, with a scale a vector; 0.4 % of a vector is lost at most."""
    flat = np.concatenate([page.passages, *page.clauses]).astype(np.float32)
    most = np.maximum(np.abs(flat).max(1, initial=0), 1e-9)
    whole = np.rint(flat / most[:, None] * 127).astype(np.int8)
    counts = np.array([len(clauses) for clauses in page.clauses], np.uint16)
    codes = json.dumps([sorted(codes) for codes in page.codes], ensure_ascii=False).encode()
    head = _HEAD.pack(len(page.passages), len(flat) - len(page.passages), page.passages.shape[1])
    scales = (most / 127).astype(np.float32)
    data: bytes = head + counts.tobytes() + scales.tobytes() + whole.tobytes() + codes
    return data


def unpack_vectors(data: bytes) -> PageVectors:
    """The other way; vectors are near unit length."""
    packed = _Packed(data)
    flat = packed.vectors(packed.passages, len(packed.whole))
    split = [flat[first:end] for first, end in packed.clauses]
    return PageVectors(packed.vectors(0, packed.passages), split, packed.codes())


def unpack_for_index(data: bytes) -> tuple[Vectors, list[frozenset[str]]]:
    """Of a page's passages the vectors and codes, without those of clauses, of which there are five times as many."""
    packed = _Packed(data)
    return packed.vectors(0, packed.passages), packed.codes()


def unpack_some(data: bytes, numbers: Collection[int]) -> dict[int, tuple[Vectors, Vectors, frozenset[str]]]:
    """Of some passages the vector, those of its clauses, and its codes.

    Args:
        data: What :func:`pack_vectors` made.
        numbers: Of the passages, from 0; those that the page has not are left out.
    """
    packed = _Packed(data)
    codes, found = packed.codes(), {}
    for number in numbers:
        if number < packed.passages:
            first, end = (packed.passages + place for place in packed.clauses[number])
            found[number] = (
                packed.vectors(number, number + 1)[0],
                packed.vectors(first, end),
                codes[number],
            )
    return found


class _Packed:
    """Where things are in what :func:`pack_vectors` made."""

    def __init__(self, data: bytes) -> None:
        self.passages, clauses, dimensions = _HEAD.unpack_from(data)
        at, count = _HEAD.size, self.passages + clauses
        ends = np.cumsum(np.frombuffer(data, np.uint16, self.passages, at), dtype=np.int64).tolist()
        self.clauses = list(zip([0, *ends], ends, strict=False))  # from the first clause of the page
        at += 2 * self.passages
        self.scales = np.frombuffer(data, np.float32, count, at)
        at += self.scales.nbytes
        self.whole = np.frombuffer(data, np.int8, count * dimensions, at).reshape(count, dimensions)
        self._codes = data[at + self.whole.nbytes :]

    def vectors(self, first: int, end: int) -> Vectors:
        found: Vectors = self.whole[first:end].astype(np.float32) * self.scales[first:end, None]
        return found

    def codes(self) -> list[frozenset[str]]:
        return [frozenset(codes) for codes in json.loads(self._codes)]


def _passage(told: Any) -> Passage:
    clauses = tuple(Clause(part["text"], _boxes(part["boxes"])) for part in told["clauses"])
    return Passage(told["text"], _boxes(told["boxes"]), told["kind"], clauses)


def _boxes(boxes: Sequence[Sequence[int]]) -> tuple[Box, ...]:
    return tuple((x1, y1, x2, y2) for x1, y1, x2, y2 in boxes)
