"""The composition root: settings, engine, services and routes become one application. Nothing happens at import."""

from __future__ import annotations

import asyncio
import ctypes
import hashlib
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartParser
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.routing import Mount, Route

from vlpro import __version__, client, config, errors, schema
from vlpro.audit.alerts.service import Alerts
from vlpro.audit.events import Event, Outcome
from vlpro.audit.recorder import LogRecorder, NullRecorder, Recorder
from vlpro.chat.conversation_service import ConversationService
from vlpro.chat.pictures import PictureStore
from vlpro.chat.service import ChatService, Measured
from vlpro.chat.store import ConversationStore
from vlpro.config import Settings
from vlpro.device import DeviceMonitor
from vlpro.engines import registry
from vlpro.engines.choice import for_weights
from vlpro.engines.cluster import ClusterEngine
from vlpro.engines.hardware import probe
from vlpro.engines.interface import Engine
from vlpro.engines.model_files import find_manifest
from vlpro.engines.worker.client import WorkerEngine
from vlpro.gateway import errors as error_table
from vlpro.gateway import startup
from vlpro.gateway.deps import Needs, Services
from vlpro.gateway.docs_page import docs_page
from vlpro.gateway.draining import Draining, NothingNew, on_signals
from vlpro.gateway.egress import EgressTries
from vlpro.gateway.extracting import deliveries_of, extractions_of, reader_of
from vlpro.gateway.gauges import Gauges
from vlpro.gateway.guard import Guard
from vlpro.gateway.inside import Inside
from vlpro.gateway.inspecting import inputs_of, inspections_of
from vlpro.gateway.knowing import knowledge_of
from vlpro.gateway.metrics import Metrics
from vlpro.gateway.middleware import BodyLimit, Envelope, OwnOrigin, RequestId, TrustedProxies
from vlpro.gateway.model_check import ModelCheck, model_check_of
from vlpro.gateway.observing import Observed, RouteNote
from vlpro.gateway.profile import (
    alerts_of,
    batches_of,
    check_profile,
    compliance_of,
    configure_logs,
    exports_of,
    hosts_of,
    identity_of,
    oidc_of,
    print_setup_secret,
    prove_promises,
    queries_of,
    recorder_of,
    rules_of,
    sealer_of,
    storage_of,
    verifications_of,
)
from vlpro.gateway.readiness import Readiness
from vlpro.gateway.refusals import SOMEBODY_ELSES, Refusals
from vlpro.gateway.reporting import reports_of
from vlpro.gateway.routes import (
    account,
    audit,
    batches,
    chat,
    compliance,
    conversations,
    extractions,
    files,
    health,
    images,
    inspections,
    knowledge_bases,
    metrics,
    models,
    policy,
    prompts,
    reports,
    responses,
    status,
)
from vlpro.gateway.routes import accounts as accounts_routes
from vlpro.gateway.routes.own_account import own_account_routes
from vlpro.gateway.routes.setup import setup_routes
from vlpro.gateway.routes.sign_in import sign_in_routes
from vlpro.gateway.storage import Storage
from vlpro.gateway.stream import ClientGoneError
from vlpro.gateway.traces import NoTraces, traces_of
from vlpro.identity.directories.options import OidcOptions
from vlpro.identity.permissions import Permission
from vlpro.identity.service import Identity
from vlpro.imaging.ingest import Limits
from vlpro.imaging.pdf import PdfLimits
from vlpro.imaging.workers import WorkerPool
from vlpro.knowledge.answer import KnowledgeAnswers
from vlpro.logs import take_over
from vlpro.masking.logs import mask_logs
from vlpro.process import keep_memory_private, overwrite_freed_memory
from vlpro.sealing import tripwire
from vlpro.sealing.offline import OFFLINE
from vlpro.sealing.seal import is_sealed
from vlpro.workflows.batch.options import BatchOptions
from vlpro.workflows.inspection.inputs import Inputs

__all__ = ["api", "middleware", "parts", "permissions_of", "routers", "services"]

log = logging.getLogger(__name__)

_M_MMAP_THRESHOLD = -3  # malloc.h
_LARGE_BLOCK = 1 << 20  # bytes
_LOOK_S = 1.0
_FORM_SLACK = 20_000  # bytes of a form with a file beside the file
_FORMS = ("/login", "/setup", "/account")

_Handlers = dict[Any, Callable[[Request, Any], Awaitable[Response]]]


