"""What one browser tab has going: who is before it, its language, its conversation, and the way to the API."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from functools import cache
from typing import Any, Literal, NoReturn, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from vlpro.client import (
    ADDRESS_HEADER,
    BACKGROUND_HEADER,
    SESSION_COOKIE,
    ApiError,
    Client,
    in_process,
)
from vlpro.languages import LANGUAGE_COOKIE, preferred_language
from vlpro.schema.accounts import LevelName, OwnAccount
from vlpro.ui import strings
from vlpro.ui.parts import Tone
from vlpro.ui.strings import Language

__all__ = [
    "LEVELS",
    "TONES",
    "SignedOutError",
    "account",
    "address",
    "begin",
    "client",
    "conversation_id",
    "language",
    "levels",
    "moment",
    "number",
    "open_conversation",
    "remember",
    "rerun_by_itself",
    "sentence",
    "set_language",
    "t",
    "take",
    "times_chosen",
    "words",
    "zone",
]

Remembered = Literal["outcome", "announcement", "notice", "file", "open", "told"]

LEVELS: tuple[LevelName, ...] = ("public", "internal", "secret")
TONES: dict[LevelName, Tone] = {"public": "plain", "internal": "info", "secret": "bad"}
"""How a level's badge looks."""


class SignedOutError(Exception):
    """The session of who was before the page is over."""


# --- who is before the page ---


def begin() -> OwnAccount | None:
    """Find out who is before the page, first thing in each run.

    If it is another person than in the run before, everything that was remembered for that one is forgotten.

    Returns:
        The person; None in profile ``local``, which has no accounts.

    Raises:
        SignedOutError: Nobody is, any more.
        ApiError: The service does not answer.
    """
    if not _has_accounts():
        return None
    by_itself = st.session_state.pop("by_itself", False)
    try:
        person = client(background=by_itself).account()
    except ApiError as error:
        if error.status == 401:
            st.session_state.clear()
            raise SignedOutError from error
        raise
    before = account()
    if before is not None and before.id != person.id:
        st.session_state.clear()
        st.query_params.clear()
    st.session_state.account = person
    st.session_state.run_by_itself = by_itself
    return person


@cache
def _has_accounts() -> bool:
    """Whether this service has accounts, which it decides at its start."""
    try:
        Client(transport=in_process()).account()
    except ApiError as error:
        if error.status == 401:
            return True
        if error.status == 404:
            return False
        raise
    return True


def account() -> OwnAccount | None:
    """Who is before the page, as of the beginning of this run; None in profile ``local``."""
    return cast("OwnAccount | None", st.session_state.get("account"))


def address() -> str:
    """Where the person before the page is, as the service saw it."""
    return st.context.headers.get(ADDRESS_HEADER) or ""


def client(*, background: bool | None = None) -> Client:
    """The API, as this person sees it.

    Args:
        background: Whether the page asks by itself: a session that does only this goes idle. Left out: as in the
            rest of the run.
    """
    headers = {}
    if token := st.context.cookies.get(SESSION_COOKIE):
        headers = {"cookie": f"{SESSION_COOKIE}={token}", ADDRESS_HEADER: address()}
        if st.session_state.get("run_by_itself", False) if background is None else background:
            headers[BACKGROUND_HEADER] = "1"
    return Client(transport=in_process(), headers=headers)


def rerun_by_itself() -> NoReturn:
    """Draw the whole page again, although nobody asked for it."""
    st.session_state.by_itself = True
    st.rerun()
    raise AssertionError  # st.rerun() does not return


def levels(person: OwnAccount) -> tuple[LevelName, ...]:
    """The levels up to a person's own."""
    return LEVELS[: LEVELS.index(person.level) + 1]


# --- words ---


def language() -> Language:
    """The language in use: chosen here, chosen earlier, or the browser's."""
    if "language" not in st.session_state:
        accepted = st.context.headers.get("accept-language") or st.context.locale or ""
        st.session_state.language = preferred_language(accepted, st.context.cookies.get(LANGUAGE_COOKIE, ""))
    return cast(Language, st.session_state.language)


def set_language(chosen: str) -> None:
    """Speak another language from now on; unknown ones are ignored."""
    if chosen in strings.LANGUAGES:
        st.session_state.language = chosen


def t(key: str, **values: object) -> str:
    """A sentence of the page in the language in use."""
    return strings.text(key, language(), **values)


def words(*keys: str) -> dict[str, str]:
    """Sentences for a component, which fills their places itself."""
    return {key: t(key) for key in keys}


def sentence(error: ApiError) -> str:
    """What went wrong, in the language in use."""
    return error.zh if language() == "zh" else error.message


def number(error: ApiError) -> str:
    """The number to give to the administrator; empty where there is none."""
    return f"{t('request')} {error.request_id}" if error.request_id else ""


def moment(seconds: float | None) -> str:
    """A time as people read it, to the minute, in their own zone; "–" where there is none."""
    return "–" if seconds is None else datetime.fromtimestamp(seconds, zone()).strftime("%Y-%m-%d %H:%M")


def zone() -> tzinfo | None:
    """The zone of the browser; the machine's where it tells none that is known here."""
    try:
        return ZoneInfo(st.context.timezone or "")
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return datetime.now(UTC).astimezone().tzinfo


# --- what is open, and what is to be told ---


def conversation_id() -> str | None:
    """The conversation that is open; it stands in the address, so that a reload finds it again."""
    return st.query_params.get("c") or None


def open_conversation(identifier: str | None) -> None:
    """Show another conversation; None: an empty page."""
    if identifier:
        st.query_params["c"] = identifier
    else:
        st.query_params.pop("c", None)
    st.session_state.times_chosen = times_chosen() + 1


def times_chosen() -> int:
    """How often another conversation, or an empty page, was chosen in this tab."""
    return int(st.session_state.get("times_chosen", 0))


def remember(name: Remembered, value: Any) -> None:
    """Keep something to be told when the page is drawn."""
    st.session_state[f"remembered_{name}"] = value


def take(name: Remembered, *, keep: bool = False) -> Any:
    """What was remembered, or None; it is forgotten unless ``keep``."""
    key = f"remembered_{name}"
    return st.session_state.get(key) if keep else st.session_state.pop(key, None)
