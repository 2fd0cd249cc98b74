from __future__ import annotations

import json
import os
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.deploy.conftest import PASSWORD, Optional, Person, Recorded
from tests.deploy.nginx import (
    HOST,
    INSIDE,
    LARGE,
    OUTSIDE,
    SERVER,
    SHIPPED,
    UNKNOWN_TO_POLICY,
    Nginx,
    Recorder,
    Reply,
    read_all,
    read_reply,
    running_nginx,
)
from tests.functional.server import MODEL, chat, picture_file
from vlpro.config import Settings
from vlpro.gateway.errors import STATUS
from vlpro.schema import ErrorEnvelope

# Each test that counts requests has an address of its own, and with it limits of its own.
ANOTHER, LOGIN, PAGES, UPLOADS, PROVIDER = (f"127.0.0.{number}" for number in (3, 4, 5, 6, 7))

HSTS = "Strict-Transport-Security"
HIDDEN = ("/healthz", "/readyz", "/metrics", "/v1/docs", "/v1/openapi.json")
HTML = ("Accept", "text/html")


def is_envelope(reply_type: str, body: bytes, code: str) -> bool:
    """Whether an answer is an error as the service's own are, with a sentence in both languages."""
    error = ErrorEnvelope.model_validate_json(body).error
    zh = (error.vlpro or {}).get("zh", "")
    return reply_type == "application/json" and error.code == code and bool(error.message) and zh > "一"


# --- Who may come


@pytest.mark.parametrize(
    "target",
    [
        "/", "/login", "/setup", "/login/assets/pages.css", "/static/js/index.js", "/_stcore/stream",
        "/_stcore/health", "/_stcore/host-config", "/v1/models", "/account/password", "/nothing", "//", "/%2e",
        "http://vlpro.test/login", "/?next=/healthz", "/v1/models?/healthz", "/x#/healthz",
    ],
)  # fmt: skip
def test_who_comes_from_elsewhere_gets_401(recorded: Recorded, target: str) -> None:
    reply = recorded.nginx.get(target, source=OUTSIDE)
    assert reply.status == 401
    assert reply.one("WWW-Authenticate") == 'Bearer realm="vlpro"'
    assert reply.one(HSTS) == "max-age=31536000"
    assert recorded.nginx.get("/here", source=ANOTHER).status == 200
    assert recorded.recorder.seen.pop().line == "GET /here HTTP/1.1"
    assert recorded.recorder.seen == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "X"])
def test_no_method_opens_the_door(recorded: Recorded, method: str) -> None:
    assert recorded.nginx.ask(method, "/v1/models", source=OUTSIDE).status == 401
    assert recorded.recorder.seen == []


def test_a_refusal_is_an_envelope_for_programs_and_a_page_for_people(recorded: Recorded) -> None:
    reply = recorded.nginx.get("/v1/models", source=OUTSIDE)
    assert is_envelope(reply.one("Content-Type"), reply.body, "not_authenticated")
    reply = recorded.nginx.get("/login", source=OUTSIDE)
    assert reply.one("Content-Type") == "text/html; charset=utf-8"
    assert reply.text.startswith("<!doctype html>")
    assert "联系管理员" in reply.text
    assert reply.one("Content-Security-Policy") == "default-src 'none'; frame-ancestors 'none'"
    assert reply.one("X-Content-Type-Options") == "nosniff"
    assert reply.one("Cache-Control") == "no-store"
    assert recorded.nginx.line(reply)["status"] == "401"
    assert recorded.nginx.ask("HEAD", "/login", source=OUTSIDE).body == b""


FORGED = [
    ("X-Forwarded-For", INSIDE),
    ("X-Forwarded-For", f"{INSIDE}, {INSIDE}"),
    ("X_Forwarded_For", INSIDE),
    ("Forwarded", f"for={INSIDE}"),
    ("X-Real-IP", INSIDE),
    ("X-Client-IP", INSIDE),
    ("X-Vlpro-Address", INSIDE),
    ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Proto", "http"),
    ("X-Original-URI", "/healthz"),
    ("X-Original-URL", "/healthz"),
    ("X-Rewrite-URL", "/healthz"),
    ("X-HTTP-Method-Override", "DELETE"),
    ("X-Vlpro-Login", "sec"),
    ("X-Vlpro-Role", "security"),
    ("X-Remote-User", "sec"),
]


