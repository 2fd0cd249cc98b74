"""A machine of the tests' own that knows no network: this one, with its folders for settings and data laid over."""

from __future__ import annotations

import os
import shutil
import subprocess
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import end

__all__ = ["Machine", "machine"]

_LIFE_S = 1_200  # whatever becomes of the tests
_OVER = ("etc", "opt", "root", "srv", "usr/local", "var")

_SETUP = """
mount -t tmpfs tmpfs {folder}
for name in {over}; do
    mkdir -p {folder}/over/$name {folder}/scratch/$name
    mount -t overlay overlay -o lowerdir=/$name,upperdir={folder}/over/$name,workdir={folder}/scratch/$name /$name
done
mount -t tmpfs -o mode=755 tmpfs /run
ip link set lo up
echo ready
exec sleep {life}
"""


@dataclass(frozen=True)
class Machine:
    """The machine.

    Args:
        pid: A process there.
    """

    pid: int

    def command(self, *words: str | Path) -> list[str]:
        """What runs these words there."""
        return ["nsenter", "-t", str(self.pid), "-m", "-n", "--", *map(str, words)]

    def run(
        self, *words: str | Path, cwd: str | Path = "/", answers: str = "", **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a program there to its end, whatever that is."""
        return subprocess.run(
            self.command("env", "-C", cwd, *words),
            capture_output=True,
            text=True,
            check=False,
            input=answers,
            env=self.environment(settings),
            timeout=300,
        )

    def do(self, *words: str | Path, cwd: str | Path = "/") -> str:
        """Run a program there, which must succeed; returns what it printed."""
        done = self.run(*words, cwd=cwd)
        assert done.returncode == 0, (words, done.stdout[-2000:], done.stderr[-2000:])
        return done.stdout

    @staticmethod
    def environment(settings: Mapping[str, str]) -> dict[str, str]:
        """Of a person who has just signed in."""
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return {"PATH": path, "LANG": "C.UTF-8", "HOME": "/root", **settings}

    @contextmanager
    def running(self, output: Path, *words: str | Path) -> Iterator[subprocess.Popen[bytes]]:
        """A process there until the end of the block.

        Args:
            output: File for what it prints.
            *words: What runs.
        """
        with output.open("wb") as file:
            started = subprocess.Popen(
                self.command(*words),
                stdout=file,
                stderr=file,
                stdin=subprocess.DEVNULL,
                env=self.environment({}),
            )
            try:
                yield started
            finally:
                end(started)


@contextmanager
def machine(folder: Path, *, over: Sequence[str] = _OVER) -> Iterator[Machine]:
    """One until the end of the block; skips where there can be none.

    Args:
        folder: An empty one.
        over: Folders of this machine that are laid over, so that what is done to them there is gone afterwards.
    """
    for program, package in (("unshare", "util-linux"), ("nsenter", "util-linux"), ("ip", "iproute2")):
        if shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None:
            pytest.skip(f"needs {program}: apt-get install {package}")
    if os.getuid() != 0:
        pytest.skip("needs root: it mounts, and makes accounts")
    script = textwrap.dedent(_SETUP.format(folder=folder, over=" ".join(over), life=_LIFE_S))
    command = ["unshare", "-m", "-n", "--propagation", "private", "sh", "-ec", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            if process.stdout.readline() != "ready\n":
                pytest.skip(f"needs to mount: {process.stderr.read()}")
            yield Machine(process.pid)
        finally:
            end(process)
