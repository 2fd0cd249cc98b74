"""Questions: ``POST /v1/responses``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from vlpro.schema.chat import AnswerRequest, JsonObjectFormat, TextFormat, Tokens
from vlpro.schema.shapes import EmptyList, Hint, ListOf, Off, Only, Request, SomeOf, Unused, Verbosity

__all__ = ["ResponsesCall", "ResponsesCallOutput", "ResponsesItem", "ResponsesMessage", "ResponsesRequest"]


class _InputText(Request):
    type: Literal["input_text"]
    text: str


class _InputImage(Request):
    type: Literal["input_image"]
    image_url: str
    detail: Literal["auto", "low", "high"] | None = "auto"


class _OutputText(Request):
    type: Literal["output_text"]
    text: str
    annotations: ListOf[dict[str, Any]] | None = None
    logprobs: ListOf[dict[str, Any]] | None = None
    parsed: Any = None  # the client's own reading of the text


class _OutputRefusal(Request):
    type: Literal["refusal"]
    refusal: str


_InputContent = Annotated[
    _InputText | _InputImage | _OutputText | _OutputRefusal, Field(discriminator="type")
]


class ResponsesMessage(Request):
    """One message of a Responses request's input."""

    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: str | SomeOf[_InputContent]
    id: str | None = None
    status: Literal["in_progress", "completed", "incomplete"] | None = None
    phase: Hint = None


class ResponsesCall(Request):
    """A function that the assistant called before."""

    type: Literal["function_call"]
    name: str
    arguments: str
    call_id: str
    id: str | None = None
    status: Literal["in_progress", "completed", "incomplete"] | None = None


class ResponsesCallOutput(Request):
    """What a function answered."""

    type: Literal["function_call_output"]
    call_id: str
    output: str
    id: str | None = None
    status: Literal["in_progress", "completed", "incomplete"] | None = None


def _item_kind(item: Any) -> Any:
    return item.get("type", "message") if isinstance(item, dict) else getattr(item, "type", "message")


ResponsesItem = Annotated[
    Annotated[ResponsesMessage, Tag("message")]
    | Annotated[ResponsesCall, Tag("function_call")]
    | Annotated[ResponsesCallOutput, Tag("function_call_output")],
    Discriminator(
        _item_kind,
        custom_error_type="unsupported_item",
        custom_error_message=(
            "input items are messages, function_call and function_call_output. Nothing is stored here, so earlier "
            "items cannot be referred to: send the messages themselves (store: false in the client)"
        ),
    ),
]


class _Reasoning(Request):
    effort: Annotated[Any, Only("none")] = None
    summary: Unused = None
    generate_summary: Unused = None


class _ResponsesStreamOptions(Request):
    include_obfuscation: Off = None


class _ResponsesJsonSchema(Request):
    type: Literal["json_schema"]
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    schema_: Annotated[dict[str, Any], Field(alias="schema")]
    description: str | None = None
    strict: bool | None = None


class _ResponsesText(Request):
    format: (
        Annotated[TextFormat | JsonObjectFormat | _ResponsesJsonSchema, Field(discriminator="type")] | None
    ) = None
    verbosity: Verbosity = None


class ResponsesRequest(AnswerRequest):
    """``POST /v1/responses``; nothing is stored, so ``store`` may not be true."""

    input: str | Annotated[SomeOf[ResponsesItem], Field(max_length=2000)]
    instructions: str | None = None
    max_output_tokens: Tokens | None = None
    text: _ResponsesText | None = None
    background: Off = None
    context_management: EmptyList = None
    conversation: Unused = None
    include: EmptyList = None
    max_tool_calls: Annotated[int, Field(ge=0)] | None = None
    previous_response_id: Unused = None
    prompt: Unused = None
    reasoning: _Reasoning | None = None
    stream_options: _ResponsesStreamOptions | None = None
    top_logprobs: Annotated[Any, Only(0)] = None
    truncation: Annotated[Any, Only("disabled")] = None
