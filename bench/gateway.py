"""The gateway's own cost: requests a second and added milliseconds, against a bare server and LiteLLM's proxy.

`python bench/gateway.py [--litellm /path/to/bin/litellm] [--page] [--rounds N] [--seconds S]` prints one table.
All servers run at once, one process each, and take turns within each round, so that a busy moment of the machine
meets all of them. The question is ``count to 20``, alone or with a picture; every answer has the same 20 pieces.

What is compared:

- echo: bare FastAPI that reads JSON and answers at once (bench/echo.py); "added" is what others take beyond it.
- vlpro: this gateway with engine fake, which answers inside the process. It checks the body's every field, decodes
  and hashes each picture, queues, and watches for a client that leaves.
- vlpro openai: this gateway in front of echo, with engine openai: what stands between a client and a model's server.
  A picture is decoded, checked, and encoded anew for the server.
- vlpro page: the first inside the whole application, as `streamlit run app.py` starts it.
- litellm: LiteLLM's proxy in front of echo, a second hop. It passes pictures on as text.
- litellm mock: LiteLLM's proxy answering inside its own process (`mock_response`), without a second hop: the
  stricter comparison.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import psutil
import simplejpeg  # type: ignore[import-untyped]
from http_load import load, post

ROOT = Path(__file__).resolve().parents[1]
CLIENTS = (1, 8, 32)
ANSWER = "".join(f"{number} " for number in range(1, 21))
OURS = """
import sys, uvicorn
from starlette.applications import Starlette
from vlpro.gateway.app import parts
uvicorn.run(Starlette(**parts()), port=int(sys.argv[1]), log_level="warning", access_log=False)
"""


@dataclass
class Server:
    """One process under test; ``model`` is what it calls its model."""

    name: str
    model: str
    command: list[str]
    port: int
    cwd: Path = ROOT
    env: dict[str, str] = field(default_factory=dict)


@dataclass
class Cell:
    """What was measured of one server under one load: all latencies (ms), and of each round requests/s and CPU."""

    latencies: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)

    @property
    def p50(self) -> float:
        """Median latency, ms."""
        return statistics.median(self.latencies)

    @property
    def p99(self) -> float:
        """99th percentile of latency, ms."""
        return statistics.quantiles(self.latencies, n=100)[98]

    @property
    def cpu(self) -> float:
        """Processor time of the server's process for a request, ms, median of the rounds."""
        return statistics.median(self.cpu_ms)

    @property
    def rate(self) -> float:
        """Requests/s, median of the rounds."""
        return statistics.median(self.rates)


Table = dict[tuple[str, int, str], Cell]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def picture(size: int = 100_000) -> bytes:
    """A JPEG of about so many bytes, 1024 by 768: shapes and noise."""
    dice = np.random.default_rng(7)
    smooth = np.kron(dice.integers(0, 255, (12, 16, 3)), np.ones((64, 64, 1)))
    noise = dice.normal(0, 1, (768, 1024, 1))
    low, high, data = 0.0, 60.0, b""
    for _ in range(10):
        pixels = np.clip(smooth + noise * (low + high) / 2, 0, 255).astype(np.uint8)
        data = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), 85, "RGB", "420")
        low, high = ((low + high) / 2, high) if len(data) < size else (low, (low + high) / 2)
    return data


def body(model: str, *, stream: bool, data: bytes | None) -> bytes:
    content: object = "count to 20"
    if data is not None:
        url = f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"
        content = [{"type": "text", "text": content}, {"type": "image_url", "image_url": {"url": url}}]
    return json.dumps(
        {"model": model, "messages": [{"role": "user", "content": content}], "stream": stream}
    ).encode()


def servers(litellm: Path | None, folder: Path, *, page: bool) -> list[Server]:
    echo = Server("echo", "echo", [], free_port(), ROOT / "bench")
    echo.command = [
        *(sys.executable, "-m", "uvicorn", "echo:app", "--port", str(echo.port)),
        *("--log-level", "warning", "--no-access-log"),
    ]
    ours = Server("vlpro", "vlpro", [], free_port(), env={"VLPRO_ENGINE": "fake", "PYTHONPATH": str(ROOT)})
    ours.command = [sys.executable, "-c", OURS, str(ours.port)]
    through = Server("vlpro openai", "vlpro", [], free_port())
    through.env = {
        "VLPRO_ENGINE": "openai",
        "VLPRO_UPSTREAM_URL": f"http://127.0.0.1:{echo.port}/v1",
        "VLPRO_UPSTREAM_MODEL": "echo",
        "PYTHONPATH": str(ROOT),
    }
    through.command = [sys.executable, "-c", OURS, str(through.port)]
    found = [echo, ours, through]
    if page:
        whole = Server("vlpro page", "vlpro", [], free_port(), env=ours.env)
        whole.command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(whole.port)]
        found.append(whole)
    if litellm is not None:
        config = folder / "litellm.json"
        config.write_text(json.dumps(litellm_config(echo.port)))  # JSON is YAML
        logs = folder / "log.json"
        quiet = {"uvicorn.access": {"handlers": [], "propagate": False}}
        logs.write_text(json.dumps({"version": 1, "disable_existing_loggers": False, "loggers": quiet}))
        # Its documentation's production settings; further, no fetch of prices and no access log.
        env = {"LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        env["LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY"] = (
            "true"  # no key to check, as in our profile local
        )
        for name, model in (("litellm", "echo"), ("litellm mock", "mock")):
            port = free_port()
            command = [str(litellm), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
            command += ["--num_workers", "1", "--telemetry", "False", "--log_config", str(logs)]
            found.append(Server(name, model, command, port, folder, env))
    return found


def litellm_config(upstream: int) -> dict[str, object]:
    echo = {"model": "openai/echo", "api_key": "none", "api_base": f"http://127.0.0.1:{upstream}/v1"}
    mock = {"model": "openai/mock", "api_key": "none", "mock_response": ANSWER}
    return {
        "model_list": [
            {"model_name": "echo", "litellm_params": echo},
            {"model_name": "mock", "litellm_params": mock},
        ],
        "litellm_settings": {"request_timeout": 600, "set_verbose": False, "json_logs": True},
    }


@contextmanager
def running(server: Server, folder: Path) -> Iterator[psutil.Process]:
    """Start a server, and end it whatever happens."""
    log = folder / f"{server.name}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            server.command,
            cwd=server.cwd,
            env={**os.environ, **server.env},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        until = time.monotonic() + 180
        while not answers(server):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{server.name} did not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.5)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


