"""Refused requests on the record: the first of a kind at once, its repetitions counted: no flood fills a disk."""

from __future__ import annotations

import time
from collections import OrderedDict

from vlpro.audit.events import Event, Outcome
from vlpro.audit.recorder import ACTOR, Recorder

__all__ = ["Refusals"]

_QUIET_S = 60.0
_MOST = 10_000


class Refusals:
    """Records refusals.

    Args:
        recorder: Of the audit.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._seen: OrderedDict[tuple[str, str, str], tuple[float, int]] = OrderedDict()

    def add(self, why: str, path: str) -> None:
        """A request was refused.

        Args:
            why: The refusal's code.
            path: Of the request.
        """
        actor = ACTOR.get()
        kind = (actor.address, actor.account, why)
        now = time.monotonic()
        since, more = self._seen.get(kind, (0.0, 0))
        if since and now - since < _QUIET_S:
            self._seen[kind] = (since, more + 1)
            return
        self._seen[kind] = (now, 0)
        self._seen.move_to_end(kind)
        while len(self._seen) > _MOST:
            self._seen.popitem(last=False)
        detail = {"why": why, "path": path[:200].encode("utf-8", "replace").decode()}
        if more:
            detail["before"] = str(more)
        self._recorder.later(Event.REQUEST_REFUSED, outcome=Outcome.REFUSED, detail=detail)
