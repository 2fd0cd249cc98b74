from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any, get_args

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from vlpro.gateway.pages import Language, Page, assets, render, text
from vlpro.gateway.pages.render import ASSETS, PAGES

QR = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'/%3E"
KEYS = [
    {"id": "a/1", "name": "YubiKey", "created": "2026-03-02 09:14", "used": "2026-10-09 08:31"},
    {"id": "b2", "name": "", "created": "2026-05-11 17:40", "used": None},
]
SECOND: dict[str, Any] = {"methods": ["totp", "passkey", "recovery"], "login": "zhang.wei"}
PASSWORD: dict[str, Any] = {"rules": ["rule one", "rule two"], "min_length": 10}
ENROL: dict[str, Any] = {"qr": QR, "secret": "JBSW Y3DP", "account": "zhang.wei", "allow_passkey": True}

# Every page, in the states that differ.
SAMPLES: list[tuple[Page, dict[str, Any]]] = [
    ("login", {}),
    ("login", {"login": "zhang.wei", "next": "/?chat=a b", "oidc": "Contoso ID"}),
    ("second_factor", {"method": "totp", **SECOND}),
    ("second_factor", {"method": "passkey", **SECOND}),
    ("second_factor", {"method": "recovery", **SECOND}),
    ("second_factor", {"method": "totp", "methods": ["totp"], "login": "zhang.wei"}),
    ("password", {"reason": "first", "ask_current": False, **PASSWORD}),
    ("password", {"reason": "aged", "ask_current": True, "login": "zhang.wei", **PASSWORD}),
    (
        "password",
        {"reason": "chosen", "ask_current": True, "problems": ["too short"], "action": "/x", **PASSWORD},
    ),
    ("enrol", ENROL),
    ("enrol", {**ENROL, "allow_passkey": False, "drift": "slow", "replacing": True, "action": "/account/x"}),
    ("recovery_codes", {"codes": ["k7mq-3hfd"] * 10}),
    ("recovery_codes", {"codes": ["k7mq-3hfd"] * 10, "account": "zhang.wei", "action": "/x"}),
    ("setup", {}),
    ("setup", {"values": {"system_login": "x"}, "problems": {"system_login": "taken", "secret": "wrong"}}),
    ("factors", {"totp": None, "passkeys": [], "recovery_left": 0, "ask_password": False}),
    (
        "factors",
        {
            "totp": {"created": "2026-03-01"},
            "passkeys": KEYS,
            "recovery_left": 7,
            "ask_password": True,
            "login": "li",
        },
    ),
    ("message", {"title": "A title", "body": "A body"}),
    ("message", {"title": "A title", "body": "A body", "link": ("/login", "Go"), "tone": "bad"}),
]
LANGUAGES: tuple[Language, ...] = get_args(Language)