def engine_of(settings: Settings, check: ModelCheck | None = None) -> Engine:
    """The engine that the settings name; one that computes comes in a worker process of its own.

    Args:
        settings: The settings.
        check: Of the model's files; None: each loading reads them all.

    Raises:
        ConfigError: A setting that this engine needs is missing.
    """
    name, options = _chosen(settings, check)
    engine = registry.create(name, options)
    if name not in registry.LOCAL:
        return engine
    return WorkerEngine(engine, options, idle_unload_s=settings.idle_unload_s)


def cluster_of(settings: Settings) -> ClusterEngine | None:
    """The engine on a Ray cluster that answers batches; None: the one here does.

    Raises:
        ConfigError: Ray is not installed, the engine has no place on a cluster, or this service may open no sockets.
    """
    batch = settings.batch or BatchOptions()
    if not batch.ray_address:
        return None
    if is_sealed():
        raise errors.ConfigError(
            "A sealed service opens no sockets, and Ray needs some. Leave ray_address out, and set "
            "VLPRO_UPSTREAM_URL to a server of the cluster (vLLM, Ray Serve): the relay reaches that.",
            zh="封闭运行的服务不能打开套接字，而 Ray 需要。请去掉 ray_address，并将 VLPRO_UPSTREAM_URL 设为集群上的"
            "服务（vLLM、Ray Serve），由中继访问。",
            param="batch.ray_address",
        )
    name, options = _chosen(settings, None)
    return ClusterEngine(batch.ray_address, name, options, workers=batch.ray_workers, cpus=batch.ray_cpus)


def _chosen(settings: Settings, check: ModelCheck | None) -> tuple[str, dict[str, object]]:
    """Name and options of the engine that the settings ask for. Raises: as :func:`engine_of`."""
    name = settings.engine
    if name == "auto":
        name = "openai" if settings.upstream_url else "ocr"
        if settings.model_dir and not settings.upstream_url:
            name = for_weights(settings.device, probe())
    if name in ("openvino", "transformers") and not settings.model_dir:
        raise errors.ConfigError(
            f"Engine {name} needs VLPRO_MODEL_DIR: the folder of Qwen3-VL-4B-Instruct.",
            zh=f"{name} 引擎需要 VLPRO_MODEL_DIR：Qwen3-VL-4B-Instruct 的模型文件夹。",
            param="model_dir",
        )
    if name == "openai" and not settings.upstream_url:
        raise errors.ConfigError(
            "Engine openai needs VLPRO_UPSTREAM_URL: the base URL of an OpenAI-compatible server, with /v1.",
            zh="openai 引擎需要 VLPRO_UPSTREAM_URL：OpenAI 兼容服务的基础网址，以 /v1 结尾。",
            param="upstream_url",
        )
    options: dict[str, dict[str, object]] = {
        "openvino": {
            "folder": str(Path(settings.model_dir).absolute()),
            "manifest": settings.model_manifest,
            "activations": settings.activations,
            "keep_s": settings.idle_ttl_s,
        },
        "transformers": {
            "folder": str(Path(settings.model_dir).absolute()),
            "manifest": settings.model_manifest,
            "load_in_4bit": settings.load_in_4bit,
            "device": settings.device,
            "keep_s": settings.idle_ttl_s,
        },
        "fake": {"delay_s": settings.fake_delay_s},
        "openai": {
            "url": settings.upstream_url,
            "model": settings.upstream_model,
            "key": settings.upstream_key.get_secret_value(),
            "ca": settings.upstream_ca,
            "socket": settings.upstream_socket,
            "context_tokens": settings.upstream_context_tokens,
            "concurrency": settings.upstream_concurrency,
        },
    }
    if check is not None and name in ("openvino", "transformers"):
        options[name] |= check.options
    return name, options.get(name, {})


