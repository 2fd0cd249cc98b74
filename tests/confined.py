"""``python -m tests.confined FOLDER COMMAND …``: a program that can write in one folder, and to devices, only.

By Landlock, which holds for unnamed temporary files (O_TMPFILE) too, and not for shared memory.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from vlpro.sealing import landlock

__all__ = ["confined", "writes_only_in"]


def writes_only_in(folder: Path) -> None:
    """Confine this process, for good."""
    devices = Path("/dev")
    landlock.confine(read=[Path("/")], write=[folder, devices], devices=[devices], files_only=True)


def confined(folder: Path, command: list[str]) -> list[str]:
    """The command, confined; to be run in the repository's root."""
    return [sys.executable, "-m", "tests.confined", str(folder), *command]


if __name__ == "__main__":
    writes_only_in(Path(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - a shell is what is not wanted
