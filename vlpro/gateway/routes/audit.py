"""The audit administrator's questions: ``/v1/audit``. Nothing here alters or deletes."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Path, Query

from vlpro import audit_schema
from vlpro.audit.query import Filter, Found
from vlpro.gateway.deps import AuditOf, needs
from vlpro.gateway.strict import StrictRoute
from vlpro.identity.permissions import Permission

__all__ = ["router"]

router = APIRouter(
    prefix="/audit",
    tags=["audit"],
    route_class=StrictRoute,
    dependencies=[needs(Permission.AUDIT_READ)],
)

Text = Annotated[str, Query(max_length=128)]
Time = Annotated[float | None, Query(ge=0, le=1e11)]
Seq = Annotated[int, Path(ge=1, le=2**53 - 1)]


@router.get("/records")
def find(
    *,
    audit: AuditOf,
    event: Annotated[str, Query(max_length=48, description="A name, or its beginning up to a colon")] = "",
    outcome: Text = "",
    login: Text = "",
    session: Text = "",
    address: Text = "",
    object: Text = "",  # noqa: A002 - the record's word
    since: Time = None,
    until: Time = None,
    text: Annotated[str, Query(max_length=128, description="Anywhere in the record")] = "",
    before: Annotated[int | None, Query(ge=1, le=2**53 - 1)] = None,
) -> audit_schema.AuditRecordList:
    """Records that match, the newest first. The question itself is recorded."""
    wanted = Filter(
        event=event,
        outcome=outcome,
        login=login,
        session=session,
        address=address,
        object=object,
        since=since,
        until=until,
        text=text,
    )
    page = audit.find(wanted, before)
    return audit_schema.AuditRecordList(
        data=[_record(found) for found in page.found], before=page.before, complete=page.complete
    )


@router.get("/records/{seq}")
def get(audit: AuditOf, seq: Seq) -> audit_schema.AuditRecord:
    """One record."""
    return _record(audit.get(seq))


@router.post("/records/{seq}/content")
def content(audit: AuditOf, seq: Seq, body: audit_schema.ContentReason) -> audit_schema.AuditContent:
    """What people wrote, where it is kept. Looking takes a reason, and is recorded with it."""
    return audit_schema.AuditContent(seq=seq, texts=dict(audit.content(seq, body.reason)))


@router.get("/standing")
def standing(audit: AuditOf) -> audit_schema.AuditStanding:
    """How much is recorded and signed, and what was refused within a day."""
    now = audit.standing(time.time())
    return audit_schema.AuditStanding(
        log=now.log,
        size=now.size,
        first=now.first,
        last_time=now.last_time,
        signed=now.signed,
        signed_root=now.signed_root,
        key=now.key,
        refused_sign_ins=now.refused_sign_ins,
        refusals=now.refusals,
    )


def _record(found: Found) -> audit_schema.AuditRecord:
    return audit_schema.AuditRecord(seq=found.seq, hash=found.hash, said=found.said)
