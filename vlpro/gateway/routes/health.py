"""``GET /healthz`` (the service runs) and ``GET /readyz`` (it can answer, or why not)."""

from __future__ import annotations

from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vlpro.gateway.readiness import Readiness

__all__ = ["routes"]

_HEADERS = {"cache-control": "no-store"}


def routes(readiness: Readiness) -> list[Route]:
    """Both routes; they stand beside ``/v1``, where probes look for them."""

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"}, headers=_HEADERS)

    async def ready(_: Request) -> Response:
        reasons = await readiness.reasons()
        if not reasons:
            return JSONResponse({"status": "ready", "reasons": []}, headers=_HEADERS)
        told = {"status": "not_ready", "reasons": [asdict(reason) for reason in reasons]}
        return JSONResponse(told, 503, headers=_HEADERS)

    return [Route("/healthz", health), Route("/readyz", ready)]
