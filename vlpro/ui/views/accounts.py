"""The system administrator's accounts: found, made, corrected, disabled, helped."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from html import escape
from typing import Any

import streamlit as st

from vlpro.client import Client, RoleFilter
from vlpro.schema.accounts import Account, AccountChange, NewAccount, OwnAccount, WithPassword
from vlpro.ui import people, session
from vlpro.ui.parts import badge, facts, mount, note, title
from vlpro.ui.session import t
from vlpro.ui.views import frame

__all__ = ["details", "page", "row"]

_PAGE = 25
_ADMINISTRATORS = ("system", "security", "audit")


def page(person: OwnAccount) -> None:
    """Draw everything."""
    session.take("told")  # a password that was told stays no longer than its dialog
    with frame.panel(person):
        query, role = people.wanted("accounts", "none", *people.ROLES)
    with frame.middle():
        title(t("nav.accounts"), t("accounts.about"))
        with st.container(horizontal=True, horizontal_alignment="right"):
            if st.button(t("accounts.new"), key="accounts_new", icon=":material/person_add:", type="primary"):
                _begin()
                _dialog(t("accounts.new"))(_new_account)()
        _list(query, role)
    if (opened := session.take("open")) is not None:
        known = frame.attempt(lambda: session.client().account_of(opened))
        if known is not None:
            _begin()
            _dialog(f"{known.name} · {known.login}")(_sheet)(person, known.id)


def _dialog(heading: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return st.dialog(heading, width="medium", on_dismiss="rerun")


def _begin() -> None:
    """A dialog opens: what an earlier one asked or told is over."""
    session.take("told")
    st.session_state.sheet = ""


def _list(query: str, role: RoleFilter | None) -> None:
    wanted = (query, role)
    if st.session_state.get("accounts_wanted") != wanted:
        st.session_state.accounts_wanted, st.session_state.accounts_after = wanted, [""]
    cursors: list[str] = st.session_state.accounts_after
    found = frame.attempt(
        lambda: session.client().accounts(query, role=role, after=cursors[-1], limit=_PAGE + 1)
    )
    if found is None:
        return
    shown = found.data[:_PAGE]

    def turn() -> None:
        step = st.session_state.accounts_table.turn[0]
        if step > 0 and shown:
            cursors.append(shown[-1].login)
        elif len(cursors) > 1:
            cursors.pop()

    more, first = len(found.data) > _PAGE, (len(cursors) - 1) * _PAGE
    pager = {
        "text": t("rows", first=first + 1, last=first + len(shown)),
        "back": len(cursors) > 1,
        "on": more,
    }
    columns = ("login", "department", "role", "signed_in", "state")
    sizes = ("minmax(0, 1.6fr)", "minmax(0, 1.2fr)", "minmax(0, 1fr)", "136px", "112px")
    data = {
        "label": t("nav.accounts"),
        "columns": [
            {"name": t(f"column.{name}"), "size": size} for name, size in zip(columns, sizes, strict=True)
        ],
        "rows": [row(account) for account in shown],
        "pager": pager if more or len(cursors) > 1 else None,
        "empty": t("accounts.none"),
        "words": frame.table_words(),
    }
    mount("table", data, key="accounts_table", open=_open, turn=turn)


def _open() -> None:
    session.remember("open", st.session_state.accounts_table.open)


def row(account: Account) -> dict[str, Any]:
    """A row of the part ``table``: who, where, which role, since when, in which state."""
    tone, word = people.state(account, time.time())
    return {
        "id": account.id,
        "cells": [
            {"text": account.name, "sub": account.login},
            {"text": account.department or "–"},
            {"text": t(f"role.{account.role or 'none'}")},
            {"text": session.moment(account.signed_in_at)},
            {"text": t(word), "badge": tone},
        ],
        "dim": account.disabled is not None,
    }


# --- a new one ---


def _new_account() -> None:
    if (made := session.take("told", keep=True)) is not None:
        note("info", t("accounts.made", name=made.account.name, login=made.account.login))
        _one_time_password(made)
        return
    with st.form("account_new", border=False, enter_to_submit=True):
        st.text_input(t("accounts.login"), key="new_login", help=t("accounts.login.help"), max_chars=64)
        st.text_input(t("accounts.name"), key="new_name", max_chars=128)
        st.text_input(t("accounts.department"), key="new_department", max_chars=128)
        until = _until("new_until", None)
        sent = st.form_submit_button(t("accounts.create"), key="new_send", type="primary")
    if sent:
        state = st.session_state
        made = frame.attempt(
            lambda: session.client().new_account(
                NewAccount(
                    login=state.new_login,
                    name=state.new_name,
                    department=state.new_department,
                    expires_at=until,
                )
            )
        )
        if made is not None:
            session.remember("told", made)
            st.rerun(scope="fragment")


def _until(key: str, held: float | None) -> float | None:
    """Asks for the last day on which an account may sign in; Unix time of the day's end, None: no end."""
    last = datetime.fromtimestamp(held, session.zone()).date() if held else None
    today = datetime.now(session.zone()).date()
    chosen = st.date_input(
        t("accounts.until"),
        last,
        min_value=min(last or today, today),
        max_value=today + timedelta(days=3650),
        key=key,
        help=t("accounts.until.help"),
        format="YYYY-MM-DD",
    )
    return _end(chosen) if isinstance(chosen, date) else None


def _end(day: date) -> float:
    return datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=session.zone()).timestamp()


def _one_time_password(told: WithPassword) -> None:
    frame.secret(t("accounts.password"), told.password)
    st.html(f'<p class="vl-hint">{escape(t("accounts.password.once"))}</p>')
    if told.account.role is None:
        st.html(f'<p class="vl-hint">{escape(t("accounts.role.next"))}</p>')
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button(t("done.button"), key="told_done", type="primary"):
            st.rerun()


