"""The service as its own process, for benchmarks that watch it or end it: started, killed, started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil

__all__ = ["ROOT", "Service", "free_port"]

ROOT = Path(__file__).resolve().parents[1]


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Service:
    """``vlpro serve`` in profile ``local``.

    Args:
        folder: For data, key and log.
        **settings: By their names in capitals, without ``VLPRO_``.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "service.log"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("VLPRO_")},
            "VLPRO_DATA_DIR": str(self.data),
            **{f"VLPRO_{name}": value for name, value in settings.items()},
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait_s: float = 60) -> float:
        """Start, and wait until it is ready; returns the seconds that took.

        Raises:
            RuntimeError: It ended, or is not ready in time.
        """
        began = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "vlpro", "serve", "--port", str(self.port)],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while time.monotonic() - began < wait_s:
            if self.process.poll() is not None:
                raise RuntimeError(f"the service ended:\n{self.log.read_text()[-2000:]}")
            try:
                if httpx.get(f"{self.url}/readyz", timeout=5, trust_env=False).status_code == httpx.codes.OK:
                    return time.monotonic() - began
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        raise RuntimeError(f"the service is not ready:\n{self.log.read_text()[-2000:]}")

    def kill(self) -> None:
        """End it as a crash would, without a word to its workers."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        """Ask it to end, and see to it."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process = None

    def workers(self) -> list[psutil.Process]:
        """Its processes beside the gateway's own."""
        if self.process is None:
            return []
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def memory(self) -> tuple[float, float]:
        """Memory of the gateway and of all its workers, MB; what several share counts once (PSS)."""
        if self.process is None:
            return 0.0, 0.0
        return _pss(self.process.pid), sum(_pss(worker.pid) for worker in self.workers())


def _pss(pid: int) -> float:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass  # it has ended meanwhile
    return 0.0
