"""The kernel's calls that Python has no function for, by number, on the two machines that this product runs on."""

from __future__ import annotations

import ctypes
import os
import platform

from vlpro.errors import ConfigError

__all__ = ["CALLS", "machine", "number", "prctl", "system_call"]

_MACHINES = ("x86_64", "aarch64")

CALLS: dict[str, tuple[int | None, int | None]] = {
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "bind": (49, 200),
    "sendto": (44, 206),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
    "clone": (56, 220),
    "clone3": (435, 435),
    "ioctl": (16, 29),
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "perf_event_open": (298, 241),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "chroot": (161, 51),
    "open_by_handle_at": (304, 265),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "iopl": (172, None),
    "ioperm": (173, None),
    "seccomp": (317, 277),
    "capset": (126, 91),
    "landlock_create_ruleset": (444, 444),
    "landlock_add_rule": (445, 445),
    "landlock_restrict_self": (446, 446),
}
"""Numbers by name, on x86-64 and on aarch64 (asm/unistd_64.h, asm-generic/unistd.h); None: there is no such call."""


def machine() -> str:
    """``x86_64`` or ``aarch64``.

    Raises:
        ConfigError: This is neither, or no Linux.
    """
    found = platform.machine()
    if platform.system() != "Linux" or found not in _MACHINES:
        raise ConfigError(
            f"Sealing is for Linux on x86-64 and aarch64, and this is {platform.system()} on {found}. Start without "
            "--sealed, and let a firewall see to it that nothing leaves.",
            zh=f"密封运行只支持 x86-64 和 aarch64 上的 Linux，本机为 {platform.system()}（{found}）。"
            "请去掉 --sealed，改由防火墙阻止外联。",
            param="sealed",
        )
    return found


def number(name: str, on: str | None = None) -> int | None:
    """A call's number on a machine, None: it has no such call.

    Args:
        name: One of :data:`CALLS`.
        on: ``x86_64`` or ``aarch64``; None: this machine.
    """
    return CALLS[name][_MACHINES.index(on or machine())]


def system_call(name: str, *arguments: object) -> int:
    """Make a call.

    Args:
        name: One of :data:`CALLS`.
        arguments: Integers, bytes or None.

    Raises:
        OSError: The kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    given = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result = int(libc.syscall(ctypes.c_long(-1 if (found := number(name)) is None else found), *given))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), name)
    return result


def prctl(option: int, *values: int) -> int:
    """Set something of this process (prctl(2)). Raises: OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    four = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
    result = int(libc.prctl(option, *four))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), "prctl")
    return result
