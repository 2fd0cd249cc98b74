"""The audit administrator's record: who did what, how records are linked and, with a reason, what people wrote."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from html import escape
from typing import Any

import streamlit as st

from vlpro.schema.accounts import OwnAccount
from vlpro.schema.audit import AuditContent, AuditRecord, AuditRecordList, AuditStanding
from vlpro.ui import records, session
from vlpro.ui.parts import facts, mount, note, title
from vlpro.ui.records import Teller
from vlpro.ui.session import t
from vlpro.ui.views import frame
from vlpro.ui.views.audit_export import export
from vlpro.ui.views.audit_verification import verification

__all__ = ["Wanted", "page"]

_PERIODS = {"day": 86_400, "week": 7 * 86_400, "month": 30 * 86_400}
_SIGN_INS = "identity:session:begun"
_REFUSALS = "gateway:request:refused"
_PAGE = 50  # records of one answer


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the panel asks for; the names are those of the record.

    Args:
        period: "", one of the recent ones, or ``dates``.
        first: First day; counts in period ``dates`` only.
        last: Last day, likewise.
    """

    text: str = ""
    event: str = ""
    outcome: str = ""
    login: str = ""
    session: str = ""
    address: str = ""
    object: str = ""
    period: str = ""
    first: date | None = None
    last: date | None = None

    @property
    def words(self) -> dict[str, Any]:
        """What the record itself is asked for."""
        names = ("event", "outcome", "login", "session", "address", "object", "text")
        return {name: getattr(self, name) for name in names}

    @property
    def all(self) -> bool:
        """Whether nothing is left out."""
        return not any(self.words.values()) and not self.times(0.0)

    def times(self, now: float) -> dict[str, Any]:
        """From when, and until when.

        Args:
            now: Unix time.
        """
        if self.period in _PERIODS:
            return {"since": now - _PERIODS[self.period]}
        found = {}
        if self.period == "dates" and self.first is not None:
            found["since"] = _midnight(self.first)
        if self.period == "dates" and self.last is not None:
            found["until"] = _midnight(self.last + timedelta(days=1))
        return found


@dataclass(slots=True)
class _Shown:
    """What was found, until something else is wanted: each question is on the record itself."""

    wanted: Wanted
    now: float
    standing: AuditStanding
    data: list[AuditRecord] = field(default_factory=list)
    before: int | None = None
    complete: bool = False
    searched: bool = False  # whether the last answer ended because it had searched for long enough
    full: int = _PAGE  # so many records are shown before the person is asked whether to go on
    stopped: bool = False  # the person does not want it to go on by itself

    def add(self, found: AuditRecordList) -> None:
        """More of it, older."""
        self.data += found.data
        self.searched = found.before is not None and self._short(found)
        self.before, self.complete = found.before, found.complete

    @property
    def seeking(self) -> bool:
        """Whether the search goes on by itself."""
        return self.searched and not self.stopped and len(self.data) < self.full

    def stop(self) -> None:
        """Search no further."""
        self.stopped = True

    def ask_on(self) -> None:
        """Search on, for another page."""
        self.stopped, self.full = False, len(self.data) + _PAGE

    @staticmethod
    def _short(found: AuditRecordList) -> bool:
        return not found.data or found.data[-1].seq != found.before


def page(person: OwnAccount) -> None:
    """Draw everything."""
    _forget_text()
    _restore()
    with frame.panel(person):
        wanted = _filters()
    with frame.middle():
        title(t("nav.audit"), t("audit.about"))
        shown = _found(wanted)
        if shown is None:
            return
        _figures(shown)
        verification()
        _actions(shown)
        _timeline(shown)
        _end(shown)
        if (file := session.take("file")) is not None:
            mount("download", {"file": file}, key="audit_download")
    if (opened := session.take("open")) is not None:
        record = next((one for one in shown.data if one.seq == opened), None)
        if record is not None:
            st.dialog(t("audit.view"), width="medium", on_dismiss="rerun")(_content)(record)


# --- what is wanted ---

_WIDGETS = tuple(name for name in Wanted.__dataclass_fields__)


def _key(name: str) -> str:
    return f"audit_{name}"


def _restore() -> None:
    """Streamlit forgets what stands in a field when another page is shown."""
    kept: dict[str, Any] = st.session_state.get("audit_kept", {})
    for name, value in kept.items():
        st.session_state.setdefault(_key(name), value)


