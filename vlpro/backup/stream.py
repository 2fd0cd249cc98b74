"""A sealed file: who has the key file reads it from end to end, and sees whether any byte is not what was written.

    magic | length of the sealed key, 2 bytes | the sealed key | frames
    frame: length of its ciphertext, 4 bytes | ciphertext | tag, 16 bytes

The file has a key of its own, which the key file's newest key seals (:class:`vlpro.crypto.Sealer`). Frames are the
STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár: Online Authenticated-Encryption and its Nonce-Reuse
Misuse-Resistance, CRYPTO 2015): a frame's nonce is its number and whether it is the last. So a file whose frames were
moved, repeated or left out, or whose end is missing, does not open. What stands before the frames is bound to each of
them. A frame's text is at most 1 MiB: one byte that tells whether it is compressed, and the content.
"""

from __future__ import annotations

import os
import struct
import zlib
from typing import BinaryIO, Protocol

from vlpro.crypto import Cipher, Sealer
from vlpro.crypto.ciphers import KEY_BYTES, TAG_BYTES, AlteredError, decrypt, derived, encrypt
from vlpro.crypto.sealer import HEAD_BYTES
from vlpro.errors import BackupError, VlproError

__all__ = ["MAGIC", "SealedReader", "SealedWriter", "Writable"]

MAGIC = b"vlpro backup 1\n"
_PLACE = "backup.key:1"
_PURPOSE = b"vlpro backup frames 1"
_CONTENT = 2**20  # bytes of a frame at most
_SAMPLE = 65_536
_GAIN = 0.9  # what compresses to no less than this is stored as it is: most of it is ciphertext
_STORED, _COMPRESSED = b"\0", b"\1"
_MOST_KEY = 4096


class Writable(Protocol):
    """Where a sealed file is written to."""

    def write(self, data: bytes, /) -> object:
        """Add bytes."""


class SealedWriter:
    """Writes a sealed file.

    Args:
        file: Open for writing bytes.
        sealer: Seals the file's own key, and tells the cipher.
    """

    def __init__(self, file: Writable, sealer: Sealer) -> None:
        secret = os.urandom(KEY_BYTES)
        wrapped = sealer.seal(secret, _PLACE)
        self._file = file
        self._cipher = sealer.cipher
        self._key = derived(self._cipher, secret, _PURPOSE)
        self._header = MAGIC + struct.pack(">H", len(wrapped)) + wrapped
        self._number = 0
        self._waiting = bytearray()
        file.write(self._header)

    def write(self, data: bytes) -> None:
        """Add content. Raises: OSError."""
        self._waiting += data
        while len(self._waiting) > _CONTENT:  # the last frame is not empty, unless all is
            self._frame(bytes(self._waiting[:_CONTENT]), last=False)
            del self._waiting[:_CONTENT]

    def finish(self) -> None:
        """Write what waits, as the end. Raises: OSError."""
        self._frame(bytes(self._waiting), last=True)

    def _frame(self, content: bytes, *, last: bool) -> None:
        nonce = _nonce(self._number, last=last)
        body = encrypt(self._cipher, self._key, nonce, _packed(content), self._header)
        self._number += 1
        self._file.write(struct.pack(">I", len(body)) + body)


