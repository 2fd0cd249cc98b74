"""The security administrator's roles and levels: who waits for a role first, then everybody."""

from __future__ import annotations

from html import escape
from typing import Any, cast

import streamlit as st

from vlpro.client import ApiError, RoleFilter
from vlpro.schema.accounts import Account, LevelName, OwnAccount, RoleName
from vlpro.ui import people, session
from vlpro.ui.parts import facts, mount, note, title
from vlpro.ui.session import t
from vlpro.ui.views import accounts, frame

__all__ = ["page"]

_PAGE = 25
_WAITING = 100  # of those without a role, at once


def page(person: OwnAccount) -> None:
    """Draw everything."""
    with frame.panel(person):
        query, role = people.wanted("roles", *people.ROLES)
    with frame.middle():
        title(t("nav.roles"), t("roles.about"))
        _waiting(query)
        _everybody(person, query, role)
    if (opened := session.take("open")) is not None:
        known = frame.attempt(lambda: session.client().account_of(opened))
        if known is not None:
            st.dialog(f"{known.name} · {known.login}", width="medium")(_sheet)(known)
    if (granted := session.take("told")) is not None:
        st.dialog(t("roles.grant.ask"), width="small")(_grant_all)(granted)


# --- those without a role ---


def _waiting(query: str) -> None:
    found = frame.attempt(lambda: session.client().accounts(query, role="none", limit=_WAITING + 1))
    if found is None or not found.data:
        return
    shown = found.data[:_WAITING]
    with st.container(key="waiting"):
        st.html(f'<h2 class="vl-group">{escape(t("roles.waiting", count=_count(found.data)))}</h2>')
        columns = (("login", "minmax(0, 1.6fr)"), ("department", "minmax(0, 1.2fr)"), ("created", "136px"))
        data = {
            "label": t("roles.waiting", count=_count(found.data)),
            "columns": [{"name": t(f"column.{name}"), "size": size} for name, size in columns],
            "rows": [_waiting_row(account) for account in shown],
            "select": {"none": t("roles.choose"), "some": t("roles.grant")},
            "empty": "",
            "words": frame.table_words(),
        }

        def act() -> None:
            names = {account.id: account.name for account in shown}
            chosen = [(held, names[held]) for held in st.session_state.waiting_table.act if held in names]
            session.remember("told", chosen)

        def opened() -> None:
            session.remember("open", st.session_state.waiting_table.open)

        mount("table", data, key="waiting_table", act=act, open=opened)


def _count(found: list[Account]) -> str:
    return f"{_WAITING}+" if len(found) > _WAITING else str(len(found))


def _waiting_row(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "cells": [
            {"text": account.name, "sub": account.login},
            {"text": account.department or "–"},
            {"text": session.moment(account.created_at)},
        ],
    }


def _grant_all(chosen: list[tuple[str, str]]) -> None:
    st.markdown(t("roles.grant.body", count=len(chosen)))
    st.html(f"<p>{escape('、'.join(name for _, name in chosen))}</p>")
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button(t("cancel"), key="grant_no"):
            st.rerun()
        sure = st.button(t("roles.grant.do"), key="grant_yes", type="primary")
    if not sure:
        return
    done, refused = 0, None
    for held, _ in chosen:
        try:
            session.client().grant_role(held, "user")
            done += 1
        except ApiError as error:
            refused = error
    told = t("roles.granted", count=done)
    if refused is None:
        session.remember("notice", ("info", told))
    else:
        session.remember("notice", ("bad", f"{told} {session.sentence(refused)}", session.number(refused)))
    st.rerun()


# --- everybody ---


def _everybody(person: OwnAccount, query: str, role: RoleFilter | None) -> None:
    wanted = (query, role)
    if st.session_state.get("roles_wanted") != wanted:
        st.session_state.roles_wanted, st.session_state.roles_after = wanted, [""]
    cursors: list[str] = st.session_state.roles_after
    found = frame.attempt(
        lambda: session.client().accounts(query, role=role, after=cursors[-1], limit=_PAGE + 1)
    )
    if found is None:
        return
    shown = found.data[:_PAGE]

    def turn() -> None:
        if st.session_state.roles_table.turn[0] > 0 and shown:
            cursors.append(shown[-1].login)
        elif len(cursors) > 1:
            cursors.pop()

    def opened() -> None:
        session.remember("open", st.session_state.roles_table.open)

    more, first = len(found.data) > _PAGE, (len(cursors) - 1) * _PAGE
    pager = {
        "text": t("rows", first=first + 1, last=first + len(shown)),
        "back": len(cursors) > 1,
        "on": more,
    }
    columns = (
        ("login", "minmax(0, 1.6fr)"),
        ("department", "minmax(0, 1.2fr)"),
        ("role", "minmax(0, 1fr)"),
        ("level", "104px"),
    )
    st.html(f'<h2 class="vl-group">{escape(t("roles.everybody"))}</h2>')
    data = {
        "label": t("roles.everybody"),
        "columns": [{"name": t(f"column.{name}"), "size": size} for name, size in columns],
        "rows": [_row(account, person) for account in shown],
        "pager": pager if more or len(cursors) > 1 else None,
        "empty": t("accounts.none"),
        "words": frame.table_words(),
    }
    mount("table", data, key="roles_table", open=opened, turn=turn)


def _row(account: Account, person: OwnAccount) -> dict[str, Any]:
    own = account.id == person.id
    return {
        "id": account.id,
        "cells": [
            {"text": account.name, "sub": f"{account.login} · {t('roles.own')}" if own else account.login},
            {"text": account.department or "–"},
            {"text": t(f"role.{account.role or 'none'}")},
            {"text": t(f"level.{account.level}"), "badge": session.TONES[account.level]},
        ],
        "opens": not own,
        "dim": account.disabled is not None,
    }


def _sheet(account: Account) -> None:
    role = st.selectbox(
        t("column.role"),
        (None, *people.ROLES),
        (None, *people.ROLES).index(account.role),
        key=f"sheet_role_{account.id}",
        format_func=lambda value: t(f"role.{value or 'none'}"),
        help=t("roles.role.help"),
    )
    level = st.selectbox(
        t("column.level"),
        session.LEVELS,
        session.LEVELS.index(account.level),
        key=f"sheet_level_{account.id}",
        format_func=lambda value: t(f"level.{value}"),
        help=t("roles.level.help"),
    )
    changes = []
    if role != account.role:
        before, after = t(f"role.{account.role or 'none'}"), t(f"role.{role or 'none'}")
        changes.append((t("column.role"), f"{before} → {after}"))
    if level != account.level:
        changes.append((t("column.level"), f"{t(f'level.{account.level}')} → {t(f'level.{level}')}"))
    if changes:
        st.html(facts([(name, escape(change)) for name, change in changes]))
    if role != account.role:
        note("warn", t("roles.change.body"))
    else:
        st.html(facts(accounts.details(account)[-4:]))
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button(t("cancel"), key="role_no"):
            st.rerun()
        sure = st.button(t("roles.change.do"), key="role_yes", type="primary", disabled=not changes)
    if sure and frame.attempt(lambda: _change(account, role, level)):
        session.remember("notice", ("info", t("roles.changed", name=account.name)))
        st.rerun()


def _change(account: Account, role: str | None, level: LevelName) -> bool:
    if level != account.level:
        session.client().set_level(account.id, level)
    if role != account.role:
        session.client().grant_role(account.id, cast("RoleName | None", role))
    return True
