"""Conversations, in memory and stored: ``/v1/conversations``."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from vlpro import schema
from vlpro.chat.answering import Asked
from vlpro.chat.conversations import Conversation
from vlpro.gateway import knowledge, translate
from vlpro.gateway.deps import ConversationAskerOf, Owner, RequestIdOf, Services, ServicesOf
from vlpro.gateway.routes.images import JPEG
from vlpro.gateway.routes.status import device
from vlpro.gateway.strict import StrictRoute
from vlpro.identity.labels import Level
from vlpro.process import give_memory_back

__all__ = ["router"]

router = APIRouter(prefix="/conversations", tags=["conversations"], route_class=StrictRoute)


def _reply(held: Conversation, services: Services) -> schema.Conversation:
    tokens = services.conversations.tokens(held)
    return translate.conversation(held, services.chat.engine, tokens=tokens)


@router.post("", status_code=201)
async def new(body: schema.NewConversation, services: ServicesOf, owner: Owner) -> schema.Conversation:
    """Begin a conversation."""
    level = Level.of(body.level) if body.level is not None else None
    return _reply(await services.conversations.new(owner, body.title, level), services)


@router.get("")
async def conversations(
    services: ServicesOf,
    owner: Owner,
    after: Annotated[str, Query(max_length=80, description="`next` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> schema.ConversationList:
    """Conversations, last used first, without their messages."""
    return translate.conversations(await services.conversations.page(owner, after=after, limit=limit))


@router.post("/search")
async def search(body: schema.NewSearch, services: ServicesOf, owner: Owner) -> schema.SearchResult:
    """Find words in one's own conversations; they stand in the body, so that no address and no log has them."""
    return translate.found(await services.conversations.find(owner, body.text, body.limit))


@router.delete("")
async def clear_all(services: ServicesOf, owner: Owner) -> schema.ClearedAll:
    """Delete all of one's own conversations, with their keys."""
    return schema.ClearedAll(count=await services.conversations.clear_all(owner))


@router.get("/{conversation_id}")
async def get(conversation_id: str, services: ServicesOf, owner: Owner) -> schema.Conversation:
    """One conversation with its messages; the last one may still be growing."""
    return _reply(await services.conversations.get(owner, conversation_id), services)


@router.put("/{conversation_id}")
async def rename(
    conversation_id: str, body: schema.ConversationChange, services: ServicesOf, owner: Owner
) -> schema.Conversation:
    """Give a conversation another title."""
    return _reply(await services.conversations.rename(owner, conversation_id, body.title), services)


@router.post("/{conversation_id}/messages", status_code=202)
async def ask(
    *,
    conversation_id: str,
    body: schema.NewMessage,
    request: Request,
    services: ServicesOf,
    asker: ConversationAskerOf,
    request_id: RequestIdOf,
) -> schema.Message:
    """Ask; the reply is the answer's message, which grows while it is generated in the background."""
    finds, finds_level = await knowledge.finds(services, request, body.knowledge_base)
    asked = Asked(
        text=body.text,
        images=tuple(body.images),
        temperature=body.temperature,
        max_tokens=body.max_tokens,
        language=body.language,
        replaces=body.replaces,
        version=body.version,
        request_id=request_id,
        spent=asker.spent,
        finds=finds,
        bases=knowledge.names(body.knowledge_base),
        finds_level=finds_level,
    )
    answer = await services.conversations.ask(asker.person, conversation_id, asked)
    return translate.message(answer, services.chat.engine)


@router.get("/{conversation_id}/messages/{message_id}")
async def message(
    conversation_id: str, message_id: str, services: ServicesOf, owner: Owner
) -> schema.Message:
    """One message as it is now."""
    held = await services.conversations.get(owner, conversation_id)
    return translate.message(held.message(message_id), services.chat.engine)


@router.get(
    "/{conversation_id}/messages/{message_id}/annotated", response_class=Response, responses={200: JPEG}
)
async def annotated(
    conversation_id: str,
    message_id: str,
    services: ServicesOf,
    owner: Owner,
    image: Annotated[int | None, Query(ge=1, description="Which picture; left out: the first marked")] = None,
) -> Response:
    """A picture of the conversation with the boxes and points of an answer drawn on it."""
    data = await services.conversations.pictures.annotated(owner, conversation_id, message_id, image)
    return Response(data, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})


@router.post("/{conversation_id}/stop")
async def stop(conversation_id: str, services: ServicesOf, owner: Owner) -> schema.Conversation:
    """End the answer that is being generated; what was written stays."""
    return _reply(await services.conversations.stop(owner, conversation_id), services)


@router.post("/{conversation_id}/exports")
async def export(
    conversation_id: str, body: schema.NewExport, services: ServicesOf, owner: Owner
) -> schema.Conversation:
    """Take a conversation out, with its messages; that it was is recorded."""
    held = await services.conversations.export(owner, conversation_id, body.format)
    return translate.masked(_reply(held, services), services.conversations.masking())


@router.delete("/{conversation_id}")
async def clear(conversation_id: str, services: ServicesOf, owner: Owner) -> schema.Cleared:
    """Delete a conversation, its pictures and what the engine kept of them; the reply is a receipt."""
    before, began = await device(services), time.perf_counter()
    receipt = await services.conversations.clear(owner, conversation_id)
    await asyncio.to_thread(give_memory_back)
    took_ms = (time.perf_counter() - began) * 1000
    return translate.cleared(conversation_id, receipt, before, await device(services), took_ms)
