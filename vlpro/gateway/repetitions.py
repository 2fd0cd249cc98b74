"""Which of many alike events are records: the first at once, then by the hundred, so that no flood fills a disk."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Hashable

__all__ = ["Repetitions"]

_QUIET_S = 60.0
_STEP = (
    100  # so many repetitions are a record at once, then ten times as many: a flood is seen while it goes on
)


class Repetitions:
    """Counts events by kind; for any thread.

    Args:
        most: Kinds that are counted apart. While there are so many within the quiet time, all others are one.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._seen: OrderedDict[Hashable, _Seen] = OrderedDict()  # whose quiet time began first stands first
        self._lock = threading.Lock()

    def add(self, kind: Hashable, each: int = 1) -> int | None:
        """One more event.

        Args:
            kind: Of which kind.
            each: So many within the quiet time are each a record.

        Returns:
            How many before it were only counted, where it is to be a record; None: it is only counted, too.
        """
        now = time.monotonic()
        with self._lock:
            if kind not in self._seen and len(self._seen) >= self._most:
                oldest, seen = next(iter(self._seen.items()))
                if now - seen.since < _QUIET_S:
                    kind = None
                else:
                    del self._seen[oldest]
            current = self._seen.get(kind)
            if current is None or now - current.since >= _QUIET_S:
                current = self._seen[kind] = _Seen(now, untold=current.untold if current is not None else 0)
                self._seen.move_to_end(kind)
            elif current.told >= each:
                current.untold += 1
                if current.untold < current.step:
                    return None
                current.step *= 10
                current.untold -= 1  # this one is the record itself
            before, current.untold = current.untold, 0
            current.told += 1
            return before


class _Seen:
    """One kind within one quiet time: since when, how many are records, how many are only counted."""

    __slots__ = ("since", "step", "told", "untold")

    def __init__(self, since: float, untold: int) -> None:
        self.since = since
        self.untold = untold
        self.told = 0
        self.step = _STEP
