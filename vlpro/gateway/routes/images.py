"""Pictures kept in memory: ``/v1/images``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from vlpro import schema
from vlpro.gateway import translate
from vlpro.gateway.deps import Owner, ServicesOf

__all__ = ["JPEG", "router"]

router = APIRouter(prefix="/images", tags=["images"])

_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post("", status_code=201, openapi_extra=_BODY)
async def add(
    request: Request,
    services: ServicesOf,
    owner: Owner,
    conversation: Annotated[
        str, Query(description="In which it will be asked about, where that has begun")
    ] = "",
    after: Annotated[
        tuple[str, ...], Query(description="Pictures that come before it in the same question", max_length=64)
    ] = (),
) -> schema.ImageInfo:
    """Put a picture into memory: the file itself is the body (JPEG, PNG, BMP or WebP).

    The engine begins to read it at once, behind what the conversation holds and the pictures that come before it.
    """
    kept = await services.conversations.pictures.add(
        owner, await request.body(), conversation_id=conversation, after=after
    )
    return translate.image(kept, services.chat.engine)


@router.get("/{image_id}")
async def get(image_id: str, services: ServicesOf, owner: Owner) -> schema.ImageInfo:
    """What is known of a picture."""
    return translate.image(services.conversations.pictures.get(owner, image_id), services.chat.engine)


JPEG: dict[str, Any] = {
    "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}},
    "description": "A JPEG",
}
"""For a route's OpenAPI description."""


@router.get("/{image_id}/content", response_class=Response, responses={200: JPEG})
async def content(
    image_id: str,
    services: ServicesOf,
    owner: Owner,
    size: Annotated[int | None, Query(ge=16, le=4096, description="Longest side, pixels")] = None,
) -> Response:
    """A picture to look at: a JPEG made anew from clean pixels, never the file that was sent."""
    data = await services.conversations.pictures.content(owner, image_id, size)
    return Response(data, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})


@router.delete("/{image_id}")
async def delete(image_id: str, services: ServicesOf, owner: Owner) -> schema.Deleted:
    """Remove a picture that no conversation holds."""
    await services.conversations.pictures.delete(owner, image_id)
    return schema.Deleted(id=image_id, object="image.deleted")
