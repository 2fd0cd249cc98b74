"""Memory for keys that neither a core dump, nor swap, nor another process reads.

Linux 5.14 has it as memfd_secret(2): its pages leave the kernel's own map too, so that ptrace, /proc/PID/mem and a
dump of the kernel's memory find nothing. Where it is missing, memory is locked (mlock(2)) and kept out of core dumps,
which root can still read.

It holds what lives as long as the process: the keys of the key file. What is derived from them for one value passes
through ordinary memory, and is overwritten there at Python's and OpenSSL's leisure.
"""

from __future__ import annotations

import ctypes
import os
import sys
import weakref
from typing import Any, Literal

__all__ = ["Kind", "SecretMemory", "wipe"]

Kind = Literal["memfd_secret", "mlock", "none"]

_MEMFD_SECRET = 447  # the call's number, the same on x86-64 and ARM64 (asm-generic/unistd.h)
_READ_WRITE = 3  # PROT_READ | PROT_WRITE
_SHARED, _PRIVATE_ANONYMOUS = 0x01, 0x22  # MAP_…
_DONTDUMP = 16  # MADV_DONTDUMP
_FAILED = ctypes.c_void_p(-1).value


class SecretMemory:
    """Some bytes of such memory; overwritten and given back when no view of it is left.

    Args:
        size: Bytes.

    Attributes:
        kind: What protects it: ``memfd_secret``; ``mlock``; or ``none``, where the system has neither or the limit of
            locked memory (RLIMIT_MEMLOCK) is used up.
        view: The bytes.
    """

    def __init__(self, size: int) -> None:
        self.kind: Kind = "none"
        self.view = memoryview(bytearray(size))
        if not sys.platform.startswith("linux"):
            return
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
        for function in (libc.mlock, libc.munmap):
            function.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        address = _secret(libc, size)
        if address is not None:
            self.kind = "memfd_secret"
        else:
            address = libc.mmap(None, size, _READ_WRITE, _PRIVATE_ANONYMOUS, -1, 0)
            if address == _FAILED:
                return
            self.kind = "mlock" if libc.mlock(address, size) == 0 else "none"
            libc.madvise(address, size, _DONTDUMP)
        mapped = (ctypes.c_ubyte * size).from_address(address)
        # Every view of it, and every part of a view, holds on to this object.
        weakref.finalize(mapped, _give_back, libc, address, size).atexit = False
        self.view = memoryview(mapped).cast("B")


def wipe(data: bytearray) -> None:
    """Overwrite a buffer with zeros."""
    data[:] = bytes(len(data))


def _secret(libc: Any, size: int) -> int | None:
    descriptor = libc.syscall(_MEMFD_SECRET, os.O_CLOEXEC)
    if descriptor < 0:
        return None
    try:
        os.ftruncate(descriptor, size)
        address: int = libc.mmap(None, size, _READ_WRITE, _SHARED, descriptor, 0)
    finally:
        os.close(descriptor)  # so that nobody reaches it through /proc/PID/fd
    return None if address == _FAILED else address


def _give_back(libc: Any, address: int, size: int) -> None:
    ctypes.memset(address, 0, size)
    libc.munmap(address, size)
