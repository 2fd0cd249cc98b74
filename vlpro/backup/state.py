"""What is known of the backups of a data folder: the last one, and the last that was verified."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vlpro.errors import ConflictError

__all__ = ["RESTORING", "STATE", "alone", "known", "remember", "sync_folder"]

RESTORING = "restore.part"
"""In the data folder: what a restore has not put into its place yet."""
STATE = "backup-state.json"
"""In the data folder: ``at`` (Unix time), ``file``, ``audit_sequence`` of the last backup; ``verified`` has ``at``
and ``file`` of the last one that was verified."""


def known(data_dir: Path) -> dict[str, Any]:
    """What the state says; empty where there is none that can be read."""
    try:
        said = json.loads((data_dir / STATE).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def remember(data_dir: Path, **more: Any) -> None:
    """Add to the state, or replace what it says. Raises: OSError."""
    new = data_dir / f"{STATE}.new"
    new.write_text(json.dumps({**known(data_dir), **more}, indent=1) + "\n", encoding="utf-8")
    new.replace(data_dir / STATE)


@contextmanager
def alone(data_dir: Path) -> Iterator[None]:
    """Only one backup of a data folder at a time.

    Raises:
        ConflictError: Another one runs.
    """
    descriptor = os.open(data_dir / "backup.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise ConflictError(
            "Another backup of this data folder is running. Wait for its end.",
            zh="此数据文件夹的另一个备份正在进行，请等待其结束。",
        ) from error
    try:
        yield
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """See that the names in a folder are on the disk. Raises: OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
