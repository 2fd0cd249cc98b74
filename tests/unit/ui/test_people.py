from __future__ import annotations

from typing import Any

import pytest

from vlpro.schema.accounts import Account
from vlpro.ui.people import browser, state


def _account(**given: Any) -> Account:
    held: dict[str, Any] = {
        "id": "usr_1",
        "login": "li",
        "name": "李",
        "department": "",
        "source": "local",
        "role": "user",
        "level": "internal",
        "created_at": 0,
        "signed_in_at": None,
        "expires_at": None,
        "disabled": None,
    }
    return Account(**(held | given))


@pytest.mark.parametrize(
    ("given", "tone", "word"),
    [
        ({}, "ok", "state.active"),
        ({"role": None}, "plain", "state.no_role"),
        ({"locked": True, "role": None}, "warn", "state.locked"),
        ({"expires_at": 99.0, "locked": True}, "warn", "state.expired"),
        ({"expires_at": 101.0}, "ok", "state.active"),
        ({"disabled": "idle"}, "warn", "state.idle"),
        ({"disabled": "administrator", "expires_at": 1.0}, "bad", "state.disabled"),
    ],
)
def test_the_state_that_matters_most_is_told(given: dict[str, Any], tone: str, word: str) -> None:
    assert state(_account(**given), 100.0) == (tone, word)


@pytest.mark.parametrize(
    ("agent", "told"),
    [
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0",
            "Edge 141 · Windows",
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0 Safari/537.36",
            "Chrome 141 · Linux",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Mobile/15E148 Safari/604.1",
            "Safari 19 · iOS",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 15.0; rv:145.0) Gecko/20100101 Firefox/145.0",
            "Firefox 145 · macOS",
        ),
        ("curl/8.1" + "x" * 60, ("curl/8.1" + "x" * 60)[:40]),
        ("", "–"),
    ],
)
def test_browsers_are_told_in_short(agent: str, told: str) -> None:
    assert browser(agent) == told
