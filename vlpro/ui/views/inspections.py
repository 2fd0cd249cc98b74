"""The page "Inspection": pictures are handed in, what was found stands beside them, alerts are seen to."""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import Any, Literal

import streamlit as st

from vlpro.client import ApiError
from vlpro.schema.inspections import Defect, Inspection, InspectionAlert
from vlpro.ui import session
from vlpro.ui.parts import Tone, badge, mount, note, strip, title
from vlpro.ui.session import t
from vlpro.ui.texts.inspections import TEXTS
from vlpro.ui.views import frame, passages
from vlpro.ui.views.viewer import viewer_words

__all__ = ["page"]

_TONES: dict[str, Tone] = {"pass": "ok", "review": "warn", "fail": "bad"}
_METHODS = ("auto", "template", "thermal", "sight")
_LISTED = 20
_LOOK_S = 3.0  # between looks at what cameras sent
_LIMIT = 20_000_000  # bytes of a picture; the service decides again
_WORDS = (
    *("inspections.picture", "inspections.picture.hint", "inspections.golden", "inspections.golden.hint"),
    *("inspections.product", "inspections.station", "inspections.method", "inspections.instruction"),
    *("inspections.instruction.hint", "inspections.keep", "inspections.go", "inspections.working"),
    *("inspections.stop", "inspections.wrong_type", "inspections.too_large", "inspections.bad_name"),
    *("inspections.no_answer", "inspections.base", "inspections.base.none"),
)


def page() -> None:
    """Draw everything."""
    with frame.panel():
        _panel()
    with frame.middle():
        title(t("inspections.nav"), t("inspections.about"))
        if (name := st.query_params.get("i")) and (found := _one(name)) is not None:
            _result(found)
        st.fragment(run_every=_LOOK_S)(_news)()


def _panel() -> None:
    api = session.client()
    status = frame.attempt(api.status)
    known = frame.attempt(api.golden_templates)
    data = {
        "products": [one.product for one in known.data] if known is not None else [],
        "methods": [
            {"name": name, "title": t(f"inspections.method.{name}")}
            for name in _METHODS
            if name != "sight" or (status is not None and status.sees)
        ],
        "sees": status is not None and status.sees,
        "bases": _bases(),
        "limit": _LIMIT,
        "language": session.language(),
        "words": session.words(*_WORDS),
    }
    mount("inspecting", data, key="inspecting", done=_handed_in)


def _bases() -> list[dict[str, str]]:
    """Knowledge bases that may explain what is found; none where this person may not use any."""
    try:
        known = session.client().knowledge_bases().data
    except ApiError:
        return []
    return [{"id": one.id, "name": one.name} for one in known if one.pages]


def _handed_in() -> None:
    st.query_params["i"] = str(st.session_state.inspecting.done)


def _one(name: str) -> Inspection | None:
    try:
        return session.client().inspection(name)
    except ApiError as error:
        st.query_params.pop("i", None)
        if error.status != 404:
            note("bad", session.sentence(error), session.number(error))
        return None


# --- one result


def _result(found: Inspection) -> None:
    with st.container(key="inspection"):
        where = " · ".join(filter(None, (found.product, found.station)))
        facts = [
            (t("inspections.verdict"), badge(_TONES[found.verdict], t(f"inspections.{found.verdict}"))),
            (t("inspections.method"), escape(t(f"inspections.method.{found.method}"))),
            (t("inspections.found"), str(len(found.defects))),
            (t("inspections.seconds"), f"{found.seconds:.2f} s"),
        ]
        strip(facts, f"{where} · {_when(found.created)}" if where else _when(found.created))
        if found.screening:
            note("warn", t("inspections.screening"))
        told = found.message_zh if session.language() == "zh" else found.message
        if told:
            note("info", told)
        if not found.defects:
            note("info", t("inspections.clean"))
        mount("evidence", {"pictures": [_picture(found)], "words": _viewer()}, key=f"evidence-{found.id}")
        if found.citations:
            passages.sources(found.citations, found.id, t("inspections.explained"), quoted=True)
        elif found.citations is not None:
            note("info", t("inspections.unexplained"))
        _decide(found)


def _viewer() -> dict[str, str]:
    return viewer_words() | {"evidence": t("inspections.found"), "not_kept.why": t("inspections.gone")}


def _picture(found: Inspection) -> dict[str, Any]:
    boxes = [
        {
            "number": number,
            "box": defect.box,
            "point": None,
            "label": _kind(defect.kind),
            "text": _said(defect),
            "confidence": defect.score,
        }
        for number, defect in enumerate(found.defects, 1)
    ]
    return {
        "number": 1,
        "id": found.id,
        "url": f"/v1/inspections/{found.id}/picture?boxes=false",
        "width": found.width,
        "height": found.height,
        "available": found.picture,
        "boxes": boxes,
    }


