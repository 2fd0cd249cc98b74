"""The two authenticated ciphers for what is stored: AES-256-GCM and SM4-GCM."""

from __future__ import annotations

from enum import IntEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher as _Mode
from cryptography.hazmat.primitives.ciphers import algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

__all__ = ["KEY_BYTES", "NONCE_BYTES", "TAG_BYTES", "AlteredError", "Cipher", "decrypt", "derived", "encrypt"]

KEY_BYTES = 32  # of what keys are derived from
NONCE_BYTES = 12  # SP 800-38D section 8.2.2: random, 96 bits
TAG_BYTES = 16


class Cipher(IntEnum):
    """A cipher, as the byte that names it in what is stored. Never renumber."""

    AES_256_GCM = 1
    """FIPS 197, SP 800-38D."""

    SM4_GCM = 2
    """GB/T 32907-2016 with a key of 128 bits, RFC 8998 section 2."""


class AlteredError(Exception):
    """A tag does not fit: the text, its nonce, its key or its additional data is another one."""


_KEY_SIZES = {Cipher.AES_256_GCM: 32, Cipher.SM4_GCM: 16}


def derived(cipher: Cipher, key: bytes | memoryview, purpose: bytes, salt: bytes | None = None) -> bytes:
    """A key for a cipher (HKDF, RFC 5869; with SM3 for SM4, with SHA-256 else).

    Args:
        cipher: What the key is for.
        key: 32 bytes.
        purpose: Keys for two purposes are independent.
        salt: Random bytes; keys of two salts are independent.
    """
    hashed: hashes.HashAlgorithm = hashes.SM3() if cipher is Cipher.SM4_GCM else hashes.SHA256()
    return HKDF(hashed, _KEY_SIZES[cipher], salt=salt, info=purpose).derive(key)


def encrypt(cipher: Cipher, key: bytes, nonce: bytes, data: bytes, bound: bytes) -> bytes:
    """Encrypt.

    Args:
        cipher: The cipher.
        key: Of the cipher's size.
        nonce: 12 bytes, never used before with this key.
        data: What is to be hidden.
        bound: Additional data: not hidden, but what is made opens with the same only.

    Returns:
        The ciphertext, as long as ``data``, and the tag, 16 bytes.
    """
    if cipher is Cipher.AES_256_GCM:
        return AESGCM(key).encrypt(nonce, data, bound)
    mode = _Mode(algorithms.SM4(key), modes.GCM(nonce)).encryptor()
    mode.authenticate_additional_data(bound)
    return mode.update(data) + mode.finalize() + mode.tag


def decrypt(cipher: Cipher, key: bytes, nonce: bytes, sealed: bytes, bound: bytes) -> bytes:
    """Decrypt what :func:`encrypt` made.

    Raises:
        AlteredError: It was altered, or made with something else.
    """
    if len(nonce) != NONCE_BYTES or len(sealed) < TAG_BYTES:
        raise AlteredError
    try:
        if cipher is Cipher.AES_256_GCM:
            return AESGCM(key).decrypt(nonce, sealed, bound)
        mode = _Mode(algorithms.SM4(key), modes.GCM(nonce, sealed[-TAG_BYTES:])).decryptor()
        mode.authenticate_additional_data(bound)
        return mode.update(sealed[:-TAG_BYTES]) + mode.finalize()
    except InvalidTag as error:
        raise AlteredError from error
