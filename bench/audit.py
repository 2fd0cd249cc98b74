# ruff: noqa: E402
"""What the audit costs: durable records a second, the wait of who records, and a verification of the whole record.

`python bench/audit.py [--records N] [--seconds S] [--rounds N]`: SQLite and, where Debian's server is installed, a
PostgreSQL of the benchmark's own that waits for its disk. The peer is one plain INSERT and COMMIT for each record,
into the same table, without chain, hashes or groups.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import sqlalchemy as sa

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.postgresql import BINARIES, cluster
from vlpro.audit.checkpoint import public_key
from vlpro.audit.events import Event
from vlpro.audit.log import AuditLog, last_record
from vlpro.audit.proof import prove
from vlpro.audit.record import FIRST, Actor, Entry, make
from vlpro.audit.service import MIGRATIONS, open_log
from vlpro.audit.sources import DatabaseSource
from vlpro.audit.tables import checkpoints, records
from vlpro.audit.tree import Frontier
from vlpro.audit.verify import verify
from vlpro.crypto import Sealer
from vlpro.db import Database, sqlite_url

WRITERS, PACE = 64, 5000
SEALER = Sealer(b"k" * 32)


def entry(number: int) -> Entry:
    """A question, as it is recorded: 430 bytes or so."""
    actor = Actor(
        "acc_1", f"person{number % 100}", "user", f"ses_{number % 300}", "", f"req_{number}", "10.0.0.7"
    )
    return Entry(Event.ASKED, actor, object=f"msg_{number}", detail={"sha256": "0" * 64, "tokens": number})


def closed(
    record: Callable[[int, int], object], seconds: float, writers: int = WRITERS
) -> tuple[float, list[float]]:
    """Each writer records as soon as it may again: records a second, and the time that each took, ms."""
    took: list[list[float]] = [[] for _ in range(writers)]
    end = time.perf_counter() + seconds

    def work(writer: int) -> None:
        n = 0
        while (began := time.perf_counter()) < end:
            record(writer, n)
            took[writer].append((time.perf_counter() - began) * 1e3)
            n += 1

    run(work, writers)
    every = [ms for each in took for ms in each]
    return len(every) / seconds, every


def paced(record: Callable[[int, int], object], seconds: float) -> tuple[float, list[float]]:
    """All writers together offer 5,000 a second; a record's time counts from when it was due, ms."""
    took: list[list[float]] = [[] for _ in range(WRITERS)]
    begin, step = time.perf_counter() + 0.2, WRITERS / PACE

    def work(writer: int) -> None:
        for n in range(int(seconds / step)):
            due = begin + n * step + writer / PACE
            if (wait := due - time.perf_counter()) > 0:
                time.sleep(wait)
            record(writer, n)
            took[writer].append((time.perf_counter() - due) * 1e3)

    run(work, WRITERS)
    every = [ms for each in took for ms in each]
    return len(every) / (time.perf_counter() - begin), every


async def busy(log: AuditLog, seconds: float) -> tuple[float, list[float]]:
    """As :func:`closed`, by tasks on an event loop, as the service does it."""
    took: list[float] = []
    end = time.perf_counter() + seconds

    async def work(writer: int) -> None:
        n = 0
        while (began := time.perf_counter()) < end:
            await log.arecord(entry(n * WRITERS + writer))
            took.append((time.perf_counter() - began) * 1e3)
            n += 1

    await asyncio.gather(*map(work, range(WRITERS)))
    return len(took) / seconds, took


async def tasks(log: AuditLog, seconds: float) -> tuple[float, list[float]]:
    """As :func:`paced`, by tasks on an event loop, as the service does it."""
    took: list[float] = []
    begin, step = time.perf_counter() + 0.2, WRITERS / PACE

    async def work(writer: int) -> None:
        for n in range(int(seconds / step)):
            due = begin + n * step + writer / PACE
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            await log.arecord(entry(n * WRITERS + writer))
            took.append((time.perf_counter() - due) * 1e3)

    await asyncio.gather(*map(work, range(WRITERS)))
    return len(took) / (time.perf_counter() - begin), took


