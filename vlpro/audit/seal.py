"""What is signed about a part of the record that was moved into an archive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from vlpro.audit.checkpoint import Signer, statement
from vlpro.audit.errors import VerificationError

__all__ = ["SEAL", "Seal", "opened_seal", "seal"]

SEAL = b"vlpro audit archive 1\0"
"""Stands before the bytes that are signed."""


@dataclass(frozen=True, slots=True)
class Seal:
    """That the records from one to another lie in an archive, and which.

    Args:
        first: The first record's number.
        last: The last one's; a checkpoint has this size.
        prev: What the first record names as the one before, 32 bytes.
        end: Hash of the last record, 32 bytes.
        root: Of the tree over all records up to the last, 32 bytes.
        sha256: Of the archive's lines before the seal, 32 bytes.
        data: The statement's bytes: canonical JSON.
        signature: Ed25519.
        sm2: A second signature over the same bytes, with SM2; empty where the statement names no key for one.
    """

    first: int
    last: int
    prev: bytes
    end: bytes
    root: bytes
    sha256: bytes
    data: bytes
    signature: bytes
    sm2: bytes = b""

    @property
    def name(self) -> str:
        """The archive's file."""
        return f"audit-{self.first:012}-{self.last:012}.jsonl.gz"


def seal(
    signer: Signer,
    *,
    first: int,
    last: int,
    prev: bytes,
    end: bytes,
    root: bytes,
    sha256: bytes,
    now: float,
) -> Seal:
    """Sign that a part lies in an archive; arguments as of :class:`Seal`.

    Raises:
        AuditError: The signature with SM2 could not be made.
    """
    content = {
        "v": 1,
        "log": signer.log_id,
        "first": first,
        "last": last,
        "prev": prev.hex(),
        "end": end.hex(),
        "root": root.hex(),
        "sha256": sha256.hex(),
        "time": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }
    data, signature = signer.state(SEAL, content)
    return Seal(first, last, prev, end, root, sha256, data, signature, signer.cosign(SEAL, data))


def opened_seal(
    data: bytes,
    signature: bytes,
    keys: Sequence[bytes],
    *,
    log_id: str | None = None,
    sm2: bytes | None = None,
) -> Seal:
    """A seal whose signature with Ed25519 is right; the other one is for :mod:`vlpro.audit.cosigned`.

    Raises:
        VerificationError: It is none, is of another log, or nobody who is trusted signed it.
    """
    content = statement(SEAL, data, signature, keys, log_id=log_id)
    try:
        prev, end, root, sha256 = (bytes.fromhex(content[name]) for name in ("prev", "end", "root", "sha256"))
        first, last = int(content["first"]), int(content["last"])
        return Seal(first, last, prev, end, root, sha256, data, signature, sm2 or b"")
    except (ValueError, KeyError, TypeError):
        raise VerificationError("a seal's bytes are none", zh="封印的内容无法解析") from None
