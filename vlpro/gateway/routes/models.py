"""``GET /v1/models`` and ``GET /v1/models/{id}``."""

from __future__ import annotations

from fastapi import APIRouter

from vlpro import schema
from vlpro.chat.service import ALIAS
from vlpro.gateway.deps import Services, ServicesOf, needs
from vlpro.identity.permissions import Permission

__all__ = ["router"]

router = APIRouter(tags=["models"], dependencies=[needs(Permission.ANSWER_CREATE)])


def _model(name: str, services: Services) -> schema.Model:
    return schema.Model(id=name, created=services.started, owned_by="vlpro")


@router.get("/models")
async def models(services: ServicesOf) -> schema.ModelList:
    """The model of the engine in use, and the name that always means it."""
    names = (services.chat.engine.capabilities.model, ALIAS)
    return schema.ModelList(data=[_model(name, services) for name in names])


@router.get("/models/{name:path}")
async def model(name: str, services: ServicesOf) -> schema.Model:
    """One model."""
    services.chat.check_model(name)
    return _model(name, services)
