"""Opaque tokens: random, handed out once, kept only as their hash."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from vlpro.crypto import Sealer

__all__ = ["KEY_PREFIX", "digest", "new_id", "new_key", "new_session_token", "new_token", "was_issued"]

KEY_PREFIX = "vlp_"
_MARK_BYTES = 16
_MARK_CHARS = 22  # of those in base64
_BYTES = 32  # 256 bits: their plain SHA-256 tells nothing, and there is nothing to guess


def new_token() -> str:
    """For a cookie: 43 characters."""
    return secrets.token_urlsafe(_BYTES)


def new_session_token(sealer: Sealer) -> str:
    """For a session's cookie: 65 characters, of which the last 22 show that it was issued here.

    What is left of a session that has ended is nothing; its token still tells itself from one that somebody made up.
    """
    token = new_token()
    return token + _mark(sealer, token)


def was_issued(sealer: Sealer, token: str) -> bool:
    """Whether a session's token was ever issued here, be it ended or not. Takes the same time either way."""
    body, mark = token[:-_MARK_CHARS], token[-_MARK_CHARS:]
    return hmac.compare_digest(_mark(sealer, body).encode(), mark.encode("utf-8", "replace"))


def _mark(sealer: Sealer, token: str) -> str:
    mac = sealer.mac(token.encode("utf-8", "replace"), "sessions.token")
    return base64.urlsafe_b64encode(mac[:_MARK_BYTES]).decode().rstrip("=")


def new_key() -> str:
    """An API key: ``vlp_`` and 43 characters."""
    return KEY_PREFIX + secrets.token_urlsafe(_BYTES)


def digest(token: str) -> bytes:
    """What is stored of a token, and what it is found by: 32 bytes."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def new_id(kind: str) -> str:
    """An id such as ``usr_`` and 24 hexadecimal digits."""
    return f"{kind}_{secrets.token_hex(12)}"
