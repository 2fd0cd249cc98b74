"""Generated requests: whatever comes in, the answer is one that the API's description promises, and never a 5xx.

The examples are the same in every run (derandomised). For a long run with others each time:
``FUZZ_EXAMPLES=2000 pytest tests/functional/test_fuzz.py``.
"""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.functional.server import MODEL, Server, chat, data_url, picture_file
from vlpro import schema as wire

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "25"))
LONG = "FUZZ_EXAMPLES" in os.environ
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]

bounded = settings(
    max_examples=EXAMPLES,
    derandomize=not LONG,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="session")
def described(server: Server) -> Any:
    return schemathesis.openapi.from_url(f"{server.url}/v1/openapi.json")


OPERATIONS = [
    ("POST", "/chat/completions"),
    ("POST", "/responses"),
    ("POST", "/conversations/{conversation_id}/exports"),
    ("GET", "/models"),
    ("GET", "/models/{name}"),
    ("GET", "/prompts"),
    ("POST", "/images"),
    ("GET", "/images/{image_id}"),
    ("DELETE", "/images/{image_id}"),
    ("GET", "/images/{image_id}/content"),
    ("GET", "/conversations"),
    ("POST", "/conversations"),
    ("DELETE", "/conversations"),
    ("POST", "/conversations/search"),
    ("PUT", "/conversations/{conversation_id}"),
    ("GET", "/conversations/{conversation_id}"),
    ("DELETE", "/conversations/{conversation_id}"),
    ("POST", "/conversations/{conversation_id}/messages"),
    ("GET", "/conversations/{conversation_id}/messages/{message_id}"),
    ("GET", "/conversations/{conversation_id}/messages/{message_id}/annotated"),
    ("POST", "/conversations/{conversation_id}/stop"),
    ("GET", "/status"),
    ("POST", "/inspections"),
    ("GET", "/inspections"),
    ("GET", "/inspections/templates"),
    ("PUT", "/inspections/templates/{product}"),
    ("GET", "/inspections/templates/{product}"),
    ("DELETE", "/inspections/templates/{product}"),
    ("GET", "/inspections/templates/{product}/picture"),
    ("GET", "/inspections/alerts"),
    ("GET", "/inspections/alerts/{alert_id}"),
    ("POST", "/inspections/alerts/{alert_id}/acknowledge"),
    ("GET", "/inspections/{inspection_id}"),
    ("DELETE", "/inspections/{inspection_id}"),
    ("GET", "/inspections/{inspection_id}/picture"),
    ("POST", "/inspections/{inspection_id}/decision"),
    ("POST", "/extractions"),
    ("GET", "/extractions"),
    ("GET", "/extractions/templates"),
    ("GET", "/extractions/export"),
    ("GET", "/extractions/corrections"),
    ("GET", "/extractions/{extraction_id}"),
    ("DELETE", "/extractions/{extraction_id}"),
    ("GET", "/extractions/{extraction_id}/pages/{page}/content"),
    ("PUT", "/extractions/{extraction_id}/fields"),
    ("POST", "/extractions/{extraction_id}/approve"),
    ("POST", "/extractions/{extraction_id}/return"),
    ("GET", "/extractions/{extraction_id}/deliveries"),
    ("POST", "/extractions/{extraction_id}/deliveries"),
    ("POST", "/extractions/{extraction_id}/deliveries/{delivery_id}/retry"),
    ("POST", "/files"),
    ("GET", "/files"),
    ("GET", "/files/{file_id}"),
    ("DELETE", "/files/{file_id}"),
    ("GET", "/files/{file_id}/content"),
    ("POST", "/batches"),
    ("GET", "/batches"),
    ("GET", "/batches/{batch_id}"),
    ("DELETE", "/batches/{batch_id}"),
    ("POST", "/batches/{batch_id}/cancel"),
    ("POST", "/batches/{batch_id}/pause"),
    ("POST", "/batches/{batch_id}/resume"),
    ("GET", "/batches/{batch_id}/lines"),
    ("GET", "/batches/{batch_id}/results"),
    ("POST", "/reports"),
    ("GET", "/reports"),
    ("GET", "/reports/{report_id}"),
    ("DELETE", "/reports/{report_id}"),
    ("GET", "/reports/{report_id}/images/{number}"),
    ("GET", "/reports/{report_id}/document"),
    ("POST", "/reports/{report_id}/cancel"),
    ("POST", "/knowledge-bases"),
    ("GET", "/knowledge-bases"),
    ("POST", "/knowledge-bases/search"),
    ("GET", "/knowledge-bases/{base_id}"),
    ("PATCH", "/knowledge-bases/{base_id}"),
    ("DELETE", "/knowledge-bases/{base_id}"),
    ("POST", "/knowledge-bases/{base_id}/search"),
    ("GET", "/knowledge-bases/{base_id}/documents"),
    ("PUT", "/knowledge-bases/{base_id}/documents/{name}"),
    ("GET", "/knowledge-bases/{base_id}/documents/{name}"),
    ("DELETE", "/knowledge-bases/{base_id}/documents/{name}"),
    ("POST", "/knowledge-bases/{base_id}/documents/{name}/cancel"),
    ("GET", "/knowledge-bases/{base_id}/documents/{name}/pages/{number}"),
]


