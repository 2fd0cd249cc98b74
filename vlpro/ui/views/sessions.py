"""The system administrator's sessions: who is signed in, from where, since when; and the end of one."""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from vlpro.schema.accounts import OwnAccount, Session
from vlpro.ui import people, session
from vlpro.ui.parts import facts, mount, title
from vlpro.ui.session import t
from vlpro.ui.views import frame

__all__ = ["ask_to_end", "details", "page", "paged", "rows"]

_PAGE = 25
_MOST = 200  # of one answer


def page(person: OwnAccount) -> None:
    """Draw everything."""
    with frame.panel(person):
        query = st.text_input(
            t("sessions.find"),
            key="sessions_find",
            type="search",
            label_visibility="collapsed",
            placeholder=t("sessions.find"),
            icon=":material/search:",
            live="300ms",
        )
        st.button(t("reload"), key="sessions_reload", icon=":material/refresh:", width="stretch")
    with frame.middle():
        title(t("nav.sessions"), t("sessions.about"))
        found = frame.attempt(lambda: session.client().sessions())
        if found is None:
            return
        wanted = query.casefold().strip()
        held = [one for one in found.data if wanted in f"{one.login} {one.name} {one.address}".casefold()]
        data, turn = paged(rows(held), "sessions")
        names = ("login", "address", "since", "seen", "factor")
        sizes = ("minmax(0, 1.4fr)", "minmax(0, 1.4fr)", "136px", "136px", "124px")
        data |= {
            "label": t("nav.sessions"),
            "columns": [
                {"name": t(f"column.{name}"), "size": size} for name, size in zip(names, sizes, strict=True)
            ],
            "empty": t("sessions.none"),
            "words": frame.table_words(),
        }
        mount("table", data, key="sessions_table", open=_open, turn=turn)
        if len(found.data) >= _MOST:
            st.html(f'<p class="vl-hint">{escape(t("sessions.more", most=_MOST))}</p>')
    if (opened := session.take("open")) is not None:
        one = next((one for one in found.data if one.id == opened), None)
        if one is not None:
            st.dialog(t("sessions.end.ask"), width="small")(ask_to_end)(one, own=False)


def _open() -> None:
    session.remember("open", st.session_state.sessions_table.open)


def rows(held: list[Session]) -> list[dict[str, Any]]:
    """Rows of the part ``table``: who, from where, since when, last seen, with which factor."""
    return [
        {
            "id": one.id,
            "cells": [
                {"text": one.name, "sub": one.login},
                {"text": one.address, "sub": people.browser(one.agent)},
                {"text": session.moment(one.created_at)},
                {"text": session.moment(one.seen_at)},
                {
                    "text": t("sessions.current") if one.current else t(f"factor.{one.factor}"),
                    "badge": "info" if one.current else "plain",
                },
            ],
            "opens": not one.current,
        }
        for one in held
    ]


def paged(found: list[dict[str, Any]], name: str) -> tuple[dict[str, Any], Any]:
    """One page of rows for the part ``table``, and what turns its pages.

    Args:
        found: All rows.
        name: Of the table; its part has the key ``<name>_table``.
    """
    key = f"{name}_page"
    last = max(0, (len(found) - 1) // _PAGE)
    at = min(st.session_state.get(key, 0), last)
    shown = found[at * _PAGE : (at + 1) * _PAGE]

    def turn() -> None:
        step = st.session_state[f"{name}_table"].turn[0]
        st.session_state[key] = max(0, min(last, at + step))

    text = t("rows.of", first=at * _PAGE + 1, last=at * _PAGE + len(shown), all=len(found))
    pager = {"text": text, "back": at > 0, "on": at < last} if last else None
    return {"rows": shown, "pager": pager}, turn


def details(one: Session) -> list[tuple[str, str]]:
    """What is known of a session: names and values, as HTML."""
    return [
        (t("column.login"), f"{escape(one.name)} · {escape(one.login)}"),
        (t("column.address"), escape(one.address)),
        (t("sessions.browser"), escape(people.browser(one.agent))),
        (t("column.since"), session.moment(one.created_at)),
        (t("column.seen"), session.moment(one.seen_at)),
        (t("sessions.until"), session.moment(one.expires_at)),
        (t("column.factor"), escape(t(f"factor.{one.factor}"))),
    ]


def ask_to_end(one: Session, *, own: bool) -> None:
    """A dialog's content: ends a session, after asking.

    Args:
        one: Which.
        own: Whether it is of the person before the page.
    """
    st.html(facts(details(one)))
    st.html(f'<p class="vl-hint">{escape(t("sessions.end.body"))}</p>')
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button(t("cancel"), key="end_no"):
            st.rerun()
        sure = st.button(t("sessions.end"), key="hurt-yes", type="primary")
    if sure:
        api = session.client()
        end = api.end_own_session if own else api.end_session
        if frame.attempt(lambda: end(one.id)) is not None:
            session.remember("notice", ("info", t("sessions.ended", name=one.name)))
            st.rerun()
