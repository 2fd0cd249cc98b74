"""Brings alerts to their channels, each at its own pace: one that is down delays no other, and nobody waits."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from vlpro.audit.alerts.alert import Alert
from vlpro.audit.alerts.channels import Channel, Undelivered

__all__ = ["Delivery"]

log = logging.getLogger(__name__)

_MOST_WAITING = 1_000
_MOST_PAUSE_S = 60.0
_LAST_S = 3.0  # for what waits when the service ends


@dataclass(frozen=True, slots=True)
class _Waiting:
    alert: Alert
    record: int
    since: float


class Delivery:
    """Threads, one a channel.

    Args:
        channels: Where alerts go.
        retry_s: Seconds for which an alert is tried.
        pause_s: Seconds before the second try; then twice as long each time, a minute at most.
    """

    def __init__(self, channels: Sequence[Channel], *, retry_s: float, pause_s: float = 1.0) -> None:
        self._carriers = [_Carrier(channel, retry_s, pause_s) for channel in channels]

    def hand_on(self, alert: Alert, record: int) -> None:
        """Take an alert; does not wait.

        Args:
            alert: What is to be told.
            record: Number of its record; 0: it could not be recorded.
        """
        for carrier in self._carriers:
            carrier.add(_Waiting(alert, record, time.monotonic()))

    def start(self) -> None:
        """Begin to deliver."""
        for carrier in self._carriers:
            carrier.thread.start()

    def stop(self) -> None:
        """Try once more what waits, for a few seconds, and end."""
        for carrier in self._carriers:
            carrier.end()
        for carrier in self._carriers:
            if carrier.thread.is_alive():
                carrier.thread.join(2 * _LAST_S)


class _Carrier:
    """Delivers to one channel, in order."""

    def __init__(self, channel: Channel, retry_s: float, pause_s: float) -> None:
        self._channel = channel
        self._retry_s = retry_s
        self._pause_s = pause_s
        self._waiting: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._until: float | None = None
        self.thread = threading.Thread(target=self._run, name=f"alerts to {channel.name}", daemon=True)

    def add(self, waiting: _Waiting) -> None:
        with self._changed:
            if len(self._waiting) == _MOST_WAITING:
                lost = self._waiting.popleft()
                log.error("%s is down: %s is only on the record", self._channel.name, lost.alert.id)
            self._waiting.append(waiting)
            self._changed.notify()

    def end(self) -> None:
        with self._changed:
            self._until = time.monotonic() + _LAST_S
            self._changed.notify()

    def _run(self) -> None:
        pause = self._pause_s
        while True:
            with self._changed:
                while not self._waiting:
                    if self._until is not None:
                        return
                    self._changed.wait()
                one = self._waiting[0]
            if self._tried(one):
                pause = self._pause_s
                continue
            with self._changed:
                if self._until is None:
                    # A new alert is no reason to try earlier: the channel is down for it, too.
                    self._changed.wait_for(lambda: self._until is not None, pause)
            pause = min(2 * pause, _MOST_PAUSE_S)

    def _tried(self, one: _Waiting) -> bool:
        """Whether an alert is done with: it has arrived, or is given up."""
        problem = ""
        try:
            if self._until is None or time.monotonic() < self._until:
                self._channel.send(one.alert, one.record)
            else:
                problem = "the service ends"
        except Undelivered as error:
            problem = str(error)
        except Exception as error:
            log.exception("%s failed", self._channel.name)
            problem = type(error).__name__
        now = time.monotonic()
        over = self._until is not None or now - one.since >= self._retry_s
        if problem and not over:
            log.warning("%s does not take an alert yet: %s", self._channel.name, problem)
            return False
        if problem:
            log.error(
                "%s did not take %s, which is only on the record: %s",
                self._channel.name,
                one.alert.id,
                problem,
            )
        with self._changed:
            if self._waiting and self._waiting[0] is one:
                self._waiting.popleft()
        return True
