"""Tries every way out that we know of, and tells what the kernel said to each.

:func:`attempts` does so from this process, :func:`prove` from one that seals itself first, as the service does;
``python -m vlpro.sealing.probes`` prints the latter.
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import platform
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from vlpro.process import package_path
from vlpro.sealing.neighbours import neighbours
from vlpro.sealing.seal import seal_service
from vlpro.sealing.system import system_call

__all__ = ["NOWHERE", "Attempt", "Before", "attempts", "prepare", "prove"]

NOWHERE = ("192.0.2.1", 443)
"""An address that nobody has (RFC 5737): where nothing stops it, a packet to it leaves this machine and is lost."""

_REFUSED = (errno.EPERM, errno.EACCES, errno.ENOSYS)
_OPEN_FOLDERS = ("/var/tmp", "/tmp", "/dev/shm")  # noqa: S108 - whether they can be written to is the question
_WAIT_S = 1.0
_CHILD_S = 30.0
_MPTCP, _SCTP, _VSOCK = 262, 132, 40
_FAST_OPEN = 0x20000000
_QUERY = bytes.fromhex(
    "5345 0100 0001 0000 0000 0000 05767470726f07696e76616c6964 00 0001 0001".replace(" ", "")
)
_TYPE_INTO_TERMINAL = 0x5412  # TIOCSTI
_NEW_USER_AND_NETWORK = 0x50000000
_X32_SOCKET = 0x40000000 + 41
# push rbx; mov eax, 359 (socket), ebx, 2 (AF_INET), ecx, 1 (SOCK_STREAM), edx, 0; int 80h; pop rbx; ret
_CODE_32 = bytes.fromhex("53 b867010000 bb02000000 b901000000 ba00000000 cd80 5b c3".replace(" ", ""))
# In a child, since a kernel or a unit (SystemCallArchitectures=) may end who tries.
_IN_CHILD = {
    "x32": "from vlpro.sealing import probes; probes._by_x32()",
    "32 bits": "from vlpro.sealing import probes; probes._by_32_bits()",
    "ptrace": "from vlpro.sealing import probes; probes.system_call('ptrace', 0, 0, 0, 0)",
    "namespace": f"from vlpro.sealing import probes; probes.system_call('unshare', {_NEW_USER_AND_NETWORK})",
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way that was tried.

    Attributes:
        way: What it is called.
        refused: Whether the kernel refused it; False: it is open.
        told: What the kernel said.
    """

    way: str
    refused: bool
    told: str


@dataclass(frozen=True, slots=True)
class Before:
    """What a process has from the time before it was sealed.

    Attributes:
        thread: Runs a function in a thread that began then.
        connection: That came in by the network.
    """

    thread: Callable[[Callable[[], object]], None]
    connection: socket.socket


def attempts(address: tuple[str, int] = NOWHERE, *, before: Before | None = None) -> list[Attempt]:
    """Try every way from this process.

    Args:
        address: Where to.
        before: From :func:`prepare`; None: two ways cannot be tried.
    """
    ways = dict(_ways(address))
    if before is not None:
        early = before.thread
        ways["thread from before"] = lambda: early(lambda: _connect(socket.socket(), address))
        ways["connection from before, connected anew"] = lambda: _anew(before.connection, address)
        ways["connection from before, TCP Fast Open"] = lambda: before.connection.sendto(
            b"x", _FAST_OPEN, address
        )
    return [_tried(name, way) for name, way in ways.items()]


def prepare() -> Before:
    """Keep what could be of use later: a thread, and a connection. To be called before sealing."""
    wanted: list[Callable[[], object]] = []
    failed: list[BaseException | None] = []
    go, done = threading.Event(), threading.Event()

    def wait() -> None:
        go.wait()
        try:
            wanted[0]()
            failed.append(None)
        except OSError as error:
            failed.append(error)
        done.set()

    def run(work: Callable[[], object]) -> None:
        wanted.append(work)
        go.set()
        done.wait(_CHILD_S)
        if failed and failed[0] is not None:
            raise failed[0]

    threading.Thread(target=wait, daemon=True).start()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        client.detach()  # stays open
        connection, _ = listener.accept()
    return Before(run, connection)


