"""Stands behind nginx in place of the service, and writes down what arrives."""

from __future__ import annotations

import http.server
import socketserver
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["LARGE", "Recorder", "Seen"]

LARGE = 16_000_000
"""Bytes of what a recorder answers to /large."""


@dataclass(frozen=True)
class Seen:
    """A request as it came through."""

    line: str
    headers: Sequence[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


@dataclass
class Recorder:
    """Stands where the service does, or another application, and writes down what arrives."""

    seen: list[Seen] = field(default_factory=list)

    @contextmanager
    def at(self, unix: Path) -> Iterator[None]:
        """Listen on a Unix socket."""
        with _UnixServer(str(unix), self._handler()) as server, _serving(server):
            yield

    @contextmanager
    def on_port(self) -> Iterator[int]:
        """Listen on a free port of this machine."""
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler()) as server, _serving(server):
            yield server.server_port

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        return type("Recording", (_Recording,), {"seen": self.seen})


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


class _UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_: object) -> None:
        """A client that left in the middle."""


class _Recording(http.server.BaseHTTPRequestHandler):
    seen: list[Seen]
    protocol_version = "HTTP/1.1"
    timeout = 30

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, ValueError):  # the client left in the middle
            self.close_connection = True

    def _record(self) -> None:
        self.close_connection = False
        body = self._body()
        self.seen.append(Seen(self.requestline, self.headers.items(), body))
        answer = bytes(LARGE) if self.path == "/large" else b'{"recorded": true}'
        at_once = 1 if self.path == "/slow" else len(answer)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("Strict-Transport-Security", "max-age=1")
        self.end_headers()
        if self.command != "HEAD":
            for start in range(0, len(answer), at_once):
                self.wfile.write(answer[start : start + at_once])
                time.sleep(0.3 if at_once == 1 else 0)

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            length = int(self.headers.get("content-length", 0))
            body = self.rfile.read(length)
            if len(body) < length:
                raise ConnectionAbortedError
            return body
        pieces = []
        while size := int(self.rfile.readline() or "x", 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _record  # noqa: N815 - the names are http.server's

    def log_message(self, *_: object) -> None:
        """Quiet."""
