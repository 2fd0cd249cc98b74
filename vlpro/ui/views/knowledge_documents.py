"""The documents of a knowledge base: put, followed while they are read, stopped, deleted."""

from __future__ import annotations

import time
from dataclasses import dataclass
from html import escape
from typing import Any

import streamlit as st

from vlpro.client import ApiError, Client
from vlpro.schema.knowledge import DocumentState, KnowledgeBase, KnowledgeDocument, KnowledgeDocumentList
from vlpro.ui import session
from vlpro.ui.parts import Tone, mount, note
from vlpro.ui.session import t
from vlpro.ui.views import frame

__all__ = ["documents"]

_LISTED = 100
_FEW = 20  # documents that one sees at once
_NAME = 200  # characters
_LOOK_S, _LOOK_MANY_S = 1.0, 4.0
_PACE_S, _PACE_PAGES = 180.0, 2  # how far back its pace is looked at; pages that tell one
_MINUTES_S = 90.0  # from so much on what is left is told in minutes
_GOING: tuple[DocumentState, ...] = ("queued", "reading")
_STATES: dict[str, tuple[DocumentState, ...]] = {
    "all": (),
    "going": _GOING,
    "failed": ("failed", "cancelled"),
}
_TONES: dict[str, Tone] = {
    "queued": "plain",
    "reading": "info",
    "ready": "ok",
    "failed": "bad",
    "cancelled": "plain",
}
_PUTTING_WORDS = (
    *("knowledge.add", "knowledge.drop", "knowledge.sending", "knowledge.stop", "knowledge.stopped"),
    *("knowledge.failed", "knowledge.wrong_type", "knowledge.empty", "knowledge.no_answer"),
)
_LIST_WORDS = (
    *(
        "knowledge.documents",
        "knowledge.stop_document",
        "knowledge.delete_document",
    ),
    *("knowledge.sure", "knowledge.keep", "knowledge.delete.do"),
)


def documents(base: KnowledgeBase) -> None:
    """Draw them.

    Args:
        base: Whose.
    """
    st.html(f'<h2 class="vl-verify">{escape(t("knowledge.documents"))}</h2>')
    if base.writable:
        data = {"base": base.id, "language": session.language(), "words": session.words(*_PUTTING_WORDS)}
        mount("putting", data, key="putting", put=lambda: None)
    # Places of their own: what comes and goes before the list would leave a copy of it behind.
    with st.container(key="knowledge-narrow"):
        wanted = _filter(base)
    with st.container(key="knowledge-rows"):
        _list(base, wanted)


