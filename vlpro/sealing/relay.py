"""``python -m vlpro.sealing.relay``: the one process beside a sealed service that connects, to given addresses only.

It is asked by a packet that holds an address and one end of a socket pair. An address that is not among its own is
refused; else it connects, and passes bytes on both ways until both ends have ended. It understands nothing of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import resource
import socket
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from vlpro.errors import ConfigError
from vlpro.logs import configure_child
from vlpro.process import package_path
from vlpro.sealing.addresses import CONNECTED, NO_ADDRESS, NOT_NAMED, is_address, tcp_ports
from vlpro.sealing.seal import seal_relay

__all__ = ["listen", "start"]

log = logging.getLogger(__name__)

_CONNECT_S = 5.0
_AGAIN_S = 0.5
_PIECE = 65_536
_LONGEST = 400


def start(destinations: Sequence[str]) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Start a relay; it ends when the socket is closed everywhere.

    Args:
        destinations: ``HOST:PORT`` or ``unix:/PATH``.

    Returns:
        The socket for :func:`vlpro.sealing.outside.through`, and the process.

    Raises:
        ConfigError: One is no address, or the relay does not start.
    """
    _checked(destinations)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, "-P", "-m", __name__, str(theirs.fileno()), *destinations]
        kept = ("PATH", "LANG", "VLPRO_LOG_FORMAT", "RES_OPTIONS", "LOCALDOMAIN")  # no secret
        process = subprocess.Popen(  # noqa: S603 - ourselves
            command,
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl+C is for the service, and then it ends
            env={name: os.environ[name] for name in kept if name in os.environ}
            | {"PYTHONPATH": package_path()},
        )
    if not ours.recv(1):  # it is sealed, and ready
        ours.close()
        process.wait()
        raise ConfigError(
            "The relay to the addresses of the settings does not start; its reason stands above.",
            zh="通往设置中各地址的中继进程无法启动，原因见上文。",
            param="sealed",
        )
    return ours, process


def listen(path: Path, destinations: Sequence[str]) -> None:
    """Be the relay of services that connect to a Unix socket (``serve --sealed --relay PATH``), until ended.

    Args:
        path: Of the socket, which is made anew; its group may connect.
        destinations: ``HOST:PORT`` or ``unix:/PATH``.

    Raises:
        ConfigError: One is no address, or the socket cannot be made.
    """
    _checked(destinations)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(path.lstat().st_mode):
                path.unlink()
        before = os.umask(0o117)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        listener.listen()
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"The relay's socket {path} cannot be made: {error.strerror}.",
            zh=f"无法创建中继的套接字 {path}：{error.strerror}。",
            param="relay",
        ) from error
    _open_many()
    seal_relay(tcp_ports(destinations))
    with listener, contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_accept(listener, frozenset(destinations)))


def main() -> None:
    """Be the relay of the service that started this process."""
    control = socket.socket(fileno=int(sys.argv[1]))
    destinations = sys.argv[2:]
    configure_child("relay")
    _open_many()
    seal_relay(tcp_ports(destinations))
    control.send(b"\0")
    with control:
        asyncio.run(_serve(control, frozenset(destinations)))


def _open_many() -> None:
    """Have as many descriptors as the system allows: two for each connection."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _checked(destinations: Sequence[str]) -> None:
    for where in destinations:
        if not is_address(where):
            raise ConfigError(
                f"{where} is no address: write HOST:PORT, or unix:/PATH.",
                zh=f"{where} 不是地址：请写成 主机:端口 或 unix:/路径。",
                param="relay",
            )


async def _accept(listener: socket.socket, destinations: frozenset[str]) -> None:
    listener.settimeout(0)
    loop = asyncio.get_running_loop()
    services: set[asyncio.Task[None]] = set()
    while True:
        try:
            control, _ = await loop.sock_accept(listener)
        except OSError as error:  # too many are open
            log.warning("no service is taken: %s", error.strerror)
            await asyncio.sleep(_AGAIN_S)
            continue
        task = loop.create_task(_serve(control, destinations))
        services.add(task)
        task.add_done_callback(services.discard)


async def _serve(control: socket.socket, destinations: frozenset[str]) -> None:
    """Take what one service asks for, until it is gone."""
    loop = asyncio.get_running_loop()
    control.settimeout(0)
    ended = asyncio.Event()
    carried: set[asyncio.Task[None]] = set()

    def packet() -> None:
        try:
            asked, descriptors, _, _ = socket.recv_fds(control, _LONGEST, 1)
        except BlockingIOError:
            return
        except OSError:
            asked, descriptors = b"", []
        if not asked:
            loop.remove_reader(control)
            ended.set()
            return
        if not descriptors:  # the kernel leaves it out where too many are open; who asked sees its end closed
            log.warning("refused: no socket came along, or too many are open")
            return
        try:
            near = socket.socket(fileno=descriptors[0])
        except OSError:
            os.close(descriptors[0])
            return
        task = loop.create_task(_carry(near, asked.decode("utf-8", "replace"), destinations))
        carried.add(task)
        task.add_done_callback(carried.discard)

    loop.add_reader(control, packet)
    await ended.wait()
    for task in tuple(carried):
        task.cancel()
    await asyncio.gather(*carried, return_exceptions=True)
    control.close()


async def _carry(near: socket.socket, where: str, destinations: frozenset[str]) -> None:
    loop = asyncio.get_running_loop()
    with near:
        near.settimeout(0)
        if where not in destinations:
            log.warning("refused: %s is not among the addresses of this relay", ascii(where)[:300])
            said, far = NOT_NAMED, None
        else:
            said, far = await _connected(where)
        with contextlib.suppress(OSError):
            await loop.sock_sendall(near, bytes([said]))
        if far is None:
            return
        with far:
            both = [loop.create_task(_pass_on(near, far)), loop.create_task(_pass_on(far, near))]
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_EXCEPTION)
            finally:  # one side broke off, or the service is gone
                for task in both:
                    task.cancel()
                await asyncio.gather(*both, return_exceptions=True)


async def _connected(where: str) -> tuple[int, socket.socket | None]:
    """A connection; or what to say instead."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_CONNECT_S):
            if where.startswith("unix:"):
                return CONNECTED, await _to(socket.AF_UNIX, where.removeprefix("unix:"))
            host, _, port = where.rpartition(":")
            found = await loop.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
            for index, (family, _, _, _, address) in enumerate(found):
                try:
                    # A dead address leaves time for the next.
                    async with asyncio.timeout(_CONNECT_S / len(found)):
                        return CONNECTED, await _to(family, address)
                except OSError:
                    if index == len(found) - 1:
                        raise
    except socket.gaierror:
        said = NO_ADDRESS
    except TimeoutError:
        said = errno.ETIMEDOUT
    except OSError as error:
        said = error.errno if error.errno and 0 < error.errno < NOT_NAMED else errno.EIO
    else:
        said = NO_ADDRESS
    return said, None


async def _to(family: int, address: object) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.settimeout(0)
        await asyncio.get_running_loop().sock_connect(made, address)  # type: ignore[arg-type]
        if family != socket.AF_UNIX:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    except BaseException:
        made.close()
        raise
    return made


async def _pass_on(source: socket.socket, target: socket.socket) -> None:
    """Until the source has said all, which the target is then told."""
    loop = asyncio.get_running_loop()
    while piece := await loop.sock_recv(source, _PIECE):
        await loop.sock_sendall(target, piece)
    target.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    main()
