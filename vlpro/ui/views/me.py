"""One's own account: who one is, one's sessions, one's API keys."""

from __future__ import annotations

import time
from html import escape
from typing import Any

import streamlit as st

from vlpro.schema.accounts import Key, NewKey, OwnAccount
from vlpro.ui import session
from vlpro.ui.parts import badge, facts, mount, note, title
from vlpro.ui.policy_settings import LineError, networks
from vlpro.ui.session import t
from vlpro.ui.strings import STRINGS
from vlpro.ui.views import frame, sessions
from vlpro.ui.views.sidebar import status_panel

__all__ = ["page"]

_DAYS = 90


def page(person: OwnAccount) -> None:
    """Draw everything."""
    session.take("told")  # a secret that was told stays no longer than its dialog
    with frame.panel(person):
        status_panel(busy=False)
    with frame.middle(narrow=True):
        title(t("nav.me"), t("me.about"))
        _who(person)
        held = _sessions()
        keys = _keys(person)
    if (opened := session.take("open")) is not None:
        kind, which = opened
        for one in held:
            if kind == "session" and one.id == which:
                st.dialog(t("sessions.end.ask"), width="small")(sessions.ask_to_end)(one, own=True)
        for key in keys:
            if kind == "key" and key.id == which:
                st.dialog(key.name, width="medium")(_key_sheet)(key)


def _who(person: OwnAccount) -> None:
    level = badge(session.TONES[person.level], t(f"level.{person.level}"))
    pairs = [
        (t("accounts.name"), escape(person.name)),
        (t("accounts.login"), escape(person.login)),
        (t("accounts.department"), escape(person.department or "–")),
        (t("column.role"), escape(t(f"role.{person.role}"))),
        (t("column.level"), level),
        (t("me.idle"), escape(t("me.minutes", minutes=person.idle_minutes))),
    ]
    links = (
        f'<p class="vl-inline"><a href="/account/password">{escape(t("me.password"))}</a>'
        f'<a href="/account/factors">{escape(t("me.factors"))}</a></p>'
    )
    st.html(f'<section class="vl-card">{facts(pairs)}{links}</section>')


# --- sessions ---


def _sessions() -> list[Any]:
    with st.container(
        key="head-sessions", horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"
    ):
        st.html(f'<h2 class="vl-group">{escape(t("me.sessions"))}</h2>')
        ask = st.button(t("me.end_others"), key="me_end_others", type="tertiary")
    found = frame.attempt(lambda: session.client().own_sessions())
    if found is None:
        return []
    names = (
        ("address", "minmax(0, 1.6fr)"),
        ("since", "136px"),
        ("seen", "136px"),
        ("factor", "124px"),
    )
    rows = sessions.rows(found.data)
    for row in rows:
        row["cells"] = row["cells"][1:]
    data = {
        "label": t("me.sessions"),
        "columns": [{"name": t(f"column.{name}"), "size": size} for name, size in names],
        "rows": rows,
        "empty": t("sessions.none"),
        "words": frame.table_words(),
    }
    mount("table", data, key="own_sessions", open=lambda: _open("session", "own_sessions"))
    if ask:
        st.dialog(t("me.end_others.ask"), width="small")(_end_others)()
    return found.data


def _open(kind: str, part: str) -> None:
    session.remember("open", (kind, st.session_state[part].open))


def _end_others() -> None:
    st.markdown(t("me.end_others.body"))
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button(t("cancel"), key="others_no"):
            st.rerun()
        sure = st.button(t("me.end_others"), key="hurt-yes", type="primary")
    if sure:
        ended = frame.attempt(lambda: session.client().end_other_sessions())
        if ended is not None:
            session.remember("notice", ("info", t("me.others_ended", count=ended.ended)))
            st.rerun()


# --- keys ---


def _keys(person: OwnAccount) -> list[Key]:
    with st.container(
        key="head-keys", horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"
    ):
        st.html(f'<h2 class="vl-group">{escape(t("keys.title"))}</h2>')
        new = st.button(t("keys.new"), key="keys_new", icon=":material/add:")
    st.html(f'<p class="vl-hint">{escape(t("keys.about"))}</p>')
    found = frame.attempt(lambda: session.client().keys())
    held = found.data if found is not None else []
    names = (
        ("key", "minmax(0, 1.4fr)"),
        ("scopes", "minmax(0, 1.6fr)"),
        ("until", "136px"),
        ("used", "136px"),
        ("tokens", "120px"),
    )
    data, turn = sessions.paged([_row(key) for key in held], "keys")
    data |= {
        "label": t("keys.title"),
        "columns": [{"name": t(f"column.{name}"), "size": size} for name, size in names],
        "empty": t("keys.none"),
        "words": frame.table_words(),
    }
    mount("table", data, key="keys_table", open=lambda: _open("key", "keys_table"), turn=turn)
    if new:
        session.take("told")
        st.dialog(t("keys.new"), width="medium", on_dismiss="rerun")(_new)(person)
    return held