def answers(server: Server) -> bool:
    request = post(server.port, "/v1/chat/completions", body(server.model, stream=False, data=None))
    try:
        asyncio.run(load(server.port, request, b"19 20", clients=1, seconds=0))
    except (OSError, RuntimeError):
        return False
    return True


def measure(
    found: list[Server], processes: list[psutil.Process], rounds: int, seconds: float, data: bytes
) -> Table:
    """All cells, the first round of each uncounted."""
    table: Table = {}
    for number in range(rounds + 1):
        for kind in ("JSON, text", "SSE, text", "JSON, picture", "SSE, picture"):
            stream, image = kind.startswith("SSE"), data if kind.endswith("picture") else None
            for clients in CLIENTS:
                for server, process in zip(found, processes, strict=True):
                    sent = post(
                        server.port, "/v1/chat/completions", body(server.model, stream=stream, data=image)
                    )
                    expected = b"[DONE]" if stream else b"19 20"
                    used = cpu(process)
                    began = time.perf_counter()
                    span = seconds if number else min(seconds, 0.5)
                    times = asyncio.run(load(server.port, sent, expected, clients=clients, seconds=span))
                    took = time.perf_counter() - began
                    if number:
                        cell = table.setdefault((kind, clients, server.name), Cell())
                        cell.latencies += times
                        cell.rates.append(len(times) / took)
                        cell.cpu_ms.append((cpu(process) - used) * 1000 / len(times))
    return table


def cpu(process: psutil.Process) -> float:
    """Seconds of processor time of a process with its children."""
    every = [process, *process.children(recursive=True)]
    return float(sum(sum(one.cpu_times()[:2]) for one in every))


def show(table: Table, names: list[str]) -> None:
    print("| load | clients | server | requests/s | p50 ms | p99 ms | added ms | CPU ms/request |")
    print("|---|---|---|---|---|---|---|---|")
    for (kind, clients, name), cell in table.items():
        added = cell.p50 - table[kind, clients, "echo"].p50
        print(
            f"| {kind} | {clients} | {name} | {cell.rate:.0f} | {cell.p50:.2f} | {cell.p99:.2f} | "
            f"{'' if name == 'echo' else f'{added:.2f}'} | {cell.cpu:.2f} |"
        )
    for peer in [name for name in names if name.startswith("litellm")]:
        print(f"\nvlpro against {peer}, ratios; above 1 is better for us")
        print("| load | clients | requests/s | added ms | CPU/request |")
        print("|---|---|---|---|---|")
        for kind, clients in dict.fromkeys((kind, clients) for kind, clients, _ in table):
            floor, ours, theirs = (table[kind, clients, name] for name in ("echo", "vlpro", peer))
            added = ours.p50 - floor.p50
            less = f"{(theirs.p50 - floor.p50) / added:.1f}" if added > 0 else "we add nothing"
            print(
                f"| {kind} | {clients} | {ours.rate / theirs.rate:.1f} | {less} | {theirs.cpu / ours.cpu:.1f} |"
            )


def versions(litellm: Path | None) -> str:
    names = ["uvicorn", "uvloop", "httptools", "fastapi", "starlette", "pydantic", "streamlit"]
    known = ", ".join(f"{name} {installed(name)}" for name in names)
    known = f"Python {platform.python_version()}, {known}"
    if litellm is None:
        return f"{known}; LiteLLM not measured: not installed (--litellm)"
    code = (
        "from importlib.metadata import distributions as d\n"
        "v = {x.metadata['Name'].lower(): x.version for x in d()}\n"
        "print(', '.join(f'{n} {v.get(n, \"absent\")}' for n in ('litellm', 'uvicorn', 'uvloop', 'httptools')))"
    )
    python = litellm.parent / "python"
    theirs = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    return f"{known}; LiteLLM's own environment: {theirs}"


def processor() -> str:
    """As Linux calls it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next(
        (line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine()
    )


def installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--litellm", type=Path, help="its command, in a virtual environment of its own")
    parser.add_argument("--page", action="store_true", help="measure the whole application too")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each cell in each round")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends the servers too
    data = picture()
    print(
        f"{os.cpu_count()} cores of {processor()}, shared by load generator and servers; {versions(chosen.litellm)}"
    )
    print(
        f"Workload: count to 20, 20 pieces; picture of {len(data):,} bytes, 1024 x 768 JPEG, as a data URL; "
        f"medians of {chosen.rounds} rounds of {chosen.seconds:g} s, servers in turns; one worker each\n"
    )
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        found = servers(chosen.litellm, folder, page=chosen.page)
        processes = [stack.enter_context(running(server, folder)) for server in found]
        show(
            measure(found, processes, chosen.rounds, chosen.seconds, data), [server.name for server in found]
        )


if __name__ == "__main__":
    main()
