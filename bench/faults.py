# ruff: noqa: S311, S607 - the dice are for a workload; mount is where the system has it
"""What is lost when things end: gateway, worker, shipper and database are killed at random moments, under load.

`python bench/faults.py [--sqlite] [--seconds 600] [--clients 8] [--seed 1]`: the service (engine ocr) with its audit
on a PostgreSQL of the benchmark's own that waits for its disk, a shipper, and the stand-in for Elasticsearch. Every
few seconds one of them gets SIGKILL, or the worker loses the right to more memory in the middle of its work. With
--sqlite (as root) the audit is a SQLite on a small file system of its own, which fills up; where libfaketime is
installed, the service's clock jumps an hour. Whoever ends is started again, as systemd would. At the end all is
checked: every answer that a client holds whole is on the record, once; the chain verifies; what was shipped is what
is here.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import sqlalchemy as sa
from load import receipt
from running import ROOT, Service

sys.path.insert(0, str(ROOT))

from tests.elastic.server import ElasticServer
from tests.postgresql import Cluster, cluster
from tests.shipping import same
from vlpro.audit.events import Event
from vlpro.audit.tables import records
from vlpro.db import Database, sqlite_url

EVERY_S = (4.0, 12.0)
PATIENCE_S = 60.0
FULL_S = 3.0
DISK = "64M"
FAKETIME = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)


@dataclass
class Seen:
    """What the clients saw."""

    acknowledged: set[str] = field(default_factory=set)  # ids of requests whose answer came whole
    failed: Counter[str] = field(default_factory=Counter)
    outages: dict[str, list[float]] = field(
        default_factory=dict
    )  # seconds from the fault to the next whole answer


async def client(url: str, pictures: list[str], dice: random.Random, seen: Seen, end: float) -> None:
    """Asks, again and again; a failure is noted, and asked again."""
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S, trust_env=False) as http:
        while time.monotonic() < end:
            stream = dice.random() < 0.5
            content = [
                {"type": "image_url", "image_url": {"url": dice.choice(pictures)}},
                {"type": "text", "text": "What is the total?"},
            ]
            body = {"model": "vlpro", "stream": stream, "messages": [{"role": "user", "content": content}]}
            try:
                answer = await http.post("/v1/chat/completions", json=body)
            except httpx.HTTPError as error:
                seen.failed[type(error).__name__] += 1
                await asyncio.sleep(0.2)
                continue
            whole = "data: [DONE]" in answer.text if stream else '"finish_reason"' in answer.text
            if answer.status_code == httpx.codes.OK and whole:
                seen.acknowledged.add(answer.headers["x-request-id"])
            else:
                broken = answer.status_code == httpx.codes.OK
                seen.failed["a stream that ends with an error" if broken else str(answer.status_code)] += 1
                await asyncio.sleep(0.2)


class Scene:
    """All that runs, and what is done to it."""

    def __init__(self, folder: Path, database: Cluster | None, elastic: ElasticServer) -> None:
        self.database = database
        self.service = Service(folder, ENGINE="ocr")
        if database is not None:
            self.url = database.new()
            self.service.environment["VLPRO_AUDIT_DATABASE_URL"] = self.url
        else:
            self.url = sqlite_url(self.service.data, "audit")
        ship = {"url": f"http://127.0.0.1:{elastic.port}", "batch": 100, "most_wait_s": 1.0}
        self.ship_environment = self.service.environment | {"VLPRO_AUDIT_SHIP": json.dumps(ship)}
        self.shipper: subprocess.Popen[bytes] | None = None
        self.clock = folder / "clock"
        self.hours = 0
        self.clock.write_text("+0\n")
        if FAKETIME is not None:
            self.service.environment |= {
                "LD_PRELOAD": str(FAKETIME),
                "FAKETIME_TIMESTAMP_FILE": str(self.clock),
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }

    def faults(self) -> dict[str, Callable[[], None]]:
        """What can be done to it."""
        found = {
            "gateway killed": self.kill_gateway,
            "worker killed": self.kill_worker,
            "worker out of memory": self.starve_worker,
            "shipper killed": self.kill_shipper,
        }
        if FAKETIME is not None:
            found["clock an hour off"] = self.move_clock
        if self.database is not None:
            return found | {"database killed": self.kill_database}
        return found | {"disk full": self.fill_disk}

    def ship(self) -> None:
        """Start the shipper."""
        with (self.service.folder / "shipper.log").open("ab") as log:
            self.shipper = subprocess.Popen(
                [sys.executable, "-m", "vlpro", "audit", "ship"],
                cwd=ROOT,
                env=self.ship_environment,
                stdout=log,
                stderr=log,
            )

    def kill_gateway(self) -> None:
        """And start it again; its worker must end by itself."""
        self.service.kill()
        self.service.start()

    def kill_worker(self) -> None:
        """The gateway must start another one."""
        for worker in self.service.workers()[:1]:
            worker.kill()

    def starve_worker(self) -> None:
        """It may have no more memory than it has."""
        for worker in self.service.workers()[:1]:
            with suppress(psutil.NoSuchProcess):
                now = worker.memory_info().vms
                worker.rlimit(resource.RLIMIT_AS, (now, now))

    def kill_shipper(self) -> None:
        """And start it again."""
        if self.shipper is not None:
            self.shipper.kill()
            self.shipper.wait()
        self.ship()

    def kill_database(self) -> None:
        """And start it again."""
        assert self.database is not None
        self.database.kill()
        self.database.start()

    def move_clock(self) -> None:
        """Back, and later on again."""
        self.hours = 0 if self.hours else -1
        self.clock.write_text(f"{self.hours}h\n" if self.hours else "+0\n")

    def fill_disk(self) -> None:
        """For a while there is no byte left."""
        hog = self.service.data / "hog"
        with suppress(OSError), hog.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        time.sleep(FULL_S)
        hog.unlink()

    def restarted(self) -> None:
        """Whoever ended on his own account is started again, as systemd does it."""
        if self.service.process is not None and self.service.process.poll() is not None:
            self.service.start()
        if self.shipper is not None and self.shipper.poll() is not None:
            self.ship()

    def stop(self) -> None:
        """End all."""
        self.service.stop()
        if self.shipper is not None:
            self.shipper.terminate()
            self.shipper.wait(30)


async def harm(scene: Scene, dice: random.Random, seen: Seen, end: float) -> Counter[str]:
    """One fault after another, until the end."""
    faults = scene.faults()
    done: Counter[str] = Counter()
    while time.monotonic() < end:
        await asyncio.sleep(dice.uniform(*EVERY_S))
        name = dice.choice(list(faults))
        began, before = time.monotonic(), len(seen.acknowledged)
        await asyncio.to_thread(faults[name])
        done[name] += 1
        while len(seen.acknowledged) == before and time.monotonic() < began + PATIENCE_S:
            await asyncio.to_thread(scene.restarted)
            await asyncio.sleep(0.05)
        seen.outages.setdefault(name, []).append(time.monotonic() - began)
    return done


async def run(scene: Scene, clients: int, seconds: float, seed: int) -> tuple[Seen, Counter[str]]:
    seen, end = Seen(), time.monotonic() + seconds
    pictures = [receipt(640, 480, n, "PNG") for n in range(200)]
    asking = [
        asyncio.create_task(client(scene.service.url, pictures, random.Random(f"{seed} {n}"), seen, end))
        for n in range(clients)
    ]
    done = await harm(scene, random.Random(seed), seen, end - 15)
    await asyncio.gather(*asking)
    return seen, done


def checked(scene: Scene, elastic: ElasticServer, seen: Seen) -> bool:
    """Compare what the clients hold with the record, and the record with its copy."""
    scene.service.stop()  # signs a last checkpoint
    deadline = time.monotonic() + PATIENCE_S
    while not (shipped := same(scene.url, elastic)) and time.monotonic() < deadline:
        scene.restarted()
        time.sleep(0.5)
    database = Database(scene.url)
    with database.read() as connection:
        said = [json.loads(row) for row in connection.scalars(sa.select(records.c.data))]
    database.close()
    whole = Counter(
        each["request"] for each in said if each["event"] == Event.ANSWERED and each["outcome"] == "ok"
    )
    asked = Counter(each["request"] for each in said if each["event"] == Event.ASKED)
    lost = [each for each in seen.acknowledged if not whole[each] or not asked[each]]
    twice = [
        each for each, times in (whole + asked).items() if whole[each] > 1 or asked[each] > 1 or not times
    ]
    verified = subprocess.run(
        [sys.executable, "-m", "vlpro", "audit", "verify"],
        cwd=ROOT,
        env=scene.service.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    chain = "verified" if not verified.returncode else verified.stdout
    print(
        f"\n{len(said):,} records, {len(seen.acknowledged):,} whole answers in the clients' hands: {len(lost)} not on"
        f" the record, {len(twice)} there twice. Chain: {chain}. "
        f"Shipped: {'the same' if shipped else 'NOT the same'}."
    )
    return not lost and not twice and not verified.returncode and shipped


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sqlite", action="store_true")
    options = parser.parse_args()
    server = ElasticServer()
    server.install(ROOT / "deploy" / "elk")
    print(
        f"{os.cpu_count()} cores; {options.clients} clients for {options.seconds:g} s; seed {options.seed}\n"
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        nullcontext() if options.sqlite else cluster(durable=True) as database,
        server.running() as elastic,
    ):
        scene = Scene(Path(folder), database, elastic)
        if options.sqlite:
            scene.service.data.mkdir()
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(scene.service.data)], check=True
            )
        try:
            scene.service.start()
            scene.ship()
            seen, done = asyncio.run(run(scene, options.clients, options.seconds, options.seed))
            print("| fault | times | next whole answer after, median s | most s |\n|---|---|---|---|")
            for name, times in sorted(done.items()):
                out = seen.outages[name]
                print(f"| {name} | {times} | {statistics.median(out):.1f} | {max(out):.1f} |")
            print("\nrequests without an answer:", dict(seen.failed))
            good = checked(scene, elastic, seen)
        finally:
            scene.stop()
            if options.sqlite:
                subprocess.run(["umount", str(scene.service.data)], check=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
