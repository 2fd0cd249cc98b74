from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.people import Person, World
from vlpro.errors import BadRequestError, ConflictError, NotFoundError
from vlpro.identity.policy import Policy
from vlpro.masking import Masking


def test_versions_and_their_differences(world: World, admins: tuple[Person, Person]) -> None:
    """8.1.4.2 e."""
    policies, author = world.identity.policies, admins[0].id
    assert (policies.current().version, policies.current().policy) == (0, Policy())
    policies.decide({"idle_minutes": 5, "watermark": True}, base=0, note="quarterly", author=author)
    policies.decide({"idle_minutes": 10}, base=1, note="", author=author)
    assert policies.current().version == 2
    assert policies.current().policy == Policy(idle_minutes=10, watermark=True)
    assert [(v.version, v.note, v.author) for v in policies.versions()] == [
        (2, "", author),
        (1, "quarterly", author),
        (0, "", None),
    ]
    assert [(c.name, c.old, c.new) for c in policies.changes(0, 2)] == [
        ("idle_minutes", 15, 10),
        ("watermark", False, True),
    ]
    assert policies.changes(2, 2) == []
    with pytest.raises(NotFoundError):
        policies.changes(0, 3)


def test_of_two_who_decide_at_once_one_wins(world: World, admins: tuple[Person, Person]) -> None:
    def decide(minutes: int) -> bool:
        try:
            world.identity.policies.decide({"idle_minutes": minutes}, base=0, note="", author=admins[0].id)
        except ConflictError as error:
            return error.code != "version_conflict"
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(decide, range(1, 7))) == [False] * 5 + [True]


@pytest.mark.parametrize(
    ("param", "content"),
    [
        ("policy.password_min_length", {"password_min_length": 7}),
        ("policy.password_max_age_days", {"password_max_age_days": 0}),
        ("policy.lock_after_failures", {"lock_after_failures": 11}),
        ("policy.idle_minutes", {"idle_minutes": 31}),
        ("policy.session_hours", {"session_hours": "eight"}),
        ("policy.second_factor", {"second_factor": "nobody"}),
        ("policy.user_addresses", {"user_addresses": ["10.0.0.0/8", "10.0.0.1/24"]}),
        ("policy.directory_groups[0].role", {"directory_groups": [{"group": "x", "role": "root"}]}),
        ("policy.no_such_thing", {"no_such_thing": 1}),
    ],
)
def test_what_no_policy_can_be(
    world: World, admins: tuple[Person, Person], param: str, content: dict[str, Any]
) -> None:
    with pytest.raises(BadRequestError) as error:
        world.identity.policies.decide(content, base=0, note="", author=admins[0].id)
    assert error.value.param == param
    assert world.identity.policies.current().version == 0


def test_nobody_shuts_oneself_out(world: World, admins: tuple[Person, Person]) -> None:
    policies = world.identity.policies
    content = {"administration_addresses": ["10.1.0.0/16"]}
    with pytest.raises(BadRequestError) as error:
        policies.decide(content, base=0, note="", author=admins[0].id, address="10.2.0.1")
    assert error.value.param == "policy.administration_addresses"
    assert policies.decide(content, base=0, note="", author=admins[0].id, address="10.1.0.1").version == 1


def test_the_software_comes_with_what_level_3_asks_for() -> None:
    policy = Policy()
    assert policy.password_min_length >= 10
    assert policy.password_classes >= 3
    assert policy.password_history >= 5
    assert policy.password_max_age_days <= 90
    assert policy.lock_after_failures <= 5
    assert policy.lock_minutes >= 30
    assert policy.idle_minutes <= 15
    assert policy.session_hours <= 8
    assert policy.disable_after_idle_days <= 90
    assert policy.second_factor == "everybody"
    assert policy.new_accounts_role == "none"


def test_what_is_masked_holds_from_the_decision_on(world: World, admins: tuple[Person, Person]) -> None:
    """Also for who asks before anybody has read the policy again: never what the software comes with."""
    policies, author = world.identity.policies, admins[0].id
    policies.decide({"mask_answers": True, "mask_names": [" 张三 "]}, base=0, note="", author=author)
    assert policies.known.answers == Masking(("张三",))
    assert policies.known.exports is None
    policies.decide({"lock_minutes": 31}, base=1, note="", author=author)
    assert policies.known.answers == Masking(("张三",))
    with pytest.raises(BadRequestError, match="mask_names"):
        policies.decide({"mask_names": ["李"]}, base=2, note="", author=author)
