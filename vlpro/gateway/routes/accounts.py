"""What administrators do with accounts and sessions: ``/v1/accounts``, ``/v1/sessions``."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query

from vlpro import schema
from vlpro.gateway.deps import IdentityOf, Needs, needs
from vlpro.gateway.routes.account import session_reply
from vlpro.gateway.strict import StrictRoute
from vlpro.identity.accounts import Account
from vlpro.identity.labels import Level
from vlpro.identity.permissions import Permission, Role
from vlpro.identity.principal import Principal
from vlpro.identity.service import Identity
from vlpro.schema import accounts as account_schema

__all__ = ["router"]

router = APIRouter(tags=["accounts"], route_class=StrictRoute)

Reader = needs(Permission.ACCOUNT_READ)
Writer = Annotated[Principal, Depends(Needs(Permission.ACCOUNT_WRITE))]
Granter = Annotated[Principal, Depends(Needs(Permission.ROLE_GRANT))]
Labeller = Annotated[Principal, Depends(Needs(Permission.LEVEL_SET))]


@router.get("/accounts", dependencies=[Reader])
def find(
    identity: IdentityOf,
    query: Annotated[str, Query(max_length=128, description="Part of a login, name or department")] = "",
    role: Annotated[
        account_schema.RoleName | Literal["none"] | None, Query(description="none: who has no role yet")
    ] = None,
    after: Annotated[str, Query(max_length=64, description="The last login of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 200,
) -> account_schema.AccountList:
    """Accounts by login."""
    wanted = role if role is None or role == "none" else Role(role)
    found = identity.accounts.find(query, wanted, after, limit)
    locked = identity.failures.locked_among([account.login for account in found])
    return account_schema.AccountList(data=[_reply(account, locked) for account in found])


@router.post("/accounts", status_code=201)
def create(
    identity: IdentityOf, principal: Writer, body: account_schema.NewAccount
) -> account_schema.WithPassword:
    """Make an account, which has no role yet; its one-time password is told now and never again."""
    account, password = identity.accounts.create(
        body.login, body.name, body.department, by=principal.account, expires_at=body.expires_at
    )
    return account_schema.WithPassword(account=_account(identity, account), password=password)


@router.get("/accounts/{account_id}", dependencies=[Reader])
def get(identity: IdentityOf, account_id: str) -> account_schema.Account:
    """One account."""
    return _account(identity, identity.accounts.get(account_id))


@router.put("/accounts/{account_id}", dependencies=[needs(Permission.ACCOUNT_WRITE)])
def alter(
    identity: IdentityOf, account_id: str, body: account_schema.AccountChange
) -> account_schema.Account:
    """Correct what is known of a person."""
    return _account(
        identity,
        identity.accounts.alter(
            account_id, name=body.name, department=body.department, expires_at=body.expires_at
        ),
    )


@router.post("/accounts/{account_id}/disable")
def disable(identity: IdentityOf, principal: Writer, account_id: str) -> account_schema.Account:
    """End an account's sessions and keys; it signs in no more."""
    return _account(identity, identity.accounts.disable(account_id, by=principal.account))


@router.post("/accounts/{account_id}/enable", dependencies=[needs(Permission.ACCOUNT_WRITE)])
def enable(identity: IdentityOf, account_id: str) -> account_schema.Account:
    """Let a disabled account sign in again."""
    return _account(identity, identity.accounts.enable(account_id))


@router.post("/accounts/{account_id}/unlock", dependencies=[needs(Permission.ACCOUNT_WRITE)])
def unlock(identity: IdentityOf, account_id: str) -> account_schema.Account:
    """Forget an account's failed sign-ins."""
    return _account(identity, identity.accounts.unlock(account_id))


@router.post("/accounts/{account_id}/reset-password", dependencies=[needs(Permission.ACCOUNT_WRITE)])
def reset_password(identity: IdentityOf, account_id: str) -> account_schema.WithPassword:
    """Give a person a one-time password; not an administrator, and not oneself."""
    password = identity.accounts.reset_password(account_id)
    return account_schema.WithPassword(
        account=_account(identity, identity.accounts.get(account_id)), password=password
    )


@router.post("/accounts/{account_id}/reset-factors", dependencies=[needs(Permission.ACCOUNT_WRITE)])
def reset_factors(identity: IdentityOf, account_id: str) -> account_schema.Account:
    """Remove a person's second factors, so that they set up new ones; not an administrator's."""
    identity.accounts.reset_factors(account_id)
    return _account(identity, identity.accounts.get(account_id))


@router.put("/accounts/{account_id}/role")
def grant(
    identity: IdentityOf, principal: Granter, account_id: str, body: account_schema.RoleChange
) -> account_schema.Account:
    """Give an account a role, another one, or none; its sessions and keys end. Nobody grants a role of their own."""
    role = Role(body.role) if body.role is not None else None
    return _account(identity, identity.accounts.grant(account_id, role, by=principal.account))


@router.put("/accounts/{account_id}/level")
def label(
    identity: IdentityOf, principal: Labeller, account_id: str, body: account_schema.LevelChange
) -> account_schema.Account:
    """Say up to which level somebody may read."""
    return _account(identity, identity.accounts.label(account_id, Level.of(body.level), by=principal.account))


@router.get("/sessions")
def sessions(
    identity: IdentityOf,
    principal: Annotated[Principal, Depends(Needs(Permission.SESSION_READ))],
    account: Annotated[str | None, Query(max_length=32, description="Whose; left out: everybody's")] = None,
) -> account_schema.SessionList:
    """Sessions that live, the last used first, 200 at most."""
    found = identity.sessions.all(identity.policies.current().policy, account)
    return account_schema.SessionList(data=[session_reply(session, principal) for session in found])


@router.delete("/sessions/{session_id}", dependencies=[needs(Permission.SESSION_REVOKE)])
def end_session(identity: IdentityOf, session_id: str) -> schema.Deleted:
    """End a session."""
    identity.sessions.end(session_id)
    return schema.Deleted(id=session_id, object="session.deleted")


@router.delete("/accounts/{account_id}/sessions", dependencies=[needs(Permission.SESSION_REVOKE)])
def end_all_sessions(identity: IdentityOf, account_id: str) -> account_schema.Ended:
    """End all sessions of an account."""
    identity.accounts.get(account_id)
    return account_schema.Ended(ended=identity.sessions.end_all(account_id))


def _account(identity: Identity, account: Account) -> account_schema.Account:
    return _reply(account, identity.failures.locked_among([account.login]))


def _reply(account: Account, locked: Collection[str]) -> account_schema.Account:
    return account_schema.Account(
        id=account.id,
        login=account.login,
        name=account.name,
        department=account.department,
        source=account.source,
        role=account.role.value if account.role is not None else None,
        level=account.level.word,
        created_at=account.created_at,
        signed_in_at=account.signed_in_at,
        expires_at=account.expires_at,
        disabled=account.disabled,
        locked=account.login in locked,
    )
