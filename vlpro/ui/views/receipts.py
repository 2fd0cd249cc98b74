"""The page "Receipts": documents are handed in, and what was read is checked beside the picture."""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import Any, Literal

import streamlit as st

from vlpro.client import ApiError
from vlpro.schema.extractions import (
    CheckInfo,
    DeliveryInfo,
    ExtractedFieldInfo,
    ExtractionInfo,
    ExtractionItem,
    ExtractionList,
    FieldCorrections,
    NewApproval,
    NewReturn,
    TemplateList,
)
from vlpro.ui import session
from vlpro.ui.parts import Tone, badge, mount, note, title
from vlpro.ui.session import t
from vlpro.ui.views import frame
from vlpro.ui.views.viewer import viewer_words

__all__ = ["page"]

Show = Literal["open", "decided"]

_SURE = 0.8  # below it somebody should look
_LONG = 16  # characters from which on a field takes the whole width
_SHORT_TYPES = frozenset({"date", "time", "amount", "number", "percent", "digits", "choice", "phone", "code"})
_LISTED = 100
_STATES: dict[Show, tuple[str, ...]] = {"open": ("open",), "decided": ("approved", "returned")}
_TONES: dict[str, Tone] = {"pass": "ok", "review": "warn", "fail": "bad"}
_VERDICTS = {"pass": "receipts.pass", "review": "receipts.check", "fail": "receipts.fail"}
_EXPORTS = {"xlsx": "Excel", "csv": "CSV", "json": "JSON"}
_LIMITS = {"image": 20_000_000, "pdf": 40_000_000}  # bytes; the service decides again
_WORDS = (
    *("receipts.checks", "receipts.form", "receipts.settled", "receipts.left", "receipts.confirm"),
    *("receipts.corrected", "receipts.items", "receipts.approve", "receipts.approve.why", "receipts.back"),
    *("receipts.reason", "receipts.back.do", "receipts.cancel", "receipts.delete", "receipts.keys"),
    *("receipts.deliveries", "receipts.retry", "receipts.send", "receipts.page", "receipts.picture"),
    *("receipts.gone", "receipts.pass", "receipts.fail", "receipts.check", "receipts.unchecked"),
)


def page() -> None:
    """Draw everything."""
    found = frame.attempt(lambda: _listed(_show()))
    known = frame.attempt(lambda: session.client().extraction_templates())
    with frame.panel():
        if found is not None and known is not None:
            _panel(found, known)
    with frame.middle():
        if found is None or known is None:
            title(t("receipts.title"))
            return
        name = st.query_params.get("r") or next((one.id for one in found.data if not one.damaged), "")
        result = _result(name) if name else None
        if result is None:
            title(t("receipts.title"), t("receipts.about"))
            return
        _review(result, known)


def _show() -> Show:
    return "decided" if st.session_state.get("receipts_show") == "decided" else "open"


def _listed(show: Show) -> ExtractionList:
    return session.client().extractions(states=_STATES[show], limit=_LISTED)


def _result(name: str) -> ExtractionInfo | None:
    try:
        return session.client().extraction(name)
    except ApiError as error:
        st.query_params.pop("r", None)
        if error.status != 404:
            session.remember("notice", ("bad", session.sentence(error), session.number(error)))
            frame.notice()
        return None


# --- the panel


def _panel(found: ExtractionList, known: TemplateList) -> None:
    zh = session.language() == "zh"
    kinds = [{"name": "auto", "title": t("receipts.auto")}]
    kinds += [{"name": one.name, "title": one.title_zh if zh else one.title} for one in known.data]
    words = session.words(
        *("receipts.add", "receipts.drop", "receipts.template", "receipts.hand_over", "receipts.reading"),
        *("receipts.read", "receipts.failed", "receipts.wrong_type", "receipts.too_large"),
        *("receipts.no_answer", "receipts.stopped", "receipts.stop"),
    )
    mount(
        "handin",
        {
            "templates": kinds,
            "words": words,
            "language": session.language(),
            "limits": _LIMITS,
            "shared": session.account() is not None,
        },
        key="handin",
        done=_handed_in,
    )
    st.segmented_control(
        t("receipts.show"),
        list(_STATES),
        key="receipts_show",
        default="open",
        required=True,
        label_visibility="collapsed",
        width="stretch",
        format_func=lambda one: (
            t("receipts.decided") if one == "decided" else f"{t('receipts.queue')} {found.open}"
        ),
        on_change=_leave,
    )
    chosen = st.query_params.get("r") or next((one.id for one in found.data if not one.damaged), "")
    mount(
        "queue",
        {
            "label": t("receipts.queue" if _show() == "open" else "receipts.decided"),
            "rows": [_row(one) for one in found.data],
            "chosen": chosen,
            "empty": t("receipts.none" if _show() == "open" else "receipts.none_decided"),
            "exports": {
                "label": t("receipts.export"),
                "files": [
                    {
                        "name": shown,
                        "url": f"/v1/extractions/export?format={kind}&state=approved&language={session.language()}",
                    }
                    for kind, shown in _EXPORTS.items()
                ],
            },
        },
        key="queue",
        open=_open,
    )
    if found.next is not None and _show() == "open":
        st.html(f'<p class="vl-hint">{escape(t("receipts.more", count=found.open - len(found.data)))}</p>')
    both = found.decided_today + found.open
    if both:
        share = found.decided_today / both
        st.html(
            f'<div class="vl-today"><span>{escape(t("receipts.today"))}</span><b>{found.decided_today} / {both}</b>'
            f'<div><i style="width:{share:.0%}"></i></div></div>'
        )


