"""The page "Batches": many files are handed over, their progress is followed, their results taken."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from html import escape
from typing import Any, Literal

import streamlit as st

from vlpro.client import ApiError
from vlpro.schema.batches import Batch, BatchLine
from vlpro.ui import session
from vlpro.ui.parts import Tone, badge, mount, note, strip, title
from vlpro.ui.session import t
from vlpro.ui.views import frame

__all__ = ["page"]

_LISTED = 50
_SHOWN = 100  # lines
_EXCERPT = 300  # characters of an answer
_LOOK_S = 1.0
_LIMIT = 512_000_000  # bytes of a file; the service decides again
_TONES: dict[str, Tone] = {
    "completed": "ok",
    "failed": "bad",
    "expired": "warn",
    "cancelled": "plain",
    "paused": "warn",
}
_GOING = ("validating", "in_progress", "finalizing", "cancelling")
_FORMATS = {"xlsx": "Excel", "csv": "CSV", "json": "JSON", "docx": "Word", "pdf": "PDF"}
_WHY = {"owner_not_permitted": "batches.why.owner", "owner_level_lowered": "batches.why.level"}
_WORDS = (
    *("batches.add", "batches.drop", "batches.folder", "batches.chosen", "batches.clear", "batches.how"),
    *("batches.ask", "batches.instruction", "batches.instruction.hint", "batches.start", "batches.stop"),
    *("batches.sending", "batches.stopped", "batches.failed", "batches.wrong_type", "batches.too_large"),
    *("batches.empty", "batches.no_answer"),
)


def page() -> None:
    """Draw everything."""
    found = frame.attempt(lambda: session.client().batches(limit=_LISTED))
    listed = found.data if found is not None else []
    name = st.query_params.get("b") or (listed[0].id if listed else "")
    batch = next((one for one in listed if one.id == name), None)
    with frame.panel():
        kinds = _templates()
        _begin(kinds)
        _list(listed, name, kinds)
    with frame.middle():
        title(t("batches.nav"), t("batches.about"))
        batch = batch or (_one(name) if name else None)
        if batch is not None:
            _shown(batch)
        elif not listed:
            note("info", t("batches.first"))


def _templates() -> dict[str, str]:
    """Titles of templates by name."""
    known = frame.attempt(session.client().extraction_templates)
    zh = session.language() == "zh"
    return {one.name: one.title_zh if zh else one.title for one in (known.data if known is not None else ())}


def _begin(kinds: dict[str, str]) -> None:
    mount(
        "batching",
        {
            "templates": [{"name": name, "title": shown} for name, shown in kinds.items()],
            "limit": _LIMIT,
            "language": session.language(),
            "words": session.words(*_WORDS),
        },
        key="batching",
        done=_begun,
    )


def _begun() -> None:
    st.query_params["b"] = str(st.session_state.batching.done)


def _list(listed: list[Batch], chosen: str, kinds: dict[str, str]) -> None:
    rows = [
        {
            "id": one.id,
            "name": _called(one, kinds),
            "tone": _TONES.get(_state(one), "info"),
            "state": _word(one),
        }
        for one in listed
    ]
    data = {"label": t("batches.list"), "rows": rows, "chosen": chosen, "empty": t("batches.none")}
    mount("queue", data, key="batch-list", open=_open)


def _open() -> None:
    st.query_params["b"] = str(st.session_state["batch-list"].open)


def _called(batch: Batch, kinds: dict[str, str]) -> str:
    when = datetime.fromtimestamp(batch.created_at, session.zone()).strftime("%m-%d %H:%M")
    name = batch.vlpro.template
    asked = batch.vlpro.instruction or kinds.get(name, name) or t("batches.requests")
    return f"{when} {asked[:60]}"


def _state(batch: Batch) -> str:
    return "paused" if batch.vlpro.paused and batch.status in _GOING else batch.status


def _word(batch: Batch) -> str:
    return t(f"batches.is.{_state(batch)}")


def _one(name: str) -> Batch | None:
    try:
        return session.client().batch(name)
    except ApiError as error:
        st.query_params.pop("b", None)
        if error.status != 404:
            note("bad", session.sentence(error), session.number(error))
        return None


# --- one batch


def _shown(batch: Batch) -> None:
    going = batch.status in _GOING and not batch.vlpro.paused
    with st.container(key=f"batch-{batch.id}"):
        if batch.vlpro.instruction:
            st.html(f'<p class="vl-hint">{escape(batch.vlpro.instruction[:_EXCERPT])}</p>')
        if going:
            st.fragment(run_every=_LOOK_S)(_follow)(batch.id)
        else:
            _progress(batch)
        _buttons(batch)
        if not going:
            _results(batch)


def _follow(name: str) -> None:
    try:
        batch = session.client(background=True).batch(name)
    except ApiError as error:
        if error.status in (401, 404):
            session.rerun_by_itself()
        note("bad", session.sentence(error), session.number(error))
        return
    if batch.status not in _GOING or batch.vlpro.paused:
        session.rerun_by_itself()
    _progress(batch)


def _progress(batch: Batch) -> None:
    counts, extra = batch.request_counts, batch.vlpro
    done = counts.completed + counts.failed
    facts = [
        (t("batches.status"), badge(_TONES.get(_state(batch), "info"), _word(batch))),
        (t("batches.done"), escape(t("batches.progress", done=done, total=counts.total))),
        (t("batches.errors"), str(counts.failed)),
    ]
    if batch.status in _GOING and not extra.paused:
        facts += [(t("batches.rate"), escape(_rate(extra.per_second)))]
        facts += [(t("batches.left"), escape(_left(extra.seconds_left)))]
    what = t("batches.files", count=extra.files) if extra.files else t("batches.requests")
    strip(facts, what)
    if counts.total:
        st.progress(min(1.0, done / counts.total))
    if extra.paused and extra.why in _WHY:
        note("warn", t(_WHY[extra.why]))
    if extra.waits_for:
        note("warn", t("batches.waits", code=extra.waits_for))
    for error in batch.errors.data if batch.errors is not None else ():
        zh = (error.get("vlpro") or {}).get("zh")
        note("bad", zh if zh and session.language() == "zh" else str(error.get("message", "")))


def _rate(per_second: float | None) -> str:
    if per_second is None:
        return t("batches.unknown")
    if per_second >= 1:
        return t("batches.per_second", rate=f"{per_second:.1f}")
    return t("batches.per_minute", rate=f"{per_second * 60:.1f}")


def _left(seconds: float | None) -> str:
    if seconds is None:
        return t("batches.unknown")
    if seconds < 90:
        return t("batches.seconds", seconds=max(1, round(seconds)))
    minutes = round(seconds / 60)
    if minutes < 90:
        return t("batches.minutes", minutes=minutes)
    return t("batches.hours", hours=minutes // 60, minutes=minutes % 60)


def _buttons(batch: Batch) -> None:
    api, name = session.client(), batch.id
    with st.container(horizontal=True, vertical_alignment="center"):
        going = batch.status in _GOING
        if batch.status == "cancelling":
            return
        if st.session_state.get("batch_sure") == (name, going):
            st.html(f'<p class="vl-hint">{escape(t("batches.sure" if going else "batches.sure_delete"))}</p>')
            if going and _button("cancel", "stop", lambda: api.change_batch(name, "cancel")):
                _no_longer_asked()
            elif not going and _button("delete", "delete", lambda: api.delete_batch(name, files=True)):
                st.query_params.pop("b", None)
                _no_longer_asked()
            elif _button("keep" if going else "keep_results", "undo"):
                _no_longer_asked()
        elif not going:
            if _button("delete", "delete"):
                st.session_state["batch_sure"] = (name, going)
                st.rerun()
        else:
            what: Literal["resume", "pause"] = "resume" if batch.vlpro.paused else "pause"
            icon = "play_arrow" if what == "resume" else "pause"
            if _button(what, icon, lambda: api.change_batch(name, what)):
                st.rerun()
            if _button("cancel", "stop"):
                st.session_state["batch_sure"] = (name, going)
                st.rerun()


def _no_longer_asked() -> None:
    st.session_state.pop("batch_sure")
    st.rerun()


def _button(what: str, icon: str, work: Callable[[], object] = lambda: True) -> bool:
    """A button; whether it was pressed, and what it does was done."""
    pressed = st.button(t(f"batches.{what}"), key=f"batch_{what}", icon=f":material/{icon}:")
    return pressed and frame.attempt(work) is not None


def _results(batch: Batch) -> None:
    counts = batch.request_counts
    if not counts.completed + counts.failed:
        return
    links = "".join(
        f'<a href="/v1/batches/{escape(batch.id)}/results?format={kind}&amp;language={session.language()}" '
        f'download="{escape(batch.id)}.{kind}">{shown}</a>'
        for kind, shown in _FORMATS.items()
    )
    st.html(f'<p class="vl-take"><b>{escape(t("batches.take"))}</b> {links}</p>')
    api = session.client()
    if counts.failed:
        wrong = frame.attempt(lambda: api.batch_lines(batch.id, limit=_SHOWN, status="failed"))
        if wrong is not None:
            _table("wrong", wrong.data, counts.failed)
    if counts.completed:
        good = frame.attempt(lambda: api.batch_lines(batch.id, limit=_SHOWN, status="completed"))
        if good is not None:
            _table("lines", good.data, counts.completed)


def _table(which: Literal["wrong", "lines"], lines: list[BatchLine], of: int) -> None:
    rows = "".join(
        f'<tr><th scope="row">{escape(line.custom_id)}</th><td>{escape(_said(line))}</td></tr>'
        for line in lines
    )
    wrong = which == "wrong"
    heading = t("batches.wrong" if wrong else "batches.lines")
    said = t("batches.reason" if wrong else "batches.answer")
    head = f'<th scope="col">{escape(t("batches.file"))}</th><th scope="col">{escape(said)}</th>'
    st.html(
        f'<h2 class="vl-verify">{escape(heading)}</h2><div class="vl-lines batch-{which}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
    if of > len(lines):
        st.html(f'<p class="vl-hint">{escape(t("batches.more", count=of - len(lines)))}</p>')


def _said(line: BatchLine) -> str:
    if line.error is not None:
        zh = (line.error.get("vlpro") or {}).get("zh")
        return zh if zh and session.language() == "zh" else str(line.error.get("message", ""))
    return (_fields(line.answer or {}) or line.text or "")[:_EXCERPT].replace("\n\n", "\n")


def _fields(answer: dict[str, Any]) -> str:
    """The fields of an extraction in a few words; nothing where it is another answer."""
    if not isinstance(answer.get("fields"), dict):
        return ""
    titled = "title_zh" if session.language() == "zh" else "title"
    colon = "：" if session.language() == "zh" else ": "
    told = [
        f"{field.get(titled) or name}{colon}{field['normalized']}"
        for name, field in answer["fields"].items()
        if field.get("normalized")
    ]
    return " · ".join(told)
