"""The security administrator's policy: all settings, what changes before it is saved, and the versions."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import streamlit as st

from vlpro.client import ApiError
from vlpro.schema.accounts import NewPolicy, OwnAccount, PolicyVersion
from vlpro.ui import session
from vlpro.ui.parts import mount, note, strip, title
from vlpro.ui.policy_settings import (
    GROUPS,
    SETTINGS,
    LineError,
    Setting,
    differences,
    names,
    networks,
    within,
)
from vlpro.ui.session import t
from vlpro.ui.views import frame

__all__ = ["page"]

_LINE = {"networks": "policy.line", "names": "policy.line.names"}
_SHOWN = 20  # versions that are listed at first


def page(person: OwnAccount) -> None:
    """Draw everything."""
    found = _load()
    with frame.panel(person):
        compared = _compare(found) if found else None
    with frame.middle():
        title(t("nav.policy"), t("policy.about"))
        if not found:
            return
        newest = found[0]
        # What somebody is changing stays at the version that they began with, until it is saved or discarded.
        began = st.session_state.get("policy_base", newest.version)
        current = next((version for version in found if version.version == began), newest)
        if current is not newest:
            note("warn", t("policy.newer", number=newest.version, author=newest.author or "–"))
        strip(
            [
                (t("policy.version"), escape(_number(current))),
                (t("policy.since"), _when(current)),
                (t("policy.author"), escape(current.author or "–")),
            ],
            current.note,
        )
        if compared is not None:
            _comparison(*compared)
        content, wrong = _form(current)
        _versions(found)
    changes = differences(current.content, {**current.content, **content}, session.language())
    st.session_state.policy_base = current.version if changes or wrong else newest.version
    if current is not newest and not (changes or wrong):
        st.rerun()
    if changes or wrong:
        with st.bottom, st.container(key="save-place"):
            _save_bar(current, content, changes, wrong=wrong)


def _load() -> list[PolicyVersion]:
    found = frame.attempt(lambda: session.client().policy_versions())
    return found.data if found is not None else []


def _number(version: PolicyVersion) -> str:
    return t("policy.number", number=version.version)


def _when(version: PolicyVersion) -> str:
    return session.moment(version.created_at) if version.version else t("policy.shipped")


# --- the settings ---


def _form(current: PolicyVersion) -> tuple[dict[str, Any], bool]:
    """All settings.

    Returns:
        What they are set to, without those that cannot be read; and whether there are any of these.
    """
    content: dict[str, Any] = {}
    wrong = False
    for group in GROUPS:
        with st.container(key=f"group-{group}"):
            st.html(f'<h2 class="vl-group">{escape(t(f"policy.{group}"))}</h2>')
            for setting in SETTINGS:
                if setting.group != group or setting.name not in current.content:
                    continue
                try:
                    content[setting.name] = _setting(setting, current)
                except LineError as error:
                    wrong = True
                    st.html(
                        f'<p class="vl-wrong" role="alert">'
                        f"{escape(t(_LINE[setting.kind], line=error.line, text=error.text))}</p>"
                    )
    return content, wrong


def _setting(setting: Setting, current: PolicyVersion) -> Any:
    held = current.content[setting.name]
    key = f"setting_{current.version}_{st.session_state.get('policy_draft', 0)}_{setting.name}"
    name, about = t(f"setting.{setting.name}"), t(f"setting.{setting.name}.help")
    wide = setting.kind in ("networks", "names", "rules")
    changed = "on" if st.session_state.get(f"{key}_changed") else "off"
    with st.container(key=f"setting-{'wide' if wide else 'line'}-{changed}-{setting.name}"):
        bounds = (
            t("policy.bounds", least=f"{setting.least:,}", most=f"{setting.most:,}")
            if setting.kind == "number"
            else ""
        )
        st.html(f'<div class="vl-setting"><b>{escape(name)}</b><span>{escape(about + bounds)}</span></div>')
        value = _control(setting, held, key, name)
    if (changed == "on") != (value != held):
        st.session_state[f"{key}_changed"] = value != held
    return value


def _control(setting: Setting, held: Any, key: str, name: str) -> Any:
    match setting.kind:
        case "number":
            return st.number_input(
                name,
                min(held, setting.least),
                max(held, setting.most),
                held,
                key=key,
                label_visibility="collapsed",
                width=148,
            )
        case "yes":
            return st.toggle(name, held, key=key, label_visibility="collapsed")
        case "choice":
            return st.selectbox(
                name,
                setting.choices,
                setting.choices.index(held),
                key=key,
                format_func=lambda value: t(f"choice.{value}"),
                label_visibility="collapsed",
                width=220,
            )
        case "networks":
            written = st.text_area(name, "\n".join(held), key=key, label_visibility="collapsed", height=132)
            return networks(written)
        case "names":
            written = st.text_area(name, "\n".join(held), key=key, label_visibility="collapsed", height=132)
            return names(written)
        case "rules":
            return _rules(held, key)


def _rules(held: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = st.session_state.get(f"{key}_rows", held)
    part = f"{key}_part"

    def changed() -> None:
        st.session_state[f"{key}_rows"] = [
            row for row in st.session_state[part].changed["rows"] if row["group"]
        ]

    words = ("rule_group", "rule_role", "rule_level", "rule_remove", "rule_add", "rule_example")
    data = {
        "rules": rules,
        "roles": {role: t(f"role.{role}") for role in ("user", "system", "security", "audit")},
        "levels": {level: t(f"level.{level}") for level in session.LEVELS},
        "words": session.words(*words),
    }
    mount("rules", data, key=part, changed=changed)
    return rules


# --- saving ---


def _save_bar(
    current: PolicyVersion, content: dict[str, Any], changes: Sequence[tuple[str, str]], *, wrong: bool
) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        told = t("policy.wrong") if wrong else t("policy.changed", count=len(changes))
        st.html(f'<p class="vl-changed" role="status">{escape(told)}</p>')
        with st.container(horizontal=True, horizontal_alignment="right", width="content"):
            st.button(t("policy.discard"), key="policy_discard", on_click=_discard)
            save = st.button(
                t("policy.save"), key="policy_save", type="primary", disabled=wrong or not changes
            )
    if save:
        st.dialog(t("policy.save.ask"), width="medium")(_save)(current, content, changes)


def _discard() -> None:
    st.session_state.pop("policy_base", None)
    st.session_state.policy_draft = st.session_state.get("policy_draft", 0) + 1


def _save(current: PolicyVersion, content: dict[str, Any], changes: Sequence[tuple[str, str]]) -> None:
    st.html(_changes_html(changes))
    listed = content.get("administration_addresses", current.content["administration_addresses"])
    if not within(session.address(), listed):
        note("warn", t("policy.shut_out", address=session.address()))
    why = st.text_input(t("policy.why"), key="policy_why", max_chars=256, placeholder=t("policy.why.example"))
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button(t("cancel"), key="policy_no"):
            st.rerun()
        sure = st.button(t("policy.save.do"), key="policy_yes", type="primary")
    if not sure:
        return
    changed = {name: value for name, value in content.items() if value != current.content[name]}
    try:
        made = session.client().decide_policy(
            NewPolicy(content=changed, base=current.version, note=why.strip())
        )
    except ApiError as error:
        if error.status != 409:
            note("bad", session.sentence(error), session.number(error))
            return
        lost = " · ".join(f"{name}: {' '.join(change.split())}" for name, change in changes)
        session.remember("notice", ("warn", session.sentence(error), t("policy.lost", changes=lost)))
        st.session_state.pop("policy_base", None)
    else:
        st.session_state.policy_base = made.version
        session.remember("notice", ("info", t("policy.saved", number=made.version)))
    st.rerun()


# --- versions ---


def _changes_html(changes: Sequence[tuple[str, str]]) -> str:
    if not changes:
        return f'<p class="vl-hint">{escape(t("policy.same"))}</p>'
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{'<br>'.join(map(escape, change.splitlines()))}</dd>"
        for name, change in changes
    )
    return f'<dl class="vl-changes">{rows}</dl>'


def _versions(found: Sequence[PolicyVersion]) -> None:
    shown = found if st.session_state.get("policy_every") else found[:_SHOWN]
    rows = []
    for place, version in enumerate(shown):
        before = found[place + 1] if place + 1 < len(found) else None
        inside = (
            _changes_html(differences(before.content, version.content, session.language()))
            if before is not None
            else f'<p class="vl-hint">{escape(t("policy.shipped"))}</p>'
        )
        rows.append(
            f'<details><summary><span class="no">{escape(_number(version))}</span>'
            f"<span>{escape(_when(version))}</span><span>{escape(version.author or '–')}</span>"
            f'<span class="ob">{escape(version.note)}</span></summary><div class="in">{inside}</div></details>'
        )
    st.html(f'<h2 class="vl-group">{escape(t("policy.versions"))}</h2>')
    st.html(f'<div class="vl-list vl-versions">{"".join(rows)}</div>')
    if len(shown) < len(found):
        st.button(t("policy.every", count=len(found)), key="policy_every_do", on_click=_show_every)


def _show_every() -> None:
    st.session_state.policy_every = True


def _compare(found: Sequence[PolicyVersion]) -> tuple[PolicyVersion, PolicyVersion] | None:
    """Two versions to compare, where somebody has chosen them."""
    if len(found) < 2:
        return None
    st.html(f'<h2 class="vl-heading">{escape(t("policy.compare"))}</h2>')
    by_number = {version.version: version for version in found}
    numbers = list(by_number)

    def name(number: int | None) -> str:
        return (
            t("policy.none")
            if number is None
            else f"{_number(by_number[number])} · {_when(by_number[number])}"
        )

    old = st.selectbox(t("policy.compare.old"), [None, *numbers], key="policy_old", format_func=name)
    new = st.selectbox(t("policy.compare.new"), numbers, key=f"policy_new_{numbers[0]}", format_func=name)
    return (by_number[old], by_number[new]) if old is not None and old != new else None


def _comparison(old: PolicyVersion, new: PolicyVersion) -> None:
    changes = differences(old.content, new.content, session.language())
    head = t("policy.between", old=old.version, new=new.version)
    st.html(
        f'<section class="vl-card" aria-label="{escape(head)}"><h2>{escape(head)}</h2>'
        f"{_changes_html(changes)}</section>"
    )
