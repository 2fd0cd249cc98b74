"""Signed checkpoints: what the whole record was at a moment. With a copy elsewhere, a tail cannot be cut unseen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from vlpro.audit.canonical import encode
from vlpro.audit.errors import Finding, VerificationError
from vlpro.audit.events import Event
from vlpro.audit.sm2 import Sm2Key
from vlpro.audit.tables import checkpoints, records
from vlpro.audit.tree import EMPTY, HASH_BYTES, Frontier

__all__ = ["CHECKPOINT", "Checkpoint", "Signer", "opened", "public_key", "sm2_key_said", "statement"]

CHECKPOINT = b"vlpro audit checkpoint 1\0"
"""Stands before the bytes that are signed: keeps these signatures apart from any other use of the keys."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A statement about the first ``size`` records.

    Args:
        size: How many.
        root: Of RFC 6962's tree over them.
        data: The statement's bytes: canonical JSON.
        signature: Ed25519 (RFC 8032).
        roots: Of the complete subtrees, to continue the tree from; 32 bytes each, not signed.
        sm2: A second signature over the same bytes, with SM2; empty where the statement names no key for one.
    """

    size: int
    root: bytes
    data: bytes
    signature: bytes
    roots: bytes = b""
    sm2: bytes = b""

    @property
    def hash(self) -> bytes:
        """What the next checkpoint names as the one before."""
        return hashlib.sha256(self.data + self.signature + self.sm2).digest()

    def follows(self, before: Checkpoint | None) -> bool:
        """Whether it names this one as the one before."""
        return bool(json.loads(self.data)["prev"] == (before.hash if before is not None else EMPTY).hex())

    def frontier(self) -> Frontier:
        """The tree as it was.

        Raises:
            VerificationError: The stored subtrees are not those of the signed root.
        """
        pieces = [self.roots[i : i + HASH_BYTES] for i in range(0, len(self.roots), HASH_BYTES)]
        try:
            frontier = Frontier(self.size, pieces)
        except ValueError:
            frontier = Frontier()
        if frontier.root() != self.root or frontier.size != self.size:
            raise VerificationError(
                "the subtrees beside a checkpoint are not those that it signs",
                self.size,
                zh="检查点旁保存的子树与其签名内容不符",
                finding=Finding.COLUMN,
            )
        return frontier

    @classmethod
    def stored(
        cls, data: bytes, signature: bytes, roots: bytes = b"", sm2: bytes | None = None
    ) -> Checkpoint:
        """As it is stored; nobody has checked its signatures.

        Raises:
            VerificationError: The bytes are none.
        """
        try:
            content = json.loads(data)
            root = bytes.fromhex(content["root"])
            return cls(int(content["size"]), root, data, signature, roots, sm2 or b"")
        except (ValueError, KeyError, TypeError):
            raise _unreadable() from None

    def as_json(self) -> str:
        """As one line, for a copy elsewhere."""
        more = {"sm2": self.sm2.hex()} if self.sm2 else {}
        return json.dumps({"checkpoint": self.data.decode(), "signature": self.signature.hex()} | more)


class Signer:
    """Signs checkpoints of one log.

    Args:
        seed: 32 bytes: the Ed25519 private key.
        log_id: The log's own, so that two logs are not taken for each other.
        sm2: Signs all statements as well.

    Attributes:
        public: Public key of Ed25519, 32 bytes.
        sm2: Public key of SM2, 65 bytes; empty where there is none.
    """

    def __init__(self, seed: bytes, log_id: str, sm2: Sm2Key | None = None) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self._sm2 = sm2
        self.public = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.sm2 = sm2.public if sm2 is not None else b""
        self.log_id = log_id

    def sign(self, frontier: Frontier, before: Checkpoint | None, now: float) -> Checkpoint:
        """Make the checkpoint of a tree; the signature with SM2, which takes longer, is for :meth:`cosigned`.

        Args:
            frontier: The tree.
            before: The checkpoint before.
            now: Unix time.
        """
        root = frontier.root()
        content = {
            "v": 1,
            "log": self.log_id,
            "size": frontier.size,
            "root": root.hex(),
            "prev": (before.hash if before is not None else EMPTY).hex(),
            "time": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        data, signature = self.state(CHECKPOINT, content)
        return Checkpoint(frontier.size, root, data, signature, b"".join(frontier.roots))

    def cosigned(self, checkpoint: Checkpoint) -> Checkpoint:
        """The same with the signature with SM2, if this signer makes any.

        Raises:
            AuditError: OpenSSL has failed.
        """
        return replace(checkpoint, sm2=self.cosign(CHECKPOINT, checkpoint.data))

    def state(self, purpose: bytes, content: dict[str, Any]) -> tuple[bytes, bytes]:
        """Sign a statement, which names the keys that sign it.

        Args:
            purpose: Keeps statements of different kinds apart.
            content: JSON values.

        Returns:
            Its bytes (canonical JSON), and the signature.
        """
        keys = {"key": self.public.hex()} | ({"sm2": self.sm2.hex()} if self.sm2 else {})
        data = encode(content | keys)
        return data, self._key.sign(purpose + data)

    def cosign(self, purpose: bytes, data: bytes) -> bytes:
        """The signature of a statement with SM2; empty if this signer makes none.

        Raises:
            AuditError: OpenSSL has failed.
        """
        return self._sm2.sign(purpose + data) if self._sm2 is not None else b""

    def last(self, connection: sa.Connection) -> Checkpoint | None:
        """The newest that is stored; None where there is none."""
        row = connection.execute(
            sa.select(checkpoints).order_by(checkpoints.c.size.desc()).limit(1)
        ).one_or_none()
        if row is None:
            return None
        return opened(
            bytes(row.data), bytes(row.signature), [self.public], roots=bytes(row.roots), sm2=row.sm2
        )


def sm2_key_said(connection: sa.Connection) -> str:
    """The SM2 key with which the log says that it is signed from now on, hexadecimal; empty: with none."""
    events = (str(Event.LOG_BEGUN), str(Event.SIGNING_CHANGED))
    newest = (
        sa.select(records.c.data).where(records.c.event.in_(events)).order_by(records.c.seq.desc()).limit(1)
    )
    data = connection.execute(newest).scalar()
    if data is not None:
        said = json.loads(data)["detail"]
    else:  # it lies in an archive, and so there is a checkpoint behind it
        newest = sa.select(checkpoints.c.data).order_by(checkpoints.c.size.desc()).limit(1)
        data = connection.execute(newest).scalar()
        said = json.loads(data) if data is not None else {}
    return str(said.get("sm2", ""))


def opened(
    data: bytes,
    signature: bytes,
    keys: Sequence[bytes],
    *,
    log_id: str | None = None,
    roots: bytes = b"",
    sm2: bytes | None = None,
) -> Checkpoint:
    """A checkpoint whose signature with Ed25519 is right; the other one is for :mod:`vlpro.audit.cosigned`.

    Args:
        data: Its bytes.
        signature: Its signature.
        keys: Public keys that are trusted, 32 bytes each.
        log_id: Of the log that it must be of; None: of any.
        roots: Stored beside it.
        sm2: Its signature with SM2, if any.

    Raises:
        VerificationError: It is none, is of another log, or nobody who is trusted signed it.
    """
    statement(CHECKPOINT, data, signature, keys, log_id=log_id)
    return Checkpoint.stored(data, signature, roots, sm2)


def statement(
    purpose: bytes, data: bytes, signature: bytes, keys: Sequence[bytes], *, log_id: str | None = None
) -> dict[str, Any]:
    """What a signed statement says, after its signature was found right.

    Args:
        purpose: As it was signed for.
        data: Its bytes.
        signature: Its signature.
        keys: Public keys that are trusted, 32 bytes each.
        log_id: Of the log that it must be of; None: of any.

    Raises:
        VerificationError: It is none, is of another log, or nobody who is trusted signed it.
    """
    try:
        content: dict[str, Any] = json.loads(data)
        key, of, at = bytes.fromhex(content["key"]), content["log"], content["time"]
        size = content.get("size")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _unreadable() from None
    place = size if isinstance(size, int) else None
    which, which_zh = (
        f"the checkpoint of {size} records" if place else "the seal of an archive",
        (f"{size} 条记录处的检查点" if place else "归档的封印"),
    )
    if key not in keys:
        raise VerificationError(
            f"{which} is signed by a key that is not trusted",
            place,
            zh=f"{which_zh}由不受信任的密钥签署",
            finding=Finding.FORGED,
            expected=" / ".join(trusted.hex() for trusted in keys),
            found=f"{key.hex()}, {at}",
            meaning="Somebody without the key has forged it; or the key file was replaced, and the former public key "
            "is needed, too (--key).",
            meaning_zh="有人在没有密钥的情况下伪造；或更换过密钥文件，还需要用 --key 指定原来的公钥。",
        )
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(bytes(signature), purpose + data)
    except (InvalidSignature, TypeError):
        raise VerificationError(
            f"the signature of {which} is wrong",
            place,
            zh=f"{which_zh}的签名不正确",
            finding=Finding.FORGED,
            meaning="It was altered, or forged by somebody without the key.",
            meaning_zh="内容被改动，或由没有密钥的人伪造。",
        ) from None
    if log_id is not None and of != log_id:
        raise VerificationError(
            f"{which} is of another log",
            place,
            zh=f"{which_zh}属于另一份日志",
            finding=Finding.REPLACED,
            expected=log_id,
            found=str(of),
            meaning="The record was replaced by another one that the same key signs, or the wrong files were put "
            "together.",
            meaning_zh="记录被同一密钥签署的另一份日志替换，或文件配错。",
        )
    return content


def _unreadable() -> VerificationError:
    return VerificationError("the bytes of a checkpoint or a seal are none", zh="检查点或封印的内容无法解析")


def public_key(seed: bytes) -> bytes:
    """The public key of a signer, 32 bytes."""
    return Signer(seed, "").public
