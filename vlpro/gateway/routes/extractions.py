"""Documents as fields: ``/v1/extractions``."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response

from vlpro import schema
from vlpro.gateway import extraction_translate as translate
from vlpro.gateway.deps import Needs, ServicesOf, asker
from vlpro.gateway.routes.images import JPEG
from vlpro.gateway.stream import while_connected
from vlpro.gateway.strict import StrictRoute, by_size
from vlpro.identity.permissions import Permission
from vlpro.identity.principal import Principal
from vlpro.schema import extractions as wire
from vlpro.workflows.extraction.service import ExtractionService
from vlpro.workflows.extraction.standing import Viewer

__all__ = ["router"]

router = APIRouter(prefix="/extractions", tags=["extractions"], route_class=StrictRoute)

_MEDIA = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "json": "application/json",
}
_FILE = {"content": {kind: {} for kind in _MEDIA.values()}, "description": "The file"}

State = Annotated[
    list[Literal["open", "approved", "returned"]], Query(max_length=3, description="Left out: all")
]


async def _service(services: ServicesOf) -> ExtractionService:
    return services.extractions


async def _viewer(
    services: ServicesOf, principal: Annotated[Principal, Depends(Needs(Permission.WORKFLOW_USE))]
) -> Viewer:
    reviews = Permission.WORKFLOW_REVIEW in principal.permissions
    return Viewer(principal.person, reviews=reviews, spent=asker(services, principal).spent)


async def _reviewer(
    services: ServicesOf, principal: Annotated[Principal, Depends(Needs(Permission.WORKFLOW_REVIEW))]
) -> Viewer:
    return Viewer(principal.person, spent=asker(services, principal).spent)


ServiceOf = Annotated[ExtractionService, Depends(_service)]
ViewerOf = Annotated[Viewer, Depends(_viewer)]
ReviewerOf = Annotated[Viewer, Depends(_reviewer)]
Name = Annotated[str, Path(max_length=64)]
Once = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        max_length=255,
        description="The same at each try of a request: it is read once, and is no duplicate of itself",
    ),
]


@router.post("", status_code=201)
async def extract(
    body: wire.NewExtraction, request: Request, services: ServicesOf, viewer: ViewerOf, once: Once = ""
) -> wire.ExtractionInfo:
    """Read a document as fields, each with its evidence and checks."""
    asked = await by_size(request, translate.asked, body, once, services.settings)
    return translate.extraction(await while_connected(request, services.extractions.extract(viewer, asked)))


@router.get("")
async def extractions(
    service: ServiceOf,
    viewer: ViewerOf,
    state: State = [],  # noqa: B006 - never changed
    after: Annotated[str, Query(max_length=80, description="`next` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> wire.ExtractionList:
    """One's own results and those handed over to review, the newest first."""
    found, following, waiting, decided = await service.page(viewer, states=state, after=after, limit=limit)
    return wire.ExtractionList(
        data=[translate.item(one, viewer.person.id) for one in found],
        next=following,
        open=waiting,
        decided_today=decided,
    )


@router.get("/templates")
async def templates(service: ServiceOf, viewer: ViewerOf) -> wire.TemplateList:  # noqa: ARG001 - asks for the permission
    """The kinds of documents that are known, and the systems that results can be sent to."""
    return translate.known(service)


@router.get("/export", response_class=Response, responses={200: _FILE})
async def export(
    service: ServiceOf,
    viewer: ViewerOf,
    format: Annotated[Literal["csv", "xlsx", "json"], Query()],  # noqa: A002 - the API's word
    state: State = [],  # noqa: B006 - never changed
    language: Annotated[Literal["zh", "en"], Query(description="Of the columns' names")] = "zh",
) -> Response:
    """All results that one may see, as one file; that it goes out is recorded first."""
    data = await service.export(viewer, format, states=state, zh=language == "zh")
    headers = {
        "content-disposition": f'attachment; filename="{translate.file_name(format)}"',
        "cache-control": "no-store",
    }
    return Response(data, media_type=_MEDIA[format], headers=headers)


