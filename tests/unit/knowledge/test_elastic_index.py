"""The index in Elasticsearch, against a strict stand-in that Elastic's own client understands."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import elasticsearch
import numpy as np
import pytest
from elasticsearch import helpers

from tests.elastic.knn import KnnServer
from tests.unit.knowledge.corpus import DIMENSIONS, Corpus, fill, question
from vlpro.crypto import Sealer
from vlpro.engines.upstream import Upstream
from vlpro.errors import ConfigError, DatabaseError, VlproError
from vlpro.knowledge.index import elastic
from vlpro.knowledge.index.elastic import ElasticIndex
from vlpro.knowledge.index.interface import Candidate, IndexedPage

CORPUS = Corpus.made(documents=2, pages=4)  # 144 passages
ALL = {"base_0", "base_1", "base_2"}
SEALER = Sealer(b"k" * 32)
KEY = "c2VzYW1l"


def opened(
    server: KnnServer, *, key: str = KEY, model: str = "model", dimensions: int = DIMENSIONS
) -> ElasticIndex:
    upstream = Upstream(server.url, key=key, scheme="ApiKey", settings=elastic.SETTINGS)
    return ElasticIndex(upstream, "vlpro-knowledge", SEALER.mac, model=model, dimensions=dimensions)


@pytest.fixture
def server() -> Iterator[KnnServer]:
    with KnnServer(KEY).running() as running:
        yield running


@pytest.fixture
def index(server: KnnServer) -> Iterator[ElasticIndex]:
    made = opened(server)
    made.prepare()
    made.prepare()  # it is there already
    yield made
    made.close()


def places(found: list[Candidate]) -> list[tuple[str, str, int, int]]:
    return [(one.base, one.document, one.page, one.passage) for one in found]


def same(index: ElasticIndex, bases: set[str], vector: Any, codes: frozenset[str], limit: int) -> None:
    wanted = CORPUS.exact(bases, vector, codes, limit)
    found = index.candidates(bases, vector, codes, limit)
    assert places(found) == places(wanted)
    np.testing.assert_allclose([one.score for one in found], [one.score for one in wanted], atol=1e-5)


def test_it_finds_what_comparing_all_finds(index: ElasticIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elastic, "_ROWS", 7)
    fill(index, CORPUS)
    for number in range(4):
        same(index, ALL, question(number), frozenset(), 20)
        same(index, {"base_0", "base_2"}, question(number), frozenset({"E07", "E31"}), 10)
    same(index, ALL, -question(1), frozenset({"E07"}), 20)  # all products below 0
    assert index.candidates([], question(0), frozenset(), 10) == []


def test_a_document_is_replaced_and_removed(index: ElasticIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elastic, "_LISTED", 2)
    fill(index, CORPUS)
    assert index.kept() == dict.fromkeys(CORPUS.documents, 24)
    index.put("base_0", "doc_0_1", [IndexedPage(1, question(1)[None], [frozenset({"X1"})])])
    found = index.candidates({"base_0"}, question(1), frozenset(), 1000)
    assert [one.page for one in found if one.document == "doc_0_1"] == [1]
    index.remove("base_0", "doc_0_1")
    index.remove("base_0", "doc_0_1")
    assert {one.document for one in index.candidates({"base_0"}, question(1), frozenset(), 1000)} == {
        "doc_0_0"
    }
    index.remove("base_1")
    assert {base for base, _ in index.kept()} == {"base_0", "base_2"}
    assert len(index.kept()) == 3


def test_another_models_vectors_are_not_found(index: ElasticIndex, server: KnnServer) -> None:
    fill(index, CORPUS)
    other = opened(server, model="another model")
    other.prepare()
    assert other.kept() == {}
    assert other.candidates(ALL, question(0), frozenset({"E07"}), 10) == []
    other.close()


def test_a_document_that_was_broken_off_is_not_kept(
    index: ElasticIndex, server: KnnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elastic, "_ROWS", 7)
    server.faults = [200, 200, 200, 503]  # refresh, delete, a part of it, then no more
    with pytest.raises(DatabaseError):
        index.put("base_0", "doc_0_0", CORPUS.documents["base_0", "doc_0_0"])
    assert index.kept() == {}
    fill(index, CORPUS)
    same(index, ALL, question(0), frozenset(), 20)


def test_codes_do_not_lie_there_in_clear(index: ElasticIndex, server: KnnServer) -> None:
    fill(index, CORPUS)
    index.candidates(ALL, question(0), frozenset({"E07"}), 5)
    assert not any('"E07"' in body or '"E31"' in body for body in server.bodies)
    hashed = SEALER.mac(b"E07", "knowledge_vectors.codes")[:16].hex()
    assert any(hashed in body for body in server.bodies)


def test_its_requests_are_those_of_elastics_own_client(index: ElasticIndex, server: KnnServer) -> None:
    """The same calls by Elastic's typed client are sent as the same JSON, and its answers are understood."""
    fill(index, CORPUS)
    mapping = index._mapping()
    client = elasticsearch.Elasticsearch(server.url, api_key=KEY)
    client.indices.create(index="other", mappings=mapping)
    assert client.indices.get_mapping(index="other")["other"]["mappings"] == mapping
    actions = [
        {"_index": "other", "_id": "1", "_source": row}
        for _, row in index._rows("b", "d", CORPUS.documents["base_0", "doc_0_0"][:1])
    ]
    assert helpers.bulk(client, actions, refresh="true")[0] == 6
    client.delete_by_query(
        index="other",
        query={"bool": {"filter": [{"term": {"base": "b"}}]}},
        conflicts="proceed",
        refresh=True,
    )

    server.bodies.clear()
    wanted = index.candidates(ALL, question(0), frozenset({"E07"}), 5)
    ours = [json.loads(body) for body in server.bodies]
    server.bodies.clear()
    size_and_fields: dict[str, Any] = {"size": 5, "source": elastic._PLACE, "track_total_hits": False}
    near = client.search(index="vlpro-knowledge", knn=ours[0]["knn"], **size_and_fields)
    client.search(index="vlpro-knowledge", query=ours[1]["query"], **size_and_fields)
    assert [json.loads(body) for body in server.bodies] == ours
    assert [hit["_source"]["document"] for hit in near["hits"]["hits"]] == [
        one.document for one in wanted[:5]
    ]
    client.close()


