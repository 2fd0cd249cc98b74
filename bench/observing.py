"""What a request costs to be counted, and to be a line of the log; what a scrape costs.

Processor time, medians of five; of the scrape the time that passed.

python -m bench.observing
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from typing import Any

from starlette.types import ASGIApp

from tests.functional.server import run
from vlpro import logs
from vlpro.config import Settings
from vlpro.gateway.metrics import Metrics
from vlpro.gateway.observing import Observed, RouteNote

_REQUESTS = 5_000
_SCRAPES = 20


async def nothing(_: Any) -> None:
    """Takes what is sent."""


async def bare(_: Any, __: Any, send: Any) -> None:
    """Answers at once."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def cost_us(app: ASGIApp) -> float:
    """Microseconds of processor time for a request."""

    async def serve() -> float:
        began = time.process_time()
        for _ in range(_REQUESTS):
            await app({"type": "http", "method": "GET", "path": "/", "state": {}}, nothing, nothing)  # type: ignore[arg-type]
        return (time.process_time() - began) / _REQUESTS * 1e6

    return statistics.median(asyncio.run(serve()) for _ in range(5))


def main() -> None:
    """Measure, and print a table."""
    counted = Observed(RouteNote(bare), Metrics())
    out, sys.stderr = sys.stderr, open(os.devnull, "w")  # noqa: PTH123, SIM115 - for the lines
    rows = [("a request that does nothing", cost_us(bare))]
    logs.configure("text", "warning")
    rows.append(("counted", cost_us(counted)))
    logs.configure("json", "info")
    rows.append(("counted, and a line of JSON", cost_us(counted)))
    sys.stderr = out
    logs.configure("text", "warning")
    with run(Settings(engine="fake")) as server, server.http() as http:
        http.get("/metrics")
        began = time.perf_counter()
        for _ in range(_SCRAPES):
            http.get("/metrics")
        rows.append(("a scrape, over HTTP (elapsed)", (time.perf_counter() - began) / _SCRAPES * 1e6))
    for name, microseconds in rows:
        sys.stdout.write(f"{name:<32}{microseconds:10.1f} us\n")


if __name__ == "__main__":
    main()
