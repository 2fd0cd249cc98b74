"""Profile mlps3: who reaches what, over HTTP, on both databases."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import openai
import pytest
from fastapi.routing import APIRoute
from starlette.routing import Route

from tests.functional.company import Company, company
from tests.functional.server import MODEL, chat, eventually, picture_file
from tests.postgresql import BINARIES, cluster
from vlpro.db import sqlite_url
from vlpro.gateway import cookies
from vlpro.gateway.api import permissions_of, routers
from vlpro.gateway.app import parts
from vlpro.identity.permissions import PERMISSIONS, Permission, Role

OPEN = {"/healthz", "/readyz", "/login", "/setup"}
PAGES = [
    "/",
    "/chat",
    "/static/js/index.js",
    "/media/abc.png",
    "/_stcore/health",
    "/_stcore/host-config",
    "/nope",
]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def firm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    folder = tmp_path_factory.mktemp("firm")
    url = sqlite_url(folder) if request.param == "sqlite" else request.getfixturevalue("postgresql").new()
    with company(folder, url) as running:
        yield running


def routes() -> list[tuple[str, str, Permission]]:
    """Method, path with ids of nothing, and the permission that it takes."""
    found = []
    for router in routers(accounts=True):
        for route in router.routes:
            assert isinstance(route, APIRoute)
            (permission,) = permissions_of(route.dependant)
            path = "/v1" + re.sub(r"\{[^}]+\}", "nothing", route.path)
            found += [(method, path, permission) for method in route.methods or ()]
    assert len(found) > 40
    return found


def parts_of(firm: Company) -> list[Any]:
    return list(parts(firm.server.services.settings)["routes"])


def page_routes(firm: Company) -> list[tuple[str, str]]:
    """Routes of pages outside the API that need somebody."""
    listed = [
        (method, route.path.replace("{passkey}", "psk_nothing"))
        for route in parts_of(firm)
        if isinstance(route, Route) and route.path not in OPEN and not route.path.startswith("/login/")
        for method in (route.methods or set()) - {"HEAD"}
    ]
    assert len(listed) > 10
    return listed


def test_nobody_reaches_anything_but_the_way_in(firm: Company) -> None:
    """8.1.4.2 a: the OpenAPI and the pages, walked anonymously."""
    with firm.client() as nobody:
        for method, path, _ in routes():
            reply = nobody.request(method, path)
            assert reply.status_code == 401, (method, path)
            assert reply.json()["error"]["code"] == "not_authenticated"
            assert reply.headers["www-authenticate"] == 'Bearer realm="vlpro"'
        for method, path in [*page_routes(firm), *(("GET", page) for page in PAGES), ("GET", "/v1/docs"),
                             ("GET", "/v1/openapi.json"), ("GET", "/v1"), ("OPTIONS", "/v1/models"),
                             ("HEAD", "/v1/models"), ("TRACE", "/"), ("PROPFIND", "/")]:  # fmt: skip
            assert nobody.request(method, path).status_code == 401, (method, path)
        for path in OPEN - {"/setup"}:
            assert nobody.get(path).status_code == 200, path


@pytest.mark.parametrize(
    "path",
    ["/login/../v1/models", "/login/%2e%2e/v1/models", "//v1/models", "/login//..//v1/models", "/V1/models",
     "/login/assets/../../v1/status", "/healthz/../v1/models", "/healthz/", "/login;/v1/models", "/%76%31/models"],
)  # fmt: skip
def test_no_spelling_of_a_path_is_a_way_around(firm: Company, path: str) -> None:
    reply = firm.server.raw(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert reply.startswith((b"HTTP/1.1 401 ", b"HTTP/1.1 404 ", b"HTTP/1.1 303 ", b"HTTP/1.1 400 ")), reply[
        :80
    ]
    assert b'"data"' not in reply


@pytest.mark.parametrize("role", list(Role))
def test_every_role_reaches_what_the_table_says(firm: Company, role: Role) -> None:
    """8.1.5.1 to 8.1.5.3: each route as each role."""
    for method, path, permission in routes():
        with firm.client(role) as person:
            reply = person.request(method, path, json={} if method in ("POST", "PUT", "PATCH") else None)
        if permission in PERMISSIONS[role]:
            assert reply.status_code not in (401, 403), (method, path, reply.text)
        else:
            assert reply.status_code == 403, (method, path, reply.text)
            assert reply.json()["error"]["code"] == "permission_denied"


def test_an_account_without_role_reaches_nothing(firm: Company) -> None:
    with firm.client(firm.people[None]) as nobody:
        assert {nobody.request(method, path).status_code for method, path, _ in routes()} == {401}


def test_a_key_reaches_what_its_scopes_say(firm: Company) -> None:
    secret = firm.key(scopes=[Permission.ANSWER_CREATE])
    headers = {"authorization": f"Bearer {secret}", "origin": ""}
    for method, path, permission in routes():
        with firm.server.http(headers={"authorization": headers["authorization"]}) as program:
            reply = program.request(method, path, json={} if method in ("POST", "PUT", "PATCH") else None)
        assert (reply.status_code == 403) is (permission is not Permission.ANSWER_CREATE), (method, path)
        assert reply.status_code != 401
    with firm.server.http(headers={"authorization": headers["authorization"]}) as program:
        for path in ("/", "/account/factors", "/_stcore/stream"):  # pages are for people
            assert program.get(path).status_code == 401


def test_a_page_sends_people_to_the_way_in(firm: Company) -> None:
    with firm.client(accept="text/html") as nobody:
        reply = nobody.get("/?c=conv_1")
        assert (reply.status_code, reply.headers["location"]) == (303, "/login?next=%2F%3Fc%3Dconv_1")
        assert nobody.get("/").headers["location"] == "/login"
        # A link followed from elsewhere: the strict cookie comes with the second request, from our own page.
        linked = nobody.get(
            "/?c=conv_1", headers={"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
        )
        assert linked.status_code == 200
        assert 'http-equiv="refresh" content="0"' in linked.text
        assert nobody.get("/v1/models").status_code == 303


# --- whose it is ---


def test_what_is_one_persons_is_404_for_everybody_else(firm: Company) -> None:
    with firm.client(Role.USER) as li, firm.client(firm.other) as wang:
        image = li.post("/v1/images", content=picture_file()).json()["id"]
        talk = li.post("/v1/conversations", json={}).json()["id"]
        asked = {"text": "point at it", "images": [image]}
        message = li.post(f"/v1/conversations/{talk}/messages", json=asked).json()["id"]
        eventually(lambda: not li.get(f"/v1/conversations/{talk}").json()["busy"])
        key = li.post(
            "/v1/account/keys", json={"name": "k", "scopes": ["chat:answer:create"], "days": 1}
        ).json()["key"]["id"]
        session = li.get("/v1/account/sessions").json()["data"][0]["id"]
        own = [
            ("GET", f"/v1/images/{image}"),
            ("GET", f"/v1/images/{image}/content"),
            ("GET", f"/v1/images/{image}/content?size=64"),
            ("DELETE", f"/v1/images/{image}"),
            ("GET", f"/v1/conversations/{talk}"),
            ("GET", f"/v1/conversations/{talk}/messages/{message}"),
            ("GET", f"/v1/conversations/{talk}/messages/{message}/annotated"),
            ("POST", f"/v1/conversations/{talk}/stop"),
            ("DELETE", f"/v1/conversations/{talk}"),
            ("DELETE", f"/v1/account/keys/{key}"),
            ("DELETE", f"/v1/account/sessions/{session}"),
        ]
        for method, path in own:
            assert wang.request(method, path).status_code == 404, (method, path)
        assert wang.post(f"/v1/conversations/{talk}/messages", json={"text": "x"}).status_code == 404
        mine = wang.post("/v1/conversations", json={}).json()["id"]
        stolen = wang.post(f"/v1/conversations/{mine}/messages", json={"text": "x", "images": [image]})
        assert stolen.status_code == 404
        assert wang.post(f"/v1/images?conversation={talk}", content=picture_file()).status_code == 404
        assert wang.post(f"/v1/images?after={image}", content=picture_file()).status_code == 404
        assert talk not in wang.get("/v1/conversations").text
        assert wang.get("/v1/account/keys").json()["data"] == []
        for method, path in own[:8]:
            if method == "GET" and "annotated" not in path:
                assert li.request(method, path).status_code == 200, path


def test_a_persons_key_sees_the_persons_things(firm: Company) -> None:
    secret = firm.key(scopes=[Permission.CONVERSATION_USE])
    with (
        firm.client(Role.USER) as li,
        firm.server.http(headers={"authorization": f"Bearer {secret}"}) as program,
    ):
        talk = li.post("/v1/conversations", json={}).json()["id"]
        assert program.get(f"/v1/conversations/{talk}").status_code == 200


def test_labels(firm: Company) -> None:
    """8.1.4.2 g: no read-up."""
    with firm.client(firm.other) as wang, firm.client(Role.SECURITY) as security:
        made = {
            level: wang.post("/v1/conversations", json={"level": level})
            for level in ("public", "internal", "secret")
        }
        assert [reply.status_code for reply in made.values()] == [201, 201, 403]
        assert wang.post("/v1/conversations", json={}).json()["level"] == "internal"
        internal = made["internal"].json()["id"]
        assert (
            security.put(f"/v1/accounts/{firm.other.id}/level", json={"level": "public"}).json()["level"]
            == "public"
        )
        eventually(lambda: wang.get(f"/v1/conversations/{internal}").status_code == 403)
        assert wang.get(f"/v1/conversations/{internal}").json()["error"]["code"] == "label_too_high"
        assert wang.delete(f"/v1/conversations/{internal}").status_code == 403
        listed = {c["level"] for c in wang.get("/v1/conversations").json()["data"]}
        assert listed == {"public"}
        security.put(f"/v1/accounts/{firm.other.id}/level", json={"level": "internal"})


# --- attacks ---


@pytest.mark.parametrize(
    ("origin", "site"),
    [
        ("https://evil.example", None),
        ("null", None),
        ("https://localhost.evil.example", "cross-site"),
        ("http://127.0.0.1:1", "same-site"),
        (None, None),
        (None, "cross-site"),
        (None, "same-site"),
        (None, "none"),
    ],
)
def test_no_page_of_anyone_else_changes_anything(firm: Company, origin: str | None, site: str | None) -> None:
    """CSRF: every changing route, in the name of the session's cookie."""
    headers = {"origin": origin or "", "sec_fetch_site": site or ""}
    changing = [(m, p) for m, p, _ in routes() if m not in ("GET", "HEAD")]
    changing += [(m, p) for m, p in page_routes(firm) if m == "POST"]
    changing += [
        ("POST", "/login"),
        ("POST", "/login/code"),
        ("POST", "/login/password"),
        ("POST", "/login/cancel"),
    ]
    with firm.client(Role.SECURITY, **headers) as victim:
        for method, path in changing:
            reply = victim.request(method, path, content=b"{}", headers={"content-type": "text/plain"})
            assert reply.status_code == 403, (method, path, reply.status_code)
        assert victim.get("/v1/account").status_code in (200, 403)


