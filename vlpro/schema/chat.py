"""Questions: ``POST /v1/chat/completions``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from vlpro.schema.knowledge import KnowledgeBaseField
from vlpro.schema.shapes import (
    EmptyList,
    EmptyText,
    Hint,
    ListOf,
    Metadata,
    Off,
    Only,
    Request,
    SomeOf,
    Tier,
    Unused,
    Verbosity,
)

__all__ = [
    "AnswerPart",
    "AnswerRequest",
    "ChatInput",
    "ChatRequest",
    "ImageContent",
    "ImagePart",
    "ImageUrl",
    "JsonObjectFormat",
    "JsonSchemaFormat",
    "RefusalPart",
    "ResponseFormatField",
    "StreamOptions",
    "TextFormat",
    "TextPart",
    "Tokens",
    "ToolFunction",
]


class TextPart(Request):
    """Text of a message."""

    type: Literal["text"]
    text: str


class ImageUrl(Request):
    """A picture as a data URL; other URLs are refused, so that nothing is fetched and nothing leaves."""

    url: str
    detail: Literal["auto", "low", "high"] = "auto"


class ImagePart(Request):
    """A picture of a message."""

    type: Literal["image_url"]
    image_url: ImageUrl


class RefusalPart(Request):
    """An earlier refusal of the assistant."""

    type: Literal["refusal"]
    refusal: str


ImageContent = Annotated[TextPart | ImagePart, Field(discriminator="type")]
AnswerPart = Annotated[TextPart | RefusalPart, Field(discriminator="type")]


class _Instruction(Request):
    role: Literal["system", "developer"]
    content: str | SomeOf[TextPart]
    name: str | None = None


class _UserMessage(Request):
    role: Literal["user"]
    content: str | SomeOf[ImageContent]
    name: str | None = None


class ToolFunction(Request):
    """A function with its arguments as JSON."""

    name: str
    arguments: str


class _ToolCall(Request):
    id: str
    type: Literal["function"]
    function: ToolFunction


class _AssistantMessage(Request):
    role: Literal["assistant"]
    content: str | SomeOf[AnswerPart] | None = None
    refusal: str | None = None
    name: str | None = None
    tool_calls: ListOf[_ToolCall] | None = None
    # An answer that is sent back just as the official client gives it carries these, empty.
    annotations: EmptyList = None
    audio: Unused = None
    function_call: Unused = None
    parsed: Any = None  # the client's own reading of the content
    reasoning: EmptyText = None
    reasoning_content: EmptyText = None


class _ToolMessage(Request):
    role: Literal["tool"]
    content: str | SomeOf[TextPart]
    tool_call_id: str


ChatInput = Annotated[
    _Instruction | _UserMessage | _AssistantMessage | _ToolMessage, Field(discriminator="role")
]


class StreamOptions(Request):
    """Options of a streamed answer."""

    include_usage: bool | None = None
    include_obfuscation: Off = None


class JsonSchemaFormat(Request):
    """A JSON Schema for the answer."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    schema_: Annotated[dict[str, Any], Field(alias="schema")]
    description: str | None = None
    strict: bool | None = None


class TextFormat(Request):
    """Text, as it comes."""

    type: Literal["text"]


class JsonObjectFormat(Request):
    """Any JSON object."""

    type: Literal["json_object"]


class _JsonSchemaFormat(Request):
    type: Literal["json_schema"]
    json_schema: JsonSchemaFormat


ResponseFormatField = Annotated[
    TextFormat | JsonObjectFormat | _JsonSchemaFormat, Field(discriminator="type")
]

_Penalty = Annotated[float, Field(ge=-2, le=2)]
_Seed = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
Tokens = Annotated[int, Field(ge=1, le=2**31 - 1)]


class AnswerRequest(Request):
    """What both ways of asking for an answer have in common."""

    model: Annotated[str, Field(min_length=1, max_length=200)]
    stream: bool | None = False
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    user: Hint = None
    safety_identifier: Hint = None
    prompt_cache_key: Hint = None
    prompt_cache_retention: Hint = None
    metadata: Metadata = None
    store: Off = None
    service_tier: Tier = None
    # Whether these can be honoured depends on the engine, which refuses them by name.
    tools: ListOf[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    knowledge_base: Annotated[
        KnowledgeBaseField | None,
        Field(description="Not OpenAI's: knowledge bases whose pages are to be answered from, one or some"),
    ] = None


class ChatRequest(AnswerRequest):
    """``POST /v1/chat/completions``."""

    messages: Annotated[SomeOf[ChatInput], Field(max_length=2000)]
    stream_options: StreamOptions | None = None
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = 1
    stop: str | Annotated[ListOf[str], Field(max_length=4)] | None = None
    seed: _Seed | None = None
    frequency_penalty: _Penalty | None = None
    presence_penalty: _Penalty | None = None
    top_k: Annotated[int, Field(ge=1, le=1_000_000, description="Not OpenAI's, but vLLM's")] | None = None
    response_format: ResponseFormatField | None = None
    audio: Unused = None
    function_call: Annotated[Any, Only("auto", "none")] = None
    functions: EmptyList = None
    modalities: Annotated[Any, Only(["text"])] = None
    prediction: Unused = None
    reasoning_effort: Annotated[Any, Only("none")] = None
    verbosity: Verbosity = None
    web_search_options: Unused = None
    # Whether these can be honoured depends on the engine, which refuses them by name.
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    logit_bias: dict[str, float] | None = None
