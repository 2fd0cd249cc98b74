"""The page "Compliance": reports are made, followed and read by the security and the audit administrator."""

from __future__ import annotations

from datetime import datetime
from html import escape

import streamlit as st

from vlpro.client import ApiError
from vlpro.schema.accounts import OwnAccount
from vlpro.schema.compliance import ComplianceReport, ComplianceReportInfo
from vlpro.ui import session
from vlpro.ui.parts import Tone, mount, note, title
from vlpro.ui.session import t
from vlpro.ui.views import frame
from vlpro.ui.views.compliance_report import made

__all__ = ["page"]

_EVERY_S = 1.0
_TONES: dict[str, Tone] = {"running": "info", "failed": "bad", "stopped": "plain", "altered": "bad"}


def page(person: OwnAccount) -> None:
    """Draw everything."""
    found = frame.attempt(session.client().compliance_reports)
    listed = found.data if found is not None else []
    chosen = _chosen(listed)
    with frame.panel(person):
        _begin(listed)
        _list(listed, chosen)
    with frame.middle():
        title(t("compliance.nav"), t("compliance.about"))
        if chosen is None:
            if found is not None:
                note("info", t("compliance.first"))
        elif chosen.status == "made":
            _made(chosen.id)
        else:
            _unmade(chosen)
    if (file := session.take("file")) is not None:
        mount("download", {"file": file}, key="compliance_download")


def _chosen(listed: list[ComplianceReportInfo]) -> ComplianceReportInfo | None:
    """The one that the address names; else the newest."""
    named = next((one for one in listed if one.id == st.query_params.get("r")), None)
    return named or next(iter(listed), None)


def _begin(listed: list[ComplianceReportInfo]) -> None:
    running = any(one.status == "running" for one in listed)
    pressed = st.button(
        t("compliance.begin"),
        key="compliance_begin",
        type="primary",
        icon=":material/fact_check:",
        help=t("compliance.begin.help"),
        disabled=running,
        width="stretch",
    )
    if pressed:
        begun = frame.attempt(session.client().new_compliance_report)
        if begun is not None:
            st.query_params["r"] = begun.id
            st.rerun()


def _list(listed: list[ComplianceReportInfo], chosen: ComplianceReportInfo | None) -> None:
    rows = [
        {"id": one.id, "name": session.moment(one.created), "tone": _tone(one), "state": _state(one)}
        for one in listed
    ]
    data = {
        "label": t("compliance.list"),
        "rows": rows,
        "chosen": chosen.id if chosen else "",
        "empty": t("compliance.none"),
    }
    mount("queue", data, key="compliance-list", open=_open)


def _open() -> None:
    st.query_params["r"] = str(st.session_state["compliance-list"].open)


def _tone(one: ComplianceReportInfo) -> Tone:
    if one.totals is None:
        return _TONES[one.status]
    return "bad" if one.totals.fail else "ok"


def _state(one: ComplianceReportInfo) -> str:
    if one.totals is None:
        return t(f"compliance.is.{one.status}")
    return t("compliance.short", fail=one.totals.fail) if one.totals.fail else t("compliance.short.none")


def _made(name: str) -> None:
    # A look is recorded, so the report is asked for once a visit: what was signed does not change.
    kept: ComplianceReport | None = st.session_state.get("compliance_kept")
    if kept is None or kept.id != name:
        kept = frame.attempt(lambda: session.client().compliance_report(name))
        st.session_state.compliance_kept = kept
    if kept is not None:
        made(kept)


# --- one that is being made, or came to nothing


def _unmade(one: ComplianceReportInfo) -> None:
    problem = (one.problem.zh if session.language() == "zh" else one.problem.en) if one.problem else ""
    if one.status == "running":
        with st.container(key="compliance-running"):
            st.fragment(run_every=_EVERY_S)(_follow)(one.id)
            if st.button(t("compliance.stop"), key="compliance_stop", icon=":material/stop:"):
                frame.attempt(lambda: session.client().stop_compliance_report(one.id))
                st.rerun()
    elif one.status == "altered":
        note("bad", t("compliance.altered", why=problem))
    elif one.status == "stopped":
        note("info", t("compliance.stopped"))
    else:
        note("bad", problem)


def _follow(name: str) -> None:
    try:
        listed = session.client(background=True).compliance_reports().data
    except ApiError as error:
        if error.status == 401:
            session.rerun_by_itself()
        note("bad", session.sentence(error), session.number(error))
        return
    now = next((one for one in listed if one.id == name), None)
    if now is None or now.progress is None or now.status != "running":
        session.rerun_by_itself()
    at = now.progress
    told = t("compliance.starting")
    if at.total:
        told = t("compliance.progress", done=at.done, total=at.total, check=at.check)
    st.progress(at.done / at.total if at.total else 0.0, text=told)
    began = f"{datetime.fromtimestamp(now.created, session.zone()):%Y-%m-%d %H:%M:%S}"
    st.html(f'<p class="vl-hint">{escape(t("compliance.began", who=now.by, time=began))}</p>')