class Document(HTMLParser):
    """The elements of a page, with their attributes."""

    EMPTY = frozenset({"meta", "link", "input", "img"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.script = ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in {"script", "style"}:
            self.script += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def one(self, tag: str, **wanted: str) -> dict[str, str]:
        found = [attributes for attributes in self.all(tag) if wanted.items() <= attributes.items()]
        assert len(found) == 1, (tag, wanted, found)
        return found[0]


def page(name: Page, language: Language = "en", **context: Any) -> tuple[Document, str]:
    body = bytes(render(name, language, **context).body).decode()
    return Document(body), body


EVERY = [
    pytest.param(name, language, context, id=f"{name}-{number}-{language}")
    for number, (name, context) in enumerate(SAMPLES)
    for language in LANGUAGES
]


def test_every_page_and_every_context_is_among_the_samples() -> None:
    assert set(PAGES) == set(get_args(Page)) == {name for name, _ in SAMPLES}
    for name, contexts in PAGES.items():
        assert set(contexts) == {key for sample, context in SAMPLES if sample == name for key in context}


@pytest.mark.parametrize(("name", "language", "context"), EVERY)
def test_a_page_is_whole(name: Page, language: Language, context: dict[str, Any]) -> None:
    document, body = page(name, language, error="An error", notice="A notice", **context)
    assert body.startswith("<!doctype html>")
    assert document.one("html")["lang"] == {"zh": "zh-CN", "en": "en"}[language]
    assert len(document.all("h1")) == 1
    assert document.one("a", href="?lang=" + {"zh": "en", "en": "zh"}[language])["class"] == "language"
    assert ">An error<" in body
    assert ">A notice<" in body
    assert text("footer", language) in body
    assert text("title.error", language) in body
    if language == "en":
        assert set(re.findall(r"[\u4e00-\u9fff]", body)) <= set("中文")


@pytest.mark.parametrize(("name", "language", "context"), EVERY)
def test_nothing_is_inline_or_from_elsewhere(name: Page, language: Language, context: dict[str, Any]) -> None:
    document, _ = page(name, language, error="An error", **context)
    assert document.script == ""
    for tag, attributes in document.elements:
        assert tag != "style"
        assert not [key for key in attributes if key == "style" or key.startswith("on")]
        for key in {"src", "href", "action", "formaction"} & attributes.keys():
            assert re.match(r"/(?!/)|\?|data:image/svg\+xml,", attributes[key]), (tag, attributes)


@pytest.mark.parametrize(("name", "language", "context"), EVERY)
def test_every_field_has_a_name_and_what_it_refers_to(
    name: Page, language: Language, context: dict[str, Any]
) -> None:
    for error in (None, "An error"):
        document, _ = page(name, language, error=error, **context)
        ids = [attributes["id"] for _, attributes in document.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        labelled = {attributes["for"] for attributes in document.all("label")}
        for attributes in document.all("input"):
            if attributes.get("type") != "hidden" and "hidden" not in attributes:
                assert attributes["id"] in labelled
                assert attributes["id"] == "kept" or "autocomplete" in attributes
        referred = " ".join(
            value
            for _, attributes in document.elements
            for key, value in attributes.items()
            if key in {"for", "aria-describedby", "data-show", "data-caps", "data-copy", "data-same-as"}
        )
        assert set(referred.split()) <= set(ids)
        assert len([a for _, a in document.elements if "autofocus" in a]) <= 1
        assert all(form["method"] == "post" for form in document.all("form"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_comes_from_people_is_escaped(language: Language) -> None:
    evil = '"><script>alert(1)</script>'
    samples: list[tuple[Page, dict[str, Any]]] = [
        (
            "login",
            {"login": evil, "next": evil, "oidc": evil, "error": evil, "notice": evil, "lang_url": evil},
        ),
        ("second_factor", {"method": "totp", "methods": ["totp"], "login": evil}),
        ("password", {"reason": "first", "ask_current": True, **PASSWORD, "problems": [evil], "login": evil}),
        ("enrol", {**ENROL, "account": evil, "secret": evil, "drift": evil, "qr": evil}),
        ("setup", {"values": {"security_name": evil}, "problems": {"security_name": evil}}),
        (
            "factors",
            {
                "totp": None,
                "passkeys": [{"id": evil, "name": evil, "created": evil, "used": evil}],
                "recovery_left": 1,
                "ask_password": False,
            },
        ),
        ("message", {"title": evil, "body": evil, "link": (evil, evil)}),
    ]
    for name, context in samples:
        document, body = page(name, language, **context)
        assert "<script>alert" not in body
        assert evil not in body
        assert all("src" in attributes for attributes in document.all("script"))


def test_headers() -> None:
    response = render("login", "zh", status=401)
    assert response.status_code == 401
    assert response.media_type == "text/html"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["referrer-policy"] == "same-origin"
    assert response.headers["content-security-policy"] == (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


def test_a_context_that_is_missing_or_unknown_is_named() -> None:
    with pytest.raises(TypeError, match="message needs body, title"):
        render("message", "zh")
    with pytest.raises(TypeError, match="login knows no code"):
        render("login", "zh", code="x")


def test_login_begins_where_something_is_missing() -> None:
    empty, _ = page("login")
    assert "autofocus" in empty.one("input", id="login")
    prefilled, _ = page("login", login="zhang.wei")
    assert "autofocus" in prefilled.one("input", id="password")
    assert prefilled.one("input", id="login")["value"] == "zhang.wei"


def test_the_companys_sign_in_knows_where_to_go_next() -> None:
    document, _ = page("login", next="/?chat=a&b c", oidc="Contoso ID")
    assert document.one("a", **{"class": "button"})["href"] == "/login/oidc?next=/%3Fchat%3Da%26b%20c"
    document, _ = page("login", oidc="Contoso ID")
    assert document.one("a", **{"class": "button"})["href"] == "/login/oidc"
    assert not [a for a in page("login")[0].all("a") if "oidc" in a["href"]]


def test_an_error_is_said_and_belongs_to_the_field() -> None:
    document, _ = page("second_factor", method="totp", error="Wrong", **SECOND)
    assert document.one("p", id="error")["role"] == "alert"
    assert document.one("input", id="code")["aria-describedby"] == "error"
    assert document.one("input", id="code")["aria-invalid"] == "true"


@pytest.mark.parametrize("method", ["totp", "passkey", "recovery"])
def test_the_other_methods_are_one_link_away(method: str) -> None:
    document, _ = page("second_factor", method=method, **SECOND)
    links = {attributes["href"] for attributes in document.all("a")} - {"?lang=zh"}
    assert links == {f"?method={other}" for other in ("totp", "passkey", "recovery") if other != method}
    assert document.one("form", action="/login/cancel")
    scripts = {attributes["src"].partition("?")[0] for attributes in document.all("script")}
    assert (f"{ASSETS}/passkey.js" in scripts) == (method == "passkey")


def test_a_password_that_is_chosen_may_be_left_as_it_is() -> None:
    chosen, _ = page("password", reason="chosen", ask_current=True, **PASSWORD)
    assert chosen.one("a", href="/")
    first, _ = page("password", reason="first", ask_current=False, **PASSWORD)
    assert not [a for a in first.all("a") if a["href"] == "/"]
    assert [a["name"] for a in first.all("input")] == ["new", "repeat"]
    assert first.one("input", id="new")["minlength"] == "10"


def test_setup_begins_at_the_first_problem_and_repeats_no_secret() -> None:
    values = {"system_login": "li", "secret": "S", "security_password": "P", "system_password": "Q"}
    document, body = page("setup", values=values, problems={"system_login": "taken"})
    assert document.one("input", id="system_login").items() >= {"value": "li", "autofocus": ""}.items()
    assert document.one("input", id="system_login")["aria-describedby"] == "system_login-problem"
    assert [a for a in document.all("input") if a.get("type") == "password" and "value" in a] == []
    assert ">taken<" in body


def test_enter_presses_no_button_of_the_factors() -> None:
    document, _ = page("factors", totp=None, passkeys=KEYS, recovery_left=3, ask_password=True)
    submits = [a for a in document.all("button") if a["type"] == "submit"]
    assert "disabled" in submits[0]
    assert [a["formaction"] for a in submits[1:]] == [
        "/account/factors/totp",
        "/account/factors/passkeys/a%2F1/remove",
        "/account/factors/passkeys/b2/remove",
        "/account/factors/recovery-codes",
    ]


@pytest.mark.parametrize(
    ("name", "media_type"),
    [("pages.css", "text/css"), ("pages.js", "text/javascript"), ("passkey.js", "text/javascript")],
)
def test_assets_are_served(name: str, media_type: str) -> None:
    with TestClient(Starlette(routes=assets())) as client:
        response = client.get(f"{ASSETS}/{name}")
        assert response.status_code == 200
        assert response.headers["content-type"] == f"{media_type}; charset=utf-8"
        assert response.headers["cache-control"] == "max-age=3600"
        assert len(response.text) > 1000
        assert client.post(f"{ASSETS}/{name}").status_code == 405
        assert client.get(f"{ASSETS}/other.js").status_code == 404


def test_every_file_that_a_page_loads_is_served() -> None:
    with TestClient(Starlette(routes=assets())) as client:
        for name, context in SAMPLES:
            document, _ = page(name, **context)
            loads = [a["src"] for a in document.all("script")]
            loads += [a["href"] for a in document.all("link") if a["rel"] == "stylesheet"]
            assert loads
            assert {client.get(address).status_code for address in loads} == {200}
