"""``python -m vlpro.knowledge.office_program FOLDER PARENT MEMORY SECONDS PROGRAM …``: start LibreOffice, confined.

It gets no network, one folder, so many bytes of memory, and so many seconds of the processor.

As far as the kernel goes along: Landlock came with Linux 5.13, and the filter of calls is for two machines.
"""

from __future__ import annotations

import os
import resource
import socket
import sys
from contextlib import suppress
from pathlib import Path

from vlpro.errors import ConfigError
from vlpro.process import die_with_parent
from vlpro.sealing import landlock, seccomp

_MOST_FILE = 500_000_000  # bytes that a file of it may have
_READ = (
    "/usr",
    "/lib",
    "/lib64",
    "/bin",
    "/opt",
    "/etc/libreoffice",
    "/etc/fonts",
    "/etc/ld.so.cache",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/group",
    "/proc",
    "/var/cache/fontconfig",
    "/var/lib/libreoffice",
    "/var/spool/libreoffice",
)
_PIPES = Path("/tmp")  # noqa: S108 - where LibreOffice makes the socket that a second one would find it by
# That socket is a Unix one; any other kind is refused, and to connect to any.
_CALLS = seccomp.Filter(families=(socket.AF_UNIX,), kinds=(socket.SOCK_STREAM,), never=("connect",))
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")


def main() -> None:
    """Give up what it takes not, and become the program."""
    folder, parent, memory, seconds, *command = sys.argv[1:]
    die_with_parent(int(parent))
    os.nice(10)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_MOST_FILE, _MOST_FILE))
    resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds)))
    own = Path(folder)
    with suppress(ConfigError, OSError):
        landlock.confine(
            read=[*map(Path, _READ), own], write=[own], devices=map(Path, _DEVICES), sockets=[_PIPES]
        )
    with suppress(ConfigError, OSError):
        seccomp.install(_CALLS)
    os.execv(command[0], command)  # noqa: S606 - the command is the service's own


if __name__ == "__main__":
    main()