def _filters() -> Wanted:
    def written(name: str, label: str, **given: Any) -> None:
        st.text_input(t(label), key=_key(name), max_chars=128, **given)

    written(
        "text",
        "audit.find",
        type="search",
        label_visibility="collapsed",
        placeholder=t("audit.find"),
        icon=":material/search:",
    )
    names = records.kinds(session.language())
    st.selectbox(
        t("audit.kind"), ("", *names), key=_key("event"), format_func=lambda v: names[v] if v else t("all")
    )
    with st.container(horizontal=True, key="audit-pair"):
        st.selectbox(
            t("audit.outcome"),
            ("", *records.OUTCOMES),
            key=_key("outcome"),
            format_func=lambda value: t(f"outcome.{value}") if value else t("all"),
        )
        st.selectbox(
            t("audit.period"),
            ("", *_PERIODS, "dates"),
            key=_key("period"),
            format_func=lambda value: t(f"period.{value or 'all'}"),
        )
    if st.session_state[_key("period")] == "dates":
        today = datetime.now(session.zone()).date()
        for name, label in (("first", "audit.from"), ("last", "audit.to")):
            st.date_input(t(label), None, key=_key(name), format="YYYY-MM-DD", max_value=today)
    written("login", "audit.person")
    written("session", "audit.session")
    written("address", "audit.address")
    written("object", "audit.object")
    state = st.session_state
    values = {name: state.get(_key(name)) for name in _WIDGETS}
    state.audit_kept = values
    given = {name: value.strip() if isinstance(value, str) else value for name, value in values.items()}
    kept: dict[str, Any] = {name: value for name, value in given.items() if value}
    wanted = Wanted(**kept)
    if wanted.period != "dates":
        wanted = replace(wanted, first=None, last=None)
    elif wanted.first is None and wanted.last is None:
        wanted = replace(wanted, period="")
    if wanted != Wanted() or state[_key("period")]:
        st.button(t("audit.clear"), key="audit_clear", width="stretch", on_click=_clear)
    return wanted


def _clear() -> None:
    for name in _WIDGETS:
        _set(name, "")


def _set(name: str, value: str) -> None:
    st.session_state[_key(name)] = value if value or name not in ("first", "last") else None


def _midnight(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=session.zone()).timestamp()


# --- what was found ---


def _found(wanted: Wanted) -> _Shown | None:
    shown: _Shown | None = st.session_state.get("audit_shown")
    if shown is not None and shown.wanted == wanted:
        return shown
    st.session_state.pop("audit_shown", None)
    api, now = session.client(), time.time()

    def ask() -> _Shown:
        standing = api.audit_standing()
        made = _Shown(wanted, now, standing)
        made.add(api.audit_records(**wanted.words, **wanted.times(now)))
        return made

    with st.spinner(t("audit.loading")):
        shown = frame.attempt(ask)
    if shown is not None:
        st.session_state.audit_shown = shown
    return shown


def _renew() -> None:
    st.session_state.pop("audit_shown", None)


def _further(shown: _Shown) -> bool:
    """Ask for older ones. Returns whether they came."""
    found = frame.attempt(
        lambda: session.client().audit_records(
            **shown.wanted.words, **shown.wanted.times(shown.now), before=shown.before
        )
    )
    if found is not None:
        shown.add(found)
    return found is not None


# --- above the records ---


