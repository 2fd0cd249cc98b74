"""Refused requests on the record."""

from __future__ import annotations

from vlpro.audit.events import Event, Outcome
from vlpro.audit.recorder import ACTOR, Recorder
from vlpro.gateway.repetitions import Repetitions

__all__ = ["FORGED_SESSION", "SOMEBODY_ELSES", "Refusals"]

FORGED_SESSION = "forged_session"
"""Why a request was refused with a session's token that was never issued: somebody made it up. In the record only."""

SOMEBODY_ELSES = "somebody_elses"
"""Why a request was refused that wanted what is another's. In the record only: who asked is told "not found"."""

_MOST = 10_000  # of who and why
_EACH = {SOMEBODY_ELSES: 20}  # of a kind within the quiet time, each on its own record


class Refusals:
    """Records refusals.

    Args:
        recorder: Of the audit.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._repetitions = Repetitions(_MOST)

    def add(self, why: str, path: str) -> None:
        """A request was refused.

        Args:
            why: The refusal's code.
            path: Of the request.
        """
        actor = ACTOR.get()
        before = self._repetitions.add((actor.address, actor.account, why), _EACH.get(why, 1))
        if before is None:
            return
        detail = {"why": why, "path": path[:200].encode("utf-8", "replace").decode()}
        if before:
            detail["before"] = str(before)
        self._recorder.later(Event.REQUEST_REFUSED, outcome=Outcome.REFUSED, detail=detail)