def test_the_list_of_operations_is_complete(described: Any) -> None:
    paths = described.raw_schema["paths"].items()
    assert sorted((m.upper(), path) for path, methods in paths for m in methods) == sorted(OPERATIONS)


CAN_BE_WRONG = {  # the rest has nothing that could be: no body, or one that is any file
    "/chat/completions",
    "/responses",
    "/images/{image_id}/content",
    "/conversations",
    "/conversations/search",
    "/conversations/{conversation_id}/messages",
    "/conversations/{conversation_id}/messages/{message_id}/annotated",
    "/inspections",
}
WRONG = [
    (m, p)
    for m, p in OPERATIONS
    if p in CAN_BE_WRONG and (m == "POST" or p.endswith(("content", "annotated")))
]


@pytest.mark.parametrize(
    ("method", "path", "mode"),
    [(m, p, GenerationMode.POSITIVE) for m, p in OPERATIONS]
    + [(m, p, GenerationMode.NEGATIVE) for m, p in WRONG],
)
def test_every_route_keeps_its_description(
    described: Any, method: str, path: str, mode: GenerationMode
) -> None:
    @given(described[path][method].as_strategy(generation_mode=mode))
    @bounded
    def keeps(case: Any) -> None:
        case.call_and_validate(checks=CHECKS, timeout=60)

    keeps()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["user", "text", "image_url", "system", data_url(picture_file(8, 8)), "json_object"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=5) | st.sampled_from(["role", "content", "type", "text", "image_url", "url"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
FIELDS = sorted(wire.ChatRequest.model_fields)
GOOD = chat("hi", picture_file(8, 8))


def _fine(reply: httpx.Response) -> None:
    assert reply.status_code < 500, reply.text
    assert reply.headers["x-request-id"]
    if reply.status_code >= 400:
        wire.ErrorEnvelope.model_validate_json(reply.content)


@given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=3))
@bounded
def test_a_good_request_with_some_fields_replaced(server: Server, fields: dict[str, Any]) -> None:
    _fine(server.post("/v1/chat/completions", GOOD | fields))


@given(JSON)
@bounded
def test_any_content(server: Server, content: Any) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": content}]}
    _fine(server.post("/v1/chat/completions", body))
    _fine(server.post("/v1/responses", {"model": MODEL, "input": content}))


@given(JSON)
@bounded
def test_any_schema_for_the_answer(server: Server, schema: Any) -> None:
    kind = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    _fine(server.post("/v1/chat/completions", chat("x", response_format=kind)))


@given(st.data())
@bounded
def test_a_good_body_with_some_bytes_changed(server: Server, data: st.DataObject) -> None:
    body = bytearray(json.dumps(GOOD).encode())
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(body) - 1))
        if data.draw(st.booleans()):
            body[place] = data.draw(st.integers(0, 255))
        else:
            body[place : place + data.draw(st.integers(0, 20))] = data.draw(st.binary(max_size=8))
    with server.http(headers={"content-type": "application/json"}) as http:
        _fine(http.post("/v1/chat/completions", content=bytes(body)))


FILES = [picture_file(40, 30, kind=kind) for kind in ("JPEG", "PNG", "WEBP", "BMP")]