def services(
    settings: Settings,
    engine: Engine,
    recorder: Recorder | None = None,
    identity: Identity | None = None,
    store: ConversationStore | None = None,
    *,
    where: Storage | None = None,
) -> Services:
    """All services; the engine is not started yet. Without a recorder nothing is recorded: for tests."""
    recorder, where = recorder or NullRecorder(), where or storage_of(settings, identity)
    audited = recorder if isinstance(recorder, LogRecorder) and identity is not None else None
    limits = Limits(
        max_bytes=settings.max_image_bytes,
        max_pixels=settings.max_image_pixels,
        max_side=settings.max_image_side,
        max_aspect=settings.max_image_aspect,
        max_decode_bytes=settings.max_image_decode_bytes,
    )
    chat_service = ChatService(
        engine,
        limits=limits,
        reader=WorkerPool(
            limits,
            seconds=settings.image_timeout_s,
            with_sm3=settings.crypto == "gm",
            pdf_limits=PdfLimits(
                max_bytes=settings.max_pdf_bytes,
                max_pages=settings.max_pdf_pages,
                max_picture_pixels=settings.max_image_pixels,
            ),
        ),
        max_images=settings.max_images,
        max_text_chars=settings.max_text_chars,
        max_choices=settings.max_choices,
        queue_size=settings.queue_size,
        answer_timeout_s=settings.answer_timeout_s,
        answer_language=settings.answer_language,
        share_prefixes=settings.share_prefixes,
        recorder=recorder,
        model_digest=_model_digest(settings),
    )
    pictures = PictureStore(max_bytes=settings.max_picture_store_bytes, ttl_s=settings.idle_ttl_s)
    rules = rules_of(settings, identity)
    deliveries, reader = deliveries_of(settings, where, recorder), reader_of(settings, chat_service)
    knowledge = knowledge_of(settings, where, reader, recorder, limits=limits, engine=engine)
    return Services(
        settings=settings,
        chat=chat_service,
        conversations=ConversationService(
            chat_service,
            pictures,
            limits=limits,
            max_images=settings.max_images,
            max_conversations=settings.max_conversations,
            ttl_s=settings.idle_ttl_s,
            reads_ahead=settings.read_ahead,
            store=store,
            rules=rules,
            search_bytes=settings.max_search_bytes,
        ),
        device=DeviceMonitor(),
        batches=batches_of(
            settings,
            identity,
            where,
            recorder,
            chat_service.reader,
            picture_pixels=engine.capabilities.picture_pixels,
        ),
        inspections=inspections_of(
            settings, where, chat_service, reader, deliveries, knowledge=knowledge, rules=rules
        ),
        deliveries=deliveries,
        extractions=extractions_of(
            settings, identity, where, chat_service, reader, deliveries=deliveries, rules=rules
        ),
        reports=reports_of(settings, identity, where, chat_service, rules=rules),
        knowledge=knowledge,
        knowledge_answers=KnowledgeAnswers(knowledge, chat_service, reader),
        started=int(time.time()),
        traces=traces_of(settings.otel_endpoint, settings.otel_ca),
        recorder=recorder,
        storage=where,
        identity=identity,
        audit=queries_of(settings, audited) if audited else None,
        audit_exports=exports_of(audited) if audited else None,
        verifications=verifications_of(settings, audited) if audited else None,
        compliance=compliance_of(settings, audited) if audited else None,
    )


def api(all_services: Services) -> FastAPI:
    """Everything under ``/v1``."""
    app = FastAPI(
        title="Qwen3-VL-4B Pro",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # whatever the environment says
        responses={"default": {"model": schema.ErrorEnvelope, "description": "Refused or failed"}},
    )
    app.state.services = all_services
    all_services.batches.worker.asker.api = Inside(app, all_services)
    all_services.batches.generates = lambda: all_services.chat.engine.capabilities.sees
    app.state.refusals = Refusals(all_services.recorder)
    for router in routers(accounts=all_services.identity is not None):
        app.include_router(router)
    app.add_api_route("/docs", docs_page(app), include_in_schema=False)
    for kind, handler in (exception_handlers() | {RequestValidationError: _invalid}).items():
        app.add_exception_handler(kind, handler)
    return app


def _answer_batches_on(cluster: ClusterEngine, all_services: Services) -> None:
    """Have the lines of batches answered by a cluster: by the same services, but for the engine."""
    settings, identity = all_services.settings, all_services.identity
    behind = replace(all_services, chat=all_services.chat.beside(cluster))
    if cluster.capabilities.reads:
        reader, rules = reader_of(settings, behind.chat), rules_of(settings, identity)
        made = extractions_of(
            settings, identity, behind.storage, behind.chat, reader, deliveries=behind.deliveries, rules=rules
        )
        behind = replace(behind, extractions=made)
    api(behind)
    all_services.batches.worker.cluster = cluster


def routers(*, accounts: bool) -> list[APIRouter]:
    """The API's routers; each of their routes names the permission that it takes.

    Args:
        accounts: Whether there are accounts: profile mlps3.

    Raises:
        RuntimeError: A route names no permission, and would be open to whoever is signed in.
    """
    modules = [chat, responses, models, prompts, images, conversations, status]
    modules += [extractions, inspections, files, batches, reports, knowledge_bases]
    if accounts:
        modules += [account, accounts_routes, policy, audit, compliance]
    found = [module.router for module in modules]
    for router in found:
        for route in router.routes:
            if not (isinstance(route, APIRoute) and permissions_of(route.dependant)):
                raise RuntimeError(f"{route} names no permission")
    return found


