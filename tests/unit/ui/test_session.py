from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from vlpro.client import ADDRESS_HEADER, BACKGROUND_HEADER, SESSION_COOKIE, ApiError
from vlpro.ui import session

PEOPLE = {"one": "usr_1", "two": "usr_2"}


class State(dict[str, Any]):
    """As Streamlit's session state: items are attributes too."""

    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__


class Service:
    """An API with accounts, or without; remembers what was asked."""

    def __init__(self, *, accounts: bool) -> None:
        self.accounts = accounts
        self.asked: list[httpx.Headers] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.headers)
        if not self.accounts:
            return self._refused(404)
        who = request.headers.get("cookie", "").removeprefix(f"{SESSION_COOKIE}=")
        if who not in PEOPLE:
            return self._refused(503 if who == "down" else 401)
        return httpx.Response(
            200,
            json={
                "id": PEOPLE[who],
                "login": who,
                "name": who,
                "department": "",
                "role": "user",
                "level": "internal",
                "permissions": [],
                "key_scopes": [],
                "idle_minutes": 15,
                "watermark": False,
            },
        )

    @staticmethod
    def _refused(status: int) -> httpx.Response:
        return httpx.Response(status, json={"error": {"message": "no", "type": "x", "code": "x"}})


@pytest.fixture
def tab(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    made = SimpleNamespace(
        session_state=State(),
        query_params={},
        context=SimpleNamespace(
            cookies={}, headers={ADDRESS_HEADER: "10.1.2.3"}, locale="en", timezone="Asia/Shanghai"
        ),
    )
    monkeypatch.setattr(session, "st", made)
    session._has_accounts.cache_clear()
    yield made
    session._has_accounts.cache_clear()


def _serve(monkeypatch: pytest.MonkeyPatch, *, accounts: bool = True) -> Service:
    service = Service(accounts=accounts)
    monkeypatch.setattr(session, "in_process", lambda: httpx.MockTransport(service))
    return service


def test_without_accounts_nothing_is_asked_but_once(
    tab: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = _serve(monkeypatch, accounts=False)
    tab.session_state["kept"] = 1
    assert [session.begin() for _ in range(3)] == [None, None, None]
    assert len(service.asked) == 1
    assert dict(tab.session_state) == {"kept": 1}
    assert session.account() is None


def test_the_page_asks_as_the_person_before_it(tab: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    service = _serve(monkeypatch)
    tab.context.cookies = {SESSION_COOKIE: "one", "other": "x"}
    person = session.begin()
    assert person is not None
    assert person.id == "usr_1"
    sent = service.asked[-1]
    assert sent["cookie"] == f"{SESSION_COOKIE}=one"
    assert sent[ADDRESS_HEADER] == "10.1.2.3"
    assert BACKGROUND_HEADER not in sent
    session.client(background=True).account()
    assert service.asked[-1][BACKGROUND_HEADER] == "1"


def test_a_run_that_nobody_asked_for_keeps_no_session_alive(
    tab: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = _serve(monkeypatch)
    tab.context.cookies = {SESSION_COOKIE: "one"}
    tab.session_state["by_itself"] = True
    session.begin()
    session.client().account()
    assert all(BACKGROUND_HEADER in sent for sent in service.asked[-2:])
    session.begin()
    session.client().account()
    assert not any(BACKGROUND_HEADER in sent for sent in service.asked[-2:])


def test_another_person_finds_nothing_of_the_one_before(
    tab: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    _serve(monkeypatch)
    tab.context.cookies = {SESSION_COOKIE: "one"}
    session.begin()
    tab.session_state["remembered_told"] = "a secret"
    tab.query_params["c"] = "conv_1"
    session.begin()
    assert session.take("told", keep=True) == "a secret"
    tab.context.cookies = {SESSION_COOKIE: "two"}
    person = session.begin()
    assert person is not None
    assert person.id == "usr_2"
    assert session.take("told") is None
    assert tab.query_params == {}


def test_a_session_that_is_over_leaves_nothing(tab: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    _serve(monkeypatch)
    tab.context.cookies = {SESSION_COOKIE: "one"}
    session.begin()
    tab.context.cookies = {SESSION_COOKIE: "ended"}
    with pytest.raises(session.SignedOutError):
        session.begin()
    assert dict(tab.session_state) == {}
    tab.context.cookies = {SESSION_COOKIE: "down"}
    with pytest.raises(ApiError):
        session.begin()


def test_times_are_told_in_the_readers_zone(tab: SimpleNamespace) -> None:
    assert session.moment(0) == "1970-01-01 08:00"
    assert session.moment(None) == "–"
    tab.context.timezone = "Nowhere/../At all"
    assert session.moment(0).startswith("19")


def test_one_chooses_levels_up_to_ones_own(tab: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    _serve(monkeypatch)
    tab.context.cookies = {SESSION_COOKIE: "one"}
    person = session.begin()
    assert person is not None
    assert session.levels(person) == ("public", "internal")
