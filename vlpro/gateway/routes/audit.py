"""The audit administrator's questions: ``/v1/audit``. Nothing here alters or deletes."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import ValidationError

from vlpro.audit.query import Filter, Found
from vlpro.audit.verification import Verifications, Verified
from vlpro.gateway.deps import AuditExportsOf, AuditOf, ServicesOf, VerificationsOf, needs, principal_of
from vlpro.gateway.stream import Download
from vlpro.gateway.strict import StrictRoute
from vlpro.identity.permissions import Permission
from vlpro.schema import audit as audit_schema

__all__ = ["router"]

_MEDIA = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson", "record": "application/x-ndjson"}

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


@router.post("/exports")
async def new_export(
    request: Request, exports: AuditExportsOf, body: audit_schema.NewAuditExport
) -> audit_schema.AuditExport:
    """Say what is to be taken out, and why; the file is then fetched once, within five minutes."""
    wanted = Filter(**body.filter.model_dump())
    made = exports.prepare(principal_of(request).account, body.format, wanted, body.reason)
    return audit_schema.AuditExport(id=made.id, format=made.kind, name=made.name)


@router.get(
    "/exports/{export_id}/file",
    response_class=Response,
    responses={200: {"content": {kind: {} for kind in _MEDIA.values()}, "description": "The file"}},
)
async def export_file(
    request: Request,
    services: ServicesOf,
    exports: AuditExportsOf,
    export_id: Annotated[str, Path(max_length=64)],
) -> Response:
    """The file. That it goes out is recorded before its first byte, and how that ended, after its last."""
    asked = exports.take(principal_of(request).account, export_id)
    pieces = await exports.begin(asked)
    return Download(
        pieces,
        name=asked.name,
        media_type=_MEDIA[asked.kind],
        slow_client_timeout_s=services.settings.slow_client_timeout_s,
    )


@router.get("/verification")
async def verification(verifications: VerificationsOf) -> audit_schema.AuditVerification:
    """The verification that goes on, how far it is, and the last one that ended."""
    return await _verification(verifications)


@router.post("/verification", status_code=202)
async def verify(verifications: VerificationsOf) -> audit_schema.AuditVerification:
    """Begin to verify the whole stored record; one goes on at a time."""
    verifications.start()
    return await _verification(verifications)


@router.post("/verification/stop")
async def stop(verifications: VerificationsOf) -> audit_schema.AuditVerification:
    """End the verification that goes on, if one does."""
    await verifications.stop()
    return await _verification(verifications)


async def _verification(verifications: Verifications) -> audit_schema.AuditVerification:
    running = verifications.running
    last = await asyncio.to_thread(verifications.last)
    told: dict[str, Any] = {"running": running is not None, "last": _verified(last) if last else None}
    if running is not None:
        told |= {"by": running.by, "began": running.began, "read": running.read, "of": running.of}
    return audit_schema.AuditVerification(**told)


def _verified(last: Verified) -> audit_schema.AuditVerified | None:
    try:
        return audit_schema.AuditVerified(
            **{**last.detail, "seq": last.seq, "time": last.time, "by": last.by}
        )
    except ValidationError:
        return None  # its record was altered


def _record(found: Found) -> audit_schema.AuditRecord:
    return audit_schema.AuditRecord(seq=found.seq, hash=found.hash, said=found.said)
