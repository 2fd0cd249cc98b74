"""Batches are worked on in the background, by whichever process holds them, until each line is answered.

A line gives way to people (:func:`vlpro.chat.queue.in_background`), and is stored in one transaction with its count.
So a process that is killed at any point leaves lines that were answered and lines that wait; whoever takes the batch
over goes on with these.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from vlpro.audit.events import Outcome
from vlpro.audit.recorder import Recorder
from vlpro.chat.queue import in_background
from vlpro.engines.interface import Engine, Usage
from vlpro.errors import (
    AuditError,
    BadRequestError,
    BusyError,
    ConflictError,
    DatabaseError,
    NotFoundError,
    VlproError,
)
from vlpro.workflows.batch import requests
from vlpro.workflows.batch.asking import HoldError, LineAsker, code_of, usage_of
from vlpro.workflows.batch.batch import COMPLETED, FAILED, Batch, Line, State
from vlpro.workflows.batch.files import FileStore
from vlpro.workflows.batch.options import BatchOptions
from vlpro.workflows.batch.recording import note
from vlpro.workflows.batch.sources import Sources
from vlpro.workflows.batch.store import LEASE_S, BatchStore

__all__ = ["BatchWorker", "Progress"]

log = logging.getLogger(__name__)

_LOOK_S = 1.0  # what other processes changed is seen within this time
_AGAIN_S = 2.0  # before a line is asked again for which the engine, the audit or the database was not there
_TIDY_S = 600.0
_RATE_S = 120.0  # over which the rate is told
_TRANSIENT = (429, 503)
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How fast a batch goes on; None where that is not known (yet).

    Args:
        per_second: Lines.
        seconds_left: Until all are answered.
        waits_for: Code of what it waits for, such as an engine that is not ready; empty: nothing.
    """

    per_second: float | None = None
    seconds_left: float | None = None
    waits_for: str = ""


