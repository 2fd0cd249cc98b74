"""Where the audit's database and its key are, by the settings."""

from __future__ import annotations

from pathlib import Path

from vlpro.crypto import Cipher, KeyFile, Sealer
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


def audit_sealer(
    *,
    profile: str,
    data_dir: Path,
    key_file: Path | None = None,
    key_token: str = "",
    crypto: str = "international",
    make: bool = False,
) -> Sealer:
    """The keys: what signs checkpoints, and what seals what is stored.

    Args:
        profile: In ``local`` without a key file, the key lies in the data folder: it keeps nobody out there.
        data_dir: Folder of the data.
        key_file: The key file.
        key_token: PKCS#11 URI of the key that it is wrapped with; empty: it is not.
        crypto: ``gm`` seals with SM4-GCM; both open.
        make: Make it, in ``local``, where there is none.

    Raises:
        ConfigError: It is missing, or no key.
    """
    cipher = Cipher.SM4_GCM if crypto == "gm" else Cipher.AES_256_GCM
    if profile != "local" or key_file is not None:
        return Sealer(KeyFile(key_file or Path(), data_dir, token=key_token), cipher)
    file = KeyFile(data_dir / "key")
    if make and not file.path.exists():
        try:
            file.make()
        except ConfigError:
            if not file.path.exists():  # another process has just made it
                raise
    return Sealer(file, cipher)
