"""What is on its way, in the database: it outlives the process that took it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from vlpro.crypto import Sealer
from vlpro.db import Database
from vlpro.errors import NotFoundError
from vlpro.workflows.delivery.tables import deliveries

__all__ = ["Delivery", "Outbox", "Parcel", "State", "body_place", "no_such_delivery"]

State = Literal["waiting", "delivered", "failed"]

_MOST_TOLD = 200  # characters of a problem


@dataclass(frozen=True, slots=True)
class Delivery:
    """One result on its way to one system.

    Args:
        id: Its name; the receiver gets it as ``Idempotency-Key``.
        kind: Of the result: ``extraction``, ``inspection``, ``alert``.
        subject: Id of the result.
        target: Name of the system.
        owner: Whose it is.
        state: Whether it waits for a (further) try, has arrived, or is given up.
        tries: How often it was sent.
        problem: Why the last try failed; empty where it did not.
        created: Unix time.
        updated: Unix time of the last try.
        next: Unix time of the next try.
    """

    id: str
    kind: str
    subject: str
    target: str
    owner: str
    state: State
    tries: int
    problem: str
    created: float
    updated: float
    next: float


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is to be sent, before it is taken.

    Args:
        id: As :class:`Delivery`, like kind, subject, target and owner (:meth:`Outbox.new_id`).
        kind: As above.
        subject: As above.
        target: As above.
        owner: As above.
        body: By which it is known again.
        sent: What goes out.
    """

    id: str
    kind: str
    subject: str
    target: str
    owner: str
    body: bytes
    sent: bytes


def body_place(delivery_id: str) -> str:
    """Where a sealed body belongs."""
    return f"deliveries.body:{delivery_id}"


def no_such_delivery(*, foreign: bool = False) -> NotFoundError:
    """There is none of this id."""
    return NotFoundError("There is no such delivery.", zh="没有这条推送。", foreign=foreign)


