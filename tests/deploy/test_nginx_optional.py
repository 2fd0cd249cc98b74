"""What is optional in the files for nginx: a password, single sign-on; and the files themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deploy.conftest import Optional, Person, Recorded
from tests.deploy.nginx import HTML, INSIDE, OUTSIDE, SHIPPED, UNKNOWN_TO_POLICY, running_nginx
from tests.deploy.recorder import Recorder

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
