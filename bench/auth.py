# ruff: noqa: E402, S311
"""What finding out who asks adds to a request, with a company's worth of accounts, sessions and keys.

`python bench/auth.py [--database postgresql://…]`; without an address SQLite and, where Debian's server is installed,
a PostgreSQL of the benchmark's own. The peer is the same request in profile local, which asks nobody.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.browser.server import free_port
from tests.functional.company import settings_of
from tests.people import World
from tests.postgresql import BINARIES, cluster
from vlpro.crypto import read_key_file
from vlpro.db import Database, sqlite_url
from vlpro.errors import UnauthenticatedError
from vlpro.gateway import cookies
from vlpro.identity import tables
from vlpro.identity.service import Identity
from vlpro.identity.tokens import digest, new_id, new_token

ACCOUNTS, SESSIONS, KEYS = 10_000, 50_000, 100_000
ROUNDS, EACH = 5, 400
HERE = "127.0.0.1"
REPLICAS = 2


def fill(database: Database) -> tuple[list[str], list[str], list[str]]:
    """Write everything; returns tokens of sessions, secrets of keys, and the keys' ids."""
    chosen, now = random.Random(5), time.time()
    people = [f"usr_{number:024x}" for number in range(ACCOUNTS)]
    sessions, secrets = [new_token() for _ in range(SESSIONS)], ["vlp_" + new_token() for _ in range(KEYS)]
    ids = [new_id("key") for _ in range(KEYS)]
    common = {"source": "local", "department": "Works 2", "level": 1, "must_change": False, "active_at": now}
    rows: dict[sa.Table, list[dict[str, Any]]] = {
        tables.accounts: [
            common | {"id": p, "login": f"person{n}", "name": f"Person {n}", "created_at": now}
            for n, p in enumerate(people)
        ],
        tables.role_grants: [{"account": p, "role": "user", "granted_at": now} for p in people],
        tables.sessions: [
            {
                "id": new_id("ses"),
                "token": digest(t),
                "account": chosen.choice(people),
                "created_at": now,
                "seen_at": now,
                "expires_at": now + 28_800,
                "address": "127.0.0.1",
                "agent": "x",
                "factor": "totp",
            }
            for t in sessions
        ],
        tables.keys: [
            {
                "id": i,
                "token": digest(s),
                "prefix": s[:8],
                "account": chosen.choice(people),
                "name": "bench",
                "scopes": ["chat:answer:create", "engine:status:read"],
                "addresses": [],
                "requests_per_minute": 100_000,
                "tokens_per_day": 10**9,
                "created_at": now,
                "used_at": now,
                "expires_at": now + 86_400,
            }
            for i, s in zip(ids, secrets, strict=True)
        ],
    }
    with database.write() as connection:
        for table, values in rows.items():
            for begin in range(0, len(values), 5000):
                connection.execute(sa.insert(table), values[begin : begin + 5000])
        if not database.sqlite:
            connection.execute(sa.text("ANALYZE"))
    return sessions, secrets, ids


def millis(work: Callable[[int], object], count: int) -> list[float]:
    """Milliseconds of each of so many calls."""
    spent = []
    for number in range(count):
        began = time.perf_counter()
        work(number)
        spent.append((time.perf_counter() - began) * 1000)
    return spent


def shown(spent: list[float]) -> str:
    ordered = sorted(spent)
    return f"{statistics.median(ordered):8.3f} {ordered[int(len(ordered) * 0.95)]:8.3f} {ordered[-1]:8.2f}"


def inside(identity: Identity, sessions: list[str], secrets: list[str]) -> None:
    """The question itself, without HTTP."""
    who = identity.authentication.who
    for name, tokens in (("session", sessions), ("key", secrets)):
        cold = iter(random.Random(7).sample(tokens, ROUNDS * EACH))
        spent = millis(lambda _, cold=cold: who(next(cold), HERE), ROUNDS * EACH)
        print(f"  {name:<8} asked of the database  {shown(spent)}")
        spent = millis(lambda _, one=tokens[0]: who(one, HERE), 5000)
        print(f"  {name:<8} remembered             {shown(spent)}")


