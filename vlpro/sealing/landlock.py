"""Which files a sealed process may open: what is not named is closed (Landlock; the kernel's userspace-api/landlock).

Besides, where the kernel knows of it: no TCP port is bound or connected to, and no abstract Unix socket or process
outside is reached.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from pathlib import Path

from vlpro.errors import ConfigError
from vlpro.sealing.system import prctl, system_call

__all__ = ["confine", "version"]

_NO_NEW_PRIVILEGES = 38  # prctl
_ASK_VERSION, _BENEATH, _PORT = 1, 1, 2

# linux/landlock.h
_EXECUTE, _WRITE, _READ, _LIST = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_FOLDER, _REMOVE_FILE, _MAKE_FOLDER, _MAKE_FILE, _MAKE_LINK = 1 << 4, 1 << 5, 1 << 7, 1 << 8, 1 << 12
_MAKE_SOCKET = 1 << 9
_MOVE, _TRUNCATE, _DEVICE = 1 << 13, 1 << 14, 1 << 15
_OF_FILES = _EXECUTE | _WRITE | _READ | _TRUNCATE | _DEVICE
_BIND_TCP, _CONNECT_TCP = 1, 2
_ABSTRACT_SOCKETS, _SIGNALS = 1, 2

_READS = _EXECUTE | _READ | _LIST
_WRITES = _READ | _LIST | _WRITE | _REMOVE_FOLDER | _REMOVE_FILE | _MAKE_FOLDER | _MAKE_FILE | _MAKE_LINK
_WRITES |= _MOVE | _TRUNCATE
_FOLDERS = _LIST | _MAKE_FOLDER
_SOCKETS = _LIST | _MAKE_SOCKET | _REMOVE_FILE
_DRIVES = _READ | _WRITE | _LIST | _DEVICE


def version() -> int:
    """What the kernel knows of Landlock: 1 (Linux 5.13) and up; 0: nothing."""
    try:
        return system_call("landlock_create_ruleset", None, 0, _ASK_VERSION)
    except OSError:
        return 0


def confine(
    *,
    read: Iterable[Path],
    write: Iterable[Path] = (),
    devices: Iterable[Path] = (),
    folders: Iterable[Path] = (),
    sockets: Iterable[Path] = (),
    ports: Iterable[int] = (),
    files_only: bool = False,
) -> int:
    """Confine this thread, and what it starts, for good. To be called while there is no other.

    Args:
        read: Files and folders that may be read and executed; those that do not exist are left out.
        write: Folders in which anything may be done but execute, and files that may be written.
        devices: Devices that may be used.
        folders: In which folders may be made, and no file.
        sockets: Folders in which Unix sockets may be made, and files removed, but none made, read or written.
        ports: TCP ports that may be connected to.
        files_only: Leave ports, sockets and processes as they are.

    Returns:
        The version of Landlock that it was done with.

    Raises:
        ConfigError: The kernel has no Landlock.
        OSError: It refuses.
    """
    known = version()
    if known == 0:
        raise ConfigError(
            "This kernel has no Landlock, which keeps a sealed service from other programs' files: it needs Linux "
            "5.13 or later with landlock among its security modules (boot parameter lsm=). Start without --sealed "
            "meanwhile.",
            zh="内核没有启用 Landlock，无法把密封的服务与其他程序的文件隔开：需要 Linux 5.13 以上，并在启动参数 lsm= "
            "中加入 landlock。在此之前请去掉 --sealed。",
            param="sealed",
        )
    files = (1 << (13 + (known >= 2) + (known >= 3))) - 1  # every right that this kernel knows
    files |= _DEVICE if known >= 5 else 0
    network = _BIND_TCP | _CONNECT_TCP if known >= 4 and not files_only else 0
    scopes = _ABSTRACT_SOCKETS | _SIGNALS if known >= 6 and not files_only else 0
    attributes = struct.pack("QQQ", files, network, scopes)
    size = 8 if known < 4 else 16 if known < 6 else 24
    ruleset = system_call("landlock_create_ruleset", attributes, size, 0)
    try:
        for paths, rights in (
            (read, _READS),
            (write, _WRITES),
            (devices, _DRIVES),
            (folders, _FOLDERS),
            (sockets, _SOCKETS),
        ):
            for path in paths:
                _allow(ruleset, path, rights & files)
        if network:
            for port in ports:
                rule = struct.pack("QQ", _CONNECT_TCP, port)
                system_call("landlock_add_rule", ruleset, _PORT, rule, 0)
        prctl(_NO_NEW_PRIVILEGES, 1)
        system_call("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)
    return known


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # not there, or not for this account: nobody reads it anyway
    try:
        if not path.is_dir():
            rights &= _OF_FILES
        system_call("landlock_add_rule", ruleset, _BENEATH, struct.pack("=Qi", rights, opened), 0)
    finally:
        os.close(opened)