def _figures(shown: _Shown) -> None:
    standing, wanted = shown.standing, shown.wanted
    states = [link.state for link in records.links(shown.data, whole=wanted.all)]
    broken, linked = states.count("broken"), states.count("linked") + states.count("first")
    chain = (
        {"tone": "bad", "value": t("audit.breaks", count=broken), "jump": t("audit.jump")}
        if broken
        else {"tone": "ok", "value": t("audit.links", count=linked)}
        if linked
        else {"tone": "plain", "value": t("audit.links.none")}
    )
    unsigned = standing.size - standing.signed
    last = datetime.fromtimestamp(standing.last_time, session.zone())
    chosen = {
        event: (wanted.event, wanted.outcome, wanted.period) == (event, "refused", "day")
        for event in (_SIGN_INS, _REFUSALS)
    }
    figures: list[dict[str, Any]] = [
        {"name": t("audit.chain")} | chain,
        {"name": t("audit.size"), "value": f"{standing.size:,}"},
        {
            "name": t("audit.signed"),
            "value": f"{standing.signed:,}" if standing.signed else "–",
            "sub": t("audit.unsigned", count=unsigned) if unsigned else t("audit.unsigned.none"),
        },
        {"name": t("audit.last"), "value": f"{last:%H:%M:%S}", "sub": f"{last:%Y-%m-%d}"},
    ]
    for event, name, count in (
        (_SIGN_INS, "audit.failed_sign_ins", standing.refused_sign_ins),
        (_REFUSALS, "audit.refusals", standing.refusals),
    ):
        figures.append(
            {
                "name": t(name),
                "value": f"{count:,}",
                "sub": t("audit.day"),
                "pick": event,
                "pressed": chosen[event],
                "title": t("all") if chosen[event] else t("audit.show"),
            }
        )
    mount("figures", {"label": t("nav.audit"), "figures": figures}, key="audit_figures", pick=_pick_figure)


def _pick_figure() -> None:
    event = st.session_state.audit_figures.pick[0]
    kept: dict[str, Any] = st.session_state.get("audit_kept", {})
    chosen = (kept.get("event"), kept.get("outcome"), kept.get("period")) == (event, "refused", "day")
    _clear()
    if not chosen:
        for name, value in (("event", event), ("outcome", "refused"), ("period", "day")):
            _set(name, value)


def _whole(standing: AuditStanding) -> None:
    pairs = [
        (t("audit.log"), f"<code>{escape(standing.log)}</code>"),
        (t("audit.key"), f"<code>{escape(standing.key)}</code>"),
        (t("audit.root"), f"<code>{escape(standing.signed_root or '–')}</code>"),
    ]
    st.html(f'<div class="vl-whole"><p>{escape(t("audit.whole.about"))}</p>{facts(pairs)}</div>')


def _actions(shown: _Shown) -> None:
    at = datetime.fromtimestamp(shown.now, session.zone())
    told = t("audit.as_of", time=f"{at:%Y-%m-%d %H:%M:%S}")
    if (file := session.take("file", keep=True)) is not None:
        told = t("audit.exported", name=file["name"])
    with st.container(
        key="audit-actions", horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"
    ):
        st.html(f'<p class="vl-hint" role="status">{escape(told)}</p>')
        with st.container(
            horizontal=True, horizontal_alignment="right", width="content", key="audit-buttons"
        ):
            with st.popover(t("audit.whole"), icon=":material/key:", key="audit_whole"):
                _whole(shown.standing)
            st.button(t("reload"), key="audit_renew", icon=":material/refresh:", on_click=_renew)
            if st.button(t("audit.export"), key="audit_export", icon=":material/download:"):
                teller = Teller(session.language(), session.zone())
                chips = "；".join(chip["text"] for chip in _chips(shown.wanted, teller))
                export(shown.wanted.words | shown.wanted.times(shown.now), chips)


# --- the records ---


def _timeline(shown: _Shown) -> None:
    wanted = shown.wanted
    teller = Teller(session.language(), session.zone())
    data = {
        "label": t("nav.audit"),
        "blocks": teller.blocks(shown.data, whole=wanted.all, fold=not wanted.event.startswith("audit:")),
        "chips": _chips(wanted, teller),
        "empty": t("audit.none" if shown.before is None else "audit.none.yet"),
        "words": {
            "only": t("audit.only", value="{value}"),
            "session": t("audit.session"),
            "linked": t("audit.linked"),
            "broken": t("audit.broken"),
            "unknown": t("audit.unknown"),
            "view": t("audit.view"),
            "copy": t("audit.copy"),
            "copied": t("copied"),
            "copy_failed": t("copy_failed"),
        },
    }
    mount("timeline", data, key="audit_timeline", pick=_pick, content=_open)


def _chips(wanted: Wanted, teller: Teller) -> list[dict[str, str]]:
    names = {
        "text": ("audit.text", wanted.text),
        "event": ("audit.kind", teller.kind(wanted.event)),
        "outcome": ("audit.outcome", t(f"outcome.{wanted.outcome}") if wanted.outcome else ""),
        "period": ("audit.period", _period(wanted)),
        "login": ("audit.person", wanted.login),
        "session": ("audit.session", wanted.session),
        "address": ("audit.address", wanted.address),
        "object": ("audit.object", wanted.object),
    }
    return [
        {
            "name": name,
            "text": f"{t(label)}: {value}",
            "label": t("audit.remove", name=f"{t(label)} {value}"),
        }
        for name, (label, value) in names.items()
        if value
    ]


