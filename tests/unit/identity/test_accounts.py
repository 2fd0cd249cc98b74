from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from tests.people import HERE, Person, World
from vlpro.errors import BadRequestError, ConflictError, ForbiddenError, NotFoundError, UnauthenticatedError
from vlpro.identity.labels import Level, check_read
from vlpro.identity.permissions import Permission, Role
from vlpro.identity.tables import accounts, role_grants


def test_a_fresh_database_has_no_account(world: World) -> None:
    """8.1.4.2 b."""
    assert world.identity.accounts.count() == 0


def test_the_database_itself_keeps_roles_apart(world: World, admins: tuple[Person, Person]) -> None:
    """8.1.4.2 d: whatever the software does, one account cannot hold two roles, nor grant itself one."""
    security, system = admins

    def insert(account: str, role: str, by: str | None) -> None:
        with world.identity.database.write() as connection:
            connection.execute(
                sa.insert(role_grants).values(account=account, role=role, granted_by=by, granted_at=0)
            )

    with pytest.raises(IntegrityError):
        insert(security.id, "audit", system.id)
    person = world.person("liwei", None, by=admins)
    with pytest.raises(IntegrityError):
        insert(person.id, "user", person.id)
    with pytest.raises(IntegrityError):
        insert(person.id, "superuser", security.id)
    insert(person.id, "user", security.id)


def test_nobody_grants_a_role_of_their_own(world: World, admins: tuple[Person, Person]) -> None:
    security, _ = admins
    for role in (*Role, None):
        with pytest.raises(ForbiddenError):
            world.identity.accounts.grant(security.id, role, by=security.id)
    with pytest.raises(ForbiddenError):
        world.identity.accounts.label(security.id, Level.SECRET, by=security.id)


def test_a_login_is_never_given_again(world: World, admins: tuple[Person, Person]) -> None:
    """8.1.4.1 a."""
    person = world.person("liwei", Role.USER, by=admins)
    world.identity.accounts.disable(person.id, by=admins[1].id)
    for again in ("liwei", "LiWei", " LIWEI "):
        with pytest.raises(ConflictError) as error:
            world.identity.accounts.create(again, "Li", "", by=admins[1].id)
        assert (error.value.code, error.value.param) == ("login_taken", "login")


@pytest.mark.parametrize("login", ["", "ab", "a" * 65, "-abc", "a b c", "李文静", "a/b/c", "ab\nc", "a'or'1"])
def test_what_is_no_login(world: World, admins: tuple[Person, Person], login: str) -> None:
    with pytest.raises(BadRequestError) as error:
        world.identity.accounts.create(login, "x", "", by=admins[1].id)
    assert error.value.param == "login"


def test_of_two_who_make_the_same_account_one_wins(world: World, admins: tuple[Person, Person]) -> None:
    def make(_: int) -> bool:
        try:
            world.identity.accounts.create("same", "Same", "", by=admins[1].id)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(make, range(8))) == [False] * 7 + [True]


def test_a_new_account_may_do_nothing_until_it_has_a_role(
    world: World, admins: tuple[Person, Person]
) -> None:
    account, password = world.identity.accounts.create("liwei", "Li", "财务部", by=admins[1].id)
    assert (account.role, account.level, account.must_change) == (None, Level.INTERNAL, True)
    assert len(password) >= 16


def test_the_policy_may_make_new_accounts_users(world: World, admins: tuple[Person, Person]) -> None:
    security, system = admins
    world.identity.policies.decide({"new_accounts_role": "user"}, base=0, note="", author=security.id)
    account, _ = world.identity.accounts.create("liwei", "Li", "", by=system.id)
    assert account.role is Role.USER


def test_a_change_of_role_ends_sessions_and_keys(world: World, admins: tuple[Person, Person]) -> None:
    person = world.person("liwei", Role.USER, by=admins)
    session = world.sign_in(person)
    _, key = world.identity.keys.create(
        person.id, Role.USER, name="k", scopes=[Permission.ANSWER_CREATE], days=1
    )
    replica = world.another()
    for token in (session, key):
        assert replica.authentication.who(token, HERE).login == "liwei"
    world.identity.accounts.grant(person.id, Role.AUDIT, by=admins[0].id)
    for token in (session, key):
        replica.authentication.forget(token)
        with pytest.raises(UnauthenticatedError):
            replica.authentication.who(token, HERE)
    replica.database.close()


