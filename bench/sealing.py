# ruff: noqa: E402
"""What the seal costs: at the start, per request, and per byte of an upstream (`python bench/sealing.py`).

Engine fake on this machine, one client, sealed and not in turn; the relay against a direct connection to the same
server. Medians of five starts, of 300 requests, of five times 64 MB.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from vlpro.sealing import outside, relay

STARTS, REQUESTS, BYTES, CONNECTIONS = 5, 300, 64_000_000, 200


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def started(folder: str, port: int, *options: str) -> subprocess.Popen[bytes]:
    environment = os.environ | {
        "VLPRO_ENGINE": "fake",
        "VLPRO_DATA_DIR": folder,
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "vlpro", "serve", "--port", str(port), *options]
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def serve_once(*options: str) -> tuple[float, float, float, float]:
    """Seconds until it answers, seconds of a core that it took, and medians of a status and of a question, ms."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, httpx.Client(trust_env=False, timeout=30) as http:
        began = time.perf_counter()
        process = started(folder, port, *options)
        base = f"http://127.0.0.1:{port}"
        while True:
            try:
                if http.get(f"{base}/readyz").is_success:
                    break
            except httpx.HTTPError:
                time.sleep(0.02)
        start = time.perf_counter() - began
        core = sum(psutil.Process(process.pid).cpu_times()[:2])
        question = {"model": "vlpro-fake", "messages": [{"role": "user", "content": "hi"}]}
        status = timed(lambda: http.get(f"{base}/v1/status"))
        answer = timed(lambda: http.post(f"{base}/v1/chat/completions", json=question))
        process.terminate()
        process.wait(30)
    return start, core, status, answer


def timed(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1000


def far_side() -> tuple[socket.socket, str]:
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)

    def one(connection: socket.socket) -> None:
        with connection:
            size = int(connection.recv(20) or b"0")
            connection.sendall(bytes(size))

    def run() -> None:
        while True:
            threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=run, daemon=True).start()
    return listener, outside.destination("127.0.0.1", listener.getsockname()[1])


def fetched(where: str, size: int) -> float:
    began = time.perf_counter()
    with outside.connection(where, 30) as ours:
        ours.sendall(b"%d" % size)
        while ours.recv(262_144):
            pass
    return time.perf_counter() - began


def main() -> None:
    print(f"{'':10}{'ready s':>10}{'core s':>10}{'status ms':>12}{'question ms':>13}")
    plain, sealed = [], []
    for _ in range(STARTS):
        plain.append(serve_once())
        sealed.append(serve_once("--sealed"))
    for name, runs in (("unsealed", plain), ("sealed", sealed)):
        start, core, status, answer = (statistics.median(values) for values in zip(*runs, strict=True))
        print(f"{name:10}{start:10.2f}{core:10.2f}{status:12.2f}{answer:13.2f}")
    listener, where = far_side()
    print(f"\n{'':10}{'MB/s':>10}{'connection and 1 byte, ms':>28}")
    for name in ("direct", "relay"):
        control = None
        if name == "relay":
            control, _ = relay.start([where])
            outside.through(control)
        rate = statistics.median(BYTES / fetched(where, BYTES) / 1e6 for _ in range(5))
        small = statistics.median(fetched(where, 1) for _ in range(CONNECTIONS)) * 1000
        print(f"{name:10}{rate:10.0f}{small:28.2f}")
        if control is not None:
            outside.through(None)
            control.close()
    listener.close()


if __name__ == "__main__":
    main()
