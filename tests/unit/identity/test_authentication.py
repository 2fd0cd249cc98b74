from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from tests.people import HERE, Person, World
from vlpro.errors import BusyError, UnauthenticatedError
from vlpro.identity import authentication
from vlpro.identity.addresses import allowed
from vlpro.identity.labels import Level
from vlpro.identity.permissions import PERMISSIONS, Permission, Role
from vlpro.identity.service import Identity
from vlpro.identity.tables import keys, sessions

ASK = Permission.ANSWER_CREATE


@pytest.fixture
def li(world: World, admins: tuple[Person, Person]) -> Person:
    return world.person("liwei", Role.USER, by=admins)


def who(world: World, token: str, address: str = HERE, **more: bool) -> str | None:
    """The login, asked of the database and not of memory; None where it is refused."""
    world.identity.authentication.forget(token)
    return remembered(world.identity, token, address, **more)


def remembered(identity: Identity, token: str, address: str = HERE, **more: bool) -> str | None:
    try:
        return identity.authentication.who(token, address, **more).login
    except UnauthenticatedError:
        return None


def key(world: World, person: Person, **more: object) -> str:
    fields = {"name": "k", "scopes": [ASK], "days": 30} | more
    return world.identity.keys.create(person.id, Role.USER, **fields)[1]  # type: ignore[arg-type]


def test_a_session_is_its_accounts(world: World, li: Person) -> None:
    principal = world.identity.authentication.who(world.sign_in(li), HERE)
    assert (principal.account, principal.login, principal.name) == (li.id, "liwei", "Liwei")
    assert (principal.role, principal.permissions) == (Role.USER, PERMISSIONS[Role.USER])
    assert principal.person.level is Level.INTERNAL
    assert principal.session is not None
    assert principal.key is None


@pytest.mark.parametrize(
    "token", ["", "x", "vlp_", "vlp_" + "A" * 43, "A" * 43, "é", "\ud800", "a" * 100_000]
)
def test_nobody_has_an_unknown_token(world: World, token: str) -> None:
    assert who(world, token) is None


def test_tokens_are_stored_hashed(world: World, li: Person) -> None:
    session, secret = world.sign_in(li), key(world, li)
    with world.identity.database.read() as connection:
        rows = repr([connection.execute(sa.select(table)).all() for table in (sessions, keys)])
    assert session not in rows
    assert secret not in rows
    assert secret[12:] not in rows


def test_a_session_ends_by_idleness(world: World, li: Person) -> None:
    """8.1.4.1 b."""
    token = world.sign_in(li)
    for _ in range(4):
        world.clock.pass_(minutes=14)
        assert who(world, token) == "liwei"
    world.clock.pass_(minutes=15)
    assert who(world, token) is None


def test_a_page_that_asks_by_itself_keeps_no_session_alive(world: World, li: Person) -> None:
    token = world.sign_in(li)
    for _ in range(14):
        world.clock.pass_(minutes=1)
        assert who(world, token, background=True) == "liwei"
    world.clock.pass_(minutes=1)
    assert who(world, token, background=True) is None
    assert who(world, token) is None


def test_a_session_ends_by_age_however_busy(world: World, li: Person) -> None:
    token = world.sign_in(li)
    for _ in range(47):
        world.clock.pass_(minutes=10)
        assert who(world, token) == "liwei"
    world.clock.pass_(minutes=10)
    assert who(world, token) is None


def test_idleness_counts_while_the_answer_is_remembered(world: World, li: Person) -> None:
    token = world.sign_in(li)
    assert remembered(world.identity, token) == "liwei"
    world.clock.pass_(minutes=15)
    assert remembered(world.identity, token) is None


def test_the_number_of_sessions_is_capped(world: World, li: Person) -> None:
    tokens = [world.sign_in(li) for _ in range(4)]
    assert [who(world, token) for token in tokens] == [None, "liwei", "liwei", "liwei"]


def test_sessions_are_ended_one_or_all(world: World, li: Person) -> None:
    tokens = [world.sign_in(li) for _ in range(3)]
    own, policy = world.identity.sessions, world.identity.policies.current().policy
    assert len(own.all(policy, li.id)) == 3
    current = world.identity.authentication.who(tokens[0], HERE).session
    own.end(world.identity.authentication.who(tokens[1], HERE).session or "", li.id)
    assert [who(world, token) for token in tokens] == ["liwei", None, "liwei"]
    assert own.end_all(li.id, but=current) == 1
    assert [who(world, token) for token in tokens] == ["liwei", None, None]
    assert own.end_all(li.id) == 1
    assert who(world, tokens[0]) is None


