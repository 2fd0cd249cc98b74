"""Who may be answered now, who waits, and who must come again later."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from vlpro.errors import BusyError

__all__ = ["Queue"]


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
        self._inside = 0
        self._running = 0
        self._mean_s = 1.0

    @property
    def running(self) -> int:
        """Questions being answered."""
        return self._running

    @property
    def waiting(self) -> int:
        """Questions that wait, or whose pictures are being read in."""
        return self._inside - self._running

    @asynccontextmanager
    async def ticket(self) -> AsyncIterator[None]:
        """A place in the queue.

        Raises:
            BusyError: The queue is full.
        """
        if self._inside >= self._concurrency + self._size:
            wait = max(1, min(60, math.ceil(self._mean_s * (self.waiting + 1) / self._concurrency)))
            raise BusyError(
                f"{self._running} questions are being answered and {self.waiting} are waiting. "
                f"Try again in {wait} s.",
                zh=f"正在回答 {self._running} 个问题，另有 {self.waiting} 个在排队，请 {wait} 秒后再试。",
                retry_after=wait,
            )
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for one's turn, and hold it. Only for who has a ticket."""
        async with self._turns:
            self._running += 1
            began = asyncio.get_running_loop().time()
            try:
                yield
            finally:
                self._running -= 1
                took = asyncio.get_running_loop().time() - began
                self._mean_s += 0.2 * (took - self._mean_s)
