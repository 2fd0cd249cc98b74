"""One record: what it says, its bytes, and how it is bound to the one before."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from vlpro.audit.canonical import encode, quoted
from vlpro.audit.events import Event, Outcome
from vlpro.audit.tree import EMPTY, leaf_hash

__all__ = ["FIRST", "Actor", "Entry", "Record", "column", "make"]

FIRST = EMPTY
"""What the first record names as the one before."""

_VERSION = 1
_WIDTHS = {"event": 48, "outcome": 8, "login": 64, "session": 32, "address": 64, "object": 64}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it, and from where; empty where there is none.

    Args:
        account: Id.
        login: Login.
        role: Role.
        session: Id of the session.
        key: Id of the API key.
        request: Id of the request.
        address: Where from.
    """

    account: str = ""
    login: str = ""
    role: str = ""
    session: str = ""
    key: str = ""
    request: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be recorded.

    Args:
        event: What happened.
        actor: Who did it.
        outcome: How it ended.
        object: To what: an id of ours.
        detail: What else is known; JSON values. Never a secret, never a picture, never a text that a person typed.
        contents: Sealed texts to be stored beside the record, by id.
    """

    event: Event
    actor: Actor = field(default_factory=Actor)
    outcome: Outcome = Outcome.OK
    object: str = ""
    detail: dict[str, Any] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it is stored.

    Args:
        seq: From 1, without gaps.
        time: Unix seconds.
        data: Its bytes: canonical JSON (RFC 8785).
        hash: RFC 6962's hash of the bytes as a leaf; the next record holds it as ``prev``.
    """

    seq: int
    time: float
    entry: Entry
    data: bytes
    hash: bytes


def make(entry: Entry, *, seq: int, prev: bytes, now: float) -> Record:
    """Write a record down.

    Raises:
        ValueError: The detail is no JSON.
    """
    actor, q = entry.actor, quoted
    now = round(now, 6)  # so that the column and the text are the same moment, to the bit
    time = datetime.fromtimestamp(now, UTC).isoformat(timespec="microseconds")[:-6] + "Z"
    # Canonical by hand, since thousands are written a second: the keys stand in order.
    data = (
        f'{{"account":{q(actor.account)},"address":{q(actor.address)},"detail":{encode(entry.detail).decode()},'
        f'"event":"{entry.event}","key":{q(actor.key)},"login":{q(actor.login)},"object":{q(entry.object)},'
        f'"outcome":"{entry.outcome}","prev":"{prev.hex()}","request":{q(actor.request)},"role":{q(actor.role)},'
        f'"seq":{seq},"session":{q(actor.session)},"time":"{time}","v":{_VERSION}}}'
    ).encode()
    return Record(seq, now, entry, data, leaf_hash(data))


def column(name: str, text: str) -> str:
    """A text as the column for searching holds it: what does not fit there is in the record's bytes alone."""
    return text[: _WIDTHS[name]].replace("\0", "")
