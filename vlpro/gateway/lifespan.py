"""How an application starts and ends: in order, and on the record."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import psutil

from vlpro import __version__, client
from vlpro.audit.alerts.service import Alerts
from vlpro.audit.events import Event, Outcome
from vlpro.audit.recorder import LogRecorder, Recorder
from vlpro.config import Settings
from vlpro.engines.interface import Engine
from vlpro.gateway import startup
from vlpro.gateway.deps import Services
from vlpro.gateway.draining import on_signals
from vlpro.gateway.egress import EgressTries
from vlpro.gateway.first_start import show_secret
from vlpro.gateway.model_check import ModelCheck
from vlpro.logs import take_over
from vlpro.process import keep_memory_private, overwrite_freed_memory
from vlpro.sealing import tripwire
from vlpro.sealing.seal import is_sealed
from vlpro.workflows.inspection.inputs import Inputs

__all__ = ["lifespan_of"]

log = logging.getLogger(__name__)

_M_MMAP_THRESHOLD = -3  # malloc.h
_LARGE_BLOCK = 1 << 20  # bytes
_LOOK_S = 1.0


def lifespan_of(
    all_services: Services,
    alerts: Alerts | None,
    check: ModelCheck | None,
    inputs: Inputs,
    address: str,
) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """What runs before the first request and after the last.

    Args:
        all_services: Not started yet.
        alerts: What watches the record; None: nothing does.
        check: Of the model's files; None: there are none.
        inputs: Folders and topics that bring pictures.
        address: That the server listens on, for the screen of the start.
    """

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        keep_memory_private()
        take_over()  # what the web server and the page have set up meanwhile
        _send_at_once()
        _free_at_once()
        overwrite_freed_memory()
        engine, identity, recorder = all_services.chat.engine, all_services.identity, all_services.recorder
        if isinstance(recorder, LogRecorder):
            recorder.audit.start()
            await recorder.anote(Event.SERVICE_STARTED, detail=_start(all_services.settings, engine))
        if is_sealed():
            tripwire.install(EgressTries(recorder).add)
        if alerts is not None:
            alerts.start()
        if identity is not None:
            show_secret(identity, all_services.settings.public_url)
        await all_services.chat.reader.start()
        await engine.start()
        loading = asyncio.create_task(_record_loading(recorder, engine, check))
        ours = all_services
        working = (
            ours.conversations,
            ours.inspections,
            ours.extractions,
            ours.reports,
            ours.knowledge,
            ours.deliveries,
            ours.batches,
        )
        for service in working:
            await service.start()
        inputs.start()
        client.connect_in_process(app, asyncio.get_running_loop())
        on_signals(lambda: _drain(all_services, inputs))
        await _say(all_services, address)
        try:
            yield
        finally:
            await _drain(all_services, inputs)  # already done, where a signal came
            client.connect_in_process(None)
            tripwire.install(None)
            loading.cancel()
            await _stop_verifying(all_services)
            await all_services.inspections.close()
            await all_services.reports.close()
            await all_services.knowledge.close()
            await all_services.extractions.close()
            await all_services.deliveries.stop()
            await all_services.conversations.close()
            await engine.stop()
            await all_services.chat.reader.stop()
            if alerts is not None:
                await asyncio.to_thread(alerts.stop)
            await _told_last(all_services)

    return lifespan


async def _drain(all_services: Services, inputs: Inputs) -> None:
    """Begin nothing new, and let what was begun come to its end, for as long as the setting allows.

    Lines of batches, and pictures of watched folders, are taken up again at the next start: they need not end here.
    """
    chat, reports = all_services.chat, all_services.reports
    conversations, draining = all_services.conversations, all_services.draining

    def idle() -> bool:
        asked = chat.queue.running + chat.queue.waiting + conversations.answering
        return not (asked + reports.going)

    if not draining.active:
        draining.active = True
        await inputs.stop()
        await all_services.batches.close()
    timeout_s = all_services.settings.stop_timeout_s
    if not await draining.until(idle, timeout_s=timeout_s):
        log.warning("not all answers came to their end within %g s", timeout_s)


async def _stop_verifying(all_services: Services) -> None:
    """End the processes that verify the record, or make a compliance report."""
    if all_services.verifications is not None:
        await all_services.verifications.stop()
    if all_services.compliance is not None:
        await all_services.compliance.stop()


async def _told_last(all_services: Services) -> None:
    """The record's last word, and the spans that wait."""
    recorder = all_services.recorder
    if isinstance(recorder, LogRecorder):
        recorder.later(Event.SERVICE_STOPPED)
        await asyncio.to_thread(recorder.audit.stop)
        recorder.audit.database.close()
    all_services.storage.database.close()
    await asyncio.to_thread(all_services.traces.close)


async def _say(all_services: Services, address: str) -> None:
    """Tell what the start found; nothing depends on it."""
    try:
        startup.show(await asyncio.to_thread(startup.found, all_services, address))
    except Exception:
        log.exception("what the start found could not be told")


async def _record_loading(recorder: Recorder, engine: Engine, check: ModelCheck | None) -> None:
    """Put on the record whenever the engine becomes ready, or says that it cannot, and what its files were."""
    before: str | None = None
    while True:
        problem = engine.problem
        now = problem.code if problem is not None else "ready" if engine.ready else None
        if now is not None and now != before:
            if check is not None and engine.name in ("openvino", "transformers"):
                found = await asyncio.to_thread(check.outcome, problem)
                if found is not None:
                    recorder.later(Event.MODEL_VERIFIED, outcome=found[0], detail=found[1])
            detail = {"engine": engine.name, "model": engine.capabilities.model}
            if problem is not None:
                detail["why"] = problem.code
            outcome = Outcome.OK if problem is None else Outcome.FAILED
            recorder.later(Event.MODEL_LOADED, outcome=outcome, detail=detail)
        before = now or before
        await asyncio.sleep(_LOOK_S)


def _start(settings: Settings, engine: Engine) -> dict[str, str]:
    """What the record of a start says."""
    return {
        "version": __version__,
        "profile": settings.profile,
        "engine": engine.name,
        "model": engine.capabilities.model,
    }


def _send_at_once() -> None:
    """Turn Nagle's algorithm (RFC 896) off on every socket that this process listens on; connections inherit it.

    Streamlit makes its socket without naming TCP, and asyncio then leaves the algorithm on: each answer would wait
    40 ms for the client's delayed acknowledgement.
    """
    for connection in psutil.Process().net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN:
            with socket.socket(fileno=os.dup(connection.fd)) as listener:
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _free_at_once() -> None:
    """Give the memory of a picture back to the system as soon as it is freed (mallopt(3), M_MMAP_THRESHOLD).

    By itself glibc raises the threshold with the first large block that is freed, and keeps all later ones: a few
    pictures of 100 megapixels would leave the service with over a gigabyte.
    """
    with suppress(AttributeError, OSError):  # another C library, which has no such habit
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK)
