"""Finding passages in knowledge bases."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from vlpro.schema.knowledge import KnowledgeBase, KnowledgeHits
from vlpro.ui import session
from vlpro.ui.parts import note
from vlpro.ui.session import t
from vlpro.ui.views import frame, passages

__all__ = ["search"]

_HITS = 5
_BASES = 16  # of one search
_LETTERS = 2_000  # of a question


def search(base: KnowledgeBase, listed: Sequence[KnowledgeBase]) -> None:
    """A field for what to find, and what was found.

    Args:
        base: The one that is shown.
        listed: All that can be searched.
    """
    scopes = ["here", "everywhere"] if 1 < len(listed) <= _BASES else ["here"]
    with st.form("knowledge-search", border=False):
        with st.container(key="knowledge-ask", horizontal=True, vertical_alignment="bottom"):
            wanted = st.text_input(
                t("knowledge.question"),
                key="knowledge_query",
                max_chars=_LETTERS,
                placeholder=t("knowledge.question.hint"),
            )
            asked = st.form_submit_button(t("knowledge.search"), icon=":material/search:", type="primary")
        scope = "here"
        if len(scopes) > 1:
            scope = st.segmented_control(
                t("knowledge.where"),
                scopes,
                default="here",
                required=True,
                key="knowledge_scope",
                label_visibility="collapsed",
                format_func=lambda one: t(f"knowledge.{one}"),
            )
    if asked and wanted.strip():
        bases = [one.id for one in listed] if scope == "everywhere" else [base.id]
        found = frame.attempt(lambda: session.client().search_knowledge(wanted, bases, limit=_HITS))
        # Kept: the page is drawn again while documents are read, and each search is recorded.
        st.session_state.knowledge_found = (base.id, found, wanted)
    of, found, query = st.session_state.get("knowledge_found", ("", None, ""))
    if of == base.id and found is not None:
        _found(found, {one.id: one.name for one in listed} if scope == "everywhere" else {}, query)


def _found(found: KnowledgeHits, names: dict[str, str], query: str) -> None:
    if not found.hits:
        note("info", t("knowledge.nothing"))
        return
    if not found.answers:
        note("warn", t("knowledge.not_found"))
    label = t("knowledge.hits" if found.answers else "knowledge.perhaps")
    st.html(f'<h2 class="vl-verify">{escape(label)}</h2>')
    passages.hits(found.hits, label, names, query)
