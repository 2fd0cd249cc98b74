"""The first start: a one-time secret, told at the machine, makes the first two administrators, and no third."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from vlpro.audit.events import Event
from vlpro.audit.recorder import Recorder
from vlpro.db import Database
from vlpro.errors import ForbiddenError
from vlpro.identity.accounts import grant, insert
from vlpro.identity.passwords import Passwords
from vlpro.identity.permissions import Role
from vlpro.identity.tables import accounts, setups
from vlpro.identity.tokens import digest

__all__ = ["LIFETIME_S", "FirstAdministrator", "Setup"]

LIFETIME_S = 3600
"""For how long the secret is good."""

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True)
class FirstAdministrator:
    """What is asked of one of the two; ``login`` in lower case."""

    login: str
    name: str
    password: str


class Setup:
    """Open while no account exists.

    Args:
        database: Where accounts are.
        passwords: Hashes the passwords.
        clock: Unix time.
        recorder: Of the audit.
    """

    def __init__(
        self, database: Database, passwords: Passwords, clock: Callable[[], float], recorder: Recorder
    ) -> None:
        self._recorder = recorder
        self._database = database
        self._passwords = passwords
        self._clock = clock

    def open(self) -> str | None:
        """Make the secret to be printed, in place of an earlier one; None where accounts exist."""
        groups = ["".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(6)]  # 120 bits
        secret = "-".join(groups)
        with self._database.write(alone=True) as connection:
            if _any_account(connection):
                connection.execute(sa.delete(setups))
                return None
            connection.execute(sa.delete(setups))
            connection.execute(
                sa.insert(setups).values(id=1, secret=_hashed(secret), expires_at=self._clock() + LIFETIME_S)
            )
        return secret

    def is_open(self) -> bool:
        """Whether the first administrators are still to be made."""
        with self._database.read() as connection:
            return not _any_account(connection)

    def check(self, secret: str) -> bool:
        """Whether this is the secret, and it is still good."""
        with self._database.read() as connection:
            return self._valid(connection, secret)

    def complete(self, secret: str, security: FirstAdministrator, system: FirstAdministrator) -> None:
        """Make both administrators; the secret is void with this. Each must change the password at first sign-in.

        Raises:
            ForbiddenError: The secret is wrong, has expired or was used.
        """
        hashes = [self._passwords.hash(person.password) for person in (security, system)]
        with self._database.write(alone=True) as connection:
            # All of it in one transaction that runs alone: of two who have the secret one wins.
            if _any_account(connection) or not self._valid(connection, secret):
                raise ForbiddenError(
                    "The secret is wrong, has expired or was used. A new one: vlpro user setup, at the machine.",
                    zh="一次性密钥不正确、已过期或已使用。请在服务器上运行 vlpro user setup 获取新的密钥。",
                    code="setup_refused",
                )
            connection.execute(sa.delete(setups))
            now = self._clock()
            for person, role, hashed in zip(
                (security, system), (Role.SECURITY, Role.SYSTEM), hashes, strict=True
            ):
                account = insert(
                    connection,
                    login=person.login,
                    name=person.name,
                    department="",
                    now=now,
                    by=None,
                    password=hashed,
                )
                grant(connection, account, role, by=None, now=now)
                self._recorder.note(
                    Event.SETUP_COMPLETED, object=account, detail={"login": person.login, "role": str(role)}
                )

    def _valid(self, connection: sa.Connection, secret: str) -> bool:
        row = connection.execute(sa.select(setups)).one_or_none()
        stored = row.secret if row is not None else bytes(32)
        right = hmac.compare_digest(stored, _hashed(secret))
        return right and row is not None and row.expires_at > self._clock()


def _any_account(connection: sa.Connection) -> bool:
    return connection.execute(sa.select(accounts.c.id).limit(1)).one_or_none() is not None


def _hashed(secret: str) -> bytes:
    return digest("".join(c for c in secret.lower()[:64] if c in _ALPHABET))
