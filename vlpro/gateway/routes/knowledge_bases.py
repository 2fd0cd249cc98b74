"""Knowledge bases: ``/v1/knowledge-bases``. Documents are put under their file name, the file itself is the body."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from vlpro import schema
from vlpro.errors import BadRequestError
from vlpro.gateway import knowledge as translate
from vlpro.gateway.deps import Needs, ServicesOf
from vlpro.gateway.knowledge import Boxes, DocumentName
from vlpro.gateway.routes.images import JPEG
from vlpro.gateway.strict import StrictRoute
from vlpro.identity.labels import Level
from vlpro.identity.permissions import Permission
from vlpro.identity.principal import Principal
from vlpro.schema import knowledge as wire

__all__ = ["router"]

router = APIRouter(prefix="/knowledge-bases", tags=["knowledge bases"], route_class=StrictRoute)

Reader = Annotated[Principal, Depends(Needs(Permission.KNOWLEDGE_USE))]
Writer = Annotated[Principal, Depends(Needs(Permission.KNOWLEDGE_WRITE))]
BaseIdOf = Annotated[str, Path(max_length=64)]

_FILE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The file itself: PDF, a picture, DOCX or PPTX",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_PUT: dict[int | str, dict[str, Any]] = {
    200: {"model": wire.KnowledgeDocument, "description": "The same bytes are there already, and read"},
    202: {"model": wire.KnowledgeDocument, "description": "Taken; it is read in the background"},
}


@router.post("", status_code=201)
async def create(body: wire.NewKnowledgeBase, services: ServicesOf, who: Writer) -> wire.KnowledgeBase:
    """Make a knowledge base."""
    made = await services.knowledge.create(
        who.person,
        name=" ".join(body.name.split()),
        shared=body.shared,
        level=Level.of(body.level) if body.level is not None else who.person.level,
        description=body.description.strip(),
    )
    return translate.base(made, who.person)


@router.get("")
async def bases(services: ServicesOf, who: Reader) -> wire.KnowledgeBaseList:
    """All bases that one may see, and what finds their pages."""
    found = await services.knowledge.bases(who.person)
    return wire.KnowledgeBaseList(
        data=[translate.base(one, who.person) for one in found],
        status=translate.status(services.knowledge.status()),
    )


@router.post("/search")
async def search_over(
    body: wire.NewKnowledgeSearchOver, services: ServicesOf, who: Reader
) -> wire.KnowledgeHits:
    """Find passages in several bases. Words stand in the body, so that no address and no log has them."""
    for index, name in enumerate(body.bases):
        await translate.named(services, who.person, name, f"bases[{index}]")
    names = list(dict.fromkeys(body.bases))
    return translate.hits(
        await services.knowledge.finder.search(who.person, names, body.query, limit=body.limit)
    )


@router.get("/{base_id}")
async def get(base_id: BaseIdOf, services: ServicesOf, who: Reader) -> wire.KnowledgeBase:
    """One base."""
    return translate.base(await services.knowledge.base(who.person, base_id), who.person)


@router.patch("/{base_id}")
async def change(
    base_id: BaseIdOf, body: wire.KnowledgeBaseChange, services: ServicesOf, who: Writer
) -> wire.KnowledgeBase:
    """Change name, description or who sees a base; what is left out stays."""
    changed = await services.knowledge.change(
        who.person,
        base_id,
        name=" ".join(body.name.split()) if body.name is not None else None,
        shared=body.shared,
        description=body.description.strip() if body.description is not None else None,
    )
    return translate.base(changed, who.person)


@router.delete("/{base_id}")
async def delete(base_id: BaseIdOf, services: ServicesOf, who: Writer) -> schema.Deleted:
    """Delete a base with all its documents, and their keys."""
    await services.knowledge.delete(who.person, base_id)
    return schema.Deleted(id=base_id, object="knowledge_base.deleted")


@router.post("/{base_id}/search")
async def search(
    base_id: BaseIdOf, body: wire.NewKnowledgeSearch, services: ServicesOf, who: Reader
) -> wire.KnowledgeHits:
    """Find passages in a base."""
    return translate.hits(
        await services.knowledge.finder.search(who.person, [base_id], body.query, limit=body.limit)
    )


@router.get("/{base_id}/documents")
async def documents(
    *,
    base_id: BaseIdOf,
    services: ServicesOf,
    who: Reader,
    after: Annotated[str, Query(max_length=512, description="`next` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    name: Annotated[str, Query(max_length=200, description="Only those whose name has this in it")] = "",
    status: Annotated[
        tuple[wire.DocumentState, ...], Query(description="Only those; several times: any")
    ] = (),
) -> wire.KnowledgeDocumentList:
    """A base's documents by name."""
    found, following = await services.knowledge.documents(
        who.person,
        base_id,
        after=after,
        limit=limit,
        named=unicodedata.normalize("NFC", name.strip()),
        states=status,
    )
    return wire.KnowledgeDocumentList(data=[translate.document(one) for one in found], next=following)