def permissions_of(dependant: Dependant) -> frozenset[Permission]:
    """The permissions that a route's dependencies ask for."""
    own = {dependant.call.permission} if isinstance(dependant.call, Needs) else set()
    return frozenset(own).union(*map(permissions_of, dependant.dependencies))


def exception_handlers() -> _Handlers:
    """What makes an answer of each error, on every route."""
    return {
        errors.VlproError: _known,
        HTTPException: _http,
        ClientGoneError: _nobody,
        ClientDisconnect: _nobody,
        Exception: _unknown,
    }


def middleware(
    settings: Settings,
    identity: Identity | None,
    recorder: Recorder,
    page: Sequence[Middleware] = (),
    all_services: Services | None = None,
) -> list[Middleware]:
    """What stands before all routes and pages, outermost first.

    Args:
        settings: The settings.
        identity: The accounts; None: profile ``local``.
        recorder: Of the audit.
        page: The page's own, so that refusals carry its headers too.
        all_services: Where requests are counted, and whether they are about to end; None: for tests.
    """
    return [
        Middleware(RequestId),
        Middleware(
            Observed,
            metrics=all_services.metrics if all_services else Metrics(),
            traces=all_services.traces if all_services else NoTraces(),
        ),
        Middleware(NothingNew, draining=all_services.draining if all_services else Draining()),
        Middleware(Envelope),
        *page,
        Middleware(TrustedProxies, proxies=settings.trusted_proxies),
        Middleware(OwnOrigin, allowed_hosts=hosts_of(settings), local=identity is None),
        Middleware(Guard, identity=identity, recorder=recorder, metrics_addresses=settings.metrics_addresses),
        Middleware(
            BodyLimit,
            max_bytes=settings.max_body_bytes,
            idle_timeout_s=settings.slow_client_timeout_s,
            forms=_FORMS,
            uploads={"/v1/files": (settings.batch or BatchOptions()).max_file_bytes + _FORM_SLACK},
        ),
        Middleware(RouteNote),
    ]


def parts(
    settings: Settings | None = None,
    *,
    page: Sequence[Middleware] = (),
    address: str = "127.0.0.1",
    proven: bool = False,
) -> dict[str, Any]:
    """The arguments for ``streamlit.App`` (or Starlette): routes, middleware, handlers of errors and lifespan.

    Args:
        settings: Read from environment and file where they are left out.
        page: The page's own middleware.
        address: That the server is about to listen on; or ``unix:`` and the path of a socket.
        proven: Whether the self-test is left to the caller: of a report, which tries each promise by itself.

    Raises:
        ConfigError: A setting is wrong, a condition of the profile is missing, or the service would listen for other
            machines: with or without accounts, it is never exposed without a proxy.
        DatabaseError: The database does not answer.
    """
    settings = settings or config.load()
    mask_logs()
    configure_logs(settings)
    if address not in ("localhost", "127.0.0.1", "::1") and not address.startswith("unix:"):
        raise errors.ConfigError(
            f"The service listens on 127.0.0.1 or a Unix socket only, not on {address or 'all addresses'}. Leave "
            "server.address at 127.0.0.1; for other machines, profile mlps3 stands behind nginx (deploy/nginx).",
            zh=f"本服务只监听 127.0.0.1 或 Unix 套接字，不监听 {address or '所有地址'}。请保持 server.address 为 "
            "127.0.0.1；供其他机器使用时，请以 mlps3 模式部署在 nginx 之后（deploy/nginx）。",
            param="server.address",
        )
    # The web server would believe X-Forwarded-For of whoever connects from this machine; we ask our settings.
    os.environ["FORWARDED_ALLOW_IPS"] = ""
    os.environ.update(OFFLINE)
    check_profile(settings)
    sealer = sealer_of(settings)
    if not proven:
        prove_promises(settings, sealer)
    recorder = recorder_of(settings, sealer)
    identity = identity_of(settings, recorder)
    if identity is not None:
        policies = identity.policies
        recorder.texts = lambda: policies.known.audit_texts
    # Uploads of the page stay in memory: beyond this size Starlette's form parser would write them to a file.
    MultiPartParser.spool_max_size = settings.max_body_bytes + 1
    where = storage_of(settings, identity)
    store = ConversationStore(*where)
    check = model_check_of(settings, sealer_of(settings))
    all_services = services(settings, engine_of(settings, check), recorder, identity, store, where=where)
    inputs = inputs_of(settings, identity, all_services.inspections)
    if identity is not None:
        all_services.chat.masking = lambda: policies.known.answers
        all_services.conversations.masking = lambda: policies.known.exports
        all_services.batches.masking = lambda: policies.known.exports
        identity.sessions.ended = all_services.conversations.forget_searches
    readiness = Readiness(all_services)
    all_services.metrics.registry.register(Gauges(all_services, readiness))
    all_services.chat.measured = partial(_ended, all_services)
    recorder.recorded = all_services.traces.recorded
    probes = [*health.routes(readiness), *metrics.routes(all_services)]
    routes: list[Route | Mount] = [*probes, Mount("/v1", api(all_services))]
    cluster = cluster_of(settings)
    if cluster is not None:
        _answer_batches_on(cluster, all_services)
    if identity is not None:
        routes += sign_in_routes(identity, oidc_of(settings), settings.public_url, _host(settings.oidc))
        routes += [*setup_routes(identity), *own_account_routes(identity)]

    return {
        "routes": routes,
        "middleware": middleware(settings, identity, recorder, page, all_services),
        "exception_handlers": exception_handlers(),
        "lifespan": _lifespan(all_services, alerts_of(settings, recorder), check, inputs, address),
    }


