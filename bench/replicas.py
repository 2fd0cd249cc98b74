"""Two replicas behind nginx while one is restarted in order, and while one is killed: what fails, and for how long.

`python bench/replicas.py [--clients 6] [--seconds 20]`: the shipped nginx, two `vlpro serve` in profile mlps3 with
engine fake, and a PostgreSQL of the benchmark's own that waits for its disk. Programs ask one question after the
other, every third about a picture, every other one streamed, each over a connection of its own. Each phase lasts as
long as is said: both replicas; one taken out of nginx and stopped in order, and started again; both again; one killed
(SIGKILL). At the end each answer that came whole is looked up on the record, and the record is verified.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from running import ROOT

sys.path.insert(0, str(ROOT))

from tests.functional.server import picture_file
from tests.postgresql import cluster
from tests.replicas import Asked, Load, Scene, running


def restarted(scene: Scene) -> None:
    """In order, as docs/replicas.md says."""
    scene.take_out(0)
    scene.replicas[0].stop()
    scene.replicas[0].start()
    scene.replicas[0].wait()
    scene.take_in(0)


def row(name: str, asked: list[Asked], seconds: float, outage: float | None) -> str:
    took = [one.seconds * 1000 for one in asked if not one.failed]
    cut = statistics.quantiles(took, n=20)[18] if len(took) > 1 else float("nan")
    failed: dict[str, int] = {}
    for one in asked:
        if one.failed:
            failed[one.failed] = failed.get(one.failed, 0) + 1
    why = ", ".join(f"{count} × {what}" for what, count in failed.items()) or "0"
    longest = f"{outage * 1000:.0f}" if outage is not None else ""
    return (
        f"| {name} | {len(asked):,} | {why} | {len(asked) / seconds:.0f} | {statistics.median(took):.0f} | {cut:.0f} "
        f"| {max(took):.0f} | {longest} |"
    )


def outage_of(asked: list[Asked], since: float) -> float:
    """Seconds from a moment until the last failure after it had come back; 0: nothing failed."""
    return max([one.began + one.seconds - since for one in asked if one.failed], default=0.0)


def phase(load: Load, name: str, seconds: float, act: Callable[[], None] | None = None) -> str:
    first, began = len(load.asked), time.monotonic()
    time.sleep(seconds / 4)
    acted = time.monotonic()
    if act is not None:
        act()
    time.sleep(max(0.0, seconds - (time.monotonic() - began)))
    asked, lasted = load.asked[first:], time.monotonic() - began
    return row(name, asked, lasted, None if act is None else outage_of(asked, acted))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="two") as folder,
        cluster(durable=True) as database,
        running(Path(folder), database.new(), fake_delay_s="0.01") as scene,
    ):
        load = Load(scene, options.clients, (b"", b"", picture_file(640, 480)))
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before; {options.clients} clients\n")
        print("| | requests | failed | /s | p50 ms | p95 ms | most ms | last failure after, ms |")
        print("|---|---|---|---|---|---|---|---|")
        with load.running():
            print(phase(load, "both", options.seconds), flush=True)
            print(
                phase(load, "one restarted in order", options.seconds, lambda: restarted(scene)), flush=True
            )
            print(phase(load, "both again", options.seconds), flush=True)
            print(phase(load, "one killed", options.seconds, scene.replicas[1].kill), flush=True)
        asked, answered = scene.recorded()
        lost = [one for one in load.acknowledged if (asked[one], answered[one]) != (1, 1)]
        verified = scene.verified()
    chain = "verified" if not verified.returncode else verified.stderr
    print(
        f"\n{len(load.acknowledged):,} answers in the clients' hands, {len(lost)} not on the record; "
        f"{len(asked):,} asked on the record of {len(load.asked):,} sent. Chain: {chain}. "
        f"Load {os.getloadavg()[0]:.1f} after."
    )
    return 1 if lost or verified.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
