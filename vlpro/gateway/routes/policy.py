"""The policy and its versions: ``/v1/policy``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from vlpro.errors import NotFoundError
from vlpro.gateway.deps import IdentityOf, Needs, needs
from vlpro.gateway.forms import address_of
from vlpro.gateway.strict import StrictRoute
from vlpro.identity.permissions import Permission
from vlpro.identity.policy import PolicyVersion
from vlpro.identity.principal import Principal
from vlpro.identity.service import Identity
from vlpro.schema import accounts as account_schema

__all__ = ["router"]

router = APIRouter(prefix="/policy", tags=["policy"], route_class=StrictRoute)

Reader = needs(Permission.POLICY_READ)


@router.get("", dependencies=[Reader])
def current(identity: IdentityOf) -> account_schema.PolicyVersion:
    """The version in force."""
    return _reply(identity, identity.policies.current())


@router.put("")
def decide(
    request: Request,
    identity: IdentityOf,
    principal: Annotated[Principal, Depends(Needs(Permission.POLICY_WRITE))],
    body: account_schema.NewPolicy,
) -> account_schema.PolicyVersion:
    """Put a new version in force; refused where it would shut its author out."""
    made = identity.policies.decide(
        body.content,
        base=body.base,
        note=body.note,
        author=principal.account,
        address=address_of(request),
    )
    return _reply(identity, made)


@router.get("/versions", dependencies=[Reader])
def versions(identity: IdentityOf) -> account_schema.PolicyVersionList:
    """All versions, the newest first."""
    return account_schema.PolicyVersionList(
        data=[_reply(identity, version) for version in identity.policies.versions()]
    )


@router.get("/changes", dependencies=[Reader])
def changes(
    identity: IdentityOf,
    old: Annotated[int, Query(ge=0, le=2**31 - 1)],
    new: Annotated[int, Query(ge=0, le=2**31 - 1)],
) -> account_schema.ChangeList:
    """What differs between two versions."""
    found = identity.policies.changes(old, new)
    return account_schema.ChangeList(
        data=[account_schema.Change(name=c.name, old=c.old, new=c.new) for c in found]
    )


def _reply(identity: Identity, version: PolicyVersion) -> account_schema.PolicyVersion:
    try:
        author = identity.accounts.get(version.author).login if version.author is not None else None
    except NotFoundError:
        author = version.author
    return account_schema.PolicyVersion(
        version=version.version,
        content=version.policy.model_dump(mode="json"),
        note=version.note,
        author=author,
        created_at=version.created_at,
    )
