"""Every request on its way through: counted, timed, and one line in the log."""

from __future__ import annotations

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vlpro.client import IN_PROCESS
from vlpro.gateway.metrics import METHODS, Metrics
from vlpro.gateway.traces import NoTraces

__all__ = ["Observed", "RouteNote"]

access = logging.getLogger("vlpro.access")

_PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
_ROUTE = "vlpro.route"
_NOBODY = 499  # nginx's number for a client that left before it was answered


class RouteNote:
    """Innermost of the middleware: notes which route answered, for who stands outside and sees another scope.

    Args:
        app: The application behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        before = scope.get("root_path", "")
        try:
            await self._app(scope, receive, send)
        finally:
            scope.setdefault("state", {})[_ROUTE] = _template(scope, before)


class Observed:
    """Counts each request, and writes its line: method, route, status, milliseconds, request id.

    Nothing of a query or a body is in it, and no path that somebody made up. Lines of the page's own calls and of
    probes, of which there are many, are for level debug.

    Args:
        app: The application behind it.
        metrics: Where it is counted.
        traces: Where it is a span.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, traces: NoTraces | None = None) -> None:
        self._app = app
        self._metrics = metrics
        self._traces = traces or NoTraces()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), _NOBODY

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self._traces.request() as ended:
            try:
                await self._app(scope, receive, noted)
            finally:
                seconds = time.perf_counter() - began
                ended(*self._told(scope, status, seconds))

    def _told(self, scope: Scope, status: int, seconds: float) -> tuple[str, str, int, str]:
        """Count it and log it. Returns: what a span says."""
        state = scope.get("state", {})
        route = state.get(_ROUTE, "none")
        method = scope["method"]
        self._metrics.request(route, method, status, seconds, state.get("error_code", ""))
        method = method if method in METHODS else "other"
        quiet = scope.get(IN_PROCESS) or scope["path"] in _PROBES
        level = logging.DEBUG if quiet else logging.INFO
        if access.isEnabledFor(level):
            access.log(
                level,
                "%s %s %d",
                method,
                route,
                status,
                extra={
                    "fields": {
                        "method": method,
                        "route": route,
                        "status": status,
                        "milliseconds": round(seconds * 1000, 1),
                    }
                },
            )
        return route, method, status, state.get("request_id", "")


def _template(scope: Scope, before: str) -> str:
    """The route's path as the program has it, such as ``/v1/files/{file_id}``; ``none`` where no route matched."""
    route = scope.get("route")
    path = getattr(route, "path_format", None) or getattr(route, "path", None)
    if path is None:
        return "none"
    mount = scope.get("root_path", "").removeprefix(before)
    return f"{mount}{path}" if mount and not path.startswith(mount) else str(path)
