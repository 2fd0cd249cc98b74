"""The keys of a key file: those that seal, the newest of which is in use, and the two that must outlive a rotation.

Either one line of 64 hexadecimal digits, as ``vlpro key make`` writes it, from which everything is derived; or, once
it was rotated, a line for each key:

    sign DIGITS            seed of the key that signs the audit's checkpoints
    mac DIGITS             for keyed hashes, such as those of recovery codes
    seal DIGITS SINCE      seals from this time on, and opens always; SINCE as 2026-11-27T02:00:00Z, or 0

Lines that begin with # say nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from vlpro.crypto.ciphers import KEY_BYTES, Cipher, derived
from vlpro.crypto.secret_memory import Kind, SecretMemory, wipe

__all__ = ["ID_BYTES", "Keys", "SealingKey"]

ID_BYTES = 4
_MOST = 126  # sealing keys: with the two others they fill a page
_ONE = re.compile(rb"\s*([0-9a-fA-F]{64})\s*")
_LINE = re.compile(rb"(seal|sign|mac) ([0-9a-fA-F]{64})(?: (0|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ))?[ \t\r]*")
_PASSED_OVER = re.compile(rb"\s*(#.*)?")
_HEADER = b"# Keys of vlpro: docs/encryption.md. Lost keys cannot be had again, nor what they sealed.\n"

Bytes = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class SealingKey:
    """A key that seals.

    Args:
        id: Tells it from others in what it sealed, 4 bytes; derived from it, no secret.
        since: Unix time from which it seals; it opens at all times.
        secret: 32 bytes.
    """

    id: bytes
    since: float
    secret: memoryview


class Keys:
    """The keys, in memory that others cannot read (:mod:`vlpro.crypto.secret_memory`).

    Args:
        sealing: Keys of 32 bytes that seal, each with the Unix time from which it does, oldest first.
        sign: Seed of the audit's signing key; None: derived from the oldest.
        mac: Key of keyed hashes; None: likewise.

    Attributes:
        sealing: The sealing keys, oldest first.
        sign: 32 bytes.
        mac: 32 bytes.

    Raises:
        ValueError: There is no sealing key, too many, or one twice.
    """

    def __init__(
        self, sealing: Sequence[tuple[Bytes, float]], sign: Bytes | None = None, mac: Bytes | None = None
    ) -> None:
        if not 0 < len(sealing) <= _MOST:
            raise ValueError("one sealing key is needed")
        self._memory = SecretMemory((2 + len(sealing)) * KEY_BYTES)
        places = self._places()
        self.sign, self.mac = next(places), next(places)
        made = []
        for secret, since in sorted(sealing, key=lambda pair: pair[1]):
            place = next(places)
            place[:] = secret
            made.append(SealingKey(_derived(place, b"vlpro key id 1")[:ID_BYTES], since, place))
        self.sealing = tuple(made)
        if len({key.id for key in made}) < len(made):
            raise ValueError("a key stands there twice")
        oldest = made[0].secret
        self.sign[:] = _derived(oldest, b"vlpro audit sign 1") if sign is None else sign
        self.mac[:] = _derived(oldest, b"vlpro mac 1") if mac is None else mac

    @property
    def memory(self) -> Kind:
        """What protects them."""
        return self._memory.kind

    def newest(self, now: float) -> SealingKey:
        """The key that seals at a Unix time."""
        return next((key for key in reversed(self.sealing) if key.since <= now), self.sealing[0])

    @classmethod
    def parse(cls, text: bytearray) -> Keys:
        """The keys in a key file's text.

        Raises:
            ValueError: It is none.
        """
        one = _ONE.fullmatch(text)
        if one:
            with _unhex(text, one.start(1)) as secret:
                return cls([(secret, 0.0)])
        sealing: list[tuple[bytearray, float]] = []
        others: dict[bytes, bytearray] = {}
        try:
            for line in _lines(text):
                found = _LINE.fullmatch(text, *line)
                if not found:
                    raise ValueError("a line is none of a key file")
                secret = bytearray(KEY_BYTES)
                with _unhex(text, found.start(2)) as digits:
                    secret[:] = digits
                kind = found[1]
                if kind == b"seal":
                    sealing.append((secret, _time(found[3] or b"0")))
                elif kind in others or found[3]:
                    raise ValueError(f"{kind.decode()} stands there twice, or with a time")
                else:
                    others[kind] = secret
            return cls(sealing, others.get(b"sign"), others.get(b"mac"))
        finally:
            for secret in (*(pair[0] for pair in sealing), *others.values()):
                wipe(secret)

    def text(self) -> bytearray:
        """The text of a key file with these keys, a line for each."""
        text = bytearray(_HEADER)
        text += b"sign %s\nmac %s\n" % (self.sign.hex().encode(), self.mac.hex().encode())
        for key in self.sealing:
            since = (
                datetime.fromtimestamp(key.since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if key.since else "0"
            )
            text += b"seal %s %s\n" % (key.secret.hex().encode(), since.encode())
        return text

    def with_key(self, secret: Bytes, since: float) -> Keys:
        """These keys and one more."""
        held: list[tuple[Bytes, float]] = [(key.secret, key.since) for key in self.sealing]
        return Keys([*held, (secret, since)], self.sign, self.mac)

    def without(self, key_id: bytes) -> Keys:
        """These keys but for one. Raises: ValueError where it is the only one."""
        held = [(key.secret, key.since) for key in self.sealing if key.id != key_id]
        return Keys(held, self.sign, self.mac)

    def _places(self) -> Iterator[memoryview]:
        view = self._memory.view
        for start in range(0, len(view), KEY_BYTES):
            yield view[start : start + KEY_BYTES]


def _derived(key: memoryview, purpose: bytes) -> bytes:
    return derived(Cipher.AES_256_GCM, key, purpose)


def _lines(text: bytearray) -> Iterator[tuple[int, int]]:
    """From where to where the lines go that say something."""
    start = 0
    while start < len(text):
        end = text.find(b"\n", start)
        end = len(text) if end < 0 else end
        if not _PASSED_OVER.fullmatch(text, start, end):
            yield start, end
        start = end + 1


def _time(text: bytes) -> float:
    if text == b"0":
        return 0.0
    return datetime.strptime(text.decode(), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()


@contextmanager
def _unhex(text: bytearray, start: int) -> Iterator[bytearray]:
    """The 32 bytes that 64 digits are, overwritten at the end of the block."""
    secret = bytearray(KEY_BYTES)
    try:
        for n in range(KEY_BYTES):
            secret[n] = int(text[start + 2 * n : start + 2 * n + 2], 16)
        yield secret
    finally:
        wipe(secret)
