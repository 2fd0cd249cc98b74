"""How many backups stay in a folder."""

from __future__ import annotations

import fcntl
import re
from contextlib import suppress
from pathlib import Path

from vlpro.errors import BackupError

__all__ = ["SUFFIX", "UNFINISHED", "newest", "remove_old", "remove_unfinished"]

SUFFIX = ".vlbackup"
UNFINISHED = ".part"
"""Behind the name of one that is being written; its writer holds a lock on it."""
_NAME = re.compile(rf"vlpro-\d{{8}}T\d{{6}}Z{re.escape(SUFFIX)}")


def _backups(folder: Path) -> list[Path]:
    """Those that were named by their time, the oldest first."""
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.is_file())


def newest(folder: Path) -> Path:
    """The newest backup in a folder.

    Raises:
        BackupError: There is none.
    """
    found = _backups(folder)
    if not found:
        raise BackupError(
            f"There is no backup in {folder}. Make one: vlpro backup --to {folder}",
            zh=f"{folder} 中没有备份。请执行 vlpro backup --to {folder}",
            param="file",
        )
    return found[-1]


def remove_old(folder: Path, keep: int, *, verified: str | None) -> tuple[Path, ...]:
    """Delete the oldest backups, so that some stay; the last one that was verified always does.

    Args:
        folder: Of the backups.
        keep: How many stay, 1 at least.
        verified: The last one that was verified; None: none was, so that nothing is known to be good but the newest.

    Returns:
        What was deleted.
    """
    old = _backups(folder)[: -max(1, keep)]
    removed = tuple(path for path in old if str(path.resolve()) != verified)
    for path in removed:
        path.unlink()
    return removed


def remove_unfinished(folder: Path) -> None:
    """Delete what runs left that were killed; what somebody still writes to stays.

    Args:
        folder: Of the backups.
    """
    for path in folder.glob(f"*{UNFINISHED}"):
        if not _NAME.fullmatch(path.name.removesuffix(UNFINISHED)) or path.is_symlink():
            continue
        with suppress(OSError), path.open("ab") as file:  # held, or of a file system without locks: it stays
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
