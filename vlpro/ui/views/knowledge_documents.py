"""The documents of a knowledge base: put, followed while they are read, stopped, deleted."""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from vlpro.client import ApiError
from vlpro.schema.knowledge import KnowledgeBase, KnowledgeDocument, KnowledgeDocumentList
from vlpro.ui import session
from vlpro.ui.parts import Tone, mount, note
from vlpro.ui.session import t
from vlpro.ui.views import frame

__all__ = ["documents"]

_LISTED = 500
_LOOK_S = 1.0
_GOING = ("queued", "reading")
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
        "knowledge.no_documents",
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
    found = frame.attempt(lambda: session.client().documents(base.id, limit=_LISTED))
    if found is None:
        return
    if any(one.status in _GOING for one in found.data):
        st.fragment(run_every=_LOOK_S)(_follow)(base, _states(found))
    else:
        _draw(base, found)


def _states(found: KnowledgeDocumentList) -> dict[str, str]:
    return {one.id: one.status for one in found.data}


def _follow(base: KnowledgeBase, before: dict[str, str]) -> None:
    try:
        found = session.client(background=True).documents(base.id, limit=_LISTED)
    except ApiError as error:
        if error.status in (401, 404):
            session.rerun_by_itself()
        note("bad", session.sentence(error), session.number(error))
        return
    if _states(found) != before or session.take(
        "notice", keep=True
    ):  # what stands around the list changes, too
        session.rerun_by_itself()
    _draw(base, found)


def _draw(base: KnowledgeBase, found: KnowledgeDocumentList) -> None:
    def act() -> None:
        asked = st.session_state["knowledge-documents"]
        try:
            if asked.stop:
                session.client().cancel_document(base.id, str(asked.stop))
            elif asked.remove:
                session.client().delete_document(base.id, str(asked.remove))
        except ApiError as error:
            session.remember("notice", ("bad", session.sentence(error), session.number(error)))

    data = {
        "writable": base.writable,
        "rows": [_row(one) for one in found.data],
        "words": session.words(*_LIST_WORDS),
    }
    mount("documents", data, key="knowledge-documents", stop=act, remove=act)
    if found.next is not None and base.documents > len(found.data):
        st.html(
            f'<p class="vl-hint">{escape(t("knowledge.more", count=base.documents - len(found.data)))}</p>'
        )


def _row(one: KnowledgeDocument) -> dict[str, Any]:
    going = one.status in _GOING
    detail = [t("knowledge.pages", pages=one.pages)] if one.pages else []
    if going and one.pages:
        detail = [t("knowledge.reading", done=one.pages_done, pages=one.pages)]
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


def _why(one: KnowledgeDocument) -> str:
    if one.error is not None:
        return (
            one.error.message_zh if one.error.message_zh and session.language() == "zh" else one.error.message
        )
    return t("knowledge.cancelled.why") if one.status == "cancelled" else ""


def _size(amount: int) -> str:
    return f"{amount / 1e6:.1f} MB" if amount >= 1e6 else f"{max(1, round(amount / 1e3))} kB"
