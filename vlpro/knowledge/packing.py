"""Pages as bytes, for the store to seal: what they say, and their vectors, a byte a part."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from vlpro.knowledge.embedding.interface import Vectors
from vlpro.knowledge.passages import Box, Clause, PageContent, Passage

__all__ = ["PageVectors", "pack_content", "pack_vectors", "unpack_content", "unpack_vectors"]

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
    return PageContent(
        told["width"],
        told["height"],
        tuple(
            Passage(
                one["text"],
                _boxes(one["boxes"]),
                one["kind"],
                tuple(Clause(part["text"], _boxes(part["boxes"])) for part in one["clauses"]),
            )
            for one in told["passages"]
        ),
    )


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
    passages, clauses, dimensions = _HEAD.unpack_from(data)
    at = _HEAD.size
    counts = np.frombuffer(data, np.uint16, passages, at)
    at += counts.nbytes
    scales = np.frombuffer(data, np.float32, passages + clauses, at)
    at += scales.nbytes
    whole = np.frombuffer(data, np.int8, (passages + clauses) * dimensions, at)
    at += whole.nbytes
    flat = whole.reshape(-1, dimensions).astype(np.float32) * scales[:, None]
    ends = np.cumsum(counts, dtype=np.int64)
    split = [flat[passages + end - count : passages + end] for end, count in zip(ends, counts, strict=True)]
    return PageVectors(flat[:passages], split, [frozenset(codes) for codes in json.loads(data[at:])])


def _boxes(boxes: Sequence[Sequence[int]]) -> tuple[Box, ...]:
    return tuple((x1, y1, x2, y2) for x1, y1, x2, y2 in boxes)