def test_what_was_ended_elsewhere_stops_within_a_second(
    world: World, li: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    # Its clock only: services of other tests that live in this process go by their own.
    monkeypatch.setattr(authentication, "time", SimpleNamespace(monotonic=lambda: now[0]))
    token, secret = world.sign_in(li), key(world, li)
    replica = world.another()
    assert remembered(replica, token) == remembered(replica, secret) == "liwei"
    world.identity.sessions.end_all(li.id)
    world.identity.keys.revoke(world.identity.keys.of(li.id)[0].id, li.id)
    now[0] += 1.0
    assert remembered(replica, token) is None
    assert remembered(replica, secret) is None
    replica.database.close()


def test_a_disabled_or_expired_account_has_no_sessions_and_keys(
    world: World, li: Person, admins: tuple[Person, Person]
) -> None:
    world.identity.accounts.alter(li.id, name="Li", department="", expires_at=world.clock.now + 300)
    token, secret = world.sign_in(li), key(world, li)
    world.clock.pass_(minutes=5)
    assert who(world, token) is who(world, secret) is None
    world.identity.accounts.alter(li.id, name="Li", department="", expires_at=None)
    assert who(world, token) == who(world, secret) == "liwei"
    world.identity.accounts.disable(li.id, by=admins[1].id)
    assert who(world, token) is who(world, secret) is None
    world.identity.accounts.enable(li.id)
    assert who(world, token) is who(world, secret) is None  # it signs in again, and makes new keys


def test_a_key_has_its_scopes_within_its_owners_role(world: World, li: Person) -> None:
    principal = world.identity.authentication.who(key(world, li), HERE)
    assert principal.permissions == {ASK}
    assert principal.session is None
    assert principal.key is not None


def test_a_key_expires_and_is_revoked(world: World, li: Person) -> None:
    secret = key(world, li, days=1)
    assert who(world, secret) == "liwei"
    world.clock.pass_(days=1)
    assert who(world, secret) is None
    secret = key(world, li)
    world.identity.keys.revoke(world.identity.keys.of(li.id)[0].id, li.id)
    assert who(world, secret) is None


def test_a_key_is_valid_from_its_addresses(world: World, li: Person) -> None:
    secret = key(world, li, addresses=["10.1.0.0/16", "10.2.3.4"])
    assert [who(world, secret, address) for address in ("10.1.9.9", "10.2.3.4", "10.2.3.5", HERE, "")] == [
        "liwei",
        "liwei",
        None,
        None,
        None,
    ]


def test_a_key_asks_so_often_a_minute(world: World, li: Person) -> None:
    secret = key(world, li, requests_per_minute=3)
    for _ in range(3):
        assert who(world, secret) == "liwei"
    with pytest.raises(BusyError) as error:
        who(world, secret)
    assert 1 <= error.value.retry_after <= 60


def test_a_keys_tokens_of_a_day(world: World, li: Person) -> None:
    secret = key(world, li, tokens_per_day=1000)
    held = world.identity.keys
    held.spend(held.of(li.id)[0].id, 700)
    assert who(world, secret) == "liwei"
    held.spend(held.of(li.id)[0].id, 300)
    with pytest.raises(BusyError) as error:
        who(world, secret)
    assert 1 <= error.value.retry_after <= 86_400
    assert held.of(li.id)[0].tokens_today == 1000
    world.clock.pass_(seconds=error.value.retry_after)
    assert who(world, secret) == "liwei"


def test_a_refusal_tells_its_reason_in_the_log_and_nowhere_else(
    world: World, li: Person, caplog: pytest.LogCaptureFixture
) -> None:
    secret = key(world, li, addresses=["10.9.9.9"])
    caplog.set_level(logging.WARNING)
    with pytest.raises(UnauthenticatedError) as one:
        world.identity.authentication.who(secret, HERE)
    with pytest.raises(UnauthenticatedError) as other:
        world.identity.authentication.who("vlp_unknown", HERE)
    assert str(one.value) == str(other.value)
    assert "not valid from 127.0.0.1" in caplog.text
    assert "unknown" in caplog.text
    assert secret[4:] not in caplog.text


@pytest.mark.parametrize(
    ("address", "listed", "right"),
    [
        ("10.0.0.1", ("10.0.0.0/8",), True),
        ("::ffff:10.0.0.1", ("10.0.0.0/8",), True),
        ("11.0.0.1", ("10.0.0.0/8",), False),
        ("fd00::1", ("fc00::/7",), True),
        ("10.0.0.1", (), False),
        ("10.0.0.1 ", ("0.0.0.0/0",), False),
        ("", ("0.0.0.0/0", "::/0"), False),
        ("localhost", ("0.0.0.0/0",), False),
        ("010.0.0.1", ("0.0.0.0/0",), False),
        ("fe80::1%eth0", ("::/0",), True),
    ],
)
def test_addresses(address: str, listed: tuple[str, ...], *, right: bool) -> None:
    assert allowed(address, listed) is right


@pytest.mark.anyio
async def test_what_goes_on_in_the_background_ends_with_its_account_or_key(
    world: World, admins: tuple[Person, Person], li: Person
) -> None:
    owner = world.identity.authentication.aowner
    fields = {"scopes": [Permission.WORKFLOW_USE], "requests_per_minute": 2}
    made, _ = world.identity.keys.create(li.id, Role.USER, name="k", days=1, **fields)  # type: ignore[arg-type]
    now = await owner(li.id, None)
    assert (now.login, now.session, now.permissions) == ("liwei", None, PERMISSIONS[Role.USER])
    by_key = await owner(li.id, made.id)
    assert (by_key.key, by_key.permissions) == (made.id, frozenset({Permission.WORKFLOW_USE}))
    await owner(li.id, made.id)
    with pytest.raises(BusyError):  # the third within a minute
        await owner(li.id, made.id)
    with pytest.raises(UnauthenticatedError):  # somebody else's key
        await owner(admins[0].id, made.id)
    world.identity.keys.revoke(made.id, li.id)
    with pytest.raises(UnauthenticatedError):
        await owner(li.id, made.id)
    world.identity.accounts.disable(li.id, by=admins[1].id)
    with pytest.raises(UnauthenticatedError):
        await owner(li.id, None)
