"""What makes an answer of each error, on every route."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from vlpro import errors
from vlpro.gateway import errors as error_table
from vlpro.gateway.refusals import SOMEBODY_ELSES, Refusals
from vlpro.gateway.stream import ClientGoneError

__all__ = ["exception_handlers"]

log = logging.getLogger(__name__)

_Handlers = dict[Any, Callable[[Request, Any], Awaitable[Response]]]


def exception_handlers() -> _Handlers:
    """What makes an answer of each error, on every route."""
    return {
        errors.VlproError: _known,
        RequestValidationError: _invalid,
        HTTPException: _http,
        ClientGoneError: _nobody,
        ClientDisconnect: _nobody,
        Exception: _unknown,
    }


async def _known(request: Request, error: errors.VlproError) -> Response:
    refusals = getattr(request.app.state, "refusals", None)
    answer = error_table.response(error)
    if refusals is None:
        return answer
    if isinstance(error, errors.ForbiddenError):
        refusals.add(error.code, request.url.path)
    if isinstance(error, errors.NotFoundError) and error.foreign:
        # After the answer: not even its time tells that there is something of somebody else's.
        answer.background = BackgroundTask(_somebody_elses, refusals, request.url.path)
    return answer


async def _somebody_elses(refusals: Refusals, path: str) -> None:
    refusals.add(SOMEBODY_ELSES, path)


async def _invalid(_: Request, error: RequestValidationError) -> Response:
    return error_table.response(error_table.from_validation(error.errors(), error.body))


async def _http(request: Request, error: HTTPException) -> Response:
    """FastAPI's own refusals, in our words."""
    cause = error.__cause__
    if isinstance(cause, errors.VlproError):
        return error_table.response(cause)
    known = error_table.from_status(error.status_code, request.method, request.url.path, str(error.detail))
    return error_table.response(known, error.headers, status=error.status_code)


async def _nobody(_: Request, __: Exception) -> Response:
    return Response(status_code=499)  # nginx's number for a client that closed; nobody reads it


async def _unknown(request: Request, error: Exception) -> Response:
    request_id = request.scope.get("state", {}).get("request_id", "")
    log.error("request %s failed", request_id, exc_info=error)
    return error_table.response(
        errors.VlproError(
            "Something failed inside the service. Try again; if it happens again, give the request number to "
            "your administrator.",
            zh="服务内部出错。请重试；若再次出现，请把请求编号交给管理员。",
        )
    )