def test_sec_fetch_site_is_enough_where_a_browser_sends_no_origin(firm: Company) -> None:
    with firm.client(Role.USER, origin="", sec_fetch_site="same-origin") as li:
        assert li.post("/v1/conversations", json={}).status_code == 201


def test_a_websocket_of_a_foreign_page_or_of_nobody_is_refused(firm: Company) -> None:
    cookie = f"{cookies.SESSION}={firm.world.session(firm.people[Role.USER])}"
    for headers in ("", f"Cookie: {cookie}\r\nOrigin: https://evil.example\r\n"):
        reply = firm.server.raw(
            (
                "GET /_stcore/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
            ).encode(),
            until=b"\r\n\r\n",
        )
        assert reply.startswith((b"HTTP/1.1 401", b"HTTP/1.1 403")), reply[:60]


def test_forwarded_addresses_are_believed_of_our_proxies_only(firm: Company) -> None:
    """The tests' connections come from 127.0.0.1, which is not the configured proxy 127.0.0.9."""
    with firm.client(Role.USER) as li:
        session = li.get("/v1/account/sessions").json()["data"]
        assert {entry["address"] for entry in session} == {"127.0.0.1"}
    secret = firm.key(addresses=["10.9.9.9"])
    forged = ["x-forwarded-for", "x-real-ip", "forwarded", "x-vlpro-address", "x-client-ip", "true-client-ip"]
    for name in forged:
        headers = {
            "authorization": f"Bearer {secret}",
            name: "for=10.9.9.9" if name == "forwarded" else "10.9.9.9",
        }
        with firm.server.http(headers=headers) as program:
            assert program.get("/v1/models").status_code == 401, name
    proxy = httpx.HTTPTransport(local_address="127.0.0.9")
    told = {"10.9.9.9": 200, "10.9.9.8": 401, "10.9.9.9, 10.9.9.8": 401, "10.9.9.8, 10.9.9.9": 200,
            "10.9.9.9, 127.0.0.9": 200, "evil": 401, "": 401}  # fmt: skip
    with httpx.Client(base_url=firm.server.url, transport=proxy, timeout=30) as program:
        for value, status in told.items():
            headers = {"authorization": f"Bearer {secret}", "x-forwarded-for": value}
            assert program.get("/v1/models", headers=headers).status_code == status, value