class BatchWorker:
    """Works on batches.

    Args:
        files: Where files are.
        store: Where batches are.
        sources: Gives their lines.
        asker: Asks a line.
        options: The settings.
        recorder: Of the audit.
        clock: Unix time.

    Attributes:
        asker: As above.
        cluster: What answers instead of the engine here; it is started and stopped with the batches.
    """

    def __init__(
        self,
        files: FileStore,
        store: BatchStore,
        sources: Sources,
        asker: LineAsker,
        options: BatchOptions,
        *,
        recorder: Recorder,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.asker = asker
        self.cluster: Engine | None = None
        self._files = files
        self._store = store
        self._sources = sources
        self._options = options
        self._recorder = recorder
        self._clock = clock
        self._keep_s = options.days * DAY_S
        self._places = asyncio.Semaphore(options.workers)
        self._drivers: dict[str, asyncio.Task[None]] = {}
        self._news: dict[str, asyncio.Event] = {}
        self._done: dict[str, deque[float]] = {}
        self._waits_for: dict[str, str] = {}
        self._look = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    @property
    def going(self) -> int:
        """Batches that this process works on."""
        return len(self._drivers)

    def progress(self, batch: Batch) -> Progress:
        """How fast it goes on, as far as this process knows."""
        done = self._done.get(batch.id)
        waits_for = self._waits_for.get(batch.id, "")
        if not done or batch.paused or batch.state != "in_progress":
            return Progress(waits_for=waits_for)
        now = time.monotonic()
        recent = [when for when in done if when > now - _RATE_S]
        if len(recent) < 3:
            return Progress(waits_for=waits_for)
        rate = (len(recent) - 1) / max(now - recent[0], 1e-3)
        return Progress(rate, (batch.total - batch.completed - batch.failed) / rate, waits_for)

    def look(self, name: str = "") -> None:
        """There is a new batch, or somebody changed one: look now."""
        if name in self._news:
            self._news[name].set()
        self._look.set()

    async def start(self) -> None:
        """Go on with what goes on."""
        if self.cluster is not None:
            await self.cluster.start()
        await asyncio.to_thread(self._store.release, all_runners=True)
        self._loop = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop working; another process, or the next one, goes on."""
        tasks = [task for task in (self._loop, *self._drivers.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._loop = None
        if self.cluster is not None:
            await self.cluster.stop()
        try:
            await asyncio.to_thread(self._store.release)
        except DatabaseError as error:
            log.warning("batches were not released: %s", error.message)

    async def _run(self) -> None:
        claimed_at = tidied_at = float("-inf")
        while True:
            now = time.monotonic()
            try:
                if now - tidied_at > _TIDY_S:
                    tidied_at = now
                    await asyncio.to_thread(self._tidy)
                due = now - claimed_at > LEASE_S / 3 or self._look.is_set()
                self._look.clear()
                if due and await asyncio.to_thread(self._store.any_going):
                    claimed_at = now
                    await self._claim()
            except VlproError as error:
                log.warning("batches wait: %s", error.message)
            try:
                async with asyncio.timeout(_LOOK_S):
                    await self._look.wait()
            except TimeoutError:
                pass

    def _tidy(self) -> None:
        self._files.expire()
        self._store.expire(self._clock() - self._keep_s)

    async def _claim(self) -> None:
        mine = await asyncio.to_thread(self._store.claim)
        for name in mine:
            if name not in self._drivers:
                self._news[name] = asyncio.Event()
                self._done[name] = deque(maxlen=1000)
                task = self._drivers[name] = asyncio.create_task(self._drive(name))
                task.add_done_callback(partial(self._let_go, name))
        for name in set(self._drivers) - set(mine):  # deleted, or taken for dead and taken over
            self._drivers[name].cancel()

    def _let_go(self, name: str, task: asyncio.Task[None]) -> None:
        self._drivers.pop(name)
        self._news.pop(name)
        self._done.pop(name)
        self._waits_for.pop(name, None)
        if not self._drivers:
            self._sources.close()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("batch %s stopped; it is tried again", name, exc_info=error)

    async def _drive(self, name: str) -> None:
        """Work on one batch to its end."""
        while (batch := await asyncio.to_thread(self._store.load, name)) is not None and batch.going:
            try:
                if batch.state == "cancelling":
                    await self._end(batch, "cancelled", "batch_cancelled")
                elif self._clock() >= batch.expires:
                    await self._end(batch, "expired", "batch_expired")
                elif batch.paused:
                    await self._wait_for_news(name)
                elif batch.state == "validating":
                    await self._find_lines(batch)
                else:
                    await self._answer_lines(batch)
            except ConflictError:
                continue  # somebody changed it meanwhile: look again
            except (AuditError, DatabaseError) as error:
                log.warning("batch %s waits: %s", name, error.message)
                await asyncio.sleep(_AGAIN_S)
            except VlproError as error:  # something stored was altered
                await self._hold(batch, error.code)

    async def _wait_for_news(self, name: str) -> None:
        news = self._news[name]
        try:
            async with asyncio.timeout(_LOOK_S):
                await news.wait()
        except TimeoutError:
            return
        news.clear()

    async def _find_lines(self, batch: Batch) -> None:
        await asyncio.to_thread(self._store.lines.clear, batch)
        try:
            async for lines in self._sources.lines(batch):
                await asyncio.to_thread(self._store.lines.add, batch, lines)
        except (BadRequestError, NotFoundError) as error:
            await asyncio.to_thread(self._store.lines.clear, batch)
            told = replace(batch, total=0, failed=0)
            await note(
                self._recorder, told, "failed", outcome=Outcome.FAILED, by=batch.head.actor, why=error.code
            )
            found = {**requests.refused(0, error), "line": None}
            await asyncio.to_thread(
                self._store.end, batch, "failed", keep_s=self._keep_s, errors=[found], why=error.code
            )
            return
        await asyncio.to_thread(self._store.begin, batch)

    async def _answer_lines(self, batch: Batch) -> None:
        """Answer the lines that wait, until there is none, or the batch is changed."""
        last, going, looked = 0, set[asyncio.Task[None]](), time.monotonic()
        news = self._news[batch.id]
        news.clear()
        try:
            while not news.is_set():
                lines = await asyncio.to_thread(
                    self._store.lines.some, batch, after=last, limit=self._options.workers, state=0
                )
                for line in lines:
                    last = line.number
                    going.add(asyncio.create_task(self._answer_line(batch, line)))
                    if len(going) >= self._options.workers:
                        going = await _some(going, news)
                    if time.monotonic() - looked > _LOOK_S:
                        looked = time.monotonic()
                        await self._check_unchanged(batch)
                    if news.is_set():
                        break
                if not lines:
                    if not going:
                        await self._complete(batch)
                        return
                    going = await _some(going, news)
                    await self._check_unchanged(batch)
        except HoldError as hold:
            await self._hold(batch, hold.why)
        except BaseException:
            await _stop(going)
            raise
        fresh = await asyncio.to_thread(self._store.load, batch.id)
        if fresh is None or fresh.state == "cancelling":
            await _stop(going)
        await asyncio.gather(*going, return_exceptions=True)  # a pause lets them end

    async def _check_unchanged(self, batch: Batch) -> None:
        """Another process may have paused or cancelled it; its time may be up."""
        now = await asyncio.to_thread(self._store.load, batch.id)
        if now is None or now.version != batch.version or self._clock() >= batch.expires:
            self._news[batch.id].set()

    async def _hold(self, batch: Batch, why: str) -> None:
        log.warning("batch %s is paused: %s", batch.id, why)
        await note(self._recorder, batch, "paused", outcome=Outcome.REFUSED, by=batch.head.actor, why=why)
        await asyncio.to_thread(self._store.change, batch, paused=True, why=why)

    async def _complete(self, batch: Batch) -> None:
        now = await asyncio.to_thread(self._store.load, batch.id)
        if now is None or now.version != batch.version:
            return
        now = await asyncio.to_thread(self._store.change, now, state="finalizing")
        await note(self._recorder, now, "completed", by=batch.head.actor)
        await asyncio.to_thread(self._store.end, now, "completed", keep_s=self._keep_s)

    async def _end(self, batch: Batch, state: State, code: str) -> None:
        error = _given_up(code)

        def answer(line: Line) -> bytes:
            return requests.told(line.source["line"], line.source["id"], batch=batch.id, error=error)

        await asyncio.to_thread(self._store.lines.give_up, batch, answer)
        now = await asyncio.to_thread(self._store.load, batch.id)
        if now is None or now.version != batch.version:
            return
        await note(self._recorder, now, state, by=batch.head.actor)
        await asyncio.to_thread(self._store.end, now, state, keep_s=self._keep_s)

    async def _answer_line(self, batch: Batch, line: Line) -> None:
        """Ask one line and store what came of it; where that cannot be now, again later.

        Raises:
            HoldError: Its owner may not ask any more.
        """
        number, custom_id = line.source["line"], line.source["id"]
        news = self._news[batch.id]
        while not news.is_set():
            try:
                who = await self.asker.who(batch)
                async with self._places:
                    if news.is_set():
                        return
                    reply = await in_background(partial(self.asker.ask, batch, line, who))
            except BusyError as busy:
                self._waits_for[batch.id] = busy.code
                await _pause(news, min(60, busy.retry_after))
                continue
            except (AuditError, DatabaseError) as error:
                self._waits_for[batch.id] = error.code
                await _pause(news, _AGAIN_S)
                continue
            except HoldError:
                raise
            except Exception as error:  # one line that breaks something must not hold up the others
                if not isinstance(error, VlproError):
                    log.exception("line %d of %s failed", line.number, batch.id)
                known = error if isinstance(error, VlproError) else _inside()
                state, used = FAILED, Usage(0, 0)
                told = requests.told(number, custom_id, batch=batch.id, error=known)
            else:
                if reply.status in _TRANSIENT:
                    self._waits_for[batch.id] = code_of(reply.body)
                    await _pause(news, _AGAIN_S)
                    continue
                state, used = COMPLETED if reply.status < 300 else FAILED, usage_of(reply.body)
                told = requests.told(
                    number,
                    custom_id,
                    batch=batch.id,
                    status=reply.status,
                    request_id=reply.request_id,
                    body=reply.body,
                )
            self._waits_for.pop(batch.id, None)
            await self._keep(batch, line, state, told, used)
            return

    async def _keep(self, batch: Batch, line: Line, state: int, told: bytes, used: Usage) -> None:
        """Keep at it: what was answered is not asked again for the database's sake."""
        while True:
            try:
                if await asyncio.to_thread(self._store.lines.finish, batch, line.number, state, told, used):
                    self._done[batch.id].append(time.monotonic())
            except DatabaseError as error:
                log.warning("an answer of %s waits to be stored: %s", batch.id, error.message)
                await asyncio.sleep(_AGAIN_S)
            else:
                return


async def _stop(going: set[asyncio.Task[None]]) -> None:
    for task in going:
        task.cancel()
    await asyncio.gather(*going, return_exceptions=True)


async def _some(going: set[asyncio.Task[None]], news: asyncio.Event) -> set[asyncio.Task[None]]:
    """Wait until one of the tasks, or all of them, have ended, or there is news; returns those that have not."""
    waiting = asyncio.ensure_future(news.wait())
    try:
        await asyncio.wait({*going, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    for task in [task for task in going if task.done()]:
        going.discard(task)
        task.result()
    return going


async def _pause(news: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await news.wait()
    except TimeoutError:
        pass


def _inside() -> VlproError:
    return VlproError(
        "Something failed inside the service. Try again; if it happens again, tell your administrator.",
        zh="服务内部出错，请重试；若再次出现，请告知管理员。",
    )


def _given_up(code: str) -> VlproError:
    if code == "batch_expired":
        return BadRequestError(
            "This request could not be executed before the completion window expired.",
            zh="在完成时限内未能执行该请求。",
            code=code,
        )
    return BadRequestError(
        "The batch was cancelled before this request was executed.",
        zh="批处理在执行该请求之前已被取消。",
        code=code,
    )
