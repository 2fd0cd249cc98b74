"""What is installed: packages with their files, as ``RECORD`` of each lists them, and whether they are still that."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["Package", "added_files", "packages"]

_BLOCK = 1 << 20
_UNHASHED = re.compile(
    r"(^|/)__pycache__/|\.py[co]$|\.dist-info/(RECORD(\.jws|\.p7s)?|INSTALLER|REQUESTED|direct_url\.json)$"
)
_RUNS = re.compile(r"\.(py|pyc|pth|so(\.[0-9.]+)?|pyd|dll|dylib)$")
_NATIVE = re.compile(r"\.(so(\.[0-9.]+)?|pyd|dll|dylib)$")
_MODEL = re.compile(r"\.(onnx|safetensors)$")

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Package:
    """One installed distribution.

    Args:
        name: As it calls itself; empty where its metadata has none.
        version: Likewise.
        licence: An SPDX expression, or what its metadata says otherwise; empty: nothing.
        is_expression: Whether that is an SPDX expression (PEP 639).
        requires: Its requirements (PEP 508).
        record_sha256: Of its RECORD, hexadecimal; empty where it has none.
        files: How many files RECORD lists.
        altered: Files that are not what RECORD says: their path, and "altered", "missing" or "unreadable".
        binaries: SHA-256 of its native libraries and models by path.
    """

    name: str
    version: str
    licence: str = ""
    is_expression: bool = False
    requires: tuple[str, ...] = ()
    record_sha256: str = ""
    files: int = 0
    altered: tuple[tuple[str, str], ...] = ()
    binaries: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The name in its normal form (PEP 503)."""
        return re.sub(r"[-_.]+", "-", self.name).lower()


def packages(
    path: Sequence[str] | None = None,
    progress: Progress = lambda _done, _total: None,
    *,
    contents: bool = True,
) -> list[Package]:
    """All installed packages by name.

    Args:
        path: Folders to look in; None: those of this interpreter.
        progress: Is told packages done and in all.
        contents: Whether every file of theirs is read and compared.
    """
    found: dict[str, metadata.Distribution] = {}
    listed = metadata.distributions() if path is None else metadata.distributions(path=list(path))
    for place, one in enumerate(listed):
        found.setdefault(_name(one).lower() or f"\0{place}", one)  # the first on the path is what is imported
    read = []
    for done, key in enumerate(sorted(found)):
        progress(done, len(found))
        read.append(_package(found[key], contents=contents))
    progress(len(found), len(found))
    return sorted(read, key=lambda package: package.key)


def added_files(path: Sequence[str]) -> list[str]:
    """Files that Python could run in folders of packages, but that no package brings.

    Args:
        path: Folders of packages, such as ``sysconfig.get_path("purelib")``.
    """
    claimed: set[str] = set()
    for one in metadata.distributions(path=list(path)):
        base = str(one.locate_file(""))
        claimed.update(os.path.normpath(f"{base}/{file}") for file in one.files or ())
    added = []
    for folder in dict.fromkeys(map(os.path.abspath, path)):
        for base, folders, names in os.walk(folder):
            folders[:] = [name for name in folders if name != "__pycache__"]
            runs = (f"{base}/{name}" for name in names if _RUNS.search(name))
            added += [os.path.relpath(file, folder) for file in runs if file not in claimed]
    return sorted(added)


def _name(one: metadata.Distribution) -> str:
    return str(one.metadata["Name"] or "").strip()


def _package(one: metadata.Distribution, *, contents: bool) -> Package:
    told: Any = one.metadata
    expression = str(told.get("License-Expression") or "")
    classified = [
        line.rpartition(" :: ")[2]
        for line in told.get_all("Classifier") or ()
        if line.startswith("License ::")
    ]
    free = str(told.get("License") or "").strip().splitlines()
    licence = expression or " AND ".join(classified) or (free[0][:120] if free else "")
    record = one.read_text("RECORD")
    altered, binaries = _checked(one) if record and contents else ((), {})
    return Package(
        _name(one),
        str(told.get("Version") or "").strip(),
        licence,
        bool(expression),
        tuple(one.requires or ()),
        hashlib.sha256(record.encode()).hexdigest() if record else "",
        len(one.files or ()) if record else 0,
        tuple(altered),
        binaries,
    )


def _checked(one: metadata.Distribution) -> tuple[Sequence[tuple[str, str]], dict[str, str]]:
    altered: list[tuple[str, str]] = []
    binaries: dict[str, str] = {}
    for file in one.files or ():
        name = file.as_posix()
        if _UNHASHED.search(name):
            continue
        if file.hash is None:
            altered.append((name, "without a hash"))
            continue
        try:
            with Path(str(one.locate_file(file))).open("rb") as content:
                digest = hashlib.new(file.hash.mode)
                while block := content.read(_BLOCK):
                    digest.update(block)
        except FileNotFoundError:
            altered.append((name, "missing"))
            continue
        except (OSError, ValueError):
            altered.append((name, "unreadable"))
            continue
        value = base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
        if not hmac.compare_digest(value, file.hash.value.rstrip("=")):
            altered.append((name, "altered"))
        elif file.hash.mode == "sha256" and (_NATIVE.search(name) or _MODEL.search(name)):
            binaries[name] = digest.hexdigest()
    return altered, binaries
