"""API keys: ``vlp_…``, shown once, with scopes, an end, limits and addresses."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from vlpro.audit.events import Event
from vlpro.audit.recorder import Recorder
from vlpro.db import Database
from vlpro.errors import BadRequestError, ConflictError, NotFoundError
from vlpro.identity.permissions import KEY_SCOPES, PERMISSIONS, Permission, Role
from vlpro.identity.policy import PolicyStore, networks
from vlpro.identity.tables import key_usage, keys
from vlpro.identity.tokens import digest, new_id, new_key

__all__ = ["DAY_S", "Key", "Keys"]

DAY_S = 86_400
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Key:
    """A key as its owner sees it; times are Unix seconds, ``tokens_today`` counts since midnight UTC."""

    id: str
    prefix: str
    name: str
    scopes: tuple[Permission, ...]
    addresses: tuple[str, ...]
    requests_per_minute: int
    tokens_per_day: int
    tokens_today: int
    created_at: float
    expires_at: float
    used_at: float | None


class Keys:
    """A person's own keys.

    Args:
        database: Where they are.
        policies: The policy in force.
        clock: Unix time.
        recorder: Of the audit.
    """

    def __init__(
        self,
        database: Database,
        policies: PolicyStore,
        clock: Callable[[], float],
        recorder: Recorder,
    ) -> None:
        self._recorder = recorder
        self._database = database
        self._policies = policies
        self._clock = clock

    def of(self, account: str) -> list[Key]:
        """Keys that are not revoked, the newest first."""
        today = int(self._clock()) // DAY_S
        query = (
            sa.select(keys, key_usage.c.tokens)
            .outerjoin(key_usage, sa.and_(key_usage.c.key == keys.c.id, key_usage.c.day == today))
            .where(keys.c.account == account, keys.c.revoked_at.is_(None))
            .order_by(keys.c.created_at.desc(), keys.c.id)
        )
        with self._database.read() as connection:
            return [_key(row) for row in connection.execute(query)]

    def create(
        self,
        account: str,
        role: Role,
        *,
        name: str,
        scopes: Collection[Permission],
        days: int,
        requests_per_minute: int | None = None,
        tokens_per_day: int = 0,
        addresses: Sequence[str] = (),
    ) -> tuple[Key, str]:
        """Make a key.

        Args:
            account: Whose.
            role: The owner's, beyond which no key goes.
            name: What it is for.
            scopes: What it may do.
            days: How long it is valid.
            requests_per_minute: Most requests in 60 seconds; the policy's number where left out.
            tokens_per_day: Most tokens read and written from midnight to midnight UTC; 0: no limit.
            addresses: Networks from which it is valid, within the policy's; empty: all of those.

        Returns:
            The key, and its secret, which is shown now and never again.

        Raises:
            BadRequestError: A field is out of its bounds.
            ConflictError: The policy allows no further key.
        """
        policy = self._policies.current().policy
        allowed = KEY_SCOPES & PERMISSIONS[role]
        if not name.strip():
            raise BadRequestError("The name is empty.", zh="名称不能为空。", param="name")
        if not scopes or not set(scopes) <= allowed:
            names = ", ".join(sorted(allowed))
            raise BadRequestError(
                f"A key of yours can have these scopes: {names}.",
                zh=f"您的密钥可选的权限范围：{names}。",
                param="scopes",
            )
        if not 1 <= days <= policy.key_max_days:
            raise BadRequestError(
                f"A key is valid for 1 to {policy.key_max_days} days.",
                zh=f"密钥的有效期为 1 至 {policy.key_max_days} 天。",
                param="days",
            )
        rate = policy.key_requests_per_minute if requests_per_minute is None else requests_per_minute
        if not 1 <= rate <= policy.key_requests_per_minute:
            raise BadRequestError(
                f"A key takes 1 to {policy.key_requests_per_minute} requests a minute.",
                zh=f"密钥每分钟可用 1 至 {policy.key_requests_per_minute} 次。",
                param="requests_per_minute",
            )
        try:
            where = networks(addresses)
        except ValueError as error:
            raise BadRequestError(
                f"addresses: {error}.", zh=f"addresses 不正确：{error}。", param="addresses"
            ) from error
        secret, now = new_key(), self._clock()
        key_id = new_id("key")
        with self._database.write(alone=True) as connection:
            held = connection.execute(
                sa.select(sa.func.count())
                .select_from(keys)
                .where(keys.c.account == account, keys.c.revoked_at.is_(None), keys.c.expires_at > now)
            ).scalar_one()
            if held >= policy.keys_per_account:
                raise ConflictError(
                    f"You have {held} keys, as many as the policy allows. Revoke one first.",
                    zh=f"您已有 {held} 个密钥，达到策略上限，请先撤销一个。",
                    code="too_many_keys",
                )
            self._recorder.note(
                Event.KEY_CREATED,
                object=key_id,
                detail={
                    "name": name.strip()[:64],
                    "scopes": sorted(scopes),
                    "days": days,
                    "addresses": list(where),
                },
            )
            connection.execute(
                sa.insert(keys).values(
                    id=key_id,
                    token=digest(secret),
                    prefix=secret[:_SHOWN],
                    account=account,
                    name=name.strip()[:64],
                    scopes=sorted(scopes),
                    addresses=list(where),
                    requests_per_minute=rate,
                    tokens_per_day=max(0, tokens_per_day),
                    created_at=now,
                    expires_at=now + days * DAY_S,
                )
            )
        return next(key for key in self.of(account) if key.id == key_id), secret

    def revoke(self, key_id: str, account: str) -> None:
        """End a key of one's own. Raises: NotFoundError."""
        with self._database.write() as connection:
            done = connection.execute(
                sa.update(keys)
                .where(keys.c.id == key_id, keys.c.account == account, keys.c.revoked_at.is_(None))
                .values(revoked_at=self._clock())
            )
            if not done.rowcount:
                there = connection.execute(
                    sa.select(keys.c.id).where(keys.c.id == key_id, keys.c.account != account)
                )
                raise NotFoundError(
                    "There is no such key.",
                    zh="没有这个密钥。",
                    code="key_not_found",
                    foreign=there.scalar() is not None,
                )
            self._recorder.note(Event.KEY_REVOKED, object=key_id)

    def spend(self, key_id: str, tokens: int) -> None:
        """Count tokens that were read and written for a key today."""
        today = int(self._clock()) // DAY_S
        of_today = sa.and_(key_usage.c.key == key_id, key_usage.c.day == today)
        with self._database.write() as connection:
            added = connection.execute(
                sa.update(key_usage).where(of_today).values(tokens=key_usage.c.tokens + tokens)
            )
            if added.rowcount:
                return
            try:
                with connection.begin_nested():
                    connection.execute(sa.insert(key_usage).values(key=key_id, day=today, tokens=tokens))
            except sa.exc.IntegrityError:  # another process was quicker
                connection.execute(
                    sa.update(key_usage).where(of_today).values(tokens=key_usage.c.tokens + tokens)
                )


def _key(row: sa.Row[Any]) -> Key:
    return Key(
        id=row.id,
        prefix=row.prefix,
        name=row.name,
        scopes=tuple(Permission(scope) for scope in row.scopes),
        addresses=tuple(row.addresses),
        requests_per_minute=row.requests_per_minute,
        tokens_per_day=row.tokens_per_day,
        tokens_today=row.tokens or 0,
        created_at=row.created_at,
        expires_at=row.expires_at,
        used_at=row.used_at,
    )