class SealedReader:
    """Reads a sealed file, from the beginning to the end.

    Args:
        file: Open for reading bytes, at its beginning.
        sealer: Opens the file's own key.

    Raises:
        BackupError: It is no backup, it was cut or altered, or the key file is another one.
    """

    def __init__(self, file: BinaryIO, sealer: Sealer) -> None:
        self._file = file
        start = file.read(len(MAGIC) + 2)
        size = struct.unpack(">H", start[len(MAGIC) :])[0] if len(start) == len(MAGIC) + 2 else 0
        if start[: len(MAGIC)] != MAGIC or not HEAD_BYTES < size <= _MOST_KEY:
            raise BackupError(
                "The file is no backup of this product, or its beginning was altered.",
                zh="该文件不是本产品的备份，或其开头被改动。",
                param="file",
            )
        wrapped = file.read(size)
        self._header = start + wrapped
        secret = _unwrapped(wrapped, sealer)
        self._cipher = Cipher(wrapped[1])
        self._key = derived(self._cipher, secret, _PURPOSE)
        self._number = 0
        self._content = memoryview(b"")
        self._next = self._body()
        if self._next is None:
            raise _cut()

    def read(self, size: int) -> bytes:
        """The next bytes: as many as asked for, and fewer where a frame ends; none at the end of all.

        Args:
            size: Bytes at most.

        Raises:
            BackupError: The file was cut, or altered, or its frames were moved.
        """
        if not self._content and self._next is not None:
            self._content = memoryview(self._opened())
        piece, self._content = self._content[:size], self._content[size:]
        return bytes(piece)

    def exactly(self, size: int) -> bytes:
        """The next bytes, all of them. Raises: BackupError where there are fewer."""
        found = bytearray()
        while len(found) < size:
            piece = self.read(size - len(found))
            if not piece:
                raise _cut()
            found += piece
        return bytes(found)

    def _body(self) -> bytes | None:
        """The next frame, still sealed; None at the end."""
        length = self._file.read(4)
        if not length:
            return None
        size = struct.unpack(">I", length)[0] if len(length) == 4 else 0
        if len(length) == 4 and not TAG_BYTES < size <= _CONTENT + 1 + TAG_BYTES:
            raise _altered(self._number)
        body = self._file.read(size)
        if len(length) < 4 or len(body) < size:
            raise _cut()
        return body

    def _opened(self) -> bytes:
        assert self._next is not None  # noqa: S101 - its caller has looked
        body, self._next = self._next, self._body()
        last = self._next is None
        text = self._tried(body, last=last)
        if text is None:
            if self._tried(body, last=not last) is None:
                raise _altered(self._number)
            if last:
                raise _cut()
            raise BackupError(
                "Something was added behind the end of the backup. It is not used.",
                zh="备份末尾之后被添加了内容，不予使用。",
                param="file",
            )
        content = _unpacked(text)
        if content is None or (not content and not (last and self._number == 0)):
            raise _altered(self._number)
        self._number += 1
        return content

    def _tried(self, body: bytes, *, last: bool) -> bytes | None:
        try:
            return decrypt(self._cipher, self._key, _nonce(self._number, last=last), body, self._header)
        except AlteredError:
            return None


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _packed(content: bytes) -> bytes:
    sample = content[:_SAMPLE]
    if len(zlib.compress(sample, 1)) < _GAIN * len(sample):
        return _COMPRESSED + zlib.compress(content, 1)
    return _STORED + content


def _unpacked(text: bytes) -> bytes | None:
    """The content; None: there is none, or it would be longer than a frame may be."""
    if text[:1] == _STORED:
        return text[1:]
    if text[:1] != _COMPRESSED:
        return None
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(text[1:], _CONTENT + 1)
    except zlib.error:
        return None
    return content if unpacker.eof and not unpacker.unused_data and len(content) <= _CONTENT else None


def _unwrapped(wrapped: bytes, sealer: Sealer) -> bytes:
    """The file's own key. Raises: BackupError."""
    wanted = wrapped[2:HEAD_BYTES]
    if all(key.id != wanted for key in sealer.keys.sealing):
        raise BackupError(
            f"The backup was made under key {wanted.hex()}, which is not in this key file. Use the key file of the "
            "service at that time: VLPRO_KEY_FILE.",
            zh=f"备份使用密钥 {wanted.hex()}，而此密钥文件中没有。请使用当时服务的密钥文件：VLPRO_KEY_FILE。",
            param="key_file",
        )
    try:
        secret = sealer.open(wrapped, _PLACE)
    except VlproError:
        secret = b""
    if len(secret) != KEY_BYTES:
        raise BackupError(
            "The beginning of the backup was altered. Use another one.",
            zh="备份的开头被改动，请使用其他备份。",
            param="file",
        )
    return secret


def _cut() -> BackupError:
    return BackupError(
        "The backup was cut: its end is missing. Use another one.",
        zh="备份被截断，缺少末尾。请使用其他备份。",
        param="file",
    )


def _altered(number: int) -> BackupError:
    return BackupError(
        f"Part {number + 1} of the backup is not what was written there: it was altered, moved or left out. "
        "Use another one.",
        zh=f"备份的第 {number + 1} 段不是当初写入的内容：被改动、移动或遗漏。请使用其他备份。",
        param="file",
    )
