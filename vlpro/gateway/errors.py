"""From the error tree to HTTP: one table, one envelope (OpenAI's), on every route."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from vlpro import errors, schema

__all__ = ["STATUS", "as_event", "body", "from_status", "from_validation", "response"]

log = logging.getLogger(__name__)

STATUS: Mapping[type[errors.VlproError], tuple[int, str]] = {
    errors.BadRequestError: (400, "invalid_request_error"),
    errors.ImageError: (400, "invalid_request_error"),
    errors.ContextLengthError: (400, "invalid_request_error"),
    errors.UnsupportedError: (400, "invalid_request_error"),
    errors.RequestTimeoutError: (408, "invalid_request_error"),
    errors.RequestTooLargeError: (413, "invalid_request_error"),
    errors.NotFoundError: (404, "invalid_request_error"),
    errors.MethodNotAllowedError: (405, "invalid_request_error"),
    errors.UnauthenticatedError: (401, "authentication_error"),
    errors.ForbiddenError: (403, "permission_error"),
    errors.ConflictError: (409, "invalid_request_error"),
    errors.BusyError: (429, "rate_limit_error"),
    errors.EngineError: (502, "server_error"),
    errors.EngineUnavailableError: (503, "server_error"),
    errors.EngineTimeoutError: (504, "server_error"),
    errors.DatabaseError: (503, "server_error"),
    errors.AuditError: (503, "server_error"),
    errors.BackupError: (500, "server_error"),
    errors.DirectoryUnavailableError: (503, "server_error"),
    errors.ConfigError: (500, "server_error"),
    errors.ModelFilesError: (500, "server_error"),
    errors.VlproError: (500, "server_error"),
}


def body(error: errors.VlproError) -> schema.ErrorBody:
    """OpenAI's error object; the Chinese sentence stands beside it under ``vlpro``."""
    return schema.ErrorBody(
        message=error.message,
        type=STATUS[type(error)][1],
        param=error.param,
        code=error.code,
        vlpro={"zh": error.zh},
    )


class ErrorResponse(Response):
    """An error as an answer; whoever counts answers finds its code in ``scope["state"]["error_code"]``."""

    code = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        scope.setdefault("state", {})["error_code"] = self.code
        await super().__call__(scope, receive, send)


def response(
    error: errors.VlproError, headers: Mapping[str, str] | None = None, *, status: int | None = None
) -> Response:
    """An error as an HTTP answer; with the status of its class where ``status`` is left out."""
    extra = dict(headers or {})
    if isinstance(error, errors.BusyError):
        extra["retry-after"] = str(error.retry_after)
    envelope = schema.ErrorEnvelope(error=body(error))
    answer = ErrorResponse(
        envelope.model_dump_json(),
        status_code=status or STATUS[type(error)][0],
        headers=extra,
        media_type="application/json",
    )
    answer.code = error.code
    return answer


def from_status(status: int, method: str, path: str, detail: str = "") -> errors.VlproError:
    """What a refusal by one of the frameworks means, in our words.

    Args:
        status: Its HTTP status, 400 or more.
        method: Of the request.
        path: Of the request.
        detail: What the framework said.
    """
    method, path = method[:20], path[:200].encode("utf-8", "replace").decode()
    if status == 404:
        return errors.NotFoundError(
            f"There is no {method} {path}. The API is under /v1; GET /v1/docs lists all routes.",
            zh=f"没有 {method} {path}。接口都在 /v1 之下，全部接口见 /v1/docs。",
        )
    if status == 405:
        return errors.MethodNotAllowedError(
            f"{path} does not take {method}.", zh=f"{path} 不支持 {method} 方法。"
        )
    if status >= 500:
        return errors.VlproError("The service could not answer. Try again.", zh="服务未能回答，请重试。")
    return errors.BadRequestError(
        detail[:300] or f"{method} {path} was refused. GET /v1/docs lists all routes.",
        zh=f"{method} {path} 被拒绝，全部接口见 /v1/docs。",
    )


_CODES = {
    "missing": "missing_required_parameter",
    "extra_forbidden": "unknown_parameter",
    "union_tag_invalid": "invalid_value",
    "union_tag_not_found": "missing_required_parameter",
}


def from_validation(problems: Sequence[Mapping[str, Any]], data: object) -> errors.BadRequestError:
    """The most telling of pydantic's findings as one error that names the field as the caller wrote it.

    Args:
        problems: As pydantic lists them; a union gives one for each of its branches.
        data: The body that was checked.
    """

    def telling(problem: Mapping[str, Any]) -> tuple[int, bool]:
        # The deepest; of equals not "should be a string", which is merely the other branch of a union.
        return len(_path(problem, data)), not str(problem["type"]).endswith("_type")

    best = max(problems, key=telling)
    path = _path(best, data)
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
    kind = str(best["type"])
    code = _CODES.get(kind, "invalid_type" if kind.endswith(("_type", "_parsing")) else "invalid_value")
    if kind == "extra_forbidden":
        message, zh = f"Unknown parameter: {name}. Leave it out.", f"未知参数：{name}，请去掉。"
    elif kind == "unsupported":
        return errors.UnsupportedError(
            f"{name} is not supported: this service does not act on this value. Leave it out.",
            zh=f"不支持 {name} 的这个取值，请去掉该参数。",
            param=name,
        )
    elif kind == "missing":
        message, zh = f"Missing required parameter: {name}.", f"缺少必填参数：{name}。"
    else:
        message, zh = (
            f"Invalid {name or 'body'}: {best['msg']}.",
            f"{name or '请求体'} 不正确：{best['msg']}。",
        )
    return errors.BadRequestError(message, zh=zh, param=name or None, code=code)


def _path(problem: Mapping[str, Any], data: object) -> list[str | int]:
    """Where in the body a problem is: pydantic's location without the names of union branches."""
    path: list[str | int] = []
    here = data
    source, *location = problem["loc"] or ("body",)
    if source != "body":  # the query, the path: flat names
        return [str(part)[:80] for part in location]
    tagged = False
    for position, part in enumerate(location):
        last = position == len(location) - 1
        if isinstance(here, dict) and path and not tagged and part in (here.get("type"), here.get("role")):
            tagged = True  # the branch of a union, which may be called like a field: a part of type "text"
        elif isinstance(here, dict) and part in here:
            path.append(str(part))
            here, tagged = here[part], False
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            path.append(part)
            here, tagged = here[part], False
        elif last and problem["type"] == "missing" and isinstance(part, str):
            path.append(part)
    context = problem.get("ctx") or {}
    if problem["type"].startswith("union_tag") and "discriminator" in context:
        path.append(str(context["discriminator"]).strip("'"))
    return [part[:80] if isinstance(part, str) else part for part in path]


def as_event(error: errors.VlproError) -> bytes:
    """An error in the middle of a stream, as OpenAI's clients understand it."""
    return b"data: " + json.dumps({"error": body(error).model_dump()}, ensure_ascii=False).encode() + b"\n\n"
