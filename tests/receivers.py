"""Who receives alerts in tests: a webhook, a syslog collector, a mail server. Each on a free port of this machine."""

from __future__ import annotations

import base64
import hmac
import json
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

__all__ = ["HookServer", "MailServer", "SyslogServer", "hook", "mail_server", "server_tls", "syslog_server"]

SECRET = "a-secret-of-the-tests"  # noqa: S105 - of nobody


def server_tls(folder: Path) -> ssl.SSLContext:
    """With the certificate that lies in a folder."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    return context


@dataclass
class HookServer:
    """What a webhook was sent.

    Args:
        port: Where it listens.
        got: What came with the right signature.
        wrong: How many requests came with none, or a wrong one.
        status: What it answers.
        keys: ``Idempotency-Key`` of every request, also of those that it refused.
    """

    port: int
    got: list[dict[str, Any]] = field(default_factory=list)
    wrong: int = 0
    status: int = 204
    keys: list[str | None] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/alerts"


@contextmanager
def hook(
    port: int = 0, tls: ssl.SSLContext | None = None, *, host: str = "127.0.0.1"
) -> Iterator[HookServer]:
    """Listen until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            stamp, given = self.headers["x-vlpro-timestamp"], self.headers["x-vlpro-signature"]
            wanted = "v1=" + hmac.new(SECRET.encode(), stamp.encode() + b"." + body, "sha256").hexdigest()
            right = hmac.compare_digest(wanted, given) and abs(time.time() - int(stamp)) < 60
            status = held.status  # whoever waits for the key may change it
            held.keys.append(self.headers["idempotency-key"])
            if right and self.headers["content-type"] == "application/json":
                if status < 300:
                    held.got.append(json.loads(body))
            else:
                held.wrong += 1
            self.send_response(status)
            self.send_header("location", held.url)  # a redirect would come back here
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the library's
            pass

    with ThreadingHTTPServer((host, port), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        held = HookServer(server.server_address[1])
        with _running(server):
            yield held


@dataclass
class SyslogServer:
    """What a collector was sent, frame by frame or datagram by datagram."""

    url: str
    got: list[str] = field(default_factory=list)


@contextmanager
def syslog_server(scheme: str, folder: Path) -> Iterator[SyslogServer]:
    """Listen for tls, tcp, udp or on a Unix socket, until the end of the block."""
    held = SyslogServer("")

    class Stream(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while digits := self.rfile.read(1):
                while (one := self.rfile.read(1)) != b" ":
                    digits += one
                held.got.append(self.rfile.read(int(digits)).decode())
            if isinstance(self.request, ssl.SSLSocket):
                self.request.unwrap()

    class Datagram(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            held.got.append(self.request[0].decode())

    class UnixDatagram(socketserver.UDPServer):
        address_family = socket.AF_UNIX

    server: socketserver.BaseServer
    if scheme == "unix":
        server = UnixDatagram(cast("Any", str(folder / "log")), Datagram)
        held.url = f"unix://{folder / 'log'}"
    elif scheme == "udp":
        server = socketserver.UDPServer(("127.0.0.1", 0), Datagram)
        held.url = f"udp://127.0.0.1:{server.server_address[1]}"
    else:
        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Stream)
        held.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
        if scheme == "tls":
            server.socket = server_tls(folder).wrap_socket(server.socket, server_side=True)
    with server, _running(server):
        yield held


@dataclass
class MailServer:
    """What a mail server took.

    Args:
        port: Where it listens.
        got: Mails, with their envelopes: from whom, to whom.
        logins: User and password, as they came.
        clear: Commands that came before TLS.
    """

    port: int
    got: list[tuple[str, list[str], EmailMessage]] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    clear: list[str] = field(default_factory=list)


@contextmanager
def mail_server(  # noqa: C901 - the commands of a protocol
    tls: ssl.SSLContext | None = None, *, starttls: bool = True
) -> Iterator[MailServer]:
    """A server that speaks what smtplib needs (RFC 5321, 3207, 4954), until the end of the block.

    Args:
        tls: Its certificate; None: it has none.
        starttls: Whether TLS begins on request; else with the first byte.
    """

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.connection: socket.socket = self.request
            self.secure = False
            self.file = self.connection.makefile("rb")
            if tls is not None and not starttls:
                self._wrap()
            sender, receivers = "", list[str]()
            self._say("220 ready")
            while line := self.file.readline().decode().strip():
                word = line.split()[0].upper()
                if not self.secure:
                    held.clear.append(word)
                if word == "EHLO":
                    offers = ["STARTTLS"] if tls is not None and not self.secure else ["AUTH PLAIN"]
                    self._say("250-here", *(f"250-{offer}" for offer in offers), "250 8BITMIME")
                elif word == "STARTTLS" and tls is not None:
                    self._say("220 go")
                    self._wrap()
                elif word == "AUTH":
                    held.logins.append(base64.b64decode(line.split()[2]).decode())
                    self._say("235 welcome")
                elif word == "MAIL":
                    sender = line.split("<")[1].split(">")[0]
                    self._say("250 ok")
                elif word == "RCPT":
                    receivers.append(line.split("<")[1].split(">")[0])
                    self._say("250 ok")
                elif word == "DATA":
                    self._say("354 go")
                    held.got.append((sender, receivers, self._mail()))
                    self._say("250 taken")
                elif word == "QUIT":
                    self._say("221 bye")
                    break
                else:
                    self._say("502 no")

        def finish(self) -> None:
            # However it ended: what is left open is complained about in whichever test comes next.
            self.file.close()
            self.connection.close()

        def _wrap(self) -> None:
            assert tls is not None
            self.connection = tls.wrap_socket(self.connection, server_side=True)
            self.file = self.connection.makefile("rb")
            self.secure = True

        def _say(self, *lines: str) -> None:
            self.connection.sendall("".join(f"{line}\r\n" for line in lines).encode())

        def _mail(self) -> EmailMessage:
            data = b""
            while (line := self.file.readline()) != b".\r\n":
                data += line.removeprefix(b".")
            return message_from_bytes(data, policy=policy.default)

    class Quiet(socketserver.ThreadingTCPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that does not trust the certificate goes away: no output."""

    with Quiet(("127.0.0.1", 0), Handler) as server:
        held = MailServer(server.server_address[1])
        with _running(server):
            yield held


@contextmanager
def _running(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
