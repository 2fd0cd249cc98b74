"""``POST /v1/responses``: OpenAI's newer shape over the same service; nothing is stored."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pydantic_core
from fastapi import APIRouter, Request, Response

from vlpro import schema
from vlpro.chat.service import Finished, Piece, Question, Started
from vlpro.errors import VlproError
from vlpro.gateway import errors, knowledge, translate
from vlpro.gateway.deps import AskerOf, Services, ServicesOf
from vlpro.gateway.routes.chat import after
from vlpro.gateway.stream import STREAMED, EventStream, while_connected
from vlpro.gateway.strict import StrictRoute, by_size

__all__ = ["router"]

router = APIRouter(route_class=StrictRoute, tags=["responses"])

Json = dict[str, Any]


@router.post("/responses", responses=STREAMED)
async def respond(
    body: schema.ResponsesRequest, request: Request, services: ServicesOf, asker: AskerOf
) -> Response:
    """Answer a conversation with pictures, as OpenAI's Responses; nothing is stored."""
    services.chat.check_model(body.model)
    question = await by_size(
        request, translate.responses_question, body, services.settings.max_image_bytes, asker
    )
    finds, _ = await knowledge.finds(services, request, body.knowledge_base)
    events = _Reply(services, body, replace(question, finds=finds)).events()
    first = await while_connected(request, anext(events))
    if body.stream:
        encoded = after(first, events)
        return EventStream(_as_bytes(encoded), slow_client_timeout_s=services.settings.slow_client_timeout_s)
    last = await while_connected(request, _last(after(first, events)))
    if isinstance(last, VlproError):
        raise last
    return Response(pydantic_core.to_json(last["response"]), media_type="application/json")


async def _last(events: AsyncGenerator[Json | VlproError, None]) -> Json | VlproError:
    last: Json | VlproError = {}
    async with aclosing(events):
        async for event in events:
            last = event
    return last


async def _as_bytes(events: AsyncGenerator[Json | VlproError, None]) -> AsyncGenerator[bytes, None]:
    number = 0
    async with aclosing(events):
        async for event in events:
            told = _failed(event) if isinstance(event, VlproError) else event
            data = pydantic_core.to_json({**told, "sequence_number": number})
            yield f"event: {told['type']}\ndata: ".encode() + data + b"\n\n"
            number += 1


def _failed(error: VlproError) -> Json:
    told = errors.body(error)
    return {"type": "error", "code": told.code, "message": told.message, "param": told.param}


class _Reply:
    """One answer on its way into the Responses shapes."""

    def __init__(self, services: Services, body: schema.ResponsesRequest, question: Question) -> None:
        self._services = services
        self._body = body
        self._question = question
        self._id = f"resp_{secrets.token_hex(12)}"
        self._message_id = f"msg_{secrets.token_hex(12)}"
        self._created = int(time.time())
        self._text = ""
        self._pictures = Started(())

    async def events(self) -> AsyncGenerator[Json | VlproError, None]:
        """All events in OpenAI's order; an error in the middle is yielded, one before the first is raised."""
        begun = False
        reason = "stop"
        where = {"item_id": self._message_id, "output_index": 0, "content_index": 0}
        try:
            async with aclosing(self._services.chat.answer(self._question)) as events:
                async for event in events:
                    match event:
                        case Started():
                            self._pictures = event
                        case Piece():
                            if not begun:
                                begun = True
                                for opening in self._opening(where):
                                    yield opening
                            if event.text:
                                self._text += event.text
                                yield {
                                    "type": "response.output_text.delta",
                                    **where,
                                    "delta": event.text,
                                    "logprobs": [],
                                }
                            reason = event.finish_reason or reason
                        case Finished():
                            for closing in self._closing(where, event, cut=reason == "length"):
                                yield closing
        except VlproError as error:
            if not begun:
                raise
            yield error

    def _opening(self, where: Json) -> list[Json]:
        item = {**self._item("in_progress"), "content": []}
        return [
            {"type": "response.created", "response": self._response("in_progress")},
            {"type": "response.in_progress", "response": self._response("in_progress")},
            {"type": "response.output_item.added", "output_index": 0, "item": item},
            {"type": "response.content_part.added", **where, "part": self._part()},
        ]

    def _closing(self, where: Json, finished: Finished, *, cut: bool) -> list[Json]:
        status = "incomplete" if cut else "completed"
        item = self._item(status)
        response = self._response(status)
        response["output"] = [item]
        response["usage"] = {
            "input_tokens": finished.usage.prompt_tokens,
            "input_tokens_details": {"cached_tokens": finished.usage.cached_tokens},
            "output_tokens": finished.usage.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": finished.usage.prompt_tokens + finished.usage.completion_tokens,
        }
        if cut:
            response["incomplete_details"] = {"reason": "max_output_tokens"}
        response["vlpro"] = translate.extension(
            self._services.chat.engine,
            self._pictures.pictures,
            finished.grounding[0],
            finished.timing,
            finished.citations[0],
        ).model_dump()
        return [
            {"type": "response.output_text.done", **where, "text": self._text, "logprobs": []},
            {"type": "response.content_part.done", **where, "part": self._part()},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": f"response.{status}", "response": response},
        ]

    def _part(self) -> Json:
        return {"type": "output_text", "text": self._text, "annotations": [], "logprobs": []}

    def _item(self, status: str) -> Json:
        return {
            "id": self._message_id,
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": [self._part()],
        }

    def _response(self, status: str) -> Json:
        body = self._body
        sampling = self._question.sampling
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "instructions": body.instructions,
            "max_output_tokens": body.max_output_tokens,
            "model": self._services.chat.engine.capabilities.model,
            "output": [],
            "parallel_tool_calls": bool(body.parallel_tool_calls),
            "previous_response_id": None,
            "reasoning": {"effort": None, "summary": None},
            "store": False,
            "temperature": sampling.temperature,
            "text": body.text.model_dump(by_alias=True, exclude_none=True)
            if body.text and body.text.format
            else {"format": {"type": "text"}},
            "tool_choice": body.tool_choice or "auto",
            "tools": [],
            "top_p": sampling.top_p,
            "truncation": "disabled",
            "usage": None,
            "user": body.user,
            "metadata": body.metadata or {},
        }
