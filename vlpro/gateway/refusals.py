"""Refused requests on the record: the first of a kind at once, its repetitions counted: no flood fills a disk."""

from __future__ import annotations

import time
from collections import OrderedDict

from vlpro.audit.events import Event, Outcome
from vlpro.audit.recorder import ACTOR, Recorder

__all__ = ["FORGED_SESSION", "SOMEBODY_ELSES", "Refusals"]

FORGED_SESSION = "forged_session"
"""Why a request was refused with a session's token that was never issued: somebody made it up. In the record only."""

SOMEBODY_ELSES = "somebody_elses"
"""Why a request was refused that wanted what is another's. In the record only: who asked is told "not found"."""

_QUIET_S = 60.0
_MOST = 10_000
_EACH = {SOMEBODY_ELSES: 20}  # of a kind within the quiet time, each on its own record
_STEP = 100  # so many repetitions are a record at once: a flood is seen while it goes on


class Refusals:
    """Records refusals.

    Args:
        recorder: Of the audit.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._seen: OrderedDict[tuple[str, str, str], _Seen] = OrderedDict()

    def add(self, why: str, path: str) -> None:
        """A request was refused.

        Args:
            why: The refusal's code.
            path: Of the request.
        """
        actor = ACTOR.get()
        kind = (actor.address, actor.account, why)
        now = time.monotonic()
        seen = self._seen.get(kind)
        if seen is None or now - seen.since >= _QUIET_S:
            seen = self._seen[kind] = _Seen(now, untold=seen.untold if seen is not None else 0)
            self._seen.move_to_end(kind)
            while len(self._seen) > _MOST:
                self._seen.popitem(last=False)
        elif seen.told >= _EACH.get(why, 1):
            seen.untold += 1
            if seen.untold < seen.step:
                return
            seen.step *= 10
            seen.untold -= 1  # this one is the record itself
        detail = {"why": why, "path": path[:200].encode("utf-8", "replace").decode()}
        if seen.untold:
            detail["before"] = str(seen.untold)
        seen.told, seen.untold = seen.told + 1, 0
        self._recorder.later(Event.REQUEST_REFUSED, outcome=Outcome.REFUSED, detail=detail)


class _Seen:
    """One kind within one quiet time: since when, how many are records, how many are only counted."""

    __slots__ = ("since", "step", "told", "untold")

    def __init__(self, since: float, untold: int) -> None:
        self.since = since
        self.untold = untold
        self.told = 0
        self.step = _STEP
