"""Every error of every route comes in OpenAI's envelope, with a request id."""

from __future__ import annotations

import socket

import httpx
import pytest

from tests.functional.server import MODEL, Server, chat, picture_file

CHAT = "/v1/chat/completions"


def envelope(reply: httpx.Response, status: int, code: str, param: str | None = None) -> None:
    assert reply.status_code == status, reply.text
    assert reply.headers["x-request-id"].startswith("req_")
    assert reply.headers["content-type"] == "application/json"
    body = reply.json()
    assert body.keys() == {"error"}
    error = body["error"]
    assert error.keys() == {"message", "type", "param", "code", "vlpro"}
    assert (error["code"], error["param"]) == (code, param)
    assert error["message"]
    assert error["vlpro"]["zh"]


@pytest.mark.parametrize(
    "path",
    ["/", "/nope", "/v1/", "/v1/nope", "/v1/chat", f"{CHAT}/", "/v1/models/", "/v1//models", "/v1/models/x/y",
     "/v1/images/img_x", "/v1/images/img_x/content", "/v1/conversations/conv_x", "/v1/embeddings",
     "/v1/conversations/conv_x/messages/msg_x", "/v1/%00", "/v1/%FF", "/v1/models/%F0%9F%90%B1"],
)  # fmt: skip
def test_not_found(server: Server, path: str) -> None:
    with server.http() as http:
        reply = http.get(path)
    code = reply.json()["error"]["code"]
    assert code in (
        "not_found",
        "model_not_found",
        "image_not_found",
        "conversation_not_found",
        "method_not_allowed",
    )
    envelope(
        reply, 405 if code == "method_not_allowed" else 404, code, "model" if code[:5] == "model" else None
    )


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
@pytest.mark.parametrize("path", [CHAT, "/v1/responses"])
def test_method_not_allowed(server: Server, method: str, path: str) -> None:
    with server.http() as http:
        reply = http.request(method, path)
    envelope(reply, 405, "method_not_allowed")
    assert reply.headers["allow"] == "POST"


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/v1/models", "/v1/status", "/v1/docs", "/v1/images/x"]
)
def test_method_not_allowed_elsewhere(server: Server, path: str) -> None:
    envelope(server.post(path, {}), 405, "method_not_allowed")


@pytest.mark.parametrize("path", [CHAT, "/v1/models", "/nope"])
def test_head_has_no_body(server: Server, path: str) -> None:
    with server.http() as http:
        reply = http.head(path)
    assert reply.status_code in (404, 405)
    assert reply.content == b""
    assert reply.headers["x-request-id"]


@pytest.mark.parametrize("path", [CHAT, "/v1/responses", "/v1/conversations"])
@pytest.mark.parametrize(
    "media",
    [
        None,
        b"",
        b"text/plain",
        b"multipart/form-data; boundary=x",
        b"application/jsonx",
        b"application/x-www-form-urlencoded",
        b"application/vnd.api+json",
        b"\x80",
    ],
)
def test_not_sent_as_json(server: Server, path: str, media: bytes | None) -> None:
    headers = {} if media is None else {b"content-type": media}
    with server.http() as http:
        reply = http.post(path, content=b"{}", headers=headers)
    envelope(reply, 400, "invalid_content_type")


def test_json_with_a_charset(server: Server) -> None:
    with server.http() as http:
        headers = {"content-type": "Application/JSON; charset=UTF-8"}
        reply = http.post("/v1/conversations", content=b"{}", headers=headers)
    assert reply.status_code == 201


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, identity"])
def test_compressed(server: Server, encoding: str) -> None:
    reply = server.post(CHAT, chat(), headers={"content-encoding": encoding})
    envelope(reply, 400, "invalid_content_encoding")


def test_body_too_large(narrow: Server) -> None:
    envelope(narrow.post(CHAT, chat("x" * 500_000)), 413, "request_too_large")


@pytest.mark.parametrize("path", [CHAT, "/v1/images", "/v1/responses", "/v1/conversations"])
def test_body_too_large_in_chunks(narrow: Server, path: str) -> None:
    with narrow.http() as http:
        reply = http.post(
            path, content=(b" " * 50_000 for _ in range(20)), headers={"content-type": "application/json"}
        )
    envelope(reply, 413, "request_too_large")
    assert narrow.post(CHAT, chat("count to 1")).status_code == 200


def test_body_of_an_impossible_length(narrow: Server) -> None:
    head = f"POST {CHAT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "
    reply = narrow.raw(f"{head}{10**19 - 1}\r\n\r\n{{".encode(), until=b'"request_too_large"')
    assert reply.startswith(b"HTTP/1.1 413 ")
    assert b'"request_too_large"' in reply
    assert narrow.post(CHAT, chat("count to 1")).status_code == 200


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "0x10", "1_0", ""])
def test_length_that_is_no_number(server: Server, length: str) -> None:
    head = f"POST {CHAT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "
    assert server.raw(f"{head}{length}\r\n\r\n{{}}".encode()).startswith(b"HTTP/1.1 4")


def test_request_smuggling_is_no_second_request(server: Server) -> None:
    inner = b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    head = (
        f"POST {CHAT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(inner) + 5}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n"
    )
    assert b'"object":"list"' not in server.raw(head.encode() + inner)


def test_body_that_stops_coming(hasty: Server) -> None:
    head = f"POST {CHAT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    head += "Content-Length: 100\r\n\r\n{"
    reply = hasty.raw(head.encode(), until=b'"request_timeout"')
    assert reply.startswith(b"HTTP/1.1 408 ")
    assert b'"request_timeout"' in reply


def test_client_that_leaves_within_the_body(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    head = f"POST {CHAT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    head += "Content-Length: 100\r\n\r\n{"
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head.encode())
    assert server.post(CHAT, chat()).status_code == 200
    assert server.idle()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_curl_waits_for_100_continue(server: Server) -> None:
    head = b"POST /v1/images HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nExpect: 100-continue\r\n"
    body = picture_file()
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(head + f"Content-Length: {len(body)}\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert connection.recv(100).startswith(b"HTTP/1.1 201 ")


@pytest.mark.parametrize(
    ("size", "code"), [("1", "invalid_value"), ("9999", "invalid_value"), ("x", "invalid_type")]
)
def test_query_is_named(server: Server, size: str, code: str) -> None:
    with server.http() as http:
        envelope(http.get(f"/v1/images/x/content?size={size}"), 400, code, "size")


def test_request_ids_differ_and_are_the_services_own(server: Server) -> None:
    with server.http() as http:
        ids = [
            http.get("/v1/models", headers={"x-request-id": "mine"}).headers["x-request-id"] for _ in range(5)
        ]
    assert len(set(ids)) == 5
    assert "mine" not in ids


def test_a_bug_inside_is_a_500_in_the_envelope(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(server.services.chat, "check_model", broken)
    reply = server.post(CHAT, chat())
    envelope(reply, 500, "internal_error")
    assert "secret" not in reply.text
    monkeypatch.undo()
    assert (
        server.post(CHAT, {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}).status_code
        == 200
    )