def test_an_address_that_the_policy_does_not_list_reaches_no_page_at_all(firm: Company) -> None:
    firm.policy(user_addresses=["10.0.0.0/8"], administration_addresses=["10.1.0.0/16"])
    try:
        proxy = httpx.HTTPTransport(local_address="127.0.0.9")
        cookie = {role: f"{cookies.SESSION}={firm.world.session(firm.people[role])}" for role in Role}
        with httpx.Client(base_url=firm.server.url, transport=proxy, timeout=30) as client:

            def status(path: str, address: str, role: Role | None = None) -> int:
                headers = {"x-forwarded-for": address} | ({"cookie": cookie[role]} if role else {})
                return client.get(path, headers=headers).status_code

            for path in ("/", "/login", "/login/assets/pages.css", "/v1/models", "/setup"):
                assert status(path, "203.0.113.5") == 401, path
            assert status("/healthz", "203.0.113.5") == 200  # the proxy closes it
            assert status("/login", "10.2.0.1") == status("/login", "10.1.0.1") == 200
            assert status("/v1/account", "10.2.0.1", Role.USER) == 200
            for role in (Role.SYSTEM, Role.SECURITY, Role.AUDIT):
                assert status("/v1/account", "10.2.0.1", role) == 401
                assert status("/v1/account", "10.1.0.1", role) == 200
    finally:
        firm.policy(user_addresses=["127.0.0.0/8"], administration_addresses=["127.0.0.0/8"])


