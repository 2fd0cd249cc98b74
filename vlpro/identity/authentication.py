"""Each request's question: whose session or key is this? One query, remembered for less than a second."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from vlpro.db import Database
from vlpro.errors import BusyError, DatabaseError, UnauthenticatedError
from vlpro.identity.addresses import allowed
from vlpro.identity.keys import DAY_S
from vlpro.identity.labels import Level
from vlpro.identity.permissions import ADMINISTRATORS, PERMISSIONS, Permission, Role
from vlpro.identity.policy import Policy, PolicyStore
from vlpro.identity.principal import Principal
from vlpro.identity.rate import Rate
from vlpro.identity.tables import accounts, key_usage, keys, role_grants, sessions
from vlpro.identity.tokens import KEY_PREFIX, digest

__all__ = ["Authentication", "addresses_of"]

log = logging.getLogger(__name__)

_FRESH_S = 0.8  # what was revoked anywhere stops within this time
_MOST = 20_000
_TOUCH_S = 20.0  # a session's last use is noted this often,
_NOTE_S = 5.0  # and such notes are written down together


@dataclass(slots=True)
class _Known:
    """What the database said of a token, and when."""

    principal: Principal
    read_at: float
    seen_at: float
    expires_at: float
    addresses: tuple[str, ...] = ()
    requests_per_minute: int = 0
    tokens_left: bool = True


class Authentication:
    """Finds out who asks.

    Args:
        database: Where sessions and keys are.
        policies: The policy in force.
        clock: Unix time.
        later: Runs what need not be waited for: noting that a session or key was used.
    """

    def __init__(
        self,
        database: Database,
        policies: PolicyStore,
        clock: Callable[[], float],
        *,
        later: Callable[[Callable[[], None]], object],
    ) -> None:
        self._database = database
        self._policies = policies
        self._clock = clock
        self._later = later
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._lock = threading.Lock()
        self._rate = Rate()
        self._used: dict[str, float] = {}  # sessions and keys by id, and when; not yet written down
        self._noted_at = 0.0

    def who(self, token: str, address: str, *, background: bool = False) -> Principal:
        """Who has this token.

        Args:
            token: Of a session, or an API key.
            address: Where the request comes from.
            background: The page asks by itself: a session that only does this is idle all the same.

        Raises:
            UnauthenticatedError: Nobody has it, or not any more, or not from this address.
            BusyError: The key's requests or tokens are used up for now.
        """
        policy = self._policies.current().policy
        known = self._fresh(token)
        if known is None:
            ask = _Question(token, self._clock())
            known = self._learned(ask, self._database.one(ask.statement, ask.values))
        return self._admitted(known, policy, address, background=background)

    async def awho(self, token: str, address: str, *, background: bool = False) -> Principal:
        """As :meth:`who`, for the event loop: what a server of its own is asked is waited for without a thread."""
        policies = self._policies
        current = policies.current() if policies.is_fresh else await asyncio.to_thread(policies.current)
        known = self._fresh(token)
        if known is None:
            ask = _Question(token, self._clock())
            known = self._learned(ask, await self._database.aone(ask.statement, ask.values))
        return self._admitted(known, current.policy, address, background=background)

    async def aowner(self, account: str, key: str | None) -> Principal:
        """Who has something done in the background, with the permissions of now.

        Args:
            account: Id.
            key: Id of the key that it was asked with, whose limits hold; None: a session, which may have ended.

        Raises:
            UnauthenticatedError: The account, or the key, is not valid any more.
            BusyError: The key's requests or tokens are used up for now.
        """
        read_at, now = time.monotonic(), self._clock()
        if key is None:
            row = await self._database.aone(_ACCOUNT, {"account": account})
        else:
            wanted: dict[str, object] = {"account": account, "which": key, "day": int(now) // DAY_S}
            row = await self._database.aone(_KEY_OF, wanted)
        reason = _why_not(row, now)
        if reason or (key is not None and now >= row.expires_at):
            log.warning(
                "refused work in the background: %s", reason or f"of {row.login}: the key has expired"
            )
            raise UnauthenticatedError
        if key is None:
            return _principal(row)
        known = _known(row, read_at, is_key=True)
        self._limit(known)
        return known.principal

    def _fresh(self, token: str) -> _Known | None:
        known = self._known.get(digest(token))
        return known if known is not None and time.monotonic() - known.read_at < _FRESH_S else None

    def _admitted(self, known: _Known, policy: Policy, address: str, *, background: bool) -> Principal:
        principal, now = known.principal, self._clock()
        if now >= known.expires_at:
            raise _refused(principal, "it has expired")
        if principal.key is None and now - known.seen_at >= policy.idle_minutes * 60:
            raise _refused(principal, "the session was idle for too long")
        if not allowed(address, addresses_of(principal.role, policy)):
            raise _refused(principal, f"the policy does not list the address {address}")
        if principal.key is not None:
            if known.addresses and not allowed(address, known.addresses):
                raise _refused(principal, f"the key is not valid from {address}")
            self._limit(known)
        if not background and now - known.seen_at >= _TOUCH_S:
            known.seen_at = now
            self._used[principal.key or principal.session or ""] = now
        if self._used and now - self._noted_at >= _NOTE_S:
            self._noted_at = now
            self._later(self._note)
        return principal

    def forget(self, token: str) -> None:
        """Ask the database anew next time."""
        with self._lock:
            self._known.pop(digest(token), None)

    def _learned(self, ask: _Question, row: Any) -> _Known:
        """What the database's answer means, remembered."""
        reason = _why_not(row, ask.now)
        if row is None or reason:
            with self._lock:
                self._known.pop(ask.hashed, None)
            log.warning("refused %s: %s", "a key" if ask.is_key else "a session", reason)
            raise UnauthenticatedError
        known = _known(row, ask.asked_at, is_key=ask.is_key)
        with self._lock:
            self._known[ask.hashed] = known
            self._known.move_to_end(ask.hashed)
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
        return known

    def _limit(self, known: _Known) -> None:
        key = known.principal.key or ""
        wait = self._rate.wait_s(key, known.requests_per_minute, time.monotonic())
        if wait:
            raise BusyError(
                f"This key may ask {known.requests_per_minute} times a minute. Try again shortly.",
                zh=f"该密钥每分钟最多请求 {known.requests_per_minute} 次，请稍后再试。",
                retry_after=math.ceil(wait),
            )
        if not known.tokens_left:
            raise BusyError(
                "This key's tokens of today are used up. It goes on at midnight (UTC).",
                zh="该密钥今天的 token 额度已用完，UTC 零点后恢复。",
                retry_after=DAY_S - int(self._clock()) % DAY_S,
            )

    def _note(self) -> None:
        """Write down which sessions and keys were used, many at once."""
        with self._lock:
            used, self._used = self._used, {}
        rows = [{"which": name, "when": when} for name, when in used.items()]
        try:
            with self._database.write() as connection:
                for kind, noted in _NOTED.items():
                    some = [row for row in rows if str(row["which"]).startswith(kind)]
                    if some:
                        connection.execute(noted, some)
        except DatabaseError as error:
            log.warning("the use of %d sessions and keys was not noted: %s", len(rows), error.message)


