"""The signatures with SM2 that stand beside those with Ed25519, while a record is verified.

A statement (a checkpoint, a seal) names the keys that signed it, and Ed25519 signs these names; so a signature with
SM2 that was taken away is missed. Since when the log is signed with SM2, and with which key, it says itself, in its
first record and in each ``audit:signing:changed``.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature

from vlpro.audit import sm2
from vlpro.audit.checkpoint import CHECKPOINT, Checkpoint
from vlpro.audit.errors import Finding, VerificationError
from vlpro.audit.seal import SEAL, Seal

__all__ = ["Cosigned"]

_BACKLOG = 64  # signatures that are checked meanwhile
_MEANING = "It was altered, or forged by somebody without the key."
_MEANING_ZH = "内容被改动，或由没有密钥的人伪造。"


class Cosigned:
    """Checks signatures with SM2, several at once; the same one only once.

    Args:
        keys: Public keys that are trusted, 65 bytes each; empty ones do not count. None: those that the log names.
    """

    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        self._keys = [key.hex() for key in keys if key]
        self._said: str | None = (
            None  # the key that the log names, hexadecimal, empty for none; None: not known
        )
        self._able: bool | None = None  # whether this machine can check; None: nobody has asked yet
        self._right: set[bytes] = set()
        self._unchecked: set[bytes] = set()
        self._waiting: deque[tuple[Checkpoint | Seal, bytes, Future[None]]] = deque()
        self._pool: ThreadPoolExecutor | None = None

    @property
    def right(self) -> int:
        """Signatures that were found right."""
        return len(self._right)

    @property
    def unchecked(self) -> int:
        """Signatures that are there but could not be checked, since this machine has no SM2."""
        return len(self._unchecked)

    def told(self, detail: Any) -> None:
        """A record says with which key the log is signed from here on."""
        self._said = str(detail.get("sm2", "")) if isinstance(detail, dict) else ""

    def place(self, found: Checkpoint, *, bound: bool) -> None:
        """Check that a checkpoint is signed as the log says at its place.

        Args:
            found: Its signature with Ed25519 is right.
            bound: Whether the records before it were read; if not, nobody knows yet what the log says.

        Raises:
            VerificationError: It is not.
        """
        named = _named(found)
        if bound and self._said is not None and named != self._said:
            what, what_zh, place = _names(found)
            raise VerificationError(
                f"{what} is signed with another SM2 key than the log says"
                if named
                else f"{what} is not signed with SM2, though the log says that it is",
                place,
                zh=f"{what_zh}的 SM2 密钥与日志所述不同"
                if named
                else f"{what_zh}没有 SM2 签名，但日志表明应有",
                finding=Finding.FORGED,
                expected=f"sm2 {self._said or 'none'}",
                found=f"sm2 {named or 'none'}",
                meaning="Somebody who has the Ed25519 key, but not the one of SM2, has made it.",
                meaning_zh="由持有 Ed25519 密钥但没有 SM2 密钥的人制作。",
            )
        self._said = named

    def signature(self, found: Checkpoint | Seal) -> None:
        """Check the SM2 signature of a statement, if it names a key; that it is wrong may be told by :meth:`finish`.

        Raises:
            VerificationError: It is missing, unexpected, or by a key that is not trusted; or an earlier one is wrong.
            AuditError: OpenSSL has failed.
        """
        named = _named(found)
        what, what_zh, place = _names(found)
        if not named and not found.sm2:
            return
        if not found.sm2:
            raise VerificationError(
                f"the SM2 signature of {what} is missing",
                place,
                zh=f"{what_zh}的 SM2 签名缺失",
                finding=Finding.MISSING,
                expected=f"a signature by sm2 {named}",
                meaning="It was removed.",
                meaning_zh="签名被删除。",
            )
        if not named:
            raise VerificationError(
                f"{what} has an SM2 signature, but names no key for it",
                place,
                zh=f"{what_zh}带有 SM2 签名，但未指明密钥",
                finding=Finding.FORGED,
                meaning="It was added.",
                meaning_zh="签名是后来添加的。",
            )
        if self._keys and named not in self._keys:
            raise VerificationError(
                f"{what} is signed by an SM2 key that is not trusted",
                place,
                zh=f"{what_zh}由不受信任的 SM2 密钥签署",
                finding=Finding.FORGED,
                expected=" / ".join(self._keys),
                found=named,
                meaning="Somebody without the key has forged it; or the key file was replaced, and the former public "
                "key is needed, too (--key).",
                meaning_zh="有人在没有密钥的情况下伪造；或更换过密钥文件，还需要用 --key 指定原来的公钥。",
            )
        self._check(found, named)

    def finish(self) -> None:
        """Wait for the signatures that are still being checked.

        Raises:
            VerificationError: One is wrong.
            AuditError: OpenSSL has failed.
        """
        try:
            self._settle(0)
        finally:
            if self._pool is not None:
                self._pool.shutdown(cancel_futures=True)
                self._pool = None
            self._waiting.clear()

    def _check(self, found: Checkpoint | Seal, named: str) -> None:
        digest = sha256(b"%d:" % len(found.data) + found.data + found.sm2).digest()
        if digest in self._right:
            return
        if self._able is None:
            self._able = not sm2.why_not()[0]
        if not self._able:
            self._unchecked.add(digest)
            return
        purpose = CHECKPOINT if isinstance(found, Checkpoint) else SEAL
        if self._pool is None:
            self._pool = ThreadPoolExecutor(os.cpu_count() or 1)
        checked = self._pool.submit(sm2.verify, bytes.fromhex(named), purpose + found.data, found.sm2)
        self._waiting.append((found, digest, checked))
        self._settle(_BACKLOG)

    def _settle(self, most: int) -> None:
        """Wait until at most so many are left."""
        while len(self._waiting) > most:
            found, digest, checked = self._waiting.popleft()
            try:
                checked.result()
            except InvalidSignature:
                what, what_zh, place = _names(found)
                raise VerificationError(
                    f"the SM2 signature of {what} is wrong",
                    place,
                    zh=f"{what_zh}的 SM2 签名不正确",
                    finding=Finding.FORGED,
                    meaning=_MEANING,
                    meaning_zh=_MEANING_ZH,
                ) from None
            self._right.add(digest)


def _named(found: Checkpoint | Seal) -> str:
    """The SM2 key that a statement names, hexadecimal; empty: none."""
    named = json.loads(found.data).get("sm2", "")
    if isinstance(named, str):
        try:
            bytes.fromhex(named)
        except ValueError:
            pass
        else:
            return named
    raise VerificationError("the bytes of a checkpoint or a seal are none", zh="检查点或封印的内容无法解析")


def _names(found: Checkpoint | Seal) -> tuple[str, str, int]:
    if isinstance(found, Checkpoint):
        return f"the checkpoint of {found.size} records", f"{found.size} 条记录处的检查点", found.size
    return f"the seal of {found.name}", f"归档 {found.name} 的封印", found.last
