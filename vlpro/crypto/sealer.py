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
import logging
import os
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from vlpro.crypto.ciphers import KEY_BYTES, NONCE_BYTES, AlteredError, Cipher, decrypt, derived, encrypt
from vlpro.crypto.key_file import KeyFile
from vlpro.crypto.keys import ID_BYTES, Keys, SealingKey
from vlpro.errors import ConfigError, VlproError

__all__ = ["HEAD_BYTES", "DataKey", "Sealer"]

log = logging.getLogger(__name__)

_OLD, _SECRET, _DATA = b"\x01", b"\x02", b"\x03"
_CIPHERS = {bytes([each]): each for each in Cipher}
_SALT_BYTES = 16
HEAD_BYTES = 2 + ID_BYTES
"""Of a sealed value, what tells form, cipher and key."""
_SECRET_HEAD = HEAD_BYTES + _SALT_BYTES
_PURPOSE = b"vlpro seal 2"
_LOOK_S = 1.0
_AGAIN_S = 10.0


class DataKey:
    """Seals what belongs together, such as one conversation: without this key none of it can be read again.

    Args:
        key: 32 bytes.
        cipher: What seals; both open.
    """

    def __init__(self, key: bytes, cipher: Cipher = Cipher.AES_256_GCM) -> None:
        self._key = key
        self._keys: dict[Cipher, bytes] = {}  # each derived when it is first needed
        self._cipher = cipher

    def seal(self, data: bytes, place: str, version: int = 1) -> bytes:
        """Encrypt, bound to its place; 30 bytes longer than what was given.

        Args:
            data: What is to be stored.
            place: Table, column and row, as ``table.column:row``.
            version: Of that value: an earlier one that is put back does not open.
        """
        head, nonce = _DATA + bytes([self._cipher]), os.urandom(NONCE_BYTES)
        body = encrypt(self._cipher, self._for(self._cipher), nonce, data, _bound(head, place, version))
        return head + nonce + body

    def open(self, sealed: bytes, place: str, version: int = 1) -> bytes:
        """Decrypt what :meth:`seal` made for the same place and version.

        Raises:
            VlproError: ``integrity_error``: it was altered, or belongs elsewhere. Names the place.
        """
        head, nonce, body = sealed[:2], sealed[2 : 2 + NONCE_BYTES], sealed[2 + NONCE_BYTES :]
        cipher = _cipher_of(head, _DATA, place)
        try:
            return decrypt(cipher, self._for(cipher), nonce, body, _bound(head, place, version))
        except AlteredError as error:
            raise _altered(place) from error

    def _for(self, cipher: Cipher) -> bytes:
        if cipher not in self._keys:
            self._keys[cipher] = derived(cipher, self._key, b"vlpro data 1")
        return self._keys[cipher]


