"""Which lines of the project's lock files a kit needs, for a chosen Python and platform."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path

from pip._vendor.packaging.markers import Marker
from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.utils import canonicalize_name

__all__ = ["Pin", "Target", "needs", "read", "wanted"]

_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)(?:\s*;\s*([^\\]+?))?\s*\\?$")
_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")
_OLDEST_GLIBC = 5
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}


@dataclass(frozen=True)
class Pin:
    """A line of a lock file.

    Args:
        name: In its normal form (PEP 503).
        version: Exact.
        hashes: Of the published files, as ``sha256:…``.
        marker: Where it holds (PEP 508); empty: everywhere.
    """

    name: str
    version: str
    hashes: tuple[str, ...]
    marker: str = ""

    @property
    def line(self) -> str:
        """As pip reads it."""
        return " ".join([f"{self.name}=={self.version}", *(f"--hash={value}" for value in self.hashes)])


@dataclass(frozen=True)
class Target:
    """The machine that a kit is for: CPython on Linux with glibc.

    Args:
        python: Its version, such as 3.11.
        glibc: Of version 2, the second number.
        machine: x86_64 or aarch64.
    """

    python: str
    glibc: int
    machine: str

    @property
    def tag(self) -> str:
        """For names of files."""
        return f"cp{self.python.replace('.', '')}-manylinux_2_{self.glibc}_{self.machine}"

    @property
    def platforms(self) -> list[str]:
        """Tags of wheels that run there (PEP 600, and the names before it), the newest first."""
        found = []
        for number in range(self.glibc, _OLDEST_GLIBC - 1, -1):
            found.append(f"manylinux_2_{number}_{self.machine}")
            if number in _LEGACY:
                found.append(f"{_LEGACY[number]}_{self.machine}")
        return [*found, f"linux_{self.machine}"]

    def holds(self, marker: str, extras: Iterable[str] = ()) -> bool:
        """Whether a marker is true there, for one of the extras."""
        if not marker:
            return True
        about = {
            "implementation_name": "cpython",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_system": "Linux",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "linux",
        }
        return any(Marker(marker).evaluate({**about, "extra": extra}) for extra in ("", *extras))


def read(text: str) -> list[Pin]:
    """All lines of a lock file.

    Raises:
        ValueError: A line is not an exact version with hashes; tells which.
    """
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        said = line.partition("#")[0].strip()
        if not said:
            continue
        before, _, _ = said.partition("--hash")
        named = _PIN.match(before.strip())
        hashes = tuple(_HASH.findall(said))
        if named is None or not hashes:
            raise ValueError(f"not an exact version with hashes: {said[:80]}")
        found.append(Pin(canonicalize_name(named[1]), named[2], hashes, named[3] or ""))
    return found


def needs(wheel: Path, target: Target, extras: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
    """What a wheel says that it needs there: name → extras of it."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (one for one in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", one))
        about = message_from_bytes(archive.read(name))
    found: dict[str, tuple[str, ...]] = {}
    for said in about.get_all("Requires-Dist") or ():
        one = Requirement(said)
        if target.holds(str(one.marker or ""), extras):
            key = canonicalize_name(one.name)
            found[key] = (*found.get(key, ()), *sorted(one.extras))
    return found


def wanted(names: Iterable[str], locks: Sequence[Sequence[Pin]], target: Target) -> list[Pin]:
    """Each name's line, of the first lock file that has it.

    Args:
        names: In their normal form.
        locks: The files' lines, the most authoritative first.
        target: The machine.

    Raises:
        ValueError: A name is in no file; tells which.
    """
    found = []
    for name in names:
        lines = (pin for lock in locks for pin in lock if pin.name == name and target.holds(pin.marker))
        pin = next(lines, None)
        if pin is None:
            raise ValueError(f"{name} is in no lock file; bring its wheel by --wheels")
        found.append(pin)
    return found
