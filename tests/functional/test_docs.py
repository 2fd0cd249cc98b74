"""The API's own description: complete, valid, and readable without a network."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import jsonschema_rs
import pytest

from tests.functional.server import Json, Server


@pytest.fixture(scope="module")
def document(server: Server) -> Json:
    with server.http() as http:
        reply = http.get("/v1/openapi.json")
    assert reply.headers["content-type"] == "application/json"
    return dict(reply.json())


def test_every_operation_tells_its_errors(document: Json) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            told = operation["responses"]
            assert "422" not in told, (method, path)  # FastAPI's own shape, which is never sent
            schema = told["default"]["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/ErrorEnvelope"}
            assert operation["description"]


def test_paths_are_those_of_the_server(document: Json, server: Server) -> None:
    assert document["servers"] == [{"url": "/v1"}]
    assert "/chat/completions" in document["paths"]


def test_all_references_lead_somewhere(document: Json) -> None:
    names = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    assert names <= document["components"]["schemas"].keys()
    for name in names:
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        jsonschema_rs.validator_for(schema)


class _Loaded(HTMLParser):
    """Collects what a browser would load."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "action", "data")]


def test_the_page_loads_nothing(server: Server) -> None:
    with server.http() as http:
        reply = http.get("/v1/docs")
        assert reply.headers["content-type"].startswith("text/html")
        page = _Loaded()
        page.feed(reply.text)
        assert not page.tags & {"script", "img", "link", "iframe", "object", "embed", "form", "base"}
        assert page.links == ["openapi.json"]
        assert http.get("/v1/openapi.json").status_code == 200
        assert "@import" not in reply.text
        assert "url(" not in reply.text
    for path in ("/chat/completions", "/responses", "/models", "/images/{image_id}/content", "/status"):
        assert f"/v1{path}" in reply.text