def test_an_index_for_other_vectors_is_refused(index: ElasticIndex, server: KnnServer) -> None:
    other = opened(server, dimensions=1024)
    with pytest.raises(ConfigError, match=r"knowledge\.elasticsearch\.index"):
        other.prepare()
    other.close()


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (403, ConfigError, "create_index"),
        (429, DatabaseError, "too busy"),
        (503, DatabaseError, "too busy"),
        (400, DatabaseError, "log of this service"),
    ],
)
def test_what_it_refuses_is_told_in_our_words(
    index: ElasticIndex, server: KnnServer, fault: int, error: type[VlproError], words: str
) -> None:
    server.faults = [fault]
    with pytest.raises(error, match=words) as told:
        index.candidates(ALL, question(0), frozenset(), 5)
    assert told.value.zh != told.value.message


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda a: {**a, "_shards": {**a["_shards"], "failed": 1}}, id="a shard failed"),
        pytest.param(lambda a: {**a, "timed_out": True}, id="timed out"),
        pytest.param(lambda a: {**a, "hits": {}}, id="no hits"),
        pytest.param(lambda a: {**a, "hits": {"hits": [{"_score": 1}]}}, id="no place"),
        pytest.param(lambda _: [], id="no object"),
    ],
)
def test_an_answer_in_part_is_none(
    index: ElasticIndex, server: KnnServer, spoil: Callable[[Any], Any]
) -> None:
    fill(index, CORPUS)
    server.spoil = spoil
    with pytest.raises(DatabaseError):
        index.candidates(ALL, question(0), frozenset(), 5)


def test_a_row_that_is_refused_is_no_document(index: ElasticIndex) -> None:
    wrong = IndexedPage(1, np.full((1, DIMENSIONS), np.nan, np.float32), [frozenset()])
    with pytest.raises(DatabaseError):
        index.put("base_0", "doc", [wrong])
    assert index.kept() == {}


def test_a_wrong_key_and_a_server_that_is_gone_are_told(
    server: KnnServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = opened(server, key="d3Jvbmc")
    with pytest.raises(ConfigError, match=r"knowledge\.elasticsearch\.api_key"):
        wrong.prepare()
    wrong.close()
    with KnnServer().running() as gone:
        index = opened(gone)
    with pytest.raises(DatabaseError, match="does not answer"):
        index.candidates(ALL, question(0), frozenset(), 5)
    index.close()
    assert "d3Jvbmc" not in caplog.text
