"""Ending in order: what was begun comes to its end, nothing new is begun; asked to end once more, at once."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from types import FrameType

from starlette.types import ASGIApp, Receive, Scope, Send

from vlpro.errors import EngineUnavailableError
from vlpro.gateway import errors

__all__ = ["Draining", "NothingNew", "on_signals"]

log = logging.getLogger(__name__)

_LOOK_S = 0.05
_RETRY_AFTER_S = 10
_ENDS = ("/stop", "/cancel", "/pause")  # POST that begin nothing


class Draining:
    """Whether the service is about to end, and what it still does.

    Attributes:
        active: Whether nothing new is begun any more.
        requests: Requests that may begin something and are not answered yet.
    """

    def __init__(self) -> None:
        self.active = False
        self.requests = 0
        self._deadline: float | None = None

    async def until(self, idle: Callable[[], bool], *, timeout_s: float) -> bool:
        """Begin nothing new, and wait until all that was begun has ended.

        Args:
            idle: Whether nothing else is going on.
            timeout_s: The most seconds to wait, since this was first called.

        Returns:
            Whether it has.
        """
        self.active = True
        now = asyncio.get_running_loop().time
        if self._deadline is None:
            self._deadline = now() + timeout_s
        while self.requests or not idle():
            if now() >= self._deadline:
                return False
            await asyncio.sleep(_LOOK_S)
        return True


class NothingNew:
    """Refuses what would begin something, while the service is about to end: 503 with ``Retry-After``.

    Reading goes on, so that a page sees its answer come to its end.

    Args:
        app: The application behind it.
        draining: Whether it is about to end.
    """

    def __init__(self, app: ASGIApp, draining: Draining) -> None:
        self._app = app
        self._draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse one request."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if self._draining.active and path.startswith("/v1/") and not path.endswith(_ENDS):
            refusal = EngineUnavailableError(
                "The service is about to restart and takes nothing new. Try again shortly.",
                zh="服务即将重启，暂不接受新的请求，请稍后重试。",
                code="draining",
            )
            await errors.response(refusal, {"retry-after": str(_RETRY_AFTER_S)})(scope, receive, send)
            return
        self._draining.requests += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._draining.requests -= 1


def on_signals(drain: Callable[[], Awaitable[None]]) -> None:
    """Drain at the first SIGTERM or SIGINT, then let the web server do what it does then; end at once at the second.

    Does nothing outside of the main thread, where there are no signals.

    Args:
        drain: Returns when nothing is going on any more.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    loop, asked, running = asyncio.get_running_loop(), False, set[asyncio.Task[None]]()

    async def end(number: int, then: Callable[[int, FrameType | None], object]) -> None:
        try:
            await drain()
        except Exception:
            log.exception("draining failed")
        finally:
            then(number, None)

    def begin(number: int, then: Callable[[int, FrameType | None], object]) -> None:
        task = loop.create_task(end(number, then))
        running.add(task)
        task.add_done_callback(running.discard)

    for each in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(each)
        if not callable(before):  # whoever runs us wants it to be ignored
            continue

        def handle(
            number: int, _: FrameType | None, then: Callable[[int, FrameType | None], object] = before
        ) -> None:
            nonlocal asked
            if asked:
                os.write(2, b"Asked to end once more: ended at once.\n")  # a signal may come within a write
                os._exit(128 + number)
            asked = True
            loop.call_soon_threadsafe(begin, number, then)

        signal.signal(each, handle)
