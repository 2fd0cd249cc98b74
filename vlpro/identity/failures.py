"""Failed sign-ins, by login and by address, and the locks that follow (8.1.4.1 b)."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection

import sqlalchemy as sa

from vlpro.db import Database
from vlpro.identity.policy import Policy
from vlpro.identity.tables import failures
from vlpro.identity.tokens import digest

__all__ = ["Failures"]


class Failures:
    """Counts failures. A login that nobody has is counted like any other: its lock tells nothing.

    Args:
        database: Where they are.
        clock: Unix time.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def locked_minutes(self, login: str, address: str) -> int:
        """Minutes, rounded up, for which no sign-in is tried; 0: none is locked."""
        now = self._clock()
        with self._database.read() as connection:
            until = connection.execute(
                sa.select(sa.func.max(failures.c.locked_until)).where(
                    failures.c.subject.in_(_subjects(login, address)), failures.c.locked_until > now
                )
            ).scalar()
        return math.ceil((until - now) / 60) if until else 0

    def count(self, login: str, address: str, policy: Policy) -> int:
        """Count one more failure.

        Returns:
            How many tries are left before a lock; 0: it is locked now.
        """
        now = self._clock()
        window = policy.lock_minutes * 60
        left = []
        with self._database.write(alone=True) as connection:
            most = (policy.lock_after_failures, policy.address_failures)
            for subject, limit in sorted(zip(_subjects(login, address), most, strict=True)):
                row = connection.execute(
                    sa.select(failures).where(failures.c.subject == subject)
                ).one_or_none()
                if row is not None and row.locked_until is not None and row.locked_until > now:
                    left.append(0)  # the check had begun before the lock
                    continue
                fresh = row is not None and row.last_at > now - window and row.locked_until is None
                count = row.tries + 1 if row is not None and fresh else 1
                values = {
                    "tries": count,
                    "last_at": now,
                    "locked_until": now + window if count >= limit else None,
                }
                if row is None:
                    connection.execute(sa.insert(failures).values(subject=subject, **values))
                else:
                    connection.execute(
                        sa.update(failures).where(failures.c.subject == subject).values(**values)
                    )
                left.append(limit - count)
            # What is long past would otherwise stay for every login that somebody tried.
            connection.execute(
                sa.delete(failures).where(
                    failures.c.last_at < now - window,
                    sa.or_(failures.c.locked_until.is_(None), failures.c.locked_until < now),
                )
            )
        return max(0, min(left))

    def forget(self, login: str) -> None:
        """After a sign-in that succeeded, or when an administrator unlocks: the login starts afresh.

        The address does not: who tries many logins from one address owns perhaps one of them.
        """
        with self._database.write() as connection:
            connection.execute(sa.delete(failures).where(failures.c.subject == _subjects(login, "")[0]))

    def locked(self, login: str) -> bool:
        """Whether a login is locked now."""
        return login in self.locked_among([login])

    def locked_among(self, logins: Collection[str]) -> frozenset[str]:
        """Those of some logins that are locked now."""
        subjects = {_subjects(login, "")[0]: login for login in logins}
        query = sa.select(failures.c.subject).where(
            failures.c.subject.in_(subjects), failures.c.locked_until > self._clock()
        )
        with self._database.read() as connection:
            return frozenset(subjects[bytes(subject)] for subject in connection.execute(query).scalars())


def _subjects(login: str, address: str) -> tuple[bytes, bytes]:
    return digest(f"login:{login.lower()}"), digest(f"address:{address}")
