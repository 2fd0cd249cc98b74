"""Signing in over HTTP, without JavaScript, and the attacks on it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pyotp
import pytest

from tests.functional.browser import Browser, told
from tests.functional.company import Company, company, settings_of
from tests.functional.server import eventually, run
from tests.oidc_provider import CLIENT_ID, CLIENT_SECRET, provider
from tests.people import PASSWORD, Person
from tests.slapd import BASE, PASSWORDS, SERVICE, SERVICE_PASSWORD, slapd
from vlpro.db import sqlite_url
from vlpro.errors import ConfigError
from vlpro.gateway import cookies
from vlpro.gateway.app import parts
from vlpro.gateway.guard import safe_path
from vlpro.gateway.routes import sign_in
from vlpro.identity.directories.options import LdapOptions, OidcOptions
from vlpro.identity.passwords import Passwords
from vlpro.identity.permissions import Role


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    folder = tmp_path_factory.mktemp("firm")
    with company(folder, sqlite_url(folder)) as running:
        yield running


@pytest.fixture
def browser(firm: Company) -> Iterator[Browser]:
    with firm.server.http() as http:
        yield Browser(http)


_number = iter(range(10_000))


def new_person(firm: Company, role: Role = Role.USER) -> Person:
    by = (firm.people[Role.SECURITY], firm.people[Role.SYSTEM])
    return firm.world.person(f"person{next(_number)}", role, by=by)


def enrolled(firm: Company) -> Person:
    """A person who has a password and an authenticator app; the app's clock is right."""
    person = new_person(firm)
    firm.world.clock.now = time.time() - 120  # so that the code of now was not used by this
    firm.world.sign_in(person)
    firm.world.clock.now = time.time()
    return person


def first_step(browser: Browser, person: Person, **fields: str) -> httpx.Response:
    return browser.post("/login", login=person.login, password=person.password, **fields)


def second_step(browser: Browser, person: Person) -> httpx.Response:
    return browser.post("/login/code", method="totp", code=pyotp.TOTP(person.secret).now())


def test_the_first_sign_in_from_end_to_end(firm: Company, browser: Browser) -> None:
    person = new_person(firm)
    reply = browser.get("/?c=conv_1")
    assert browser.follow(reply).status_code == 200
    page = browser.follow(first_step(browser, person, next="/?c=conv_1"))
    assert "设置新密码" in page.text
    reply = browser.post("/login/password", new="password", repeat="password")
    assert reply.status_code == 400
    assert "密码太短" in reply.text
    reply = browser.post("/login/password", new=PASSWORD, repeat=PASSWORD + "x")
    assert told(reply) == "两次输入的新密码不一致，请重新输入。"
    page = browser.follow(browser.post("/login/password", new=PASSWORD, repeat=PASSWORD))
    secret = re.search(r'<code id="secret">([A-Z2-7 ]+)</code>', page.text)
    assert secret is not None
    person.secret = secret[1].replace(" ", "")
    assert browser.get("/login/continue").text.count(secret[1]) == 1  # a reload does not spoil the scan
    assert browser.post("/login/enrol", code="000000").status_code == 401
    page = browser.follow(browser.post("/login/enrol", code=pyotp.TOTP(person.secret).now()))
    codes = re.findall(r"<code>([a-z2-9-]{19})</code>", page.text)
    assert len(set(codes)) == 10
    assert cookies.SESSION not in browser.cookies
    reply = browser.follow(browser.post("/login/recovery-codes", kept="yes"))
    assert (reply.status_code, reply.headers["location"]) == (303, "/?c=conv_1")
    assert browser.get("/v1/account").json()["login"] == person.login
    assert cookies.SIGN_IN not in browser.cookies
    # Again, with a recovery code; and out.
    again = Browser(browser._http, "en")
    person.password = PASSWORD
    page = again.follow(first_step(again, person))
    assert "One-time code" in page.text
    assert "Use a recovery code" in page.text
    reply = again.follow(again.post("/login/code", method="recovery", code=codes[0]))
    assert reply.headers["location"] == "/"
    session = again.cookies[cookies.SESSION]
    reply = again.post("/account/sign-out")
    assert reply.headers["location"] == "/login?ended=signed_out"
    assert cookies.SESSION not in again.cookies
    assert "You are signed out" in again.follow(reply).text
    again.cookies[cookies.SESSION] = session
    assert again.get("/v1/account", accept="application/json").status_code == 401


