"""Accounts and their roles: made by the system administrator, empowered by the security administrator."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from vlpro.audit.events import Event
from vlpro.audit.recorder import Recorder
from vlpro.db import Database
from vlpro.errors import BadRequestError, ConflictError, ForbiddenError, NotFoundError
from vlpro.identity.failures import Failures
from vlpro.identity.labels import Level
from vlpro.identity.passwords import Passwords, one_time_password
from vlpro.identity.permissions import ADMINISTRATORS, Role
from vlpro.identity.policy import PolicyStore
from vlpro.identity.tables import (
    accounts,
    keys,
    passkeys,
    past_passwords,
    recovery_codes,
    role_grants,
    sessions,
    sign_ins,
    totps,
)
from vlpro.identity.tokens import new_id

__all__ = ["Account", "Accounts", "account_of", "checked_login", "selected"]

_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@-]{2,63}")
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Account:
    """An account as administrators see it; times are Unix seconds."""

    id: str
    login: str
    name: str
    department: str
    source: str
    subject: str | None
    level: Level
    role: Role | None
    created_at: float
    created_by: str | None
    signed_in_at: float | None
    active_at: float
    expires_at: float | None
    disabled: str | None
    must_change: bool
    password: str | None
    password_at: float | None


def checked_login(login: str) -> str:
    """A login as it is kept: lower case.

    Raises:
        BadRequestError: It is none.
    """
    lower = login.strip().lower()
    if not _LOGIN.fullmatch(lower):
        raise BadRequestError(
            "A login has 3 to 64 letters a–z, digits and . _ - @, and begins with a letter or digit.",
            zh="用户名由 3–64 个小写字母、数字或 . _ - @ 组成，以字母或数字开头。",
            param="login",
        )
    return lower


def selected() -> sa.Select[Any]:
    """A query for accounts with their roles; :func:`account_of` reads its rows."""
    return sa.select(accounts, role_grants.c.role).outerjoin(
        role_grants, role_grants.c.account == accounts.c.id
    )


def account_of(row: sa.Row[Any]) -> Account:
    """One row of :func:`selected`."""
    return Account(
        id=row.id,
        login=row.login,
        name=row.name,
        department=row.department,
        source=row.source,
        subject=row.subject,
        level=Level(row.level),
        role=Role(row.role) if row.role else None,
        created_at=row.created_at,
        created_by=row.created_by,
        signed_in_at=row.signed_in_at,
        active_at=row.active_at,
        expires_at=row.expires_at,
        disabled=row.disabled,
        must_change=row.must_change,
        password=row.password,
        password_at=row.password_at,
    )


class Accounts:
    """What administrators do with accounts. Who may call what is decided by permissions, before.

    Args:
        database: Where they are.
        passwords: For one-time passwords.
        policies: The policy in force.
        failures: For locks.
        clock: Unix time.
        recorder: Of the audit.
    """

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        policies: PolicyStore,
        failures: Failures,
        *,
        clock: Callable[[], float],
        recorder: Recorder,
    ) -> None:
        self._recorder = recorder
        self._database = database
        self._passwords = passwords
        self._policies = policies
        self._failures = failures
        self._clock = clock

    def get(self, account_id: str) -> Account:
        """One account. Raises: NotFoundError."""
        with self._database.read() as connection:
            return _get(connection, account_id)

    def find(
        self,
        text: str = "",
        role: Role | Literal["none"] | None = None,
        after: str = "",
        limit: int = _PAGE,
    ) -> list[Account]:
        """Accounts by login.

        Args:
            text: Part of login, name or department.
            role: Only those with this role, or with none.
            after: The last login of the page before.
            limit: How many at most; never more than 200.
        """
        query = selected().where(accounts.c.login > after).order_by(accounts.c.login).limit(min(limit, _PAGE))
        if text:
            found = (accounts.c.login, accounts.c.name, accounts.c.department)
            query = query.where(sa.or_(*(column.icontains(text, autoescape=True) for column in found)))
        if role is not None:
            wanted = role_grants.c.role
            query = query.where(wanted.is_(None) if role == "none" else wanted == str(role))
        with self._database.read() as connection:
            return [account_of(row) for row in connection.execute(query)]

    def count(self) -> int:
        """How many there are."""
        with self._database.read() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(accounts)).scalar_one()

    def create(
        self, login: str, name: str, department: str, *, by: str, expires_at: float | None = None
    ) -> tuple[Account, str]:
        """Make an account without any role, unless the policy gives new ones that of a user.

        Args:
            login: Never used before.
            name: The person's.
            department: The person's.
            by: Account of the system administrator.
            expires_at: Unix time from which it may sign in no more; None: never.

        Returns:
            The account, and a one-time password to be told to the person.

        Raises:
            BadRequestError: The login is none, or the name is empty.
            ConflictError: The login is or was somebody's.
        """
        login, name, department = checked_login(login), name.strip(), department.strip()
        if not name:
            raise BadRequestError("The name is empty.", zh="姓名不能为空。", param="name")
        version = self._policies.current()
        password, now = one_time_password(), self._clock()
        hashed = self._passwords.hash(password)
        with self._database.write() as connection:
            account_id = insert(
                connection, login=login, name=name, department=department, now=now, by=by, password=hashed,
                expires_at=expires_at,
            )  # fmt: skip
            self._recorder.note(
                Event.ACCOUNT_CREATED,
                object=account_id,
                detail={"login": login, "name": name, "department": department},
            )
            author = version.author
            if version.policy.new_accounts_role == "user" and author is not None:
                grant(connection, account_id, Role.USER, by=author, now=now)
            return _get(connection, account_id), password

    def alter(self, account_id: str, *, name: str, department: str, expires_at: float | None) -> Account:
        """Correct what is known of a person. Raises: NotFoundError, BadRequestError."""
        if not name.strip():
            raise BadRequestError("The name is empty.", zh="姓名不能为空。", param="name")
        with self._database.write() as connection:
            old = _get(connection, account_id)
            values = {"name": name.strip(), "department": department.strip(), "expires_at": expires_at}
            changed = {
                k: {"old": getattr(old, k), "new": v} for k, v in values.items() if getattr(old, k) != v
            }
            self._changed(old, "altered", changed)
            connection.execute(sa.update(accounts).where(accounts.c.id == account_id).values(**values))
            return _get(connection, account_id)

    def disable(self, account_id: str, *, by: str) -> Account:
        """End an account's sessions and keys, and let it sign in no more.

        Raises:
            NotFoundError: There is none.
            ConflictError: It is one's own, or the last of its administrative role that can sign in.
        """
        with self._database.write(alone=True) as connection:
            account = _get(connection, account_id)
            if account_id == by:
                raise ConflictError("You cannot disable your own account.", zh="不能停用自己的账号。")
            self._keep_one(connection, account)
            self._changed(account, "disabled")
            connection.execute(
                sa.update(accounts).where(accounts.c.id == account_id).values(disabled="administrator")
            )
            _sign_out(connection, account_id, keys_at=self._clock())
            return _get(connection, account_id)

    def enable(self, account_id: str) -> Account:
        """Let a disabled account sign in again. Raises: NotFoundError."""
        with self._database.write() as connection:
            account = _get(connection, account_id)
            self._changed(account, "enabled")
            connection.execute(
                sa.update(accounts)
                .where(accounts.c.id == account_id)
                .values(disabled=None, active_at=self._clock())
            )
        self._failures.forget(account.login)
        return self.get(account_id)

    def unlock(self, account_id: str) -> Account:
        """Forget the failed sign-ins of a login. Raises: NotFoundError."""
        account = self.get(account_id)
        self._changed(account, "unlocked")
        self._failures.forget(account.login)
        return account

    def reset_password(self, account_id: str) -> str:
        """Give a person a new one-time password, which ends their sessions.

        Raises:
            NotFoundError: There is no such account.
            ForbiddenError: It is an administrator's: who could reset it could act as them. Such a reset takes the
                machine itself (``vlpro user reset``).
            ConflictError: Its password is the directory's.
        """
        account = self.get(account_id)
        if account.role in ADMINISTRATORS:
            raise _not_here()
        return self.reset_password_at_machine(account.login)

    def reset_password_at_machine(self, login: str) -> str:
        """As :meth:`reset_password`, for any account, for who has the machine in hands."""
        password = one_time_password()
        hashed = self._passwords.hash(password)
        with self._database.write() as connection:
            account = _by_login(connection, login)
            if account.source != "local":
                raise ConflictError(
                    "This person's password is kept by the company's directory. Reset it there.",
                    zh="该账号的密码由企业目录管理，请在目录中重置。",
                )
            self._changed(account, "password reset")
            connection.execute(
                sa.update(accounts)
                .where(accounts.c.id == account.id)
                .values(password=hashed, password_at=self._clock(), must_change=True)
            )
            _sign_out(connection, account.id)
        self._failures.forget(account.login)
        return password

    def reset_factors(self, account_id: str) -> None:
        """Remove a person's second factors, so that they set up new ones at the next sign-in.

        Raises:
            NotFoundError: There is no such account.
            ForbiddenError: It is an administrator's.
        """
        account = self.get(account_id)
        if account.role in ADMINISTRATORS:
            raise _not_here()
        self.reset_factors_at_machine(account.login)

    def reset_factors_at_machine(self, login: str) -> None:
        """As :meth:`reset_factors`, for any account, for who has the machine in hands."""
        with self._database.write() as connection:
            account = _by_login(connection, login)
            self._changed(account, "second factors reset")
            for table in (totps, passkeys, recovery_codes):
                connection.execute(sa.delete(table).where(table.c.account == account.id))
            _sign_out(connection, account.id)

    def grant(self, account_id: str, role: Role | None, *, by: str) -> Account:
        """Give an account a role, another one, or none; its sessions and keys end.

        Args:
            account_id: Whose.
            role: The role; None: none.
            by: Account of the security administrator.

        Raises:
            NotFoundError: There is no such account.
            ForbiddenError: It is one's own.
            ConflictError: It is the last of its administrative role that can sign in.
        """
        if account_id == by:
            raise ForbiddenError(
                "Nobody grants or takes a role of their own.",
                zh="不能给自己授予或收回角色。",
                code="own_role",
            )
        with self._database.write(alone=True) as connection:
            account = _get(connection, account_id)
            if account.role == role:
                return account
            self._keep_one(connection, account)
            said = {"login": account.login, "old": account.role, "new": role}
            self._recorder.note(Event.ROLE_GRANTED, object=account_id, detail=said, account=by)
            if role is None:
                connection.execute(sa.delete(role_grants).where(role_grants.c.account == account_id))
            else:
                grant(connection, account_id, role, by=by, now=self._clock())
            _sign_out(connection, account_id, keys_at=self._clock())
            return _get(connection, account_id)

    def label(self, account_id: str, level: Level, *, by: str) -> Account:
        """Say up to which level somebody may read. Raises: NotFoundError, ForbiddenError (one's own)."""
        if account_id == by:
            raise ForbiddenError(
                "Nobody sets a level of their own.", zh="不能设置自己的密级。", code="own_level"
            )
        with self._database.write() as connection:
            account = _get(connection, account_id)
            said = {"login": account.login, "old": account.level.word, "new": level.word}
            self._recorder.note(Event.LEVEL_SET, object=account_id, detail=said, account=by)
            connection.execute(
                sa.update(accounts).where(accounts.c.id == account_id).values(level=int(level))
            )
            return _get(connection, account_id)

    def _changed(self, account: Account, what: str, changes: dict[str, Any] | None = None) -> None:
        said = {"login": account.login, "what": what, **({"changes": changes} if changes else {})}
        self._recorder.note(Event.ACCOUNT_CHANGED, object=account.id, detail=said)

    def _keep_one(self, connection: sa.Connection, account: Account) -> None:
        """The last administrator of a kind stays: without one nobody could appoint the next."""
        if account.role not in (Role.SYSTEM, Role.SECURITY) or account.disabled:
            return
        now = self._clock()
        others = selected().where(
            role_grants.c.role == str(account.role),
            accounts.c.id != account.id,
            accounts.c.disabled.is_(None),
            sa.or_(accounts.c.expires_at.is_(None), accounts.c.expires_at > now),
        )
        if connection.execute(others.limit(1)).one_or_none() is None:
            raise ConflictError(
                "This is the last account of its administrative role. Appoint another one first.",
                zh="这是该管理员角色的最后一个账号，请先指定另一个。",
                code="last_administrator",
            )


def insert(
    connection: sa.Connection,
    *,
    login: str,
    name: str,
    department: str,
    now: float,
    by: str | None,
    password: str | None = None,
    source: str = "local",
    subject: str | None = None,
    level: Level = Level.INTERNAL,
    expires_at: float | None = None,
) -> str:
    """Add an account.

    Returns:
        Its id.

    Raises:
        ConflictError: The login is or was somebody's.
    """
    account_id = new_id("usr")
    try:
        connection.execute(
            sa.insert(accounts).values(
                id=account_id,
                login=login,
                name=name[:128],
                department=department[:128],
                source=source,
                subject=subject,
                level=int(level),
                password=password,
                password_at=now if password else None,
                must_change=password is not None,
                created_at=now,
                created_by=by,
                active_at=now,
                expires_at=expires_at,
            )
        )
    except IntegrityError as error:
        raise ConflictError(
            "This login is in use, or was: a login is given to one person only.",
            zh="该用户名已被使用或曾被使用：一个用户名只属于一个人。",
            param="login",
            code="login_taken",
        ) from error
    return account_id


def grant(connection: sa.Connection, account_id: str, role: Role, *, by: str | None, now: float) -> None:
    """Write a role down in place of the one that is there; the database refuses one's own."""
    connection.execute(sa.delete(role_grants).where(role_grants.c.account == account_id))
    try:
        connection.execute(
            sa.insert(role_grants).values(account=account_id, role=str(role), granted_by=by, granted_at=now)
        )
    except IntegrityError as error:
        raise ForbiddenError(
            "Nobody grants a role of their own.", zh="不能给自己授予角色。", code="own_role"
        ) from error


def set_password(
    connection: sa.Connection, account_id: str, hashed: str, *, now: float, history: int
) -> None:
    """Put a new password in place, the one that it replaces into the history."""
    old = connection.execute(
        sa.select(accounts.c.password, accounts.c.password_at).where(accounts.c.id == account_id)
    ).one()
    if old.password:
        connection.execute(
            sa.insert(past_passwords).values(account=account_id, password=old.password, set_at=now)
        )
    kept = (
        sa.select(past_passwords.c.id)
        .where(past_passwords.c.account == account_id)
        .order_by(past_passwords.c.id.desc())
        .limit(history)
    )
    ids = connection.execute(kept).scalars().all()
    connection.execute(
        sa.delete(past_passwords).where(
            past_passwords.c.account == account_id, past_passwords.c.id.not_in(ids)
        )
    )
    connection.execute(
        sa.update(accounts)
        .where(accounts.c.id == account_id)
        .values(password=hashed, password_at=now, must_change=False)
    )


def earlier_passwords(connection: sa.Connection, account_id: str, history: int) -> Sequence[str]:
    """Hashes of the last passwords, the newest first, the present one aside."""
    query = (
        sa.select(past_passwords.c.password)
        .where(past_passwords.c.account == account_id)
        .order_by(past_passwords.c.id.desc())
        .limit(max(0, history - 1))
    )
    return connection.execute(query).scalars().all()


def _get(connection: sa.Connection, account_id: str) -> Account:
    row = connection.execute(selected().where(accounts.c.id == account_id)).one_or_none()
    if row is None:
        raise NotFoundError("There is no such account.", zh="没有这个账号。", code="account_not_found")
    return account_of(row)


def _by_login(connection: sa.Connection, login: str) -> Account:
    row = connection.execute(selected().where(accounts.c.login == login.strip().lower())).one_or_none()
    if row is None:
        raise NotFoundError("There is no such account.", zh="没有这个账号。", code="account_not_found")
    return account_of(row)


def _sign_out(connection: sa.Connection, account_id: str, *, keys_at: float | None = None) -> None:
    """End all sessions and begun sign-ins; ``keys_at``: revoke the keys too, at this time."""
    for table in (sessions, sign_ins):
        connection.execute(sa.delete(table).where(table.c.account == account_id))
    if keys_at is not None:
        connection.execute(
            sa.update(keys)
            .where(keys.c.account == account_id, keys.c.revoked_at.is_(None))
            .values(revoked_at=keys_at)
        )


def _not_here() -> ForbiddenError:
    return ForbiddenError(
        "An administrator's password and second factors are reset at the machine only: vlpro user reset LOGIN",
        zh="管理员的密码和第二因素只能在服务器上重置：vlpro user reset 用户名",
        code="administrator_account",
    )
