"""One line of a batch, asked in its owner's name and with the permissions of that moment."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

from vlpro.audit.record import Actor
from vlpro.chat.service import Question, Turn
from vlpro.engines.interface import Usage
from vlpro.errors import ForbiddenError, UnauthenticatedError
from vlpro.identity.principal import Principal
from vlpro.imaging.pdf import is_pdf
from vlpro.workflows.batch.batch import Batch, Line
from vlpro.workflows.batch.sources import Sources

__all__ = ["Api", "HoldError", "LineAsker", "Reply", "code_of", "usage_of"]


class Reply(NamedTuple):
    """What the API answered: the status, the request's id, and the body, JSON."""

    status: int
    request_id: str
    body: bytes


class Api(Protocol):
    """The API's own routes, called in somebody's name."""

    async def post(self, who: Principal, actor: Actor, path: str, body: bytes, *, once: str) -> Reply:
        """Send a request, with an ``Idempotency-Key``; whatever is refused is an answer, too."""

    async def ask(self, who: Principal, actor: Actor, question: Question) -> Reply:
        """Ask a question whose pictures are read in already; the answer is a chat completion."""


class HoldError(Exception):
    """A line cannot be asked now, nor can the others: the batch is paused."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class LineAsker:
    """Asks lines by the way of any request.

    Args:
        sources: Gives what lines are about.
        owner: Who somebody is now, by account and key. Raises as
            :meth:`vlpro.identity.authentication.Authentication.aowner`.
        picture_pixels: The most pixels that the engine wants of a picture.

    Attributes:
        api: Answers them; set before the first is asked.
    """

    api: Api

    def __init__(
        self,
        sources: Sources,
        owner: Callable[[str, str | None], Awaitable[Principal]],
        *,
        picture_pixels: int,
    ) -> None:
        self._sources = sources
        self._owner = owner
        self._picture_pixels = picture_pixels

    async def who(self, batch: Batch) -> Principal:
        """Whose a batch is, with the permissions of this moment. Raises: HoldError: they may not ask any more."""
        actor = batch.head.actor
        try:
            who = await self._owner(batch.owner, actor.key or None)
        except (UnauthenticatedError, ForbiddenError) as error:
            raise HoldError("owner_not_permitted") from error
        if who.level < batch.level:
            raise HoldError("owner_level_lowered")
        return who

    async def ask(self, batch: Batch, line: Line, who: Principal) -> Reply:
        """Ask a line in somebody's name. Raises: VlproError: its file or picture cannot be read."""
        head = batch.head
        once = f"{batch.id}:{line.number}"  # a process that ends before it stores the answer is not the last to ask
        actor = replace(head.actor, request=f"{batch.id}:{line.source['line']}")
        if head.jsonl:
            body = await self._sources.request(batch, line)
            return await self.api.post(who, actor, head.endpoint, body, once=once)
        if head.template:
            document = await self._sources.document(batch, line)
            body = await asyncio.to_thread(_extraction, head.template, document.data, document.name)
            return await self.api.post(who, actor, head.endpoint, body, once=once)
        picture = await self._sources.picture(batch, line, max_pixels_used=self._picture_pixels)
        question = Question(turns=(Turn("user", (picture, head.instruction)),), owner=who.account)
        return await self.api.ask(who, actor, question)


def usage_of(body: bytes) -> Usage:
    """Tokens that an answer says it took, by either of OpenAI's names; none where it says nothing."""
    try:
        told: Mapping[str, Any] = json.loads(body).get("usage") or {}
        details = told.get("prompt_tokens_details") or told.get("input_tokens_details") or {}
        return Usage(
            int(told.get("prompt_tokens") or told.get("input_tokens") or 0),
            int(told.get("completion_tokens") or told.get("output_tokens") or 0),
            int(details.get("cached_tokens") or 0),
        )
    except (ValueError, TypeError, AttributeError):
        return Usage(0, 0)


def code_of(body: bytes) -> str:
    """Code of the error that an answer is; empty where it is none."""
    try:
        return str(json.loads(body)["error"]["code"])
    except (ValueError, TypeError, LookupError):
        return ""


def _extraction(template: str, data: bytes, name: str) -> bytes:
    media = "application/pdf" if is_pdf(data) else "image/unknown"  # what it is is told by its bytes
    url = f"data:{media};base64,{base64.b64encode(data).decode()}"
    part = {"type": "file", "file": {"file_data": url, "filename": name[-255:]}}
    return json.dumps({"template": template, "input": [part]}).encode()