@contextmanager
def served(settings: dict[str, str]) -> Iterator[httpx.Client]:
    """The product in a process of its own; a client to it."""
    port = free_port()
    named = {f"VLPRO_{name}": value for name, value in {"ENGINE": "fake", **settings}.items()}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VLPRO_")} | named
    command = [sys.executable, "-m", "vlpro", "serve", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            while True:
                assert process.poll() is None
                try:
                    if http.get("/readyz").status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                time.sleep(0.1)
            yield http
    finally:
        process.terminate()
        process.wait(20)


def over_http(local: httpx.Client, company: httpx.Client, sessions: list[str], secrets: list[str]) -> None:
    """The same request to both profiles, in turns."""
    rows: dict[str, list[float]] = {}
    chosen = random.Random(9)

    def ask(client: Any, **headers: str) -> Callable[[int], object]:
        def once(_: int) -> None:
            assert client.get("/v1/models", headers=headers).status_code == 200

        return once

    def ask_cold(name: str, form: str, tokens: list[str]) -> Callable[[int], object]:
        def once(_: int) -> None:
            headers = {name: form.format(chosen.choice(tokens))}
            assert company.get("/v1/models", headers=headers).status_code == 200

        return once

    warm_key, warm_session = secrets[0], sessions[0]
    kinds: dict[str, Callable[[int], object]] = {
        "profile local": ask(local),
        "a key, remembered": ask(company, authorization=f"Bearer {warm_key}"),
        "a session, remembered": ask(company, cookie=f"{cookies.SESSION}={warm_session}"),
        "a key, another each time": ask_cold("authorization", "Bearer {}", secrets),
        "a session, another each time": ask_cold("cookie", cookies.SESSION + "={}", sessions),
    }
    for _ in range(ROUNDS):
        for name, work in kinds.items():
            rows.setdefault(name, []).extend(millis(work, EACH))
    base = statistics.median(rows["profile local"])
    for name, spent in rows.items():
        print(f"  {name:<31} {shown(spent)}   + {statistics.median(spent) - base:6.3f}")


def revoked(first: Identity, replicas: list[Identity], ids: list[str], secrets: list[str]) -> None:
    """How long after its revocation a key still works anywhere."""
    spent = []
    for number in range(20):
        secret = secrets[-1 - number]
        owner = {replica.authentication.who(secret, HERE).account for replica in replicas}.pop()
        first.keys.revoke(ids[-1 - number], owner)
        began = time.perf_counter()
        waiting = list(replicas)
        while waiting:
            for replica in list(waiting):
                try:
                    replica.authentication.who(secret, HERE)
                except UnauthenticatedError:
                    waiting.remove(replica)
            time.sleep(0.005)
        spent.append(time.perf_counter() - began)
    median = statistics.median(spent)
    print(f"  a revoked key stops on {len(replicas)} replicas after {median:.2f} s (most {max(spent):.2f})")


def measure(name: str, url: str, folder: Path) -> None:
    settings = settings_of(folder, database_url=url)
    database = Database(url)
    database.migrate()
    began = time.perf_counter()
    sessions, secrets, ids = fill(database)
    took = time.perf_counter() - began
    print(f"\n{name}: {ACCOUNTS:,} accounts, {SESSIONS:,} sessions, {KEYS:,} keys (written in {took:.0f} s)")
    print("  milliseconds                       median      p95      max")
    world = World(url, key=read_key_file(folder / "key", folder / "data"), clock=time.time)
    inside(world.identity, sessions, secrets)
    database.close()
    accounts = {
        "PROFILE": "mlps3",
        "DATABASE_URL": url,
        "DATA_DIR": str(settings.data_dir),
        "KEY_FILE": str(settings.key_file),
        "PUBLIC_URL": settings.public_url,
        "TRUSTED_PROXIES": '["127.0.0.9/32"]',
    }
    with served({}) as local, served(accounts) as company:
        over_http(local, company, sessions, secrets)
    replicas = [world.another() for _ in range(REPLICAS)]
    revoked(world.identity, replicas, ids, secrets)


def main() -> None:
    logging.disable(logging.WARNING)  # refusals are what is measured last
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", help="postgresql:// URL of an empty database")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.database:
            measure("The database given", options.database, Path(folder))
            return
        measure("SQLite", sqlite_url(Path(folder)), Path(folder))
        if BINARIES is not None:
            with cluster() as server:
                measure("PostgreSQL, by a Unix socket", server.new(), Path(folder))


if __name__ == "__main__":
    main()
