"""Of several replicas on one PostgreSQL, one acts: the one that holds an advisory lock."""

from __future__ import annotations

from contextlib import ExitStack, suppress

import sqlalchemy as sa

from vlpro.db import Database
from vlpro.errors import DatabaseError

__all__ = ["Lease"]

_LOCK = 0x616C657274  # "alert": the key of the lock, which is a number


class Lease:
    """The right to act, held as long as one connection lives. On SQLite there is one process, which always has it.

    Args:
        database: That all replicas share.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._held = ExitStack()
        self._connection: sa.Connection | None = None

    def take(self) -> bool:
        """Whether this process has it; tries to get it where nobody has.

        Raises:
            DatabaseError: The database does not answer.
        """
        if self._database.sqlite:
            return True
        if self._connection is not None:
            try:
                self._connection.execute(sa.select(1))  # with the connection, the lock would be gone
            except sa.exc.DBAPIError:
                self.give_back()
            else:
                return True
        with ExitStack() as stack:
            connection = stack.enter_context(self._database.read())
            if not connection.execute(sa.select(sa.func.pg_try_advisory_lock(_LOCK))).scalar():
                return False
            self._held, self._connection = stack.pop_all(), connection
        return True

    def give_back(self) -> None:
        """Let another one act."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            connection.execute(sa.select(sa.func.pg_advisory_unlock(_LOCK)))
        except sa.exc.DBAPIError:
            connection.invalidate()
        with suppress(DatabaseError):
            self._held.close()
