"""How people are looked for; how they, their sessions and their keys are told in a row."""

from __future__ import annotations

import re

import streamlit as st

from vlpro.client import RoleFilter
from vlpro.schema.accounts import Account
from vlpro.ui.parts import Tone
from vlpro.ui.session import t

__all__ = ["ROLES", "browser", "state", "wanted"]

ROLES: tuple[RoleFilter, ...] = ("user", "system", "security", "audit")

_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("MicroMessenger", "WeChat"),
    ("Firefox", "Firefox"),
    ("Chrome", "Chrome"),
    ("Version", "Safari"),
)
_SYSTEMS = (
    ("HarmonyOS", "HarmonyOS"),
    ("Android", "Android"),
    ("iPhone", "iOS"),
    ("iPad", "iPadOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


def wanted(page: str, *roles: RoleFilter) -> tuple[str, RoleFilter | None]:
    """Draw the fields by which a page's people are found.

    Args:
        page: Names the fields.
        roles: Those that can be chosen.

    Returns:
        What is looked for; the role, None: any.
    """
    query = st.text_input(
        t("accounts.find"),
        key=f"{page}_find",
        type="search",
        label_visibility="collapsed",
        placeholder=t("accounts.find"),
        icon=":material/search:",
        live="300ms",
    )
    role = st.selectbox(
        t("accounts.role"),
        (None, *roles),
        key=f"{page}_role",
        format_func=lambda value: t(f"role.{value}") if value else t("all"),
    )
    return query, role


def state(account: Account, now: float) -> tuple[Tone, str]:
    """The state that matters most of an account: a tone, and the key of a word.

    Args:
        account: Whose.
        now: Unix time.
    """
    if account.disabled == "idle":
        return "warn", "state.idle"
    if account.disabled is not None:
        return "bad", "state.disabled"
    if account.expires_at is not None and account.expires_at <= now:
        return "warn", "state.expired"
    if account.locked:
        return "warn", "state.locked"
    if account.role is None:
        return "plain", "state.no_role"
    return "ok", "state.active"


def browser(agent: str) -> str:
    """What a browser names itself, short: Chrome 141 · Windows; the first words of anything else."""
    for mark, name in _BROWSERS:
        found = re.search(rf"{mark}/(\d+)", agent)
        if found:
            system = next((shown for sign, shown in _SYSTEMS if sign in agent), "")
            return " · ".join(part for part in (f"{name} {found[1]}", system) if part)
    return agent[:40] or "–"
