"""Requests that nginx takes: each is one, in time, and so many and so large as they may be."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.deploy.conftest import Recorded
from tests.deploy.nginx import (
    ANOTHER,
    HOST,
    INSIDE,
    SERVER,
    SHIPPED,
    Reply,
    is_envelope,
    read_all,
    read_reply,
)
from vlpro.config import Settings

# Each test that counts requests has an address of its own, and with it limits of its own.
LOGIN, PAGES, UPLOADS, PROVIDER = (f"127.0.0.{number}" for number in (4, 5, 6, 7))


# --- One request is one request

SMUGGLED = f"GET /smuggled HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    "headers",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked\r\nContent-Length: 0",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 6",
        "Content-Length: +5",
        "Content-Length: 5\r\nTransfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: \x0bchunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding : chunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    ],
)
def test_a_request_whose_end_is_unclear_is_refused(recorded: Recorded, headers: str) -> None:
    start = f"POST /first HTTP/1.1\r\nHost: {HOST}\r\n{headers}\r\n\r\n0\r\n\r\n"
    answer = recorded.nginx.send((start + SMUGGLED).encode())
    assert re.match(rb"HTTP/1\.1 (400|501) ", answer), answer
    assert answer.count(b"HTTP/1.1 ") == 1  # closed after it
    assert recorded.recorder.seen == []


@pytest.mark.parametrize(
    ("end", "refused"),
    [
        ("-1\r\n\r\n", True),
        ("0x0\r\n\r\n", True),
        ("ffffffffffffffff1\r\n", True),
        ("0\n\n", False),
        ("0;x=\n\r\n", False),
    ],
)
def test_broken_chunks_are_refused_or_mended(recorded: Recorded, end: str, *, refused: bool) -> None:
    start = f"POST /first HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n{end}"
    answers = recorded.nginx.send((start + SMUGGLED).encode())
    statuses = re.findall(rb"HTTP/1\.1 (\d+) ", answers)
    # What nginx takes, it takes for a request of its own, with all its checks, and writes it anew for the service.
    assert statuses == ([b"400"] if refused else [b"200", b"200"])
    for came in recorded.recorder.seen:
        assert came.all("X-Forwarded-For") == [INSIDE]
        assert came.body == b""


def test_only_the_pages_own_connection_changes_its_protocol(recorded: Recorded) -> None:
    cases = [
        ("/v1/models", "h2c"),
        ("/v1/models", "websocket"),
        ("/_stcore/stream", "h2c"),
        ("/_stcore/stream:websocket", "websocket"),
        ("/_stcore/stream", "websocket, h2c"),
    ]
    for target, protocol in cases:
        headers = [
            ("Upgrade", protocol),
            ("Connection", "Upgrade, HTTP2-Settings"),
            ("HTTP2-Settings", "AAMAAABk"),
        ]
        recorded.nginx.get(target, source=ANOTHER, headers=headers)
        came = recorded.recorder.seen.pop()
        assert came.all("Upgrade") == []
        assert came.all("Connection") == []


def test_what_a_page_asks_by_itself_is_told_as_such(recorded: Recorded) -> None:
    """Else a page that lies open would keep its session for ever."""
    recorded.nginx.get("/v1/status", headers=[("X-Vlpro-Background", "1")])
    assert recorded.recorder.seen.pop().all("X-Vlpro-Background") == ["1"]


# --- Limits


def test_tries_to_sign_in_are_few_a_minute(recorded: Recorded) -> None:
    nginx, form = recorded.nginx, b"login=sec&password=x"
    targets = ("/login", "/login/code", "/setup", "//login", "/%6cogin", "/x/../login")
    began = time.monotonic()
    replies = [nginx.ask("POST", targets[n % len(targets)], source=LOGIN, body=form) for n in range(30)]
    statuses = [reply.status for reply in replies]
    assert statuses[:11] == [200] * 11
    assert statuses.count(200) <= 12 + (time.monotonic() - began) // 6
    assert set(statuses) == {200, 429}
    reply = next(reply for reply in reversed(replies) if reply.status == 429)
    assert reply.one("Retry-After") == "6"
    assert reply.one("Content-Type") == "text/html; charset=utf-8"
    assert "请稍候" in reply.text
    # The page itself, and everybody else, are not held up.
    assert nginx.get("/login", source=LOGIN).status == 200
    assert nginx.ask("POST", "/login", source=ANOTHER, body=form).status == 200


def test_errands_to_the_companys_provider_are_few_a_minute(recorded: Recorded) -> None:
    targets = ("/login/oidc", "/login/oidc/callback?code=x")
    began = time.monotonic()
    statuses = [recorded.nginx.get(targets[n % 2], source=PROVIDER).status for n in range(30)]
    assert 11 <= statuses.count(200) <= 12 + (time.monotonic() - began) // 6


def test_a_flood_is_answered_429(recorded: Recorded) -> None:
    one = f"GET /v1/models HTTP/1.1\r\nHost: {recorded.nginx.host}\r\n".encode()
    began = time.monotonic()
    answers = recorded.nginx.send((one + b"\r\n") * 399 + one + b"Connection: close\r\n\r\n", PAGES)
    statuses = re.findall(rb"HTTP/1\.1 (\d+) ", answers)
    assert set(statuses) == {b"200", b"429"}
    assert 150 <= statuses.count(b"200") < 160 + 30 * (time.monotonic() - began)
    error = re.findall(rb"\{\"error.*?\}\}\}", answers)[-1]
    assert is_envelope("application/json", error, "rate_limit_exceeded")


def test_one_address_holds_so_many_requests_at_once(recorded: Recorded) -> None:
    start = f"POST /v1/images HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 9\r\n\r\n1".encode()
    with ExitStack() as held:
        for _ in range(100):
            held.enter_context(recorded.nginx.connect(UPLOADS)).sendall(start)
        refused = eventually(
            lambda: recorded.nginx.get("/v1/models", source=UPLOADS), lambda r: r.status == 429
        )
        assert is_envelope(refused.one("Content-Type"), refused.body, "rate_limit_exceeded")
        assert recorded.nginx.get("/v1/models", source=ANOTHER).status == 200
    eventually(lambda: recorded.nginx.get("/v1/models", source=UPLOADS), lambda reply: reply.status == 200)


def eventually(ask: Callable[[], Reply], condition: Callable[[Reply], bool]) -> Reply:
    """Ask until the answer is as it should be."""
    deadline = time.monotonic() + 30
    while not condition(answer := ask()):
        assert time.monotonic() < deadline, answer
        time.sleep(0.05)
    return answer


def test_bodies_are_no_larger_than_the_service_takes(recorded: Recorded) -> None:
    config = (SHIPPED / "vlpro.conf").read_text(encoding="utf-8")
    assert f"client_max_body_size {Settings.model_fields['max_body_bytes'].default};" in config
    start = f"POST /v1/images HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n"
    for length, status in ((65_000_000, 413), (64_000_001, 413)):
        with recorded.nginx.connect() as connection:
            connection.sendall(f"{start}Content-Length: {length}\r\n\r\n".encode() + b"x" * 1000)
            reply = read_reply(connection)
        assert reply.status == status
        assert is_envelope(reply.one("Content-Type"), reply.body, "request_too_large")
    reply = recorded.nginx.ask("POST", "/v1/images", body=bytes(64_000_000))
    assert reply.status == 200
    assert len(recorded.recorder.seen.pop().body) == 64_000_000
    piece = b"100000\r\n" + bytes(0x100000) + b"\r\n"
    with recorded.nginx.connect() as connection:
        try:
            connection.sendall(f"{start}Transfer-Encoding: chunked\r\n\r\n".encode())
            for _ in range(63):
                connection.sendall(piece)
        except OSError:
            pass  # it hung up, having answered
        assert b" 413 " in read_all(connection)[:20]


def test_who_is_slow_is_left(recorded: Recorded) -> None:
    nginx = recorded.nginx

    def handshake() -> float:
        with socket.create_connection((SERVER, nginx.port), 15) as connection:
            return until_closed(connection, None)

    def header() -> float:
        with nginx.connect() as connection:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n".encode())
            return until_closed(connection, b"X: y\r\n")

    def body() -> float:
        with nginx.connect() as connection:
            connection.sendall(f"POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 9\r\n\r\n1".encode())
            return until_closed(connection, None)

    def until_closed(connection: socket.socket, drip: bytes | None) -> float:
        started = time.monotonic()
        connection.settimeout(0.5)
        while time.monotonic() - started < 45:
            try:
                if not connection.recv(4096):
                    break
            except TimeoutError:
                if drip is not None:
                    connection.sendall(drip)
            except OSError:
                break
        return time.monotonic() - started

    with ThreadPoolExecutor() as pool:
        waits = [pool.submit(wait) for wait in (handshake, header, body)]
        # 10 seconds; nginx by itself gives a minute.
        assert all(5 < wait.result() < 40 for wait in waits), [wait.result() for wait in waits]
    assert recorded.recorder.seen == []
