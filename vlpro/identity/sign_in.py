"""Signing in: step by step, from login and password to a session. No session before the last step."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from vlpro.audit.events import Event, Outcome
from vlpro.audit.recorder import Recorder
from vlpro.crypto import Sealer
from vlpro.db import Database
from vlpro.identity import totp
from vlpro.identity.accounts import (
    Account,
    account_of,
    checked_login,
    earlier_passwords,
    grant,
    insert,
    selected,
    set_password,
)
from vlpro.identity.addresses import allowed
from vlpro.identity.authentication import addresses_of
from vlpro.identity.directories.interface import DirectoryPerson, PasswordDirectory
from vlpro.identity.factors import Factors, Place
from vlpro.identity.failures import Failures
from vlpro.identity.labels import Level
from vlpro.identity.passwords import PasswordProblem, Passwords, problems
from vlpro.identity.permissions import ADMINISTRATORS, Role
from vlpro.identity.policy import Policy, PolicyStore
from vlpro.identity.sessions import open_session
from vlpro.identity.tables import accounts, sign_ins
from vlpro.identity.tokens import digest, new_token

__all__ = ["Begun", "Refusal", "RefusedError", "SignIn", "Step"]

log = logging.getLogger(__name__)

_LIFETIME_S = 600
_DAY_S = 86_400
_TYPED = 256


class Step(StrEnum):
    """What is still to come before there is a session."""

    SECOND_FACTOR = "second_factor"
    PASSWORD = "password"  # noqa: S105 - the name of a step
    ENROL = "enrol"
    RECOVERY_CODES = "recovery_codes"
    DONE = "done"


class Refusal(StrEnum):
    """Why a step was refused, as far as the person is told."""

    WRONG = "wrong"  # login or password: which of the two is not told
    LOCKED = "locked"
    NO_ROLE = "no_role"  # the password is right, but the account has no role
    NO_ENTRY = "no_entry"  # likewise, but it is disabled, has expired, or may not come from there
    CODE = "code"
    REPLAY = "replay"
    DRIFT = "drift"
    PASSKEY = "passkey"
    EXPIRED = "expired"


class RefusedError(Exception):
    """A step was refused; it never leaves the gateway's pages.

    Args:
        refusal: Why.
        value: Tries left, minutes, or seconds of drift.
    """

    def __init__(self, refusal: Refusal, value: int = 0) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal
        self.value = value


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in on its way.

    Args:
        account: Whose.
        step: What comes next.
        place: For second factors.
        aged: The password is to be changed because of its age; else because it is a one-time password.
        proven: The second factor was given.
        address: Where it began.
        resume: The path to go on to.
    """

    account: Account
    step: Step
    place: Place
    aged: bool
    proven: bool
    address: str
    resume: str


