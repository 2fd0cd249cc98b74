"""Tries to leave a sealed service on the record."""

from __future__ import annotations

from vlpro.audit.events import Event, Outcome
from vlpro.audit.recorder import Recorder
from vlpro.gateway.repetitions import Repetitions

__all__ = ["EgressTries"]

_MOST = 1000  # addresses


class EgressTries:
    """Records what the kernel refuses, for :func:`vlpro.sealing.tripwire.install`.

    Args:
        recorder: Of the audit. Who acts is who the request that tried is from.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._repetitions = Repetitions(_MOST)

    def add(self, way: str, to: str) -> None:
        """Something tried.

        Args:
            way: How.
            to: Where to; empty where nobody knows.
        """
        before = self._repetitions.add((way, to))
        if before is None:
            return
        detail = {"way": way, "to": to} | ({"before": str(before)} if before else {})
        self._recorder.later(Event.EGRESS_REFUSED, outcome=Outcome.REFUSED, detail=detail)
