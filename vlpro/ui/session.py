"""What one browser tab has going: its language, its conversation, what is to be told, and the way to the API."""

from __future__ import annotations

from typing import Any, Literal, cast

import streamlit as st

from vlpro.client import ApiError, Client, in_process
from vlpro.languages import LANGUAGE_COOKIE, preferred_language
from vlpro.ui import strings
from vlpro.ui.strings import Language

__all__ = [
    "client",
    "conversation_id",
    "language",
    "open_conversation",
    "remember",
    "sentence",
    "set_language",
    "t",
    "take",
    "words",
]

Remembered = Literal["outcome", "announcement", "notice"]


def client() -> Client:
    """The API, as this person sees it."""
    return Client(transport=in_process())


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


def conversation_id() -> str | None:
    """The conversation that is open; it stands in the address, so that a reload finds it again."""
    return st.query_params.get("c") or None


def open_conversation(identifier: str | None) -> None:
    """Show another conversation; None: an empty page."""
    if identifier:
        st.query_params["c"] = identifier
    else:
        st.query_params.pop("c", None)


def remember(name: Remembered, value: Any) -> None:
    """Keep something to be told when the page is drawn."""
    st.session_state[f"remembered_{name}"] = value


def take(name: Remembered, *, keep: bool = False) -> Any:
    """What was remembered, or None; it is forgotten unless ``keep``."""
    key = f"remembered_{name}"
    return st.session_state.get(key) if keep else st.session_state.pop(key, None)