def _kind(kind: str) -> str:
    """A kind of defect in the language in use; an engine's own word as it is."""
    key = f"inspections.kind.{kind}"
    return t(key) if key in TEXTS else kind


def _said(defect: Defect) -> str:
    return f"{_kind(defect.kind)} · {defect.note}" if defect.note else _kind(defect.kind)


def _decide(found: Inspection) -> None:
    decision = found.decision
    if decision is not None:
        told = t(
            "inspections.decided",
            name=decision.by,
            time=session.moment(decision.decided_at),
            verdict=t(f"inspections.{decision.verdict}"),
        )
        note("info", told)
    with st.container(horizontal=True):
        if decision is None and found.verdict != "pass":
            st.button(
                t("inspections.confirm"), key="inspection_fail", on_click=_decided, args=(found.id, "fail")
            )
            st.button(
                t("inspections.dismiss"), key="inspection_pass", on_click=_decided, args=(found.id, "pass")
            )
        st.button(t("inspections.delete"), key="inspection_delete", on_click=_delete, args=(found.id,))


def _decided(name: str, verdict: Literal["pass", "fail"]) -> None:
    _attempt(lambda: session.client().decide_inspection(name, verdict))


def _delete(name: str) -> None:
    if _attempt(lambda: session.client().delete_inspection(name)):
        st.query_params.pop("i", None)
        session.remember("notice", ("info", t("inspections.deleted")))


def _attempt(work: Any) -> bool:
    """Do something before the page is drawn; why it was refused stands above it then."""
    try:
        work()
    except ApiError as error:
        session.remember("notice", ("bad", session.sentence(error), session.number(error)))
        return False
    return True


# --- what came in


def _news() -> None:
    """Alerts and inspections, also those of cameras: looked at again every few seconds."""
    api = session.client(background=True)
    alerts = frame.attempt(lambda: api.inspection_alerts(state="open", limit=_LISTED))
    recent = frame.attempt(lambda: api.inspections(limit=_LISTED))
    if alerts is None or recent is None:
        return
    st.html(f'<h2 class="vl-section">{escape(t("inspections.alerts"))} {len(alerts.data)}</h2>')
    for alert in alerts.data:
        _alert(alert)
    if not alerts.data:
        st.html(f'<p class="vl-hint">{escape(t("inspections.alerts.none"))}</p>')
    if alerts.next is not None:
        st.html(f'<p class="vl-hint">{escape(t("inspections.alerts.more", count=_LISTED))}</p>')
    st.html(f'<h2 class="vl-section">{escape(t("inspections.recent"))}</h2>')
    names = ("inspections.what", "inspections.verdict", "inspections.found", "inspections.source")
    sizes = ("minmax(0, 1.6fr)", "104px", "minmax(0, 1.4fr)", "120px")
    data = {
        "label": t("inspections.recent"),
        "columns": [{"name": t(name), "size": size} for name, size in zip(names, sizes, strict=True)],
        "rows": [_row(one) for one in recent.data],
        "pager": None,
        "empty": t("inspections.none"),
        "words": frame.table_words(),
    }
    mount("table", data, key="inspections_table", open=_open)
    if session.take("file"):  # a row was chosen: the whole page shows it
        st.rerun()


def _alert(alert: InspectionAlert) -> None:
    said = alert.message_zh if session.language() == "zh" else alert.message
    with st.container(key=f"alert-{alert.id}", horizontal=True, vertical_alignment="center"):
        mark = badge(_TONES[alert.verdict], t(f"inspections.{alert.verdict}"))
        st.html(f'<div class="vl-alert">{mark}<p>{escape(said)}</p><time>{_when(alert.created)}</time></div>')
        if st.button(t("inspections.look"), key=f"look-{alert.id}"):
            st.query_params["i"] = alert.inspection
            st.rerun()
        if st.button(t("inspections.acknowledge"), key=f"ack-{alert.id}", type="primary"):
            if frame.attempt(lambda: session.client().acknowledge_alert(alert.id)) is not None:
                session.remember("notice", ("info", t("inspections.acknowledged")))
            st.rerun()


def _row(one: Inspection) -> dict[str, Any]:
    verdict = one.decision.verdict if one.decision is not None else one.verdict
    kinds = list(dict.fromkeys(_kind(defect.kind) for defect in one.defects))
    found = f"{len(one.defects)} · {', '.join(kinds[:3])}" if one.defects else "–"
    return {
        "id": one.id,
        "cells": [
            {
                "text": " · ".join(filter(None, (one.product, one.station))) or one.id,
                "sub": _when(one.created),
            },
            {"text": t(f"inspections.{verdict}"), "badge": _TONES[verdict]},
            {"text": found},
            {"text": t(f"inspections.source.{one.source}")},
        ],
    }


def _open() -> None:
    st.query_params["i"] = str(st.session_state.inspections_table.open)
    session.remember("file", True)  # noqa: FBT003 - the fragment is to draw the whole page


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, session.zone()).strftime("%m-%d %H:%M:%S")
