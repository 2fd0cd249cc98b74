"""The left panel: conversations, answer settings, what the machine is doing, preferences."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Literal

import streamlit as st

from vlpro.client import ApiError
from vlpro.schema import Cleared, Conversation, Device, Gpu, Status
from vlpro.ui import session
from vlpro.ui.parts import size
from vlpro.ui.session import t
from vlpro.ui.views import frame
from vlpro.ui.views.history import history

__all__ = ["Settings", "memory", "meter", "panel_html", "progress", "sidebar", "status_panel"]

_NEARLY_FULL = 0.88


@dataclass(frozen=True, slots=True)
class Settings:
    """How the next answer is to be generated."""

    temperature: float
    max_tokens: int


def sidebar(status: Status | None, conversation: Conversation | None) -> Settings:
    """Draw the panel.

    Args:
        status: The service's; None where it does not answer.
        conversation: The one that is open.
    """
    with st.sidebar:
        frame.brand()
        with st.container(key="begin", horizontal=True, gap="small", wrap=False):
            st.button(t("new"), key="new", icon=":material/add:", width="stretch", on_click=_new)
            clear = st.button(
                t("clear"),
                key="clear",
                icon=":material/delete:",
                width="stretch",
                disabled=conversation is None,
            )
        settings = _settings(status)
        status_panel(busy=conversation is not None and conversation.busy)
        history(session.conversation_id())
        frame.foot()
    if clear and conversation is not None:
        st.dialog(t("clear.ask"), width="small")(_confirm_clear)(conversation.id)
    return settings


def _new() -> None:
    session.open_conversation(None)


# In the address the sliders survive a reload, as the conversation does.
_BIND: Literal["query-params"] = "query-params"


def _settings(status: Status | None) -> Settings:
    with st.container(key="settings"):
        temperature = st.slider(
            t("temperature"), 0.0, 1.5, 0.2, 0.05, key="temperature", help=t("temperature.help"), bind=_BIND
        )
        if status is not None and not status.sees:
            st.html(f'<p class="vl-hint">{escape(t("temperature.unused"))}</p>')
        max_tokens = st.slider(
            t("max_tokens"), 128, 4096, 1024, 128, key="max_tokens", help=t("max_tokens.help"), bind=_BIND
        )
    return Settings(temperature, max_tokens)


# --- what the machine is doing ---


def status_panel(*, busy: bool) -> None:
    """What the service and its machine do, again and again; more often while an answer grows."""

    @st.fragment(run_every=1 if busy else 2)
    def panel() -> None:
        try:
            st.html(panel_html(session.client(background=True).status()))
        except ApiError as error:
            if error.status == 401:
                session.rerun_by_itself()
            st.html(
                f'<div class="vl-status down"><div class="head"><b>{escape(session.sentence(error))}</b></div></div>'
            )

    panel()


def panel_html(status: Status) -> str:
    """The status panel."""
    busy = status.running or status.queued
    problem = status.problem
    state = "down" if problem else "starting" if not status.ready else "busy" if busy else "ready"
    load = ""
    if status.queued:
        load = t("status.queued", running=status.running, queued=status.queued)
    elif status.reading_ahead:
        load = t("status.reading_ahead", count=status.reading_ahead)
    rows = [
        f'<div class="head"><b>{escape(t(f"status.{state}"))}</b><span>{escape(load)}</span></div>',
        f'<div class="engine">{escape(status.engine)} · {escape(status.model)}</div>',
        *(_gpu(gpu, number, status.device) for number, gpu in enumerate(status.device.gpus)),
    ]
    if problem is not None:
        told = (problem.vlpro or {}).get("zh") if session.language() == "zh" else None
        rows.insert(2, f'<div class="problem">{escape(told or problem.message)}</div>')
    if status.loading is not None:
        rows.insert(2, progress(t(f"status.{status.loading.stage}"), status.loading.share))
    if not status.device.gpus:
        rows.append(_machine(status.device))
    last = status.last
    if last is not None and last.first_token_ms is not None and last.total_ms is not None:
        speed = f"{last.tokens_per_s:,.0f} tokens/s" if last.tokens_per_s else "–"
        rows.append(
            _figures(
                (t("status.first"), f"{last.first_token_ms:,.0f} ms"),
                (t("status.total"), f"{last.total_ms:,.0f} ms"),
                (t("status.speed"), speed),
            )
        )
    return f'<section class="vl-status {state}" aria-label="{escape(t("status"))}">{"".join(rows)}</section>'


def _gpu(gpu: Gpu, number: int, device: Device) -> str:
    name = f"GPU {number} · {gpu.name}" if len(device.gpus) > 1 else gpu.name
    degrees = "–" if gpu.temperature_c is None else f"{gpu.temperature_c} °C"
    percent = "–" if gpu.utilization_percent is None else f"{gpu.utilization_percent}%"
    return (
        f'<div class="card-name">{escape(name)}</div>'
        + meter(t("status.gpu_memory"), gpu.memory_used, gpu.memory_total)
        + _line(f"{t('status.heat')} · {t('status.load')}", f"{degrees} · {percent}")
    )


def _machine(device: Device) -> str:
    rows = [meter(t("status.memory"), device.memory_used, device.memory_total)]
    if device.engine_memory:
        rows.append(_line(t("memory.engine"), size(device.engine_memory)))
    rows.append(_line(t("status.processor"), f"{device.cpu_percent:.0f}%"))
    return "".join(rows)


def meter(name: str, used: int, total: int) -> str:
    """Memory as a bar and in figures."""
    share = used / total if total else 0.0
    full = " full" if share > _NEARLY_FULL else ""
    return (
        f"{_line(name, f'{size(used)} / {size(total)}')}"
        f'<div class="meter{full}" role="meter" aria-label="{escape(name)}" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{share:.0%}"><i style="width:{share:.1%}"></i></div>'
    )


def progress(name: str, share: float) -> str:
    """How far something is, as a bar and in percent."""
    return (
        f"{_line(name, f'{share:.0%}')}"
        f'<div class="meter" role="progressbar" aria-label="{escape(name)}" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{share * 100:.0f}"><i style="width:{share:.1%}"></i></div>'
    )


def _line(name: str, value: str) -> str:
    return f'<div class="line"><span>{escape(name)}</span><b>{escape(value)}</b></div>'


def _figures(*figures: tuple[str, str]) -> str:
    cells = "".join(
        f"<div><span>{escape(name)}</span><b>{escape(value)}</b></div>" for name, value in figures
    )
    return f'<div class="figures">{cells}</div>'


# --- clearing ---


def _confirm_clear(identifier: str) -> None:
    st.markdown(t("clear.body"))
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button(t("cancel"), key="clear-no"):
            st.rerun()
        if st.button(t("clear.do"), key="clear-yes", type="primary"):
            try:
                cleared = session.client().clear(identifier)
            except ApiError as error:
                session.remember("notice", ("bad", session.sentence(error), session.number(error)))
            else:
                told = t(
                    "cleared",
                    messages=cleared.messages,
                    images=cleared.images,
                    size=size(cleared.image_bytes),
                )
                session.remember("notice", ("info", told, memory(cleared)))
            session.open_conversation(None)
            st.rerun()


def memory(cleared: Cleared) -> str:
    """What the engine dropped, and memory before and after, one measurement after the other."""
    before, after = cleared.before, cleared.after
    pairs = [(t("memory.service"), before.gateway_memory, after.gateway_memory)]
    if before.engine_memory is not None and after.engine_memory is not None:
        pairs.append((t("memory.engine"), before.engine_memory, after.engine_memory))
    for old, new in zip(before.gpus, after.gpus, strict=False):
        pairs.append((t("memory.gpu", name=old.name), old.memory_used, new.memory_used))
    if not before.gpus:
        pairs.append((t("memory.machine"), before.memory_used, after.memory_used))
    told = [t("cleared.memory", name=name, before=size(old), after=size(new)) for name, old, new in pairs]
    engine = cleared.engine
    if engine is not None and not engine.confirmed:
        told.insert(0, t("cleared.engine.busy"))
    elif engine is not None:
        told.insert(0, t("cleared.engine", entries=engine.entries, size=size(engine.bytes)))
    return " · ".join((*told, t("cleared.took", ms=round(cleared.took_ms))))