def test_the_last_administrator_stays(world: World, admins: tuple[Person, Person]) -> None:
    security, system = admins
    own = world.identity.accounts
    other = world.person("sec2", Role.SECURITY, by=admins)
    own.disable(other.id, by=system.id)
    with pytest.raises(ConflictError) as error:
        own.disable(security.id, by=system.id)
    assert error.value.code == "last_administrator"
    own.enable(other.id)
    own.disable(security.id, by=system.id)
    with pytest.raises(ConflictError):
        own.grant(other.id, None, by="usr_somebody")
    with pytest.raises(ConflictError, match="own account"):
        own.disable(system.id, by=system.id)


def test_of_two_administrators_who_disable_each_other_one_stays(
    world: World, admins: tuple[Person, Person]
) -> None:
    _, system = admins
    other = world.person("sys2", Role.SYSTEM, by=admins)

    def disable(pair: tuple[str, str]) -> bool:
        try:
            world.identity.accounts.disable(pair[0], by=pair[1])
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(disable, [(system.id, other.id), (other.id, system.id)]))
    assert sorted(done) == [False, True]


def test_an_administrators_credentials_are_not_reset_over_the_api(
    world: World, admins: tuple[Person, Person]
) -> None:
    """Or the system administrator could become the security administrator."""
    own = world.identity.accounts
    for person in admins:
        for reset in (own.reset_password, own.reset_factors):
            with pytest.raises(ForbiddenError) as error:
                reset(person.id)
            assert error.value.code == "administrator_account"
    assert own.reset_password_at_machine("SEC")


def test_a_reset_password_is_for_one_sign_in(world: World, admins: tuple[Person, Person]) -> None:
    person = world.person("liwei", Role.USER, by=admins)
    session = world.sign_in(person)
    person.password = world.identity.accounts.reset_password(person.id)
    world.identity.authentication.forget(session)
    with pytest.raises(UnauthenticatedError):
        world.identity.authentication.who(session, HERE)
    assert world.account(person).must_change
    assert world.sign_in(person)  # asks for the second factor, then for a new password
    secret = person.secret
    world.identity.accounts.reset_factors(person.id)
    world.sign_in(person)
    assert person.secret != secret


def test_find(world: World, admins: tuple[Person, Person]) -> None:
    own = world.identity.accounts
    for login, name, department in (
        ("wang.lei", "王磊", "生产部"),
        ("chen_hua", "陈华", "财务部"),
        ("zhao", "赵%", ""),
    ):
        own.create(login, name, department, by=admins[1].id)

    def logins(*arguments: object, **more: object) -> list[str]:
        return [account.login for account in own.find(*arguments, **more)]  # type: ignore[arg-type]

    assert logins() == ["chen_hua", "sec", "sysadmin", "wang.lei", "zhao"]
    assert logins("财务") == ["chen_hua"]
    assert logins("王") == logins("WANG") == ["wang.lei"]
    assert logins("%") == ["zhao"]
    assert logins("_") == ["chen_hua"]
    assert logins(role=Role.SYSTEM) == ["sysadmin"]
    assert logins(after="sysadmin") == ["wang.lei", "zhao"]
    assert own.count() == 5


def test_unknown_accounts(world: World) -> None:
    own = world.identity.accounts
    for call in (
        lambda: own.get("usr_x"),
        lambda: own.disable("usr_x", by="y"),
        lambda: own.enable("usr_x"),
        lambda: own.unlock("usr_x"),
        lambda: own.reset_password("usr_x"),
        lambda: own.reset_factors("usr_x"),
        lambda: own.grant("usr_x", Role.USER, by="y"),
        lambda: own.label("usr_x", Level.PUBLIC, by="y"),
        lambda: own.alter("usr_x", name="x", department="", expires_at=None),
        lambda: own.reset_password_at_machine("nobody"),
    ):
        with pytest.raises(NotFoundError):
            call()


def test_no_read_up() -> None:
    for person in Level:
        for held in Level:
            if held <= person:
                check_read(person, held)
            else:
                with pytest.raises(ForbiddenError):
                    check_read(person, held)
    assert [Level.of(level.word) for level in Level] == list(Level)


def test_passwords_are_stored_as_argon2id(world: World, admins: tuple[Person, Person]) -> None:
    with world.identity.database.read() as connection:
        hashes = connection.execute(sa.select(accounts.c.password)).scalars().all()
    assert all(hashed is not None and hashed.startswith("$argon2id$") for hashed in hashes)