def prove(address: tuple[str, int] = NOWHERE, *, sealed: bool = True) -> list[Attempt]:
    """Try every way from a new process that seals itself first, as the service does.

    Args:
        address: Where to.
        sealed: False: it does not, to see that the tries are good for something.

    Raises:
        RuntimeError: The process failed; holds what it said.
    """
    environment = {**os.environ, "PYTHONPATH": package_path()}
    command = [
        sys.executable,
        "-P",
        "-m",
        __name__,
        address[0],
        str(address[1]),
        *([] if sealed else ["unsealed"]),
    ]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=120, check=False)  # noqa: S603 - ourselves
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace")[-2000:])
    return [Attempt(**json.loads(line)) for line in done.stdout.splitlines()]


def main() -> None:
    """Print the attempts as lines of JSON."""
    address = (sys.argv[1], int(sys.argv[2])) if sys.argv[2:] else NOWHERE
    before = prepare()
    if "unsealed" not in sys.argv:
        seal_service(read=(Path(__file__).parents[2],), write=())
    for attempt in attempts(address, before=before):
        sys.stdout.write(json.dumps(asdict(attempt)) + "\n")


def _ways(address: tuple[str, int]) -> Iterator[tuple[str, Callable[[], object]]]:
    host, port = address
    stream, datagram = socket.SOCK_STREAM, socket.SOCK_DGRAM

    def sent(data: bytes, to: tuple[str, int]) -> None:
        with socket.socket(socket.AF_INET, datagram) as made:
            made.sendto(data, to)

    def made(family: int, kind: int, protocol: int = 0) -> None:
        socket.socket(family, kind, protocol).close()

    def fast_open() -> None:
        with socket.socket() as plain:
            plain.settimeout(_WAIT_S)
            plain.sendto(b"x", _FAST_OPEN, address)

    yield "TCP", lambda: _connect(socket.socket(), address)
    yield "TCP, IPv6", lambda: _connect(socket.socket(socket.AF_INET6), (f"::ffff:{host}", port))
    yield "UDP", lambda: sent(b"x", address)
    yield "DNS", lambda: sent(_QUERY, (host, 53))
    yield "TCP Fast Open", fast_open
    yield "MPTCP", lambda: _connect(socket.socket(socket.AF_INET, stream, _MPTCP), address)
    yield "SCTP", lambda: made(socket.AF_INET, stream, _SCTP)
    yield "ping", lambda: made(socket.AF_INET, datagram, socket.IPPROTO_ICMP)
    yield "raw IP", lambda: made(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    yield "raw Ethernet", lambda: made(socket.AF_PACKET, socket.SOCK_RAW)
    yield "netlink", lambda: made(socket.AF_NETLINK, socket.SOCK_RAW)
    yield "vsock", lambda: made(_VSOCK, stream)
    yield "other programs' sockets", _other_programs
    yield "Unix datagrams", lambda: socket.socketpair(type=datagram)
    yield "io_uring", lambda: os.close(system_call("io_uring_setup", 1, bytes(120)))
    yield "native code", _by_libc
    if platform.machine() == "x86_64":
        yield "x32", lambda: _in_child(_python(_IN_CHILD["x32"]))
        yield "32 bits", lambda: _in_child(_python(_IN_CHILD["32 bits"]))
    connects = f"import socket; socket.create_connection(({host!r}, {port}), {_WAIT_S})"
    yield "child process", lambda: _in_child(_python(connects))
    yield "another process's memory", _another_memory
    yield "another process's sockets", _another_socket
    yield "ptrace", lambda: _in_child(_python(_IN_CHILD["ptrace"]))
    yield "namespace", lambda: _in_child(_python(_IN_CHILD["namespace"]))
    yield "eBPF", lambda: os.close(system_call("bpf", 0, struct.pack("IIIIIIII", 2, 4, 4, 1, 0, 0, 0, 0), 32))
    yield "keyring", lambda: system_call("keyctl", 0, -2, 1)
    yield "typing on the terminal", _type_on_terminal
    yield "a file elsewhere", _write_elsewhere


def _tried(name: str, way: Callable[[], object]) -> Attempt:
    try:
        way()
    except OSError as error:
        said = errno.errorcode.get(error.errno or 0, "") if error.errno else type(error).__name__
        return Attempt(name, error.errno in _REFUSED, said or str(error))
    except subprocess.SubprocessError as error:
        return Attempt(name, refused=False, told=type(error).__name__)
    return Attempt(name, refused=False, told="it works")


def _connect(made: socket.socket, address: tuple[str, int]) -> None:
    with made:
        made.settimeout(_WAIT_S)
        made.connect(address)


def _anew(connection: socket.socket, address: tuple[str, int]) -> None:
    """Disconnect a connection (connect(2), AF_UNSPEC) and connect it to elsewhere."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.connect(connection.fileno(), bytes(16), 16) < 0:
        raise OSError(ctypes.get_errno(), "connect")
    connection.bind(("0.0.0.0", 0))  # noqa: S104 - it is to leave
    connection.settimeout(_WAIT_S)
    connection.connect(address)


def _by_libc() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    made = libc.socket(int(socket.AF_INET), int(socket.SOCK_STREAM), 0)
    if made < 0:
        raise OSError(ctypes.get_errno(), "socket")
    os.close(made)


def _by_x32() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    words = (_X32_SOCKET, int(socket.AF_INET), int(socket.SOCK_STREAM), 0)
    made = libc.syscall(*(ctypes.c_long(word) for word in words))
    if made < 0:
        raise OSError(ctypes.get_errno(), "syscall")
    os.close(made)


def _by_32_bits() -> None:
    """Ask as a program of 32 bits. A kernel without such programs ends this process."""
    memory = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(_CODE_32)
    held = ctypes.c_char.from_buffer(memory)
    made = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(held))()
    if made < 0:
        raise OSError(-made, "int 80h")


def _python(code: str) -> list[str]:
    """A command that runs code, and ends with the number of the system's error."""
    guarded = f"try:\n    {code}\nexcept OSError as error:\n    import os; os._exit(error.errno or 200)\n"
    return [sys.executable, "-c", guarded]


def _in_child(command: list[str]) -> None:
    here = str(Path(__file__).parents[2])
    done = subprocess.run(  # noqa: S603 - ourselves
        command,
        capture_output=True,
        timeout=_CHILD_S,
        check=False,
        env={**os.environ, "PYTHONPATH": here},
    )
    if done.returncode < 0:  # ended by a signal: the kernel has no such thing
        raise OSError(errno.ENOSYS, "signal")
    if done.returncode:
        raise OSError(done.returncode, "child")


def _other_programs() -> None:
    """Make a Unix socket. A service with PostgreSQL may: then nobody but the database must be there to be reached."""
    socket.socket(socket.AF_UNIX).close()
    if not neighbours():
        raise OSError(errno.EACCES, "nobody is there")


def _another_memory() -> None:
    try:
        os.close(os.open(f"/proc/{os.getppid()}/mem", os.O_RDWR))
    except FileNotFoundError as error:  # a unit (ProtectProc=) may hide who is not of this account
        raise OSError(errno.EACCES, "hidden") from error


def _another_socket() -> None:
    """Take a descriptor of the parent (pidfd_getfd)."""
    parent = os.pidfd_open(os.getppid())
    try:
        os.close(system_call("pidfd_getfd", parent, 0, 0))
    finally:
        os.close(parent)


def _type_on_terminal() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ioctl(0, ctypes.c_ulong(_TYPE_INTO_TERMINAL), b"\n") < 0:
        raise OSError(ctypes.get_errno(), "ioctl")


def _write_elsewhere() -> None:
    """Write where everybody may. A folder that nobody can write to, as in a container, would prove nothing."""
    folders = [place for place in _OPEN_FOLDERS if not os.statvfs(place).f_flag & os.ST_RDONLY]
    if not folders:
        raise OSError(errno.EACCES, "read-only everywhere")
    path = Path(folders[0], f"vlpro-probe-{os.getpid()}")
    path.write_bytes(b"")
    path.unlink()


if __name__ == "__main__":
    main()