def _row(key: Key) -> dict[str, Any]:
    over = key.expires_at <= time.time()
    spent = f"{key.tokens_today:,}" + (f" / {key.tokens_per_day:,}" if key.tokens_per_day else "")
    return {
        "id": key.id,
        "cells": [
            {"text": key.name, "sub": f"{key.prefix}…"},
            {"text": _scopes(key.scopes)},
            {"text": session.moment(key.expires_at), **({"badge": "warn"} if over else {})},
            {"text": session.moment(key.used_at)},
            {"text": spent},
        ],
        "dim": over,
    }


def _scopes(scopes: list[str]) -> str:
    return "、".join(map(_scope, scopes)) if session.language() == "zh" else ", ".join(map(_scope, scopes))


def _scope(scope: str) -> str:
    key = f"scope.{scope}"
    return t(key) if key in STRINGS else scope


def _new(person: OwnAccount) -> None:
    if (made := session.take("told", keep=True)) is not None:
        note("info", t("keys.made", name=made.key.name))
        frame.secret(t("keys.secret"), made.secret)
        st.html(f'<p class="vl-hint">{escape(t("keys.once"))}</p>')
        with st.container(horizontal=True, horizontal_alignment="right"):
            if st.button(t("done.button"), key="told_done", type="primary"):
                st.rerun()
        return
    with st.form("key_new", border=False):
        name = st.text_input(t("keys.name"), key="key_name", max_chars=64, placeholder=t("keys.name.example"))
        scopes = st.multiselect(
            t("column.scopes"), person.key_scopes, person.key_scopes, key="key_scopes", format_func=_scope
        )
        with st.container(horizontal=True):
            days = st.number_input(t("keys.days"), 1, 730, _DAYS, key="key_days")
            rate = st.number_input(
                t("keys.rate"), 1, 100_000, None, key="key_rate", placeholder=t("keys.rate.policy")
            )
            tokens = st.number_input(
                t("keys.tokens"), 0, 10**12, 0, 10_000, key="key_tokens", help=t("keys.tokens.help")
            )
        written = st.text_area(
            t("keys.addresses"), key="key_addresses", help=t("keys.addresses.help"), height=80
        )
        sent = st.form_submit_button(t("keys.create"), key="key_send", type="primary")
    if not sent:
        return
    try:
        addresses = networks(written)
    except LineError as error:
        note("bad", t("policy.line", line=error.line, text=error.text))
        return
    asked = NewKey(
        name=name,
        scopes=scopes,
        days=days,
        requests_per_minute=rate,
        tokens_per_day=tokens,
        addresses=addresses,
    )
    made = frame.attempt(lambda: session.client().new_key(asked))
    if made is not None:
        session.remember("told", made)
        st.rerun(scope="fragment")


def _key_sheet(key: Key) -> None:
    st.html(
        facts(
            [
                (t("column.key"), f"<code>{escape(key.prefix)}…</code>"),
                (t("column.scopes"), escape(_scopes(key.scopes))),
                (t("accounts.since"), session.moment(key.created_at)),
                (t("column.until"), session.moment(key.expires_at)),
                (t("column.used"), session.moment(key.used_at)),
                (t("keys.rate"), f"{key.requests_per_minute:,}"),
                (
                    t("keys.tokens"),
                    f"{key.tokens_per_day:,}" if key.tokens_per_day else escape(t("keys.no_limit")),
                ),
                (t("keys.addresses"), "<br>".join(map(escape, key.addresses)) or escape(t("keys.anywhere"))),
            ]
        )
    )
    st.html(f'<p class="vl-hint">{escape(t("keys.revoke.body"))}</p>')
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button(t("cancel"), key="revoke_no"):
            st.rerun()
        sure = st.button(t("keys.revoke"), key="hurt-yes", type="primary")
    if sure and frame.attempt(lambda: session.client().revoke_key(key.id)) is not None:
        session.remember("notice", ("info", t("keys.revoked", name=key.name)))
        st.rerun()