def _row(one: ExtractionItem) -> dict[str, str]:
    if one.damaged:
        return {"id": one.id, "name": t("receipts.damaged"), "tone": "bad", "state": t("receipts.fail")}
    kind = one.title_zh if session.language() == "zh" else one.title
    state = t(_VERDICTS[one.verdict]) if one.state == "open" else t(f"receipts.state.{one.state}")
    tone = _TONES[one.verdict] if one.state == "open" else "ok" if one.state == "approved" else "plain"
    return {
        "id": one.id,
        "name": one.name or kind or one.template,
        "amount": one.amount or "",
        "tone": tone,
        "state": state,
    }


def _leave() -> None:
    st.query_params.pop("r", None)


def _open() -> None:
    st.query_params["r"] = str(st.session_state.queue.open)


def _handed_in() -> None:
    if _show() == "open" and not st.query_params.get("r"):
        st.query_params["r"] = str(st.session_state.handin.done)


# --- one result


def _review(result: ExtractionInfo, known: TemplateList) -> None:
    zh = session.language() == "zh"
    failed = len(result.unsettled)
    fields = [_field(name, field, result) for name, field in result.fields.items() if _stands(field, result)]
    unsure = sum(field["tone"] == "warn" for field in fields)
    marks = badge("bad", t("receipts.fails", count=failed)) if failed else ""
    marks += badge("warn", t("receipts.to_check", count=unsure)) if unsure and result.state == "open" else ""
    if result.state != "open":
        marks = badge("ok" if result.state == "approved" else "plain", t(f"receipts.state.{result.state}"))
    elif not marks:
        marks = badge("ok", t("receipts.pass"))
    if session.account() is not None:
        marks += badge(session.TONES[result.level], t(f"level.{result.level}"))
    kind = (result.title_zh if zh else result.title) or result.template
    when = datetime.fromtimestamp(result.created, session.zone()).strftime("%m-%d %H:%M")
    below = f"{kind} · {when}"
    st.html(
        f'<div class="vl-title vl-review"><h1>{escape(t("receipts.title"))}</h1>{marks}<p>{escape(below)}</p></div>'
    )
    if result.reason:
        note("info", t("receipts.returned", reason=result.reason))
    sent = {one.target for one in result.deliveries}
    mount(
        "receipt",
        {
            "id": result.id,
            "version": result.version,
            "open": result.state == "open",
            "own": result.own,
            "pages": [
                {
                    "name": one.name,
                    "width": one.width,
                    "height": one.height,
                    "available": one.available,
                    "url": f"/v1/extractions/{result.id}/pages/{one.page}/content",
                }
                for one in result.pages
            ],
            "fields": fields,
            "items": _items(result, known),
            "checks": [_check(check, result) for check in result.checks],
            "unsettled": result.unsettled,
            "confirmed": [name for name, field in result.fields.items() if field.confirmed],
            "deliveries": [_delivery(one) for one in result.deliveries],
            "targets": [name for name in known.targets if name not in sent and result.state == "approved"],
            "words": {**viewer_words(), **session.words("confidence", "boxes", "enlarge", *_WORDS)},
        },
        key="receipt",
        act=_act,
    )
    if st.session_state.pop("receipts_delete", None) == result.id:
        st.dialog(t("receipts.delete.ask"), width="small")(_confirm_delete)(result.id)


def _stands(field: ExtractedFieldInfo, result: ExtractionInfo) -> bool:
    """Whether a field is shown: one that is neither there nor required would be noise."""
    del result
    return field.value is not None or field.required or field.corrected


