"""Accounts for tests: people who have signed in, without waiting for it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import pyotp

from vlpro.crypto import Keys, Sealer
from vlpro.db import Database
from vlpro.identity.accounts import Account
from vlpro.identity.directories.interface import PasswordDirectory
from vlpro.identity.passwords import Passwords
from vlpro.identity.permissions import Role
from vlpro.identity.service import Identity
from vlpro.identity.sessions import open_session
from vlpro.identity.setup import FirstAdministrator
from vlpro.identity.sign_in import Step

__all__ = ["HERE", "PASSWORD", "Clock", "Person", "World", "cheap"]

HERE = "127.0.0.1"
PASSWORD = "Kupfer-47-Wolke-fern"  # noqa: S105 - of people who do not exist
_AGENT = "tests"


@dataclass
class Clock:
    """A clock that tests move on."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def pass_(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Let time pass."""
        self.now += days * 86_400 + hours * 3600 + minutes * 60 + seconds


def cheap() -> Passwords:
    """Hashes that take next to no time."""
    return Passwords(memory_kib=64)


@dataclass
class Person:
    """Somebody with an account, a password and an authenticator app."""

    id: str
    login: str
    password: str = PASSWORD
    secret: str = ""


@dataclass
class World:
    """An identity service with a clock and people."""

    url: str
    clock: Any = field(default_factory=Clock)  # a Clock where a test moves it on
    directory: PasswordDirectory | None = None
    public_url: str = "https://vl.example"
    key: bytes | Keys = field(default_factory=lambda: os.urandom(32))

    def __post_init__(self) -> None:
        database = Database(self.url)
        database.migrate()
        self.identity = self.another(database)

    def another(self, database: Database | None = None) -> Identity:
        """A second replica on the same database."""
        return Identity(
            database or Database(self.url),
            Sealer(self.key),
            self.public_url,
            directory=self.directory,
            passwords=cheap(),
            clock=self.clock,
        )

    def close(self) -> None:
        """Give the connections back."""
        self.identity.database.close()

    def found(self) -> tuple[Person, Person]:
        """The first start: the security administrator "sec" and the system administrator "sys"."""
        secret = self.identity.setup.open()
        assert secret is not None
        self.identity.setup.complete(
            secret,
            FirstAdministrator("sec", "张安全", "First-41-Password-x"),
            FirstAdministrator("sysadmin", "李系统", "First-42-Password-y"),
        )
        made = {account.login: account for account in self.identity.accounts.find()}
        return (
            Person(made["sec"].id, "sec", "First-41-Password-x"),
            Person(made["sysadmin"].id, "sysadmin", "First-42-Password-y"),
        )

    def person(self, login: str, role: Role | None, *, by: tuple[Person, Person]) -> Person:
        """A new account with a role, and a one-time password that is not yet changed."""
        security, system = by
        account, password = self.identity.accounts.create(login, login.title(), "测试部", by=system.id)
        if role is not None:
            self.identity.accounts.grant(account.id, role, by=security.id)
        return Person(account.id, login, password)

    def sign_in(self, person: Person, *, address: str = HERE) -> str:
        """Go through all steps; returns the session's token."""
        flow = self.identity.sign_in
        token = flow.begin(person.login, person.password, address)
        for _ in range(6):
            begun = flow.state(token, address)
            match begun.step:
                case Step.PASSWORD:
                    person.password = PASSWORD if person.password != PASSWORD else PASSWORD + "-2"
                    assert flow.new_password(begun, person.password) == []
                case Step.ENROL:
                    offer = self.identity.factors.offer_totp(begun.place, person.id, person.login)
                    person.secret = offer.secret.replace(" ", "")
                    flow.enrol_code(begun, self.code(person))
                case Step.SECOND_FACTOR:
                    flow.code(begun, self.next_code(person))
                case Step.RECOVERY_CODES:
                    flow.recovery_codes(begun)
                    flow.codes_kept(begun)
                case Step.DONE:
                    return flow.finish(token, address, _AGENT)
        raise AssertionError("the sign-in does not end")

    def session(self, person: Person, *, address: str = HERE) -> str:
        """A session without the way to it; as long as the test's clock says."""
        policy = self.identity.policies.current().policy
        with self.identity.database.write() as connection:
            return open_session(
                connection,
                person.id,
                policy,
                sealer=self.identity.sealer,
                now=self.clock(),
                address=address,
                agent=_AGENT,
                factor="totp",
            )

    def code(self, person: Person, *, seconds: float = 0) -> str:
        """What the person's app shows."""
        return pyotp.TOTP(person.secret).at(int(self.clock.now + seconds))

    def next_code(self, person: Person) -> str:
        """The code after the one that may have been used; the clock moves on to it."""
        self.clock.pass_(seconds=31)
        return self.code(person)

    def account(self, person: Person) -> Account:
        """The account as it is now."""
        return self.identity.accounts.get(person.id)
