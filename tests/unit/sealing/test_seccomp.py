"""The filter, read as the kernel reads it, for both machines."""

from __future__ import annotations

import errno
import re
import socket
import struct
from pathlib import Path

import pytest

from vlpro.sealing.seccomp import LAST_CALL, PROCESS, RELAY, WITH_SOCKETS, Filter, program
from vlpro.sealing.system import CALLS

MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
HEADERS = {
    "x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
    "aarch64": "/usr/include/asm-generic/unistd.h",
}
ALLOWED = "allowed"
EITHER = pytest.mark.parametrize("on", MACHINES)
ALL = pytest.mark.parametrize("what", [PROCESS, WITH_SOCKETS, RELAY], ids=["process", "sockets", "relay"])


def said(what: Filter, on: str, call: int, *arguments: int, architecture: int | None = None) -> str:
    """What the kernel would say (Documentation/userspace-api/seccomp_filter.rst)."""
    given = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("=iIQ6Q", call, architecture or MACHINES[on], 0, *given)
    code = list(struct.iter_unpack("<HBBI", program(what, on)))
    held = place = 0
    while True:
        operation, true, false, value = code[place]
        place += 1
        match operation:
            case 0x20:
                (held,) = struct.unpack_from("=I", data, value)
            case 0x54:
                held &= value
            case 0x15 | 0x25 | 0x45:
                holds = {0x15: held == value, 0x25: held > value, 0x45: bool(held & value)}[operation]
                place += true if holds else false
            case 0x06:
                return ALLOWED if value == 0x7FFF0000 else errno.errorcode[value & 0xFFFF]
            case other:
                raise AssertionError(other)


def number(name: str, on: str) -> int:
    found = CALLS[name][list(MACHINES).index(on)]
    assert found is not None
    return found


@EITHER
def test_the_numbers_are_the_kernels(on: str) -> None:
    header = Path(HEADERS[on])
    if not header.exists():
        pytest.skip("needs linux-libc-dev on x86-64: apt-get install gcc")
    found = re.findall(r"#define __NR(?:3264)?_(\w+) (\d+)", header.read_text(encoding="utf-8"))
    numbers = {name: int(value) for name, value in reversed(found)}
    place = list(MACHINES).index(on)
    known = {name: numbers[name] for name in CALLS if name in numbers}
    assert len(known) > 45
    assert {name: CALLS[name][place] for name in known} == known


@EITHER
@ALL
def test_no_kind_of_process_gets_around(what: Filter, on: str) -> None:
    for name in ("io_uring_setup", "pidfd_getfd", "ptrace", "setns", "unshare", "bpf", "keyctl", "mount"):
        assert said(what, on, number(name, on)) == "EPERM", name
    assert said(what, on, number("clone3", on)) == "ENOSYS"
    assert said(what, on, number("clone", on), 0x40000000 | 17) == "EPERM"  # CLONE_NEWNET
    assert said(what, on, number("clone", on), 0x003D0F00) == ALLOWED  # a thread
    assert said(what, on, number("ioctl", on), 0, 0x5412) == "EPERM"
    assert said(what, on, number("ioctl", on), 0, 0x5413) == ALLOWED
    assert said(what, on, LAST_CALL + 1) == "ENOSYS"
    assert (
        said(what, on, number("socket", on), socket.AF_INET, socket.SOCK_STREAM, architecture=0x40000003)
        == "EPERM"
    )
    for name, place in (("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)):
        assert said(what, on, number(name, on), *[0] * place, 0x20000000 | 0x4000) == "EPERM", name
        assert said(what, on, number(name, on), *[0] * place, 0x4000) == ALLOWED


def test_x32_is_refused() -> None:
    assert said(PROCESS, "x86_64", 0x40000000 + 41, socket.AF_INET, 1) == "EPERM"


@EITHER
def test_sockets(on: str) -> None:
    call, pair, stream = (
        number("socket", on),
        number("socketpair", on),
        socket.SOCK_STREAM | socket.SOCK_CLOEXEC,
    )
    for family in range(50):
        assert said(PROCESS, on, call, family, stream) == "EPERM"
        unix = family == socket.AF_UNIX
        assert (said(WITH_SOCKETS, on, call, family, stream) == ALLOWED) is unix
        assert (said(PROCESS, on, pair, family, stream) == ALLOWED) is unix
    assert said(WITH_SOCKETS, on, call, socket.AF_UNIX, socket.SOCK_DGRAM) == "EPERM"
    assert said(PROCESS, on, pair, socket.AF_UNIX, socket.SOCK_SEQPACKET) == ALLOWED
    assert said(PROCESS, on, pair, socket.AF_UNIX, socket.SOCK_DGRAM) == "EPERM"
    assert said(RELAY, on, call, socket.AF_INET6, stream) == ALLOWED
    assert said(RELAY, on, call, socket.AF_INET, socket.SOCK_RAW) == "EPERM"
    assert said(RELAY, on, call, socket.AF_PACKET, socket.SOCK_DGRAM) == "EPERM"


@EITHER
def test_who_connects_and_who_starts_programs(on: str) -> None:
    connect, start = number("connect", on), number("execve", on)
    assert [said(what, on, connect) for what in (PROCESS, WITH_SOCKETS, RELAY)] == ["EPERM", ALLOWED, ALLOWED]
    assert [said(what, on, start) for what in (PROCESS, WITH_SOCKETS, RELAY)] == [ALLOWED, ALLOWED, "EPERM"]
    assert [said(what, on, number("bind", on)) for what in (PROCESS, WITH_SOCKETS)] == ["EPERM", "EPERM"]
