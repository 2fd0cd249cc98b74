"""The policy: all numbers and lists that the security administrator decides, kept in versions."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from vlpro.audit.events import Event
from vlpro.audit.recorder import Recorder
from vlpro.db import Database
from vlpro.errors import BadRequestError, ConflictError, NotFoundError
from vlpro.identity.addresses import allowed
from vlpro.identity.permissions import Role
from vlpro.identity.tables import policies
from vlpro.masking import Masking

__all__ = ["Change", "GroupRule", "Policy", "PolicyStore", "PolicyVersion"]

_FRESH_S = 0.8  # a new version is in force on every replica after this long
_PRIVATE = ("127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")

Networks = Annotated[tuple[str, ...], Field(max_length=256)]
MaskedName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=40)]


class GroupRule(BaseModel):
    """What membership of a directory's group gives.

    Args:
        group: Its name or DN, as the directory tells it.
        role: The role.
        level: Up to which the person may read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    group: Annotated[str, Field(min_length=1, max_length=512)]
    role: Role = Role.USER
    level: Literal["public", "internal", "secret"] = "internal"


class Policy(BaseModel):
    """One version's content. The bounds are what level 3 leaves to decide (GB/T 22239-2019, 8.1.4.1 and 8.1.4.2)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    password_min_length: Annotated[int, Field(ge=8, le=64)] = 10
    password_classes: Annotated[int, Field(ge=3, le=4)] = 3
    password_score: Annotated[int, Field(ge=2, le=4)] = 3
    password_history: Annotated[int, Field(ge=3, le=24)] = 5
    password_max_age_days: Annotated[int, Field(ge=1, le=180)] = 90
    lock_after_failures: Annotated[int, Field(ge=3, le=10)] = 5
    lock_minutes: Annotated[int, Field(ge=5, le=1440)] = 30
    address_failures: Annotated[int, Field(ge=3, le=200)] = 20
    idle_minutes: Annotated[int, Field(ge=1, le=30)] = 15
    session_hours: Annotated[int, Field(ge=1, le=12)] = 8
    sessions_per_account: Annotated[int, Field(ge=1, le=20)] = 3
    disable_after_idle_days: Annotated[int, Field(ge=7, le=180)] = 90
    second_factor: Literal["administrators", "everybody"] = "everybody"
    directory_second_factor: bool = True
    new_accounts_role: Literal["none", "user"] = "none"
    directory_groups: Annotated[tuple[GroupRule, ...], Field(max_length=200)] = ()
    user_addresses: Networks = _PRIVATE
    administration_addresses: Networks = _PRIVATE
    key_max_days: Annotated[int, Field(ge=1, le=730)] = 365
    keys_per_account: Annotated[int, Field(ge=0, le=100)] = 10
    key_requests_per_minute: Annotated[int, Field(ge=1, le=100_000)] = 600
    watermark: bool = False
    audit_texts: Literal["hashed", "encrypted"] = "hashed"
    mask_answers: bool = False
    mask_exports: bool = False
    mask_shipped: bool = False
    mask_names: Annotated[tuple[MaskedName, ...], Field(max_length=1000)] = ()
    store_conversations: bool = True
    conversation_days: Annotated[int, Field(ge=1, le=3650)] = 180
    keep_images: bool = False

    @field_validator("user_addresses", "administration_addresses", mode="after")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return networks(value)

    @property
    def answers(self) -> Masking | None:
        """What is masked in answers; None: nothing."""
        return Masking(self.mask_names) if self.mask_answers else None

    @property
    def exports(self) -> Masking | None:
        """What is masked in conversations that are taken out; None: nothing."""
        return Masking(self.mask_names) if self.mask_exports else None


def networks(value: Sequence[str]) -> tuple[str, ...]:
    """Networks in their usual form; a single address is a network of one.

    Raises:
        ValueError: One is neither.
    """
    result = []
    for text in value:
        try:
            result.append(str(ipaddress.ip_network(text.strip())))
        except ValueError:
            raise ValueError(f"{text[:60]!r} is no address and no network such as 10.1.0.0/16") from None
    return tuple(dict.fromkeys(result))


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """A policy with who decided it, when and why; version 0 is the one that the software comes with."""

    version: int
    policy: Policy
    note: str
    author: str | None
    created_at: float


@dataclass(frozen=True, slots=True)
class Change:
    """What differs in one setting between two versions; values as JSON has them."""

    name: str
    old: Any
    new: Any


class PolicyStore:
    """Versions of the policy: added, never altered.

    Args:
        database: Where they are.
        recorder: Of the audit.
    """

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self._database = database
        self._recorder = recorder
        self._current: PolicyVersion | None = None
        self._read_at = 0.0

    def current(self) -> PolicyVersion:
        """The version in force; read again after less than a second."""
        current = self._current
        if current is None or not self.is_fresh:
            with self._database.read() as connection:
                row = connection.execute(
                    sa.select(policies).order_by(policies.c.version.desc()).limit(1)
                ).one_or_none()
            current = _version(row) if row is not None else PolicyVersion(0, Policy(), "", None, 0.0)
            self._current, self._read_at = current, time.monotonic()
        return current

    @property
    def known(self) -> Policy:
        """The policy as it was last read; never waits for the database."""
        return self._current.policy if self._current is not None else Policy()

    @property
    def is_fresh(self) -> bool:
        """Whether :meth:`current` answers without the database."""
        return self._current is not None and time.monotonic() - self._read_at <= _FRESH_S

    def versions(self) -> list[PolicyVersion]:
        """All that were decided, the newest first, and the one that the software comes with."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(policies).order_by(policies.c.version.desc())).all()
        return [*map(_version, rows), PolicyVersion(0, Policy(), "", None, 0.0)]

    def decide(
        self, content: dict[str, Any], *, base: int, note: str, author: str, address: str | None = None
    ) -> PolicyVersion:
        """Put a new version in force.

        Args:
            content: Its settings; one that is left out keeps its value.
            base: The version that it was made from.
            note: Why.
            author: Account of the security administrator.
            address: Where the administrator is; None: at the machine.

        Raises:
            BadRequestError: A setting is unknown or out of its bounds, or would shut its author out.
            ConflictError: Somebody decided another version since.
        """
        with self._database.write(alone=True) as connection:
            row = connection.execute(
                sa.select(policies).order_by(policies.c.version.desc()).limit(1)
            ).one_or_none()
            before = _version(row) if row is not None else PolicyVersion(0, Policy(), "", None, 0.0)
            if before.version != base:
                raise ConflictError(
                    f"The policy was changed since: it is at version {before.version}. Load it again.",
                    zh=f"策略已被修改，当前为第 {before.version} 版，请重新载入。",
                    code="version_conflict",
                    param="base",
                )
            policy = _checked(before.policy, content)
            if address is not None and not allowed(address, policy.administration_addresses):
                raise BadRequestError(
                    f"administration_addresses would not list your own address {address}: you could not undo it.",
                    zh=f"administration_addresses 不包含您当前的地址 {address}：保存后您将无法再登录修改。",
                    param="policy.administration_addresses",
                    code="would_shut_out",
                )
            made = PolicyVersion(before.version + 1, policy, note, author, time.time())
            changed = {c.name: {"old": c.old, "new": c.new} for c in differences(before.policy, policy)}
            self._recorder.note(
                Event.POLICY_DECIDED,
                object=f"policy_{made.version}",
                detail={"changes": changed, "note": note},
                account=author,
            )
            connection.execute(
                sa.insert(policies).values(
                    version=made.version,
                    content=made.policy.model_dump(mode="json"),
                    note=note,
                    author=author,
                    created_at=made.created_at,
                )
            )
        # Known at once, and asked for again: somebody else may decide, too.
        self._current, self._read_at = made, float("-inf")
        return made

    def changes(self, old: int, new: int) -> list[Change]:
        """What differs between two versions.

        Raises:
            NotFoundError: There is no such version.
        """
        known = {version.version: version.policy for version in self.versions()}
        if old not in known or new not in known:
            raise NotFoundError("There is no such version of the policy.", zh="没有这一版策略。")
        return differences(known[old], known[new])


def differences(old: Policy, new: Policy) -> list[Change]:
    """What differs between two policies, in the order of the settings."""
    before, after = old.model_dump(mode="json"), new.model_dump(mode="json")
    return [Change(name, before[name], after[name]) for name in after if before[name] != after[name]]


def _checked(before: Policy, content: dict[str, Any]) -> Policy:
    try:
        return Policy.model_validate({**before.model_dump(mode="json"), **content})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in first["loc"]).lstrip(".")
        raise BadRequestError(
            f"Policy setting {name} is wrong: {first['msg']}.",
            zh=f"策略项 {name} 不正确：{first['msg']}。",
            param=f"policy.{name}",
        ) from error


def _version(row: sa.Row[Any]) -> PolicyVersion:
    return PolicyVersion(
        row.version, Policy.model_validate(row.content), row.note, row.author, row.created_at
    )
