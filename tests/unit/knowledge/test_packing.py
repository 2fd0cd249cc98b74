"""Pages as bytes: the whole, and parts of it."""

from __future__ import annotations

import numpy as np

from vlpro.knowledge.packing import (
    PageVectors,
    pack_content,
    pack_vectors,
    unpack_content,
    unpack_passages,
    unpack_some,
    unpack_vectors,
)
from vlpro.knowledge.passages import Clause, PageContent, Passage

BOX = (1, 2, 30, 40)
CONTENT = PageContent(
    800,
    600,
    (
        Passage(
            "E11：过热。检查风扇。",
            (BOX, BOX),
            "text",
            (Clause("E11：过热。", (BOX,)), Clause("检查风扇。", (BOX,))),
        ),
        Passage("", (BOX,), "figure", ()),
        Passage("a\nb", (BOX,), "table", (Clause("a", (BOX,)), Clause("b", (BOX,)), Clause("c", ()))),
    ),
)


def _vectors() -> PageVectors:
    random = np.random.default_rng(1)
    made = random.normal(size=(8, 24)).astype(np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    codes = [frozenset({"e11"}), frozenset[str](), frozenset({"a1", "b2"})]
    return PageVectors(made[:3], [made[3:5], made[:0], made[5:]], codes)


def test_what_a_page_says_comes_back() -> None:
    assert unpack_content(pack_content(CONTENT)) == CONTENT
    size, some = unpack_passages(pack_content(CONTENT), {2, 0, 3})
    assert size == (800, 600)
    assert some == {0: CONTENT.passages[0], 2: CONTENT.passages[2]}


def test_vectors_come_back_but_for_a_byte_a_number() -> None:
    page = _vectors()
    found = unpack_vectors(pack_vectors(page))
    np.testing.assert_allclose(found.passages, page.passages, atol=5e-3)
    assert [len(clauses) for clauses in found.clauses] == [2, 0, 3]
    for had, has in zip(page.clauses, found.clauses, strict=True):
        np.testing.assert_allclose(has, had, atol=5e-3)
    assert found.codes == page.codes


def test_some_of_a_page_are_those_of_the_whole() -> None:
    packed = pack_vectors(_vectors())
    whole = unpack_vectors(packed)
    some = unpack_some(packed, {0, 1, 2, 7})
    assert some.keys() == {0, 1, 2}
    for number, (vector, clauses, codes) in some.items():
        np.testing.assert_array_equal(vector, whole.passages[number])
        np.testing.assert_array_equal(clauses, whole.clauses[number])
        assert codes == whole.codes[number]


def test_a_page_without_words_has_none() -> None:
    empty = PageVectors(np.zeros((0, 24), np.float32), [], [])
    assert unpack_some(pack_vectors(empty), {0}) == {}
    assert unpack_vectors(pack_vectors(empty)).passages.shape == (0, 24)
