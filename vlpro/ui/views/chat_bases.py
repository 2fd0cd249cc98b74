"""Which knowledge bases a conversation's answers rest on: a quiet control above the composer."""

from __future__ import annotations

from typing import cast

import streamlit as st

from vlpro.client import ApiError
from vlpro.schema import Conversation
from vlpro.schema.accounts import LevelName
from vlpro.schema.knowledge import KnowledgeBase
from vlpro.ui import session
from vlpro.ui.session import t

__all__ = ["begun", "choose", "chosen"]

_MOST = 16  # of one question
_NAMES, _LETTERS = 2, 18  # that the button shows


def choose(conversation: Conversation | None, level: LevelName | None) -> None:
    """The control; nothing where there is no base that could be chosen.

    Args:
        conversation: The one that is open.
        level: Its level, or that of the one to be begun; None: it has none of its own. What is more confidential
            cannot be answered from.
    """
    bases = _bases(level)
    if bases is None:
        return
    names = {one.id: one.name for one in bases}
    before = [one for one in _chosen(conversation) if one in names]
    _keep(conversation, before)  # a base that is gone is not asked any more
    if not bases:
        return
    label = t("knowledge.chat")
    if before:
        shown = "、" if session.language() == "zh" else ", "
        rest = f" +{len(before) - _NAMES}" if len(before) > _NAMES else ""
        label = t(
            "knowledge.chat.chosen", names=shown.join(_short(names[one]) for one in before[:_NAMES]) + rest
        )
    with st.container(key="bases-on" if before else "bases"):
        asked = st.popover(_plain(label), icon=":material/menu_book:", type="tertiary", key="chat_bases")
    with asked:
        now = st.multiselect(
            t("knowledge.chat.which"),
            list(names),
            default=before,
            key=f"chat_bases_{conversation.id if conversation is not None else session.times_chosen()}",
            format_func=lambda one: names[one],
            max_selections=_MOST,
            help=t("knowledge.chat.help"),
        )
    if now != before:
        _keep(conversation, now)
        st.rerun()


def chosen(conversation: Conversation | None) -> list[str] | None:
    """The ids of the bases to answer from; None: no base."""
    return _chosen(conversation) or None


def begun(identifier: str) -> None:
    """What was chosen on the empty page belongs to the conversation that was begun there."""
    kept = _kept()
    if "" in kept:
        kept[identifier] = kept.pop("")


def _bases(level: LevelName | None) -> list[KnowledgeBase] | None:
    """Those that can be chosen; None: the service does not tell."""
    try:
        known = session.client().knowledge_bases().data
    except ApiError:
        return None
    reach = session.LEVELS.index(level) if level is not None else len(session.LEVELS)
    return [one for one in known if one.pages and session.LEVELS.index(one.level) <= reach]


def _kept() -> dict[str, list[str]]:
    """What was chosen in this tab, by conversation; the empty page is "" there."""
    return cast("dict[str, list[str]]", st.session_state.setdefault("chat_bases_of", {}))


def _keep(conversation: Conversation | None, bases: list[str]) -> None:
    _kept()[conversation.id if conversation is not None else ""] = list(bases)


def _chosen(conversation: Conversation | None) -> list[str]:
    """What was chosen; after a reload, what the last question was asked with."""
    kept = _kept()
    if conversation is None:
        return kept.get("", [])
    if conversation.id not in kept:
        asked = next((one for one in reversed(conversation.messages) if one.role == "user"), None)
        return list(asked.knowledge_base or ()) if asked is not None else []
    return kept[conversation.id]


def _short(name: str) -> str:
    return name if len(name) <= _LETTERS else f"{name[:_LETTERS]}…"


def _plain(label: str) -> str:
    """A name as it is: a button's label is Markdown."""
    return "".join(f"\\{letter}" if letter in r"\`*_{}[]()<>#+-.!|$:~" else letter for letter in label)
