"""A connection to an LDAP server that ends in time, whatever the server does.

TLS is Python's, not libldap's: Debian's libldap waits for ever where a server goes silent within the handshake, and
takes trust from files and variables of the system. libldap gets a local socket, behind which a thread passes bytes on
until the deadline, and no more of them than allowed.
"""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from vlpro.sealing import outside

__all__ = ["connected", "trusting"]

log = logging.getLogger(__name__)

_MOST_BYTES = 8_000_000
_PIECE = 65_536
_PORTS = {"ldap": 389, "ldaps": 636}
# RFC 4511, 4.14.1: ExtendedRequest, message 1, 1.3.6.1.4.1.1466.20037.
_START_TLS = bytes.fromhex("301d 020101 7718 8016") + b"1.3.6.1.4.1.1466.20037"
_MESSAGE, _EXTENDED_RESPONSE, _ENUMERATED = 0x30, 0x78, 0x0A
_LONGEST_RESPONSE = 4096


def trusting(ca: str) -> ssl.SSLContext:
    """TLS 1.2 or later, with certificates of these authorities for the name that was asked for.

    Raises:
        OSError: The file cannot be read, or holds no certificates.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks the certificate and the name in it
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cafile=ca)
    return context


@contextlib.contextmanager
def connected(
    url: str, tls: ssl.SSLContext | None, *, start_tls: bool, deadline: float
) -> Iterator[socket.socket]:
    """Connect, and yield a local socket on which the server is heard; whoever takes it by detach() must close it.

    Args:
        url: ldap://, ldaps:// or ldapi://, checked already.
        tls: Whom to trust; None: the connection is plain.
        start_tls: Whether TLS is asked for by LDAP's own operation first.
        deadline: When everything ends, on the monotonic clock; the local socket then reads as closed.

    Raises:
        OSError: No connection, or none that can be trusted.
    """
    far = _opened(url, tls, start_tls=start_tls, deadline=deadline)
    near, ours = socket.socketpair()
    thread = threading.Thread(target=_relay, args=(ours, far, deadline), daemon=True, name="ldap-relay")
    thread.start()
    try:
        yield near
    finally:
        near.close()
        thread.join(1)


def _opened(url: str, tls: ssl.SSLContext | None, *, start_tls: bool, deadline: float) -> socket.socket:
    parts = urlsplit(url)
    if parts.scheme == "ldapi":
        return outside.connection(outside.unix(unquote(parts.netloc)), _left(deadline))
    host = parts.hostname or ""
    where = outside.destination(host, parts.port or _PORTS[parts.scheme])
    plain = outside.connection(where, _left(deadline) if outside.relayed() else _share(deadline, host))
    try:
        plain.settimeout(_left(deadline))
        if plain.family != socket.AF_UNIX:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # small messages, each waited for
        if tls is None:
            return plain
        if start_tls:
            plain.sendall(_START_TLS)
            _expect_success(plain)
        return tls.wrap_socket(plain, server_hostname=host)  # owns the socket from here on
    except BaseException:
        plain.close()
        raise


def _share(deadline: float, host: str) -> float:
    """What each of a name's addresses may take, so that a dead one leaves time for the next."""
    addresses = {entry[4][0] for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    return _left(deadline) / len(addresses)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time is up")
    return left


def _expect_success(plain: socket.socket) -> None:
    """Read the answer to StartTLS, and not one byte of what follows it: that would be outside TLS."""
    tag, length = plain.recv(1), plain.recv(1)
    if tag != bytes([_MESSAGE]) or not length:
        raise ConnectionError("StartTLS: no LDAP answer")
    size = length[0]
    if size >= 0x80:
        size = int.from_bytes(_exactly(plain, size & 0x7F))
    if size > _LONGEST_RESPONSE:
        raise ConnectionError("StartTLS: an answer of senseless length")
    body = _exactly(plain, size)
    try:
        _, _, rest = _element(body)  # the message's number
        kind, response, _ = _element(rest)
        code_kind, code, _ = _element(response)
    except IndexError:
        raise ConnectionError("StartTLS: a broken answer") from None
    if (kind, code_kind, code) != (_EXTENDED_RESPONSE, _ENUMERATED, b"\0"):
        raise ConnectionError("StartTLS: the server refuses")


def _exactly(plain: socket.socket, size: int) -> bytes:
    got = bytearray()
    while len(got) < size:
        piece = plain.recv(size - len(got))
        if not piece:
            raise ConnectionError("StartTLS: the server closed the connection")
        got += piece
    return bytes(got)


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """The first element of BER data: its tag, its content, and what follows."""
    size, start = data[1], 2
    if size >= 0x80:
        start = 2 + (size & 0x7F)
        size = int.from_bytes(data[2:start])
    if start + size > len(data):
        raise IndexError
    return data[0], data[start : start + size], data[start + size :]


def _relay(near: socket.socket, far: socket.socket, deadline: float) -> None:
    """Pass bytes on both ways until one side ends, too many came, or the time is up."""
    with near, far, contextlib.suppress(OSError):
        near.settimeout(0)
        far.settimeout(0)
        to_near = to_far = b""
        room = _MOST_BYTES
        while (left := deadline - time.monotonic()) > 0 and room > 0:
            heard = None if to_near else _read(far)
            said = None if to_far else _read(near)
            if heard == b"" or said == b"":
                return
            room -= len(heard or b"")
            to_near, to_far = to_near or heard or b"", to_far or said or b""
            held = len(to_near) + len(to_far)
            to_near, to_far = _written(near, to_near), _written(far, to_far)
            if heard or said or len(to_near) + len(to_far) < held:
                continue
            waiting = select.poll()  # select() knows no descriptor beyond 1023
            for end, unread, unsent in ((far, not to_near, to_far), (near, not to_far, to_near)):
                waiting.register(end, (select.POLLIN if unread else 0) | (select.POLLOUT if unsent else 0))
            waiting.poll(left * 1000)
        if room <= 0:
            log.warning("the directory sent more than %d bytes", _MOST_BYTES)


def _read(end: socket.socket) -> bytes | None:
    """What has come; nothing at the end; None where nothing is there yet."""
    try:
        return end.recv(_PIECE)
    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return None


def _written(end: socket.socket, data: bytes) -> bytes:
    """Send what goes; returns what does not go yet."""
    try:
        return data[end.send(data) :] if data else b""
    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return data