@pytest.mark.parametrize("header", FORGED)
def test_what_the_client_says_of_itself_counts_for_nothing(
    recorded: Recorded, door: Nginx, person: Person, header: tuple[str, str]
) -> None:
    assert recorded.nginx.get("/v1/models", source=OUTSIDE, headers=[header]).status == 401
    assert recorded.nginx.get("/v1/models", source=ANOTHER, headers=[header, header]).status == 200
    came = recorded.recorder.seen.pop()
    assert came.all("X-Forwarded-For") == [ANOTHER]
    assert came.line == "GET /v1/models HTTP/1.1"
    if header[0] != "X-Forwarded-For":
        assert came.all(header[0]) == []
    # By the way through, and by the service's own lists.
    refused = door.get("/v1/models", source=UNKNOWN_TO_POLICY, headers=[header, person.bearer])
    assert refused.status == 401


def test_the_service_refuses_whom_only_nginx_lets_in(door: Nginx, person: Person) -> None:
    for headers in ([person.bearer], [person.cookie]):
        assert door.get("/v1/models", headers=headers).status == 200
        assert door.get("/v1/models", source=ANOTHER, headers=headers).status == 200
        reply = door.get("/v1/models", source=UNKNOWN_TO_POLICY, headers=headers)
        assert reply.status == 401
        assert is_envelope(reply.one("Content-Type"), reply.body, "not_authenticated")
    reply = door.get("/login", source=UNKNOWN_TO_POLICY)
    assert reply.status == 401
    assert reply.all("WWW-Authenticate") == ['Bearer realm="vlpro"']


def test_other_names_get_no_answer_and_no_certificate(recorded: Recorded) -> None:
    nginx = recorded.nginx
    for host in ("evil.example", "127.0.0.1", "localhost", f"x.{HOST}", f"{HOST}.evil.example"):
        request = f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        assert nginx.send(request) == b"", host
        with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
            nginx.connect(name=host)
    assert recorded.recorder.seen == []
    assert nginx.ask("GET", "/", host=HOST.upper()).status == 200
    assert recorded.recorder.seen.pop().all("Host") == [HOST.upper()]
    twice = f"GET / HTTP/1.1\r\nHost: {HOST}\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    assert nginx.send(twice.encode()).startswith(b"HTTP/1.1 400 ")


def test_the_service_knows_the_name_by_which_it_was_asked(door: Nginx, person: Person) -> None:
    """The check of Origin against Host holds behind nginx: with the port that the browser sees."""
    picture = picture_file()
    for origin, status in (
        (f"https://{door.host}", 201),
        (f"https://{HOST}", 403),
        ("https://evil.example", 403),
        ("null", 403),
    ):
        headers = [person.cookie, ("Origin", origin)]
        assert door.ask("POST", "/v1/images", headers=headers, body=picture).status == status, origin


# --- What is closed


@pytest.mark.parametrize("target", HIDDEN)
def test_what_monitors_ask_is_not_there_for_others(recorded: Recorded, target: str) -> None:
    for source in (ANOTHER, OUTSIDE):
        reply = recorded.nginx.get(target, source=source)
        assert reply.status == 404
        assert (reply.one("Content-Type") == "application/json") is target.startswith("/v1/")
    assert recorded.recorder.seen == []
    assert recorded.nginx.get(target).status == 200
    assert recorded.recorder.seen.pop().line == f"GET {target} HTTP/1.1"


def test_monitors_get_their_answers(door: Nginx) -> None:
    assert door.get("/healthz").text == '{"status":"ok"}'
    assert door.get("/readyz").status == 200
    for target in ("/v1/docs", "/v1/openapi.json"):
        assert door.get(target).status == 401  # from the service, for a session