def _field(name: str, field: ExtractedFieldInfo, result: ExtractionInfo) -> dict[str, Any]:
    zh = session.language() == "zh"
    shown = field.value if field.type in ("words", "choice", "percent") else field.normalized or field.value
    failed = next((check for check in field.checks if check.passed is False), None)
    doubt = next((check for check in field.checks if check.passed is None), None)
    tone, why = "", ""
    if name in result.unsettled:
        tone = "bad"
        why = _said(failed, zh) if failed is not None else t("receipts.missing")
    elif field.value is not None and not field.corrected and result.state == "open":
        if field.confidence < _SURE:
            tone, why = "warn", t("receipts.low")
        elif doubt is not None:
            tone, why = "warn", _said(doubt, zh)
    long = field.type not in _SHORT_TYPES or len(shown or "") > _LONG or bool(why)
    return {
        "name": name,
        "title": (field.title_zh if zh else field.title) or name,
        "shown": shown,
        "confidence": field.confidence,
        "box": field.box,
        "page": field.page,
        "tone": tone,
        "why": why,
        "long": long,
        "corrected": field.corrected,
        "confirmable": tone == "bad",
    }


def _said(check: CheckInfo, zh: bool) -> str:  # noqa: FBT001 - the language
    return check.zh if zh else check.message


def _check(check: CheckInfo, result: ExtractionInfo) -> dict[str, Any]:
    tone = {True: "ok", False: "bad", None: "plain"}[check.passed]
    word = {True: "receipts.pass", False: "receipts.fail", None: "receipts.unchecked"}[check.passed]
    if check.name == "second_reading":
        tone, word = "warn", "receipts.check"
    return {
        "name": check.name,
        "message": _said(check, session.language() == "zh"),
        "tone": tone,
        "word": word,
        "confirmable": check.name in result.unsettled,
    }


def _items(result: ExtractionInfo, known: TemplateList) -> dict[str, Any]:
    zh = session.language() == "zh"
    template = next((one for one in known.data if one.name == result.template), None)
    titles = {one.name: one.title_zh if zh else one.title for one in template.items} if template else {}
    names = list(dict.fromkeys(name for item in result.items for name in item))
    names = [name for name in names if any(name in item and item[name].value for item in result.items)]
    rates = {one.name for one in template.items if one.type == "percent"} if template else set()

    def shown(item: dict[str, ExtractedFieldInfo], name: str) -> str:
        if name not in item:
            return ""
        written, normal = item[name].value, item[name].normalized
        return (written or normal if name in rates else normal or written) or ""

    rows = [[shown(item, name) for name in names] for item in result.items]
    return {"columns": [titles.get(name, name) for name in names], "rows": rows}


def _delivery(one: DeliveryInfo) -> dict[str, Any]:
    tones = {"waiting": "warn", "delivered": "ok", "failed": "bad"}
    told = (
        t(f"receipts.delivery.{one.state}", tries=one.tries, problem=one.problem or "")
        if one.state
        in (
            "waiting",
            "failed",
        )
        else t("receipts.delivery.delivered")
    )
    return {
        "id": one.id,
        "target": one.target,
        "tone": tones[one.state],
        "told": told,
        "retry": one.state != "delivered",
    }


def _act() -> None:
    """Do what somebody asked for in the form."""
    asked = st.session_state.receipt.act
    name, version, api = asked["id"], asked["version"], session.client()
    try:
        match asked["action"]:
            case "correct":
                api.correct_extraction(name, FieldCorrections(fields=asked["fields"], version=version))
            case "approve":
                api.approve_extraction(name, NewApproval(confirmed=asked["confirmed"], version=version))
                _done("receipts.approved")
            case "return":
                api.return_extraction(name, NewReturn(reason=asked["reason"], version=version))
                _done("receipts.sent_back")
            case "retry":
                api.retry_delivery(name, asked["delivery"])
            case "send":
                api.deliver_extraction(name, asked["target"])
            case "delete":
                st.session_state.receipts_delete = name
    except ApiError as error:
        session.remember("notice", ("bad", session.sentence(error), session.number(error)))


def _done(said: str) -> None:
    session.remember("notice", ("info", t(said)))
    st.query_params.pop("r", None)


def _confirm_delete(name: str) -> None:
    st.write(t("receipts.delete.body"))
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button(t("receipts.cancel"), key="receipts_keep"):
            st.rerun()
        if st.button(t("receipts.delete"), key="hurt-yes", type="primary") and (
            frame.attempt(lambda: session.client().delete_extraction(name)) is not None
        ):
            _done("receipts.deleted")
            st.rerun()
