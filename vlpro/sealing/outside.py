"""Connections to the addresses that the settings name: made here, or where this process is sealed, by the relay.

The relay gets one end of a socket pair and the address, connects, and passes bytes on. TLS is spoken on the other
end, with the name that was asked for.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from typing import Any

import httpcore
import httpx
from httpcore._backends.anyio import AnyIOStream
from httpcore._backends.sync import SyncStream

from vlpro.sealing.addresses import CONNECTED, NO_ADDRESS, NOT_NAMED, destination, unix

__all__ = ["async_transport", "connection", "destination", "relayed", "through", "transport", "unix"]

_TIMEOUT_S = 10.0

_relay: socket.socket | None = None


def through(relay: socket.socket | None) -> None:
    """Have all connections made by the relay; a fact of the process, as being sealed is.

    Args:
        relay: A socket of sequenced packets, with the relay at its other end; None: connections are made here.
    """
    global _relay  # noqa: PLW0603 - as above
    _relay = relay


def relayed() -> bool:
    """Whether this process has its connections made for it."""
    return _relay is not None


def connection(where: str, timeout_s: float | None = None) -> socket.socket:
    """Connect.

    Args:
        where: From :mod:`vlpro.sealing.addresses`.
        timeout_s: For this, and for each later call of the socket.

    Raises:
        OSError: It cannot be reached; where it is no address of the settings, a PermissionError.
    """
    if _relay is None:
        return _direct(where, timeout_s)
    ours = _asked(_relay, where)
    try:
        ours.settimeout(_TIMEOUT_S if timeout_s is None else timeout_s)
        _check(where, ours.recv(1))
        ours.settimeout(timeout_s)
    except BaseException:
        ours.close()
        raise
    return ours


def transport(tls: ssl.SSLContext) -> httpx.HTTPTransport:
    """For an ``httpx.Client``: no proxies, no kept connections but in a session's own pool.

    Args:
        tls: Whom to trust.
    """
    made = httpx.HTTPTransport(verify=tls, trust_env=False)
    if _relay is not None:
        made._pool = httpcore.ConnectionPool(ssl_context=tls, network_backend=_Backend())  # noqa: SLF001 - no other way
    return made


def async_transport(
    tls: ssl.SSLContext, *, path: str = "", retries: int = 0, keep: int | None = None
) -> httpx.AsyncHTTPTransport:
    """For an ``httpx.AsyncClient``: without proxies.

    Args:
        tls: Whom to trust.
        path: Of a Unix socket on which the server listens, whatever its URL says.
        retries: More tries to connect.
        keep: Most idle connections that are kept; None: as many as there were.
    """
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=keep)
    made = httpx.AsyncHTTPTransport(
        verify=tls, uds=path or None, retries=retries, limits=limits, trust_env=False
    )
    if _relay is not None:
        made._pool = httpcore.AsyncConnectionPool(  # noqa: SLF001 - likewise
            ssl_context=tls,
            max_connections=None,
            max_keepalive_connections=keep,
            retries=retries,
            network_backend=_AsyncBackend(path),
        )
    return made


class _Backend(httpcore.NetworkBackend):
    def connect_tcp(self, host: str, port: int, timeout: float | None = None, *_: Any, **__: Any) -> Any:
        try:
            return SyncStream(connection(destination(host, port), timeout))
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error


class _AsyncBackend(httpcore.AsyncNetworkBackend):
    def __init__(self, path: str) -> None:
        self._path = path

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's
        *_: Any,
        **__: Any,
    ) -> Any:
        from anyio.abc import UNIXSocketStream  # noqa: PLC0415 - only the service needs it

        where = unix(self._path) if self._path else destination(host, port)
        try:
            async with asyncio.timeout(timeout):
                made = await _async_connection(where)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        return AnyIOStream(await UNIXSocketStream.from_socket(made))

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def _async_connection(where: str) -> socket.socket:
    assert _relay is not None  # noqa: S101 - by who asks
    ours = _asked(_relay, where)
    try:
        ours.settimeout(0)
        _check(where, await asyncio.get_running_loop().sock_recv(ours, 1))
    except BaseException:
        ours.close()
        raise
    return ours


def _asked(relay: socket.socket, where: str) -> socket.socket:
    """Our end of a pair, whose other end the relay has, with the address."""
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            socket.send_fds(relay, [where.encode()], [theirs.fileno()])
    except BaseException:
        ours.close()
        raise
    return ours


def _check(where: str, said: bytes) -> None:
    if not said:
        raise ConnectionResetError(
            errno.ECONNRESET, "the relay has ended, or has too many connections: its log says which", where
        )
    if said[0] == CONNECTED:
        return
    if said[0] == NOT_NAMED:
        raise PermissionError(errno.EPERM, "the settings name no such address", where)
    if said[0] == NO_ADDRESS:
        raise socket.gaierror(socket.EAI_NONAME, f"{where}: no address is known for this name")
    raise OSError(said[0], os.strerror(said[0]), where)


def _direct(where: str, timeout_s: float | None) -> socket.socket:
    kind, _, path = where.partition(":")
    if kind == "unix":
        plain = socket.socket(socket.AF_UNIX)
        plain.settimeout(timeout_s)
        try:
            plain.connect(path)
        except BaseException:
            plain.close()
            raise
        return plain
    host, _, port = where.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=timeout_s)
