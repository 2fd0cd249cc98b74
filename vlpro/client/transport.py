"""The way into a service that this very process runs: requests straight into the application, without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import CancelledError
from typing import Any

import httpx

__all__ = ["IN_PROCESS", "AppTransport", "connect_in_process", "in_process"]

IN_PROCESS = "vlpro.in_process"
"""The key of an ASGI scope that was made here, not by a server."""

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
App = Callable[
    [Scope, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]


class AppTransport(httpx.BaseTransport):
    """Carries requests into an ASGI application that runs in another thread's event loop.

    Args:
        app: The application, with all of its middleware.
        loop: The loop in which it runs.
        timeout_s: Seconds to wait for a whole answer.
    """

    def __init__(self, app: App, loop: asyncio.AbstractEventLoop, timeout_s: float = 30.0) -> None:
        self._app = app
        self._loop = loop
        self._timeout_s = timeout_s

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and wait for its whole answer (streams are collected).

        Raises:
            httpx.TransportError: The application did not answer.
        """
        work = self._call(request, request.read())
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError as error:  # the loop is closed
            work.close()
            raise httpx.ConnectError("the service has stopped", request=request) from error
        try:
            return future.result(self._timeout_s)
        except TimeoutError as error:
            future.cancel()
            raise httpx.ReadTimeout("the service did not answer in time", request=request) from error
        except CancelledError as error:
            raise httpx.ReadError("the service stopped before it answered", request=request) from error

    async def _call(self, request: httpx.Request, body: bytes) -> httpx.Response:
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": request.url.scheme,
            "path": request.url.path,
            "raw_path": request.url.raw_path.split(b"?")[0],
            "query_string": request.url.query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "client": ("127.0.0.1", 0),
            IN_PROCESS: True,
            "server": (request.url.host, request.url.port or 80),
            "state": {},
        }
        incoming: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        answered = asyncio.Event()
        status, headers, pieces = 500, [], []

        async def receive() -> Message:
            if incoming:
                return incoming.pop()
            await answered.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            nonlocal status, headers
            if message["type"] == "http.response.start":
                status, headers = message["status"], list(message.get("headers", ()))
            elif message["type"] == "http.response.body":
                pieces.append(message.get("body", b""))
                if not message.get("more_body"):
                    answered.set()

        try:
            await self._app(scope, receive, send)
        # As a server would: what was answered stands, the rest is the service's log.
        except Exception as error:
            if not answered.is_set():
                raise httpx.ReadError("the service failed", request=request) from error
        return httpx.Response(status, headers=headers, content=b"".join(pieces))


_local: AppTransport | None = None


def connect_in_process(app: App | None, loop: asyncio.AbstractEventLoop | None = None) -> None:
    """Say which application :func:`in_process` reaches; None when the service stops.

    Called by the service at its start: Streamlit runs the page's script in the service's own process, and gives
    it no other way to learn of the application around it.
    """
    global _local  # noqa: PLW0603 - one service a process; see above
    _local = AppTransport(app, loop) if app is not None and loop is not None else None


def in_process() -> httpx.BaseTransport:
    """The transport into the service that this very process runs.

    Raises:
        RuntimeError: This process runs no service.
    """
    if _local is None:
        raise RuntimeError("this process runs no service: start it with `streamlit run app.py`")
    return _local
