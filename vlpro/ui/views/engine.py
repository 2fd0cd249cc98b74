"""The engine and its machine, large: what it runs, what waits, how much memory is left."""

from __future__ import annotations

from html import escape

import streamlit as st

from vlpro.client import ApiError
from vlpro.schema import Gpu, Status
from vlpro.schema.accounts import OwnAccount
from vlpro.ui import session
from vlpro.ui.parts import Tone, badge, note, size, title
from vlpro.ui.session import t
from vlpro.ui.views import frame
from vlpro.ui.views.sidebar import meter, progress

__all__ = ["cards_html", "page"]

_EVERY_S = 2


def page(person: OwnAccount) -> None:
    """Draw everything."""
    with frame.panel(person):
        st.html(f'<p class="vl-hint">{escape(t("engine.every", seconds=_EVERY_S))}</p>')
    with frame.middle():
        title(t("nav.engine"), t("engine.about"))
        _live()


def _live() -> None:
    @st.fragment(run_every=_EVERY_S)
    def live() -> None:
        try:
            st.html(cards_html(session.client(background=True).status()))
        except ApiError as error:
            if error.status == 401:
                session.rerun_by_itself()
            note("bad", session.sentence(error), session.number(error))

    live()


def cards_html(status: Status) -> str:
    """All cards."""
    problem = ""
    if status.problem is not None:
        told = (status.problem.vlpro or {}).get("zh") if session.language() == "zh" else None
        problem = (
            f'<div class="vl-note bad" role="alert"><p>{escape(told or status.problem.message)}</p></div>'
        )
    cards = [_engine(status), _queue(status), *map(_gpu, range(len(status.device.gpus)), status.device.gpus)]
    cards += [_machine(status), _last(status), _limits(status)]
    return f'{problem}<div class="vl-cards">{"".join(cards)}</div>'


def _state(status: Status) -> str:
    tone: Tone = "ok"
    word = "status.ready"
    if status.problem is not None:
        tone, word = "bad", "status.down"
    elif not status.ready:
        tone, word = "warn", "status.starting"
    elif status.running or status.queued:
        tone, word = "info", "status.busy"
    return badge(tone, t(word))


def _engine(status: Status) -> str:
    sees = t("engine.sees" if status.sees else "engine.reads")
    loading = status.loading
    return _card(
        t("engine.engine"),
        _pairs(
            (t("column.state"), _state(status)),
            (t("engine.name"), escape(status.engine)),
            (t("engine.model"), escape(status.model)),
            (t("engine.can"), escape(sees)),
        )
        + (progress(t(f"status.{loading.stage}"), loading.share) if loading else ""),
    )


def _queue(status: Status) -> str:
    return _card(
        t("engine.queue"),
        _numbers(
            (t("engine.running"), f"{status.running:,}"),
            (t("engine.waiting"), f"{status.queued:,}"),
            (t("engine.ahead"), f"{status.reading_ahead:,}"),
        ),
    )


def _gpu(number: int, gpu: Gpu) -> str:
    degrees = "–" if gpu.temperature_c is None else f"{gpu.temperature_c} °C"
    percent = "–" if gpu.utilization_percent is None else f"{gpu.utilization_percent}%"
    return _card(
        f"GPU {number} · {gpu.name}",
        meter(t("status.gpu_memory"), gpu.memory_used, gpu.memory_total)
        + _numbers((t("status.heat"), degrees), (t("status.load"), percent))
        + _confidential(gpu),
    )


def _confidential(gpu: Gpu) -> str:
    """What NVML says of the card's protection, and no more than that."""
    amount = size(gpu.protected_memory) if gpu.protected_memory is not None else "–"
    told = t(f"confidential.{gpu.confidential}", size=amount)
    return f'<p class="vl-hint confidential"><b>{escape(t("confidential"))}</b> {escape(told)}</p>'


def _machine(status: Status) -> str:
    device = status.device
    engine = size(device.engine_memory) if device.engine_memory else "–"
    return _card(
        t("engine.machine"),
        meter(t("status.memory"), device.memory_used, device.memory_total)
        + _numbers(
            (t("status.processor"), f"{device.cpu_percent:.0f}%"),
            (t("memory.service"), size(device.gateway_memory)),
            (t("memory.engine"), engine),
        ),
    )


def _last(status: Status) -> str:
    last = status.last
    if last is None or last.first_token_ms is None or last.total_ms is None:
        return _card(t("engine.last"), f'<p class="vl-hint">{escape(t("engine.no_last"))}</p>')
    speed = f"{last.tokens_per_s:,.0f} tokens/s" if last.tokens_per_s else "–"
    return _card(
        t("engine.last"),
        _numbers(
            (t("status.first"), f"{last.first_token_ms:,.0f} ms"),
            (t("status.total"), f"{last.total_ms:,.0f} ms"),
            (t("status.speed"), speed),
        ),
    )


def _limits(status: Status) -> str:
    budget = status.budget
    return _card(
        t("engine.limits"),
        _numbers(
            (t("engine.context"), f"{budget.context_tokens:,} tokens"),
            (t("engine.pictures"), f"{budget.max_images:,}"),
            (t("engine.picture"), f"{budget.max_image_bytes / 1e6:,.0f} MB"),
        ),
    )


def _card(name: str, content: str) -> str:
    return f'<section class="vl-card"><h2>{escape(name)}</h2>{content}</section>'


def _pairs(*pairs: tuple[str, str]) -> str:
    return "".join(
        f'<div class="line"><span>{escape(name)}</span><b>{value}</b></div>' for name, value in pairs
    )


def _numbers(*pairs: tuple[str, str]) -> str:
    cells = "".join(f"<div><span>{escape(name)}</span><b>{escape(value)}</b></div>" for name, value in pairs)
    return f'<div class="numbers">{cells}</div>'
