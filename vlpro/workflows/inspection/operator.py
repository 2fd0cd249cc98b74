"""In whose name pictures are inspected that come by themselves: an account of the settings, checked each time."""

from __future__ import annotations

import asyncio

import sqlalchemy as sa

from vlpro.audit.record import Actor
from vlpro.audit.recorder import ACTOR
from vlpro.errors import ConfigError, ForbiddenError, UnauthenticatedError
from vlpro.identity.permissions import Permission
from vlpro.identity.principal import LOCAL, Person, Principal
from vlpro.identity.service import Identity
from vlpro.identity.tables import accounts
from vlpro.workflows.inspection.store import Source

__all__ = ["Operator"]


class Operator:
    """Who a watched folder or a broker acts for.

    Args:
        identity: The accounts; None: profile ``local``, where it is the person at the machine.
        login: Of the account.
        source: Through what pictures come.

    Raises:
        ConfigError: There are accounts, and none is named.
    """

    def __init__(self, identity: Identity | None, login: str, source: Source) -> None:
        self._identity = identity
        self._login = login.strip().lower()
        self._source = source
        if identity is not None and not self._login:
            raise ConfigError(
                f"Set inspection.{source}.account: the login in whose name its pictures are inspected.",
                zh=f"请设置 inspection.{source}.account：以哪个账号的名义检测图片。",
                param=f"inspection.{source}.account",
            )

    async def act(self) -> Person:
        """Have this task act for the account, as far as it may now; what it records is the account's.

        Raises:
            ForbiddenError: The account is not there, is disabled or over, or may not use workflows.
        """
        who = LOCAL if self._identity is None else await self._principal(self._identity)
        ACTOR.set(Actor(account=who.account, login=who.login, role=str(who.role), address=self._source))
        return who.person

    async def _principal(self, identity: Identity) -> Principal:
        def find() -> str | None:
            with identity.database.read() as connection:
                query = sa.select(accounts.c.id).where(accounts.c.login == self._login)
                found: str | None = connection.execute(query).scalar()
                return found

        account = await asyncio.to_thread(find)
        try:
            who = await identity.authentication.aowner(account or "", None)
            who.require(Permission.WORKFLOW_USE)
        except (UnauthenticatedError, ForbiddenError) as error:
            raise ForbiddenError(
                f"Account {self._login} of inspection.{self._source}.account is not there, is disabled, or may not "
                "use workflows.",
                zh=f"inspection.{self._source}.account 指定的账号 {self._login} 不存在、已停用或无权使用业务处理。",
                code="permission_denied",
            ) from error
        return who
