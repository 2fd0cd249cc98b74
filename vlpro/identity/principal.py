"""Who asks: the person behind a request, and what may be done in their name."""

from __future__ import annotations

from dataclasses import dataclass

from vlpro.errors import ForbiddenError
from vlpro.identity.labels import Level
from vlpro.identity.permissions import PERMISSIONS, Permission, Role

__all__ = ["LOCAL", "Person", "Principal"]


@dataclass(frozen=True, slots=True)
class Person:
    """As services know somebody: whose things, and up to which label.

    Args:
        id: Of the account.
        level: The highest label that the person may read.
    """

    id: str
    level: Level = Level.SECRET


@dataclass(frozen=True, slots=True)
class Principal:
    """As the gateway knows somebody.

    Args:
        account: Id.
        login: Login.
        name: Full name.
        department: Department.
        role: The account's.
        level: The highest label that the person may read.
        permissions: What this session or key may do.
        session: Id of the session; None: a key asks, or profile ``local``.
        key: Id of the API key; None: a session asks.
    """

    account: str
    login: str
    name: str
    department: str
    role: Role
    level: Level
    permissions: frozenset[Permission]
    session: str | None = None
    key: str | None = None

    @property
    def person(self) -> Person:
        """For services."""
        return Person(self.account, self.level)

    def require(self, permission: Permission) -> None:
        """Refuse what is not permitted.

        Raises:
            ForbiddenError: It is not.
        """
        if permission not in self.permissions:
            raise ForbiddenError(
                "Your role, or this key, may not do this.",
                zh="您的角色或该密钥无权执行此操作。",
                code="permission_denied",
            )


LOCAL = Principal(
    account="local",
    login="local",
    name="",
    department="",
    role=Role.USER,
    level=Level.SECRET,
    permissions=PERMISSIONS[Role.USER] - {Permission.SELF_USE},  # there is no account to look after
)
"""The person at the machine, in profile ``local``."""
