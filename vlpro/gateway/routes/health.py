"""``GET /healthz`` (the service runs) and ``GET /readyz`` (it can answer)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vlpro.gateway.deps import Services

__all__ = ["routes"]


def routes(services: Services) -> list[Route]:
    """Both routes; they stand beside ``/v1``, where probes look for them."""

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"}, headers={"cache-control": "no-store"})

    async def ready(_: Request) -> Response:
        engine = services.chat.engine
        state = {"status": "ready" if engine.ready else "starting", "engine": engine.name}
        return JSONResponse(state, 200 if engine.ready else 503, headers={"cache-control": "no-store"})

    return [Route("/healthz", health), Route("/readyz", ready)]
