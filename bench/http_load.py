"""Clients for a load test: raw HTTP/1.1 on kept connections, each sending its next request as the answer ends.

An ordinary client library would take longer for a request than the servers that are measured here.
"""

from __future__ import annotations

import asyncio
import re
import time

__all__ = ["load", "post"]


def post(port: int, path: str, body: bytes) -> bytes:
    """A request as it goes over the wire."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer none\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def load(port: int, request: bytes, expected: bytes, *, clients: int, seconds: float) -> list[float]:
    """Keep a server on 127.0.0.1 busy.

    Args:
        port: The server's.
        request: What each client sends, again and again.
        expected: Must stand in every answer.
        clients: How many at once, each on a connection of its own.
        seconds: After these no new request is sent.

    Returns:
        Milliseconds of each request, from its first byte sent to the answer's last byte received.

    Raises:
        RuntimeError: An answer is not 200, not as expected, or the connection closed.
    """
    loop = asyncio.get_running_loop()
    times: list[float] = []
    stop = time.perf_counter() + seconds
    every = [_Client(request, expected, stop, times) for _ in range(clients)]
    for client in every:
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.gather(*(client.done for client in every))
    return times


class _Client(asyncio.Protocol):
    def __init__(self, request: bytes, expected: bytes, stop: float, times: list[float]) -> None:
        self._request, self._expected, self._stop, self._times = request, expected, stop, times
        self._received = bytearray()
        self._began = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._received.clear()
        self._began = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._complete():
            return
        now = time.perf_counter()
        if not self._received.startswith(b"HTTP/1.1 200 ") or self._expected not in self._received:
            self.done.set_exception(RuntimeError(bytes(self._received[:2000]).decode(errors="replace")))
            self._transport.close()
            return
        self._times.append((now - self._began) * 1000)
        if now < self._stop:
            self._send()
        else:
            self.done.set_result(None)
            self._transport.close()

    def _complete(self) -> bool:
        """Whether the answer is whole (RFC 9112, section 6.3): one request is under way, so its end is at the end."""
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return False
        length = re.search(rb"\r\ncontent-length: *(\d+)", self._received[:end], re.IGNORECASE)
        if length is None:
            return self._received.endswith(b"\r\n0\r\n\r\n")
        return len(self._received) >= end + 4 + int(length[1])

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or RuntimeError("the server closed the connection"))
