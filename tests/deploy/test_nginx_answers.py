"""What nginx answers with: TLS, headers, the page and its connection, pieces as they come."""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.deploy.conftest import PASSWORD, Optional, Person, Recorded
from tests.deploy.nginx import (
    ANOTHER,
    HOST,
    HSTS,
    HTML,
    INSIDE,
    OUTSIDE,
    SERVER,
    UNKNOWN_TO_POLICY,
    Nginx,
    is_envelope,
)
from tests.functional.server import MODEL, chat, picture_file
from vlpro.gateway.errors import STATUS

# --- TLS


def test_old_tls_and_weak_ciphers_are_refused(recorded: Recorded) -> None:
    def shake(*options: str) -> str:
        command = ["openssl", "s_client", "-connect", f"{SERVER}:{recorded.nginx.port}", "-servername", HOST]
        result = subprocess.run([*command, *options], input=b"", capture_output=True, timeout=60, check=False)
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
    body = json.dumps(chat("count to 100", model=MODEL, stream=True)).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {door.host}\r\nConnection: close\r\n"
    head += f"Authorization: Bearer {person.key}\r\nContent-Type: application/json\r\n"
    times: list[float] = []
    with door.connect() as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        while piece := connection.recv(65_536):
            times += [time.monotonic()] * piece.count(b'"content":"')
    assert len(times) >= 100
    assert times[-1] - times[0] > 0.5  # 100 pieces, 0.05 s each, of which this process may sleep through many
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
    assert times[-1] - times[0] > 0.2  # 18 bytes, 0.3 s each, some of which this process may sleep through


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
