"""Errors: OpenAI's envelope."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from vlpro.schema.shapes import Reply

__all__ = ["ErrorBody", "ErrorEnvelope"]


class ErrorBody(Reply):
    """OpenAI's error object."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None
    vlpro: dict[str, Any] | None = Field(None, description="`zh`: the sentence in Chinese")


class ErrorEnvelope(Reply):
    """The body of every answer that is not a success."""

    error: ErrorBody
