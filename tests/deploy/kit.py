"""A kit as build.py makes it, of a few small packages: what the commands need, so that it takes seconds."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.browser.server import ROOT
from tests.deploy.machine import Machine

__all__ = ["Kit", "bare", "build", "complete", "environment", "small_lock"]


_FEW = frozenset(
    """
    annotated-doc annotated-types anyio certifi cffi click cryptography h11 httpcore httpx idna markdown-it-py mdurl
    packaging pycparser pydantic pydantic-core pydantic-settings pygments python-dotenv rich shellingham typer
    typing-extensions typing-inspection
    """.split()  # noqa: SIM905 - a list of words
)
_LAID = ("lib/python3.11/site-packages", "bin", "share", "include", "etc")
"""Where packages put files."""


@dataclass(frozen=True)
class Kit:
    """A kit.

    Args:
        archive: The file.
        key: Private key that signed it.
        said: What the builder printed.
    """

    archive: Path
    key: Path
    said: str

    @property
    def fingerprint(self) -> str:
        """What is told to whoever installs it."""
        der = subprocess.run(
            ["/usr/bin/openssl", "pkey", "-in", self.key, "-pubout", "-outform", "DER"],
            capture_output=True,
            check=True,
        ).stdout
        return hashlib.sha256(der).hexdigest()


def small_lock(file: Path) -> Path:
    """The project's lock file, without most of its lines."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    kept = [line for line in lines if re.split(r"[=;\s]", line)[0] in _FEW]
    assert len(kept) == len(_FEW)
    file.write_text("\n".join(kept), encoding="utf-8")
    return file


def environment(folder: Path) -> dict[str, str]:
    """In which ``python3`` builds kits by the small lock file.

    Args:
        folder: For the lock file and a program.
    """
    folder.mkdir(exist_ok=True)
    lock = small_lock(folder / "lock.txt")
    program = folder / "python3"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} "$@" --lock {lock}\n', encoding="utf-8")
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}


def build(folder: Path, *options: str) -> Kit:
    """Build one.

    Args:
        folder: For key and archive.
        *options: Of the builder.
    """
    key = folder / "kit.key"
    if not key.exists():
        subprocess.run(
            ["/usr/bin/openssl", "genpkey", "-algorithm", "ed25519", "-out", key],
            check=True,
            capture_output=True,
        )
    variables = environment(folder / "bin")
    done = subprocess.run(
        [
            folder / "bin/python3",
            ROOT / "deploy/offline/build.py",
            "--signing-key",
            key,
            "--output",
            folder / "kit",
            *options,
        ],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return Kit(Path(done.stdout.strip()), key, done.stderr)


def complete(machine: Machine) -> None:
    """Lay this environment's packages beneath those that a small kit installed, so that all of the product runs."""
    machine.do("mkdir", "-p", *(f"/opt/vlpro/{name}" for name in _LAID))
    for name in _LAID:
        place = machine.do("readlink", "-f", f"/opt/vlpro/{name}").strip()
        machine.do("mount", "-t", "overlay", "overlay", "-o", f"lowerdir={place}:{sys.prefix}/{name}", place)


def bare(machine: Machine) -> None:
    """Take away again what :func:`complete` laid there."""
    machine.do("umount", *(f"/opt/vlpro/{name}" for name in _LAID))