@router.put("/{base_id}/documents/{name}", status_code=202, openapi_extra=_FILE, responses=_PUT)
async def put(
    *,
    base_id: BaseIdOf,
    name: DocumentName,
    request: Request,
    response: Response,
    services: ServicesOf,
    who: Writer,
) -> wire.KnowledgeDocument:
    """Put a document into a base, or another version of it: the body is the file itself, of any content type."""
    for header in ("content-encoding", "content-range"):
        if request.headers.get(header, "identity").strip().lower() != "identity":
            raise BadRequestError(
                f"Send the whole file as it is, without the header {header.title()}.",
                zh=f"请原样发送整个文件，不要使用请求头 {header.title()}。",
                code="invalid_content_encoding",
            )
    await services.knowledge.base(who.person, base_id)  # before the file is waited for
    held = await services.knowledge.put(who.person, base_id, name, await request.body())
    response.status_code = 200 if held.state == "ready" else 202
    response.headers["location"] = translate.location(base_id, name)
    return translate.document(held)


@router.get("/{base_id}/documents/{name}")
async def document(
    base_id: BaseIdOf, name: DocumentName, services: ServicesOf, who: Reader
) -> wire.KnowledgeDocument:
    """One document, with how far it is read."""
    return translate.document(await services.knowledge.document(who.person, base_id, name))


@router.delete("/{base_id}/documents/{name}")
async def remove(base_id: BaseIdOf, name: DocumentName, services: ServicesOf, who: Writer) -> schema.Deleted:
    """Delete a document, all its versions, and their keys."""
    await services.knowledge.remove(who.person, base_id, name)
    return schema.Deleted(id=name, object="knowledge_base.document.deleted")


@router.post("/{base_id}/documents/{name}/cancel")
async def cancel(
    base_id: BaseIdOf, name: DocumentName, services: ServicesOf, who: Writer
) -> wire.KnowledgeDocument:
    """Stop reading a document in; an older version that was ready goes on answering."""
    return translate.document(await services.knowledge.cancel(who.person, base_id, name))


@router.get("/{base_id}/documents/{name}/pages/{number}", response_class=Response, responses={200: JPEG})
async def page(
    *,
    base_id: BaseIdOf,
    name: DocumentName,
    number: Annotated[int, Path(ge=1, le=1_000_000)],
    boxes: Boxes,
    services: ServicesOf,
    who: Reader,
) -> Response:
    """A page as a picture; `box` marks what was found on it."""
    data = await services.knowledge.finder.page(who.person, base_id, name, number, boxes)
    return Response(data, 200, {"cache-control": "private, no-store"}, "image/jpeg")


async def _no_name(base_id: BaseIdOf, name: DocumentName, who: Reader) -> None:
    """A name with a slash in it: what reads it from the path refuses it, and says why."""
    raise AssertionError((base_id, name, who))


for _path, _methods in (
    ("/{base_id}/documents/{name:path}/cancel", ["POST"]),
    ("/{base_id}/documents/{name:path}", ["GET", "PUT", "DELETE"]),
):
    router.add_api_route(_path, _no_name, methods=_methods, include_in_schema=False)
