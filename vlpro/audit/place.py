"""Where the audit's database and its key are, by the settings."""

from __future__ import annotations

from pathlib import Path

from vlpro.crypto import Sealer, make_key_file, read_key_file
from vlpro.db import sqlite_url
from vlpro.errors import ConfigError

__all__ = ["LOCK", "audit_database_url", "audit_sealer"]

LOCK = 0x6175646974
"""Of PostgreSQL's advisory locks, the one that the audit's writers wait for ("audit"); for :class:`Database`."""


def audit_database_url(*, data_dir: Path, database_url: str = "", audit_database_url: str = "") -> str:
    """The URL of the audit's database.

    Args:
        data_dir: Folder of the data.
        database_url: Of the other stores.
        audit_database_url: The audit's own, where it has one.

    Returns:
        Its own; else the PostgreSQL of the others; else a SQLite of its own in the data folder.
    """
    if audit_database_url:
        return audit_database_url
    if database_url.startswith("postgres"):
        return database_url
    return sqlite_url(data_dir.resolve(), "audit")


def audit_sealer(*, profile: str, data_dir: Path, key_file: Path | None = None, make: bool = False) -> Sealer:
    """The key that signs checkpoints.

    Args:
        profile: In ``local`` without a key file, the key lies in the data folder: it keeps nobody out there.
        data_dir: Folder of the data.
        key_file: The key file.
        make: Make it, in ``local``, where there is none.

    Raises:
        ConfigError: It is missing, or no key.
    """
    if profile != "local" or key_file is not None:
        return Sealer(read_key_file(key_file or Path(), data_dir))
    path = data_dir / "key"
    if make and not path.exists():
        try:
            make_key_file(path)
        except ConfigError:
            if not path.exists():  # another process has just made it
                raise
    return Sealer(read_key_file(path, data_dir / "nowhere"))
