"""Many pictures and an instruction, reported on: ``/v1/reports``."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from vlpro import schema
from vlpro.gateway import reporting as translate
from vlpro.gateway.deps import Needs, ServicesOf, asker
from vlpro.gateway.routes.images import JPEG
from vlpro.gateway.stream import while_connected
from vlpro.gateway.strict import StrictRoute
from vlpro.identity.permissions import Permission
from vlpro.identity.principal import Principal
from vlpro.schema import reports as wire
from vlpro.workflows.report.service import Asker, ReportService

__all__ = ["router"]

router = APIRouter(prefix="/reports", tags=["reports"], route_class=StrictRoute)

_PRIVATE = {"cache-control": "private, no-store"}
_MEDIA: dict[wire.DocumentFormat, str] = {
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "pdf": "application/pdf",
}
_FILE: dict[str, Any] = {"content": {kind: {} for kind in _MEDIA.values()}, "description": "The file"}

User = Annotated[Principal, Depends(Needs(Permission.WORKFLOW_USE))]
Name = Annotated[str, Path(max_length=64)]
Number = Annotated[int, Path(ge=1, le=16)]


async def _service(services: ServicesOf) -> ReportService:
    return services.reports


ServiceOf = Annotated[ReportService, Depends(_service)]


@router.post("", status_code=201)
async def make(body: wire.NewReport, request: Request, services: ServicesOf, user: User) -> wire.Report:
    """Report on pictures: findings in each, a summary, a verdict; at once, or in the background."""
    service = services.reports
    files = services.batches.files
    asked = await asyncio.to_thread(translate.asked, body, services.settings, files, user.person)
    who = Asker(user.person, asker(services, user).spent)
    if body.background:
        return translate.report(await service.begin(who, asked), service)
    return translate.report(await while_connected(request, service.make(who, asked)), service)


@router.get("")
async def reports(
    service: ServiceOf,
    user: User,
    after: Annotated[str, Query(max_length=80, description="`next` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> wire.ReportList:
    """One's own reports, the newest first."""
    found, following = await service.page(user.person, after=after, limit=limit)
    return wire.ReportList(data=[translate.report(one, service) for one in found], next=following)


@router.get("/{report_id}")
async def get(report_id: Name, service: ServiceOf, user: User) -> wire.Report:
    """One report; it may still be being made."""
    return translate.report(await service.get(user.person, report_id), service)


@router.get("/{report_id}/images/{number}", response_class=Response, responses={200: JPEG})
async def picture(
    report_id: Name,
    number: Number,
    service: ServiceOf,
    user: User,
    boxes: Annotated[bool, Query(description="Whether the findings' numbered boxes are drawn on it")] = True,  # noqa: FBT002
) -> Response:
    """A picture of a report: a JPEG made anew from clean pixels, never the file that was sent."""
    data = await service.picture(user.person, report_id, number, boxes=boxes)
    return Response(data, 200, _PRIVATE, "image/jpeg")


@router.get("/{report_id}/document", response_class=Response, responses={200: _FILE})
async def document(
    report_id: Name,
    service: ServiceOf,
    user: User,
    format: Annotated[wire.DocumentFormat, Query()] = "docx",  # noqa: A002 - the API's word
) -> Response:
    """A report as a Word or PDF file, with its pictures and the label of generated content; that is recorded."""
    data = await service.document(user.person, report_id, format)
    named = {"content-disposition": f'attachment; filename="{report_id}.{format}"'}
    return Response(data, 200, _PRIVATE | named, _MEDIA[format])


@router.post("/{report_id}/cancel")
async def cancel(report_id: Name, service: ServiceOf, user: User) -> wire.Report:
    """Stop a report that is being made."""
    return translate.report(await service.cancel(user.person, report_id), service)


@router.delete("/{report_id}")
async def delete(report_id: Name, service: ServiceOf, user: User) -> schema.Deleted:
    """Delete a report with its pictures; one that is being made is stopped."""
    await service.delete(user.person, report_id)
    return schema.Deleted(id=report_id, object="report.deleted")
