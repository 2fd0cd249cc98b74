"""SM3, the hash of GB/T 32905-2016 (密码杂凑算法)."""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes

__all__ = ["sm3"]


def sm3(data: bytes) -> bytes:
    """The hash of some bytes, 32 bytes. Some 2 ms of processor time a megabyte."""
    digest = hashes.Hash(hashes.SM3())
    digest.update(data)
    return digest.finalize()