def test_a_refusal_tells_no_reason(firm: Company) -> None:
    revoked = firm.key()
    firm.world.identity.keys.revoke(firm.key_id(revoked), firm.people[Role.USER].id)
    bodies = set()
    for token in (revoked, "vlp_unknown", "x", firm.key(addresses=["10.9.9.9"])):
        with firm.server.http(headers={"authorization": f"Bearer {token}"}) as program:
            bodies.add(program.get("/v1/models").text)
    with firm.server.http(headers={"cookie": f"{cookies.SESSION}=unknown"}) as program:
        bodies.add(program.get("/v1/models").text)
    assert len(bodies) == 1


# --- programs ---


def test_openai_clients_work_with_a_key(firm: Company) -> None:
    secret = firm.key(tokens_per_day=10_000)
    with openai.OpenAI(base_url=f"{firm.server.url}/v1", api_key=secret, max_retries=0) as client:
        answer = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "hi"}])
        assert answer.choices[0].message.content
        stream = client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "count to 20"}], stream=True
        )
        assert len(list(stream)) > 3
        assert client.responses.create(model=MODEL, input="hi").output_text
        assert [model.id for model in client.models.list()]
    stranger = openai.OpenAI(base_url=f"{firm.server.url}/v1", api_key="vlp_wrong", max_retries=0)
    with stranger, pytest.raises(openai.AuthenticationError):
        stranger.models.list()
    held = firm.world.identity.keys

    def counted() -> int:
        return max(key.tokens_today for key in held.of(firm.people[Role.USER].id))

    assert answer.usage is not None
    eventually(lambda: counted() > answer.usage.total_tokens)  # type: ignore[union-attr]


