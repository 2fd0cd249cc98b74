"""The signature of a compliance report: by the key that signs the audit's checkpoints, over the report's hash.

A statement names the report, the SHA-256 of its ``report.json``, and the keys that sign; a purpose of its own stands
before the bytes that are signed, so that no checkpoint is taken for a report, nor a report for a checkpoint.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from vlpro.audit import sm2
from vlpro.audit.checkpoint import Signer
from vlpro.audit.sm2 import Sm2Key
from vlpro.compliance.report_errors import ReportVerificationError
from vlpro.crypto import Sealer

__all__ = ["SIGNATURE", "Keys", "Signed", "checked", "signature_of", "signer_of"]

SIGNATURE = "report.sig"
_PURPOSE = b"vlpro compliance report 1\0"
_MEANING = "It was altered, or forged by somebody without the key."
_MEANING_ZH = "内容被改动，或由没有密钥的人伪造。"


@dataclass(frozen=True, slots=True)
class Keys:
    """Public keys that are trusted.

    Args:
        ed25519: 32 bytes each.
        sm2: 65 bytes each; empty: the one that the statement names, which Ed25519 signs.
    """

    ed25519: Sequence[bytes]
    sm2: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class Signed:
    """A statement whose signature is right.

    Args:
        report: Id of the report.
        sha256: Of its ``report.json``, hexadecimal.
        key: Public key of Ed25519, hexadecimal.
        sm2: What came of the signature with SM2: "right"; "none": there is none; or "unchecked": this machine has no
            SM2.
    """

    report: str
    sha256: str
    key: str
    sm2: str


def signer_of(sealer: Sealer, *, gm: bool) -> Signer:
    """What signs reports.

    Args:
        sealer: Has the seed of the audit's key.
        gm: Whether SM2 signs as well.
    """
    seed = sealer.signing_seed
    return Signer(seed, "compliance", Sm2Key.derived(seed) if gm else None)


def signature_of(signer: Signer, report: str, data: bytes, now: float) -> bytes:
    """The file ``report.sig``.

    Args:
        signer: As of :func:`signer_of`.
        report: Id of the report.
        data: Of ``report.json``.
        now: Unix time.

    Raises:
        AuditError: OpenSSL has failed at the signature with SM2.
    """
    content = {
        "v": 1,
        "report": report,
        "sha256": hashlib.sha256(data).hexdigest(),
        "time": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    statement, signature = signer.state(_PURPOSE, content)
    file = {"statement": statement.decode(), "signature": signature.hex()}
    if signer.sm2:
        file["sm2"] = signer.cosign(_PURPOSE, statement).hex()
    return json.dumps(file, indent=1).encode() + b"\n"


def checked(data: bytes, keys: Keys) -> Signed:
    """What a file ``report.sig`` says, after its signatures were found right.

    Args:
        data: Of the file.
        keys: That are trusted.

    Raises:
        ReportVerificationError: It is none, or nobody who is trusted signed it.
    """
    try:
        file = json.loads(data)
        statement, signature = file["statement"].encode(), bytes.fromhex(file["signature"])
        said: dict[str, Any] = json.loads(statement)
        key, named = bytes.fromhex(said["key"]), bytes.fromhex(said.get("sm2", ""))
        of_sm2 = bytes.fromhex(file.get("sm2", ""))
        report, digest = str(said["report"]), str(said["sha256"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ReportVerificationError(
            SIGNATURE, "is no signature of a report", zh="不是报告的签名文件"
        ) from None
    if key not in keys.ed25519:
        raise ReportVerificationError(
            SIGNATURE,
            "is made with a key that is not trusted",
            zh="由不受信任的密钥签署",
            expected=" / ".join(each.hex() for each in keys.ed25519),
            found=key.hex(),
            meaning="Somebody else has made this report; or the key file was replaced, and the former public key is "
            "needed (--key).",
            meaning_zh="报告由他人制作；或更换过密钥文件，需要用 --key 指定原来的公钥。",
        )
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, _PURPOSE + statement)
    except (InvalidSignature, ValueError):
        raise _wrong("Ed25519") from None
    return Signed(report, digest, key.hex(), _cosigned(named, of_sm2, statement, keys.sm2))


def _cosigned(named: bytes, signature: bytes, statement: bytes, trusted: Sequence[bytes]) -> str:
    if not named:
        return "none"
    if trusted and named not in trusted:
        raise ReportVerificationError(
            SIGNATURE,
            "is made with an SM2 key that is not trusted",
            zh="由不受信任的 SM2 密钥签署",
            expected=" / ".join(each.hex() for each in trusted),
            found=named.hex(),
        )
    if not signature:
        raise _wrong("SM2")
    if sm2.why_not()[0]:
        return "unchecked"
    try:
        sm2.verify(named, _PURPOSE + statement, signature)
    except InvalidSignature:
        raise _wrong("SM2") from None
    return "right"


def _wrong(kind: str) -> ReportVerificationError:
    return ReportVerificationError(
        SIGNATURE,
        f"holds a wrong signature ({kind})",
        zh=f"签名不正确（{kind}）",
        meaning=_MEANING,
        meaning_zh=_MEANING_ZH,
    )
