"""Profile local: no web page of anybody else, and no other machine, can use the service."""

from __future__ import annotations

import pytest

from tests.functional.server import Server, chat

CHAT = "/v1/chat/completions"


def _status(server: Server, method: str = "GET", path: str = "/v1/models", **headers: str) -> tuple[int, str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with server.http() as http:
        reply = http.request(method, path, headers=named)
    assert reply.headers["x-request-id"]
    assert not any(name.startswith("access-control") for name in reply.headers)
    return reply.status_code, reply.json()["error"]["code"] if reply.status_code >= 400 else ""


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil@127.0.0.1:{port}",
        "127.0.0.1:{port}@evil.example",
        "127.0.0.1:{port}:1",
        "127.0.0.1:x",
        "127.0.0.1 evil.example",
        "127.0.0.1,evil.example",
        "127.0.0.1/",
        "127.0.0.1.",
        "0.0.0.0",  # noqa: S104 - a name that is refused
        "0x7f000001",
        "2130706433",
        "[::1",
        "::1",
        "[::ffff:127.0.0.1]",
        "[::1]evil",
        "",
    ],
)
@pytest.mark.parametrize("path", ["/v1/models", "/healthz", "/nope"])
def test_dns_rebinding(server: Server, host: str, path: str) -> None:
    host = host.replace("{port}", str(server.port))
    reply = server.raw(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert reply.startswith((b"HTTP/1.1 403 ", b"HTTP/1.1 400 ")), reply
    assert b"200 OK" not in reply


def test_no_host_at_all(server: Server) -> None:
    assert server.raw(b"GET /v1/models HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 403 ")
    assert server.raw(b"GET /v1/models HTTP/1.1\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_two_hosts(server: Server) -> None:
    hosts = b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    assert server.raw(hosts).startswith(b"HTTP/1.1 4")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:{port}", "localhost:1", "LOCALHOST", "[::1]:{port}", "[::1]"]
)
def test_own_names(server: Server, host: str) -> None:
    assert _status(server, host=host.replace("{port}", str(server.port))) == (200, "")


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "https://evil.example",
        "http://evil.example:{port}",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "http://localhost:{port}",
        "http://127.0.0.1:{port}.evil.example",
        "http://127.0.0.1:{port}@evil.example",
        "http://evil@127.0.0.1:{port}",
        "http://[",
        "http://[::1",
        "chrome-extension://abcdef",
        "file://",
        "//",
        "127.0.0.1:{port}",
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/status"), ("POST", CHAT), ("DELETE", "/v1/conversations/x")]
)
def test_pages_of_other_origins(server: Server, origin: str, method: str, path: str) -> None:
    origin = origin.replace("{port}", str(server.port))
    assert _status(server, method, path, origin=origin) == (403, "origin_not_allowed")


def test_own_page(server: Server) -> None:
    own = {"origin": server.url, "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}
    assert server.post(CHAT, chat(), headers=own).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site", "odd"])
def test_fetched_by_a_page_of_another_site(server: Server, site: str) -> None:
    headers = {"sec_fetch_site": site, "sec_fetch_mode": "no-cors"}
    assert _status(server, **headers) == (403, "origin_not_allowed")
    assert _status(server, "POST", CHAT, **headers) == (403, "origin_not_allowed")


def test_a_link_to_the_service_may_be_followed(server: Server) -> None:
    assert _status(server, sec_fetch_site="cross-site", sec_fetch_mode="navigate") == (200, "")
    assert _status(server, sec_fetch_site="none", sec_fetch_mode="navigate") == (200, "")


def test_a_preflight_is_not_granted(server: Server) -> None:
    with server.http() as http:
        reply = http.options(
            CHAT, headers={"origin": "https://evil.example", "access-control-request-method": "POST"}
        )
    assert reply.status_code == 403
    assert not any(name.startswith("access-control") for name in reply.headers)


@pytest.mark.parametrize(
    "address", ["10.0.0.5", "garbage", "", "unix:", "127.0.0.1, 8.8.8.8", "::ffff:8.8.8.8", "é"]
)
def test_a_forwarded_address_never_opens_anything(server: Server, address: str) -> None:
    """The server believes forwarded headers of this machine: then they may close the door, never open it."""
    with server.http() as http:
        reply = http.get("/v1/models", headers={b"x-forwarded-for": address.encode()})
    assert reply.status_code in (200, 403)
    assert reply.headers["x-request-id"]


@pytest.mark.parametrize("key", ["Bearer anything", "Bearer", "Basic eDp5", "nonsense"])
def test_any_key_or_none(server: Server, key: str) -> None:
    assert _status(server, authorization=key) == (200, "")
    assert _status(server) == (200, "")
