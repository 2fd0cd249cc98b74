"""Memory for keys: what another process, the kernel's window into a process, and a limit make of it."""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from vlpro.crypto import Keys
from vlpro.crypto.secret_memory import SecretMemory, wipe

SECRET = bytes(range(100, 132))


def address_of(view: memoryview) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(view))


def offered() -> bool:
    """Whether this machine's kernel has memfd_secret, and lets us have it."""
    descriptor = ctypes.CDLL(None).syscall(447, 0)
    if descriptor >= 0:
        os.close(descriptor)
    return bool(descriptor >= 0)


def through_the_kernel(address: int) -> bytes:
    """As a debugger reads it: /proc/PID/mem."""
    with Path("/proc/self/mem").open("rb", buffering=0) as memory:
        memory.seek(address)
        return memory.read(len(SECRET))


def test_keys_are_where_the_kernel_itself_does_not_read() -> None:
    keys = Keys([(SECRET, 0.0)])
    there = offered()
    assert keys.memory == ("memfd_secret" if there else "mlock")
    assert bytes(keys.sealing[0].secret) == SECRET
    common = bytearray(SECRET)
    assert through_the_kernel(address_of(memoryview(common))) == SECRET
    with pytest.raises(OSError, match="Input/output error") if there else nullcontext():
        through_the_kernel(address_of(keys.sealing[0].secret))


def test_without_it_memory_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vlpro.crypto.secret_memory._MEMFD_SECRET", 100_000)  # no such call
    memory = SecretMemory(4096)
    assert memory.kind == "mlock"
    memory.view[:32] = SECRET
    assert {"lo", "dd"} <= flags_at(address_of(memory.view))  # locked; not dumped


def flags_at(address: int) -> set[str]:
    """What the kernel says of the memory there (proc(5), VmFlags); nothing where there is none."""
    maps = Path("/proc/self/smaps").read_text().split("\n")
    at = next((n for n, line in enumerate(maps) if _holds(line, address)), len(maps))
    return set(next((line for line in maps[at:] if line.startswith("VmFlags:")), "").split())


def _holds(line: str, address: int) -> bool:
    first = line.split(" ", 1)[0]
    if "-" not in first or first.endswith(":"):
        return False
    start, end = (int(part, 16) for part in first.split("-"))
    return start <= address < end


def test_where_nothing_may_be_locked_it_says_so() -> None:
    said = subprocess.run(
        [sys.executable, "-c", _LIMITED], capture_output=True, text=True, check=True, timeout=60
    )
    assert said.stdout == "none secret\n"


_LIMITED = """
import ctypes, os, resource
resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
if os.getuid() == 0:  # root may lock all the same, until it gives that up
    ctypes.CDLL(None).prctl(24, 14, 0, 0, 0)  # PR_CAPBSET_DROP, CAP_IPC_LOCK
    header, nothing = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    ctypes.CDLL(None).capset(header, nothing)
from vlpro.crypto.secret_memory import SecretMemory
memory = SecretMemory(4096)
memory.view[:6] = b"secret"
print(memory.kind, bytes(memory.view[:6]).decode())
"""


def test_it_is_given_back() -> None:
    memory = SecretMemory(4096)
    address = address_of(memory.view)
    assert "dd" in flags_at(address)
    memory.view[:32] = SECRET
    part = memory.view[8:12]
    del memory
    gc.collect()
    assert bytes(part) == SECRET[8:12]
    del part
    gc.collect()
    assert "dd" not in flags_at(address)  # another thread's memory may be there at once


def test_wiping() -> None:
    data = bytearray(SECRET)
    wipe(data)
    assert data == bytes(32)
