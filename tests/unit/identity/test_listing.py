from __future__ import annotations

from tests.people import HERE, Person, World
from vlpro.identity.permissions import Role


def test_accounts_without_a_role_are_found_and_pages_are_short(
    world: World, admins: tuple[Person, Person]
) -> None:
    for number in range(3):
        world.person(f"user{number}", Role.USER if number else None, by=admins)
    find = world.identity.accounts.find
    assert [account.login for account in find(role="none")] == ["user0"]
    assert [account.login for account in find(limit=2)] == ["sec", "sysadmin"]
    assert [account.login for account in find(after="sysadmin", limit=2)] == ["user0", "user1"]


def test_locked_logins_are_told_together(world: World, admins: tuple[Person, Person]) -> None:
    failures, policy = world.identity.failures, world.identity.policies.current().policy
    for _ in range(policy.lock_after_failures):
        failures.count("sec", HERE, policy)
    assert failures.locked_among(["sec", "sysadmin", "nobody"]) == {"sec"}
    assert failures.locked("sec")
    world.clock.pass_(minutes=policy.lock_minutes + 1)
    assert failures.locked_among(["sec"]) == frozenset()
    assert failures.locked_among([]) == frozenset()
