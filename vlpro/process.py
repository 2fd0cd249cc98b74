"""What a process of this service gives up: memory dumps, an outlived parent, files, freed memory. Linux only.

Elsewhere each of these does nothing; the product runs, with less around it (docs/memory.md).
"""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import signal
import struct
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["die_with_parent", "give_memory_back", "keep_memory_private", "landlock", "overwrite_freed_memory"]

_SMALL_SIZES = range(
    512, 32, -16
)  # bytes: pymalloc's, Objects/obmalloc.c; the largest first: they need whole pools
_BYTES_HEAD = sys.getsizeof(b"")
_M_PERTURB = -6  # malloc.h

# Options of prctl, from its header
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38

# landlock(7); the numbers of the system calls are the same on all architectures since Linux 5.13
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1
_RULE_PATH_BENEATH = 1
_EXECUTE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 2, 1 << 3
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_ALL_FILES = {1: (1 << 13) - 1, 2: (1 << 14) - 1}  # by version of Landlock; 3 and 4 add truncate, 5 ioctl
_ALL_FILES_3, _ALL_FILES_5 = (1 << 15) - 1, (1 << 16) - 1
_ALL_TCP = 0b11  # bind and connect, since version 4


def keep_memory_private() -> None:
    """Leave no core file, and let no other process of the same user read this one's memory.

    RLIMIT_CORE is 0, and the process is not dumpable (prctl(2), PR_SET_DUMPABLE): ``/proc/PID/mem`` and ptrace(2)
    then need CAP_SYS_PTRACE. A program that is executed afterwards is dumpable again, and calls this for itself.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prctl(_PR_SET_DUMPABLE, 0)


def die_with_parent(parent: int) -> None:
    """Let the kernel kill this process when its parent ends, however that ends (PR_SET_PDEATHSIG).

    Args:
        parent: Process id of the parent, to notice that it has ended already.
    """
    if _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) and os.getppid() != parent:
        os._exit(0)


def give_memory_back() -> None:
    """Collect what nobody refers to, overwrite what Python keeps free, and give the rest back (malloc_trim(3)).

    Python keeps the memory of small objects, such as a question's text, for further ones, with what was in it. Each
    size that it knows is filled with zeros once, up to a mebibyte of free blocks a size. What is given back to the
    system comes again as zeros.
    """
    gc.collect()
    filled = [bytes(size - _BYTES_HEAD) for size in _SMALL_SIZES for _ in range((1 << 20) // size)]
    del filled
    with suppress(AttributeError, OSError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)


def overwrite_freed_memory() -> None:
    """Let the C library overwrite what is freed, but for the few blocks that a thread keeps at hand (mallopt(3))."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_PERTURB, 0xA5)


def landlock(readable: Iterable[Path] = (), writable: Iterable[Path] = (), *, tcp: bool = False) -> bool:
    """Give up all files but some, for good (Landlock); descriptors that are open stay.

    Args:
        readable: Files and folders that may still be read and executed.
        writable: Files and folders that may still be read and written.
        tcp: Whether ports may still be bound and connected to.

    Returns:
        Whether the kernel did so; False where it has no Landlock.
    """
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)
    if version < 1:
        return False
    files = _ALL_FILES.get(version, _ALL_FILES_5 if version >= 5 else _ALL_FILES_3)
    ports = 0 if tcp else _ALL_TCP
    handled = struct.pack("QQ", files, ports) if version >= 4 else struct.pack("Q", files)
    rules = libc.syscall(_CREATE_RULESET, handled, ctypes.c_size_t(len(handled)), 0)
    if rules < 0:
        return False
    try:
        for paths, rights in ((readable, _READ), (writable, files & ~_EXECUTE)):
            for path in paths:
                if not _allow(libc, rules, path, rights):
                    return False
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        return bool(libc.syscall(_RESTRICT_SELF, rules, 0) == 0)
    finally:
        os.close(rules)


def _allow(libc: ctypes.CDLL, rules: int, path: Path, rights: int) -> bool:
    with suppress(FileNotFoundError):
        if not path.is_dir():
            rights &= (
                _READ_FILE | (1 << 1) | (1 << 14)
            )  # reading, writing and truncating: all that a file has
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            rule = struct.pack("=Qi", rights, opened)
            return bool(libc.syscall(_ADD_RULE, rules, _RULE_PATH_BENEATH, rule, 0) == 0)
        finally:
            os.close(opened)
    return True  # what is not there needs no rule


def _prctl(option: int, value: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    return bool(ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), 0, 0, 0) == 0)