@router.get("/corrections")
async def corrections(service: ServiceOf, viewer: ReviewerOf) -> wire.Corrections:
    """What people corrected in decided results, for measuring; that it goes out is recorded first."""
    return translate.corrections(await service.corrections(viewer))


@router.get("/{extraction_id}")
async def get(extraction_id: Name, service: ServiceOf, viewer: ViewerOf) -> wire.ExtractionInfo:
    """One result."""
    found = await service.get(viewer, extraction_id)
    return translate.extraction(found, await service.delivered(viewer, extraction_id))


@router.get("/{extraction_id}/pages/{page}/content", response_class=Response, responses={200: JPEG})
async def picture(
    extraction_id: Name, page: Annotated[int, Path(ge=1, le=10_000)], service: ServiceOf, viewer: ViewerOf
) -> Response:
    """A page to look at: a JPEG of clean pixels, until the result is decided, or as the policy keeps it."""
    data = await service.picture(viewer, extraction_id, page)
    return Response(data, media_type="image/jpeg", headers={"cache-control": "private, no-store"})


@router.put("/{extraction_id}/fields")
async def correct(
    extraction_id: Name, body: wire.FieldCorrections, service: ServiceOf, viewer: ReviewerOf
) -> wire.ExtractionInfo:
    """Put other values in place of what was read; everything is checked again."""
    return translate.extraction(
        await service.correct(viewer, extraction_id, body.fields, body.version),
        await service.delivered(viewer, extraction_id),
    )


@router.post("/{extraction_id}/approve")
async def approve(
    extraction_id: Name, body: wire.NewApproval, service: ServiceOf, viewer: ReviewerOf
) -> wire.ExtractionInfo:
    """Say that it is right; it goes to its target, and its pictures go unless the policy keeps them."""
    found = await service.approve(viewer, extraction_id, body.confirmed, body.version)
    return translate.extraction(found, await service.delivered(viewer, extraction_id))


@router.post("/{extraction_id}/return")
async def send_back(
    extraction_id: Name, body: wire.NewReturn, service: ServiceOf, viewer: ReviewerOf
) -> wire.ExtractionInfo:
    """Send it back to whoever handed it in, with a reason."""
    return translate.extraction(await service.send_back(viewer, extraction_id, body.reason, body.version))


@router.delete("/{extraction_id}")
async def delete(extraction_id: Name, service: ServiceOf, viewer: ViewerOf) -> schema.Deleted:
    """Delete a result of one's own, with its pictures and with what is on its way."""
    await service.delete(viewer, extraction_id)
    return schema.Deleted(id=extraction_id, object="extraction.deleted")


@router.get("/{extraction_id}/deliveries")
async def deliveries(extraction_id: Name, service: ServiceOf, viewer: ViewerOf) -> wire.DeliveryList:
    """Where a result was sent, and what became of that."""
    found = await service.delivered(viewer, extraction_id)
    return wire.DeliveryList(data=[translate.delivery(one) for one in found])


@router.post("/{extraction_id}/deliveries", status_code=202)
async def deliver(
    extraction_id: Name, body: wire.NewDelivery, service: ServiceOf, viewer: ViewerOf
) -> wire.DeliveryInfo:
    """Send an approved result to one of the systems that the settings name."""
    return translate.delivery(await service.deliver(viewer, extraction_id, body.target))


@router.post("/{extraction_id}/deliveries/{delivery_id}/retry", status_code=202)
async def retry(
    extraction_id: Name, delivery_id: Name, service: ServiceOf, viewer: ViewerOf
) -> wire.DeliveryInfo:
    """Try a delivery again that waits or was given up."""
    return translate.delivery(await service.deliver_again(viewer, extraction_id, delivery_id))
