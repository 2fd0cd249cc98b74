"""The product, started the way a person starts it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.confined import confined
from tests.ports import free_port
from tests.support import end

__all__ = ["ROOT", "await_start", "running"]

ROOT = Path(__file__).parents[2]
_START_S = 120


@contextmanager
def running(log: Path, *, writes_anywhere: bool = True, **settings: str) -> Iterator[str]:
    """``streamlit run app.py`` until the end of the block.

    Args:
        log: Where its output goes.
        writes_anywhere: Whether the kernel lets it write files outside its data folder.
        **settings: Environment variables, without ``VLPRO_``.

    Yields:
        The base URL.
    """
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VLPRO_")}
    settings.setdefault("data_dir", str(log.with_name(f"{log.name}-data")))
    environment |= {f"VLPRO_{name.upper()}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    if not writes_anywhere:
        folder = Path(settings["data_dir"])
        folder.mkdir(parents=True, exist_ok=True)
        command = confined(folder, command)
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
        try:
            await_start(process, f"http://127.0.0.1:{port}", log)
            yield f"http://127.0.0.1:{port}"
        finally:
            end(process)


def await_start(process: subprocess.Popen[bytes], base: str, log: Path) -> None:
    """Wait until the service answers."""
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            plain = httpx.get(f"{base}/healthz", timeout=2, trust_env=False, verify=False)  # noqa: S501 - no TLS here
            if plain.is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.05)  # not listening yet
    told = log.read_text(errors="replace")[-4000:] if log.exists() else ""
    raise RuntimeError(f"the server did not start:\n{told}")