class Outbox:
    """Deliveries by id. Blocks: not for the event loop.

    Args:
        database: Migrated.
        sealer: Seals bodies.
        clock: Unix time.
    """

    def __init__(self, database: Database, sealer: Sealer, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock

    def find(self, kind: str, subject: str, target: str, body: bytes) -> Delivery | None:
        """The delivery that the same was already taken as."""
        with self._database.read() as connection:
            row = connection.execute(
                sa.select(deliveries).where(deliveries.c.once == self._once(kind, subject, target, body))
            ).one_or_none()
        return _delivery(row) if row is not None else None

    def add(self, parcel: Parcel) -> Delivery:
        """Take something to be sent; returns it, or what the same was taken as before."""
        try:
            with self._database.write() as connection:
                self.put(connection, parcel)
        except IntegrityError:  # another took the same at the same time
            found = self.find(parcel.kind, parcel.subject, parcel.target, parcel.body)
            if found is None:
                raise
            return found
        return self.get(parcel.id)

    def put(self, connection: sa.Connection, parcel: Parcel) -> None:
        """Take something to be sent in a transaction of the caller's: it is taken if that is committed.

        Raises:
            IntegrityError: The same was taken before.
        """
        now = self._clock()
        connection.execute(
            sa.insert(deliveries).values(
                id=parcel.id,
                once=self._once(parcel.kind, parcel.subject, parcel.target, parcel.body),
                kind=parcel.kind,
                subject=parcel.subject,
                target=parcel.target,
                owner=parcel.owner,
                state="waiting",
                tries=0,
                problem="",
                created_at=now,
                updated_at=now,
                next_at=now,
                body=self._sealer.seal(parcel.sent, body_place(parcel.id)),
            )
        )

    @staticmethod
    def new_id() -> str:
        """For a new delivery."""
        return f"dlv_{secrets.token_hex(12)}"

    def get(self, name: str) -> Delivery:
        """One delivery. Raises: NotFoundError."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(deliveries).where(deliveries.c.id == name)).one_or_none()
        if row is None:
            raise no_such_delivery()
        return _delivery(row)

    def of(self, kind: str, subject: str) -> list[Delivery]:
        """All deliveries of a result, the newest first."""
        query = (
            sa.select(deliveries)
            .where(deliveries.c.kind == kind, deliveries.c.subject == subject)
            .order_by(deliveries.c.created_at.desc(), deliveries.c.id)
        )
        with self._database.read() as connection:
            return [_delivery(row) for row in connection.execute(query)]

    def states(self, kind: str, subjects: list[str]) -> dict[str, State]:
        """The state of each result's newest delivery."""
        query = (
            sa.select(deliveries.c.subject, deliveries.c.state)
            .where(deliveries.c.kind == kind, deliveries.c.subject.in_(subjects))
            .order_by(deliveries.c.created_at)
        )
        with self._database.read() as connection:
            return {row.subject: row.state for row in connection.execute(query)}

    def claim(self, lease_s: float) -> tuple[Delivery, bytes] | None:
        """Take one that is due, for this process alone: others see it again after so many seconds.

        Returns:
            It, with its tries counted already, and what to send; None: nothing is due.
        """
        now = self._clock()
        due = (deliveries.c.state == "waiting") & (deliveries.c.next_at <= now)
        first = sa.select(deliveries.c.id).where(due).order_by(deliveries.c.next_at).limit(1)
        claimed = (
            sa.update(deliveries)
            .where(deliveries.c.id == first.scalar_subquery(), due)
            .values(next_at=now + lease_s, tries=deliveries.c.tries + 1, updated_at=now)
            .returning(deliveries)
        )
        with self._database.read() as connection:
            if connection.execute(first).scalar() is None:
                return None
        with self._database.write() as connection:
            row = connection.execute(claimed).one_or_none()
        if row is None:
            return None
        return _delivery(row), self._sealer.open(row.body, body_place(row.id))

    def delivered(self, name: str) -> None:
        """It has arrived: what was sent is not kept."""
        self._set(name, state="delivered", problem="", body=None, updated_at=self._clock())
        self._database.overwrite()

    def put_off(self, name: str, problem: str, pause_s: float) -> None:
        """It was not taken; it is tried again after so many seconds."""
        now = self._clock()
        self._set(name, problem=problem[:_MOST_TOLD], updated_at=now, next_at=now + pause_s)

    def give_up(self, name: str, problem: str) -> None:
        """It is not tried any more; what was to be sent stays, for somebody to try again."""
        self._set(name, state="failed", problem=problem[:_MOST_TOLD], updated_at=self._clock())

    def again(self, name: str) -> Delivery:
        """Try one again that waits or was given up, at once and for as long as a new one. Raises: NotFoundError."""
        now = self._clock()
        query = (
            sa.update(deliveries)
            .where(deliveries.c.id == name, deliveries.c.state != "delivered")
            .values(state="waiting", next_at=now, created_at=now)
        )
        with self._database.write() as connection:
            connection.execute(query)
        return self.get(name)

    def drop(self, connection: sa.Connection, kind: str, subject: str) -> None:
        """Forget what is on its way of a result, in the transaction that deletes it."""
        connection.execute(
            sa.delete(deliveries).where(deliveries.c.kind == kind, deliveries.c.subject == subject)
        )

    def forget_before(self, moment: float) -> int:
        """Drop all that was last tried before a time; returns how many."""
        with self._database.write() as connection:
            return connection.execute(
                sa.delete(deliveries).where(deliveries.c.updated_at < moment, deliveries.c.state != "waiting")
            ).rowcount

    def waiting(self) -> int:
        """How many are still to be sent."""
        query = sa.select(sa.func.count()).select_from(deliveries).where(deliveries.c.state == "waiting")
        with self._database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def next_due(self) -> float | None:
        """Unix time of the next try; None: nothing waits."""
        with self._database.read() as connection:
            found: float | None = connection.execute(
                sa.select(sa.func.min(deliveries.c.next_at)).where(deliveries.c.state == "waiting")
            ).scalar()
        return found

    def _set(self, name: str, **values: Any) -> None:
        with self._database.write() as connection:
            connection.execute(sa.update(deliveries).where(deliveries.c.id == name).values(**values))

    def _once(self, kind: str, subject: str, target: str, body: bytes) -> bytes:
        return self._sealer.mac(f"{kind}\0{subject}\0{target}\0".encode() + body, "deliveries.once")


def _delivery(row: sa.Row[Any]) -> Delivery:
    return Delivery(
        id=row.id,
        kind=row.kind,
        subject=row.subject,
        target=row.target,
        owner=row.owner,
        state=row.state,
        tries=row.tries,
        problem=row.problem,
        created=row.created_at,
        updated=row.updated_at,
        next=row.next_at,
    )
