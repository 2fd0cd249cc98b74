"""After a conversation is cleared, the memory of the service's processes is searched: nothing of it is left.

Before, the same search finds it. As docs/memory.md says of production, each thread of the C library keeps nothing at
hand (GLIBC_TUNABLES); without that, up to seven short pieces a size may stay with the thread that freed them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
from PIL import Image

from tests.browser.server import ROOT
from tests.ports import free_port
from tests.support import end

_LINE = re.compile(r"([0-9a-f]+)-([0-9a-f]+) rw.. \S+ \S+ \S+ *(.*)")
_TEXT = "kanarienvogel-7f3a19 fragt nach Äpfeln"
_ENV = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}


@contextmanager
def _serving(folder: Path, engine: str) -> Iterator[tuple[httpx.Client, list[psutil.Process]]]:
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VLPRO_")} | _ENV
    environment |= {"VLPRO_DATA_DIR": str(folder), "VLPRO_ENGINE": engine}
    command = [sys.executable, "-m", "vlpro", "serve", "--port", str(port)]
    with (folder.parent / "output").open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as http:
            deadline = time.monotonic() + 90
            while time.monotonic() < deadline and process.poll() is None:
                try:
                    if http.get("/readyz").is_success:
                        break
                except httpx.HTTPError:
                    time.sleep(0.05)
            service = psutil.Process(process.pid)
            yield http, [service, *service.children(recursive=True)]
    finally:
        end(process)


def _found(processes: list[psutil.Process], needles: dict[str, bytes]) -> Counter[str]:
    """How often each is in what the processes can write to."""
    found: Counter[str] = Counter()
    for process in processes:
        try:
            lines = Path(f"/proc/{process.pid}/maps").read_text().splitlines()
            memory = open(f"/proc/{process.pid}/mem", "rb", 0)  # noqa: PTH123, SIM115 - unbuffered
        except OSError:  # a worker that has done its work
            continue
        with memory:
            for line in filter(None, map(_LINE.match, lines)):
                begin, past = int(line[1], 16), int(line[2], 16)
                try:
                    memory.seek(begin)
                    data = memory.read(past - begin)
                except OSError:
                    continue
                for name, needle in needles.items():
                    found[name] += data.count(needle)
    return +found


def test_nothing_of_a_cleared_conversation_is_left_in_memory(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("needs root: the service's memory is closed to others of its account")
    pixels = np.random.default_rng(time.time_ns()).integers(0, 256, (500, 600, 3), np.uint8)
    out = BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    file = out.getvalue()
    needles = {
        "text": _TEXT.encode(),
        "text as Latin-1": _TEXT.encode("latin-1"),
        "text as UTF-16": _TEXT.encode("utf-16-le"),
        "text as UCS-4": _TEXT.encode("utf-32-le"),
        "text in JSON": _TEXT.encode("ascii", "backslashreplace").replace(b"\\xc4", b"\\u00c4"),
        "file": file[len(file) // 2 : len(file) // 2 + 40],
        "pixels": pixels[250, 100:120].tobytes(),
    }
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    with _serving(data, "fake") as (http, processes):
        talk = f"/v1/conversations/{http.post('/v1/conversations', json={}).json()['id']}"
        image = http.post("/v1/images", content=file).json()["id"]
        assert http.post(f"{talk}/messages", json={"text": _TEXT, "images": [image]}).status_code == 202
        while http.get(talk).json()["messages"][-1]["status"] in ("queued", "answering"):
            time.sleep(0.05)
        before = _found(processes, needles)
        assert {"text", "file", "pixels"} <= before.keys()
        receipt = http.delete(talk).json()
        assert (receipt["messages"], receipt["images"]) == (2, 1)
        assert _found(processes, needles) == {}
