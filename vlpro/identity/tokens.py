"""Opaque tokens: random, handed out once, kept only as their hash."""

from __future__ import annotations

import hashlib
import secrets

__all__ = ["KEY_PREFIX", "digest", "new_id", "new_key", "new_token"]

KEY_PREFIX = "vlp_"
_BYTES = 32  # 256 bits: their plain SHA-256 tells nothing, and there is nothing to guess


def new_token() -> str:
    """For a cookie: 43 characters."""
    return secrets.token_urlsafe(_BYTES)


def new_key() -> str:
    """An API key: ``vlp_`` and 43 characters."""
    return KEY_PREFIX + secrets.token_urlsafe(_BYTES)


def digest(token: str) -> bytes:
    """What is stored of a token, and what it is found by: 32 bytes."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def new_id(kind: str) -> str:
    """An id such as ``usr_`` and 24 hexadecimal digits."""
    return f"{kind}_{secrets.token_hex(12)}"
