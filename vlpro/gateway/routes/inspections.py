"""Pictures of boards and equipment, inspected: ``/v1/inspections``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from vlpro import schema
from vlpro.gateway import knowledge, translate
from vlpro.gateway.deps import Needs, Services, ServicesOf
from vlpro.gateway.routes.images import JPEG
from vlpro.gateway.stream import while_connected
from vlpro.gateway.strict import StrictRoute, by_size
from vlpro.identity.permissions import Permission
from vlpro.identity.principal import Principal
from vlpro.schema import inspections as wire
from vlpro.workflows.inspection.messages import alert_message, inspection_message, template_message
from vlpro.workflows.inspection.method import Asked
from vlpro.workflows.inspection.service import InspectionService

__all__ = ["router"]

router = APIRouter(prefix="/inspections", tags=["inspections"], route_class=StrictRoute)

User = Annotated[Principal, Depends(Needs(Permission.WORKFLOW_USE))]
Reviewer = Annotated[Principal, Depends(Needs(Permission.WORKFLOW_REVIEW))]
Product = Annotated[str, Path(min_length=1, pattern=wire.NAME)]
After = Annotated[str, Query(max_length=80, description="`next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=200)]

_PNG: dict[str, Any] = {
    "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
    "description": "A PNG",
}
_PRIVATE = {"cache-control": "private, no-store"}


async def _service(services: ServicesOf) -> InspectionService:
    return services.inspections


ServiceOf = Annotated[InspectionService, Depends(_service)]


@router.post("")
async def inspect(
    body: wire.NewInspection, request: Request, services: ServicesOf, user: User
) -> wire.Inspection:
    """Inspect a picture: against a golden one, for hot regions, or by what the engine sees."""
    if body.knowledge_base is not None:
        await knowledge.allowed(services, request, body.knowledge_base)
    asked = await by_size(request, _asked, body, services)
    return inspection_message(
        await while_connected(request, services.inspections.inspect(user.person, asked))
    )


@router.get("")
async def inspections(
    service: ServiceOf, user: User, after: After = "", limit: Limit = 50
) -> wire.InspectionList:
    """One's own inspections, the newest first."""
    page = await service.page(user.person, after=after, limit=limit)
    return wire.InspectionList(data=[inspection_message(one) for one in page.inspections], next=page.next)


@router.get("/templates")
async def templates(service: ServiceOf, user: User) -> wire.GoldenTemplateList:
    """One's own golden pictures, by product."""
    return wire.GoldenTemplateList(
        data=[template_message(one) for one in await service.templates.all_of(user.person)]
    )


@router.put("/templates/{product}")
async def put_template(
    product: Product, body: wire.NewGoldenTemplate, request: Request, services: ServicesOf, user: User
) -> wire.GoldenTemplate:
    """Store the golden picture of a product: from now on its inspections need none of their own."""
    image = await by_size(
        request, translate.upload, body.image.url, "image.url", services.settings.max_image_bytes
    )
    return template_message(
        await services.inspections.templates.put(user.person, product, image, copper=body.copper)
    )


@router.get("/templates/{product}")
async def get_template(product: Product, service: ServiceOf, user: User) -> wire.GoldenTemplate:
    """What is known of a golden picture."""
    return template_message(await service.templates.get(user.person, product))


@router.get("/templates/{product}/picture", response_class=Response, responses={200: _PNG})
async def template_picture(product: Product, service: ServiceOf, user: User) -> Response:
    """A golden picture: a PNG made anew from clean pixels, never the file that was sent."""
    return Response(await service.templates.picture(user.person, product), 200, _PRIVATE, "image/png")


@router.delete("/templates/{product}")
async def delete_template(product: Product, service: ServiceOf, user: User) -> schema.Deleted:
    """Delete a golden picture."""
    name = await service.templates.delete(user.person, product)
    return schema.Deleted(id=name, object="inspection.template.deleted")


@router.get("/alerts")
async def alerts(
    service: ServiceOf,
    user: User,
    state: Annotated[wire.AlertState | None, Query(description="Only those; left out: all")] = None,
    after: After = "",
    limit: Limit = 50,
) -> wire.InspectionAlertList:
    """One's own alerts, the newest first."""
    found, following = await service.alerts.page(user.person, state=state, after=after, limit=limit)
    return wire.InspectionAlertList(data=[alert_message(one) for one in found], next=following)


@router.get("/alerts/{alert_id}")
async def alert(alert_id: str, service: ServiceOf, user: User) -> wire.InspectionAlert:
    """One alert."""
    return alert_message(await service.alerts.get(user.person, alert_id))


@router.post("/alerts/{alert_id}/acknowledge")
async def acknowledge(
    alert_id: str, body: wire.Acknowledgement, service: ServiceOf, reviewer: Reviewer
) -> wire.InspectionAlert:
    """Say that somebody saw to an alert: a person, so no API key can."""
    seen = await service.alerts.acknowledge(reviewer.person, alert_id, by=reviewer.login, note=body.note)
    return alert_message(seen)


@router.get("/{inspection_id}")
async def get(inspection_id: str, service: ServiceOf, user: User) -> wire.Inspection:
    """One inspection."""
    return inspection_message(await service.get(user.person, inspection_id))


@router.get("/{inspection_id}/picture", response_class=Response, responses={200: JPEG})
async def picture(
    inspection_id: str,
    service: ServiceOf,
    user: User,
    *,
    boxes: Annotated[bool, Query(description="Whether the defects are drawn on it")] = True,
) -> Response:
    """The inspected picture with its defects drawn on it, numbered as in the list."""
    data = await service.picture(user.person, inspection_id, boxes=boxes)
    return Response(data, 200, _PRIVATE, "image/jpeg")


@router.post("/{inspection_id}/decision")
async def decide(
    inspection_id: str, body: wire.InspectionDecision, service: ServiceOf, reviewer: Reviewer
) -> wire.Inspection:
    """Say what a person found when looking at it; the picture goes then, unless the policy keeps pictures."""
    return inspection_message(
        await service.decide(reviewer.person, inspection_id, body.verdict, by=reviewer.login)
    )


@router.delete("/{inspection_id}")
async def delete(inspection_id: str, service: ServiceOf, user: User) -> schema.Deleted:
    """Delete an inspection with its picture."""
    await service.delete(user.person, inspection_id)
    return schema.Deleted(id=inspection_id, object="inspection.deleted")


def _asked(body: wire.NewInspection, services: Services) -> Asked:
    most, golden = services.settings.max_image_bytes, body.template_image
    return Asked(
        image=translate.upload(body.image.url, "image.url", most),
        template=translate.upload(golden.url, "template_image.url", most) if golden is not None else None,
        product=body.product,
        station=body.station,
        method=body.method,
        copper=body.copper,
        instruction=body.instruction.strip(),
        language=body.language,
        bases=knowledge.names(body.knowledge_base),
    )
