"""Answers that end when their reader goes: work is cancelled as soon as the client is gone or takes nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

__all__ = ["STREAMED", "ClientGoneError", "Download", "EventStream", "while_connected"]

STREAMED: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "The answer"}
}
"""For a route's OpenAPI description: it answers with events where the request says ``stream``."""

log = logging.getLogger(__name__)

T = TypeVar("T")


class ClientGoneError(Exception):
    """The client closed the connection; there is nobody to answer."""


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do some work, unless the client goes first.

    Args:
        request: Its body must have been read.
        work: What to do; cancelled when the client goes.

    Raises:
        ClientGoneError: The client went.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request.receive))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientGoneError
    finally:
        gone.cancel()
        task.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


class EventStream(Response):
    """Server-sent events (HTML Standard, section 9.2) from a generator.

    Args:
        events: Complete events, as bytes; closed when the client goes.
        slow_client_timeout_s: Seconds after which a client that takes nothing is given up.
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes, None], *, slow_client_timeout_s: float) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._events = events
        self._timeout_s = slow_client_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all events."""
        await self._run(Request(scope, receive), send)

    async def _run(self, request: Request, send: Send) -> None:
        try:
            await while_connected(request, self._send_all(send))
        except (ClientGoneError, TimeoutError):
            return  # the connection is closed, or is closed by the server because the answer is incomplete
        except OSError:
            return

    async def _send_all(self, send: Send) -> None:
        async with aclosing(self._events) as events:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async for event in events:
                async with asyncio.timeout(self._timeout_s):
                    await send({"type": "http.response.body", "body": event, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


class Download(EventStream):
    """A file from a generator, as long as it gets. Whatever breaks it off leaves it incomplete, so that it shows.

    Args:
        pieces: Of the file; closed when the client goes.
        name: Of the file, ASCII.
        media_type: Of the file.
        slow_client_timeout_s: As for :class:`EventStream`.
    """

    def __init__(
        self, pieces: AsyncGenerator[bytes, None], *, name: str, media_type: str, slow_client_timeout_s: float
    ) -> None:
        self.media_type = media_type
        super().__init__(pieces, slow_client_timeout_s=slow_client_timeout_s)
        self.headers["content-disposition"] = f'attachment; filename="{name}"'

    async def _run(self, request: Request, send: Send) -> None:
        try:
            await super()._run(request, send)
        except Exception:
            log.exception("a download broke off")
