"""``GET /v1/status``: what the service and its machine are doing."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter

from vlpro import schema
from vlpro.gateway import errors, translate
from vlpro.gateway.deps import Services, ServicesOf, needs
from vlpro.identity.permissions import Permission
from vlpro.sealing.seal import is_sealed

__all__ = ["device", "router"]

router = APIRouter(tags=["status"], dependencies=[needs(Permission.STATUS_READ)])


async def device(services: Services) -> schema.Device:
    """The machine's state, read off the event loop."""
    return await asyncio.to_thread(services.device.read, services.chat.engine.pid)


@router.get("/status")
async def status(services: ServicesOf) -> schema.Status:
    """Engine, queue, machine, and the limits that a page should know before it sends."""
    chat, settings = services.chat, services.settings
    engine = chat.engine
    loading = engine.loading
    return schema.Status(
        engine=engine.name,
        model=engine.capabilities.model,
        sees=engine.capabilities.sees,
        ready=engine.ready,
        loading=schema.Loading(stage=loading.stage, share=loading.share) if loading else None,
        problem=errors.body(engine.problem) if engine.problem else None,
        running=chat.queue.running,
        queued=chat.queue.waiting,
        reading_ahead=services.conversations.pictures.reading_ahead,
        sealed=is_sealed(),
        device=await device(services),
        budget=schema.Budget(
            context_tokens=engine.capabilities.context_tokens,
            picture_tokens=engine.capabilities.picture_tokens_budget,
            max_images=settings.max_images,
            max_image_bytes=settings.max_image_bytes,
            max_text_chars=settings.max_text_chars,
        ),
        last=translate.timed(chat.last) if chat.last else None,
    )