def _period(wanted: Wanted) -> str:
    if wanted.period != "dates":
        return t(f"period.{wanted.period}") if wanted.period else ""
    return " – ".join(str(day or "…") for day in (wanted.first, wanted.last))


def _pick() -> None:
    name, value, _ = st.session_state.audit_timeline.pick
    if name in _WIDGETS and isinstance(value, str):
        _set(name, value)
    if name == "period":
        _set("first", "")
        _set("last", "")


def _open() -> None:
    session.remember("open", st.session_state.audit_timeline.content[0])


def _end(shown: _Shown) -> None:
    if shown.before is None:
        if shown.data:
            first = shown.standing.first
            told = t("audit.end.archived", first=first) if first > 1 else t("audit.end")
            st.html(f'<p class="vl-hint vl-end">{escape(told)}</p>')
        return
    if shown.seeking:
        _seek(shown)
        return
    if shown.searched:
        told = t("audit.searched", seq=f"{shown.before:,}")
        st.html(f'<p class="vl-hint vl-end" role="status">{escape(told)}</p>')
    label = t("audit.further" if shown.searched else "audit.older")
    if st.button(label, key="audit_older", icon=":material/expand_more:", width="stretch"):
        shown.ask_on()
        _further(shown)
        st.rerun()


def _seek(shown: _Shown) -> None:
    """Go on by itself, until a page is full or everything was searched; a click on Stop ends this run of the page."""
    first, size = shown.standing.first, shown.standing.size
    st.button(
        t("audit.seek.stop"),
        key="audit_seek_stop",
        icon=":material/stop:",
        width="stretch",
        on_click=shown.stop,
    )
    progress = st.empty()
    count = len(shown.data)
    while shown.seeking and shown.before is not None:
        share = (size - shown.before) / max(1, size - first)
        told = t("audit.seeking", seq=f"{shown.before:,}", first=f"{first:,}")
        progress.progress(min(1.0, max(0.0, share)), text=told)
        if not _further(shown):
            shown.stop()
            return  # why, stands below
        if len(shown.data) > count:
            break
    st.rerun()


# --- what people wrote ---


def _forget_text() -> None:
    """What was read stays no longer than its dialog."""
    session.take("told")


def _content(record: AuditRecord) -> None:
    teller = Teller(session.language(), session.zone())
    when = teller.moment(record.said)
    what = f"{teller.action(record.said)} · {t('audit.about_record', seq=record.seq)}"
    st.html(
        facts(
            [
                (t("field.event"), escape(what)),
                (t("field.login"), escape(teller.who(record.said))),
                (t("field.time"), escape(when)),
            ]
        )
    )
    read: tuple[AuditContent, str] | None = session.take("told", keep=True)
    if read is not None and read[0].seq == record.seq:
        _texts(*read)
        return
    note("info", t("audit.view.about"))
    with st.form("audit_view", border=False):
        reason = frame.reason(
            "audit_reason", t("audit.view.reason"), t("audit.view.example"), t("audit.view.do")
        )
    if reason is None:
        return
    found = frame.attempt(lambda: session.client().audit_content(record.seq, reason))
    if found is not None:
        session.remember("told", (found, reason))
        st.rerun(scope="fragment")


def _texts(read: AuditContent, reason: str) -> None:
    answers = sum(place.startswith("answers") for place in read.texts)
    for place, written in read.texts.items():
        number = int(place[8:-1]) + 1 if place.startswith("answers[") else 0
        name = (
            t("audit.text.question")
            if not number
            else t("audit.text.answer")
            if answers == 1
            else t("audit.text.answers", number=number)
        )
        st.html(
            f'<section class="vl-card vl-written" aria-label="{escape(name)}"><h2>{escape(name)}</h2>'
            f"<p>{escape(written)}</p></section>"
        )
    note("info", t("audit.viewed", reason=reason))
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button(t("done.button"), key="audit_view_done", type="primary"):
            st.rerun()