def _list(base: KnowledgeBase, wanted: _Wanted) -> None:
    found = frame.attempt(lambda: _found(session.client(), base, wanted))
    if found is None:
        return
    going = [one for one in found.data if one.status in _GOING]
    if going or (st.session_state.get("knowledge_filtered") and _any_going(base)):
        every = _LOOK_S if base.documents <= _LISTED else _LOOK_MANY_S
        st.fragment(run_every=every)(_follow)(base, wanted, _states(found))
    else:
        _draw(base, wanted, found)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which documents are shown: of this name, in this state, from this place on."""

    name: str = ""
    state: str = "all"
    after: tuple[str, ...] = ()


def _filter(base: KnowledgeBase) -> _Wanted:
    """Fields for a name and a state, where there are more documents than one sees at once."""
    cursors: dict[str, tuple[str, ...]] = st.session_state.setdefault("knowledge_after", {})
    shown = st.session_state.setdefault("knowledge_filtered", set())
    if base.documents > _FEW or cursors.get(base.id):
        shown.add(base.id)
    if base.id not in shown:
        return _Wanted()
    with st.container(key="knowledge-filter", horizontal=True, vertical_alignment="bottom"):
        name = st.text_input(
            t("knowledge.filter"),
            key=f"knowledge_filter_{base.id}",
            max_chars=_NAME,
            placeholder=t("knowledge.filter.hint"),
            label_visibility="collapsed",
        ).strip()
        state = st.segmented_control(
            t("knowledge.filter.state"),
            list(_STATES),
            default="all",
            required=True,
            key=f"knowledge_state_{base.id}",
            label_visibility="collapsed",
            format_func=lambda one: t(f"knowledge.filter.{one}"),
        )
    before: dict[str, tuple[str, str]] = st.session_state.setdefault("knowledge_filters", {})
    if before.get(base.id, ("", "all")) != (name, state):  # another list: from its beginning
        before[base.id] = (name, state)
        cursors.pop(base.id, None)
    return _Wanted(name, state, cursors.get(base.id, ()))


def _found(client: Client, base: KnowledgeBase, wanted: _Wanted) -> KnowledgeDocumentList:
    after = wanted.after[-1] if wanted.after else ""
    return client.documents(
        base.id, after=after, limit=_LISTED, name=wanted.name, status=_STATES[wanted.state]
    )


def _any_going(base: KnowledgeBase) -> bool:
    """Whether one is read that is not listed."""
    going = frame.attempt(lambda: session.client().documents(base.id, limit=1, status=_GOING))
    return going is not None and bool(going.data)


def _states(found: KnowledgeDocumentList) -> dict[str, str]:
    return {one.id: one.status for one in found.data}


def _follow(base: KnowledgeBase, wanted: _Wanted, before: dict[str, str]) -> None:
    try:
        found = _found(session.client(background=True), base, wanted)
    except ApiError as error:
        if error.status in (401, 404):
            session.rerun_by_itself()
        note("bad", session.sentence(error), session.number(error))
        return
    if _states(found) != before or session.take(
        "notice", keep=True
    ):  # what stands around the list changes, too
        session.rerun_by_itself()
    _draw(base, wanted, found)


def _draw(base: KnowledgeBase, wanted: _Wanted, found: KnowledgeDocumentList) -> None:
    def act() -> None:
        asked = st.session_state["knowledge-documents"]
        try:
            if asked.stop:
                session.client().cancel_document(base.id, str(asked.stop))
            elif asked.remove:
                session.client().delete_document(base.id, str(asked.remove))
        except ApiError as error:
            session.remember("notice", ("bad", session.sentence(error), session.number(error)))

    def turn() -> None:
        step = st.session_state["knowledge-documents"].turn[0]
        cursors = st.session_state.knowledge_after
        if step > 0 and found.next is not None:
            cursors[base.id] = (*wanted.after, found.next)
        else:
            cursors[base.id] = wanted.after[:-1]
        session.remember("file", True)  # noqa: FBT003 - the fragment is to draw the whole page

    first = len(wanted.after) * _LISTED
    pager = {
        "text": t("rows", first=first + 1, last=first + len(found.data)),
        "back": bool(wanted.after),
        "on": found.next is not None,
    }
    narrowed = wanted.name or wanted.state != "all"
    data = {
        "writable": base.writable,
        "rows": [_row(one) for one in found.data],
        "empty": t("knowledge.filter.none" if narrowed else "knowledge.no_documents"),
        "pager": pager if found.next is not None or wanted.after else None,
        "words": session.words(*_LIST_WORDS) | frame.table_words(),
    }
    mount("documents", data, key="knowledge-documents", stop=act, remove=act, turn=turn)
    if session.take("file"):
        st.rerun()


def _row(one: KnowledgeDocument) -> dict[str, Any]:
    going = one.status in _GOING
    detail = [t("knowledge.pages", pages=one.pages)] if one.pages else []
    if going and one.pages:
        detail = [t("knowledge.reading", done=one.pages_done, pages=one.pages), *_pace(one)]
    if one.version > 1:
        detail.append(t("knowledge.version", version=one.version))
    detail += [_size(one.bytes), session.moment(one.created)]
    return {
        "name": one.name,
        "state": t(f"knowledge.is.{one.status}"),
        "tone": _TONES[one.status],
        "detail": " · ".join(detail),
        "going": going,
        "pages": one.pages,
        "done": one.pages_done,
        "why": _why(one),
    }


def _pace(one: KnowledgeDocument) -> list[str]:
    """Pages a second and what is left, as this page has seen it in the last minutes; nothing until two are done."""
    seen: dict[str, list[tuple[float, int]]] = st.session_state.setdefault("knowledge_pace", {})
    now = time.monotonic()
    looks = [look for look in seen.get(one.id, []) if look[0] > now - _PACE_S and look[1] <= one.pages_done]
    if not looks or looks[-1][1] != one.pages_done:
        looks.append((now, one.pages_done))
    seen[one.id] = looks
    (began, first), (until, last) = looks[0], looks[-1]
    if last - first < _PACE_PAGES or last == one.pages or one.status != "reading":
        return []
    rate = (last - first) / (until - began)
    left = (one.pages - last) / rate
    pace = t("knowledge.pace", rate=f"{rate:.2g}" if rate < 10 else f"{rate:.0f}")
    return [
        pace,
        t("knowledge.left.minutes", count=round(left / 60)) if left > _MINUTES_S else t("knowledge.left"),
    ]


def _why(one: KnowledgeDocument) -> str:
    if one.error is not None:
        return (
            one.error.message_zh if one.error.message_zh and session.language() == "zh" else one.error.message
        )
    return t("knowledge.cancelled.why") if one.status == "cancelled" else ""


def _size(amount: int) -> str:
    return f"{amount / 1e6:.1f} MB" if amount >= 1e6 else f"{max(1, round(amount / 1e3))} kB"
