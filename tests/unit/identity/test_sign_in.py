from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.people import HERE, PASSWORD, Person, World
from vlpro.errors import UnauthenticatedError
from vlpro.identity.passwords import PasswordProblem
from vlpro.identity.permissions import Role
from vlpro.identity.sign_in import Refusal, RefusedError, Step


def refused(world: World, login: str, password: str, address: str = HERE) -> tuple[Refusal, int]:
    with pytest.raises(RefusedError) as error:
        world.identity.sign_in.begin(login, password, address)
    return error.value.refusal, error.value.value


def policy(world: World, admins: tuple[Person, Person], **content: object) -> None:
    policies = world.identity.policies
    policies.decide(content, base=policies.current().version, note="", author=admins[0].id)


@pytest.fixture
def li(world: World, admins: tuple[Person, Person]) -> Person:
    """A user who has signed in once."""
    person = world.person("li.wenjing", Role.USER, by=admins)
    world.sign_in(person)
    return person


def test_no_session_before_the_last_step(world: World, admins: tuple[Person, Person]) -> None:
    """8.1.4.1 d: the password alone gives none; neither does any later step but the last."""
    person = world.person("liwei", Role.USER, by=admins)
    flow, factors = world.identity.sign_in, world.identity.factors
    token = flow.begin("liwei", person.password, HERE)
    steps = []

    def at(step: Step) -> None:
        steps.append(step)
        assert flow.state(token, HERE).step is step
        with pytest.raises(UnauthenticatedError):
            world.identity.authentication.who(token, HERE)
        with pytest.raises(RefusedError, match="expired"):
            flow.finish(token, HERE, "")

    at(Step.PASSWORD)
    assert flow.new_password(flow.state(token, HERE), PASSWORD) == []
    at(Step.ENROL)
    offer = factors.offer_totp(flow.state(token, HERE).place, person.id, "liwei")
    person.secret = offer.secret.replace(" ", "")
    with pytest.raises(RefusedError, match="code"):
        flow.enrol_code(flow.state(token, HERE), "000000")
    at(Step.ENROL)
    flow.enrol_code(flow.state(token, HERE), world.code(person))
    at(Step.RECOVERY_CODES)
    assert len(flow.recovery_codes(flow.state(token, HERE))) == 10
    flow.codes_kept(flow.state(token, HERE))
    session = flow.finish(token, HERE, "")
    assert world.identity.authentication.who(session, HERE).login == "liwei"
    with pytest.raises(RefusedError, match="expired"):  # once
        flow.finish(token, HERE, "")
    assert session != token  # nobody can have fixed it beforehand


def test_unknown_login_and_wrong_password_are_told_apart_by_nothing(world: World, li: Person) -> None:
    known = [refused(world, "li.wenjing", "wrong") for _ in range(6)]
    unknown = [refused(world, "nobody.here", "wrong") for _ in range(6)]
    assert known == unknown
    assert known == [*((Refusal.WRONG, left) for left in (4, 3, 2, 1)), *[(Refusal.LOCKED, 30)] * 2]


def test_the_right_password_does_not_open_a_lock_until_it_ends(world: World, li: Person) -> None:
    for _ in range(5):
        refused(world, li.login, "wrong")
    assert refused(world, li.login, li.password) == (Refusal.LOCKED, 30)
    world.clock.pass_(minutes=29)
    assert refused(world, li.login, li.password)[0] is Refusal.LOCKED
    world.clock.pass_(minutes=1.1)
    assert world.sign_in(li)


def test_an_administrator_unlocks(world: World, li: Person) -> None:
    for _ in range(5):
        refused(world, li.login, "wrong")
    world.identity.accounts.unlock(li.id)
    assert world.sign_in(li)


def test_failures_are_forgotten_after_a_success_and_in_time(world: World, li: Person) -> None:
    assert refused(world, li.login, "wrong") == (Refusal.WRONG, 4)
    world.sign_in(li)
    assert refused(world, li.login, "wrong") == (Refusal.WRONG, 4)
    world.clock.pass_(minutes=31)
    assert refused(world, li.login, "wrong") == (Refusal.WRONG, 4)


def test_many_logins_from_one_address_lock_the_address(world: World, li: Person) -> None:
    for number in range(20):
        refused(world, f"guess{number}", "wrong", "10.0.0.9")
    assert refused(world, "someone.new", "wrong", "10.0.0.9")[0] is Refusal.LOCKED
    assert refused(world, li.login, li.password, "10.0.0.9")[0] is Refusal.LOCKED
    assert world.sign_in(li, address="10.0.0.10")
    # A success elsewhere, or of one's own account, does not free the address.
    assert refused(world, "someone.new", "wrong", "10.0.0.9")[0] is Refusal.LOCKED


