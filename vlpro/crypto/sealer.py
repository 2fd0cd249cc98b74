"""Sealed values: small secrets under the key file's newest key, and data keys for everything larger.

A sealed value tells how it was made, and opens in its place only. Its bytes:

    secret      02 | cipher, 1 byte | key's id, 4 | salt, 16 | nonce, 12 | ciphertext | tag, 16
    data        03 | cipher, 1 byte | nonce, 12 | ciphertext | tag, 16       under a data key
    old secret  01 | nonce, 12 | ciphertext | tag, 16                        AES-256-GCM; opened, no longer made

What stands before the nonce, the version and the place are bound as additional data. Each secret has a key of its
own, derived with the salt; so however many there are, no key comes near the bound of 2^32 random nonces (SP 800-38D
section 8.3). A data key seals what belongs to one conversation: some thousands of values.
"""

from __future__ import annotations

import hmac
import os
import struct

from vlpro.crypto.ciphers import KEY_BYTES, NONCE_BYTES, AlteredError, Cipher, decrypt, derived, encrypt
from vlpro.errors import VlproError

__all__ = ["DataKey", "Sealer"]

_OLD, _SECRET, _DATA = b"\x01", b"\x02", b"\x03"
_SALT_BYTES = 16
_ID_BYTES = 4
_SECRET_HEAD = 2 + _ID_BYTES + _SALT_BYTES


class DataKey:
    """Seals what belongs together, such as one conversation: without this key none of it can be read again.

    Args:
        key: 32 bytes.
        cipher: What seals; both open.
    """

    def __init__(self, key: bytes, cipher: Cipher = Cipher.AES_256_GCM) -> None:
        self._keys = {each: derived(each, key, b"vlpro data 1") for each in Cipher}
        self._cipher = cipher

    def seal(self, data: bytes, place: str, version: int = 1) -> bytes:
        """Encrypt, bound to its place; 30 bytes longer than what was given.

        Args:
            data: What is to be stored.
            place: Table, column and row, as ``table.column:row``.
            version: Of that value: an earlier one that is put back does not open.
        """
        head, nonce = _DATA + bytes([self._cipher]), os.urandom(NONCE_BYTES)
        body = encrypt(self._cipher, self._keys[self._cipher], nonce, data, _bound(head, place, version))
        return head + nonce + body

    def open(self, sealed: bytes, place: str, version: int = 1) -> bytes:
        """Decrypt what :meth:`seal` made for the same place and version.

        Raises:
            VlproError: ``integrity_error``: it was altered, or belongs elsewhere. Names the place.
        """
        head, nonce, body = sealed[:2], sealed[2 : 2 + NONCE_BYTES], sealed[2 + NONCE_BYTES :]
        cipher = _cipher_of(head, _DATA, place)
        try:
            return decrypt(cipher, self._keys[cipher], nonce, body, _bound(head, place, version))
        except AlteredError as error:
            raise _altered(place) from error


class Sealer:
    """Seals small secrets and data keys, and makes keyed hashes.

    Args:
        key: 32 bytes.
        cipher: What seals; both open.

    Attributes:
        signing_seed: Of the Ed25519 key that signs the audit's checkpoints, 32 bytes.
    """

    def __init__(self, key: bytes, cipher: Cipher = Cipher.AES_256_GCM) -> None:
        self._key = key
        self._cipher = cipher
        self._id = derived(Cipher.AES_256_GCM, key, b"vlpro key id 1")[:_ID_BYTES]
        self._mac = derived(Cipher.AES_256_GCM, key, b"vlpro mac 1")
        self.signing_seed = derived(Cipher.AES_256_GCM, key, b"vlpro audit sign 1")

    def seal(self, data: bytes, place: str) -> bytes:
        """Encrypt a small secret, bound to its place; 50 bytes longer than what was given.

        Args:
            data: The secret.
            place: Table, column and row, as ``table.column:row``: a value that is copied elsewhere does not open.
        """
        head = _SECRET + bytes([self._cipher]) + self._id + os.urandom(_SALT_BYTES)
        nonce = os.urandom(NONCE_BYTES)
        own = derived(self._cipher, self._key, b"vlpro seal 2", head[-_SALT_BYTES:])
        return head + nonce + encrypt(self._cipher, own, nonce, data, _bound(head, place))

    def open(self, sealed: bytes, place: str) -> bytes:
        """Decrypt what :meth:`seal` made for the same place.

        Raises:
            VlproError: ``integrity_error``: it was altered, or belongs to another place or key. Names the place.
        """
        try:
            if sealed[:1] == _OLD:
                own = derived(Cipher.AES_256_GCM, self._key, b"vlpro seal 1")
                nonce, body = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
                return decrypt(Cipher.AES_256_GCM, own, nonce, body, place.encode())
            cipher = _cipher_of(sealed[:2], _SECRET, place)
            head, body = sealed[:_SECRET_HEAD], sealed[_SECRET_HEAD:]
            own = derived(cipher, self._key, b"vlpro seal 2", head[-_SALT_BYTES:])
            return decrypt(cipher, own, body[:NONCE_BYTES], body[NONCE_BYTES:], _bound(head, place))
        except AlteredError as error:
            raise _altered(place) from error

    def mac(self, data: bytes, place: str) -> bytes:
        """A keyed hash (HMAC-SHA-256, RFC 2104), 32 bytes: useless to who has the database alone."""
        return hmac.digest(self._mac, place.encode() + b"\0" + data, "sha256")

    def new_data_key(self, place: str) -> tuple[DataKey, bytes]:
        """A new key for what belongs together.

        Args:
            place: Where the wrapped key will be stored.

        Returns:
            The key; and it wrapped, to be stored: who deletes it has erased all that the key sealed.
        """
        key = os.urandom(KEY_BYTES)
        return DataKey(key, self._cipher), self.seal(key, place)

    def data_key(self, wrapped: bytes, place: str) -> DataKey:
        """The key that :meth:`new_data_key` made.

        Args:
            wrapped: The key as it is stored.
            place: Where it is stored.

        Raises:
            VlproError: ``integrity_error``: it was altered, or belongs to another place or key. Names the place.
        """
        key = self.open(wrapped, place)
        if len(key) != KEY_BYTES:
            raise _altered(place)
        return DataKey(key, self._cipher)

    def rewrapped(self, wrapped: bytes, place: str) -> bytes | None:
        """A sealed value or wrapped data key under the newest key; its plain bytes stay what they are.

        Args:
            wrapped: As it is stored.
            place: Where it is stored.

        Returns:
            What to store instead; None: it is under the newest key and the cipher in use already.

        Raises:
            VlproError: ``integrity_error``: it was altered, or belongs to another place or key. Names the place.
        """
        if wrapped[: 2 + _ID_BYTES] == _SECRET + bytes([self._cipher]) + self._id:
            return None
        return self.seal(self.open(wrapped, place), place)


def _bound(head: bytes, place: str, version: int = 1) -> bytes:
    return head + struct.pack(">Q", version) + place.encode()


def _cipher_of(head: bytes, form: bytes, place: str) -> Cipher:
    if head[:1] == form and head[1:2] and head[1] in list(Cipher):
        return Cipher(head[1])
    raise _altered(place)


def _altered(place: str) -> VlproError:
    return VlproError(
        f"A stored value cannot be opened ({place}): it was altered, or the key file is another one.",
        zh=f"存储的密文无法解开（{place}）：内容被改动，或密钥文件不对。",
        code="integrity_error",
    )
