"""What all pages have around their work: the panel's head and foot, notices, questions before what hurts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import TypeVar

import streamlit as st

from vlpro.client import ApiError
from vlpro.languages import LANGUAGE_COOKIE
from vlpro.schema.accounts import OwnAccount
from vlpro.ui import session, strings
from vlpro.ui.parts import mount, note
from vlpro.ui.session import t

__all__ = [
    "ME",
    "PATHS",
    "attempt",
    "brand",
    "foot",
    "middle",
    "notice",
    "panel",
    "reason",
    "secret",
    "table_words",
]

ME = "my-account"
PATHS = (
    *("/", "/receipts", "/inspections", "/batches", "/report", "/knowledge"),
    *("/audit", "/accounts", "/sessions", "/engine", "/policy", "/roles", "/compliance", f"/{ME}"),
)
"""All addresses: Streamlit keeps light or dark for each of them."""

_LEAST, _MOST = 4, 200  # characters of a reason

Result = TypeVar("Result")


def brand() -> None:
    """The head of the panel."""
    st.html(
        f'<div class="vl-brand"><span class="vl-mark"></span><div><strong>{escape(t("product"))}</strong>'
        f"<span>{escape(t('tagline'))}</span></div></div>"
    )


def foot() -> None:
    """The foot of the panel: who is here, language, light or dark."""
    person = session.account()
    with st.container(key="foot"):
        if person is not None:
            mount("account", _account(person), key="account")
        mount(
            "preferences",
            {
                "language": session.language(),
                "cookie": LANGUAGE_COOKIE,
                "languages": strings.LANGUAGES,
                "paths": PATHS,
                "words": session.words("language", "theme", "system", "light", "dark"),
            },
            key="preferences",
            language=_speak,
        )


def _account(person: OwnAccount) -> dict[str, object]:
    administers = t(f"role.{person.role}") if person.role != "user" else ""
    mark = {
        "who": f"{person.name} {person.login}",
        "level": t(f"level.{person.level}"),
        "now": int(time.time()) // 60 * 60,
    }
    return {
        "id": person.id,
        "idleMinutes": person.idle_minutes,
        "name": person.name or person.login,
        "detail": " · ".join(part for part in (person.department, administers) if part),
        "watermark": mark if person.watermark else None,
        "words": session.words("sign_out", "sign_out_failed"),
    }


def _speak() -> None:
    session.set_language(st.session_state.preferences.language)


@contextmanager
def panel(person: OwnAccount | None = None) -> Iterator[None]:
    """The left panel of a page that is no chat; what the page puts into it stands in its middle."""
    del person  # the foot shows who is signed in
    with st.sidebar:
        brand()
        with st.container(key="tools"):
            yield
        foot()


@contextmanager
def middle(*, narrow: bool = False) -> Iterator[None]:
    """Where a page's work goes, with what is to be told above it."""
    with st.container(key="work-narrow" if narrow else "work"):
        notice()
        yield


def notice() -> None:
    """What happened since the page was last drawn."""
    if (told := session.take("notice")) is not None:
        note(*told)


def attempt(work: Callable[[], Result]) -> Result | None:
    """Do something; if the API refuses, say why, here.

    Returns:
        What came of it; None: it was refused.
    """
    try:
        return work()
    except ApiError as error:
        if error.status == 401:
            st.rerun()
        note("bad", session.sentence(error), session.number(error))
        return None


def reason(key: str, label: str, example: str, button: str) -> str | None:
    """Ask for a reason, within a form; with the button that sends it.

    Args:
        key: Names the field.
        label: Its label.
        example: Such as might stand in it.
        button: What the button says.

    Returns:
        None: it was not given yet, or is too short, which is said.
    """
    given = st.text_input(label, key=key, max_chars=_MOST, placeholder=example).strip()
    with st.container(horizontal=True, horizontal_alignment="right"):
        sent = st.form_submit_button(button, key=f"{key}_do", type="primary")
    if sent and len(given) < _LEAST:
        note("bad", t("audit.view.short"))
    return given if sent and len(given) >= _LEAST else None


def secret(label: str, value: str) -> None:
    """Something that is told once, with a button that copies it."""
    data = {"label": label, "value": value, "words": session.words("copy", "copied", "copy_failed")}
    mount("secret", data, key="secret")


def table_words() -> dict[str, str]:
    """The words of the part ``table``."""
    return session.words("choose", "choose_all", "page_back", "page_on")
