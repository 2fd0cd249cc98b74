"""What is signed about a part of the record that was moved into an archive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from vlpro.audit.checkpoint import Signer, statement
from vlpro.audit.errors import VerificationError

__all__ = ["Seal", "opened_seal", "seal"]

_SIGNED = b"vlpro audit archive 1\0"


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
    """

    first: int
    last: int
    prev: bytes
    end: bytes
    root: bytes
    sha256: bytes
    data: bytes
    signature: bytes

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
    """Sign that a part lies in an archive; arguments as of :class:`Seal`."""
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
        "key": signer.public.hex(),
    }
    data, signature = signer.state(_SIGNED, content)
    return Seal(first, last, prev, end, root, sha256, data, signature)


def opened_seal(data: bytes, signature: bytes, keys: Sequence[bytes], *, log_id: str | None = None) -> Seal:
    """A seal whose signature is right.

    Raises:
        VerificationError: It is none, is of another log, or nobody who is trusted signed it.
    """
    content = statement(_SIGNED, data, signature, keys, log_id=log_id)
    try:
        prev, end, root, sha256 = (bytes.fromhex(content[name]) for name in ("prev", "end", "root", "sha256"))
        return Seal(int(content["first"]), int(content["last"]), prev, end, root, sha256, data, signature)
    except (ValueError, KeyError, TypeError):
        raise VerificationError("a seal's bytes are none", zh="封印的内容无法解析") from None