def _ended(all_services: Services, measured: Measured) -> None:
    """A question ended: it is counted, and is a span."""
    all_services.metrics.question(measured)
    all_services.traces.question(measured)


def _lifespan(
    all_services: Services,
    alerts: Alerts | None,
    check: ModelCheck | None,
    inputs: Inputs,
    address: str,
) -> Callable[[Any], AbstractAsyncContextManager[None]]:
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
            print_setup_secret(identity, all_services.settings)
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


async def _told_last(all_services: Services) -> None:
    """The record's last word, and the spans that wait."""
    recorder = all_services.recorder
    if isinstance(recorder, LogRecorder):
        recorder.later(Event.SERVICE_STOPPED)
        await asyncio.to_thread(recorder.audit.stop)
        recorder.audit.database.close()
    all_services.storage.database.close()
    await asyncio.to_thread(all_services.traces.close)


async def _stop_verifying(all_services: Services) -> None:
    """End the processes that verify the record, or make a compliance report."""
    if all_services.verifications is not None:
        await all_services.verifications.stop()
    if all_services.compliance is not None:
        await all_services.compliance.stop()


async def _say(all_services: Services, address: str) -> None:
    """Tell what the start found; nothing depends on it."""
    try:
        startup.show(await asyncio.to_thread(startup.found, all_services, address))
    except Exception:
        log.exception("what the start found could not be told")


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


def _model_digest(settings: Settings) -> str:
    """SHA-256 over the manifest of the model's files, hexadecimal; empty where there are none."""
    if not settings.model_dir:
        return ""
    try:
        manifest = find_manifest(settings.model_manifest, Path(settings.model_dir))
    except errors.ModelFilesError:
        return ""  # the engine says so, and does not load
    return hashlib.sha256(manifest.to_json().encode()).hexdigest()


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


def _host(oidc: OidcOptions | None) -> str:
    return urlsplit(oidc.issuer).hostname or "" if oidc is not None else ""


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


async def _known(request: Request, error: errors.VlproError) -> Response:
    refusals = getattr(request.app.state, "refusals", None)
    answer = error_table.response(error)
    if refusals is None:
        return answer
    if isinstance(error, errors.ForbiddenError):
        refusals.add(error.code, request.url.path)
    if isinstance(error, errors.NotFoundError) and error.foreign:
        # After the answer: not even its time tells that there is something of somebody else's.
        answer.background = BackgroundTask(_somebody_elses, refusals, request.url.path)
    return answer


async def _somebody_elses(refusals: Refusals, path: str) -> None:
    refusals.add(SOMEBODY_ELSES, path)


async def _invalid(_: Request, error: RequestValidationError) -> Response:
    return error_table.response(error_table.from_validation(error.errors(), error.body))


async def _http(request: Request, error: HTTPException) -> Response:
    """FastAPI's own refusals, in our words."""
    cause = error.__cause__
    if isinstance(cause, errors.VlproError):
        return error_table.response(cause)
    known = error_table.from_status(error.status_code, request.method, request.url.path, str(error.detail))
    return error_table.response(known, error.headers, status=error.status_code)


async def _nobody(_: Request, __: Exception) -> Response:
    return Response(status_code=499)  # nginx's number for a client that closed; nobody reads it


async def _unknown(request: Request, error: Exception) -> Response:
    request_id = request.scope.get("state", {}).get("request_id", "")
    log.error("request %s failed", request_id, exc_info=error)
    return error_table.response(
        errors.VlproError(
            "Something failed inside the service. Try again; if it happens again, give the request number to "
            "your administrator.",
            zh="服务内部出错。请重试；若再次出现，请把请求编号交给管理员。",
        )
    )
