"""What a sealed process may ask of the kernel: a seccomp filter (seccomp(2)), written as classic BPF.

Everything is allowed but the ways to the network, and the ways around this filter. A list of what is allowed would
hold more than 300 calls of Python, OpenVINO, PyTorch and the cards' drivers, change with each of their versions, and
stop an answer where it is wrong. A kernel's newer calls, of which nobody here could know, are refused.

connect() is refused together with socket(): a connection that came in is a network socket, too. Whoever has it may
disconnect it, and connect it to anywhere (tried on Linux 6.18: tests/deploy/test_sealed.py).
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from vlpro.sealing.system import machine, number, prctl, system_call

__all__ = ["LAST_CALL", "PROCESS", "RELAY", "WITH_SOCKETS", "Filter", "install", "program"]

LAST_CALL = 470
"""Of Linux 6.18, on both machines."""

# linux/audit.h, linux/seccomp.h, linux/bpf_common.h
_MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_LOAD, _AND, _EQUAL, _GREATER, _SET, _RETURN = 0x20, 0x54, 0x15, 0x25, 0x45, 0x06
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000
_CALL, _ARCHITECTURE, _ARGUMENT = 0, 4, 16
_X32 = 0x40000000
_FILTER, _ALL_THREADS = 1, 1
_NO_NEW_PRIVILEGES = 38  # prctl

_KIND = 0xF  # of a socket's type, without SOCK_CLOEXEC and SOCK_NONBLOCK
_FAST_OPEN = 0x20000000  # MSG_FASTOPEN: connects and sends in one
_NAMESPACES = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_INTO_TERMINAL = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX: type on the terminal that the service was started at

_NEVER = (
    # Sockets without socket():
    *("io_uring_setup", "io_uring_enter", "io_uring_register", "pidfd_getfd"),
    # Another process that is not sealed:
    *("ptrace", "process_vm_readv", "process_vm_writev"),
    # Another network, other files:
    *("unshare", "setns", "chroot", "pivot_root", "mount", "umount2", "move_mount", "open_tree", "open_tree_attr"),
    *("fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr", "open_by_handle_at"),
    # Code in the kernel, or help from it: request_key asks a program of the system's.
    *("bpf", "perf_event_open", "userfaultfd", "keyctl", "add_key", "request_key", "iopl", "ioperm"),
    *("kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Filter:
    """What a kind of process may do with sockets.

    Attributes:
        families: That socket() may make; none: it makes no socket at all.
        kinds: Of these: SOCK_STREAM and so on.
        pairs: Kinds of socketpair(), always of AF_UNIX.
        never: Calls that are refused beside those that no sealed process has.
    """

    families: tuple[int, ...] = ()
    kinds: tuple[int, ...] = ()
    pairs: tuple[int, ...] = (socket.SOCK_STREAM, socket.SOCK_SEQPACKET)  # a datagram's may be sent to anyone
    never: tuple[str, ...] = ("connect", "bind")


PROCESS = Filter()
"""The service and its workers: no socket but pairs, and those that they were given."""

WITH_SOCKETS = Filter(families=(socket.AF_UNIX,), kinds=(socket.SOCK_STREAM,), never=("bind",))
"""The service where libpq reaches PostgreSQL by a Unix socket. For a service that never holds a network socket."""

RELAY = Filter(
    families=(socket.AF_UNIX, socket.AF_INET, socket.AF_INET6),
    kinds=(socket.SOCK_STREAM, socket.SOCK_DGRAM),  # the latter asks the name server
    never=("execve", "execveat"),
)
"""The relay: it connects, and starts nothing."""


def install(what: Filter) -> None:
    """Put all threads of this process under a filter, and their children; nothing takes it off again.

    Raises:
        OSError: The kernel has no seccomp, or another thread is under a filter that this one is not under.
    """
    code = program(what)
    held = ctypes.create_string_buffer(code)
    prctl(_NO_NEW_PRIVILEGES, 1)
    header = struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(held))
    if thread := system_call("seccomp", _FILTER, _ALL_THREADS, header):
        raise OSError(errno.EBUSY, f"thread {thread} cannot be sealed", "seccomp")


def program(what: Filter, on: str | None = None) -> bytes:
    """The filter as classic BPF, 8 bytes an instruction (linux/filter.h).

    Args:
        what: The filter.
        on: The machine; None: this one.
    """
    here = on or machine()
    code = [
        _one(_LOAD, _ARCHITECTURE),
        _one(_EQUAL, _MACHINES[here], true=1),
        _refuse(),  # a program of 32 bits has other numbers
        _one(_LOAD, _CALL),
        _one(_SET, _X32, false=1),  # x86-64 with pointers of 32 bits, likewise
        _refuse(),
        _one(_GREATER, LAST_CALL, false=1),
        _refuse(errno.ENOSYS),
    ]
    rules = {name: [_refuse()] for name in (*_NEVER, *what.never)}
    # Its flags lie in memory, where a filter cannot look; C libraries then take clone().
    rules["clone3"] = [_refuse(errno.ENOSYS)]
    rules["clone"] = [_load(0), *_refuse_bits(_NAMESPACES), _allow()]
    rules |= {
        name: [_load(place), *_refuse_bits(_FAST_OPEN), _allow()]
        for name, place in (("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3))
    }
    rules["ioctl"] = [
        _load(1),
        *(part for value in _INTO_TERMINAL for part in _refuse_value(value)),
        _allow(),
    ]
    for name, families, kinds in (
        ("socket", what.families, what.kinds),
        ("socketpair", (socket.AF_UNIX,), what.pairs),
    ):
        kind = [_load(1), _one(_AND, _KIND)]
        rules[name] = [_load(0), *_refuse_unless(families), *kind, *_refuse_unless(kinds), _allow()]
    for name, rule in rules.items():
        if (call := number(name, here)) is not None:
            code += [_one(_EQUAL, call, false=len(rule)), *rule]
    return b"".join([*code, _allow()])


def _one(code: int, value: int, *, true: int = 0, false: int = 0) -> bytes:
    """An instruction; ``true`` and ``false``: how many to leap over then."""
    return struct.pack("<HBBI", code, true, false, value)


def _load(argument: int) -> bytes:
    """The lower 32 bits of one of the call's arguments (both machines are little-endian)."""
    return _one(_LOAD, _ARGUMENT + 8 * argument)


def _allow() -> bytes:
    return _one(_RETURN, _ALLOW)


def _refuse(error: int = errno.EPERM) -> bytes:
    return _one(_RETURN, _FAIL | error)


def _refuse_bits(bits: int) -> list[bytes]:
    return [_one(_SET, bits, false=1), _refuse()]


def _refuse_value(value: int) -> list[bytes]:
    return [_one(_EQUAL, value, false=1), _refuse()]


def _refuse_unless(values: Sequence[int]) -> list[bytes]:
    compared = [_one(_EQUAL, value, true=len(values) - index) for index, value in enumerate(values)]
    return [*compared, _refuse()]
