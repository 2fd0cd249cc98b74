"""Who may be answered now, who waits, and who must come again later."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from vlpro.errors import BusyError

__all__ = ["Queue", "Ticket"]


class Queue:
    """A bounded, fair queue in front of an engine.

    Args:
        concurrency: Questions answered at once.
        size: Questions that may wait.
    """

    def __init__(self, *, concurrency: int, size: int) -> None:
        self._concurrency = concurrency
        self._size = size
        self._turns = asyncio.Semaphore(concurrency)  # wakes those who wait in their order
        self._line: list[Ticket] = []
        self._inside = 0
        self._running = 0
        self._mean_s: float | None = None

    @property
    def running(self) -> int:
        """Questions being answered."""
        return self._running

    @property
    def waiting(self) -> int:
        """Questions that wait, or whose pictures are being read in."""
        return self._inside - self._running

    @asynccontextmanager
    async def ticket(self) -> AsyncIterator[Ticket]:
        """A place in the queue.

        Raises:
            BusyError: The queue is full.
        """
        if self._inside >= self._concurrency + self._size:
            wait = min(60, self._wait_s(self.waiting) or 1)
            raise BusyError(
                f"{self._running} questions are being answered and {self.waiting} are waiting. "
                f"Try again in {wait} s.",
                zh=f"正在回答 {self._running} 个问题，另有 {self.waiting} 个在排队，请 {wait} 秒后再试。",
                retry_after=wait,
            )
        self._inside += 1
        try:
            yield Ticket(self)
        finally:
            self._inside -= 1

    @property
    def _full(self) -> bool:
        return self._running + len(self._line) >= self._concurrency

    def _wait_s(self, ahead: int) -> int | None:
        """Seconds until so many have begun and one more; None until it is known how long an answer takes."""
        if self._mean_s is None:
            return None
        return max(1, math.ceil(self._mean_s * (ahead + 1) / self._concurrency))

    @asynccontextmanager
    async def _turn(self, ticket: Ticket) -> AsyncIterator[None]:
        self._line.append(ticket)
        try:
            await self._turns.acquire()
        finally:
            self._line.remove(ticket)
        self._running += 1
        began = asyncio.get_running_loop().time()
        try:
            yield
        finally:
            self._running -= 1
            self._turns.release()
            took = asyncio.get_running_loop().time() - began
            self._mean_s = took if self._mean_s is None else self._mean_s + 0.2 * (took - self._mean_s)


class Ticket:
    """One question's place in a queue."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    @property
    def waits(self) -> bool:
        """Whether all turns are taken, rather than its pictures being read in before it begins."""
        return self._queue._full  # noqa: SLF001 - a part of the queue

    @property
    def ahead(self) -> int:
        """How many other questions that wait will begin before this one."""
        line = self._queue._line  # noqa: SLF001
        return line.index(self) if self in line else len(line)

    @property
    def wait_s(self) -> int | None:
        """Seconds that it will probably wait, by how long answers took; None while none has ended."""
        return self._queue._wait_s(self.ahead)  # noqa: SLF001

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Wait for one's turn, and hold it."""
        return self._queue._turn(self)  # noqa: SLF001
