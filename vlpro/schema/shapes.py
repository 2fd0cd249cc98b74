"""What all shapes are made of, and fields of OpenAI's API that nothing here acts on."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

__all__ = [
    "EmptyList",
    "EmptyText",
    "Hint",
    "ListOf",
    "Metadata",
    "Off",
    "Only",
    "Reply",
    "Request",
    "SomeOf",
    "Tier",
    "Unused",
    "Verbosity",
]

T = TypeVar("T")
# The first wrong element is enough: a list of a hundred thousand must not make as many findings.
ListOf = Annotated[list[T], Field(fail_fast=True)]
SomeOf = Annotated[list[T], Field(min_length=1, fail_fast=True)]


class Only:
    """A field that nothing here acts on, taken at the values that ask for nothing; any other would be ignored.

    Args:
        *neutral: Those values, besides null.
    """

    def __init__(self, *neutral: object) -> None:
        self._neutral = (None, *neutral)

    def __get_pydantic_core_schema__(self, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._check)

    def __get_pydantic_json_schema__(self, _: CoreSchema, __: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"enum": list(self._neutral)}

    def _check(self, value: Any) -> Any:
        if not any(type(value) is type(one) and value == one for one in self._neutral):
            raise PydanticCustomError("unsupported", "Nothing here acts on this value")
        return value


# Fields of OpenAI's API that clients send without asking for anything by them.
Unused = Annotated[Any, Only()]
EmptyList = Annotated[Any, Only([])]
EmptyText = Annotated[Any, Only("")]
Off = Annotated[Any, Only(False)]  # noqa: FBT003 - a value, not a switch
Tier = Annotated[Any, Only("auto", "default")]
Verbosity = Annotated[Any, Only("medium")]
Hint = Annotated[str, Field(max_length=512)] | None  # for caches and statistics elsewhere; changes no answer
Metadata = (
    Annotated[
        dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]],
        Field(max_length=16),
    ]
    | None
)


class Request(BaseModel):
    """Strict: what is not listed, or not of its type, is refused by name."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Reply(BaseModel):
    """Clients take fields that they do not know: a newer service must not break them."""

    model_config = ConfigDict(extra="ignore")
