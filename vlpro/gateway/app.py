"""The composition root: settings, engine, services and routes become one application. Nothing happens at import."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from starlette.formparsers import MultiPartParser
from starlette.middleware import Middleware
from starlette.routing import Mount, Route

from vlpro import config, errors
from vlpro.audit.recorder import LogRecorder, Recorder
from vlpro.chat.service import Measured
from vlpro.chat.store import ConversationStore
from vlpro.config import Settings
from vlpro.gateway.api import answer_batches_on, api
from vlpro.gateway.deps import Services
from vlpro.gateway.draining import Draining, NothingNew
from vlpro.gateway.engine import cluster_of, engine_of
from vlpro.gateway.error_handlers import exception_handlers
from vlpro.gateway.gauges import Gauges
from vlpro.gateway.guard import Guard
from vlpro.gateway.inspecting import inputs_of
from vlpro.gateway.lifespan import lifespan_of
from vlpro.gateway.metrics import Metrics
from vlpro.gateway.middleware import BodyLimit, Envelope, OwnOrigin, RequestId, TrustedProxies
from vlpro.gateway.model_check import model_check_of
from vlpro.gateway.observing import Observed, RouteNote
from vlpro.gateway.profile import (
    alerts_of,
    check_profile,
    configure_logs,
    hosts_of,
    identity_of,
    oidc_of,
    prove_promises,
    recorder_of,
    sealer_of,
    storage_of,
)
from vlpro.gateway.readiness import Readiness
from vlpro.gateway.routes import health, metrics
from vlpro.gateway.routes.own_account import own_account_routes
from vlpro.gateway.routes.setup import setup_routes
from vlpro.gateway.routes.sign_in import sign_in_routes
from vlpro.gateway.services import services_of
from vlpro.gateway.traces import NoTraces
from vlpro.identity.directories.options import OidcOptions
from vlpro.identity.service import Identity
from vlpro.masking.logs import mask_logs
from vlpro.sealing.offline import OFFLINE
from vlpro.workflows.batch.options import BatchOptions

__all__ = ["middleware", "parts"]

_FORM_SLACK = 20_000  # bytes of a form with a file beside the file
_FORMS = ("/login", "/setup", "/account")


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
    _refuse_other_machines(address)
    # The web server would believe X-Forwarded-For of whoever connects from this machine; we ask our settings.
    os.environ["FORWARDED_ALLOW_IPS"] = ""
    os.environ.update(OFFLINE)
    check_profile(settings)
    sealer = sealer_of(settings)
    if not proven:
        prove_promises(settings, sealer)
    recorder = recorder_of(settings, sealer)
    identity = identity_of(settings, recorder)
    # Uploads of the page stay in memory: beyond this size Starlette's form parser would write them to a file.
    MultiPartParser.spool_max_size = settings.max_body_bytes + 1
    where = storage_of(settings, identity)
    store = ConversationStore(*where)
    check = model_check_of(settings, sealer_of(settings))
    all_services = services_of(settings, engine_of(settings, check), recorder, identity, store, where=where)
    inputs = inputs_of(settings, identity, all_services.inspections)
    if identity is not None:
        _follow_policies(identity, recorder, all_services)
    all_services.chat.measured = partial(_ended, all_services)
    recorder.recorded = all_services.traces.recorded
    return {
        "routes": _routes(all_services),
        "middleware": middleware(settings, identity, recorder, page, all_services),
        "exception_handlers": exception_handlers(),
        "lifespan": lifespan_of(all_services, alerts_of(settings, recorder), check, inputs, address),
    }


def _refuse_other_machines(address: str) -> None:
    """Raises: ConfigError: The service would listen for them."""
    if address in ("localhost", "127.0.0.1", "::1") or address.startswith("unix:"):
        return
    raise errors.ConfigError(
        f"The service listens on 127.0.0.1 or a Unix socket only, not on {address or 'all addresses'}. Leave "
        "server.address at 127.0.0.1; for other machines, profile mlps3 stands behind nginx (deploy/nginx).",
        zh=f"本服务只监听 127.0.0.1 或 Unix 套接字，不监听 {address or '所有地址'}。请保持 server.address 为 "
        "127.0.0.1；供其他机器使用时，请以 mlps3 模式部署在 nginx 之后（deploy/nginx）。",
        param="server.address",
    )


def _follow_policies(identity: Identity, recorder: LogRecorder, all_services: Services) -> None:
    """What the policy decides is asked of the newest one, whenever it matters."""
    policies = identity.policies
    recorder.texts = lambda: policies.known.audit_texts
    all_services.chat.masking = lambda: policies.known.answers
    all_services.conversations.masking = lambda: policies.known.exports
    all_services.batches.masking = lambda: policies.known.exports
    identity.sessions.ended = all_services.conversations.forget_searches


def _routes(all_services: Services) -> list[Route | Mount]:
    """Probes, the API, and where there are accounts the pages of signing in."""
    settings, identity = all_services.settings, all_services.identity
    readiness = Readiness(all_services)
    all_services.metrics.registry.register(Gauges(all_services, readiness))
    routes: list[Route | Mount] = [*health.routes(readiness), *metrics.routes(all_services)]
    routes.append(Mount("/v1", api(all_services)))
    cluster = cluster_of(settings)
    if cluster is not None:
        answer_batches_on(cluster, all_services)
    if identity is not None:
        routes += sign_in_routes(identity, oidc_of(settings), settings.public_url, _host(settings.oidc))
        routes += [*setup_routes(identity), *own_account_routes(identity)]
    return routes


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


def _ended(all_services: Services, measured: Measured) -> None:
    """A question ended: it is counted, and is a span."""
    all_services.metrics.question(measured)
    all_services.traces.question(measured)


def _host(oidc: OidcOptions | None) -> str:
    return urlsplit(oidc.issuer).hostname or "" if oidc is not None else ""