def test_cookies_stay_where_they_belong(firm: Company, browser: Browser) -> None:
    person = enrolled(firm)
    first_step(browser, person)
    browser.follow(second_step(browser, person))
    for name in (cookies.SIGN_IN, cookies.SESSION):
        morsel = browser.set[name][name]
        assert name.startswith("__Host-")
        assert morsel["httponly"]
        assert morsel["secure"]
        assert morsel["samesite"].lower() == "strict"
        assert morsel["path"] == "/"
        assert not morsel["domain"]
    assert not browser.set[cookies.SESSION][cookies.SESSION]["max-age"]  # ends with the browser
    assert "no-store" in browser.get("/login").headers["cache-control"]


def test_a_session_cannot_be_fixed_beforehand(firm: Company, browser: Browser) -> None:
    """Whatever token somebody plants in a browser, the session gets another."""
    person = enrolled(firm)
    planted = "A" * 43
    browser.cookies = {cookies.SESSION: planted, cookies.SIGN_IN: planted}
    first_step(browser, person)
    first = browser.cookies[cookies.SIGN_IN]
    browser.follow(second_step(browser, person))
    assert len({planted, first, browser.cookies[cookies.SESSION]}) == 3
    other = Browser(browser._http)
    for value in (planted, first):
        other.cookies = {cookies.SESSION: value}
        assert other.get("/v1/account", accept="application/json").status_code == 401


def test_the_password_alone_opens_nothing(firm: Company, browser: Browser) -> None:
    person = enrolled(firm)
    first_step(browser, person)
    token = browser.cookies[cookies.SIGN_IN]
    assert browser.get("/v1/account", accept="application/json").status_code == 401
    browser.cookies = {cookies.SESSION: token}
    assert browser.get("/v1/account", accept="application/json").status_code == 401
    for path in ("/login/password", "/login/enrol", "/login/recovery-codes"):
        browser.cookies = {cookies.SIGN_IN: token}
        browser.post(path, new="Another-Good-1-Pass", repeat="Another-Good-1-Pass", code="1", kept="yes")
        assert cookies.SESSION not in browser.cookies
    browser.cookies = {cookies.SIGN_IN: token}
    for path in ("/login/passkey/register/options", "/login/passkey/register"):
        assert browser.json(path, {"credential": {}, "name": "x"}).status_code == 401


@pytest.mark.parametrize(
    "there",
    [
        "https://evil.example/", "//evil.example/", "///evil.example", "/\\evil.example", "\\\\evil.example",
        "/\t/evil.example", "/%0d%0aLocation:x\r\nx", "javascript:alert(1)", "data:text/html,x", "evil.example",
        "http:evil.example", "/ /evil.example", "\x01/evil", "https:/evil.example", " /x", "/x" * 1000,
    ],
)  # fmt: skip
def test_nobody_is_led_elsewhere_after_signing_in(firm: Company, browser: Browser, there: str) -> None:
    assert safe_path(there) == "/"
    person = enrolled(firm) if there == "//evil.example/" else None
    headers = {"host": "localhost"}
    page = httpx.get(f"{firm.server.url}/login", params={"next": there}, headers=headers, timeout=30)
    assert "evil" not in page.text
    if person is not None:
        first_step(browser, person, next=there)
        assert browser.follow(second_step(browser, person)).headers["location"] == "/"


def test_ways_inside_are_kept() -> None:
    for there in ("/", "/?c=conv_1&x=%2F", "/accounts", "/a/b?x=1#y"):
        assert safe_path(there) == there