def test_failures_at_once_are_all_counted(world: World, li: Person) -> None:
    with ThreadPoolExecutor(12) as pool:
        outcomes = list(pool.map(lambda _: refused(world, li.login, "wrong"), range(12)))
    assert sorted(value for why, value in outcomes if why is Refusal.WRONG) == [1, 2, 3, 4]
    assert refused(world, li.login, li.password)[0] is Refusal.LOCKED


def test_what_is_typed_as_login_is_not_kept_readable(world: World) -> None:
    import sqlalchemy as sa  # noqa: PLC0415

    from vlpro.identity.tables import failures  # noqa: PLC0415

    refused(world, "My-Secret-Password", "x")
    with world.identity.database.read() as connection:
        row = connection.execute(sa.select(failures)).all()
    assert "my-secret-password" not in repr(row).lower()


def test_a_code_is_taken_once(world: World, li: Person) -> None:
    flow = world.identity.sign_in
    code = world.next_code(li)
    flow.code(flow.state(flow.begin(li.login, li.password, HERE), HERE), code)
    again = flow.state(flow.begin(li.login, li.password, HERE), HERE)
    with pytest.raises(RefusedError, match="replay"):
        flow.code(again, code)
    world.clock.pass_(seconds=30)  # still inside the window of tolerance
    with pytest.raises(RefusedError, match="replay"):
        flow.code(again, code)


def test_a_code_at_the_same_moment_is_taken_once(world: World, li: Person) -> None:
    flow = world.identity.sign_in
    tokens = [flow.begin(li.login, li.password, HERE) for _ in range(8)]
    code = world.next_code(li)

    def give(token: str) -> str:
        try:
            flow.code(flow.state(token, HERE), code)
        except RefusedError as error:
            return error.refusal
        return "taken"

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(give, tokens))
    assert sorted(outcomes) == ["replay"] * 7 + ["taken"]


@pytest.mark.parametrize("seconds", [-300, 300])
def test_a_wrong_clock_is_told_and_not_taken(world: World, li: Person, seconds: int) -> None:
    flow = world.identity.sign_in
    world.clock.pass_(minutes=20)
    begun = flow.state(flow.begin(li.login, li.password, HERE), HERE)
    with pytest.raises(RefusedError) as error:
        flow.code(begun, world.code(li, seconds=seconds))
    assert (error.value.refusal, error.value.value) == (Refusal.DRIFT, seconds)


def test_codes_cannot_be_guessed(world: World, li: Person) -> None:
    """Wrong codes count like wrong passwords, whatever the sign-in they are given in."""
    flow = world.identity.sign_in
    for left in (4, 3, 2, 1, 0):
        begun = flow.state(flow.begin(li.login, li.password, HERE), HERE)
        with pytest.raises(RefusedError) as error:
            flow.code(begun, "12 34 5")
        assert (error.value.refusal, error.value.value) == (
            (Refusal.CODE, left) if left else (Refusal.LOCKED, 30)
        )
    with pytest.raises(RefusedError, match="locked"):
        flow.code(begun, world.next_code(li))
    assert refused(world, li.login, li.password)[0] is Refusal.LOCKED


def test_a_recovery_code_works_once(world: World, admins: tuple[Person, Person]) -> None:
    person = world.person("wang", Role.USER, by=admins)
    world.sign_in(person)
    flow, factors = world.identity.sign_in, world.identity.factors
    codes = factors.new_recovery_codes(person.id)
    token = flow.begin(person.login, person.password, HERE)
    flow.recovery_code(flow.state(token, HERE), codes[3].upper().replace("-", " "))
    assert flow.finish(token, HERE, "")
    assert factors.of(person.id).recovery_left == 9
    token = flow.begin(person.login, person.password, HERE)
    with pytest.raises(RefusedError, match="code"):
        flow.recovery_code(flow.state(token, HERE), codes[3])
    earlier = codes[4]
    factors.new_recovery_codes(person.id)
    with pytest.raises(RefusedError, match="code"):
        flow.recovery_code(flow.state(token, HERE), earlier)


def test_recovery_codes_are_nobody_elses(world: World, li: Person, admins: tuple[Person, Person]) -> None:
    other = world.person("wang", Role.USER, by=admins)
    world.sign_in(other)
    codes = world.identity.factors.new_recovery_codes(other.id)
    assert not world.identity.factors.burn_recovery_code(li.id, codes[0])
    assert world.identity.factors.burn_recovery_code(other.id, codes[0])


