"""Hashes of records in the database, and the tree over the first of them, without reading the records."""

from __future__ import annotations

import sqlalchemy as sa

from vlpro.audit.checkpoint import Checkpoint
from vlpro.audit.errors import Finding, VerificationError
from vlpro.audit.tables import checkpoints, records, select_signed
from vlpro.audit.tree import HASH_BYTES, Frontier

__all__ = ["Leaves", "checkpoint_at", "frontier_at", "leaf_hashes"]

_PAGE = 20_000


def leaf_hashes(connection: sa.Connection, first: int, last: int) -> bytes:
    """The hashes of the records from one to another, 32 bytes each.

    Raises:
        VerificationError: One is missing.
    """
    found, expected = bytearray(), first
    while expected <= last:
        page = connection.execute(
            sa.select(records.c.seq, records.c.hash)
            .where(records.c.seq.between(expected, min(last, expected + _PAGE - 1)))
            .order_by(records.c.seq)
        ).all()
        for seq, leaf in page:
            if seq != expected:
                break
            found += leaf
            expected += 1
        if not page or page[-1][0] != expected - 1:
            raise VerificationError("it is missing", expected, zh="缺失", finding=Finding.MISSING)
    return bytes(found)


def checkpoint_at(
    connection: sa.Connection, *where: sa.ColumnElement[bool], newest: bool
) -> Checkpoint | None:
    """The newest or the oldest stored checkpoint of which something is true; its signature is not checked."""
    size = checkpoints.c.size
    row = connection.execute(
        select_signed(connection, checkpoints)
        .where(*where)
        .order_by(size.desc() if newest else size)
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    return Checkpoint.stored(bytes(row.data), bytes(row.signature), bytes(row.roots), row.sm2)


def frontier_at(connection: sa.Connection, size: int) -> Frontier:
    """The tree over the first records, from the checkpoint before and the hashes after it.

    Raises:
        VerificationError: A record is missing, or what lies beside the checkpoint was altered.
    """
    base = checkpoint_at(connection, checkpoints.c.size <= size, newest=True)
    frontier = base.frontier() if base is not None else Frontier()
    hashes = leaf_hashes(connection, frontier.size + 1, size)
    for i in range(0, len(hashes), HASH_BYTES):
        frontier.append(hashes[i : i + HASH_BYTES])
    return frontier


class Leaves:
    """Roots of parts of a tree whose beginning is known by its complete subtrees alone.

    Args:
        base: The beginning.
        hashes: Of the leaves after it, 32 bytes each.
    """

    def __init__(self, base: Frontier, hashes: bytes) -> None:
        self._size = base.size
        self._hashes = hashes
        self._known: dict[tuple[int, int], bytes] = {}
        begin, left = 0, base.size
        for node in base.roots:
            width = 1 << (left.bit_length() - 1)
            self._known[begin, begin + width] = node
            begin, left = begin + width, left - width

    def root_of(self, begin: int, end: int) -> bytes:
        """Root of the subtree from one leaf to before another. It is a known one, is made of such, or lies after."""
        known = self._known.get((begin, end))
        if known is not None:
            return known
        frontier = Frontier()
        pieces: list[bytes] = []
        position = begin
        while position < min(end, self._size):  # known subtrees, largest first
            piece = next(key for key in self._known if key[0] == position)
            pieces.append(self._known[piece])
            position = piece[1]
        if pieces:
            frontier = Frontier(position - begin, pieces)
        offset = HASH_BYTES * (position - self._size)
        for i in range(offset, HASH_BYTES * (end - self._size), HASH_BYTES):
            frontier.append(self._hashes[i : i + HASH_BYTES])
        return frontier.root()
