"""A signed report of what a model's folder was found to be: to be kept, and checked later by somebody else.

The report is JSON with ``report`` and ``signature``: Ed25519 (RFC 8032) over a purpose and the report's canonical
form (RFC 8785), by the key that signs the audit's checkpoints. Without a key file it has no signature, and says so.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from vlpro import __version__
from vlpro.audit.canonical import encode
from vlpro.audit.checkpoint import Signer
from vlpro.engines.model_files import Manifest, stamps
from vlpro.errors import ConfigError, ModelFilesError

__all__ = ["content", "opened", "written"]

_SIGNED = b"vlpro model report 1\0"  # keeps these signatures apart from any other use of the key
_KIND = "vlpro model verification 1"


def content(
    folder: Path,
    manifest: Manifest,
    now: float,
    *,
    failure: ModelFilesError | None = None,
    sm3: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What a report says.

    Args:
        folder: The model's.
        manifest: What its files must be.
        now: Unix time at which they were found so.
        failure: Why they are not.
        sm3: Their SM3 as well, hexadecimal.
    """
    there = stamps(folder, manifest)
    files = []
    for name, entry in manifest.files.items():
        if failure is None and name in there:
            more = {"sm3": sm3[name]} if sm3 and name in sm3 else {}
            files.append({"name": name, "size": entry.size, "sha256": entry.sha256} | more)
    said: dict[str, Any] = {
        "kind": _KIND,
        "tool": f"vlpro {__version__}",
        "host": platform.node(),
        "time": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "folder": str(folder.resolve()),
        "manifest": {
            "name": manifest.name,
            "revision": manifest.revision,
            "sha256": hashlib.sha256(manifest.to_json().encode()).hexdigest(),
        },
        "result": "verified" if failure is None else "refused",
        "files": files,
    }
    if failure is not None:
        said["refused"] = {"file": failure.param or "", "why": failure.message}
    return said


def written(said: Mapping[str, Any], seed: bytes | None) -> str:
    """A report as it is kept.

    Args:
        said: By :func:`content`.
        seed: Of the signing key, 32 bytes; None: there is none.
    """
    if seed is None:
        return json.dumps({"report": said, "signature": None}, indent=2, ensure_ascii=False) + "\n"
    data, signature = Signer(seed, "").state(_SIGNED, {**said, "key": Signer(seed, "").public.hex()})
    whole = {"report": json.loads(data), "signature": signature.hex()}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def opened(text: str, keys: Sequence[bytes]) -> dict[str, Any]:
    """What a report says, after its signature was found right.

    Args:
        text: As it was kept.
        keys: Public keys that are trusted, 32 bytes each.

    Raises:
        ConfigError: It is no report.
        ModelFilesError: Nobody who is trusted has signed it as it is.
    """
    try:
        whole = json.loads(text, object_pairs_hook=_once)
        said: dict[str, Any] = whole["report"]
        signature = whole["signature"]
        signed = _SIGNED + encode(said)
        right = said["kind"] == _KIND and set(whole) == {"report", "signature"}
        key = bytes.fromhex(said["key"]) if signature is not None else b""
        mark = bytes.fromhex(signature) if signature is not None else b""
    except (ValueError, KeyError, TypeError, RecursionError):
        right = False
    if not right:
        raise ConfigError(
            "This is no report of a verification. Name a file that vlpro model verify --report has written.",
            zh="这不是校验报告。请指定由 vlpro model verify --report 写出的文件。",
            param="report",
        )
    if signature is None:
        raise _refused("is not signed", "没有签名")
    if key not in keys:
        raise _refused(
            f"is signed by a key that is not trusted: {key.hex()}", f"由不受信任的密钥签署：{key.hex()}"
        )
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(mark, signed)
    except InvalidSignature:
        raise _refused("was altered: its signature is wrong", "被改动：签名不正确") from None
    return said


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON that has no name twice: readers would disagree about it."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice")
    return found


def _refused(why: str, why_zh: str) -> ModelFilesError:
    return ModelFilesError(
        f"The report {why}. Verify the model's folder again: vlpro model verify.",
        zh=f"报告{why_zh}。请重新校验模型文件夹：vlpro model verify。",
        param="report",
    )
