"""The whole record verified from the page: what was found last, or how far it is."""

from __future__ import annotations

from datetime import datetime
from html import escape

import streamlit as st

from vlpro.client import ApiError
from vlpro.schema.audit import AuditVerification, AuditVerified
from vlpro.ui import session
from vlpro.ui.parts import Tone, badge, facts, note
from vlpro.ui.session import t
from vlpro.ui.views import frame

__all__ = ["result_html", "verification"]

_EVERY_S = 1.0
_TONES: dict[str, Tone] = {"whole": "ok", "wrong": "bad", "stopped": "warn", "failed": "bad"}


def verification() -> None:
    """Draw the card."""
    now = frame.attempt(session.client().audit_verification)
    if now is None:
        return
    with st.container(key="audit-verify"):
        if now.running:
            _follow()
        else:
            _ended(now)


def _ended(now: AuditVerification) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.html(f'<h2 class="vl-verify">{escape(t("verify"))}{_badge(now.last)}</h2>', width="content")
        label = t("verify.again" if now.last else "verify.begin")
        if st.button(label, key="audit_verify", icon=":material/verified_user:"):
            begun = frame.attempt(session.client().verify_audit)
            if begun is not None:
                st.rerun()
    told = result_html(now.last) if now.last else f'<p class="vl-hint">{escape(t("verify.never"))}</p>'
    st.html(told)


def _follow() -> None:
    @st.fragment(run_every=_EVERY_S)
    def follow() -> None:
        try:
            now = session.client(background=True).audit_verification()
        except ApiError as error:
            if error.status == 401:
                session.rerun_by_itself()
            note("bad", session.sentence(error), session.number(error))
            return
        if not now.running:
            session.rerun_by_itself()
        _progress(now)

    follow()


def _progress(now: AuditVerification) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        mark = badge("info", t("verify.running"))
        st.html(f'<h2 class="vl-verify">{escape(t("verify"))}{mark}</h2>', width="content")
        if st.button(t("verify.stop"), key="audit_verify_stop", icon=":material/stop:"):
            frame.attempt(session.client().stop_audit_verification)
            st.rerun()
    told = t("verify.progress", read=f"{now.read:,}", of=f"{now.of:,}") if now.of else t("verify.starting")
    st.progress(min(1.0, now.read / now.of) if now.of else 0.0, text=told)
    began = _moment(now.began)
    st.html(f'<p class="vl-hint">{escape(t("verify.began", who=now.by, time=began))}</p>')


def _badge(last: AuditVerified | None) -> str:
    return badge(_TONES[last.result], t(f"verify.{last.result}")) if last else ""


def result_html(last: AuditVerified) -> str:
    """What a verification found, in words, when it was and whose."""
    told = {"whole": _whole, "wrong": _wrong, "stopped": _stopped, "failed": _failed}[last.result](last)
    who = t("verify.by", who=last.by, time=_ended_at(last), seconds=f"{last.seconds:,.1f}", seq=last.seq)
    return f'<div class="vl-verified">{told}<p class="vl-hint">{escape(who)}</p></div>'


def _whole(last: AuditVerified) -> str:
    unsigned = last.last - max(last.signed, last.first - 1)
    sentences = [
        t("verify.told", first=f"{last.first:,}", last=f"{last.last:,}")
        if last.first
        else t("verify.told.none"),
        t(
            "verify.signed",
            checkpoints=f"{last.checkpoints:,}",
            signed=f"{last.signed:,}",
            unsigned=f"{max(0, unsigned):,}",
        ),
        t("verify.copies", count=f"{last.copies:,}") if last.copies else t("verify.copies.none"),
    ]
    if last.sm2:
        sentences.append(t("verify.sm2", count=f"{last.sm2:,}"))
    if last.sm2_unchecked:
        sentences.append(t("verify.sm2.unchecked", count=f"{last.sm2_unchecked:,}"))
    if last.archived:
        sentences.append(t("verify.archived", last=f"{last.archived:,}"))
    if last.times_backwards:
        sentences.append(t("verify.clock", count=last.times_backwards))
    lines = "".join(f"<li>{escape(one)}</li>" for one in sentences)
    root = facts([(t("verify.root"), f"<code>{escape(last.root or '–')}</code>")])
    return f"<ul>{lines}</ul>{root}"


def _wrong(last: AuditVerified) -> str:
    chinese = session.language() == "zh"
    message = (chinese and last.message_zh) or last.message
    meaning = (chinese and last.meaning_zh) or last.meaning
    named = (("expected", last.expected), ("found", last.found), ("meaning", meaning))
    pairs = [(t(f"verify.{name}"), f"<span>{escape(value)}</span>") for name, value in named if value]
    return (
        f'<div class="vl-note bad" role="alert"><p>{escape(message)}</p>{facts(pairs)}'
        f"<small>{escape(t('verify.wrong.do'))}</small></div>"
    )


def _stopped(last: AuditVerified) -> str:
    told = t("verify.stopped.by", who=last.stopped_by) if last.stopped_by else t("verify.stopped.service")
    return f'<div class="vl-note warn" role="status"><p>{escape(told)}</p></div>'


def _failed(last: AuditVerified) -> str:
    message = (session.language() == "zh" and last.message_zh) or last.message
    return f'<div class="vl-note bad" role="alert"><p>{escape(message)}</p></div>'


def _ended_at(last: AuditVerified) -> str:
    try:
        return _moment(datetime.fromisoformat(last.time).timestamp())
    except ValueError:
        return "–"


def _moment(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{datetime.fromtimestamp(seconds, session.zone()):%Y-%m-%d %H:%M:%S}"
