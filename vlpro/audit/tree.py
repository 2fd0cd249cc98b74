"""The Merkle tree of RFC 6962: roots, proofs of inclusion and of consistency. Pure functions over hashes."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from hashlib import sha256

from vlpro.audit.errors import VerificationError

__all__ = [
    "EMPTY",
    "Frontier",
    "consistency_path",
    "consistency_proof",
    "inclusion_path",
    "inclusion_proof",
    "leaf_hash",
    "node_hash",
    "root",
    "verify_consistency",
    "verify_inclusion",
]

HASH_BYTES = 32
EMPTY = sha256(b"").digest()
"""The root of a tree without leaves (section 2.1)."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf: 32 bytes (section 2.1; the 0x00 keeps leaves and nodes apart)."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node: 32 bytes (section 2.1)."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """A tree that only grows: the roots of its complete subtrees, largest first. Its size in memory is logarithmic.

    Args:
        size: Leaves.
        roots: One for each bit of the size that is set.
    """

    def __init__(self, size: int = 0, roots: Sequence[bytes] = ()) -> None:
        if len(roots) != size.bit_count():
            raise ValueError("a frontier has one root for each bit of its size")
        self.size = size
        self.roots = list(roots)

    def append(self, leaf: bytes) -> None:
        """Add a leaf's hash."""
        size, roots, node = self.size, self.roots, leaf
        while size & 1:
            node = sha256(
                b"\x01" + roots.pop() + node
            ).digest()  # node_hash, without a call: this runs millions of times
            size >>= 1
        roots.append(node)
        self.size += 1

    def root(self) -> bytes:
        """The root of the whole tree."""
        if not self.roots:
            return EMPTY
        node = self.roots[-1]
        for left in reversed(self.roots[:-1]):
            node = node_hash(left, node)
        return node


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


def inclusion_proof(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """The audit path of a leaf (section 2.1.1).

    Args:
        index: Of the leaf, from 0.
        leaves: All leaf hashes of the tree.
    """
    return inclusion_path(index, len(leaves), lambda begin, end: root(leaves[begin:end]))


def inclusion_path(index: int, size: int, root_of: Callable[[int, int], bytes]) -> list[bytes]:
    """As :func:`inclusion_proof`, from roots of parts of the tree.

    Args:
        index: Of the leaf, from 0.
        size: Of the tree.
        root_of: Root of the subtree from one leaf to before another.
    """
    if not 0 <= index < size:
        raise ValueError("no such leaf")
    path: list[bytes] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            path.append(root_of(middle, end))
            end = middle
        else:
            path.append(root_of(begin, middle))
            begin = middle
    return path[::-1]


def verify_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes], expected: bytes) -> None:
    """Check that a leaf is part of a tree (RFC 9162 section 2.1.3.2).

    Raises:
        VerificationError: It is not.
    """
    if not 0 <= index < size:
        raise VerificationError("the proof names a record beyond the tree's end")
    position, last, node = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise VerificationError("the proof is too long")
        if position & 1 or position == last:
            node = node_hash(sibling, node)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            node = node_hash(node, sibling)
        position >>= 1
        last >>= 1
    if last:
        raise VerificationError("the proof is too short")
    if not hmac.compare_digest(node, expected):
        raise VerificationError("the record is not part of the tree with this root")


def consistency_proof(first: int, leaves: Sequence[bytes]) -> list[bytes]:
    """That a tree is the beginning of another (section 2.1.2).

    Args:
        first: Size of the smaller tree.
        leaves: All leaf hashes of the larger.
    """
    return consistency_path(first, len(leaves), lambda begin, end: root(leaves[begin:end]))


def consistency_path(first: int, second: int, root_of: Callable[[int, int], bytes]) -> list[bytes]:
    """As :func:`consistency_proof`, from roots of parts of the larger tree.

    Args:
        first: Size of the smaller tree.
        second: Of the larger.
        root_of: Root of the subtree from one leaf to before another.
    """
    if not 0 < first <= second:
        raise ValueError("no such tree")

    def proof(size: int, begin: int, end: int, *, whole: bool) -> list[bytes]:
        if size == end - begin:
            return [] if whole else [root_of(begin, end)]
        half = _split(end - begin)
        if size <= half:
            return [*proof(size, begin, begin + half, whole=whole), root_of(begin + half, end)]
        return [*proof(size - half, begin + half, end, whole=False), root_of(begin, begin + half)]

    return proof(first, 0, second, whole=True)


def verify_consistency(first: int, second: int, old: bytes, new: bytes, path: Sequence[bytes]) -> None:
    """Check that a tree is the beginning of another (RFC 9162 section 2.1.4.2).

    Raises:
        VerificationError: It is not.
    """
    if first > second:
        raise VerificationError("the older tree is larger than the newer one")
    if first in (0, second):
        if path or (first and not hmac.compare_digest(old, new)):
            raise VerificationError("two trees of the same size have different roots")
        return
    nodes = list(path)
    if first & (first - 1) == 0:
        nodes.insert(0, old)
    if not nodes:
        raise VerificationError("the proof is too short")
    position, last = first - 1, second - 1
    while position & 1:
        position >>= 1
        last >>= 1
    before = after = nodes[0]
    for sibling in nodes[1:]:
        if last == 0:
            raise VerificationError("the proof is too long")
        if position & 1 or position == last:
            before, after = node_hash(sibling, before), node_hash(sibling, after)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            after = node_hash(after, sibling)
        position >>= 1
        last >>= 1
    if last or not hmac.compare_digest(before, old) or not hmac.compare_digest(after, new):
        raise VerificationError("the older tree is not the beginning of the newer one")


def _split(size: int) -> int:
    """The largest power of two below a size (section 2.1)."""
    return 1 << ((size - 1).bit_length() - 1)
