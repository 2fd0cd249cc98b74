"""One's own account: ``/v1/account``, its sessions and keys."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from vlpro import schema
from vlpro.errors import BadRequestError
from vlpro.gateway.deps import IdentityOf, Needs
from vlpro.gateway.strict import StrictRoute
from vlpro.identity.keys import Key
from vlpro.identity.permissions import KEY_SCOPES, PERMISSIONS, Permission
from vlpro.identity.principal import Principal
from vlpro.identity.sessions import Session
from vlpro.schema import accounts as account_schema

__all__ = ["router", "session_reply"]

router = APIRouter(tags=["account"], route_class=StrictRoute)

Self = Annotated[Principal, Depends(Needs(Permission.SELF_USE))]


@router.get("/account")
def own(identity: IdentityOf, principal: Self) -> account_schema.OwnAccount:
    """Who asks, and what they may do."""
    policy = identity.policies.current().policy
    return account_schema.OwnAccount(
        id=principal.account,
        login=principal.login,
        name=principal.name,
        department=principal.department,
        role=principal.role.value,
        level=principal.level.word,
        permissions=sorted(principal.permissions),
        key_scopes=sorted(KEY_SCOPES & PERMISSIONS[principal.role]),
        idle_minutes=policy.idle_minutes,
        watermark=policy.watermark,
    )


@router.get("/auth/check", status_code=204)
async def check(principal: Self) -> Response:
    """For a proxy that asks for each request whether somebody is signed in (nginx: auth_request)."""
    return Response(
        status_code=204,
        headers={"x-vlpro-login": principal.login, "x-vlpro-role": principal.role.value},
    )


@router.get("/account/sessions")
def sessions(identity: IdentityOf, principal: Self) -> account_schema.SessionList:
    """One's own sessions."""
    policy = identity.policies.current().policy
    found = identity.sessions.all(policy, principal.account)
    return account_schema.SessionList(data=[session_reply(session, principal) for session in found])


@router.delete("/account/sessions/{session_id}")
def end_session(identity: IdentityOf, principal: Self, session_id: str) -> schema.Deleted:
    """End one of one's own sessions."""
    identity.sessions.end(session_id, principal.account)
    return schema.Deleted(id=session_id, object="session.deleted")


@router.delete("/account/sessions")
def end_others(identity: IdentityOf, principal: Self) -> account_schema.Ended:
    """End all of one's own sessions but this one."""
    return account_schema.Ended(ended=identity.sessions.end_all(principal.account, but=principal.session))


@router.get("/account/keys")
def keys(identity: IdentityOf, principal: Self) -> account_schema.KeyList:
    """One's own keys."""
    return account_schema.KeyList(data=[_key(key) for key in identity.keys.of(principal.account)])


@router.post("/account/keys", status_code=201)
def new_key(identity: IdentityOf, principal: Self, body: account_schema.NewKey) -> account_schema.WithSecret:
    """Make a key; its secret is told now and never again."""
    known = {str(permission) for permission in Permission}
    for index, scope in enumerate(body.scopes):
        if scope not in known:
            raise BadRequestError(
                f"There is no scope {scope[:60]!r}. GET /v1/account lists yours.",
                zh=f"没有权限范围 {scope[:60]!r}，GET /v1/account 会列出可选项。",
                param=f"scopes[{index}]",
            )
    key, secret = identity.keys.create(
        principal.account,
        principal.role,
        name=body.name,
        scopes=[Permission(scope) for scope in body.scopes],
        days=body.days,
        requests_per_minute=body.requests_per_minute,
        tokens_per_day=body.tokens_per_day,
        addresses=body.addresses,
    )
    return account_schema.WithSecret(key=_key(key), secret=secret)


@router.delete("/account/keys/{key_id}")
def revoke_key(identity: IdentityOf, principal: Self, key_id: str) -> schema.Deleted:
    """Revoke a key of one's own."""
    identity.keys.revoke(key_id, principal.account)
    return schema.Deleted(id=key_id, object="key.deleted")


def session_reply(session: Session, principal: Principal) -> account_schema.Session:
    """A session as the API tells it."""
    return account_schema.Session(
        id=session.id,
        account=session.account,
        login=session.login,
        name=session.name,
        created_at=session.created_at,
        seen_at=session.seen_at,
        expires_at=session.expires_at,
        address=session.address,
        agent=session.agent,
        factor=session.factor,
        current=session.id == principal.session,
    )


def _key(key: Key) -> account_schema.Key:
    return account_schema.Key(
        id=key.id,
        prefix=key.prefix,
        name=key.name,
        scopes=[str(scope) for scope in key.scopes],
        addresses=list(key.addresses),
        requests_per_minute=key.requests_per_minute,
        tokens_per_day=key.tokens_per_day,
        tokens_today=key.tokens_today,
        created_at=key.created_at,
        expires_at=key.expires_at,
        used_at=key.used_at,
    )
