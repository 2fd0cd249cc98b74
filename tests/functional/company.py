"""A company on profile mlps3: the real service with accounts of every role."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import sqlalchemy as sa

from tests.functional.server import Server, run
from tests.people import Clock, Person, World
from vlpro.config import Settings
from vlpro.crypto import make_key_file, read_key_file
from vlpro.gateway import cookies, profile
from vlpro.identity.permissions import Role
from vlpro.identity.tables import keys
from vlpro.identity.tokens import digest

__all__ = ["Company", "company", "settings_of"]

HTTPS = "https://localhost"


@dataclass
class Company:
    """A running service and its people.

    Args:
        server: Where it runs.
        world: Its accounts, from inside.
        people: One of each role; None: one without a role.
        other: A second user.
    """

    server: Server
    world: World
    people: dict[Role | None, Person]
    other: Person

    def client(self, who: Role | Person | None = None, **headers: str) -> httpx.Client:
        """A browser of somebody, on our own pages; None: of nobody."""
        person = self.people[who] if isinstance(who, Role) else who
        named = {"origin": self.server.url} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        if person is not None:
            named["cookie"] = f"{cookies.SESSION}={self.world.session(person)}"
        return self.server.http(headers={k: v for k, v in named.items() if v}, follow_redirects=False)

    def key(self, who: Role | Person = Role.USER, **fields: Any) -> str:
        """An API key."""
        person = self.people[who] if isinstance(who, Role) else who
        role = self.world.account(person).role
        assert role is not None
        made: dict[str, Any] = {"name": "tests", "scopes": ["chat:answer:create"], "days": 1} | fields
        return self.world.identity.keys.create(person.id, role, **made)[1]

    def key_id(self, secret: str) -> str:
        """The id of a key."""
        with self.world.identity.database.read() as connection:
            found = connection.execute(sa.select(keys.c.id).where(keys.c.token == digest(secret)))
            return str(found.scalar_one())

    def policy(self, **content: Any) -> None:
        """Decide a version of the policy, in force at once."""
        for identity in (self.world.identity, self.server.services.identity):
            assert identity is not None
            policies = identity.policies
            if identity is self.world.identity:
                author = self.people[Role.SECURITY].id
                policies.decide(content, base=policies.versions()[0].version, note="", author=author)
            policies._current = None


def settings_of(folder: Path, **more: Any) -> Settings:
    """Settings with which profile mlps3 starts."""
    key = folder / "key"
    if not key.exists():
        make_key_file(key)
    fields: dict[str, Any] = {
        "profile": "mlps3",
        "engine": "fake",
        "data_dir": folder / "data",
        "key_file": key,
        "public_url": HTTPS,
        "trusted_proxies": ("127.0.0.9/32",),
    }
    return Settings(**fields | more)


@contextmanager
def company(folder: Path, database_url: str, *, reports: bool = False, **more: Any) -> Iterator[Company]:
    """Serve a company until the end of the block.

    Args:
        folder: For its key and its data.
        database_url: Of its database.
        reports: Whether it makes compliance reports, in processes that keep a core busy.
        **more: Settings.
    """
    settings = settings_of(folder, database_url=database_url, **more)
    # The self-test takes a second each time; it is tested in processes of its own.
    with mock.patch.object(profile, "run", return_value=()), run(settings) as server:
        if not reports and server.services.compliance is not None:
            server.services.compliance.close()
        world = World(
            database_url,
            clock=Clock(time.time()),
            public_url=HTTPS,
            key=read_key_file(folder / "key", folder / "data"),
        )
        security, system = world.found()
        both = (security, system)
        people: dict[Role | None, Person] = {Role.SECURITY: security, Role.SYSTEM: system}
        people[Role.USER] = world.person("liwei", Role.USER, by=both)
        people[Role.AUDIT] = world.person("auditor", Role.AUDIT, by=both)
        people[None] = world.person("nobody", None, by=both)
        try:
            yield Company(server, world, people, world.person("wanglei", Role.USER, by=both))
        finally:
            world.close()