def run(work: Callable[[int], None], writers: int) -> None:
    threads = [threading.Thread(target=work, args=(writer,)) for writer in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def plain(url: str) -> Callable[[int, int], object]:
    """The peer: one transaction a record, each writer with a connection of its own; on SQLite they take turns."""
    database = Database(url)
    database.migrate(folder=MIGRATIONS)
    turn = threading.Lock() if database.sqlite else nullcontext()
    row = AuditLog.row(make(entry(1), seq=1, prev=FIRST, now=1.7e9))
    statement, numbers = sa.insert(records), itertools.count(1)

    def record(*_: int) -> None:
        mine = row | {"seq": next(numbers)}
        with turn, database.write() as connection:
            connection.execute(statement, mine)

    return record


def line(name: str, rates: list[float], times: list[list[float]]) -> float:
    """One line of the table; returns the median rate."""
    cuts = [statistics.quantiles(each, n=100) for each in times]
    p50, p95, p99 = (statistics.median(cut[at] for cut in cuts) for at in (49, 94, 98))
    rate = statistics.median(rates)
    print(f"| {name} | {rate:,.0f} | {p50:.1f} | {p95:.1f} | {p99:.1f} |", flush=True)
    return rate


def writing(name: str, place: Callable[[str], str], seconds: float, rounds: int) -> None:
    database, peer = Database(place("audit")), plain(place("plain"))
    log = open_log(database, SEALER)
    log.start()
    found: dict[str, tuple[list[float], list[list[float]]]] = {}

    def audit(writer: int, n: int) -> None:
        log.record(entry(n * WRITERS + writer))

    for _ in range(rounds):
        add(found, "plain INSERT + COMMIT, 1 writer", closed(peer, seconds, 1))
        add(found, "plain INSERT + COMMIT, 16 writers", closed(peer, seconds, 16))
        add(found, "audit, 1 writer", closed(audit, seconds, 1))
        add(found, f"audit, {WRITERS} writers", closed(audit, seconds))
        add(found, f"audit, {WRITERS} tasks", asyncio.run(busy(log, seconds)))
        add(found, f"audit, {WRITERS} writers, {PACE:,}/s", paced(audit, seconds))
        add(found, f"audit, {WRITERS} tasks, {PACE:,}/s", asyncio.run(tasks(log, seconds)))
    log.stop()
    rates = {what: line(f"{name}: {what}", *both) for what, both in found.items()}
    ratio = rates[f"audit, {WRITERS} writers"] / max(rate for what, rate in rates.items() if "plain" in what)
    print(f"| {name}: audit, {WRITERS} writers, to the better plain | {ratio:.1f} × | | | |", flush=True)
    verify(DatabaseSource(database), keys=[public_key(SEALER.signing_seed)])
    database.close()


def add(
    found: dict[str, tuple[list[float], list[list[float]]]], what: str, got: tuple[float, list[float]]
) -> None:
    rates, times = found.setdefault(what, ([], []))
    rates.append(got[0])
    times.append(got[1])


def fill(url: str, number: int, entry: Callable[[int], Entry] = entry) -> None:
    """Many records, quickly: what the log would have written, a checkpoint after each thousand."""
    database = Database(url)
    log = open_log(database, SEALER)
    frontier, before, rows = Frontier(), None, []
    with database.write() as connection:
        seq, prev = last_record(connection)
        frontier.append(prev)
        while seq < number:
            made = make(entry(seq), seq=seq + 1, prev=prev, now=1.7e9 + seq / 10)
            seq, prev = made.seq, made.hash
            frontier.append(prev)
            rows.append(log.row(made))
            if seq % 1000 == 0 or seq == number:
                connection.execute(sa.insert(records), rows)
                rows = []
                before = log.signer.sign(frontier, before, made.time)
                values = {
                    "size": seq,
                    "data": before.data,
                    "signature": before.signature,
                    "roots": before.roots,
                }
                connection.execute(sa.insert(checkpoints).values(values))
    database.close()


def verified(url: str) -> None:
    """In a process of its own: seconds and memory of a verification, seconds of proofs."""
    database, key = Database(url), public_key(SEALER.signing_seed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    summary = verify(DatabaseSource(database), keys=[key])
    took, most = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    prove(database, summary.last // 2, key)
    near = time.perf_counter() - began
    began = time.perf_counter()
    prove(database, 1000, key, since=1000)
    print(summary.records, took, before / 1024, most / 1024, near, time.perf_counter() - began)


def reading(name: str, url: str, number: int, rounds: int) -> None:
    fill(url, number)
    command = [sys.executable, __file__, "--verify", url]
    found = []
    for _ in range(rounds):
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
        found.append([float(word) for word in done.stdout.split()])
    count, took, before, most, near, far = (statistics.median(each) for each in zip(*found, strict=True))
    print(
        f"| {name} | {count:,.0f} | {took:.1f} s | {count / took:,.0f}/s | {before:.0f} → {most:.0f} MB "
        f"| {near * 1e3:.0f} ms | {far:.1f} s |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--verify", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.verify:
        verified(options.verify)
        return
    print(f"{os.cpu_count()} cores; medians of {options.rounds} rounds of {options.seconds:g} s\n")
    with tempfile.TemporaryDirectory() as folder, server() as postgresql:
        places = {"SQLite": lambda name: sqlite_url(Path(folder), name)}
        if postgresql is not None:
            places["PostgreSQL"] = lambda _: postgresql.new()
        print("| durable records | /s | median ms | 95 % | 99 % |\n|---|---|---|---|---|")
        for name, place in places.items():
            writing(name, place, options.seconds, options.rounds)
        print(
            "\n| verification | records | time | rate | memory, before → most | a proof | proof to the newest |"
        )
        print("|---|---|---|---|---|---|---|")
        for name, place in places.items():
            reading(name, place("reading"), options.records, options.rounds)


@contextmanager
def server() -> Iterator[object]:
    if BINARIES is None:
        yield None
        return
    with cluster(durable=True) as running:
        yield running


if __name__ == "__main__":
    main()