BYPASSES = [
    "/%68ealthz", "/%48ealthz", "//healthz", "///healthz", "/healthz/", "/healthz//", "/./healthz", "/x/../healthz",
    "/x/%2e%2e/healthz", "/x/..%2fhealthz", "/%2fhealthz", "/%2e/healthz", "/HEALTHZ", "/healthz;x", "/healthz;/",
    "/healthz?x", "/healthz#x", "/healthz%3fx", "/healthz%23", "/healthz%20", "/healthz%00", "/healthz%0a",
    "/healthz.json", "/healthz/../healthz", "/login/../healthz", "/login/..%2fhealthz", "/static/../healthz",
    "/%2568ealthz", "/healthz%2f", "/healthz\\", "/healthz/x", "/readyz/.", "http://vlpro.test/healthz",
    "http://vlpro.test//healthz", "http://vlpro.test:1/%68ealthz", "https://user@vlpro.test/healthz",
    "/v1/%64ocs", "/v1//docs", "/v1%2fdocs", "/v1/docs/", "/v1/./docs", "/v1/x/../docs", "/V1/docs", "/v1/docs;x",
    "/v1/docs/oauth2-redirect", "/v1/openapi%2ejson", "/v1/openapi.json/", "/v1/openapi.json?x", "/v1/redoc",
]  # fmt: skip


@pytest.mark.parametrize("target", BYPASSES)
def test_no_spelling_opens_what_is_closed(door: Nginx, target: str) -> None:
    outside = door.get(target, source=OUTSIDE)
    assert outside.status in (400, 401, 404)
    for headers in ([], [HTML]):
        reply = door.get(target, source=ANOTHER, headers=headers)
        assert reply.status in (303, 400, 401, 404), reply.text
        assert '"status"' not in reply.text
        assert "openapi" not in reply.text.lower()


def test_no_spelling_reaches_the_closed_routes_with_a_session(door: Nginx, person: Person) -> None:
    for target in BYPASSES:
        reply = door.get(target, source=ANOTHER, headers=[person.cookie])
        assert reply.status in (400, 404), (target, reply.text)


def test_the_sign_in_opens_nothing_beside_itself(door: Nginx) -> None:
    assert door.get("/login", headers=[HTML]).status == 200
    for target in ("/login/x", "/login/static/js/index.js", "/login/_stcore/stream", "/setup/x", "/loginx"):
        for accepted in ("*/*", "text/html"):
            reply = door.get(target, headers=[("Accept", accepted)])
            assert reply.status in (303, 401, 404), (target, reply.text)


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
    answers = recorded.nginx.send((start + SMUGGLED).encode(), wait_s=1)
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
    replies = [nginx.ask("POST", targets[n % len(targets)], source=LOGIN, body=form) for n in range(30)]
    statuses = [reply.status for reply in replies]
    assert statuses[:11] == [200] * 11
    assert statuses.count(200) <= 12
    assert set(statuses) == {200, 429}
    reply = replies[-1]
    assert reply.one("Retry-After") == "6"
    assert reply.one("Content-Type") == "text/html; charset=utf-8"
    assert "请稍候" in reply.text
    # The page itself, and everybody else, are not held up.
    assert nginx.get("/login", source=LOGIN).status == 200
    assert nginx.ask("POST", "/login", source=ANOTHER, body=form).status == 200


def test_errands_to_the_companys_provider_are_few_a_minute(recorded: Recorded) -> None:
    targets = ("/login/oidc", "/login/oidc/callback?code=x")
    statuses = [recorded.nginx.get(targets[n % 2], source=PROVIDER).status for n in range(30)]
    assert statuses.count(200) in (11, 12)


def test_a_flood_is_answered_429(recorded: Recorded) -> None:
    one = f"GET /v1/models HTTP/1.1\r\nHost: {recorded.nginx.host}\r\n".encode()
    answers = recorded.nginx.send((one + b"\r\n") * 399 + one + b"Connection: close\r\n\r\n", PAGES)
    statuses = re.findall(rb"HTTP/1\.1 (\d+) ", answers)
    assert set(statuses) == {b"200", b"429"}
    assert 150 <= statuses.count(b"200") < 300
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
    deadline = time.monotonic() + 5
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
        while time.monotonic() - started < 14:
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
        assert all(5 < wait.result() < 12 for wait in waits), [wait.result() for wait in waits]
    assert recorded.recorder.seen == []


# --- TLS