def test_a_key_runs_out_of_tokens_and_of_requests(firm: Company) -> None:
    with firm.server.http() as program:
        headers = {"authorization": f"Bearer {firm.key(tokens_per_day=1)}"}
        assert program.post("/v1/chat/completions", json=chat(), headers=headers).status_code == 200
        eventually(lambda: program.get("/v1/models", headers=headers).status_code == 429)
        reply = program.get("/v1/models", headers=headers)
        assert int(reply.headers["retry-after"]) > 0
        assert reply.json()["error"]["type"] == "rate_limit_error"
        headers = {"authorization": f"Bearer {firm.key(requests_per_minute=2)}"}
        assert [program.get("/v1/models", headers=headers).status_code for _ in range(3)] == [200, 200, 429]


def test_an_answer_that_is_broken_off_costs_its_tokens_too(firm: Company) -> None:
    secret = firm.key(tokens_per_day=100_000)
    held, person, key = firm.world.identity.keys, firm.people[Role.USER].id, firm.key_id(secret)
    body = chat("count to 9000", stream=True)
    program = firm.server.http(headers={"authorization": f"Bearer {secret}"})
    with program, program.stream("POST", "/v1/chat/completions", json=body) as reply:
        next(reply.iter_lines())
    eventually(lambda: next(k.tokens_today for k in held.of(person) if k.id == key) > 0)


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "\u202e\x07", "x" * 5000, "' OR 1=1 --", "%00", "𝕏" * 64])
def test_odd_texts_are_no_failure(firm: Company, text: str) -> None:
    """Whatever is typed into a field, the answer is one that a person can act on."""
    body = json.dumps({"login": "odd.text", "name": text, "department": text}).encode()
    with firm.client(Role.SYSTEM, content_type="application/json") as system:
        assert system.post("/v1/accounts", content=body).status_code in (201, 400, 409)
        query = text.encode("utf-8", "surrogatepass")
        for name in ("query", "after", "role"):
            assert system.get("/v1/accounts", params={name: query}).status_code in (200, 400)
        assert system.get("/v1/accounts/" + quote(query)).status_code in (400, 404)
        assert system.get("/v1/sessions", params={"account": query}).status_code in (200, 400)
    with firm.client(Role.USER, content_type="application/json") as li:
        key = json.dumps({"name": text, "scopes": ["chat:answer:create", text], "days": 1}).encode()
        assert li.post("/v1/account/keys", content=key).status_code == 400
        key = json.dumps({"name": text, "scopes": ["chat:answer:create"], "days": 1}).encode()
        assert li.post("/v1/account/keys", content=key).status_code in (201, 400, 409)
    with firm.client(Role.SECURITY, content_type="application/json") as security:
        policy = json.dumps({"content": {"user_addresses": [text]}, "base": 0, "note": text}).encode()
        assert security.put("/v1/policy", content=policy).status_code in (400, 409)
    with firm.client(Role.AUDIT) as auditor:
        for name in ("event", "login", "text", "object"):
            assert auditor.get("/v1/audit/records", params={name: query}).status_code in (200, 400)
    with firm.client() as nobody:
        form = {"login": query, "password": query, "next": query}
        assert nobody.post("/login", data=form).status_code in (400, 401, 503)


def test_for_a_proxy_that_asks_whether_somebody_is_signed_in(firm: Company) -> None:
    with firm.client(Role.AUDIT) as auditor, firm.client() as nobody:
        reply = auditor.get("/v1/auth/check")
        assert (reply.status_code, reply.headers["x-vlpro-login"], reply.headers["x-vlpro-role"]) == (
            204,
            "auditor",
            "audit",
        )
        assert nobody.get("/v1/auth/check").status_code == 401


def test_without_its_database_the_service_answers_nobody_and_comes_back_by_itself(tmp_path: Path) -> None:
    """Fail closed: also for who was known a moment ago."""
    if BINARIES is None:
        pytest.skip("PostgreSQL is not installed")
    with cluster() as database, company(tmp_path, database.new()) as firm, firm.client(Role.USER) as li:
        assert li.get("/v1/models").status_code == 200
        database.stop()
        eventually(lambda: li.get("/v1/models").status_code == 503)
        assert li.get("/v1/models").json()["error"]["code"] == "database_error"
        assert li.get("/", headers={"accept": "text/html"}).status_code == 503
        reply = li.post("/login", data={"login": "liwei", "password": "x"})
        assert reply.status_code == 503
        database.start()
        assert li.get("/v1/models").status_code == 200
        firm.world.close()  # its connections are gone, too
