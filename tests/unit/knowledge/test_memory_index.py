"""The index in memory finds what comparing all would, in the asked bases only, and nothing that was removed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.unit.knowledge.corpus import DIMENSIONS, Corpus, fill, question
from vlpro.knowledge.index.interface import Candidate, IndexedPage
from vlpro.knowledge.index.memory import MemoryIndex

ALL = {"base_0", "base_1", "base_2"}
SMALL = Corpus.made()
LARGE = Corpus.made(bases=3, documents=10, pages=40, passages=20)  # 24,000: looked through by signs first


def filled(corpus: Corpus) -> MemoryIndex:
    index = MemoryIndex(DIMENSIONS)
    fill(index, corpus)
    return index


@pytest.fixture(scope="module")
def large() -> MemoryIndex:
    return filled(LARGE)


def places(found: list[Candidate]) -> list[tuple[str, str, int, int]]:
    return [(one.base, one.document, one.page, one.passage) for one in found]


def recall(found: list[Candidate], exact: list[Candidate]) -> float:
    return len(set(places(found)) & set(places(exact))) / len(exact)


@pytest.mark.parametrize("number", range(5))
def test_what_is_found_is_what_comparing_all_finds(number: int) -> None:
    found = filled(SMALL).candidates(ALL, question(number), frozenset(), 100)
    exact = SMALL.exact(ALL, question(number), frozenset(), 100)
    # Vectors of a byte a part: two passages that are as near as makes no difference may be exchanged.
    assert recall(found, exact) >= 0.98
    assert [one.score for one in found] == pytest.approx([one.score for one in exact], abs=0.005)
    true = dict(zip(places(exact), (one.score for one in exact), strict=True))
    for one, place in zip(found, places(found), strict=True):
        assert place not in true or one.score == pytest.approx(true[place], abs=0.005)


def test_of_many_passages_hardly_one_is_missed(large: MemoryIndex) -> None:
    found = [
        recall(
            large.candidates(ALL, question(number), frozenset(), 100),
            LARGE.exact(ALL, question(number), frozenset(), 100),
        )
        for number in range(6)
    ]
    assert np.mean(found) >= 0.94  # vectors of 48 parts have 48 signs; those of models hundreds


def test_only_the_asked_bases_are_looked_at(large: MemoryIndex) -> None:
    found = large.candidates({"base_1"}, question(1), frozenset({"E07"}), 100)
    assert found
    assert {one.base for one in found} == {"base_1"}
    assert recall(found, LARGE.exact({"base_1"}, question(1), frozenset(), 100)) >= 0.95
    assert large.candidates({"unknown"}, question(1), frozenset({"E07"}), 100) == []
    assert large.candidates(set(), question(1), frozenset({"E07"}), 100) == []


def test_passages_with_the_code_are_found_however_far_they_are() -> None:
    index = filled(SMALL)
    index.put("base_0", "far", [IndexedPage(3, -question(1)[None], [frozenset({"wsk220n04"})])])
    found = index.candidates(ALL, question(1), frozenset({"wsk220n04"}), 10)
    assert places(found)[-1] == ("base_0", "far", 3, 0)
    assert places(index.candidates(ALL, question(1), frozenset(), 10)) == places(found)[:-1]


def test_a_removed_document_or_base_is_found_no_more() -> None:
    index = filled(SMALL)
    index.remove("base_0", "doc_0_1")
    index.remove("base_2")
    index.remove("base_2")
    index.remove("base_0", "never there")
    found = index.candidates(ALL, question(2), frozenset({"E07", "E08", "E09"}), 1000)
    assert {one.document for one in found} == {
        "doc_0_0",
        "doc_0_2",
        "doc_0_3",
        *(f"doc_1_{n}" for n in range(4)),
    }
    assert index.passages == len(found) == 7 * 48


def test_a_document_put_again_is_the_new_one_only() -> None:
    index = filled(SMALL)
    index.put("base_0", "doc_0_0", [IndexedPage(9, question(3)[None], [frozenset({"new"})])])
    found = index.candidates(
        {"base_0"}, question(3), frozenset({"new", *(f"E{n:02}" for n in range(40))}), 1000
    )
    assert [one.page for one in found if one.document == "doc_0_0"] == [9]


def test_after_many_changes_the_rest_is_found_as_before(large: MemoryIndex) -> None:
    del large
    index = filled(LARGE)
    rest = Corpus(dict(LARGE.documents))
    for document in range(0, 10, 2):  # half of each base: the rest is packed anew
        for base in range(3):
            name = (f"base_{base}", f"doc_{base}_{document}")
            index.remove(*name)
            del rest.documents[name]
    codes = frozenset({"E05"})
    for number in range(5):
        found = index.candidates(ALL, question(number), codes, 50)
        exact = rest.exact(ALL, question(number), codes, 50)
        assert recall(found, exact) >= 0.95
        assert set(places(found)) <= {
            (base, document, page.page, passage)
            for (base, document), pages in rest.documents.items()
            for page in pages
            for passage in range(len(page.codes))
        }
    assert index.passages == sum(len(page.codes) for pages in rest.documents.values() for page in pages)


def test_an_empty_document_is_no_error() -> None:
    index = MemoryIndex(DIMENSIONS)
    index.put("base", "blank", [IndexedPage(1, np.empty((0, DIMENSIONS), np.float32), [])])
    assert index.candidates({"base"}, question(0), frozenset({"E11"}), 10) == []
    assert index.passages == 0


def test_a_base_of_which_everything_went_is_filled_anew() -> None:
    index = MemoryIndex(DIMENSIONS)
    many = Corpus.made(bases=1, documents=1, pages=60, passages=20)  # 1,200: room is made, and given back
    for _ in range(2):
        fill(index, many)
        for base, document in many.documents:
            index.remove(base, document)
        assert (index.passages, index.candidates({"base_0"}, question(4), frozenset({"E03"}), 20)) == (0, [])
    fill(index, many)
    wanted = many.exact({"base_0"}, question(4), frozenset(), 20)
    assert recall(index.candidates({"base_0"}, question(4), frozenset(), 20), wanted) >= 0.95


def test_who_searches_while_documents_come_and_go_finds_whole_answers() -> None:
    """Of what stays nothing is missing, and of what goes each hit is a passage that there was."""
    index = filled(SMALL)
    stays = SMALL.exact({"base_1"}, question(4), frozenset(), 20)
    coming = Corpus.made(bases=2, documents=12, pages=10, passages=10)
    known = {
        (base, document, page.page, passage)
        for corpus in (SMALL, coming)
        for (base, document), pages in corpus.documents.items()
        for page in pages
        for passage in range(len(page.codes))
    }

    def change(_: int) -> None:
        for (base, document), pages in coming.documents.items():
            if base == "base_0":
                index.put(base, document, pages)
        for base, document in coming.documents:
            if base == "base_0":
                index.remove(base, document)

    def search(_: int) -> bool:
        found = index.candidates({"base_0", "base_1"}, question(4), frozenset({"E03"}), 200)
        alone = index.candidates({"base_1"}, question(4), frozenset(), 20)
        return set(places(found)) <= known and recall(alone, stays) >= 0.95

    with ThreadPoolExecutor(3) as pool:
        changes = pool.map(change, range(4))
        assert all(pool.map(search, range(150)))
        list(changes)
