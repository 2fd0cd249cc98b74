from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlpro.audit.errors import VerificationError
from vlpro.audit.leaves import Leaves
from vlpro.audit.tree import (
    EMPTY,
    Frontier,
    consistency_path,
    consistency_proof,
    inclusion_path,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root,
    verify_consistency,
    verify_inclusion,
)

# Of the Certificate Transparency project: eight inputs, and the root after each.
INPUTS = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [leaf_hash(number.to_bytes(4)) for number in range(70)]


def slow_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word."""
    if not leaves:
        return EMPTY
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node_hash(slow_root(leaves[:k]), slow_root(leaves[k:]))


def test_the_published_roots() -> None:
    assert EMPTY.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    frontier = Frontier()
    assert frontier.root() == EMPTY
    for data, expected in zip(INPUTS, ROOTS, strict=True):
        frontier.append(leaf_hash(data))
        assert frontier.root().hex() == expected


def test_the_published_paths() -> None:
    leaves = [leaf_hash(data) for data in INPUTS]
    assert [node.hex() for node in inclusion_proof(0, leaves)] == [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]
    assert [node.hex() for node in consistency_proof(6, leaves)] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


@given(st.integers(0, 70))
def test_roots_are_the_definition_s(size: int) -> None:
    assert root(LEAVES[:size]) == slow_root(LEAVES[:size])


def test_every_leaf_of_every_tree_is_proven() -> None:
    for size in range(1, 40):
        whole = root(LEAVES[:size])
        for index in range(size):
            path = inclusion_proof(index, LEAVES[:size])
            verify_inclusion(index, size, LEAVES[index], path, whole)
            for wrong in (
                (index, size, LEAVES[size], path, whole),
                ((index + 1) % (size + 1), size, LEAVES[index], path, whole),
                (index, size, LEAVES[index], path[:-1], whole)
                if path
                else (size, size, LEAVES[0], [], whole),
                (index, size, LEAVES[index], [*path, LEAVES[0]], whole),
                (index, size, LEAVES[index], path, EMPTY),
            ):
                with pytest.raises(VerificationError):
                    verify_inclusion(*wrong)


def test_every_tree_is_the_beginning_of_every_larger_one() -> None:
    for second in range(1, 40):
        new = root(LEAVES[:second])
        for first in range(1, second + 1):
            old, path = root(LEAVES[:first]), consistency_proof(first, LEAVES[:second])
            verify_consistency(first, second, old, new, path)
            if first == second:
                assert path == []
                continue
            for wrong in (
                (first, second, EMPTY, new, path),
                (first, second, old, EMPTY, path),
                (first, second, old, new, path[:-1]),
                (first, second, old, new, [*path, EMPTY]),
                (first, second, old, new, [EMPTY, *path[1:]]),
                (second, first, new, old, path),
            ):
                with pytest.raises(VerificationError):
                    verify_consistency(*wrong)


def test_paths_from_a_known_beginning_are_the_same() -> None:
    chance = random.Random(5)
    for _ in range(400):
        size = chance.randrange(1, 70)
        index, base = sorted((chance.randrange(size), chance.randrange(size)), reverse=True)
        frontier = Frontier()
        for leaf in LEAVES[:base]:
            frontier.append(leaf)
        leaves = Leaves(frontier, b"".join(LEAVES[base:size]))
        assert inclusion_path(index, size, leaves.root_of) == inclusion_proof(index, LEAVES[:size])
        first = chance.randrange(max(1, base), size + 1)
        assert consistency_path(first, size, leaves.root_of) == consistency_proof(first, LEAVES[:size])


def test_what_is_no_leaf_and_no_tree() -> None:
    for wrong in (-1, 70):
        with pytest.raises(ValueError, match="no such leaf"):
            inclusion_proof(wrong, LEAVES)
    for wrong in (0, 71):
        with pytest.raises(ValueError, match="no such tree"):
            consistency_proof(wrong, LEAVES)
    with pytest.raises(ValueError, match="each bit"):
        Frontier(3, [EMPTY])