def addresses_of(role: Role, policy: Policy) -> tuple[str, ...]:
    """From where people of a role may come."""
    return policy.administration_addresses if role in ADMINISTRATORS else policy.user_addresses


_PERSON = (
    accounts.c.id.label("account"),
    accounts.c.login,
    accounts.c.name,
    accounts.c.department,
    accounts.c.level,
    accounts.c.disabled,
    accounts.c.expires_at.label("account_expires_at"),
    role_grants.c.role,
)
_NOTED = {
    "ses_": sa.update(sessions)
    .where(sessions.c.id == sa.bindparam("which"))
    .values(seen_at=sa.bindparam("when")),
    "key_": sa.update(keys).where(keys.c.id == sa.bindparam("which")).values(used_at=sa.bindparam("when")),
}
_SESSION = (
    sa.select(sessions.c.id, sessions.c.seen_at, sessions.c.expires_at, *_PERSON)
    .join(accounts, accounts.c.id == sessions.c.account)
    .outerjoin(role_grants, role_grants.c.account == sessions.c.account)
    .where(sessions.c.token == sa.bindparam("hashed"))
)

_ACCOUNT = (
    sa.select(*_PERSON)
    .outerjoin(role_grants, role_grants.c.account == accounts.c.id)
    .where(accounts.c.id == sa.bindparam("account"))
)

_ANY_KEY = (
    sa.select(
        keys.c.id,
        keys.c.used_at,
        keys.c.expires_at,
        keys.c.revoked_at,
        keys.c.scopes,
        keys.c.addresses,
        keys.c.requests_per_minute,
        keys.c.tokens_per_day,
        key_usage.c.tokens,
        *_PERSON,
    )
    .join(accounts, accounts.c.id == keys.c.account)
    .outerjoin(role_grants, role_grants.c.account == keys.c.account)
    .outerjoin(key_usage, sa.and_(key_usage.c.key == keys.c.id, key_usage.c.day == sa.bindparam("day")))
)
_KEY = _ANY_KEY.where(keys.c.token == sa.bindparam("hashed"))
_KEY_OF = _ANY_KEY.where(keys.c.id == sa.bindparam("which"), keys.c.account == sa.bindparam("account"))


class _Question:
    """What the database is asked about a token.

    Args:
        token: As it was sent.
        now: Unix time.
    """

    def __init__(self, token: str, now: float) -> None:
        self.hashed = digest(token)
        self.is_key = token.startswith(KEY_PREFIX)
        self.now = now
        self.asked_at = (
            time.monotonic()
        )  # before the query: what is revoked during it is not remembered for longer
        self.statement = _KEY if self.is_key else _SESSION
        self.values: dict[str, object] = {"hashed": self.hashed}
        if self.is_key:
            self.values["day"] = int(now) // DAY_S


def _why_not(row: Any, now: float) -> str:
    """Why a token is not valid; empty: it is."""
    if row is None:
        return "it is unknown"
    who = f"of {row.login}"
    if getattr(row, "revoked_at", None) is not None:
        return f"{who}: it was revoked"
    if row.disabled is not None:
        return f"{who}: the account is disabled"
    if row.account_expires_at is not None and now >= row.account_expires_at:
        return f"{who}: the account has expired"
    return f"{who}: the account has no role" if row.role is None else ""


def _known(row: Any, read_at: float, *, is_key: bool) -> _Known:
    principal = _principal(row)
    if not is_key:
        return _Known(replace(principal, session=row.id), read_at, row.seen_at, row.expires_at)
    scopes = frozenset(Permission(scope) for scope in row.scopes)
    return _Known(
        replace(principal, permissions=principal.permissions & scopes, key=row.id),
        read_at,
        row.used_at or 0.0,
        row.expires_at,
        tuple(row.addresses),
        row.requests_per_minute,
        not row.tokens_per_day or (row.tokens or 0) < row.tokens_per_day,
    )


def _principal(row: Any) -> Principal:
    role = Role(row.role)
    return Principal(
        row.account, row.login, row.name, row.department, role, Level(row.level), PERMISSIONS[role]
    )


def _refused(principal: Principal, why: str) -> UnauthenticatedError:
    log.warning("refused %s of %s: %s", "a key" if principal.key else "a session", principal.login, why)
    return UnauthenticatedError()
