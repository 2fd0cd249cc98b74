# ruff: noqa: E402
"""What it would cost to count a key's requests in PostgreSQL, for all replicas, instead of in each process.

`python bench/rate.py`: the same algorithm (one number a key) as one statement, in a table that is not logged and
without waiting for the disk, over connections that stay open; on a PostgreSQL of the benchmark's own. The peer is
what the service does: a number in memory.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from pathlib import Path

import psycopg

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.postgresql import cluster
from vlpro.identity.rate import Rate

ROUNDS, EACH, AT_ONCE = 5, 1000, 16
PER_MINUTE = 100_000

TABLE = (
    "CREATE UNLOGGED TABLE rates (key text PRIMARY KEY, due double precision NOT NULL) WITH (fillfactor = 50)"
)
TAKE = """
INSERT INTO rates AS r VALUES (%(key)s, %(now)s + %(each)s)
ON CONFLICT (key) DO UPDATE SET due = greatest(r.due, %(now)s) + %(each)s
WHERE greatest(r.due, %(now)s) + %(each)s - %(now)s <= 60 RETURNING due
"""


async def take(connection: psycopg.AsyncConnection, key: str, times: list[float]) -> None:
    """Count one request there."""
    began = time.perf_counter()
    await connection.execute(TAKE, {"key": key, "now": time.time(), "each": 60 / PER_MINUTE}, prepare=True)
    times.append(time.perf_counter() - began)


async def asked(connections: list[psycopg.AsyncConnection], keys: int) -> list[float]:
    """Seconds that each of the requests waited, from all connections at once."""
    times = list[float]()

    async def one(number: int) -> None:
        for _ in range(EACH // len(connections)):
            await take(connections[number], f"key_{number % keys:024x}", times)

    await asyncio.gather(*(one(number) for number in range(len(connections))))
    return times


async def database(url: str) -> list[tuple[str, list[float]]]:
    """Times in PostgreSQL, by how it is asked."""
    connections = [await psycopg.AsyncConnection.connect(url, autocommit=True) for _ in range(AT_ONCE)]
    await connections[0].execute(TABLE)
    for connection in connections:
        await connection.execute("SET synchronous_commit = off")
    found = []
    for name, some, keys in (
        ("PostgreSQL, one after the other", connections[:1], 1),
        (f"PostgreSQL, {AT_ONCE} at once, a key each", connections, AT_ONCE),
        (f"PostgreSQL, {AT_ONCE} at once, one key", connections, 1),
    ):
        await asked(some, keys)
        found.append((name, [time_ for _ in range(ROUNDS) for time_ in await asked(some, keys)]))
    for connection in connections:
        await connection.close()
    return found


def memory() -> list[float]:
    """Times in this process."""
    rate, times = Rate(), []
    for _ in range(ROUNDS * EACH):
        began = time.perf_counter()
        rate.wait_s("key_0", PER_MINUTE, time.monotonic())
        times.append(time.perf_counter() - began)
    return times


def main() -> None:
    """Measure, and print a table."""
    with cluster(durable=True) as server:
        url = server.new().replace("postgresql+psycopg:", "postgresql:")
        rows = [("in memory, as it is", memory()), *asyncio.run(database(url))]
    for name, times in rows:
        cuts = statistics.quantiles(times, n=100)
        print(f"{name:40} p50 {cuts[49] * 1e6:9.1f} us   p95 {cuts[94] * 1e6:9.1f} us")


if __name__ == "__main__":
    main()
