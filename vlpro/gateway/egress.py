"""Tries to leave a sealed service on the record: the first of an address at once, its repetitions counted."""

from __future__ import annotations

import threading
import time

from vlpro.audit.events import Event, Outcome
from vlpro.audit.recorder import Recorder

__all__ = ["EgressTries"]

_QUIET_S = 60.0
_MOST = 1000  # addresses that are counted; beyond them all others are one


class EgressTries:
    """Records what the kernel refuses, for :func:`vlpro.sealing.tripwire.install`.

    Args:
        recorder: Of the audit. Who acts is who the request that tried is from.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[float, int]] = {}

    def add(self, way: str, to: str) -> None:
        """Something tried.

        Args:
            way: How.
            to: Where to; empty where nobody knows.
        """
        kind, now = f"{way} {to}", time.monotonic()
        with self._lock:
            if len(self._seen) >= _MOST and kind not in self._seen:
                kind = way
            since, untold = self._seen.get(kind, (-_QUIET_S, 0))
            if now - since < _QUIET_S:
                self._seen[kind] = (since, untold + 1)
                return
            self._seen[kind] = (now, 0)
        detail = {"way": way, "to": to} | ({"before": str(untold)} if untold else {})
        self._recorder.later(Event.EGRESS_REFUSED, outcome=Outcome.REFUSED, detail=detail)
