"""The stand-in for Elasticsearch, kept honest by clients that others wrote: Elastic's own, and rsyslog's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import elasticsearch
import httpx
import pytest
from elasticsearch import helpers

from tests.elastic.http import basic
from tests.elastic.server import WRITER, ElasticServer, lost, partial, status

ELK = Path(__file__).parents[2] / "deploy/elk"
DOCUMENT = {"@timestamp": "2026-11-27T00:00:48.123456Z", "event": {"sequence": 1}, "vlpro": {"log": "log_1"}}


@pytest.fixture
def server() -> Iterator[ElasticServer]:
    server = ElasticServer(
        {basic("elastic", "changeme"): ElasticServer.all_rights, "ApiKey d3JpdGVy": WRITER}
    )
    server.install(ELK)
    with server.running() as running:
        yield running


@pytest.fixture
def client(server: ElasticServer) -> Iterator[elasticsearch.Elasticsearch]:
    client = elasticsearch.Elasticsearch(
        f"http://127.0.0.1:{server.port}",
        basic_auth=("elastic", "changeme"),
        retry_on_timeout=False,
        request_timeout=60,
    )
    yield client
    client.close()


def _numbered(number: int) -> dict[str, Any]:
    return DOCUMENT | {"event": {"sequence": number, "original": "é\u2028"}}


def test_elastics_own_client_administers_it() -> None:
    with ElasticServer().running() as server:
        client = elasticsearch.Elasticsearch(f"http://127.0.0.1:{server.port}")
        assert client.info()["version"]["number"] == "9.1.0"
        policy = json.loads((ELK / "ilm-policy.json").read_text())["policy"]
        client.ilm.put_lifecycle(name="vlpro-audit", policy=policy)
        template = json.loads((ELK / "index-template.json").read_text())
        names = {"template": template["template"], "data_stream": {}, "priority": template["priority"]}
        client.indices.put_index_template(
            name="vlpro-audit", index_patterns=template["index_patterns"], **names, meta=template["_meta"]
        )
        client.indices.create_data_stream(name="vlpro-audit")
        found = client.indices.get_data_stream(name="vlpro-audit")["data_streams"][0]
        assert found["name"] == "vlpro-audit"
        with pytest.raises(elasticsearch.BadRequestError, match="resource_already_exists"):
            client.indices.create_data_stream(name="vlpro-audit")
        assert client.indices.rollover(alias="vlpro-audit")["rolled_over"]
        client.close()


def test_elastics_own_client_writes_and_finds(
    server: ElasticServer, client: elasticsearch.Elasticsearch
) -> None:
    actions = [
        {"_op_type": "create", "_index": "vlpro-audit", "_id": f"log_1-{n}", "_source": _numbered(n)}
        for n in range(1, 2501)
    ]
    assert helpers.bulk(client, actions, chunk_size=500) == (2500, [])
    done, errors = helpers.bulk(client, actions[:3], raise_on_error=False)
    assert (done, [error["create"]["status"] for error in errors]) == (0, [409] * 3)  # type: ignore[union-attr]
    assert len(server.documents()) == 2500

    assert client.count(index="vlpro-audit")["count"] == 0  # until a refresh
    client.indices.refresh(index="vlpro-audit")
    query = {
        "bool": {"filter": [{"term": {"vlpro.log": "log_1"}}, {"range": {"event.sequence": {"gt": 2490}}}]}
    }
    assert client.count(index="vlpro-audit", query=query)["count"] == 10
    found = client.search(index="vlpro-audit", query=query, sort=[{"event.sequence": "desc"}], size=3)
    assert [hit["_source"]["event"]["sequence"] for hit in found["hits"]["hits"]] == [2500, 2499, 2498]
    assert found["hits"]["hits"][0]["_source"] == _numbered(2500)


def test_elastics_own_client_tries_again_what_is_refused_for_now(
    server: ElasticServer, client: elasticsearch.Elasticsearch
) -> None:
    server.faults = [status(429), partial(3)]
    actions = (
        {"_op_type": "create", "_index": "vlpro-audit", "_id": f"log_1-{n}", "_source": _numbered(n)}
        for n in range(1, 101)
    )
    patient = client.options(retry_on_status=[429])
    assert helpers.bulk(patient, actions, max_retries=3, initial_backoff=0, raise_on_error=False) == (100, [])
    assert len(server.documents()) == 100


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ({"event": {"sequence": 1}}, "document_parsing_exception"),  # no @timestamp
        (DOCUMENT | {"unforeseen": 1}, "strict_dynamic_mapping_exception"),
        (DOCUMENT | {"event": {"sequence": "one"}}, "document_parsing_exception"),
        (DOCUMENT | {"source": {"ip": "unix"}}, "document_parsing_exception"),
        (DOCUMENT | {"@timestamp": "yesterday"}, "document_parsing_exception"),
        (DOCUMENT | {"vlpro": {"detail": "no object"}}, "document_parsing_exception"),
    ],
)
def test_what_does_not_fit_the_mapping_is_refused(
    document: dict[str, Any], kind: str, server: ElasticServer, client: elasticsearch.Elasticsearch
) -> None:
    answer = client.bulk(index="vlpro-audit", operations=[{"create": {}}, document])
    assert answer["errors"]
    assert answer["items"][0]["create"]["error"]["type"] == kind
    assert server.documents() == []


def test_a_data_stream_takes_only_what_is_created(client: elasticsearch.Elasticsearch) -> None:
    answer = client.bulk(index="vlpro-audit", operations=[{"index": {"_id": "1"}}, DOCUMENT])
    assert answer["items"][0]["index"]["status"] == 400


def test_errors_are_those_that_the_client_knows(server: ElasticServer) -> None:
    address = f"http://127.0.0.1:{server.port}"
    with (
        elasticsearch.Elasticsearch(address, basic_auth=("elastic", "wrong")) as wrong,
        pytest.raises(elasticsearch.AuthenticationException),
    ):
        wrong.count(index="vlpro-audit")
    with elasticsearch.Elasticsearch(address, api_key="d3JpdGVy") as writer:
        with pytest.raises(elasticsearch.AuthorizationException):
            writer.indices.create_data_stream(name="other")
        with pytest.raises(elasticsearch.NotFoundError):
            writer.count(index="other")
        server.faults = [lost(stored=True)]
        with pytest.raises(elasticsearch.ConnectionError):
            writer.options(max_retries=0).bulk(
                index="vlpro-audit", operations=[{"create": {"_id": "1"}}, DOCUMENT]
            )
    assert len(server.documents()) == 1
    server.most_bytes = 100
    two: list[dict[str, Any]] = [{"create": {"_id": "2"}}, DOCUMENT, {"create": {}}, DOCUMENT]
    with (
        elasticsearch.Elasticsearch(address, api_key="d3JpdGVy") as writer,
        pytest.raises(elasticsearch.ApiError) as found,
    ):
        writer.bulk(index="vlpro-audit", operations=two)
    assert found.value.status_code == 413


@pytest.mark.parametrize(
    ("body", "kind", "code"),
    [
        (
            b'{"create":{"_id":"1"}}\n{"@timestamp":"2026-11-27T00:00:48Z"}',
            "application/x-ndjson",
            400,
        ),  # no newline
        (b'{"create":{"_id":"1","_type":"_doc"}}\n{}\n', "application/x-ndjson", 400),
        (b'{"create":{"_id":"1"}}\n', "application/x-ndjson", 400),
        (b"nonsense\n{}\n", "application/x-ndjson", 400),
        (b'{"create":{"_id":"1"}}\n{}\n', "text/plain", 406),
        (b"\n", "application/x-ndjson", 400),
    ],
)
def test_malformed_requests_are_refused_as_a_whole(
    body: bytes, kind: str, code: int, server: ElasticServer
) -> None:
    answer = httpx.post(
        f"http://127.0.0.1:{server.port}/vlpro-audit/_bulk",
        content=body,
        headers={"Content-Type": kind, "Authorization": "ApiKey d3JpdGVy"},
        timeout=30,
    )
    assert answer.status_code == code
    assert answer.json()["status"] == code
    assert server.documents() == []
