"""The API's client, for the page and for Python programs: typed calls over HTTP, or straight into an application.

A page that runs inside the service calls the API in memory (:class:`AppTransport`): the same door, with the same
authentication, limits and checks, but without a socket, so that it also works where the service may open none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from concurrent.futures import CancelledError
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from vlpro import schema
from vlpro.errors import VlproError

__all__ = [
    "ADDRESS_HEADER",
    "BACKGROUND_HEADER",
    "IN_PROCESS",
    "ApiError",
    "AppTransport",
    "Client",
    "connect_in_process",
    "in_process",
]

ADDRESS_HEADER = "x-vlpro-address"
"""Where the person before the page is, as the service saw it; from elsewhere it is overwritten."""
BACKGROUND_HEADER = "x-vlpro-background"
"""The page asks by itself: a session that does only this goes idle."""
IN_PROCESS = "vlpro.in_process"
"""The key of an ASGI scope that was made here, not by a server."""

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
App = Callable[
    [Scope, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]
Reply = TypeVar("Reply", bound=BaseModel)


class ApiError(VlproError):
    """The API refused or failed.

    Args:
        error: The error object of the answer.
        status: HTTP status; 0 where there was no answer at all.
        request_id: To give to the administrator; empty where there was no answer.
    """

    def __init__(self, error: schema.ErrorBody, *, status: int, request_id: str) -> None:
        super().__init__(
            error.message, zh=(error.vlpro or {}).get("zh", ""), param=error.param, code=error.code
        )
        self.error = error
        self.status = status
        self.request_id = request_id


class AppTransport(httpx.BaseTransport):
    """Carries requests into an ASGI application that runs in another thread's event loop.

    Args:
        app: The application, with all of its middleware.
        loop: The loop in which it runs.
        timeout_s: Seconds to wait for a whole answer.
    """

    def __init__(self, app: App, loop: asyncio.AbstractEventLoop, timeout_s: float = 30.0) -> None:
        self._app = app
        self._loop = loop
        self._timeout_s = timeout_s

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and wait for its whole answer (streams are collected).

        Raises:
            httpx.TransportError: The application did not answer.
        """
        work = self._call(request, request.read())
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError as error:  # the loop is closed
            work.close()
            raise httpx.ConnectError("the service has stopped", request=request) from error
        try:
            return future.result(self._timeout_s)
        except TimeoutError as error:
            future.cancel()
            raise httpx.ReadTimeout("the service did not answer in time", request=request) from error
        except CancelledError as error:
            raise httpx.ReadError("the service stopped before it answered", request=request) from error

    async def _call(self, request: httpx.Request, body: bytes) -> httpx.Response:
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": request.url.scheme,
            "path": request.url.path,
            "raw_path": request.url.raw_path.split(b"?")[0],
            "query_string": request.url.query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "client": ("127.0.0.1", 0),
            IN_PROCESS: True,
            "server": (request.url.host, request.url.port or 80),
            "state": {},
        }
        incoming: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        answered = asyncio.Event()
        status, headers, pieces = 500, [], []

        async def receive() -> Message:
            if incoming:
                return incoming.pop()
            await answered.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            nonlocal status, headers
            if message["type"] == "http.response.start":
                status, headers = message["status"], list(message.get("headers", ()))
            elif message["type"] == "http.response.body":
                pieces.append(message.get("body", b""))
                if not message.get("more_body"):
                    answered.set()

        try:
            await self._app(scope, receive, send)
        # As a server would: what was answered stands, the rest is the service's log.
        except Exception as error:
            if not answered.is_set():
                raise httpx.ReadError("the service failed", request=request) from error
        return httpx.Response(status, headers=headers, content=b"".join(pieces))


_local: AppTransport | None = None


def connect_in_process(app: App | None, loop: asyncio.AbstractEventLoop | None = None) -> None:
    """Say which application :func:`in_process` reaches; None when the service stops.

    Called by the service at its start: Streamlit runs the page's script in the service's own process, and gives
    it no other way to learn of the application around it.
    """
    global _local  # noqa: PLW0603 - one service a process; see above
    _local = AppTransport(app, loop) if app is not None and loop is not None else None


def in_process() -> httpx.BaseTransport:
    """The transport into the service that this very process runs.

    Raises:
        RuntimeError: This process runs no service.
    """
    if _local is None:
        raise RuntimeError("this process runs no service: start it with `streamlit run app.py`")
    return _local


