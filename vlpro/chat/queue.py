"""Who may be answered now, who waits, and who must come again later.

Beside people there is work that nobody sits and waits for, such as a batch: it takes a turn only when nobody else
wants it, and gives it back as soon as somebody comes (:func:`in_background`).
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from typing import TypeVar

from vlpro.errors import BusyError

__all__ = ["Queue", "Ticket", "in_background", "is_background"]

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Work:
    """Work in the background: its task, and whether a turn was taken from it."""

    task: asyncio.Task[object] | None = None
    gave_way: bool = False

    def give_way(self) -> None:
        self.gave_way = True
        if self.task is not None:
            self.task.cancel()


_WORK: ContextVar[_Work | None] = ContextVar("background work", default=None)


def is_background() -> bool:
    """Whether this is done for nobody who waits."""
    return _WORK.get() is not None


async def in_background(work: Callable[[], Awaitable[T]]) -> T:
    """Do something for which nobody sits and waits; whatever it asks an engine gives way to people's questions.

    Args:
        work: Begun anew each time that its turn was taken from it, which happens only while an engine answers it.
    """

    async def run() -> T:
        return await work()

    while True:
        way, context = _Work(), copy_context()
        context.run(_WORK.set, way)
        task = way.task = asyncio.create_task(run(), context=context)
        try:
            return await task
        except asyncio.CancelledError:
            this = asyncio.current_task()
            if not way.gave_way or (this is not None and this.cancelling()):
                raise


class Queue:
    """A bounded, fair queue in front of an engine.

    Args:
        concurrency: Questions answered at once.
        size: Questions that may wait.
        kept_free: Turns of several that the background leaves to people.

    Attributes:
        turned_away: Questions that found no place.
    """

    def __init__(self, *, concurrency: int, size: int, kept_free: int = 1) -> None:
        self._concurrency = concurrency
        self._size = size
        self._turns = asyncio.Semaphore(concurrency)  # wakes those who wait in their order
        self._line: list[Ticket] = []
        self._inside = 0
        self._running = 0
        self._mean_s: float | None = None
        # One piece of work more may be let in than there are turns, whose pictures are read meanwhile.
        self._behind = max(1, concurrency - kept_free)
        self._let_in = 0
        self._working: list[_Work] = []
        self._looking: deque[asyncio.Future[None]] = deque()
        self.turned_away = 0

    @property
    def running(self) -> int:
        """Questions being answered, those of the background among them."""
        return self._running + len(self._working)

    @property
    def concurrency(self) -> int:
        """Questions that may be answered at once."""
        return self._concurrency

    @property
    def size(self) -> int:
        """Questions that may wait."""
        return self._size

    @property
    def background(self) -> int:
        """Questions of the background that are being answered."""
        return len(self._working)

    @property
    def waiting(self) -> int:
        """Questions that wait, or whose pictures are being read in."""
        return self._inside - self._running

    @asynccontextmanager
    async def ticket(self) -> AsyncIterator[Ticket]:
        """A place in the queue; in the background, as soon as nobody else wants one.

        Raises:
            BusyError: The queue is full.
        """
        if _WORK.get() is not None:
            await self._until(lambda: not self.waiting and self._let_in <= self._behind)
            self._let_in += 1
            try:
                yield Ticket(self)
            finally:
                self._let_in -= 1
                self._changed()
            return
        if self._inside >= self._concurrency + self._size:
            self.turned_away += 1
            wait = min(60, self._wait_s(self.waiting) or 1)
            raise BusyError(
                f"{self._running} questions are being answered and {self.waiting} are waiting. "
                f"Try again in {wait} s.",
                zh=f"正在回答 {self._running} 个问题，另有 {self.waiting} 个在排队，请 {wait} 秒后再试。",
                retry_after=wait,
            )
        self._inside += 1
        self._make_room()
        try:
            yield Ticket(self)
        finally:
            self._inside -= 1
            self._changed()

    @property
    def _full(self) -> bool:
        return self._running + len(self._line) >= self._concurrency

    def _make_room(self) -> None:
        """Take turns back from the background for all who wait; the last begun, which lose least, first."""
        going = sum(work.gave_way for work in self._working)
        missing = self.waiting - (self._concurrency - self.running + going)
        for work in reversed([work for work in self._working if not work.gave_way]):
            if missing <= 0:
                break
            work.give_way()
            missing -= 1

    async def _until(self, allowed: Callable[[], bool]) -> None:
        while not allowed():
            look = asyncio.get_running_loop().create_future()
            self._looking.append(look)
            try:
                await look
            finally:
                with suppress(ValueError):  # it has been looked at, also where the wait ended at that moment
                    self._looking.remove(look)

    def _changed(self) -> None:
        """Have the background look whether it may go on."""
        while self._looking:
            look = self._looking.popleft()
            if not look.done():
                look.set_result(None)

    def _wait_s(self, ahead: int) -> int | None:
        """Seconds until so many have begun and one more; None until it is known how long an answer takes."""
        if self._mean_s is None:
            return None
        return max(1, math.ceil(self._mean_s * (ahead + 1) / self._concurrency))

    @asynccontextmanager
    async def _turn(self, ticket: Ticket) -> AsyncIterator[None]:
        work = _WORK.get()
        if work is not None:
            async with self._turn_behind(work):
                yield
            return
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
            self._changed()

    @asynccontextmanager
    async def _turn_behind(self, work: _Work) -> AsyncIterator[None]:
        await self._until(
            lambda: (
                not self.waiting and len(self._working) < self._behind and self.running < self._concurrency
            )
        )
        self._working.append(work)  # nothing is awaited since it was looked: the turn is free
        try:
            async with self._turns:
                yield
        finally:
            self._working.remove(work)
            self._changed()


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
