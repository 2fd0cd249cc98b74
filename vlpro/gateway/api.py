"""Everything under ``/v1``: its routers, each of whose routes names a permission."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from vlpro import __version__, schema
from vlpro.engines.cluster import ClusterEngine
from vlpro.gateway.deps import Needs, Services
from vlpro.gateway.docs_page import docs_page
from vlpro.gateway.error_handlers import exception_handlers
from vlpro.gateway.extracting import extractions_of, reader_of
from vlpro.gateway.inside import Inside
from vlpro.gateway.profile import rules_of
from vlpro.gateway.refusals import Refusals
from vlpro.gateway.routes import (
    account,
    audit,
    batches,
    chat,
    compliance,
    conversations,
    extractions,
    files,
    images,
    inspections,
    knowledge_bases,
    models,
    policy,
    prompts,
    reports,
    responses,
    status,
)
from vlpro.gateway.routes import accounts as accounts_routes
from vlpro.identity.permissions import Permission

__all__ = ["answer_batches_on", "api", "permissions_of", "routers"]


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
    for kind, handler in exception_handlers().items():
        app.add_exception_handler(kind, handler)
    return app


def answer_batches_on(cluster: ClusterEngine, all_services: Services) -> None:
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
