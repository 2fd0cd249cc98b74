"""The API's own routes, called from inside in somebody's name: a batch's lines go the way of any request."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import MutableMapping
from dataclasses import replace
from typing import Any

from fastapi import FastAPI

from vlpro.audit.record import Actor
from vlpro.audit.recorder import ACTOR
from vlpro.chat.service import Question
from vlpro.client import IN_PROCESS
from vlpro.errors import VlproError
from vlpro.gateway import errors
from vlpro.gateway.deps import Services, asker
from vlpro.gateway.routes.chat import whole
from vlpro.identity.permissions import Permission
from vlpro.identity.principal import Principal
from vlpro.workflows.batch.asking import Reply

__all__ = ["Inside"]

Message = MutableMapping[str, Any]


class Inside:
    """As :class:`vlpro.workflows.batch.asking.Api`.

    Args:
        app: Everything under ``/v1``: permissions, strict JSON, services and errors are those of a request from
            outside. Who asks was found out before, as the guard does.
        services: Those that the application has.
    """

    def __init__(self, app: FastAPI, services: Services) -> None:
        self._app = app
        self._services = services

    async def post(self, who: Principal, actor: Actor, path: str, body: bytes, *, once: str) -> Reply:
        """Send a request, with an ``Idempotency-Key``; whatever is refused is an answer, too."""
        request_id = f"req_{secrets.token_hex(12)}"
        ACTOR.set(actor)
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "/v1",
            "headers": [
                (b"content-type", b"application/json"),
                (b"host", b"127.0.0.1"),
                (b"idempotency-key", once.encode()),
            ],
            "client": ("127.0.0.1", 0),
            "server": ("127.0.0.1", 80),
            "state": {"principal": who, "request_id": request_id, "address": actor.address},
            IN_PROCESS: True,
        }
        incoming: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        never = asyncio.Event()
        status, pieces = 500, list[bytes]()

        async def receive() -> Message:
            if incoming:
                return incoming.pop()
            await never.wait()  # nobody goes away
            raise AssertionError

        async def send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                pieces.append(message.get("body", b""))

        try:
            await self._app(scope, receive, send)
        except Exception:
            if not pieces:  # else it was answered and logged already
                raise
        return Reply(status, request_id, b"".join(pieces))

    async def ask(self, who: Principal, actor: Actor, question: Question) -> Reply:
        """Ask a question whose pictures are read in already; the answer is a chat completion."""
        request_id = f"req_{secrets.token_hex(12)}"
        ACTOR.set(actor)
        try:
            who.require(Permission.ANSWER_CREATE)
            spent = asker(self._services, who).spent
            answer = await whole(self._services, replace(question, spent=spent))
        except VlproError as error:
            refused = errors.response(error)
            return Reply(refused.status_code, request_id, bytes(refused.body))
        return Reply(200, request_id, answer.model_dump_json().encode())
