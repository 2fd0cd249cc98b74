"""Who may come through nginx, and what is closed: by no name, header or spelling."""

from __future__ import annotations

import ssl

import pytest

from tests.deploy.conftest import Person, Recorded
from tests.deploy.nginx import (
    ANOTHER,
    HOST,
    HSTS,
    HTML,
    INSIDE,
    OUTSIDE,
    UNKNOWN_TO_POLICY,
    Nginx,
    is_envelope,
)
from tests.functional.server import picture_file

HIDDEN = ("/healthz", "/readyz", "/metrics", "/v1/docs", "/v1/openapi.json")


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
