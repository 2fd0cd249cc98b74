"""What a record and a checkpoint are at the destination: documents in the fields of the Elastic Common Schema."""

from __future__ import annotations

import hashlib
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from vlpro.audit.canonical import encode
from vlpro.audit.ship.fields import kinds
from vlpro.audit.ship.masking import mask
from vlpro.masking import Masking

__all__ = ["Document", "Kind", "of_checkpoint", "of_record"]

_ECS = "8.11.0"
_MOST_REASON = 500  # characters


class Kind(StrEnum):
    """What a document is a copy of."""

    RECORD = "record"
    CHECKPOINT = "checkpoint"

    @property
    def field(self) -> str:
        """The field that numbers documents of this kind."""
        return "event.sequence" if self is Kind.RECORD else "vlpro.checkpoint.size"


@dataclass(frozen=True)
class Document:
    """One document.

    Args:
        kind: What it is a copy of.
        number: A record's sequence number; a checkpoint's size.
        log: Id of the log.
        hash: Of what it is a copy of, in hexadecimal digits.
        content: What is sent.
    """

    kind: Kind
    number: int
    log: str
    hash: str
    content: Mapping[str, Any]

    @property
    def id(self) -> str:
        """The same for the same record, whoever sends it and however often."""
        return f"{self.log}-{'c' if self.kind is Kind.CHECKPOINT else ''}{self.number}"

    @cached_property
    def body(self) -> bytes:
        """As JSON in one line."""
        return json.dumps(self.content, ensure_ascii=False, separators=(",", ":")).encode()

    def set_aside(self, reason: str) -> Document:
        """The same without any field that could be refused: number, hash, the exact text, and why.

        Args:
            reason: What the destination said.
        """
        content = self.content
        bare = {
            "@timestamp": content["@timestamp"],
            "ecs": content["ecs"],
            "event": {
                "kind": "pipeline_error",
                "dataset": content["event"]["dataset"],
                "provider": content["event"]["provider"],
                "original": content["event"].get("original", ""),
            },
            "error": {"message": reason[:_MOST_REASON]},
            "vlpro": {name: content["vlpro"][name] for name in _ALWAYS if name in content["vlpro"]},
        }
        if self.kind is Kind.RECORD:
            bare["event"]["sequence"] = self.number
        return Document(self.kind, self.number, self.log, self.hash, bare)


_ALWAYS = ("log", "hash", "prev", "masked", "problem", "signature", "signature_sm2", "checkpoint")


def of_record(
    seq: int,
    digest: bytes,
    data: bytes,
    *,
    log: str,
    masking: Masking | None,
    labels: Mapping[str, str],
    problem: str = "",
) -> Document:
    """The document of a record.

    Args:
        seq: Its number.
        digest: Its hash as stored.
        data: Its bytes.
        log: Id of the log.
        masking: Which personal data is masked; None: none.
        labels: Put on it.
        problem: Why the record is not what it must be; empty: it is.
    """
    text = data.decode(errors="replace")
    try:
        content = json.loads(text)
    except ValueError:
        content = {}
    if not isinstance(content, dict):
        content = {}
    was_masked = False
    if masking is not None:
        hidden = mask(content, masking)
        if was_masked := hidden != content:
            content, text = hidden, encode(hidden).decode()
    word = {name: str(content.get(name) or "") for name in _WORDS}
    categories, types = kinds(word["event"], word["outcome"])
    own: dict[str, Any] = {
        "log": log,
        "hash": digest.hex(),
        "prev": word["prev"],
        "masked": was_masked,
        "outcome": word["outcome"],
        "session": word["session"],
        "key": word["key"],
        "object": word["object"],
        "detail": content.get("detail") or None,
        "problem": problem,
    }
    document: dict[str, Any] = {
        "@timestamp": word["time"] or "1970-01-01T00:00:00Z",
        "ecs": {"version": _ECS},
        "event": {
            "kind": "alert" if word["event"].startswith("alert:") else "event",
            "action": word["event"],
            "category": categories,
            "type": types,
            "outcome": {"ok": "success", "refused": "failure", "failed": "failure"}.get(
                word["outcome"], "unknown"
            ),
            "sequence": seq,
            "dataset": "vlpro.audit",
            "provider": "vlpro",
            "original": text,
        },
        "user": {
            "name": word["login"],
            "id": word["account"],
            "roles": [word["role"]] if word["role"] else None,
        },
        "source": _source(word["address"]),
        "http": {"request": {"id": word["request"]}},
        "service": {"name": "vlpro"},
        "labels": dict(labels),
        "vlpro": own,
    }
    return Document(Kind.RECORD, seq, log, digest.hex(), _without_empty(document))


_WORDS = (
    "account", "address", "event", "key", "login", "object", "outcome", "prev", "request", "role", "session", "time",
)  # fmt: skip


def of_checkpoint(
    size: int, data: bytes, signature: bytes, sm2: bytes = b"", *, log: str, labels: Mapping[str, str]
) -> Document:
    """The document of a checkpoint: its signed bytes and its signatures.

    Args:
        size: Records that it is about.
        data: Its bytes.
        signature: Its signature.
        sm2: Its signature with SM2; empty: it has none.
        log: Id of the log.
        labels: Put on it.
    """
    digest = hashlib.sha256(
        data + signature + sm2
    ).hexdigest()  # what the next checkpoint names as the one before
    try:
        content = json.loads(data)
        time, root, prev, key = (str(content[name]) for name in ("time", "root", "prev", "key"))
        sm2_key = str(content.get("sm2", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        time, root, prev, key, sm2_key = "1970-01-01T00:00:00Z", "", "", "", ""
    document: dict[str, Any] = {
        "@timestamp": time,
        "ecs": {"version": _ECS},
        "event": {
            "kind": "state",
            "action": "audit:checkpoint:signed",
            "category": ["database"],
            "type": ["info"],
            "outcome": "success",
            "dataset": "vlpro.checkpoint",
            "provider": "vlpro",
            "original": data.decode(errors="replace"),
        },
        "service": {"name": "vlpro"},
        "labels": dict(labels),
        "vlpro": {
            "log": log,
            "hash": digest,
            "prev": prev,
            "signature": signature.hex(),
            "signature_sm2": sm2.hex(),
            "checkpoint": {"size": size, "root": root, "key": key, "sm2": sm2_key},
        },
    }
    return Document(Kind.CHECKPOINT, size, log, digest, _without_empty(document))


def _source(address: str) -> dict[str, str]:
    try:
        return {"ip": str(ipaddress.ip_address(address)), "address": address}
    except ValueError:
        return {"address": address}


def _without_empty(value: Any) -> Any:
    """Without empty texts, objects and None, but with numbers and False."""
    if not isinstance(value, dict):
        return value
    kept = {name: inner if name == "detail" else _without_empty(inner) for name, inner in value.items()}
    return {name: inner for name, inner in kept.items() if inner not in ("", None, {})}