@given(st.data())
@bounded
def test_pictures_with_some_bytes_changed(server: Server, data: st.DataObject) -> None:
    picture = bytearray(data.draw(st.sampled_from(FILES)))
    for _ in range(data.draw(st.integers(1, 8))):
        # Most faults are in headers.
        place = data.draw(st.integers(0, min(len(picture), 120) - 1) | st.integers(0, len(picture) - 1))
        picture[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.just(len(picture)) | st.integers(0, len(picture)))
    with server.http() as http:
        reply = http.post("/v1/images", content=bytes(picture[:cut]))
        _fine(reply)
        if reply.status_code == 201:
            assert http.get(f"/v1/images/{reply.json()['id']}/content").status_code == 200


@given(
    st.text(max_size=200)
    | st.from_regex(r"data:[a-z/;=]{0,30}(;base64)?,[A-Za-z0-9+/=\s-]{0,60}", fullmatch=True)
)
@bounded
def test_any_picture_url(server: Server, url: str) -> None:
    reply = server.post("/v1/chat/completions", chat("x", url))
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == "messages[0].content[0].image_url.url"


@given(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"]),
    st.text(st.characters(codec="utf-8", exclude_characters="?#"), max_size=30),
)
@bounded
def test_any_path(server: Server, method: str, path: str) -> None:
    with server.http() as http:
        reply = http.request(method, f"/v1/{quote(path)}")
    assert reply.status_code < 500
    assert reply.headers["x-request-id"]


@given(st.dictionaries(
    st.sampled_from(["host", "origin", "sec-fetch-site", "sec-fetch-mode", "x-forwarded-for", "x-forwarded-proto",
                     "content-type", "content-encoding", "forwarded", "authorization", "accept", "cookie"]),
    st.binary(max_size=40).filter(lambda value: not set(value) & set(b"\r\n\0")).map(bytes.strip),
))  # fmt: skip
@bounded
def test_any_headers(server: Server, headers: dict[str, bytes]) -> None:
    lines = b"".join(name.encode() + b": " + value + b"\r\n" for name, value in headers.items())
    if "host" not in headers:
        lines += b"host: 127.0.0.1\r\n"
    body = json.dumps(chat()).encode()
    request = b"POST /v1/chat/completions HTTP/1.1\r\nconnection: close\r\ncontent-length: %d\r\n" % len(body)
    status = server.raw(request + lines + b"\r\n" + body).split(b"\r\n")[0]
    assert status.startswith((b"HTTP/1.1 2", b"HTTP/1.1 4")), status


@given(
    st.lists(
        st.sampled_from(["ask", "image", "stop", "new", "clear", "replace", "get", "delete"]), max_size=12
    )
)
@bounded
def test_any_order_of_calls(server: Server, calls: list[str]) -> None:
    """Whatever a page does, in whatever order, nothing breaks; what is cleared is free."""
    with server.http() as http:
        talk = http.post("/v1/conversations", json={}).json()["id"]
        path = f"/v1/conversations/{talk}"
        images: list[str] = []
        for call in calls:
            match call:
                case "ask":
                    _fine(http.post(f"{path}/messages", json={"text": "count to 30", "images": images[-2:]}))
                case "replace":
                    messages = http.get(path).json().get("messages", [])
                    body = {
                        "text": "box",
                        "images": images[-1:],
                        "replaces": messages[0]["id"] if messages else "x",
                    }
                    _fine(http.post(f"{path}/messages", json=body))
                case "image":
                    images.append(http.post("/v1/images", content=FILES[len(images) % 4]).json()["id"])
                case "stop":
                    _fine(http.post(f"{path}/stop"))
                case "clear":
                    _fine(http.delete(path))
                case "get":
                    _fine(http.get(path))
                case "delete":
                    _fine(http.delete(f"/v1/images/{images[-1] if images else 'x'}"))
                case "new":
                    talk = http.post("/v1/conversations", json={}).json()["id"]
                    path = f"/v1/conversations/{talk}"
        assert http.delete("/v1/conversations").status_code == 200
        assert http.get("/v1/conversations").json()["data"] == []
        for image in images:
            http.delete(f"/v1/images/{image}")
            assert http.get(f"/v1/images/{image}").status_code == 404
