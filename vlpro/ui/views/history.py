"""Conversations in the left panel: the list by pages, search, and deleting all."""

from __future__ import annotations

from datetime import datetime, timedelta
from html import escape
from typing import Any

import streamlit as st

from vlpro.client import ApiError
from vlpro.schema import ConversationItem
from vlpro.ui import session
from vlpro.ui.parts import mount
from vlpro.ui.session import t

__all__ = ["history"]

_SEARCH_FROM = 9  # conversations from which a search box helps
_PAGE = 20


def history(current: str | None) -> None:
    """Draw the list; what is typed into its search redraws nothing else.

    Args:
        current: Id of the conversation that is open.
    """

    @st.fragment
    def listed() -> None:
        if st.session_state.pop("history_acts", False):
            st.rerun(scope="app")
        _listed(current)

    with st.container(key="conversations"):
        st.html(f'<h2 class="vl-heading">{escape(t("conversations"))}</h2>')
        listed()
    if st.session_state.pop("history_clear_asked", False):
        st.dialog(t("clear_all.ask"), width="small")(_confirm_clear_all)()


def _listed(current: str | None) -> None:
    wanted: str = st.session_state.get("history_find", "")
    items: list[dict[str, Any]] = []
    status = problem = left = ""
    total = st.session_state.get("history_total", 0)
    try:
        if wanted:
            found = session.client().search_conversations(wanted)
            items = [
                _row(hit, current) | {"excerpt": hit.excerpt.model_dump() if hit.excerpt else None}
                for hit in found.data
            ]
            status = t("history.found", count=found.total) if found.total else t("conversations.none")
            if found.total > len(items):
                status = t("history.found_some", count=found.total, shown=len(items))
            if found.damaged:
                problem = f"{status} {t('history.damaged', count=found.damaged)}"
        else:
            heads, more, total = _pages()
            items = [_row(head, current) | {"day": _day(head.updated)} for head in heads]
            left = t("history.more", count=total - len(heads)) if more else ""
            st.session_state.history_total = total
            status = "" if items else t("history.empty")
    except ApiError as error:
        problem = session.sentence(error)
    data = {
        "items": items,
        "find": wanted,
        "searchable": total >= _SEARCH_FROM or bool(wanted),
        "status": status,
        "problem": problem,
        "left": left,
        "words": {"find": t("conversations.find")},
    }
    mount("history", data, key="history", open=_open, find=_find, more=_more)
    place = st.empty()  # so that the button goes at once, not when the page has been drawn
    if total > 1 and not wanted:  # what was found is not what it would delete
        place.button(
            t("clear_all"),
            key="clear-all",
            type="tertiary",
            icon=":material/delete_sweep:",
            on_click=_ask_clear_all,
        )


def _pages() -> tuple[list[ConversationItem], bool, int]:
    """The pages that are shown: all that were asked for, one after another."""
    client = session.client()
    heads: list[ConversationItem] = []
    after = ""
    for _ in range(st.session_state.get("history_pages", 1)):
        page = client.conversations(after=after, limit=_PAGE)
        heads += [head for head in page.data if head.title or head.damaged]
        after = page.next or ""
        if not after:
            break
    return heads, bool(after), page.total


def _row(head: ConversationItem, current: str | None) -> dict[str, Any]:
    title = t("history.unreadable") if head.damaged else head.title
    return {"id": head.id, "title": title, "here": head.id == current}


def _day(moment: float) -> str:
    """Today, yesterday, or the day itself."""
    day = datetime.fromtimestamp(moment, session.zone()).date()
    today = datetime.now(session.zone()).date()
    if day == today:
        return t("history.today")
    return t("history.yesterday") if day == today - timedelta(days=1) else day.isoformat()


def _open() -> None:
    session.open_conversation(st.session_state.history.open)
    st.session_state.history_acts = True


def _find() -> None:
    st.session_state.history_find = str(st.session_state.history.find or "")[:200].strip()


def _more() -> None:
    st.session_state.history_pages = st.session_state.get("history_pages", 1) + 1


def _ask_clear_all() -> None:
    st.session_state.history_acts = st.session_state.history_clear_asked = True


def _confirm_clear_all() -> None:
    st.markdown(t("clear_all.body", count=st.session_state.get("history_total", 0)))
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button(t("cancel"), key="clear-all-no"):
            st.rerun()
        if st.button(t("clear_all.do"), key="clear-all-yes", type="primary"):
            try:
                cleared = session.client().clear_conversations()
            except ApiError as error:
                session.remember("notice", ("bad", session.sentence(error), session.number(error)))
            else:
                session.remember("notice", ("info", t("cleared_all", count=cleared.count)))
                session.open_conversation(None)
            st.session_state.pop("history_find", None)
            st.rerun()
