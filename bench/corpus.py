"""Ten thousand malformed pictures through the API: no 5xx, no hang, memory flat.

`python bench/corpus.py [FOLDER …] [--files N] [--seed N]` starts the service and posts every file of the folders that
is no larger than the limit, then mutations of pictures that are drawn here, and of the folders' own, until N were
sent: flipped bits, cuts, lies in headers, games with chunks, animations, bombs. One in eight goes as base64 inside a
chat completion, the others to /v1/images. It prints what was answered, the slowest, and the memory of the service and
of its processes as it goes; it ends with 1 where an answer is a 5xx, or took longer than a picture may.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import collections
import contextlib
import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.malformed import mutations, seeds  # noqa: E402 - found by the line above, without installation

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_BYTES = 20_000_000
LIMIT_S = 20.0
AT_ONCE = 4
ROWS = 10


def files(folders: list[Path]) -> Iterator[tuple[str, bytes]]:
    """Every file of the folders that could be posted."""
    for folder in folders:
        for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()):
            if path.stat().st_size <= MOST_BYTES:
                yield str(path.relative_to(folder)), path.read_bytes()


def everything(folders: list[Path], most: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """The folders' files as they are, then mutations of theirs and of our own."""
    own = list(files(folders))
    small = [(name, data) for name, data in own if 0 < len(data) < 300_000]
    return itertools.chain(own[:most], mutations([*seeds(), *small], most - len(own), seed))


class Watched:
    """The service in a process of its own, and the memory of all its processes."""

    def __init__(self, process: subprocess.Popen[bytes], base: str) -> None:
        self.service = psutil.Process(process.pid)
        self.base = base

    def memory(self) -> dict[str, float]:
        """MB: resident, private to it (USS), of the service; of its others: engine, maker of workers, workers."""
        told = {
            "service": self.service.memory_full_info().uss / 1e6,
            "threads": float(self.service.num_threads()),
        }
        told["files"] = float(self.service.num_fds())
        for child in self.service.children(recursive=True):
            try:
                line = " ".join(child.cmdline())
                name = "engine" if "vlpro.engines.worker" in line else "reader"
                told[name] = told.get(name, 0.0) + child.memory_full_info().uss / 1e6
                told["processes"] = told.get("processes", 0.0) + 1
            except psutil.Error:
                continue
        return told


async def post(http: httpx.AsyncClient, number: int, data: bytes) -> tuple[str, float]:
    """Send one file; the status with the error's code, and seconds."""
    began = time.perf_counter()
    if number % 8:
        answer = await http.post("/v1/images", content=data)
    else:
        url = "data:image/png;base64," + base64.b64encode(data).decode()
        content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "what?"}]
        body = {"model": "vlpro", "messages": [{"role": "user", "content": content}]}
        answer = await http.post("/v1/chat/completions", json=body)
    took = time.perf_counter() - began
    told = f"{answer.status_code}"
    if answer.status_code >= 400:
        told += f" {answer.json()['error']['code']}"
        if answer.status_code == 400 and not answer.json()["error"]["param"]:
            told += " WITHOUT A FIELD"
    elif "id" in answer.json() and number % 8:
        await http.delete(f"/v1/images/{answer.json()['id']}")
    return told, took


async def run(watched: Watched, sent: Iterator[tuple[str, bytes]], most: int) -> int:
    answers: collections.Counter[str] = collections.Counter()
    slowest: list[tuple[float, str]] = []
    bad: list[tuple[str, str]] = []
    done = 0
    names = ("service", "engine", "reader", "processes", "threads", "files")
    print(f"{'files':>7}{'s':>7}" + "".join(f"{name:>11}" for name in names) + "   (memory: MB of its own)")
    began = time.perf_counter()

    def row() -> None:
        told = watched.memory()
        values = "".join(f"{told.get(name, 0):>11.1f}" for name in names)
        print(f"{done:>7}{time.perf_counter() - began:>7.0f}{values}", flush=True)

    async with httpx.AsyncClient(base_url=watched.base, timeout=120, trust_env=False) as http:
        numbered = enumerate(sent)

        async def one_after_the_other() -> None:
            nonlocal done
            for number, (name, data) in numbered:
                told, took = await post(http, number, data)
                answers[told] += 1
                slowest.append((took, name))
                slowest.sort(reverse=True)
                del slowest[5:]
                if told.startswith("5") or took > LIMIT_S + 5 or "WITHOUT" in told:
                    bad.append((name, told))
                done += 1
                if done % max(1, most // ROWS) == 0:
                    row()

        row()
        with contextlib.suppress(asyncio.CancelledError):  # Ctrl+C: what was found so far is told
            await asyncio.gather(*(one_after_the_other() for _ in range(AT_ONCE)))
    row()
    print("\nanswers: " + ", ".join(f"{told} × {count}" for told, count in answers.most_common()))
    print("slowest: " + ", ".join(f"{took:.2f} s {name}" for took, name in slowest))
    for name, told in bad[:20]:
        print(f"BAD {told}: {name}")
    return 1 if bad else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--engine", default="fake", help="ocr reads what is a picture, and takes seconds for each"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        port = 20_000 + os.getpid() % 20_000
        environment = {k: v for k, v in os.environ.items() if not k.startswith("VLPRO_")}
        environment |= {"VLPRO_DATA_DIR": folder, "VLPRO_ENGINE": options.engine}
        command = [sys.executable, "-m", "vlpro", "serve", "--port", str(port)]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL)
        try:
            base = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                try:
                    if httpx.get(f"{base}/healthz", timeout=2, trust_env=False).is_success:
                        break
                except httpx.HTTPError:
                    time.sleep(0.1)
            sent = everything(options.folders, options.files, options.seed)
            return asyncio.run(run(Watched(process, base), sent, options.files))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


if __name__ == "__main__":
    sys.exit(main())
