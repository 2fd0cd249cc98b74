from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.people import Person, World
from vlpro.errors import BadRequestError, ConflictError, NotFoundError
from vlpro.identity.permissions import Permission, Role

FIELDS: dict[str, Any] = {"name": "line camera", "scopes": [Permission.ANSWER_CREATE], "days": 30}


@pytest.fixture
def li(world: World, admins: tuple[Person, Person]) -> Person:
    return world.person("liwei", Role.USER, by=admins)


@pytest.mark.parametrize(
    ("param", "change"),
    [
        ("name", {"name": "  "}),
        ("scopes", {"scopes": []}),
        ("scopes", {"scopes": [Permission.POLICY_WRITE]}),
        ("scopes", {"scopes": [Permission.ANSWER_CREATE, Permission.SELF_USE]}),
        ("scopes", {"scopes": [Permission.AUDIT_READ]}),
        ("days", {"days": 0}),
        ("days", {"days": 366}),
        ("requests_per_minute", {"requests_per_minute": 0}),
        ("requests_per_minute", {"requests_per_minute": 601}),
        ("addresses", {"addresses": ["10.0.0.0/8", "10.0.0.1/8"]}),
        ("addresses", {"addresses": ["somewhere"]}),
    ],
)
def test_what_no_key_can_be(world: World, li: Person, param: str, change: dict[str, Any]) -> None:
    with pytest.raises(BadRequestError) as error:
        world.identity.keys.create(li.id, Role.USER, **FIELDS | change)
    assert error.value.param == param
    assert world.identity.keys.of(li.id) == []


def test_a_key_is_shown_once(world: World, li: Person) -> None:
    key, secret = world.identity.keys.create(li.id, Role.USER, **FIELDS)
    assert secret.startswith("vlp_")
    assert len(secret) == 47
    assert key.prefix == secret[:8]
    assert world.identity.keys.of(li.id) == [key]


def test_the_number_of_keys_is_capped_also_at_once(world: World, li: Person) -> None:
    def make(_: int) -> bool:
        try:
            world.identity.keys.create(li.id, Role.USER, **FIELDS)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(make, range(14))) == 10
    world.identity.keys.revoke(world.identity.keys.of(li.id)[0].id, li.id)
    assert make(0)


def test_a_key_is_its_owners(world: World, li: Person, admins: tuple[Person, Person]) -> None:
    key, _ = world.identity.keys.create(li.id, Role.USER, **FIELDS)
    with pytest.raises(NotFoundError):
        world.identity.keys.revoke(key.id, admins[1].id)
    with pytest.raises(NotFoundError):
        world.identity.keys.revoke("key_x", li.id)
    world.identity.keys.revoke(key.id, li.id)
    with pytest.raises(NotFoundError):
        world.identity.keys.revoke(key.id, li.id)


def test_tokens_are_counted_by_many_at_once(world: World, li: Person) -> None:
    key, _ = world.identity.keys.create(li.id, Role.USER, **FIELDS)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: world.identity.keys.spend(key.id, 5), range(40)))
    assert world.identity.keys.of(li.id)[0].tokens_today == 200
    world.clock.pass_(days=1)
    assert world.identity.keys.of(li.id)[0].tokens_today == 0