def test_unknown_login_and_wrong_password_look_and_last_the_same(
    firm: Company, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = enrolled(firm)
    checks: list[str | None] = []
    matches = Passwords.matches

    def counted(self: Passwords, hashed: str | None, password: str) -> bool:
        checks.append(hashed)
        return matches(self, hashed, password)

    monkeypatch.setattr(Passwords, "matches", counted)
    settle, waits = sign_in._settle, list[tuple[float, float]]()

    async def settled(started: float) -> None:
        began = time.monotonic()
        await settle(started)
        waits.append((began - started, time.monotonic() - began))

    monkeypatch.setattr(sign_in, "_settle", settled)
    pages = []
    for login in (person.login, "nobody.of.this.name"):
        checks.clear()
        reply = browser.post("/login", login=login, password="wrong")
        pages.append((reply.status_code, reply.text.replace(login, "LOGIN"), len(checks)))
    assert pages[0] == pages[1]
    assert pages[0][2] == 1  # one hash each, the dearest part
    # Answers come at whole half seconds, whatever a check took; never before, only a busy machine is later.
    assert [waited > 0.5 - passed % 0.5 - 0.01 for passed, waited in waits] == [True, True], waits


def test_many_accounts_from_one_address(firm: Company) -> None:
    """One try at each of many accounts: the address is locked, and only the address."""
    person = enrolled(firm)
    proxy = httpx.HTTPTransport(local_address="127.0.0.9")
    with httpx.Client(base_url=firm.server.url, transport=proxy, timeout=30) as http:

        def attempt(login: str, password: str = "Sommer2026!", address: str = "10.0.0.66") -> httpx.Response:
            headers = {"x-forwarded-for": address, "origin": firm.server.url}
            return http.post("/login", data={"login": login, "password": password}, headers=headers)

        with ThreadPoolExecutor(3) as pool:  # more would be told to come again, on a busy machine
            replies = list(pool.map(attempt, [f"employee{number}" for number in range(24)]))
        assert {reply.status_code for reply in replies} == {401}
        assert "已暂停登录" in attempt(person.login, person.password).text
        assert attempt(person.login, person.password, "10.0.0.67").status_code == 303


def test_codes_are_not_replayed(firm: Company, browser: Browser) -> None:
    person = enrolled(firm)
    code = pyotp.TOTP(person.secret).now()
    first_step(browser, person)
    browser.post("/login/code", method="totp", code=code)
    other = Browser(browser._http)
    first_step(other, person)
    reply = other.post("/login/code", method="totp", code=code)
    assert (reply.status_code, told(reply)) == (401, "这个口令已经用过。请等应用显示下一个口令再试。")


def test_forms_are_short(firm: Company, browser: Browser) -> None:
    assert browser.post("/login", login="x" * 100_000, password="y").status_code == 413
    assert browser.post("/account/password", new="x" * 100_000).status_code in (401, 413)
    many = {f"f{number}": "x" for number in range(100)}
    assert browser.post("/login", **many).status_code in (400, 401)
    reply = browser._http.post(
        "/login", files={"login": ("a.txt", b"x" * 1000)}, headers={"origin": firm.server.url}
    )
    assert reply.status_code in (400, 401)


def test_own_password_and_second_factors(firm: Company, browser: Browser) -> None:
    person = enrolled(firm)
    token = firm.world.session(person)
    elsewhere = firm.world.session(person)
    browser.cookies[cookies.SESSION] = token
    assert "更改密码" in browser.get("/account/password").text
    fields = {"new": "Neue-88-Blume-weit", "repeat": "Neue-88-Blume-weit"}
    reply = browser.post("/account/password", current="wrong", **fields)
    assert told(reply) == "当前密码不正确，没有修改。请重新输入。"
    reply = browser.post("/account/password", current=person.password, **fields)
    assert "密码已更改" in browser.follow(reply).text
    other = Browser(browser._http)
    other.cookies[cookies.SESSION] = elsewhere
    eventually(lambda: other.get("/v1/account", accept="application/json").status_code == 401)
    # Codes and the app take the new password.
    reply = browser.post("/account/factors/recovery-codes", password=person.password)
    assert reply.status_code == 400
    page = browser.post("/account/factors/recovery-codes", password=fields["new"])
    assert len(re.findall(r"<code>[a-z2-9-]{19}</code>", page.text)) == 10
    page = browser.post("/account/factors/totp", password=fields["new"])
    secret = re.search(r'<code id="secret">([A-Z2-7 ]+)</code>', page.text)
    assert secret is not None
    assert browser.post("/account/factors/totp/confirm", code="123").status_code == 400
    reply = browser.post("/account/factors/totp/confirm", code=pyotp.TOTP(secret[1].replace(" ", "")).now())
    assert "验证器已设置" in browser.follow(reply).text
    assert browser.json("/account/factors/passkeys/options", {"password": "wrong"}).status_code == 403
    options = browser.json("/account/factors/passkeys/options", {"password": fields["new"]})
    assert options.json()["rp"]["id"] == "localhost"
    forged = browser.json("/account/factors/passkeys", {"credential": {"id": "x"}, "name": "y"})
    assert forged.json()["error"]["code"] == "passkey_refused"


def test_a_language_is_chosen_and_kept(browser: Browser) -> None:
    assert "登录" in browser.get("/login").text
    assert "Sign in" in browser.get("/login?lang=en").text
    assert "Sign in" in browser.get("/login").text
    assert "Sign in" in browser.get("/login?lang=fr").text


# --- the first start ---


def test_the_first_start(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    with run(settings) as server, server.http() as http:
        identity = server.services.identity
        assert identity is not None
        secret = (
            identity.setup.open()
        )  # as vlpro user setup does, and a start in a terminal (test_user_command.py)
        assert secret is not None
        browser = Browser(http)
        assert browser.get("/").headers["location"] == "/setup"
        assert browser.get("/login").headers["location"] == "/setup"
        for login in ("admin", "root"):
            assert browser.post("/login", login=login, password="admin").status_code == 401  # 8.1.4.2 b
        fields = {
            "secret": secret,
            "security_login": "sec",
            "security_name": "张安全",
            "security_password": "First-41-Password-x",
            "system_login": "sysadmin",
            "system_name": "李系统",
            "system_password": "First-42-Password-y",
        }
        wrong = browser.post("/setup", **fields | {"secret": "aaaa-bbbb"})
        assert wrong.status_code == 400
        assert "设置密钥不正确" in wrong.text
        reply = browser.post("/setup", **fields | {"system_login": "SEC", "security_password": "password"})
        assert reply.status_code == 400
        assert "不能相同" in reply.text
        assert "密码太短" in reply.text
        assert "First-42" not in reply.text
        assert browser.post("/setup", **fields).status_code == 200
        assert browser.get("/setup").status_code == browser.post("/setup", **fields).status_code == 404
        reply = browser.post("/login", login="sec", password="First-41-Password-x")
        assert "设置新密码" in browser.follow(reply).text


@pytest.mark.parametrize(
    ("param", "change"),
    [
        ("public_url", {"public_url": ""}),
        ("public_url", {"public_url": "http://vl.example"}),
        ("key_file", {"key_file": None}),
        ("key_file", {"key_file": Path("missing")}),
        ("trusted_proxies", {"trusted_proxies": ()}),
        ("database_url", {"database_url": "mysql://x"}),
    ],
)
def test_the_profile_does_not_start_while_a_condition_is_missing(
    tmp_path: Path, param: str, change: dict[str, object]
) -> None:
    with pytest.raises(ConfigError) as error:
        parts(settings_of(tmp_path, **change))
    assert error.value.param == param


@pytest.mark.parametrize("address", ["", "0.0.0.0", "::", "10.1.2.3", "vl.example"])  # noqa: S104 - refused
def test_the_service_is_never_exposed_without_its_proxy(tmp_path: Path, address: str) -> None:
    with pytest.raises(ConfigError) as error:
        parts(settings_of(tmp_path), address=address)
    assert error.value.param == "server.address"


# --- company directories ---


def test_people_of_an_ldap_directory(tmp_path: Path) -> None:
    (tmp_path / "ldap").mkdir()
    with slapd(tmp_path / "ldap") as directory:
        options = LdapOptions(
            url=directory.url,
            bind_dn=SERVICE,
            bind_password=SERVICE_PASSWORD,
            base_dn=f"ou=people,{BASE}",
            group_base_dn=f"ou=groups,{BASE}",
        )
        with company(tmp_path, sqlite_url(tmp_path), ldap=options) as firm, firm.server.http() as http:
            browser = Browser(http)
            typed = {"login": "li.wenjing", "password": PASSWORDS["li.wenjing"]}
            assert browser.post("/login", **typed).status_code == 403  # no rule gives a role yet
            groups = _groups(directory.url, "li.wenjing", options)
            rules = [{"group": min(groups), "role": "user", "level": "secret"}]
            firm.policy(directory_groups=rules, directory_second_factor=False)
            assert browser.post("/login", **typed | {"password": "wrong"}).status_code == 401
            assert browser.follow(browser.post("/login", **typed)).headers["location"] == "/"
            own = browser.get("/v1/account").json()
            assert (own["login"], own["name"], own["role"], own["level"]) == (
                "li.wenjing",
                "李文静",
                "user",
                "secret",
            )
            firm.policy(directory_second_factor=True)
            assert "二次验证" in browser.follow(browser.post("/login", **typed)).text
            # Groups that give an administrator's role: granted by who wrote the rule.
            firm.policy(
                directory_groups=[{"group": min(groups), "role": "audit"}],
                directory_second_factor=False,
            )
            page = browser.follow(browser.post("/login", **typed))
            assert "二次验证" in page.text  # administrators need one in any case
            firm.policy(directory_groups=[])
            assert browser.post("/login", **typed).status_code == 403


def _groups(url: str, login: str, options: LdapOptions) -> frozenset[str]:
    from vlpro.identity.directories.ldap import LdapDirectory  # noqa: PLC0415 - its client may be missing

    found = LdapDirectory(options).check(login, PASSWORDS[login])
    assert url
    assert found is not None
    return found.groups


def test_people_of_an_openid_provider(tmp_path: Path) -> None:
    with provider() as company_sign_in:
        options = OidcOptions(issuer=company_sign_in.url, client_id=CLIENT_ID, client_secret=CLIENT_SECRET)
        with company(tmp_path, sqlite_url(tmp_path), oidc=options) as firm, firm.server.http() as http:
            firm.policy(
                directory_groups=[{"group": "radiology", "role": "user"}], directory_second_factor=False
            )
            browser = Browser(http)
            assert "统一登录" in browser.get("/login").text
            reply = browser.get("/login/oidc?next=%2F%3Fc%3D1")
            away = reply.headers["location"]
            assert away.startswith(company_sign_in.url)
            assert browser.set[cookies.OIDC][cookies.OIDC]["samesite"].lower() == "lax"
            back = company_sign_in.come_back(away)
            # Without the cookie of who began it, or with another state, it leads nowhere.
            stranger = Browser(http)
            assert stranger.get("/login/oidc/callback?" + str(httpx.QueryParams(back))).status_code == 401
            kept = dict(browser.cookies)
            forged = httpx.QueryParams({**back, "state": "x" * 43})
            assert browser.get(f"/login/oidc/callback?{forged}").status_code == 401
            assert cookies.OIDC not in browser.cookies
            browser.cookies = kept
            page = browser.get("/login/oidc/callback?" + str(httpx.QueryParams(back)))
            assert 'content="0;url=/login/continue"' in page.text
            assert browser.get("/login/continue").headers["location"] == "/?c=1"
            assert browser.get("/v1/account").json()["name"] == "李文静"
            again = Browser(http)
            again.cookies = kept
            reply = again.get("/login/oidc/callback?" + str(httpx.QueryParams(back)))
            assert reply.status_code == 401  # the provider gives a code once
