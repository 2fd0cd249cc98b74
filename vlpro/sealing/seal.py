"""Sealing a process: the service, a worker of it, or the relay. Each is for good, and for whatever it starts."""

from __future__ import annotations

import contextlib
import errno
import resource
import socket
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

from vlpro.errors import ConfigError
from vlpro.process import keep_memory_private
from vlpro.sealing import landlock, seccomp
from vlpro.sealing.system import prctl, system_call

__all__ = ["is_sealed", "seal_relay", "seal_service", "seal_worker"]

_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/opt", "/etc", "/proc", "/sys")
_PLAIN_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_CARDS = ("nvidia*", "dri", "dri/*", "kfd", "accel", "accel/*")
_DROP_BOUNDING, _AMBIENT, _CLEAR = 24, 47, 4  # prctl
_CAPABILITIES = 0x20080522  # capset(2), version 3
_CAPABILITY_BITS = 64
_DNS = 53

_sealed = False


def seal_service(*, read: Iterable[Path], write: Iterable[Path], sockets: bool = False) -> int:
    """Seal the service, before it is started by exec.

    Args:
        read: What it reads beside the system and its own code.
        write: Folders and files that it writes.
        sockets: Whether it may connect to Unix sockets. Such a service must never hold a network socket.

    Returns:
        The version of Landlock.

    Raises:
        ConfigError: The kernel, or the machine, cannot do it.
    """
    return _seal(
        seccomp.WITH_SOCKETS if sockets else seccomp.PROCESS, read=(*_code(), *read), write=write, cards=True
    )


def seal_worker(*, read: Iterable[Path], folders: Iterable[Path] = ()) -> None:
    """Seal a worker: it reads the system, its code and these, writes no file, and makes no socket.

    To be called before a library starts threads.

    Args:
        read: Files and folders.
        folders: In which folders may be made, and no file.

    Raises:
        ConfigError: The kernel, or the machine, cannot do it.
    """
    _seal(seccomp.PROCESS, read=(*_code(), *read), write=(), cards=True, folders=folders)
    keep_memory_private()


def seal_relay(ports: Iterable[int]) -> None:
    """Seal the relay: it reads the system and its code, writes nothing, starts nothing.

    Args:
        ports: That it connects to.

    Raises:
        ConfigError: The kernel, or the machine, cannot do it.
    """
    where = (*_code(), Path("/run/systemd/resolve"))  # where /etc/resolv.conf leads to
    _seal(seccomp.RELAY, read=where, write=(), cards=False, ports=(*ports, _DNS))
    keep_memory_private()


def is_sealed() -> bool:
    """Whether this process can make no network socket; told by trying, until it is: a seal does not break."""
    global _sealed  # noqa: PLW0603 - a fact of the process
    if _sealed:
        return True
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
    except OSError as error:
        _sealed = error.errno in (errno.EPERM, errno.EACCES)
    return _sealed


def _seal(
    what: seccomp.Filter,
    *,
    read: Iterable[Path],
    write: Iterable[Path],
    cards: bool,
    folders: Iterable[Path] = (),
    ports: Iterable[int] = (),
) -> int:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    devices = [Path("/dev", name) for name in _PLAIN_DEVICES]
    if cards:
        devices += [path for name in _CARDS for path in Path("/dev").glob(name)]
    try:
        known = landlock.confine(read=read, write=write, devices=devices, folders=folders, ports=ports)
        _drop_capabilities()
        seccomp.install(what)
    except OSError as error:
        raise ConfigError(
            f"The kernel does not seal this process ({error.filename}: {error.strerror}). A container needs a "
            "seccomp profile that allows seccomp and landlock; else start without --sealed.",
            zh=f"内核无法密封本进程（{error.filename}：{error.strerror}）。容器的 seccomp 配置须允许 seccomp 和 "
            "landlock；否则请去掉 --sealed。",
            param="sealed",
        ) from error
    return known


def _code() -> list[Path]:
    """The system, and where this Python finds its code."""
    found = [sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix, *_SYSTEM]
    found += [str(Path(__file__).parents[2] / "vlpro"), str(Path(sys.executable).resolve().parent)]
    found += [path for path in sys.path if path and path != str(Path.cwd())]
    return [Path(path) for path in dict.fromkeys(found)]


def _drop_capabilities() -> None:
    """A service that was started by root keeps root's files, and none of its powers."""
    for capability in range(
        _CAPABILITY_BITS
    ):  # the last one stands in /proc/sys, which a unit may hide (ProcSubset=)
        try:
            prctl(_DROP_BOUNDING, capability)
        except OSError:
            break  # all are dropped; or not root: what may be regained is nothing, as privileges are not
    with contextlib.suppress(OSError):  # a kernel before 4.3
        prctl(_AMBIENT, _CLEAR)
    system_call("capset", struct.pack("Ii", _CAPABILITIES, 0), bytes(24))
