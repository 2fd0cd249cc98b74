"""What a compliance report is made with: the live system, and an application to try things on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from fastapi.routing import APIRoute
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from vlpro.audit.recorder import LogRecorder
from vlpro.compliance import context
from vlpro.compliance.context import Application, Context
from vlpro.compliance.options import ComplianceOptions
from vlpro.config import Settings
from vlpro.gateway.api import permissions_of, routers
from vlpro.gateway.app import parts
from vlpro.gateway.deps import Services
from vlpro.gateway.profile import sealer_of

__all__ = ["application", "context_of"]

_ENTRANCES = frozenset({"/healthz", "/readyz", "/metrics", "/login", "/setup"})
_PARAMETER = re.compile(r"\{[^}]+\}")


@contextmanager
def context_of(settings: Settings, *, key: str = "") -> Iterator[Context]:
    """What the checks of a report use; what they made is gone after the block.

    Args:
        settings: Of the live system; their ``compliance`` tells of the deployment.
        key: API key of a user of the running service; empty: there is none.

    Raises:
        ConfigError: The key of the live system is missing, or no key.
    """
    sealer = sealer_of(settings)
    with TemporaryDirectory(prefix="vlpro-comply-") as folder:
        made = Context(
            settings, sealer, Path(folder), application, settings.compliance or ComplianceOptions(), key
        )
        try:
            yield made
        finally:
            made.close()


def application(settings: Settings) -> Application:
    """The application in profile ``mlps3``, served to nobody yet.

    Raises:
        ConfigError: A setting is wrong.
    """
    made = parts(settings, proven=True)
    mount = next(route for route in made["routes"] if isinstance(route, Mount))
    services: Services = mount.app.state.services  # type: ignore[attr-defined]
    if services.identity is None or not isinstance(services.recorder, LogRecorder):
        raise RuntimeError("the scratch system has no accounts")
    if services.compliance is not None:
        services.compliance.close()
    pages = [route for route in made["routes"] if isinstance(route, Route)]
    return Application(
        Starlette(**made),
        services.identity,
        services.recorder,
        services.chat.engine,
        (*_api_routes(), *_page_routes(pages)),
    )


def _api_routes() -> Iterator[context.Route]:
    for router in routers(accounts=True):
        for route in router.routes:
            if isinstance(route, APIRoute):
                (permission,) = permissions_of(route.dependant)
                path = "/v1" + _PARAMETER.sub("nothing", route.path)
                for method in sorted(route.methods or ()):
                    yield context.Route(method, path, permission)


def _page_routes(routes: list[Route]) -> Iterator[context.Route]:
    for route in routes:
        if route.path not in _ENTRANCES and not route.path.startswith("/login/"):
            for method in sorted((route.methods or set()) - {"HEAD"}):
                yield context.Route(method, _PARAMETER.sub("psk_nothing", route.path), None)
