"""Sessions: opaque tokens in a cookie, known by their hash, ended by idleness, age or somebody's word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from vlpro.audit.events import Event
from vlpro.audit.recorder import Recorder
from vlpro.crypto import Sealer
from vlpro.db import Database
from vlpro.errors import NotFoundError
from vlpro.identity.policy import Policy
from vlpro.identity.tables import accounts, sessions
from vlpro.identity.tokens import digest, new_id, new_session_token

__all__ = ["Session", "Sessions", "open_session"]

_PAGE = 200


@dataclass(frozen=True, slots=True)
class Session:
    """A session as its owner and the system administrator see it; times are Unix seconds."""

    id: str
    account: str
    login: str
    name: str
    created_at: float
    seen_at: float
    expires_at: float
    address: str
    agent: str
    factor: str


def open_session(
    connection: sa.Connection,
    account: str,
    policy: Policy,
    *,
    sealer: Sealer,
    now: float,
    address: str,
    agent: str,
    factor: str,
) -> str:
    """Begin a session; those beyond the policy's number end, the longest unused first.

    Args:
        connection: Of a writing transaction.
        account: Whose.
        policy: In force.
        sealer: Marks the token as issued here.
        now: Unix time.
        address: Where from.
        agent: The browser, as it names itself.
        factor: The second factor that was given: totp, passkey, recovery, or none.

    Returns:
        The token, for the cookie.
    """
    token = new_session_token(sealer)
    kept = (
        sa.select(sessions.c.id)
        .where(sessions.c.account == account, sessions.c.expires_at > now)
        .order_by(sessions.c.seen_at.desc())
        .limit(policy.sessions_per_account - 1)
    )
    ids = connection.execute(kept).scalars().all()
    connection.execute(sa.delete(sessions).where(sessions.c.account == account, sessions.c.id.not_in(ids)))
    connection.execute(
        sa.insert(sessions).values(
            id=new_id("ses"),
            token=digest(token),
            account=account,
            created_at=now,
            seen_at=now,
            expires_at=now + policy.session_hours * 3600,
            address=address,
            agent=agent[:256],
            factor=factor,
        )
    )
    return token


class Sessions:
    """Lists and ends sessions.

    Args:
        database: Where they are.
        clock: Unix time.
        recorder: Of the audit.

    Attributes:
        ended: Is told whose sessions somebody ended.
    """

    ended: Callable[[str], None] = staticmethod(lambda _: None)

    def __init__(self, database: Database, clock: Callable[[], float], recorder: Recorder) -> None:
        self._database = database
        self._clock = clock
        self._recorder = recorder

    def all(self, policy: Policy, account: str | None = None) -> list[Session]:
        """Sessions that live, the last used first, 200 at most.

        Args:
            policy: In force: one that was idle for too long lives no more.
            account: Whose; None: everybody's.
        """
        now = self._clock()
        query = (
            sa.select(sessions, accounts.c.login, accounts.c.name)
            .join(accounts, accounts.c.id == sessions.c.account)
            .where(sessions.c.expires_at > now, sessions.c.seen_at > now - policy.idle_minutes * 60)
            .order_by(sessions.c.seen_at.desc())
            .limit(_PAGE)
        )
        if account is not None:
            query = query.where(sessions.c.account == account)
        with self._database.read() as connection:
            return [
                Session(
                    row.id, row.account, row.login, row.name, row.created_at, row.seen_at, row.expires_at,
                    row.address, row.agent, row.factor,
                )
                for row in connection.execute(query)
            ]  # fmt: skip

    def end(self, session_id: str, account: str | None = None) -> None:
        """End one session.

        Args:
            session_id: Which.
            account: Whose it must be; None: anybody's.

        Raises:
            NotFoundError: There is none.
        """
        query = sa.delete(sessions).where(sessions.c.id == session_id).returning(sessions.c.account)
        if account is not None:
            query = query.where(sessions.c.account == account)
        with self._database.write() as connection:
            whose = connection.execute(query).scalar()
            if whose is None:
                there = connection.execute(sa.select(sessions.c.id).where(sessions.c.id == session_id))
                raise NotFoundError(
                    "There is no such session.",
                    zh="没有这个会话。",
                    code="session_not_found",
                    foreign=there.scalar() is not None,
                )
            self._recorder.note(Event.SIGN_OUT, object=whose, detail={"sessions": 1, "session": session_id})
        self.ended(whose)

    def end_all(self, account: str, *, but: str | None = None) -> int:
        """End a person's sessions; ``but``: one that stays. Returns how many ended."""
        query = sa.delete(sessions).where(sessions.c.account == account)
        if but is not None:
            query = query.where(sessions.c.id != but)
        with self._database.write() as connection:
            ended = connection.execute(query).rowcount
            self._recorder.note(Event.SIGN_OUT, object=account, detail={"sessions": ended})
        self.ended(account)
        return ended
