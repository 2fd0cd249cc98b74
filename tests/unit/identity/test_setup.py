from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.people import World
from vlpro.errors import ForbiddenError
from vlpro.identity.permissions import Role
from vlpro.identity.setup import FirstAdministrator

SECURITY = FirstAdministrator("sec", "张安全", "One-1-Password")
SYSTEM = FirstAdministrator("sysadmin", "李系统", "Two-2-Password")


def _secret(world: World) -> str:
    secret = world.identity.setup.open()
    assert secret is not None
    return secret


def test_the_secret_makes_two_administrators_once(world: World) -> None:
    secret = _secret(world)
    assert world.identity.setup.check(secret.upper().replace("-", " "))
    world.identity.setup.complete(secret, SECURITY, SYSTEM)
    roles = {account.login: account.role for account in world.identity.accounts.find()}
    assert roles == {"sec": Role.SECURITY, "sysadmin": Role.SYSTEM}
    assert all(account.must_change for account in world.identity.accounts.find())
    assert not world.identity.setup.is_open()
    assert world.identity.setup.open() is None
    with pytest.raises(ForbiddenError):
        world.identity.setup.complete(
            secret, FirstAdministrator("x", "X", "p"), FirstAdministrator("y", "Y", "p")
        )


@pytest.mark.parametrize("wrong", ["", "aaaa-bbbb-cccc-dddd-eeee-ffff", "x" * 1000, "\0"])
def test_a_wrong_secret_makes_nobody(world: World, wrong: str) -> None:
    _secret(world)
    assert not world.identity.setup.check(wrong)
    with pytest.raises(ForbiddenError):
        world.identity.setup.complete(wrong, SECURITY, SYSTEM)
    assert world.identity.accounts.count() == 0


def test_without_a_secret_there_is_none_that_fits(world: World) -> None:
    assert not world.identity.setup.check("")


def test_the_secret_expires_and_a_new_start_voids_it(world: World) -> None:
    first = _secret(world)
    second = _secret(world)
    assert not world.identity.setup.check(first)
    assert world.identity.setup.check(second)
    world.clock.pass_(hours=1)
    assert not world.identity.setup.check(second)
    with pytest.raises(ForbiddenError):
        world.identity.setup.complete(second, SECURITY, SYSTEM)


def test_the_race_for_it_has_one_winner(world: World) -> None:
    secret = _secret(world)

    def race(number: int) -> bool:
        try:
            world.identity.setup.complete(
                secret,
                FirstAdministrator(f"sec{number}", "S", "One-1-Password"),
                FirstAdministrator(f"sys{number}", "S", "Two-2-Password"),
            )
        except ForbiddenError:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(race, range(6))) == [False] * 5 + [True]
    assert world.identity.accounts.count() == 2


def test_if_one_account_cannot_be_made_neither_is(world: World) -> None:
    secret = _secret(world)
    with pytest.raises(Exception, match="login"):
        world.identity.setup.complete(secret, SECURITY, FirstAdministrator("sec", "Same", "Two-2-Password"))
    assert world.identity.accounts.count() == 0
    assert world.identity.setup.check(secret)
