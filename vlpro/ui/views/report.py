"""The page "Report": pictures and an instruction are handed over, and the report is read beside its pictures."""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import Any

import streamlit as st

from vlpro.client import ApiError
from vlpro.schema.reports import Report, ReportContent
from vlpro.ui import session, strings
from vlpro.ui.parts import Tone, badge, mount, note, strip, title
from vlpro.ui.session import t
from vlpro.ui.views import frame
from vlpro.ui.views.viewer import viewer_words

__all__ = ["page"]

_LISTED = 30
_LOOK_S = 1.0
_PICTURES, _LETTERS = 16, 2_000  # the service decides again
_LIMITS = {"image": 20_000_000, "pdf": 50_000_000}  # bytes, likewise
_VERDICTS: dict[str, Tone] = {"pass": "ok", "review": "warn", "fail": "bad"}
_STATES: dict[str, Tone] = {"in_progress": "info", "cancelled": "plain", "failed": "bad"}
_WORDS_OF = {
    "pass": "report.pass",
    "review": "report.review",
    "fail": "report.fail",
    "in_progress": "report.in_progress",
    "cancelled": "report.cancelled",
    "failed": "report.broken",
    "info": "report.info",
    "minor": "report.minor",
    "major": "report.major",
    "critical": "report.critical",
}
_SEVERITIES: dict[str, Tone] = {"info": "plain", "minor": "warn", "major": "bad", "critical": "bad"}
_FORMATS = {"docx": "Word", "pdf": "PDF"}
_WORDS = (
    *("report.add", "report.drop", "report.count", "report.remove", "report.instruction"),
    *("report.instruction.hint", "report.language", "report.begin", "report.stop", "report.sending"),
    *("report.reading", "report.not_sent", "report.failed", "report.wrong_type", "report.too_large"),
    *("report.too_many", "report.no_answer"),
)


def page() -> None:
    """Draw everything."""
    found = frame.attempt(lambda: session.client().reports(limit=_LISTED))
    listed = found.data if found is not None else []
    name = st.query_params.get("r") or (listed[0].id if listed else "")
    with frame.panel():
        _begin()
        _list(listed, name)
    with frame.middle():
        report = _one(name) if name else None
        if report is None:
            title(t("report.nav"), t("report.about"))
            if not listed:
                note("info", t("report.first"))
        elif report.report is not None:
            _complete(report, report.report)
        else:
            title(t("report.nav"), t("report.about"))
            _unfinished(report)


def _begin() -> None:
    data = {
        "most": _PICTURES,
        "letters": _LETTERS,
        "limits": _LIMITS,
        "language": session.language(),
        "languages": strings.LANGUAGES,
        "words": session.words(*_WORDS),
    }
    mount("reporting", data, key="reporting", done=_begun)


def _begun() -> None:
    st.query_params["r"] = str(st.session_state.reporting.done)


def _list(listed: list[Report], chosen: str) -> None:
    rows = [
        {"id": one.id, "name": _called(one), "tone": _tone(one), "state": t(_WORDS_OF[_state(one)])}
        for one in listed
    ]
    data = {"label": t("report.list"), "rows": rows, "chosen": chosen, "empty": t("report.none")}
    mount("queue", data, key="report-list", open=_open)


def _open() -> None:
    st.query_params["r"] = str(st.session_state["report-list"].open)


def _called(report: Report) -> str:
    when = datetime.fromtimestamp(report.created, session.zone()).strftime("%m-%d %H:%M")
    return f"{when} {report.report.title if report.report is not None else t('report.unfinished')}"


def _state(report: Report) -> str:
    return report.report.verdict if report.report is not None else report.status


def _tone(report: Report) -> Tone:
    return {**_VERDICTS, **_STATES}.get(_state(report), "plain")


def _one(name: str) -> Report | None:
    try:
        return session.client().report(name)
    except ApiError as error:
        st.query_params.pop("r", None)
        if error.status != 404:
            note("bad", session.sentence(error), session.number(error))
        return None


# --- one that is being made, or came to no end


def _unfinished(report: Report) -> None:
    with st.container(key=f"making-{report.id}"):
        if report.status == "in_progress":
            st.fragment(run_every=_LOOK_S)(_follow)(report.id)
            if st.button(t("report.stop"), key="report_stop", icon=":material/stop:"):
                frame.attempt(lambda: session.client().cancel_report(report.id))
                st.rerun()
        elif report.error is not None:
            note("bad", report.error.message_zh if session.language() == "zh" else report.error.message)
        else:
            note("info", t("report.cancelled.why"))


