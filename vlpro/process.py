"""Processes of this service: where they find the package, and what they give up.

That is memory dumps, an outlived parent and freed memory, on Linux only. Elsewhere each of these does nothing; the
product runs, with less around it (docs/memory.md).
"""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path

__all__ = [
    "die_with_parent",
    "give_memory_back",
    "keep_memory_private",
    "overwrite_freed_memory",
    "package_path",
]

_SMALL_SIZES = range(
    512, 32, -16
)  # bytes: pymalloc's, Objects/obmalloc.c; the largest first: they need whole pools
_BYTES_HEAD = sys.getsizeof(b"")
_M_PERTURB = -6  # malloc.h

# Options of prctl, from its header
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4


def package_path() -> str:
    """``PYTHONPATH`` of a process that must find the package which this one runs, before any other."""
    folders = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return os.pathsep.join(filter(None, folders))


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


def _prctl(option: int, value: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    return bool(ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), 0, 0, 0) == 0)