class SignIn:
    """Leads from login and password to a session.

    Args:
        database: Where sign-ins are.
        passwords: Checks passwords.
        policies: The policy in force.
        failures: Counts failures.
        factors: Checks second factors.
        directory: Of the company, for people without a local password; None: there is none.
        sealer: Marks sessions' tokens.
        clock: Unix time.
        recorder: Of the audit.
    """

    def __init__(
        self,
        database: Database,
        *,
        passwords: Passwords,
        policies: PolicyStore,
        failures: Failures,
        factors: Factors,
        directory: PasswordDirectory | None,
        sealer: Sealer,
        clock: Callable[[], float],
        recorder: Recorder,
    ) -> None:
        self._sealer = sealer
        self._recorder = recorder
        self._database = database
        self._passwords = passwords
        self._policies = policies
        self._failures = failures
        self._factors = factors
        self._directory = directory
        self._clock = clock

    # --- the first step

    def begin(self, login: str, password: str, address: str, *, resume: str = "/") -> str:
        """Check login and password.

        Args:
            login: As typed.
            password: As typed.
            address: Where the person is.
            resume: The path to go on to afterwards.

        Returns:
            The token of the sign-in, for its cookie.

        Raises:
            RefusedError: WRONG, LOCKED, NO_ROLE or NO_ENTRY.
            BusyError: Too many checks wait.
            DirectoryUnavailableError: The company's directory does not answer.
        """
        login = login.strip().lower()[:_TYPED]
        if minutes := self._failures.locked_minutes(login, address):
            log.warning("sign-in refused: login or address %s is locked", address)
            self._refused(self._by_login(login), login, "locked")
            raise RefusedError(Refusal.LOCKED, minutes)
        account = self._by_login(login)
        # An unknown login is checked like a known one: with a hash that nothing matches, and in the directory.
        local = account is not None and account.source == "local"
        right = self._passwords.matches(account.password if account and local else None, password)
        if not right and not local and self._directory is not None:
            person = self._directory.check(login, password)
            if person is not None:
                return self.begin_from_directory(person, address, resume=resume)
        if account is None or not right:
            self._refused(account, login, "wrong login or password")
            raise self._wrong(login, address)
        return self._open(account, address, resume)

    def begin_from_directory(self, person: DirectoryPerson, address: str, *, resume: str = "/") -> str:
        """A company's directory vouches for somebody; the account is made at the first time.

        Returns:
            The token of the sign-in.

        Raises:
            RefusedError: NO_ROLE: no rule gives this person one; NO_ENTRY: the login is another's.
        """
        version = self._policies.current()
        rules = [rule for rule in version.policy.directory_groups if rule.group in person.groups]
        roles = {rule.role for rule in rules}
        mapped = next(iter(roles)) if len(roles) == 1 else None  # roles that contradict each other give none
        now = self._clock()
        with self._database.write(alone=True) as connection:
            row = connection.execute(
                selected().where(accounts.c.source == person.source, accounts.c.subject == person.subject)
            ).one_or_none()
            account = account_of(row) if row is not None else None
            if account is None:
                if mapped is None:
                    log.warning("sign-in refused: %s's groups give no role, or several", person.login)
                    raise RefusedError(Refusal.NO_ROLE)
                account_id = self._new(connection, person, now)
            else:
                account_id = account.id
                connection.execute(
                    sa.update(accounts)
                    .where(accounts.c.id == account_id)
                    .values(name=person.name[:128], department=person.department[:128])
                )
            if rules:
                connection.execute(
                    sa.update(accounts)
                    .where(accounts.c.id == account_id)
                    .values(level=int(max(Level.of(rule.level) for rule in rules)))
                )
            before = account.role if account else None
            self._follow(connection, account_id, before=before, mapped=mapped, author=version.author, now=now)
            account = account_of(connection.execute(selected().where(accounts.c.id == account_id)).one())
        return self._open(account, address, resume)

    def _new(self, connection: sa.Connection, person: DirectoryPerson, now: float) -> str:
        try:
            return insert(
                connection,
                login=checked_login(person.login),
                name=person.name or person.login,
                department=person.department,
                now=now,
                by=None,
                source=person.source,
                subject=person.subject,
            )
        except Exception as error:
            log.warning("sign-in refused: no account can be made for %s of the directory", person.login)
            raise RefusedError(Refusal.NO_ENTRY) from error

    def _follow(
        self,
        connection: sa.Connection,
        account_id: str,
        *,
        before: Role | None,
        mapped: Role | None,
        author: str | None,
        now: float,
    ) -> None:
        """Let the role follow the directory's groups, in the name of who wrote the rules."""
        if mapped == before:
            return
        if mapped is None or author is None or author == account_id:
            log.warning(
                "sign-in refused: the directory's groups give %s no role that it may take", account_id
            )
            raise RefusedError(Refusal.NO_ROLE)
        grant(connection, account_id, mapped, by=author, now=now)

    def _open(self, account: Account, address: str, resume: str) -> str:
        policy = self._policies.current().policy
        now = self._clock()
        self._check_entry(account, policy, address, now)
        token = new_token()
        with self._database.write() as connection:
            connection.execute(sa.delete(sign_ins).where(sign_ins.c.expires_at < now))
            connection.execute(
                sa.insert(sign_ins).values(
                    token=digest(token),
                    account=account.id,
                    created_at=now,
                    expires_at=now + _LIFETIME_S,
                    address=address,
                    resume=resume,
                    proven=False,
                    codes_kept=True,
                )
            )
        return token

    def _refused(self, account: Account | None, login: str, why: str) -> None:
        """Record a sign-in that failed; of a login that nobody has only its hash, since it may be a password."""
        known = account is not None
        self._recorder.note(
            Event.SIGN_IN,
            outcome=Outcome.REFUSED,
            object=account.id if account is not None else "",
            detail={"why": why} | ({} if known else {"typed": digest(login).hex()[:16]}),
            login=login if known else "",
        )

    def _check_entry(self, account: Account, policy: Policy, address: str, now: float) -> None:
        reason = self._no_entry(account, policy, address, now)
        if reason:
            log.warning("sign-in of %s refused: %s", account.login, reason)
            self._refused(account, account.login, reason)
            raise RefusedError(Refusal.NO_ENTRY if account.role is not None else Refusal.NO_ROLE)

    def _no_entry(self, account: Account, policy: Policy, address: str, now: float) -> str:
        """Why an account may not sign in though its password is right; empty: it may."""
        if account.disabled is not None:
            return f"it is disabled ({account.disabled})"
        if account.expires_at is not None and now >= account.expires_at:
            return "it has expired"
        if now - account.active_at >= policy.disable_after_idle_days * _DAY_S:
            with self._database.write() as connection:
                connection.execute(
                    sa.update(accounts).where(accounts.c.id == account.id).values(disabled="idle")
                )
            return f"it was not used for {policy.disable_after_idle_days} days"
        if account.role is None:
            return "it has no role yet"
        if not allowed(address, addresses_of(account.role, policy)):
            return f"the policy does not list the address {address}"
        return ""

    def _wrong(self, login: str, address: str) -> RefusedError:
        policy = self._policies.current().policy
        left = self._failures.count(login, address, policy)
        log.warning("sign-in refused: wrong login or password from %s, %d tries left", address, left)
        return (
            RefusedError(Refusal.WRONG, left) if left else RefusedError(Refusal.LOCKED, policy.lock_minutes)
        )

    # --- the steps after it

    def state(self, token: str, address: str) -> Begun:
        """How far a sign-in is.

        Raises:
            RefusedError: EXPIRED: it is unknown, too old, or goes on from another address.
        """
        hashed = digest(token)
        with self._database.read() as connection:
            row = connection.execute(sa.select(sign_ins).where(sign_ins.c.token == hashed)).one_or_none()
            if row is None or row.expires_at <= self._clock() or row.address != address:
                raise RefusedError(Refusal.EXPIRED)
            account = account_of(connection.execute(selected().where(accounts.c.id == row.account)).one())
        policy = self._policies.current().policy
        step, aged = self._next(account, policy, proven=row.proven, codes_kept=row.codes_kept)
        return Begun(account, step, Place(sign_ins, hashed), aged, row.proven, row.address, row.resume)

    def _next(self, account: Account, policy: Policy, *, proven: bool, codes_kept: bool) -> tuple[Step, bool]:
        held = self._factors.of(account.id)
        if held.any and not proven:
            return Step.SECOND_FACTOR, False
        local = account.source == "local"
        age = self._clock() - (account.password_at or 0)
        aged = local and not account.must_change and age >= policy.password_max_age_days * _DAY_S
        if local and (account.must_change or aged):
            return Step.PASSWORD, aged
        if not held.any and needs_factor(account, policy):
            return Step.ENROL, False
        return (Step.DONE if codes_kept else Step.RECOVERY_CODES), False

    def code(self, begun: Begun, code: str) -> None:
        """Give a one-time code. Raises: RefusedError (CODE, REPLAY, DRIFT, LOCKED)."""
        self._check_lock(begun)
        result = self._factors.check_totp(begun.account.id, code)
        self._take(begun, result)

    def recovery_code(self, begun: Begun, code: str) -> None:
        """Give a recovery code instead. Raises: RefusedError (CODE, LOCKED)."""
        self._check_lock(begun)
        right = self._factors.burn_recovery_code(begun.account.id, code)
        self._take(begun, totp.Code(step=1 if right else None))

    def passkey(self, begun: Begun, credential: dict[str, Any]) -> None:
        """Give a passkey's answer. Raises: RefusedError (PASSKEY, LOCKED)."""
        self._check_lock(begun)
        if not self._factors.check_passkey(begun.place, begun.account.id, credential):
            raise self._failed(begun, Refusal.PASSKEY)
        self._proven(begun)

    def enrol_code(self, begun: Begun, code: str) -> None:
        """Confirm the secret that was offered.

        Raises:
            RefusedError: CODE, DRIFT or EXPIRED.
        """
        if begun.step is not Step.ENROL:
            raise RefusedError(Refusal.EXPIRED)
        result = self._factors.accept_totp(begun.place, begun.account.id, code)
        if result.step is None:
            raise (
                RefusedError(Refusal.DRIFT, result.drift_s) if result.drift_s else RefusedError(Refusal.CODE)
            )
        self._note(begun, proven=True, codes_kept=False)

    def enrol_passkey(self, begun: Begun, credential: dict[str, Any], name: str) -> None:
        """Keep the passkey that the browser made.

        Raises:
            RefusedError: EXPIRED.
            BadRequestError: The passkey is not acceptable.
        """
        if begun.step is not Step.ENROL:
            raise RefusedError(Refusal.EXPIRED)
        self._factors.register(begun.place, begun.account.id, credential, name)
        self._note(begun, proven=True, codes_kept=False)

    def recovery_codes(self, begun: Begun) -> list[str]:
        """Recovery codes, to be shown now; earlier ones are void, so that a reload shows others.

        Raises:
            RefusedError: EXPIRED: it is not this step's turn.
        """
        if begun.step is not Step.RECOVERY_CODES:
            raise RefusedError(Refusal.EXPIRED)
        return self._factors.new_recovery_codes(begun.account.id)

    def codes_kept(self, begun: Begun) -> None:
        """The person has put the recovery codes away."""
        self._note(begun, codes_kept=True)

    def new_password(self, begun: Begun, password: str) -> list[PasswordProblem]:
        """Choose a new password; returns the rules that it breaks, none where it is in force now.

        Raises:
            RefusedError: EXPIRED: it is not this step's turn.
        """
        if begun.step is not Step.PASSWORD:
            raise RefusedError(Refusal.EXPIRED)
        return self.change_password(begun.account, password)

    def change_password(self, account: Account, password: str) -> list[PasswordProblem]:
        """Put a new password in force; returns the rules that it breaks, none where it is in force now."""
        policy = self._policies.current().policy
        found = problems(password, policy, (account.login, account.name, "qwen", "vlpro"))
        if not found and self._passwords.matches(account.password, password):
            found = [PasswordProblem("same")]
        if not found:
            with self._database.read() as connection:
                earlier = earlier_passwords(connection, account.id, policy.password_history)
            if any(self._passwords.matches(old, password) for old in earlier):
                found = [PasswordProblem("used", policy.password_history)]
        if not found:
            hashed = self._passwords.hash(password)
            with self._database.write() as connection:
                self._recorder.note(
                    Event.PASSWORD_CHANGED, object=account.id, account=account.id, login=account.login
                )
                set_password(
                    connection, account.id, hashed, now=self._clock(), history=policy.password_history
                )
        return found

    def finish(self, token: str, address: str, agent: str) -> str:
        """Make a session of a sign-in in which nothing is left to do.

        Returns:
            The session's token, for its cookie.

        Raises:
            RefusedError: EXPIRED: something is left, or it was finished already.
        """
        begun = self.state(token, address)
        if begun.step is not Step.DONE:
            raise RefusedError(Refusal.EXPIRED)
        account, policy, now = begun.account, self._policies.current().policy, self._clock()
        self._check_entry(account, policy, address, now)
        held = self._factors.of(account.id)
        factor = "none" if not begun.proven else "totp" if held.totp_at is not None else "passkey"
        with self._database.write() as connection:
            ended = connection.execute(sa.delete(sign_ins).where(sign_ins.c.token == begun.place.key))
            if not ended.rowcount:
                raise RefusedError(Refusal.EXPIRED)
            self._recorder.note(
                Event.SIGN_IN,
                object=account.id,
                detail={"factor": factor},
                account=account.id,
                login=account.login,
                role=str(account.role or ""),
            )
            connection.execute(
                sa.update(accounts).where(accounts.c.id == account.id).values(signed_in_at=now, active_at=now)
            )
            session = open_session(
                connection,
                account.id,
                policy,
                sealer=self._sealer,
                now=now,
                address=address,
                agent=agent,
                factor=factor,
            )
        self._failures.forget(account.login)
        log.info("%s signed in from %s", account.login, address)
        return session

    def cancel(self, token: str) -> None:
        """Begin again."""
        with self._database.write() as connection:
            connection.execute(sa.delete(sign_ins).where(sign_ins.c.token == digest(token)))

    def check_password(self, account: Account, password: str, address: str) -> None:
        """Ask a person who is signed in for the password again, before something that matters.

        Raises:
            RefusedError: WRONG or LOCKED; failures count as those of signing in.
        """
        if minutes := self._failures.locked_minutes(account.login, address):
            raise RefusedError(Refusal.LOCKED, minutes)
        if account.source == "local":
            right = self._passwords.matches(account.password, password)
        else:
            person = self._directory.check(account.login, password) if self._directory is not None else None
            right = person is not None and person.subject == account.subject
        if not right:
            self._refused(account, account.login, "wrong password, asked again")
            raise self._wrong(account.login, address)

    # ---

    def _take(self, begun: Begun, result: totp.Code) -> None:
        if result.step is not None:
            self._proven(begun)
        elif result.replayed:
            self._factor(begun, Outcome.REFUSED, Refusal.REPLAY)
            raise RefusedError(Refusal.REPLAY)
        elif result.drift_s:
            raise RefusedError(Refusal.DRIFT, result.drift_s)
        else:
            raise self._failed(begun, Refusal.CODE)

    def _check_lock(self, begun: Begun) -> None:
        if begun.step is not Step.SECOND_FACTOR:
            raise RefusedError(Refusal.EXPIRED)
        if minutes := self._failures.locked_minutes(begun.account.login, begun.address):
            raise RefusedError(Refusal.LOCKED, minutes)

    def _failed(self, begun: Begun, refusal: Refusal) -> RefusedError:
        """A wrong second factor counts like a wrong password: six digits can be guessed."""
        policy = self._policies.current().policy
        left = self._failures.count(begun.account.login, begun.address, policy)
        log.warning("sign-in of %s refused: wrong second factor, %d tries left", begun.account.login, left)
        self._factor(begun, Outcome.REFUSED, refusal)
        return RefusedError(refusal, left) if left else RefusedError(Refusal.LOCKED, policy.lock_minutes)

    def _factor(self, begun: Begun, outcome: Outcome, why: str) -> None:
        account = begun.account
        self._recorder.note(
            Event.SECOND_FACTOR,
            outcome=outcome,
            object=account.id,
            detail={"why": str(why)} if why else {},
            account=account.id,
            login=account.login,
        )

    def _proven(self, begun: Begun) -> None:
        self._factor(begun, Outcome.OK, "")
        self._note(begun, proven=True)

    def _note(self, begun: Begun, **values: bool) -> None:
        with self._database.write() as connection:
            connection.execute(
                sa.update(sign_ins).where(sign_ins.c.token == begun.place.key).values(**values)
            )

    def _by_login(self, login: str) -> Account | None:
        with self._database.read() as connection:
            row = connection.execute(selected().where(accounts.c.login == login)).one_or_none()
        return account_of(row) if row is not None else None


def needs_factor(account: Account, policy: Policy) -> bool:
    """Whether the policy asks an account for a second factor."""
    if account.role in ADMINISTRATORS:
        return True
    if account.source != "local" and not policy.directory_second_factor:
        return False
    return policy.second_factor == "everybody"
