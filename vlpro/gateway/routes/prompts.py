"""``GET /v1/prompts``: questions that the model knows best."""

from __future__ import annotations

from fastapi import APIRouter

from vlpro import schema
from vlpro.chat.prompts import PROMPTS
from vlpro.gateway.deps import needs
from vlpro.identity.permissions import Permission

__all__ = ["router"]

router = APIRouter(tags=["prompts"], dependencies=[needs(Permission.ANSWER_CREATE)])


@router.get("/prompts")
async def prompts() -> schema.PromptList:
    """Questions for an engine that sees, in the words that its model was trained on."""
    listed = [schema.Prompt(id=p.id, titles={"zh": p.zh, "en": p.en}, text=p.text) for p in PROMPTS]
    return schema.PromptList(data=listed)
