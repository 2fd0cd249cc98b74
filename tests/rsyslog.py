"""Debian's rsyslog as a receiver, on this machine's addresses, in a folder of its own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import end

__all__ = ["MODULES", "needs", "rsyslog"]

MODULES = next(iter(sorted(Path("/usr/lib").glob("*/rsyslog"))), Path("/nonexistent"))
_PROGRAM = shutil.which("rsyslogd", path="/usr/sbin:/usr/local/sbin:/usr/bin")


def needs(*modules: str) -> None:
    """Skip the test where rsyslog or one of its modules is not installed."""
    packages = {
        "lmnsd_gtls": "rsyslog-gnutls",
        "lmnsd_ossl": "rsyslog-openssl",
        "omelasticsearch": "rsyslog-elasticsearch",
    }
    if _PROGRAM is None:
        pytest.skip("rsyslog is not installed (Debian's package rsyslog)")
    for module in modules:
        if not (MODULES / f"{module}.so").exists():
            pytest.skip(
                f"rsyslog's {module} is not installed (Debian's package {packages.get(module, 'rsyslog')})"
            )


@contextmanager
def rsyslog(folder: Path, config: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run one with a configuration until the block ends, which a signal may have done before.

    Args:
        folder: Where its files are.
        config: The whole.
        port: On which it listens then.
    """
    assert _PROGRAM is not None
    file = folder / "rsyslog.conf"
    file.write_text(config, encoding="utf-8")
    checked = subprocess.run(
        [_PROGRAM, "-N1", "-f", str(file)], check=False, capture_output=True, text=True, timeout=60
    )
    assert "error" not in checked.stderr, checked.stderr
    with (folder / "rsyslogd.log").open("ab") as log:
        process = subprocess.Popen(
            [_PROGRAM, "-n", "-f", str(file), "-i", str(folder / "rsyslogd.pid")], stdout=log, stderr=log
        )
    try:
        _wait(port, process, folder)
        yield process
    finally:
        end(process)


def _wait(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    for _ in range(600):
        assert process.poll() is None, (folder / "rsyslogd.log").read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError((folder / "rsyslogd.log").read_text())