def test_a_sign_in_belongs_to_its_address_and_ends_in_time(world: World, li: Person) -> None:
    flow = world.identity.sign_in
    token = flow.begin(li.login, li.password, HERE)
    with pytest.raises(RefusedError, match="expired"):
        flow.state(token, "10.0.0.1")
    world.clock.pass_(minutes=10.1)
    with pytest.raises(RefusedError, match="expired"):
        flow.state(token, HERE)
    with pytest.raises(RefusedError, match="expired"):
        flow.state("", HERE)


def test_steps_cannot_be_taken_out_of_turn(world: World, li: Person) -> None:
    """Who has only the password can neither replace it nor set up a second factor of their own."""
    flow = world.identity.sign_in
    begun = flow.state(flow.begin(li.login, li.password, HERE), HERE)
    assert begun.step is Step.SECOND_FACTOR
    for attempt in (
        lambda: flow.new_password(begun, "Another-Good-1-Pass"),
        lambda: flow.enrol_code(begun, "123456"),
        lambda: flow.enrol_passkey(begun, {}, ""),
        lambda: flow.recovery_codes(begun),
    ):
        with pytest.raises(RefusedError, match="expired"):
            attempt()


def test_an_account_without_role_disabled_or_expired_does_not_sign_in(
    world: World, li: Person, admins: tuple[Person, Person]
) -> None:
    nobody = world.person("new.one", None, by=admins)
    assert refused(world, "new.one", nobody.password)[0] is Refusal.NO_ROLE
    assert refused(world, "new.one", "wrong")[0] is Refusal.WRONG  # without the password nothing is told
    world.identity.accounts.disable(li.id, by=admins[1].id)
    assert refused(world, li.login, li.password)[0] is Refusal.NO_ENTRY
    world.identity.accounts.enable(li.id)
    world.identity.accounts.alter(li.id, name="Li", department="", expires_at=world.clock.now + 60)
    assert world.sign_in(li)
    world.clock.pass_(minutes=2)
    assert refused(world, li.login, li.password)[0] is Refusal.NO_ENTRY


def test_an_unused_account_is_disabled(world: World, li: Person) -> None:
    world.clock.pass_(days=89)
    assert world.sign_in(li)
    world.clock.pass_(days=91)
    assert refused(world, li.login, li.password)[0] is Refusal.NO_ENTRY
    assert world.account(li).disabled == "idle"
    world.identity.accounts.enable(li.id)
    assert world.sign_in(li)


def test_an_aged_password_must_be_changed(world: World, li: Person) -> None:
    world.clock.pass_(days=60)
    world.sign_in(li)
    world.clock.pass_(days=31)
    flow = world.identity.sign_in
    token = flow.begin(li.login, li.password, HERE)
    flow.code(flow.state(token, HERE), world.next_code(li))
    begun = flow.state(token, HERE)
    assert begun.step is Step.PASSWORD
    assert begun.aged
    assert flow.new_password(begun, li.password) == [PasswordProblem("same")]


def test_passwords_do_not_come_back(world: World, li: Person) -> None:
    flow = world.identity.sign_in
    used = [li.password]
    for number in range(4):
        used.append(f"Fresh-{number}-Leaves-grow")
        assert flow.change_password(world.account(li), used[-1]) == []
    for old in used[:-1]:
        assert flow.change_password(world.account(li), old) == [PasswordProblem("used", 5)]
    assert flow.change_password(world.account(li), "Fresh-9-Leaves-grow") == []
    assert flow.change_password(world.account(li), used[0]) == []  # the sixth is free again


def test_the_second_factor_is_for_whom_the_policy_says(world: World, admins: tuple[Person, Person]) -> None:
    policy(world, admins, second_factor="administrators")
    person = world.person("liwei", Role.USER, by=admins)
    world.sign_in(person)
    assert person.secret == ""
    auditor = world.person("auditor", Role.AUDIT, by=admins)
    world.sign_in(auditor)
    assert auditor.secret


def test_where_the_policy_lists_no_address_nobody_signs_in(
    world: World, li: Person, admins: tuple[Person, Person]
) -> None:
    assert refused(world, li.login, li.password, "203.0.113.7")[0] is Refusal.NO_ENTRY
    policy(world, admins, administration_addresses=["10.1.0.0/16"])
    assert refused(world, "sec", admins[0].password)[0] is Refusal.NO_ENTRY
    assert world.sign_in(admins[0], address="10.1.2.3")
    assert world.sign_in(li)
