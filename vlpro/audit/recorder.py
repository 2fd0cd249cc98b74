"""How the product records: who does it is known from the request, what happened is told by whoever does it."""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, Literal

from vlpro.audit.events import Event, Outcome
from vlpro.audit.log import AuditLog
from vlpro.audit.record import Actor, Entry
from vlpro.crypto import Sealer

__all__ = ["ACTOR", "LogRecorder", "NullRecorder", "Recorder", "Texts"]

log = logging.getLogger(__name__)

ACTOR: ContextVar[Actor] = ContextVar("actor", default=Actor())  # noqa: B039 - it is frozen
"""Who acts in this request or task; set by the gateway, inherited by threads and tasks that the request begins."""

Texts = Literal["hashed", "encrypted"]

_SALT_BYTES = 16


class Recorder(ABC):
    """Records what happens. Whatever it raises, the deed must not be done."""

    @abstractmethod
    def submit(self, entry: Entry) -> Future[int]:
        """Have an entry written; the future has its number once it is durable."""

    @abstractmethod
    async def arecord(self, entry: Entry) -> int:
        """Have an entry written, and wait until it is durable; for the event loop."""

    @abstractmethod
    def commit_to(self, text: str) -> tuple[dict[str, Any], dict[str, bytes]]:
        """What a record says of a text that somebody wrote: a commitment that tells nothing without its salt.

        Returns:
            For the entry's detail, and what is to be stored beside the record, by id: the sealed text with its salt.
        """

    def note(
        self,
        event: Event,
        *,
        object: str = "",  # noqa: A002 - the record's word
        outcome: Outcome = Outcome.OK,
        detail: Mapping[str, Any] | None = None,
        **actor: str,
    ) -> int:
        """Record, and wait until it is durable. Blocks: not for the event loop.

        Args:
            event: What happened.
            object: To what.
            outcome: How it ended.
            detail: What else is known.
            **actor: What is known better than from the request.

        Raises:
            AuditError: It cannot be written.
        """
        return self.submit(_entry(event, object, outcome, detail, actor)).result()

    async def anote(
        self,
        event: Event,
        *,
        object: str = "",  # noqa: A002 - the record's word
        outcome: Outcome = Outcome.OK,
        detail: Mapping[str, Any] | None = None,
        contents: Mapping[str, bytes] | None = None,
        **actor: str,
    ) -> int:
        """As :meth:`note`, for the event loop."""
        entry = _entry(event, object, outcome, detail, actor)
        return await self.arecord(replace(entry, contents=dict(contents or {})))

    def later(
        self,
        event: Event,
        *,
        object: str = "",  # noqa: A002 - the record's word
        outcome: Outcome = Outcome.OK,
        detail: Mapping[str, Any] | None = None,
        contents: Mapping[str, bytes] | None = None,
        **actor: str,
    ) -> None:
        """Record what has happened already, and what nobody can wait for; a failure is logged."""
        entry = _entry(event, object, outcome, detail, actor)
        done = self.submit(replace(entry, contents=dict(contents or {})))
        done.add_done_callback(lambda future: _told(event, future))


class LogRecorder(Recorder):
    """Records into a log.

    Args:
        audit: The log; started by the caller.
        sealer: Seals texts.

    Attributes:
        texts: What is kept of texts, as the policy has it.
        recorded: Is told of each entry that was waited for: what it records, and the seconds until it was durable.
    """

    def __init__(self, audit: AuditLog, sealer: Sealer) -> None:
        self.audit = audit
        self._sealer = sealer
        self.texts: Callable[[], Texts] = lambda: "hashed"
        self.recorded: Callable[[Event, float], None] = lambda _event, _seconds: None

    def submit(self, entry: Entry) -> Future[int]:
        """Have an entry written."""
        return self.audit.submit(entry)

    async def arecord(self, entry: Entry) -> int:
        """Have an entry written, and wait."""
        began = time.perf_counter()
        number = await self.audit.arecord(entry)
        self.recorded(entry.event, time.perf_counter() - began)
        return number

    def commit_to(self, text: str) -> tuple[dict[str, Any], dict[str, bytes]]:
        """A commitment to a text, and the sealed text where texts are kept."""
        salt = secrets.token_bytes(_SALT_BYTES)
        said: dict[str, Any] = {"chars": len(text), "commitment": commitment(salt, text)}
        if self.texts() == "hashed":
            return said, {}
        name = f"cnt_{secrets.token_hex(12)}"
        return said | {"content": name}, {name: self._sealer.seal(salt + text.encode(), content_place(name))}


class NullRecorder(Recorder):
    """Records nothing that lasts; for tests and benchmarks of what does not concern the audit."""

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque(maxlen=10_000)

    def submit(self, entry: Entry) -> Future[int]:
        """Keep the entry in memory."""
        self.entries.append(entry)
        done: Future[int] = Future()
        done.set_result(len(self.entries))
        return done

    async def arecord(self, entry: Entry) -> int:
        """Keep the entry in memory."""
        return self.submit(entry).result()

    def commit_to(self, text: str) -> tuple[dict[str, Any], dict[str, bytes]]:
        """A commitment to a text."""
        return {"chars": len(text), "commitment": commitment(bytes(_SALT_BYTES), text)}, {}


def commitment(salt: bytes, text: str) -> str:
    """SHA-256 over salt and text, hexadecimal: binding, and silent about the text while the salt is not known."""
    return hashlib.sha256(salt + text.encode("utf-8", "surrogatepass")).hexdigest()


def content_place(name: str) -> str:
    """Where a sealed text belongs."""
    return f"audit_contents.data:{name}"


def opened(sealer: Sealer, name: str, data: bytes) -> tuple[bytes, str]:
    """Salt and text of a sealed text. Raises: VlproError where it was altered."""
    plain = sealer.open(data, content_place(name))
    return plain[:_SALT_BYTES], plain[_SALT_BYTES:].decode()


def _entry(
    event: Event,
    object: str,  # noqa: A002 - the record's word
    outcome: Outcome,
    detail: Mapping[str, Any] | None,
    actor: Mapping[str, str],
) -> Entry:
    who = ACTOR.get()
    return Entry(event, replace(who, **actor) if actor else who, outcome, object, dict(detail or {}))


def _told(event: Event, future: Future[int]) -> None:
    if future.exception() is not None:
        log.error("%s was not recorded: %s", event, future.exception())
