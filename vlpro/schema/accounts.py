"""What goes over the wire about accounts, sessions, keys and the policy; shared by the gateway and its clients.

Times are Unix seconds. Requests are strict, as in :mod:`vlpro.schema`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from vlpro.schema.shapes import Reply, Request

__all__ = [
    "Account",
    "AccountChange",
    "AccountList",
    "Change",
    "ChangeList",
    "Ended",
    "Key",
    "KeyList",
    "LevelChange",
    "LevelName",
    "NewAccount",
    "NewKey",
    "NewPolicy",
    "OwnAccount",
    "PolicyVersion",
    "PolicyVersionList",
    "RoleChange",
    "RoleName",
    "Session",
    "SessionList",
    "WithPassword",
    "WithSecret",
]

LevelName = Literal["public", "internal", "secret"]
RoleName = Literal["user", "system", "security", "audit"]


class OwnAccount(Reply):
    """``GET /v1/account``: who asks, and what they may do."""

    object: Literal["account"] = "account"
    id: str
    login: str
    name: str
    department: str
    role: RoleName
    level: LevelName
    permissions: list[str]
    key_scopes: list[str] = Field(description="What a key of this account can be given")
    idle_minutes: int
    watermark: bool = Field(description="Whether pages show who looks at them")


class Account(Reply):
    """An account as administrators see it."""

    object: Literal["account"] = "account"
    id: str
    login: str
    name: str
    department: str
    source: str = Field(description="local, ldap or oidc")
    role: RoleName | None
    level: LevelName
    created_at: float
    signed_in_at: float | None
    expires_at: float | None
    disabled: str | None = Field(description="Why: administrator or idle; null: it is not")
    locked: bool = Field(default=False, description="Whether failed sign-ins have locked it for now")


class AccountList(Reply):
    """Accounts by login; ``after`` of the next request is the last one's login."""

    object: Literal["list"] = "list"
    data: list[Account]


class NewAccount(Request):
    """``POST /v1/accounts``."""

    login: Annotated[str, Field(max_length=64)]
    name: Annotated[str, Field(max_length=128)]
    department: Annotated[str, Field(max_length=128)] = ""
    expires_at: Annotated[float, Field(gt=0, le=1e11)] | None = None


class AccountChange(Request):
    """``PUT /v1/accounts/{id}``."""

    name: Annotated[str, Field(max_length=128)]
    department: Annotated[str, Field(max_length=128)]
    expires_at: Annotated[float, Field(gt=0, le=1e11)] | None


class WithPassword(Reply):
    """An account with a one-time password, which is told now and never again."""

    account: Account
    password: str


class RoleChange(Request):
    """``PUT /v1/accounts/{id}/role``; null takes the role away."""

    role: RoleName | None


class LevelChange(Request):
    """``PUT /v1/accounts/{id}/level``."""

    level: LevelName


class Session(Reply):
    """A session."""

    id: str
    account: str
    login: str
    name: str
    created_at: float
    seen_at: float
    expires_at: float
    address: str
    agent: str
    factor: str = Field(description="The second factor that was given: totp, passkey, or none")
    current: bool = Field(description="Whether it is the one that asks")


class SessionList(Reply):
    """Sessions that live, the last used first."""

    object: Literal["list"] = "list"
    data: list[Session]


class Ended(Reply):
    """How many sessions ended."""

    ended: int


class Key(Reply):
    """An API key, without its secret."""

    object: Literal["key"] = "key"
    id: str
    prefix: str
    name: str
    scopes: list[str]
    addresses: list[str]
    requests_per_minute: int
    tokens_per_day: int = Field(description="0: no limit")
    tokens_today: int
    created_at: float
    expires_at: float
    used_at: float | None


class KeyList(Reply):
    """One's own keys, the newest first."""

    object: Literal["list"] = "list"
    data: list[Key]


class NewKey(Request):
    """``POST /v1/account/keys``."""

    name: Annotated[str, Field(max_length=64)]
    scopes: Annotated[list[str], Field(max_length=20)]
    days: Annotated[int, Field(ge=1, le=730)] = 90
    requests_per_minute: Annotated[int, Field(ge=1, le=100_000)] | None = None
    tokens_per_day: Annotated[int, Field(ge=0, le=10**12)] = 0
    addresses: Annotated[list[str], Field(max_length=64)] = Field(default_factory=list)


class WithSecret(Reply):
    """A new key with its secret, which is told now and never again."""

    key: Key
    secret: str


class PolicyVersion(Reply):
    """A version of the policy; 0 is the one that the software comes with."""

    object: Literal["policy"] = "policy"
    version: int
    content: dict[str, Any]
    note: str
    author: str | None = Field(description="Login of who decided it")
    created_at: float


class PolicyVersionList(Reply):
    """All versions, the newest first."""

    object: Literal["list"] = "list"
    data: list[PolicyVersion]


class NewPolicy(Request):
    """``PUT /v1/policy``: settings that are left out keep their value."""

    content: dict[str, Any]
    base: Annotated[int, Field(ge=0, description="The version that it was made from")]
    note: Annotated[str, Field(max_length=256)] = ""


class Change(Reply):
    """What differs in one setting."""

    name: str
    old: Any
    new: Any


class ChangeList(Reply):
    """What differs between two versions."""

    object: Literal["list"] = "list"
    data: list[Change]
