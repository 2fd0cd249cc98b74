"""How the API is called, whatever the subject: what goes out as JSON, what comes back, what a refusal becomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from vlpro import schema
from vlpro.errors import VlproError

__all__ = ["ApiError", "Calls", "no_answer", "part", "refused"]

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


class Calls:
    """What all subjects' calls have in common: a connection, and how to use it.

    Args:
        base_url: Of the service, without ``/v1``.
        transport: As of httpx; :func:`vlpro.client.in_process` for the page.
        key: API key, if one is needed.
        timeout_s: Seconds to wait for an answer.
        headers: More headers for every request.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8501",
        *,
        transport: httpx.BaseTransport | None = None,
        key: str | None = None,
        timeout_s: float = 30.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        sent = {**(headers or {}), **({"authorization": f"Bearer {key}"} if key else {})}
        self._http = httpx.Client(
            base_url=base_url, transport=transport, headers=sent, timeout=timeout_s, trust_env=False
        )

    def close(self) -> None:
        """Let go of its connections."""
        self._http.close()

    def _send(self, kind: type[Reply], path: str, body: BaseModel, *, method: str = "POST") -> Reply:
        # A change says everything it sets, null too, a partial one (PATCH) what was given; what begins something
        # leaves out what it does not ask for.
        return self._call(
            kind,
            method,
            path,
            content=body.model_dump_json(
                exclude_none=method == "POST", exclude_unset=method == "PATCH", by_alias=True
            ).encode(),
            headers={"content-type": "application/json"},
        )

    def _bytes(self, path: str, **arguments: Any) -> bytes:
        """A file or a picture."""
        try:
            reply = self._http.get(path, **arguments)
        except httpx.HTTPError as error:
            raise no_answer() from error
        if not reply.is_success:
            raise refused(reply)
        return reply.content

    def _call(self, kind: type[Reply], method: str, path: str, **arguments: Any) -> Reply:
        try:
            reply = self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise no_answer() from error
        if not reply.is_success:
            raise refused(reply)
        try:
            return kind.model_validate_json(reply.content)
        except ValidationError as error:
            raise no_answer(reply.status_code, reply.headers.get("x-request-id", "")) from error


def part(identifier: str) -> str:
    """An id as one part of a path."""
    return quote(identifier, safe="")


def refused(reply: httpx.Response) -> ApiError:
    """What an answer that is no success says."""
    request_id = reply.headers.get("x-request-id", "")
    try:
        body = schema.ErrorEnvelope.model_validate_json(reply.content).error
    except ValidationError:
        return no_answer(reply.status_code, request_id)
    return ApiError(body, status=reply.status_code, request_id=request_id)


def no_answer(status: int = 0, request_id: str = "") -> ApiError:
    """Nothing came back that could be read."""
    body = schema.ErrorBody(
        message="The service does not answer. Try again shortly.",
        type="server_error",
        code="no_answer",
        vlpro={"zh": "服务没有响应，请稍后重试。"},
    )
    return ApiError(body, status=status, request_id=request_id)