def test_old_tls_and_weak_ciphers_are_refused(recorded: Recorded) -> None:
    def shake(*options: str) -> str:
        command = ["openssl", "s_client", "-connect", f"{SERVER}:{recorded.nginx.port}", "-servername", HOST]
        result = subprocess.run([*command, *options], input=b"", capture_output=True, timeout=20, check=False)
        return (result.stdout + result.stderr).decode(errors="replace")

    weakest = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"
    for version in ("-tls1", "-tls1_1"):
        assert "alert protocol version" in shake(version, "-cipher", weakest), version
    assert "Cipher is ECDHE-" in shake("-tls1_2")
    assert "Cipher is TLS_AES" in shake("-tls1_3")
    for weak in ("AES128-SHA", "AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-SHA", "kRSA", "aNULL"):
        assert "handshake failure" in shake("-tls1_2", "-cipher", f"{weak}:@SECLEVEL=0"), weak


def test_connections_resume_without_tickets(recorded: Recorded) -> None:
    context = recorded.nginx.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with recorded.nginx.connect(context=context) as connection:
        assert isinstance(connection, ssl.SSLSocket)
        session = connection.session
        assert session is not None
        assert not session.has_ticket
    with context.wrap_socket(
        socket.create_connection((SERVER, recorded.nginx.port)), server_hostname=HOST, session=session
    ) as connection:
        assert connection.session_reused


