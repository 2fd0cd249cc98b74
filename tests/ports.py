"""Ports for the servers that tests start."""

from __future__ import annotations

import os
import random
import socket

__all__ = ["free_port"]

# Below those that Linux gives out by itself (32768 and up): a port of that range, free a moment ago, may have
# become another test's by the time the server binds it. Each of the workers that run tests side by side has
# its own part, in an order of its own, so that two runs on one machine seldom meet.
_FIRST, _EACH, _WORKERS = 16_000, 1_000, 16
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
_unused = random.sample(range(_FIRST + _worker * _EACH, _FIRST + (_worker + 1) * _EACH), _EACH)


def free_port() -> int:
    """A port of this machine that nobody listens on, and that this function has not given before."""
    while True:
        port = _unused.pop()
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
