"""A node of a Ray cluster is lost, and another one comes, while people ask: what fails, and for how long.

`python bench/ray_serve.py --ray PYTHON [--clients 4] [--seconds 30]`: PYTHON is that of an environment with
`ray[serve]` (`python -m venv E; E/bin/pip install "ray[serve]==2.60.0"`). Two nodes on this machine, and
deploy/ray/small.yaml on them, which is llama.cpp with the small test model in each of two replicas (`make upstream`);
the gateway before it with VLPRO_UPSTREAM_URL. Clients ask about a picture, one question after the other. Then the
second node gets SIGKILL, with all of its processes; later a third one is added.
"""

from __future__ import annotations

import argparse
import base64
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
from running import ROOT, Service, free_port

sys.path.insert(0, str(ROOT))

from tests.functional.server import picture_file

HEAD, PLACES = (
    "127.0.0.2",
    ("127.0.0.3", "127.0.0.4"),
)  # Ray takes 127.0.0.1 for the machine's address outside


class Node:
    """``ray start``."""

    def __init__(self, python: Path, log: Path, *arguments: str) -> None:
        command = [str(python.with_name("ray")), "start", "--block", "--num-cpus=1", *arguments]
        command += ["--object-store-memory=80000000", "--include-log-monitor=false", "--disable-usage-stats"]
        environment = os.environ | {
            "RAY_USAGE_STATS_ENABLED": "0",
            "PYTHONPATH": str(ROOT),
            # By itself Ray Serve asks the replica on its own node first: the other one would have little to lose.
            "RAY_SERVE_PROXY_PREFER_LOCAL_NODE_ROUTING": "0",
        }
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                command, stdout=out, stderr=out, env=environment, start_new_session=True, cwd=ROOT
            )
        deadline = time.monotonic() + 120
        while "Ray runtime started" not in log.read_text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(log.read_text())
            time.sleep(0.1)

    def kill(self) -> None:
        """As when its machine is gone."""
        if self.process.poll() is not None:
            return
        node = psutil.Process(self.process.pid)
        for process in [*node.children(recursive=True), node]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()


@contextmanager
def cluster(python: Path, folder: Path) -> Iterator[tuple[str, list[Node]]]:
    """A cluster of two nodes; its address, and its nodes, of which the first is the head."""
    temporary = tempfile.mkdtemp(prefix="ray")  # paths of Unix sockets are short
    port = free_port()
    first = ("--head", f"--node-ip-address={HEAD}", f"--port={port}", f"--temp-dir={temporary}")
    nodes: list[Node] = []
    try:
        dashboard = free_port()
        nodes.append(Node(python, folder / "head", *first, f"--dashboard-port={dashboard}"))
        nodes.append(another(python, folder, f"{HEAD}:{port}", 0))
        yield f"{HEAD}:{port} http://127.0.0.1:{dashboard}", nodes
    finally:
        for node in reversed(nodes):
            node.kill()
        shutil.rmtree(temporary, ignore_errors=True)


def another(python: Path, folder: Path, address: str, place: int) -> Node:
    return Node(python, folder / f"node{place}", f"--address={address}", f"--node-ip-address={PLACES[place]}")


class Load:
    """Clients that ask the gateway about a picture, again and again."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[tuple[float, float, str]] = []  # when it began, seconds, what failed
        self._over = threading.Event()
        picture = base64.b64encode(picture_file(64, 64)).decode()
        parts = [
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}},
            {"type": "text", "text": "What is in the picture?"},
        ]
        self._body = {
            "model": "seeing",
            "max_tokens": 8,
            "messages": [{"role": "user", "content": parts}],
        }

    @contextmanager
    def running(self, clients: int) -> Iterator[None]:
        threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join(120)

    def _ask(self) -> None:
        with httpx.Client(base_url=self.url, timeout=90, trust_env=False) as http:
            while not self._over.is_set():
                began, failed = time.monotonic(), ""
                try:
                    answer = http.post("/v1/chat/completions", json=self._body)
                    if answer.status_code != httpx.codes.OK:
                        failed = f"{answer.status_code} {answer.json()['error']['code']}"
                        time.sleep(0.2)
                except httpx.HTTPError as error:
                    failed = type(error).__name__
                self.asked.append((began, time.monotonic() - began, failed))


def row(name: str, asked: list[tuple[float, float, str]], lasted: float, since: float) -> str:
    took = [seconds for _, seconds, failed in asked if not failed]
    failures = Counter(failed for _, _, failed in asked if failed)
    why = ", ".join(f"{count} × {what}" for what, count in failures.items()) or "0"
    last = max([began + seconds - since for began, seconds, failed in asked if failed], default=0.0)
    cut = statistics.quantiles(took, n=20)[18] if len(took) > 1 else float("nan")
    middle = statistics.median(took) if took else float("nan")
    return f"| {name} | {len(asked)} | {why} | {len(took) / lasted:.1f} | {middle:.2f} | {cut:.2f} | {last:.1f} |"


def serve(python: Path, dashboard: str, *arguments: str) -> str:
    """The command ``serve``."""
    command = [str(python.with_name("serve")), *arguments, "--address", dashboard]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout + done.stderr


def await_replicas(python: Path, dashboard: str, wanted: int) -> float:
    """Wait until so many replicas run; returns the seconds that took."""
    began, said = time.monotonic(), ""
    while time.monotonic() - began < 240:
        said = serve(python, dashboard, "status")
        if f"RUNNING: {wanted}" in said:
            return time.monotonic() - began
        time.sleep(0.5)
    raise RuntimeError(said)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ray", type=Path, required=True, help="Python of an environment with ray[serve]")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args()
    python, wait = options.ray.absolute(), options.seconds
    with tempfile.TemporaryDirectory() as made, cluster(python, Path(made)) as (addresses, nodes):
        folder, (address, dashboard) = Path(made), addresses.split()
        port = free_port()
        config = folder / "small.yaml"
        text = (ROOT / "deploy" / "ray" / "small.yaml").read_text().replace("port: 8000", f"port: {port}")
        config.write_text(text)
        print(serve(python, dashboard, "deploy", str(config)).strip().splitlines()[-1], flush=True)
        took = await_replicas(python, dashboard, 2)
        print(
            f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; two replicas after {took:.0f} s\n",
            flush=True,
        )
        service = Service(
            folder,
            ENGINE="openai",
            UPSTREAM_URL=f"http://127.0.0.1:{port}/v1",
            UPSTREAM_MODEL="seeing",
            UPSTREAM_CONTEXT_TOKENS="4096",
            UPSTREAM_CONCURRENCY="8",
        )
        service.start()
        try:
            load = Load(service.url)
            print("| | questions | failed | answered/s | p50 s | p95 s | last failure after, s |", flush=True)
            print("|---|---|---|---|---|---|---|", flush=True)
            with load.running(options.clients):
                for name in ("two nodes", "one killed", "one added"):
                    first, began = len(load.asked), time.monotonic()
                    added = 0.0
                    if name == "one killed":
                        nodes[1].kill()
                    if name == "one added":
                        nodes.append(another(python, folder, address, 1))
                        await_replicas(python, dashboard, 2)
                        added = time.monotonic() - began
                    time.sleep(wait)
                    lasted = time.monotonic() - began
                    print(row(name, load.asked[first:], lasted, began), flush=True)
                    if added:
                        print(f"\nSecond replica on the new node after {added:.0f} s.", flush=True)
        finally:
            service.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
