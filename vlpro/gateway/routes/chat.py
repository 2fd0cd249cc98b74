"""``POST /v1/chat/completions``, whole or streamed."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import TypeVar

import pydantic_core
from fastapi import APIRouter, Request, Response

from vlpro import schema
from vlpro.chat.service import Finished, Piece, Question, Started
from vlpro.engines.interface import FinishReason
from vlpro.errors import VlproError
from vlpro.gateway import errors, knowledge, translate
from vlpro.gateway.deps import AskerOf, Services, ServicesOf
from vlpro.gateway.stream import STREAMED, EventStream, while_connected
from vlpro.gateway.strict import StrictRoute, by_size

__all__ = ["after", "router", "whole"]

T = TypeVar("T")

router = APIRouter(route_class=StrictRoute, tags=["chat"])


@router.post("/chat/completions", response_model=schema.ChatCompletion, responses=STREAMED)
async def complete(
    body: schema.ChatRequest, request: Request, services: ServicesOf, asker: AskerOf
) -> Response:
    """Answer a conversation with pictures, as OpenAI's chat completions."""
    services.chat.check_model(body.model)
    question = await by_size(request, translate.chat_question, body, services.settings.max_image_bytes, asker)
    finds, _ = await knowledge.finds(services, request, body.knowledge_base)
    answer = _Answer(services, replace(question, finds=finds))
    if not body.stream:
        whole = await while_connected(request, answer.whole())
        return Response(whole.model_dump_json(), media_type="application/json")
    include_usage = body.stream_options is not None and bool(body.stream_options.include_usage)
    events = answer.events(include_usage=include_usage)
    # Until the first piece is there an error is an HTTP error; from then on it is an event of the stream.
    first = await while_connected(request, anext(events))
    return EventStream(after(first, events), slow_client_timeout_s=services.settings.slow_client_timeout_s)


async def whole(services: Services, question: Question) -> schema.ChatCompletion:
    """The whole answer to a question, in OpenAI's shape."""
    return await _Answer(services, question).whole()


async def after(first: T, events: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """The events again, with the first, which was taken already, before them."""
    async with aclosing(events):
        yield first
        async for event in events:
            yield event


class _Answer:
    """One answer on its way into OpenAI's shapes."""

    def __init__(self, services: Services, question: Question) -> None:
        self._services = services
        self._question = question
        self._id = f"chatcmpl-{secrets.token_hex(12)}"
        self._created = int(time.time())
        self._model = services.chat.engine.capabilities.model
        self._started = Started(())

    async def whole(self) -> schema.ChatCompletion:
        """All pieces together."""
        texts = [""] * self._question.choices
        reasons: list[FinishReason] = ["stop"] * self._question.choices
        finished: Finished | None = None
        async with aclosing(self._services.chat.answer(self._question)) as events:
            async for event in events:
                match event:
                    case Started():
                        self._started = event
                    case Piece():
                        texts[event.choice] += event.text
                        reasons[event.choice] = event.finish_reason or reasons[event.choice]
                    case Finished():
                        finished = event
        assert finished is not None  # noqa: S101 - the service's contract
        return schema.ChatCompletion(
            id=self._id,
            created=self._created,
            model=self._model,
            choices=[
                schema.ChatChoice(
                    index=index, message=schema.ReplyMessage(content=text), finish_reason=reason
                )
                for index, (text, reason) in enumerate(zip(texts, reasons, strict=True))
            ],
            usage=translate.usage(finished.usage),
            vlpro=self._extension(finished),
        )

    async def events(self, *, include_usage: bool) -> AsyncGenerator[bytes, None]:
        """Server-sent events: the role first, then text, why it ended, the usage if asked for, and [DONE]."""
        common: dict[str, object] = {"usage": None} if include_usage else {}
        opened: set[int] = set()
        last: Piece | None = None
        try:
            async with aclosing(self._services.chat.answer(self._question)) as events:
                async for event in events:
                    match event:
                        case Started():
                            self._started = event
                        case Piece():
                            if last is not None:  # an answer before this one ended
                                yield self._chunk(last.choice, {}, last.finish_reason, common)
                                last = None
                            if event.choice not in opened:
                                opened.add(event.choice)
                                yield self._chunk(
                                    event.choice, {"role": "assistant", "content": ""}, None, common
                                )
                            if event.text:
                                yield self._chunk(event.choice, {"content": event.text}, None, common)
                            if event.finish_reason is not None:
                                last = event
                        case Finished():
                            added = {**common, "vlpro": self._extension(event).model_dump()}
                            if last is not None:
                                yield self._chunk(last.choice, {}, last.finish_reason, added)
                            if include_usage:
                                counted = translate.usage(event.usage).model_dump()
                                yield self._event({"choices": [], "usage": counted})
        except VlproError as error:
            if not opened:
                raise
            yield errors.as_event(error)
            return
        yield b"data: [DONE]\n\n"

    def _chunk(
        self, index: int, delta: dict[str, str], finish_reason: str | None, more: dict[str, object]
    ) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._event({"choices": [choice], **more})

    def _event(self, fields: dict[str, object]) -> bytes:
        # Written by hand, not through the schema's classes: this runs for each token of each reader.
        chunk = {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._model,
            **fields,
        }
        return b"data: " + pydantic_core.to_json(chunk) + b"\n\n"

    def _extension(self, finished: Finished) -> schema.Extension:
        """Boxes and citations are those of the first answer."""
        return translate.extension(
            self._services.chat.engine,
            self._started.pictures,
            finished.grounding[0],
            finished.timing,
            finished.citations[0],
        )
