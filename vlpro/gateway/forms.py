"""Reads what the pages before the application send."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from starlette.requests import Request

from vlpro.errors import BadRequestError

__all__ = ["Field", "address_of", "read_credential", "read_form", "read_json"]

Field = Callable[[str], str]


def address_of(request: Request) -> str:
    """Where the request comes from, as the guard found out."""
    return str(request.scope.get("state", {}).get("address", ""))


async def read_form(request: Request) -> Field:
    """The fields of a form by name; one that is missing is empty."""
    form = await request.form(max_files=0, max_fields=20)

    def field(name: str) -> str:
        value = form.get(name)
        return value if isinstance(value, str) else ""

    return field


async def read_json(request: Request) -> dict[str, Any]:
    """A JSON object. Raises: BadRequestError."""
    try:
        found = json.loads(await request.body())
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BadRequestError("The body is no JSON object.", zh="请求体不是 JSON 对象。")
    return found


async def read_credential(request: Request) -> dict[str, Any]:
    """What an authenticator answered. Raises: BadRequestError."""
    credential = (await read_json(request)).get("credential")
    if not isinstance(credential, dict):
        raise BadRequestError("credential is missing.", zh="缺少 credential。", param="credential")
    return credential