def _follow(name: str) -> None:
    try:
        report = session.client(background=True).report(name)
    except ApiError as error:
        if error.status in (401, 404):
            session.rerun_by_itself()
        note("bad", session.sentence(error), session.number(error))
        return
    if report.status != "in_progress":
        session.rerun_by_itself()
    done, steps = report.progress.done, report.progress.steps
    step = t("report.step.conclude")
    if done < steps - 1:
        step = t("report.step.picture", number=done + 1, total=steps - 1)
    st.html(f'<p class="vl-hint" role="status"><b>{escape(t("report.making"))}</b> · {escape(step)}</p>')
    st.progress(done / steps)


# --- a complete one


def _complete(report: Report, held: ReportContent) -> None:
    title(held.title, held.notice)
    when = datetime.fromtimestamp(report.created, session.zone()).strftime("%Y-%m-%d %H:%M")
    with st.container(key="report"):
        level = (
            badge(session.TONES[report.level], t(f"level.{report.level}"))
            if session.account() is not None
            else ""
        )
        strip(
            [(t("report.verdict"), badge(_VERDICTS[held.verdict], t(_WORDS_OF[held.verdict])) + " " + level)],
            f"{held.model} · {when}",
        )
        if not held.sees:
            note("warn", t("report.blind"))
        st.html(
            f'<h2 class="vl-verify">{escape(t("report.summary"))}</h2>'
            f'<div class="vl-prose"><p>{escape(held.summary)}</p></div>'
        )
        st.html(f'<h2 class="vl-verify">{escape(t("report.findings"))}</h2>')
        if not held.findings:
            st.html(f'<p class="vl-hint">{escape(t("report.no_findings"))}</p>')
        mount(
            "evidence",
            {"pictures": _pictures(report.id, held), "words": _viewer()},
            key=f"evidence-{report.id}",
        )
        _elsewhere(held)
        _out(report)


def _elsewhere(held: ReportContent) -> None:
    """What no place in a picture shows."""
    found = [one for one in held.findings if not one.boxes]
    if not found:
        return
    rows = "".join(
        f'<tr><th scope="row">{one.number}</th><td>{one.image}</td><td>{escape(one.text)}</td>'
        f"<td>{badge(_SEVERITIES[one.severity], t(_WORDS_OF[one.severity]))}</td></tr>"
        for one in found
    )
    head = "".join(
        f'<th scope="col" style="width:{width}">{escape(name)}</th>'
        for name, width in (
            ("#", "3rem"),
            (t("report.picture"), "4rem"),
            (t("report.finding"), "auto"),
            (t("report.severity"), "8rem"),
        )
    )
    st.html(
        f'<h2 class="vl-verify">{escape(t("report.elsewhere"))}</h2><div class="vl-lines"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _pictures(name: str, held: ReportContent) -> list[dict[str, Any]]:
    return [
        {
            "number": image.number,
            "id": f"{name}-{image.number}",
            "url": f"/v1/reports/{name}/images/{image.number}?boxes=false",
            "width": image.width,
            "height": image.height,
            "available": image.available,
            "boxes": [
                {
                    "number": one.number,
                    "box": box,
                    "point": None,
                    "label": t(_WORDS_OF[one.severity]),
                    "text": one.text,
                    "confidence": None,
                }
                for one in held.findings
                for box in one.boxes
                if one.image == image.number
            ],
        }
        for image in held.images
    ]


def _viewer() -> dict[str, str]:
    return viewer_words() | {"evidence": t("report.findings"), "not_kept.why": t("report.gone")}


def _out(report: Report) -> None:
    links = "".join(
        f'<a href="/v1/reports/{escape(report.id)}/document?format={kind}" '
        f'download="{escape(report.id)}.{kind}">{shown}</a>'
        for kind, shown in _FORMATS.items()
    )
    st.html(f'<p class="vl-take"><b>{escape(t("report.take"))}</b> {links}</p>')
    if st.button(t("report.delete"), key="report_delete", icon=":material/delete:"):
        st.dialog(t("report.delete.ask"), width="small")(_confirm_delete)(report.id)


def _confirm_delete(name: str) -> None:
    st.write(t("report.delete.body"))
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button(t("report.keep"), key="report_keep"):
            st.rerun()
        if st.button(t("report.delete"), key="hurt-yes", type="primary") and (
            frame.attempt(lambda: session.client().delete_report(name)) is not None
        ):
            session.remember("notice", ("info", t("report.deleted")))
            st.query_params.pop("r", None)
            st.rerun()