# --- one account ---


@dataclass(frozen=True, slots=True)
class _Action:
    """Something that is done with an account.

    Args:
        name: What the button says, as a key of a word.
        ask: What is asked before; empty: nothing.
        done: What is told after.
        work: Does it.
        hurts: Whether it takes something from the person.
    """

    name: str
    ask: str
    done: str
    work: Callable[[Client, str], object]
    hurts: bool = True


_ACTIONS = {
    "unlock": _Action(
        "accounts.unlock", "", "accounts.unlocked", lambda api, held: api.unlock_account(held), hurts=False
    ),
    "enable": _Action(
        "accounts.enable", "", "accounts.enabled", lambda api, held: api.enable_account(held), hurts=False
    ),
    "password": _Action(
        "accounts.reset_password",
        "accounts.reset_password.ask",
        "",
        lambda api, held: api.reset_password(held),
    ),
    "factors": _Action(
        "accounts.reset_factors",
        "accounts.reset_factors.ask",
        "accounts.factors_reset",
        lambda api, held: api.reset_factors(held),
    ),
    "sessions": _Action(
        "accounts.end_sessions",
        "accounts.end_sessions.ask",
        "accounts.sessions_ended",
        lambda api, held: api.end_sessions_of(held),
    ),
    "disable": _Action(
        "accounts.disable",
        "accounts.disable.ask",
        "accounts.disabled",
        lambda api, held: api.disable_account(held),
    ),
}


def _possible(account: Account, person: OwnAccount) -> list[str]:
    """What can be done with an account; what the service would refuse anyway is not offered."""
    own = account.id == person.id
    helped = account.role not in _ADMINISTRATORS and not own
    return [
        *(["unlock"] if account.locked else []),
        *(["enable"] if account.disabled is not None else []),
        *(["password"] if helped and account.source == "local" else []),
        *(["factors"] if helped else []),
        *(["sessions"] if not own else []),
        *(["disable"] if account.disabled is None and not own else []),
    ]


def _sheet(person: OwnAccount, account_id: str) -> None:
    account = frame.attempt(lambda: session.client().account_of(account_id))
    if account is None:
        return
    if (told := session.take("told", keep=True)) is not None:
        note("info", t("accounts.password_reset", name=account.name))
        _one_time_password(told)
    elif st.session_state.sheet == "edit":
        _edit(account)
    elif st.session_state.sheet in _ACTIONS:
        _confirm(account, st.session_state.sheet)
    else:
        st.html(facts(details(account)))
        possible = _possible(account, person)
        with st.container(horizontal=True, key="sheet_actions"):
            st.button(t("accounts.edit"), key="do_edit", icon=":material/edit:", on_click=_to, args=("edit",))
            for name in possible:
                st.button(t(_ACTIONS[name].name), key=f"do_{name}", on_click=_to, args=(name,))
        if account.role in _ADMINISTRATORS:
            st.html(f'<p class="vl-hint">{escape(t("accounts.administrator"))}</p>')


def _to(sheet: str) -> None:
    st.session_state.sheet = sheet


def details(account: Account) -> list[tuple[str, str]]:
    """What is known of an account: names and values, as HTML."""
    tone, word = people.state(account, time.time())
    return [
        (t("column.state"), badge(tone, t(word))),
        (t("accounts.login"), escape(account.login)),
        (t("accounts.name"), escape(account.name)),
        (t("accounts.department"), escape(account.department or "–")),
        (t("column.role"), escape(t(f"role.{account.role or 'none'}"))),
        (t("column.level"), escape(t(f"level.{account.level}"))),
        (t("accounts.source"), escape(t(f"source.{account.source}"))),
        (t("accounts.since"), session.moment(account.created_at)),
        (t("column.signed_in"), session.moment(account.signed_in_at)),
        (t("accounts.until"), session.moment(account.expires_at)),
    ]


def _confirm(account: Account, name: str) -> None:
    action = _ACTIONS[name]

    def do() -> bool:
        result = action.work(session.client(), account.id)
        if isinstance(result, WithPassword):
            session.remember("told", result)
        else:
            session.remember("notice", ("info", t(action.done, name=account.name)))
        return True

    if not action.ask:
        if frame.attempt(do):
            st.rerun()
        return
    st.markdown(t(action.ask))
    st.html(f"<p>{escape(account.name)} · {escape(account.login)}</p>")
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.button(t("cancel"), key="do_no", on_click=_to, args=("",))
        sure = st.button(t(action.name), key="hurt-yes" if action.hurts else "do_yes", type="primary")
    if sure and frame.attempt(do):
        st.rerun(scope="fragment" if session.take("told", keep=True) is not None else "app")


def _edit(account: Account) -> None:
    with st.form("account_edit", border=False):
        st.text_input(t("accounts.name"), account.name, key="edit_name", max_chars=128)
        st.text_input(t("accounts.department"), account.department, key="edit_department", max_chars=128)
        until = _until("edit_until", account.expires_at)
        with st.container(horizontal=True, horizontal_alignment="right"):
            st.form_submit_button(t("cancel"), key="edit_no", on_click=_to, args=("",))
            sent = st.form_submit_button(t("save"), key="edit_send", type="primary")
    if sent:
        state = st.session_state
        change = AccountChange(name=state.edit_name, department=state.edit_department, expires_at=until)
        if frame.attempt(lambda: session.client().alter_account(account.id, change)) is not None:
            session.remember("notice", ("info", t("accounts.saved", name=state.edit_name)))
            st.rerun()
