"""``GET /metrics``: the figures of :mod:`vlpro.gateway.metrics`, for Prometheus inside the network."""

from __future__ import annotations

import asyncio

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vlpro.errors import ForbiddenError
from vlpro.gateway import errors
from vlpro.gateway.deps import Services
from vlpro.identity.addresses import allowed

__all__ = ["PATH", "routes"]

PATH = "/metrics"


def routes(services: Services) -> list[Route]:
    """The route; it stands beside ``/v1``, where Prometheus looks for it."""
    reading = asyncio.Lock()  # each reads databases: one after the other

    async def metrics(request: Request) -> Response:
        listed = services.settings.metrics_addresses
        # In profile local the middleware has refused all other machines already.
        if services.identity is not None and not allowed(request.state.address, listed):
            return errors.response(
                ForbiddenError(
                    "Metrics are for the addresses of VLPRO_METRICS_ADDRESSES only.",
                    zh="监控指标只对 VLPRO_METRICS_ADDRESSES 中的地址开放。",
                    code="address_not_allowed",
                )
            )
        async with reading:
            text = await asyncio.to_thread(services.metrics.text)
        return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4, headers={"cache-control": "no-store"})

    return [Route(PATH, metrics, methods=["GET"])]