def test_plain_http_leads_to_tls_and_nowhere_else(optional: Optional) -> None:
    nginx = optional.nginx
    for target in ("/", "/login?next=/x", "/v1/models"):
        reply = nginx.get(target, host=HOST, plain=True)
        assert (reply.status, reply.one("Location")) == (308, f"https://{HOST}{target}")
        assert nginx.get(target, host=HOST, plain=True, source=OUTSIDE).status == 401
    assert nginx.get("/healthz", host=HOST, plain=True, source=ANOTHER).status == 404
    assert nginx.send(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", plain=True) == b""


# --- Headers of the answers

SECURITY = (
    HSTS, "Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy",
    "Cross-Origin-Opener-Policy", "Permissions-Policy", "X-Request-Id",
)  # fmt: skip


@pytest.mark.parametrize(
    "target", ["/", "/login", "/login/assets/pages.css", "/v1/models", "/v1/nothing", "/healthz"]
)
def test_security_headers_come_through_once(door: Nginx, person: Person, target: str) -> None:
    reply = door.get(target, headers=[person.cookie, HTML])
    for name in SECURITY:
        assert reply.one(name), name
    assert reply.one(HSTS) == "max-age=31536000"
    assert reply.one("Server") == "nginx"
    assert reply.all("X-Powered-By") == []


def test_a_header_of_ours_does_not_double_the_services(recorded: Recorded) -> None:
    reply = recorded.nginx.get("/sends-hsts-itself")
    assert reply.one(HSTS) == "max-age=31536000"


def test_pages_are_not_compressed_but_the_static_files_are(door: Nginx, person: Person) -> None:
    accepts = ("Accept-Encoding", "gzip")
    assert door.get("/login", headers=[accepts, HTML]).all("Content-Encoding") == []
    page = door.get("/", headers=[person.cookie, HTML]).text
    script = re.findall(r'src="\./(static/js/[^"]+)"', page)[0]
    reply = door.get(f"/{script}", headers=[accepts, person.cookie])
    assert reply.status == 200
    assert reply.one("Content-Encoding") == "gzip"
    assert door.get(f"/{script}").status == 401


@pytest.mark.parametrize(("target", "is_api"), [("/v1/models", True), ("/", False)])
def test_a_service_that_is_down_is_told_in_its_own_form(dead: Nginx, target: str, *, is_api: bool) -> None:
    reply = dead.get(target)
    assert reply.status == 502
    assert "nginx" not in reply.text
    assert reply.one(HSTS)
    if is_api:
        assert is_envelope(reply.one("Content-Type"), reply.body, "service_unavailable")
    else:
        assert "服务没有响应" in reply.text


def test_kinds_of_errors_are_the_services(dead: Nginx, recorded: Recorded) -> None:
    kinds = dict(STATUS.values())
    for reply in (
        dead.get("/v1/models"),
        recorded.nginx.get("/v1/models", source=OUTSIDE),
        recorded.nginx.get("/v1/docs", source=ANOTHER),
    ):
        assert json.loads(reply.body)["error"]["type"] == kinds[reply.status]


# --- Signing in, and the page


def form(door: Nginx, target: str, cookies: str, **fields: str) -> tuple[int, str, list[str]]:
    headers = [
        ("Origin", f"https://{door.host}"),
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Cookie", cookies),
    ]
    body = "&".join(f"{name}={value.replace('&', '%26')}" for name, value in fields.items()).encode()
    reply = door.ask("POST" if fields else "GET", target, headers=headers, body=body)
    return reply.status, "".join(reply.all("Location")), reply.all("Set-Cookie")


def test_a_person_signs_in_through_it(door: Nginx, person: Person) -> None:
    assert door.get("/", headers=[HTML]).one("Location") == "/login"
    status, there, (begun,) = form(door, "/login", "", login=person.login, password=PASSWORD)
    assert (status, there) == (303, "/login/continue")
    begun_cookie = begun.split(";")[0]
    code = person.recovery_codes[0]
    status, _, _ = form(door, "/login/code", begun_cookie, method="recovery", code=code)
    assert status == 303
    status, there, cookies = form(door, "/login/continue", begun_cookie)
    assert (status, there) == (303, "/")
    (session,) = [cookie for cookie in cookies if cookie.startswith("__Host-vlpro_session=")]
    for cookie in (begun, session):
        attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert {"path=/", "secure", "httponly", "samesite=strict"} <= attributes
    account = door.get("/v1/account", headers=[("Cookie", session.split(";")[0])])
    assert json.loads(account.body)["login"] == person.login


def upgrade(nginx: Nginx, *headers: tuple[str, str], source: str = INSIDE) -> tuple[bytes, bytes]:
    """Ask for the page's connection; its first line, and what a ping brings back."""
    lines = [
        "GET /_stcore/stream HTTP/1.1", f"Host: {nginx.host}", "Connection: Upgrade", "Upgrade: websocket",
        "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol: streamlit", *(f"{name}: {value}" for name, value in headers), "", "",
    ]  # fmt: skip
    with nginx.connect(source) as connection:
        connection.sendall("\r\n".join(lines).encode())
        received = b""
        while b"\r\n\r\n" not in received and (piece := connection.recv(4096)):
            received += piece
        first = received.split(b"\r\n")[0]
        if not first.startswith(b"HTTP/1.1 101"):
            return first, b""
        connection.sendall(b"\x89\x84\0\0\0\0ping")  # RFC 6455, 5.5.2
        while b"\x8a\x04ping" not in received and (piece := connection.recv(4096)):
            received += piece
        return first, received[-6:]


def test_the_pages_connection_opens_for_a_session_only(door: Nginx, person: Person) -> None:
    ours = ("Origin", f"https://{door.host}")
    first, pong = upgrade(door, person.cookie, ours)
    assert first == b"HTTP/1.1 101 Switching Protocols"
    assert pong == b"\x8a\x04ping"
    for refused in (
        upgrade(door, ours),
        upgrade(door, ("Cookie", "__Host-vlpro_session=wrong"), ours),
        upgrade(door, person.cookie, ("Origin", "https://evil.example")),
        upgrade(door, person.cookie, ours, source=UNKNOWN_TO_POLICY),
        upgrade(door, person.bearer, ours),
    ):
        assert refused[0] == b"HTTP/1.1 403 Forbidden"
    assert upgrade(door, person.cookie, ours, source=OUTSIDE)[0] == b"HTTP/1.1 401 Unauthorized"


def test_an_answer_arrives_piece_by_piece(door: Nginx, person: Person) -> None:
    body = json.dumps(chat("count to 20", model=MODEL, stream=True)).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {door.host}\r\nConnection: close\r\n"
    head += f"Authorization: Bearer {person.key}\r\nContent-Type: application/json\r\n"
    times: list[float] = []
    with door.connect() as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        while piece := connection.recv(65_536):
            times += [time.monotonic()] * piece.count(b'"content":"')
    assert len(times) >= 20
    assert times[-1] - times[0] > 0.5  # 20 pieces, 0.05 s each
    assert len(set(times)) > 10


def test_each_byte_is_passed_on_when_it_comes(recorded: Recorded) -> None:
    """Also where the service does not ask for it by a header, as it does for its streams."""
    received, times = bytearray(), []
    with recorded.nginx.connect() as connection:
        connection.sendall(f"GET /slow HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
        while piece := connection.recv(65_536):
            received += piece
            times.append(time.monotonic())
    assert received.endswith(b'{"recorded": true}')
    assert len(times) > 8
    assert times[-1] - times[0] > 0.2  # 18 bytes, 0.02 s each


def test_sixteen_pictures_are_uploaded_and_asked_about(door: Nginx, person: Person) -> None:
    pictures = [picture_file(300, 300, seed=seed) for seed in range(16)]
    page = [person.cookie, ("Origin", f"https://{door.host}")]
    with ThreadPoolExecutor(16) as pool:
        replies = list(
            pool.map(lambda picture: door.ask("POST", "/v1/images", headers=page, body=picture), pictures)
        )
    assert [reply.status for reply in replies] == [201] * 16
    assert len({json.loads(reply.body)["id"] for reply in replies}) == 16
    body = json.dumps(chat("what is this?", *pictures)).encode()
    headers = [person.bearer, ("Content-Type", "application/json")]
    reply = door.ask("POST", "/v1/chat/completions", headers=headers, body=body)
    assert reply.status == 200, reply.text
    assert "Picture 16" in reply.text


# --- What is kept


@pytest.mark.parametrize("protocol", ["http1.1", "http1.1-chunked", "http2"])
def test_no_byte_of_an_upload_reaches_a_file(recorded: Recorded, protocol: str) -> None:
    """3 MB in two seconds, far more than the buffer holds."""
    nginx, data = recorded.nginx, os.urandom(3_000_000)
    version = "--http2" if protocol == "http2" else "--http1.1"
    options = ["--header", "Transfer-Encoding: chunked"] if protocol.endswith("chunked") else []
    command = [
        "curl", "--silent", version, "--cacert", str(nginx.folder / "vlpro" / "server.pem"), *options,
        "--resolve", f"{HOST}:{nginx.port}:{SERVER}", "--limit-rate", "1500k", "--expect100-timeout", "0.1",
        "--data-binary", "@-", "--write-out", "%{http_version}", f"https://{nginx.host}/v1/images",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    found: set[str] = set()
    answers: list[bytes] = []
    sender = threading.Thread(target=lambda: answers.append(process.communicate(data, timeout=20)[0]))
    sender.start()
    while sender.is_alive():
        found |= set(nginx.files())
        time.sleep(0.01)
    sender.join()
    assert answers[0].endswith(b"2" if protocol == "http2" else b"1.1")
    assert recorded.recorder.seen.pop().body == data
    assert found == set()


def test_no_byte_of_an_answer_reaches_a_file(recorded: Recorded) -> None:
    """16 MB, of which the client takes nothing at first."""
    nginx, found = recorded.nginx, set[str]()
    with nginx.connect() as connection:
        connection.sendall(f"GET /large HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            found |= set(nginx.files())
            time.sleep(0.01)
        assert len(read_reply(connection).body) == LARGE
    assert found == set()


def test_no_log_holds_a_query(recorded: Recorded, dead: Nginx, optional: Optional) -> None:
    for nginx in (recorded.nginx, dead):
        for target in ("/login/oidc/callback?code=SECRET&state=x", "//login/oidc/%63allback?code=SECRET"):
            nginx.get(target, source="127.0.0.10")
        # Refused by nginx itself, so the reply names the request whatever stands behind.
        assert nginx.line(nginx.get("/login?code=SECRET", source=OUTSIDE))["path"] == "/login"
        paths = {json.loads(line)["path"] for line in nginx.log("vlpro.access.log").splitlines()}
        assert paths >= {"/login/oidc/callback", "//login/oidc/%63allback"}
        for name in ("vlpro.access.log", "vlpro.error.log", "error.log", "access.log"):
            assert "SECRET" not in nginx.log(name), name


def test_the_service_writes_no_query_down_either(folder: Path, door: Nginx) -> None:
    for target in (
        "/login/oidc/callback?code=SECRET",
        "/login?code=SECRET",
        "/v1/models?code=SECRET",
        "/?code=SECRET",
    ):
        door.get(target)
        door.get(target, source=UNKNOWN_TO_POLICY)
    output = (folder / "service" / "output").read_text(encoding="utf-8")
    assert "the policy does not list the address" in output  # it is this service's log
    assert "SECRET" not in output


def test_each_line_of_the_log_names_the_request_as_the_service_does(door: Nginx) -> None:
    reply = door.get("/login?x", headers=[("X-Request-Id", "forged"), ("User-Agent", 'a"\\\x1b[31m')])
    line = door.line(reply)  # by the name that the service gave the reply
    assert line["request_id"].startswith("req_")
    assert (line["address"], line["status"], line["tls"]) == (INSIDE, "200", "TLSv1.3")
    assert "forged" not in door.log("vlpro.access.log")
    assert "\x1b" not in door.log("vlpro.access.log")


# --- What is optional

OUTER = ("Authorization", "Basic b2ZmaWNlOm91dGVyIGRvb3I=")  # office:outer door


def test_a_password_before_the_pages(optional: Optional, person: Person) -> None:
    nginx = optional.nginx
    for target in ("/", "/login", "/v1/models", "/static/js/index.js", "/login/assets/pages.css", "/kibanax"):
        for headers in ([], [person.cookie], [("Authorization", "Basic b2ZmaWNlOndyb25n")]):
            reply = nginx.get(target, headers=headers)
            assert reply.status == 401
            assert reply.one("WWW-Authenticate") == 'Basic realm="vlpro"'
    assert nginx.get("/login", headers=[OUTER]).status == 200
    assert nginx.get("/", headers=[OUTER, HTML]).one("Location") == "/login"  # it signs nobody in
    assert nginx.get("/v1/models", headers=[OUTER]).status == 401
    assert nginx.get("/v1/models", headers=[OUTER, person.cookie]).status == 200  # the page's own calls
    assert nginx.get("/healthz").status == 200
    assert nginx.get("/login", headers=[OUTER], source=OUTSIDE).status == 401


def test_a_key_for_the_api_passes_the_outer_door_and_opens_nothing_else(
    optional: Optional, person: Person
) -> None:
    nginx = optional.nginx
    assert nginx.get("/v1/models", headers=[person.bearer]).status == 200
    wrong = ("Authorization", "Bearer vlp_wrong")
    refused = nginx.get("/v1/models", headers=[wrong, person.cookie])
    assert refused.status == 401
    assert refused.one("WWW-Authenticate") == 'Bearer realm="vlpro"'  # the service's
    for target in ("/", "/login", "/v1/../login", "/v1/%2e%2e/login", "/v1", "/v1x", "/login/../v1/models"):
        for headers in ([wrong], [person.bearer], [wrong, person.cookie]):
            reply = nginx.get(target, headers=[*headers, HTML])
            assert reply.status in (303, 400, 401, 404), (target, reply.text)
            assert target.startswith(("/v1", "/login/../v1")) or reply.one("WWW-Authenticate").startswith(
                "Basic"
            )


def test_another_application_opens_for_who_is_signed_in(optional: Optional, person: Person) -> None:
    nginx, came = optional.nginx, optional.application.seen
    for headers in ([], [("Cookie", "__Host-vlpro_session=wrong")], [("Cookie", "a=b"), HTML]):
        reply = nginx.get("/kibana/app?a=1", headers=[OUTER, *headers])
        assert (reply.status, reply.one("Location")) == (303, "/login?next=/kibana/app")
    split = nginx.get("/kibana/%0d%0aSet-Cookie:x=y", headers=[OUTER])
    assert split.status == 303
    assert split.all("Set-Cookie") == []
    assert came == []
    cookie = f"a=b; {person.cookie[1]}; __Host-vlpro_sign_in=x; sid=1"
    headers = [("Cookie", cookie), ("X-Vlpro-Login", "sec"), ("X-Vlpro-Role", "security"), HTML]
    reply = nginx.ask("POST", "/kibana/api?a=1", headers=[OUTER, *headers], body=b"question")
    assert reply.status == 200
    seen = came.pop()
    assert (seen.line, seen.body) == ("POST /kibana/api?a=1 HTTP/1.1", b"question")
    assert seen.all("X-Vlpro-Login") == [person.login]
    assert seen.all("X-Vlpro-Role") == ["user"]
    assert seen.all("Cookie") == ["a=b; sid=1"]
    assert seen.all("Authorization") == []
    assert seen.all("X-Forwarded-For") == [INSIDE]
    assert nginx.get("/kibana/", headers=[OUTER, person.cookie], source=OUTSIDE).status == 401
    assert nginx.get("/_vlpro/session", headers=[OUTER, person.cookie]).status == 404  # internal
    refused = nginx.get("/kibana/", headers=[OUTER, person.cookie], source=UNKNOWN_TO_POLICY)
    assert refused.status == 303
    assert came == []


def test_the_service_is_asked_about_the_session_alone(folder: Path, recorded: Recorded) -> None:
    """Of the body, of keys and of who a page says it is, it hears nothing; what a page asks by itself is no use."""
    (folder / "asked").mkdir()
    application = Recorder()
    with (
        application.on_port() as port,
        running_nginx(
            folder / "asked", folder / "recorder.sock", options=["single-sign-on"], application=port
        ) as nginx,
    ):
        sent = [HTML, ("Cookie", "a=b"), ("Authorization", "Bearer x"), ("X-Vlpro-Login", "sec")]
        for mode, background in (("navigate", []), ("cors", ["1"]), ("no-cors", ["1"])):
            headers = [*sent, ("Sec-Fetch-Mode", mode), ("X-Vlpro-Background", "")]
            assert nginx.ask("POST", "/kibana/x?y=z", headers=headers, body=b"secret").status == 200
            asked = recorded.recorder.seen.pop()
            assert (asked.line, asked.body) == ("GET /v1/auth/check HTTP/1.1", b"")
            assert asked.all("X-Vlpro-Background") == background
            assert asked.all("Accept") == ["application/json"]
            assert asked.all("Cookie") == ["a=b"]
            assert asked.all("X-Forwarded-For") == [INSIDE]
            for name in ("Authorization", "X-Vlpro-Login", "Content-Length", "Transfer-Encoding"):
                assert asked.all(name) == [], name
            assert application.seen.pop().body == b"secret"


@pytest.mark.parametrize(
    ("cookie", "passed"),
    [
        ("{session}", []),
        ("a=b; {session}", ["a=b; "]),
        ("{session}; a=b", ["a=b"]),
        ("{session}; __Host-vlpro_oidc=x; a=b; __Host-vlpro_sign_in=y", ["a=b; "]),
        ("{session}; __Host-vlpro_a=1; __Host-vlpro_b=2; {session}; {session}; a=b", []),
    ],
)
def test_the_session_stays_here(optional: Optional, person: Person, cookie: str, passed: list[str]) -> None:
    headers = [OUTER, ("Cookie", cookie.format(session=person.cookie[1]))]
    assert optional.nginx.get("/kibana/", headers=headers).status == 200
    cookies = optional.application.seen.pop().all("Cookie")
    assert [value.strip("; ") for value in cookies] == [value.strip("; ") for value in passed]


# --- The files themselves


def test_every_file_is_described() -> None:
    page = (SHIPPED / "README.md").read_text(encoding="utf-8")
    names = [str(path.relative_to(SHIPPED)) for path in SHIPPED.rglob("*.conf")]
    assert len(names) == 10
    assert [name for name in names if f"`{name}`" not in page] == []


def test_what_is_optional_is_off(recorded: Recorded) -> None:
    config = (SHIPPED / "vlpro.conf").read_text(encoding="utf-8")
    for option in ("basic", "port80", "replicas", "single-sign-on"):
        assert f"#include vlpro/{option}.conf;" in config
    assert recorded.nginx.get("/kibana/").status == 200  # the service's own matter


def test_its_processes_log_nothing_that_is_wrong(recorded: Recorded, door: Nginx, optional: Optional) -> None:
    """Runs last."""
    for nginx in (recorded.nginx, door, optional.nginx):
        text = nginx.log("error.log") + nginx.log("vlpro.error.log")
        assert not re.search(r"\[(emerg|alert|crit)\]", text), text
