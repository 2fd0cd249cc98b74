"""Brings results to the systems that the settings name: signed, again and again until they are taken.

What is taken is durable before it is promised, and each try names it by the same ``Idempotency-Key``: a receiver that
keeps these keys takes each result once, whatever is lost on the way.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from vlpro.audit.alerts.webhook import Undelivered, post, trusting
from vlpro.audit.events import Event, Outcome
from vlpro.audit.recorder import Recorder
from vlpro.errors import BadRequestError, VlproError
from vlpro.workflows.delivery.options import DeliveryOptions
from vlpro.workflows.delivery.outbox import Delivery, Outbox, Parcel, State

__all__ = ["Deliveries"]

log = logging.getLogger(__name__)

_TIMEOUT_S = 10.0
_LEASE_S = 120.0  # longer than a try can take
_MOST_PAUSE_S = 3_600.0
_LOOK_S = 30.0  # another process may have taken something
_AT_ONCE = 8
_LAST_S = 3.0  # for what is on its way when the service ends
_DAY_S = 24 * 3600.0
_KEPT_S = 90 * _DAY_S  # for which the state of what is done with can be looked at


class Deliveries:
    """Takes results and sends them on.

    Args:
        outbox: Where they wait.
        options: The systems that may be sent to; None: there are none.
        recorder: Of the audit: nothing is taken that is not recorded.
        pause_s: Seconds before the second try; then twice as long each time, an hour at most.
        clock: Unix time.

    Raises:
        ConfigError: A file of certificates cannot be read.
    """

    def __init__(
        self,
        outbox: Outbox,
        options: DeliveryOptions | None,
        recorder: Recorder,
        *,
        pause_s: float = 5.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._outbox = outbox
        self._targets = dict(options.targets) if options is not None else {}
        self._tls = {
            name: trusting(target.ca, f"delivery.targets.{name}") for name, target in self._targets.items()
        }
        self._retry_s = options.retry_hours * 3600 if options is not None else 0.0
        self._recorder = recorder
        self._pause_s = pause_s
        self._clock = clock
        self._new = asyncio.Event()
        self._work: asyncio.Task[None] | None = None
        self.approved = options.approved if options is not None else ""

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the systems that may be sent to."""
        return tuple(sorted(self._targets))

    def check(self, target: str, param: str) -> None:
        """Refuse a target that the settings do not name.

        Args:
            target: As the request has it.
            param: The field that it stands in.

        Raises:
            BadRequestError: They do not.
        """
        if target not in self._targets:
            known = ", ".join(self.targets)
            raise BadRequestError(
                f"Results may not be sent to {target[:64]!r}. "
                + (f"Use one of: {known}." if known else "The setting VLPRO_DELIVERY names no target."),
                zh=f"不允许推送到 {target[:64]!r}。"
                + (f"可用的目标：{known}。" if known else "设置 VLPRO_DELIVERY 没有配置任何目标。"),
                param=param,
                code="unknown_target",
            )

    async def deliver(
        self, kind: str, subject: str, body: Mapping[str, Any], target: str, *, event: str, owner: str = ""
    ) -> Delivery:
        """Take a result to be sent; returns when it is on the record and stored, not when it has arrived.

        The same result for the same target is taken once, however often this is called.

        Args:
            kind: ``extraction``, ``inspection`` or ``alert``.
            subject: Id of the result.
            body: The result as JSON values; it stands under ``data`` in what is sent.
            target: Name of a system in the settings.
            event: What happened, such as ``approved``: with the kind the ``type`` of what is sent.
            owner: Whose it is.

        Raises:
            BadRequestError: The settings name no such target.
            AuditError: It cannot be recorded.
            DatabaseError: It cannot be stored.
        """
        self.check(target, "deliver")
        found = await asyncio.to_thread(self._outbox.find, kind, subject, target, _known(event, body))
        if found is not None:
            return found
        parcel = await self.parcel(kind, subject, body, target, event=event, owner=owner)
        taken = await asyncio.to_thread(self._outbox.add, parcel)
        self.look()
        return taken

    async def parcel(
        self, kind: str, subject: str, body: Mapping[str, Any], target: str, *, event: str, owner: str = ""
    ) -> Parcel:
        """Put on the record what is to be sent together with a change that makes it due (:meth:`put`).

        A target that the settings do not name (any more) is none to refuse that change for: what goes there is given
        up, which its delivery tells.

        Args:
            kind: As :meth:`deliver`, like all others.
            subject: As above.
            body: As above.
            target: As above.
            event: As above.
            owner: As above.

        Raises:
            AuditError: It cannot be recorded.
        """
        name = self._outbox.new_id()
        sent = _json(
            {
                "id": name,
                "object": "event",
                "type": f"{kind}.{event}",
                "created_at": int(self._clock()),
                "data": body,
            }
        )
        detail = {"delivery": name, "target": target, "kind": kind, "state": "waiting"} | _digest(sent)
        await self._recorder.anote(Event.WORKFLOW_DELIVERED, object=subject, detail=detail)
        return Parcel(name, kind, subject, target, owner, _known(event, body), sent)

    def put(self, connection: sa.Connection, parcel: Parcel) -> None:
        """Take a parcel in the transaction that stores why it is due: both are there, or neither is. Blocks."""
        self._outbox.put(connection, parcel)

    def waiting(self) -> int:
        """How many are still to be sent. Asks the database: not for the event loop."""
        return self._outbox.waiting()

    def look(self) -> None:
        """Something was taken: send it now."""
        self._new.set()

    async def of(self, kind: str, subject: str) -> list[Delivery]:
        """All deliveries of a result, the newest first."""
        return await asyncio.to_thread(self._outbox.of, kind, subject)

    async def states(self, kind: str, subjects: Sequence[str]) -> dict[str, State]:
        """The state of each result's newest delivery."""
        return await asyncio.to_thread(self._outbox.states, kind, list(subjects)) if subjects else {}

    async def again(self, name: str) -> Delivery:
        """Try a delivery again that waits or was given up. Raises: NotFoundError."""
        found = await asyncio.to_thread(self._outbox.again, name)
        self.look()
        return found

    def drop(self, connection: sa.Connection, kind: str, subject: str) -> None:
        """Forget what is on its way of a result, in the transaction that deletes it. Blocks."""
        self._outbox.drop(connection, kind, subject)

    async def start(self) -> None:
        """Begin to send, with what a process before this one left."""
        self._work = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End; what is not delivered goes on at the next start."""
        if self._work is not None:
            self._work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._work
            self._work = None

    async def _run(self) -> None:
        sending: set[asyncio.Task[None]] = set()
        tidied = 0.0
        try:
            while True:
                self._new.clear()
                try:
                    while len(sending) < _AT_ONCE:
                        claimed = await asyncio.to_thread(self._outbox.claim, _LEASE_S)
                        if claimed is None:
                            break
                        task = asyncio.create_task(self._send(*claimed))
                        sending.add(task)
                        task.add_done_callback(sending.discard)
                        task.add_done_callback(lambda _: self._new.set())
                    due = await asyncio.to_thread(self._outbox.next_due)
                    if self._clock() - tidied > _DAY_S:
                        tidied = self._clock()
                        await asyncio.to_thread(self._outbox.forget_before, tidied - _KEPT_S)
                except VlproError as error:
                    log.warning("the outbox cannot be read: %s", error.message)
                    due = None
                pause = _LOOK_S if due is None else min(max(due - self._clock(), 0.05), _LOOK_S)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._new.wait()
        finally:
            if sending:  # a try that is cut off is only made again when its lease has run out
                await asyncio.wait(sending, timeout=_LAST_S)
            for task in sending:
                task.cancel()
            await asyncio.gather(*sending, return_exceptions=True)

    async def _send(self, one: Delivery, body: bytes) -> None:
        """One try; its lease runs out where anything here fails, and it is tried again."""
        options = self._targets.get(one.target)
        if options is None:
            await self._give_up(one, body, "the settings no longer name this target")
            return
        headers = {"idempotency-key": one.id}
        try:
            await asyncio.to_thread(
                post,
                options,
                body,
                self._tls[one.target],
                now=self._clock(),
                headers=headers,
                timeout_s=_TIMEOUT_S,
            )
        except Undelivered as error:
            problem = str(error)
            if self._clock() - one.created >= self._retry_s:
                await self._give_up(one, body, problem)
                return
            pause = min(self._pause_s * 2 ** (one.tries - 1), _MOST_PAUSE_S)
            log.warning("%s: %s was not taken (%s); again in %d s", one.target, one.id, problem, pause)
            await asyncio.to_thread(self._outbox.put_off, one.id, problem, pause)
            return
        await self._recorded(one, body, Outcome.OK, state="delivered")
        await asyncio.to_thread(self._outbox.delivered, one.id)

    async def _give_up(self, one: Delivery, body: bytes, problem: str) -> None:
        log.error("%s: %s is given up (%s)", one.target, one.id, problem)
        await self._recorded(one, body, Outcome.FAILED, state="failed", why=problem[:200])
        await asyncio.to_thread(self._outbox.give_up, one.id, problem)

    async def _recorded(self, one: Delivery, body: bytes, outcome: Outcome, **more: str) -> None:
        detail = {"delivery": one.id, "target": one.target, "kind": one.kind, "tries": one.tries, **more}
        await self._recorder.anote(
            Event.WORKFLOW_DELIVERED, object=one.subject, outcome=outcome, detail=detail | _digest(body)
        )


def _known(event: str, body: Mapping[str, Any]) -> bytes:
    return _json([event, body])


def _digest(sent: bytes) -> dict[str, str]:
    return {"sha256": hashlib.sha256(sent).hexdigest()}


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
