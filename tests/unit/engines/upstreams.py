"""Servers that an engine may meet: some scripted without a socket, some real and badly behaved."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import httpx

from vlpro.engines.upstream import Upstream

__all__ = ["HEAD", "Connection", "Scripted", "Seen", "event", "models", "serving"]

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def event(**choice: object) -> bytes:
    """One chunk of a streamed answer."""
    return b"data: " + json.dumps({"choices": [{"index": 0, **choice}]}).encode() + b"\n\n"


def models(*names: str) -> bytes:
    """A list of models."""
    return json.dumps({"object": "list", "data": [{"id": name} for name in names]}).encode()


class Scripted(Upstream):
    """Answers without a socket."""

    def __init__(
        self, stream: bytes = b"", status: int = 200, *, listed: bytes = models("m"), key: str = ""
    ) -> None:
        super().__init__("http://upstream/v1", key=key)
        self.stream, self.status, self.listed = stream, status, listed
        self.requests: list[httpx.Request] = []

    def client(self, *, keep: int = 0, read_s: float | None = None) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, content=self.listed)
        self.requests.append(request)
        return httpx.Response(self.status, content=self.stream)


@dataclass
class Connection:
    """One connection, and the requests that came over it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    requests: list[bytes] = field(default_factory=list)

    async def read_request(self) -> bytes:
        """The head of the next request; empty where the client has gone."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        length = next(
            (line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0"
        )
        await self.reader.readexactly(int(length.split(b":")[1]))
        self.requests.append(head)
        return head

    async def send(self, data: bytes) -> None:
        """Plain bytes."""
        self.writer.write(data)
        await self.writer.drain()

    async def piece(self, data: bytes) -> None:
        """One part of a chunked body; an empty one ends it."""
        await self.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def whole(self, text: str = "ok") -> None:
        """A complete answer, after which the connection may be used again."""
        await self.send(HEAD)
        await self.piece(
            event(delta={"content": text}) + event(delta={}, finish_reason="stop") + b"data: [DONE]\n\n"
        )
        await self.piece(b"")


@dataclass
class Seen:
    """What a server has seen."""

    url: str
    connections: list[Connection] = field(default_factory=list)

    @property
    def questions(self) -> int:
        """How often a question came in."""
        return sum(head.startswith(b"POST") for c in self.connections for head in c.requests)


@asynccontextmanager
async def serving(
    answer: Callable[[Connection], Awaitable[None]],
    *,
    tls: ssl.SSLContext | None = None,
    listed: bytes = models("m"),
) -> AsyncIterator[Seen]:
    """A server of raw bytes that lists its models properly, and answers each question as the function says."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(connection: Connection) -> None:
        while head := await connection.read_request():
            if head.startswith(b"POST"):
                await answer(connection)
            else:
                await connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(listed) + listed)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        seen.connections.append(connection)
        task = asyncio.create_task(serve(connection))
        tasks.add(task)
        with suppress(ConnectionError, asyncio.CancelledError):
            await task
        writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls, backlog=1000)
    scheme = "https" if tls else "http"
    seen = Seen(f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
    try:
        yield seen
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.01)  # the connections close behind them