class Sealer:
    """Seals small secrets and data keys, and makes keyed hashes.

    A key file that changes is read again while the service goes on: within a second, and at once where something is
    to be opened that a new key sealed. One that cannot be read then changes nothing, is told in the log, and is tried
    again every ten seconds: its rights may be mended, its token may be back.

    Args:
        keys: The keys; their file; or one key, 32 bytes.
        cipher: What seals; both open.
        clock: Unix time.

    Attributes:
        file: The key file; None: keys were given.

    Raises:
        ConfigError: The key file cannot be used.
    """

    def __init__(
        self,
        keys: Keys | KeyFile | bytes,
        cipher: Cipher = Cipher.AES_256_GCM,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._cipher = cipher
        self._clock = clock
        self.file = keys if isinstance(keys, KeyFile) else None
        self._stamp = keys.stamp() if isinstance(keys, KeyFile) else None
        self._looked = self._failed_at = time.monotonic()
        self._failed: object = ()  # the stamp of the file that could not be read last
        self._reading = threading.Lock()
        if isinstance(keys, KeyFile):
            keys = keys.read()
        self._keys = keys if isinstance(keys, Keys) else Keys([(keys, 0.0)])

    @property
    def keys(self) -> Keys:
        """The keys, as the key file had them a second ago at most."""
        if self.file is not None and time.monotonic() - self._looked >= _LOOK_S:
            self._look()
        return self._keys

    @property
    def cipher(self) -> Cipher:
        """What seals."""
        return self._cipher

    @property
    def signing_seed(self) -> bytes:
        """Of the Ed25519 key that signs the audit's checkpoints, 32 bytes; a rotation does not change it."""
        return bytes(self._keys.sign)

    def seal(self, data: bytes, place: str) -> bytes:
        """Encrypt a small secret, bound to its place; 50 bytes longer than what was given.

        Args:
            data: The secret.
            place: Table, column and row, as ``table.column:row``: a value that is copied elsewhere does not open.
        """
        key = self.keys.newest(self._clock())
        head = _SECRET + bytes([self._cipher]) + key.id + os.urandom(_SALT_BYTES)
        nonce = os.urandom(NONCE_BYTES)
        own = derived(self._cipher, key.secret, _PURPOSE, head[-_SALT_BYTES:])
        return head + nonce + encrypt(self._cipher, own, nonce, data, _bound(head, place))

    def open(self, sealed: bytes, place: str) -> bytes:
        """Decrypt what :meth:`seal` made for the same place.

        Raises:
            VlproError: ``integrity_error``: it was altered, or belongs to another place or key. Names the place.
        """
        try:
            if sealed[:1] == _OLD:
                return self._open_old(sealed, place)
            cipher = _cipher_of(sealed[:2], _SECRET, place)
            head, body = sealed[:_SECRET_HEAD], sealed[_SECRET_HEAD:]
            key = self._known(head[2 : 2 + ID_BYTES])
            if key is None:
                raise _altered(place)
            own = derived(cipher, key.secret, _PURPOSE, head[-_SALT_BYTES:])
            return decrypt(cipher, own, body[:NONCE_BYTES], body[NONCE_BYTES:], _bound(head, place))
        except AlteredError as error:
            raise _altered(place) from error

    def mac(self, data: bytes, place: str) -> bytes:
        """A keyed hash (HMAC-SHA-256, RFC 2104), 32 bytes: useless to who has the database alone.

        A rotation does not change it.
        """
        return hmac.digest(self.keys.mac, place.encode() + b"\0" + data, "sha256")

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
        if wrapped[:HEAD_BYTES] == self.newest_head:
            return None
        return self.seal(self.open(wrapped, place), place)

    @property
    def newest_head(self) -> bytes:
        """How all begins that :meth:`seal` makes now: with its form, its cipher and its key's id."""
        return _SECRET + bytes([self._cipher]) + self.keys.newest(self._clock()).id

    def _open_old(self, sealed: bytes, place: str) -> bytes:
        """Opens what was sealed before keys had ids: one of the oldest."""
        nonce, body = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        for key in self.keys.sealing:
            own = derived(Cipher.AES_256_GCM, key.secret, b"vlpro seal 1")
            with suppress(AlteredError):
                return decrypt(Cipher.AES_256_GCM, own, nonce, body, place.encode())
        raise AlteredError

    def _known(self, key_id: bytes) -> SealingKey | None:
        """The key of an id; one that is new is looked for in the file."""
        for again in (False, True):
            if again:
                self._look()
            found = next((key for key in self._keys.sealing if key.id == key_id), None)
            if found is not None:
                return found
        return None

    def _look(self) -> None:
        """Read the key file again where it was changed."""
        if self.file is None:
            return
        with self._reading:
            now = self._looked = time.monotonic()
            stamp = self.file.stamp()
            if stamp == self._stamp or (stamp == self._failed and now - self._failed_at < _AGAIN_S):
                return
            try:
                keys = self.file.read()
            except ConfigError as error:
                if stamp != self._failed:
                    log.error("the key file was changed, and is not used: %s", error.message)  # noqa: TRY400 - no trace
                self._failed, self._failed_at = stamp, now
                return
            self._stamp, self._failed = stamp, ()
            if (keys.sign, keys.mac) != (self._keys.sign, self._keys.mac):
                log.error(
                    "the key file was changed, and is not used: sign or mac is another key; restart for that"
                )
                return
            self._keys = keys
            log.info("the key file was changed: %d keys that seal", len(keys.sealing))


def _bound(head: bytes, place: str, version: int = 1) -> bytes:
    return head + struct.pack(">Q", version) + place.encode()


def _cipher_of(head: bytes, form: bytes, place: str) -> Cipher:
    cipher = _CIPHERS.get(head[1:2])
    if head[:1] == form and cipher is not None:
        return cipher
    raise _altered(place)


def _altered(place: str) -> VlproError:
    return VlproError(
        f"A stored value cannot be opened ({place}): it was altered, or the key file is another one.",
        zh=f"存储的密文无法解开（{place}）：内容被改动，或密钥文件不对。",
        code="integrity_error",
    )
