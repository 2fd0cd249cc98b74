"""How often a key may ask: the generic cell rate algorithm (ITU-T I.371), one number a key."""

from __future__ import annotations

import threading
from collections import OrderedDict

__all__ = ["Rate"]

_MINUTE_S = 60.0
_MOST = 100_000


class Rate:
    """Counts requests in this process; each replica counts its own.

    One number for all replicas, in the database, was tried as well: docs/replicas.md has what it would cost.
    A library's limiter was tried: its storage in memory starts a thread every 10 ms, which cost each request more
    than all else that is asked here.
    """

    def __init__(self) -> None:
        self._due: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def wait_s(self, key: str, per_minute: int, now: float) -> float:
        """Take one request.

        Args:
            key: Whose.
            per_minute: How many may come in any 60 seconds; all of them may come at once.
            now: Seconds on a clock that only goes forward.

        Returns:
            0 where it may pass; else seconds to wait, and it was not counted.
        """
        with self._lock:
            due = max(self._due.get(key, now), now)
            wait = due + _MINUTE_S / per_minute - now - _MINUTE_S
            if wait > 1e-9:
                return wait
            self._due[key] = due + _MINUTE_S / per_minute
            self._due.move_to_end(key)
            if len(self._due) > _MOST:
                self._due.popitem(last=False)
        return 0.0
