"""The page "Knowledge base": bases, their documents, and what is found in them."""

from __future__ import annotations

from html import escape

import streamlit as st

from vlpro.client import ApiError
from vlpro.schema.knowledge import KnowledgeBase, KnowledgeBaseChange, KnowledgeIndexStatus, NewKnowledgeBase
from vlpro.ui import session
from vlpro.ui.parts import badge, facts, mount, note, title
from vlpro.ui.session import t
from vlpro.ui.views import frame, knowledge_documents, knowledge_search
from vlpro.ui.views.sidebar import progress

__all__ = ["page"]

_NAME, _DESCRIPTION = 100, 1_000  # characters; the service decides again
_LOOK_S = 2.0


def page() -> None:
    """Draw everything."""
    found = frame.attempt(lambda: session.client().knowledge_bases())
    listed = found.data if found is not None else []
    name = st.query_params.get("b") or (listed[0].id if listed else "")
    base = next((one for one in listed if one.id == name), None)
    if base is None and listed:
        st.query_params.pop("b", None)
        base = listed[0]
    with frame.panel():
        _make()
        _list(listed, base)
        if found is not None and found.status is not None:
            _status(found.status)
    with frame.middle():
        if base is None:
            title(t("knowledge.nav"), t("knowledge.about"))
            if found is not None:
                note("info", t("knowledge.first"))
            return
        _head(base)
        if base.pages:
            knowledge_search.search(base, listed)
        knowledge_documents.documents(base)


def _list(listed: list[KnowledgeBase], chosen: KnowledgeBase | None) -> None:
    rows = [
        {
            "id": one.id,
            "name": one.name,
            "amount": str(one.documents),
            "tone": "info" if one.writable else "plain",
            "state": " · ".join((_whose(one), _counts(one))),
        }
        for one in listed
    ]
    data = {
        "label": t("knowledge.list"),
        "rows": rows,
        "chosen": chosen.id if chosen is not None else "",
        "empty": t("knowledge.none"),
    }
    mount("queue", data, key="knowledge-list", open=_open)


def _open() -> None:
    st.query_params["b"] = str(st.session_state["knowledge-list"].open)


def _whose(base: KnowledgeBase) -> str:
    if not base.writable:
        return t("knowledge.others")
    return t("knowledge.shared" if base.shared else "knowledge.private")


def _counts(base: KnowledgeBase) -> str:
    if not base.documents:
        return t("knowledge.counts.none")
    return t("knowledge.counts", documents=base.documents, pages=base.pages)


# --- what finds pages


def _status(status: KnowledgeIndexStatus) -> None:
    if status.loading is not None:
        st.fragment(run_every=_LOOK_S)(_loading)()
    pairs = [
        (t("knowledge.embedder"), escape(status.embedder)),
        (t("knowledge.index"), escape(t(f"knowledge.index.{status.index}"))),
        (
            t("knowledge.indexed"),
            escape(t("knowledge.indexed.pages", pages=status.pages, passages=status.passages)),
        ),
    ]
    st.html(
        f'<section class="vl-knows" aria-label="{escape(t("knowledge.used"))}">'
        f"<b>{escape(t('knowledge.used'))}</b>{facts(pairs)}</section>"
    )


def _loading() -> None:
    try:
        status = session.client(background=True).knowledge_bases().status
    except ApiError:
        session.rerun_by_itself()
    if status is None or status.loading is None:
        session.rerun_by_itself()
    share = progress(t("knowledge.loading"), status.loading)
    st.html(f'<div class="vl-status starting">{share}</div>')


# --- making and changing


def _make() -> None:
    made_before = int(st.session_state.get("knowledge_made", 0))  # another key shuts the popover
    key = f"knowledge_make_{made_before}"
    asked = st.popover(t("knowledge.make"), icon=":material/add:", key=key, width="stretch")
    with asked, st.form("knowledge-make", border=False, clear_on_submit=True):
        name = st.text_input(t("knowledge.name"), key="knowledge_new_name", max_chars=_NAME)
        person = session.account()
        level = None
        if person is not None:
            level = st.segmented_control(
                t("knowledge.level"),
                session.levels(person),
                default=person.level,
                required=True,
                key="knowledge_new_level",
                format_func=lambda one: t(f"level.{one}"),
            )
        shared = _share("knowledge_new_shared", value=False)
        done = st.form_submit_button(t("knowledge.make.do"), type="primary")
    if done and name.strip():
        wanted = NewKnowledgeBase(name=name, shared=shared, level=level)
        made = frame.attempt(lambda: session.client().new_knowledge_base(wanted))
        if made is not None:
            st.query_params["b"] = made.id
            st.session_state.knowledge_made = made_before + 1
            st.rerun()


def _share(key: str, *, value: bool) -> bool:
    """Whether others see it: nobody has to, where there are no accounts."""
    if session.account() is None:
        return value
    return st.checkbox(t("knowledge.share"), value=value, key=key, help=t("knowledge.share.help"))


def _head(base: KnowledgeBase) -> None:
    marks = ""
    if session.account() is not None:
        marks = badge(session.TONES[base.level], t(f"level.{base.level}"))
        marks += badge("info" if base.shared else "plain", _whose(base))
    about = " · ".join(part for part in (_counts(base), base.description) if part)
    st.html(f'<div class="vl-title"><h1>{escape(base.name)}</h1>{marks}<p>{escape(about)}</p></div>')
    if base.writable:
        with st.container(horizontal=True, vertical_alignment="center"):
            _edit(base)
            if st.button(
                t("knowledge.delete"), key="knowledge_delete", icon=":material/delete:", type="tertiary"
            ):
                st.dialog(t("knowledge.delete.ask"), width="small")(_confirm_delete)(base)


def _edit(base: KnowledgeBase) -> None:
    changes = int(st.session_state.get("knowledge_changes", 0))  # another key shuts the popover
    asked = st.popover(
        t("knowledge.edit") if session.account() is not None else t("rename"),
        icon=":material/edit:",
        type="tertiary",
        key=f"knowledge_edit_{changes}",
    )
    with asked, st.form(f"knowledge-edit-{base.id}", border=False):
        name = st.text_input(t("knowledge.name"), base.name, max_chars=_NAME, key=f"knowledge_name_{base.id}")
        description = st.text_area(
            t("knowledge.description"),
            base.description,
            max_chars=_DESCRIPTION,
            key=f"knowledge_description_{base.id}",
        )
        shared = _share(f"knowledge_shared_{base.id}", value=base.shared)
        done = st.form_submit_button(t("knowledge.save"), type="primary")
    if done and name.strip():
        change = KnowledgeBaseChange(name=name, description=description, shared=shared)
        if frame.attempt(lambda: session.client().change_knowledge_base(base.id, change)) is not None:
            st.session_state.knowledge_changes = changes + 1
            st.rerun()


def _confirm_delete(base: KnowledgeBase) -> None:
    st.html(f"<p>{escape(t('knowledge.delete.body', name=base.name))}</p>")
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button(t("knowledge.keep"), key="knowledge_keep"):
            st.rerun()
        if st.button(t("knowledge.delete.do"), key="hurt-yes", type="primary") and (
            frame.attempt(lambda: session.client().delete_knowledge_base(base.id)) is not None
        ):
            st.query_params.pop("b", None)
            session.remember("notice", ("info", t("knowledge.deleted", name=base.name)))
            st.rerun()