class Client:
    """Calls of the API that are this product's own; for chat completions use any OpenAI client.

    Args:
        base_url: Of the service, without ``/v1``.
        transport: As of httpx; :func:`in_process` for the page.
        key: API key, if one is needed.
        timeout_s: Seconds to wait for an answer.

    Every method raises :class:`ApiError` where the API refuses or does not answer.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8501",
        *,
        transport: httpx.BaseTransport | None = None,
        key: str | None = None,
        timeout_s: float = 30.0,
    ) -> None:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(
            base_url=base_url, transport=transport, headers=headers, timeout=timeout_s, trust_env=False
        )

    def status(self) -> schema.Status:
        """What the service and its machine are doing."""
        return self._call(schema.Status, "GET", "/v1/status")

    def prompts(self) -> schema.PromptList:
        """Questions for an engine that sees."""
        return self._call(schema.PromptList, "GET", "/v1/prompts")

    def add_image(
        self, data: bytes, *, conversation: str = "", after: Sequence[str] = ()
    ) -> schema.ImageInfo:
        """Put a picture into the service's memory; the engine begins to read it.

        Args:
            data: The file: JPEG, PNG, BMP or WebP.
            conversation: Id of the conversation in which it will be asked about; empty: of a new one.
            after: Ids of the pictures that come before it in the same question.
        """
        return self._call(
            schema.ImageInfo,
            "POST",
            "/v1/images",
            params={"conversation": conversation, "after": list(after)},
            content=data,
            headers={"content-type": "application/octet-stream"},
        )

    def delete_image(self, image_id: str) -> schema.Deleted:
        """Remove a picture that no conversation uses."""
        return self._call(schema.Deleted, "DELETE", f"/v1/images/{image_id}")

    def conversations(self) -> schema.ConversationList:
        """All conversations, last used first, without their messages."""
        return self._call(schema.ConversationList, "GET", "/v1/conversations")

    def conversation(self, conversation_id: str) -> schema.Conversation:
        """One conversation with its messages; the last one may still be growing."""
        return self._call(schema.Conversation, "GET", f"/v1/conversations/{conversation_id}")

    def new_conversation(self, title: str = "") -> schema.Conversation:
        """Begin a conversation."""
        return self._send(schema.Conversation, "/v1/conversations", schema.NewConversation(title=title))

    def ask(self, conversation_id: str, question: schema.NewMessage) -> schema.Message:
        """Ask; returns the answer's message at once, to be read again while it grows."""
        return self._send(schema.Message, f"/v1/conversations/{conversation_id}/messages", question)

    def answer(self, conversation_id: str, message_id: str) -> schema.Message:
        """One message as it is now."""
        return self._call(schema.Message, "GET", f"/v1/conversations/{conversation_id}/messages/{message_id}")

    def stop(self, conversation_id: str) -> schema.Conversation:
        """End the answer that is being generated; what was written stays."""
        return self._call(schema.Conversation, "POST", f"/v1/conversations/{conversation_id}/stop")

    def clear(self, conversation_id: str) -> schema.Cleared:
        """Delete a conversation and free its pictures and what the engine kept of it."""
        return self._call(schema.Cleared, "DELETE", f"/v1/conversations/{conversation_id}")

    def _send(self, kind: type[Reply], path: str, body: BaseModel) -> Reply:
        return self._call(
            kind,
            "POST",
            path,
            content=body.model_dump_json(exclude_none=True).encode(),
            headers={"content-type": "application/json"},
        )

    def _call(self, kind: type[Reply], method: str, path: str, **arguments: Any) -> Reply:
        try:
            reply = self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise _no_answer() from error
        request_id = reply.headers.get("x-request-id", "")
        try:
            if reply.is_success:
                return kind.model_validate_json(reply.content)
            error_body = schema.ErrorEnvelope.model_validate_json(reply.content).error
        except ValidationError as error:
            raise _no_answer(reply.status_code, request_id) from error
        raise ApiError(error_body, status=reply.status_code, request_id=request_id)


def _no_answer(status: int = 0, request_id: str = "") -> ApiError:
    body = schema.ErrorBody(
        message="The service does not answer. Try again shortly.",
        type="server_error",
        code="no_answer",
        vlpro={"zh": "服务没有响应，请稍后重试。"},
    )
    return ApiError(body, status=status, request_id=request_id)
