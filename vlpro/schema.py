"""What goes over the wire, in OpenAI's terms where it has one; shared by the gateway and its clients.

Shapes follow the published OpenAI specification (openai-openapi 2.3.0). Fields that only this product has
stand under ``vlpro``. Requests are strict: no silent conversion of types, and a field that is not listed is
refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Tag,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from vlpro.knowledge_schema import Citation, KnowledgeBaseField

__all__ = [
    "AnswerPart",
    "Budget",
    "ChatChoice",
    "ChatChunk",
    "ChatChunkChoice",
    "ChatCompletion",
    "ChatDelta",
    "ChatRequest",
    "Cleared",
    "ClearedAll",
    "Conversation",
    "ConversationChange",
    "ConversationHit",
    "ConversationItem",
    "ConversationList",
    "Deleted",
    "Device",
    "EngineDropped",
    "ErrorBody",
    "ErrorEnvelope",
    "Excerpt",
    "Extension",
    "Gpu",
    "Grounding",
    "ImageContent",
    "ImageInfo",
    "ImagePart",
    "ImageUrl",
    "JsonSchemaFormat",
    "Loading",
    "Message",
    "Model",
    "ModelList",
    "NewConversation",
    "NewExport",
    "NewMessage",
    "NewSearch",
    "PictureInfo",
    "Prompt",
    "PromptDetails",
    "PromptList",
    "RefusalPart",
    "ReplyMessage",
    "ResponseFormatField",
    "ResponsesCall",
    "ResponsesCallOutput",
    "ResponsesItem",
    "ResponsesMessage",
    "ResponsesRequest",
    "SearchResult",
    "Status",
    "StreamOptions",
    "TextPart",
    "Timing",
    "ToolFunction",
    "Usage",
    "Waiting",
]


T = TypeVar("T")
# The first wrong element is enough: a list of a hundred thousand must not make as many findings.
_List = Annotated[list[T], Field(fail_fast=True)]
_Some = Annotated[list[T], Field(min_length=1, fail_fast=True)]


class _Only:
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
_Unused = Annotated[Any, _Only()]
_EmptyList = Annotated[Any, _Only([])]
_EmptyText = Annotated[Any, _Only("")]
_Off = Annotated[Any, _Only(False)]  # noqa: FBT003 - a value, not a switch
_Tier = Annotated[Any, _Only("auto", "default")]
_Verbosity = Annotated[Any, _Only("medium")]
_Hint = Annotated[str, Field(max_length=512)] | None  # for caches and statistics elsewhere; changes no answer
_Metadata = (
    Annotated[
        dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]],
        Field(max_length=16),
    ]
    | None
)


class _Request(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class _Reply(BaseModel):
    """Clients take fields that they do not know: a newer service must not break them."""

    model_config = ConfigDict(extra="ignore")


# --- errors -----------------------------------------------------------------------------------------


class ErrorBody(_Reply):
    """OpenAI's error object."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None
    vlpro: dict[str, Any] | None = Field(None, description="`zh`: the sentence in Chinese")


class ErrorEnvelope(_Reply):
    """The body of every answer that is not a success."""

    error: ErrorBody


# --- chat completions: request ------------------------------------------------------------------------


class TextPart(_Request):
    """Text of a message."""

    type: Literal["text"]
    text: str


class ImageUrl(_Request):
    """A picture as a data URL; other URLs are refused, so that nothing is fetched and nothing leaves."""

    url: str
    detail: Literal["auto", "low", "high"] = "auto"


class ImagePart(_Request):
    """A picture of a message."""

    type: Literal["image_url"]
    image_url: ImageUrl


class RefusalPart(_Request):
    """An earlier refusal of the assistant."""

    type: Literal["refusal"]
    refusal: str


ImageContent = Annotated[TextPart | ImagePart, Field(discriminator="type")]
AnswerPart = Annotated[TextPart | RefusalPart, Field(discriminator="type")]


class _Instruction(_Request):
    role: Literal["system", "developer"]
    content: str | _Some[TextPart]
    name: str | None = None


class _UserMessage(_Request):
    role: Literal["user"]
    content: str | _Some[ImageContent]
    name: str | None = None


class ToolFunction(_Request):
    """A function with its arguments as JSON."""

    name: str
    arguments: str


class _ToolCall(_Request):
    id: str
    type: Literal["function"]
    function: ToolFunction


class _AssistantMessage(_Request):
    role: Literal["assistant"]
    content: str | _Some[AnswerPart] | None = None
    refusal: str | None = None
    name: str | None = None
    tool_calls: _List[_ToolCall] | None = None
    # An answer that is sent back just as the official client gives it carries these, empty.
    annotations: _EmptyList = None
    audio: _Unused = None
    function_call: _Unused = None
    parsed: Any = None  # the client's own reading of the content
    reasoning: _EmptyText = None
    reasoning_content: _EmptyText = None


class _ToolMessage(_Request):
    role: Literal["tool"]
    content: str | _Some[TextPart]
    tool_call_id: str


ChatInput = Annotated[
    _Instruction | _UserMessage | _AssistantMessage | _ToolMessage, Field(discriminator="role")
]


class StreamOptions(_Request):
    """Options of a streamed answer."""

    include_usage: bool | None = None
    include_obfuscation: _Off = None


class JsonSchemaFormat(_Request):
    """A JSON Schema for the answer."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    schema_: Annotated[dict[str, Any], Field(alias="schema")]
    description: str | None = None
    strict: bool | None = None


class _TextFormat(_Request):
    type: Literal["text"]


class _JsonObjectFormat(_Request):
    type: Literal["json_object"]


class _JsonSchemaFormat(_Request):
    type: Literal["json_schema"]
    json_schema: JsonSchemaFormat


ResponseFormatField = Annotated[
    _TextFormat | _JsonObjectFormat | _JsonSchemaFormat, Field(discriminator="type")
]

_Penalty = Annotated[float, Field(ge=-2, le=2)]
_Seed = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
_Tokens = Annotated[int, Field(ge=1, le=2**31 - 1)]


class _AnswerRequest(_Request):
    """What both ways of asking for an answer have in common."""

    model: Annotated[str, Field(min_length=1, max_length=200)]
    stream: bool | None = False
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    user: _Hint = None
    safety_identifier: _Hint = None
    prompt_cache_key: _Hint = None
    prompt_cache_retention: _Hint = None
    metadata: _Metadata = None
    store: _Off = None
    service_tier: _Tier = None
    # Whether these can be honoured depends on the engine, which refuses them by name.
    tools: _List[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    knowledge_base: Annotated[
        KnowledgeBaseField | None,
        Field(description="Not OpenAI's: knowledge bases whose pages are to be answered from, one or some"),
    ] = None


class ChatRequest(_AnswerRequest):
    """``POST /v1/chat/completions``."""

    messages: Annotated[_Some[ChatInput], Field(max_length=2000)]
    stream_options: StreamOptions | None = None
    max_tokens: _Tokens | None = None
    max_completion_tokens: _Tokens | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = 1
    stop: str | Annotated[_List[str], Field(max_length=4)] | None = None
    seed: _Seed | None = None
    frequency_penalty: _Penalty | None = None
    presence_penalty: _Penalty | None = None
    top_k: Annotated[int, Field(ge=1, le=1_000_000, description="Not OpenAI's, but vLLM's")] | None = None
    response_format: ResponseFormatField | None = None
    audio: _Unused = None
    function_call: Annotated[Any, _Only("auto", "none")] = None
    functions: _EmptyList = None
    modalities: Annotated[Any, _Only(["text"])] = None
    prediction: _Unused = None
    reasoning_effort: Annotated[Any, _Only("none")] = None
    verbosity: _Verbosity = None
    web_search_options: _Unused = None
    # Whether these can be honoured depends on the engine, which refuses them by name.
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    logit_bias: dict[str, float] | None = None


# --- responses: request -------------------------------------------------------------------------------


class _InputText(_Request):
    type: Literal["input_text"]
    text: str


class _InputImage(_Request):
    type: Literal["input_image"]
    image_url: str
    detail: Literal["auto", "low", "high"] | None = "auto"


class _OutputText(_Request):
    type: Literal["output_text"]
    text: str
    annotations: _List[dict[str, Any]] | None = None
    logprobs: _List[dict[str, Any]] | None = None
    parsed: Any = None  # the client's own reading of the text


class _OutputRefusal(_Request):
    type: Literal["refusal"]
    refusal: str


_InputContent = Annotated[
    _InputText | _InputImage | _OutputText | _OutputRefusal, Field(discriminator="type")
]


class ResponsesMessage(_Request):
    """One message of a Responses request's input."""

    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: str | _Some[_InputContent]
    id: str | None = None
    status: Literal["in_progress", "completed", "incomplete"] | None = None
    phase: _Hint = None


class ResponsesCall(_Request):
    """A function that the assistant called before."""

    type: Literal["function_call"]
    name: str
    arguments: str
    call_id: str
    id: str | None = None
    status: Literal["in_progress", "completed", "incomplete"] | None = None


class ResponsesCallOutput(_Request):
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


class _Reasoning(_Request):
    effort: Annotated[Any, _Only("none")] = None
    summary: _Unused = None
    generate_summary: _Unused = None


class _ResponsesStreamOptions(_Request):
    include_obfuscation: _Off = None


class _ResponsesJsonSchema(_Request):
    type: Literal["json_schema"]
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    schema_: Annotated[dict[str, Any], Field(alias="schema")]
    description: str | None = None
    strict: bool | None = None


class _ResponsesText(_Request):
    format: (
        Annotated[_TextFormat | _JsonObjectFormat | _ResponsesJsonSchema, Field(discriminator="type")] | None
    ) = None
    verbosity: _Verbosity = None


class ResponsesRequest(_AnswerRequest):
    """``POST /v1/responses``; nothing is stored, so ``store`` may not be true."""

    input: str | Annotated[_Some[ResponsesItem], Field(max_length=2000)]
    instructions: str | None = None
    max_output_tokens: _Tokens | None = None
    text: _ResponsesText | None = None
    background: _Off = None
    context_management: _EmptyList = None
    conversation: _Unused = None
    include: _EmptyList = None
    max_tool_calls: Annotated[int, Field(ge=0)] | None = None
    previous_response_id: _Unused = None
    prompt: _Unused = None
    reasoning: _Reasoning | None = None
    stream_options: _ResponsesStreamOptions | None = None
    top_logprobs: Annotated[Any, _Only(0)] = None
    truncation: Annotated[Any, _Only("disabled")] = None


# --- replies ------------------------------------------------------------------------------------------


class Grounding(_Reply):
    """A place in a picture that an answer names: a box or a point."""

    image: int = Field(description="Which picture of the conversation, from 1")
    box: tuple[float, float, float, float] | None = Field(
        None, description="x1, y1, x2, y2 in pixels of the upright original; null of a point"
    )
    point: tuple[float, float] | None = Field(None, description="x, y, likewise; null of a box")
    label: str = ""
    text: str = ""
    confidence: float | None = None


class PictureInfo(_Reply):
    """What became of a picture on its way to the engine; width and height are the upright original's."""

    sha256: str
    width: int
    height: int
    used_width: int = Field(description="Width that the engine was given")
    used_height: int = Field(description="Height that the engine was given")
    shrunk: bool
    reduced: bool = Field(
        default=False, description="Made smaller than by itself, so that all pictures fit together"
    )
    tokens: int


class Timing(_Reply):
    """Milliseconds since the request was taken, waiting included."""

    queued_ms: float
    first_token_ms: float | None = None
    total_ms: float | None = None
    tokens_per_s: float | None = None


class Extension(_Reply):
    """What this product adds to OpenAI's shapes."""

    engine: str
    grounding: list[Grounding] = Field(default_factory=list)
    citations: list[Citation] = Field(
        default_factory=list,
        description="What each `[n]` of the answer stands for, where it has a knowledge base",
    )
    pictures: list[PictureInfo] = Field(default_factory=list)
    reduced: bool = Field(
        default=False, description="Whether pictures were made smaller so that all fit together"
    )
    timing: Timing | None = None


class PromptDetails(_Reply):
    """Of the prompt's tokens."""

    cached_tokens: int = 0
    audio_tokens: int = 0


class _CompletionDetails(_Reply):
    reasoning_tokens: int = 0
    audio_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


class Usage(_Reply):
    """Tokens of a chat completion."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails = Field(default_factory=PromptDetails)
    completion_tokens_details: _CompletionDetails = Field(default_factory=_CompletionDetails)


class ReplyMessage(_Reply):
    """The assistant's message."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: str | None = None


class ChatChoice(_Reply):
    """One answer."""

    index: int
    message: ReplyMessage
    logprobs: None = None
    finish_reason: Literal["stop", "length", "content_filter"]


class ChatCompletion(_Reply):
    """A whole answer."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage
    system_fingerprint: str | None = None
    vlpro: Extension | None = None


class ChatDelta(_Reply):
    """What a chunk adds; absent fields add nothing."""

    role: Literal["assistant"] | None = None
    content: str | None = None
    refusal: str | None = None


class ChatChunkChoice(_Reply):
    """One answer's part of a chunk."""

    index: int
    delta: ChatDelta
    logprobs: None = None
    finish_reason: Literal["stop", "length", "content_filter"] | None = None


class ChatChunk(_Reply):
    """A piece of a streamed answer."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChatChunkChoice]
    usage: Usage | None = None
    system_fingerprint: str | None = None
    vlpro: Extension | None = None


class Model(_Reply):
    """One model that can be asked."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str


class ModelList(_Reply):
    """All models that can be asked."""

    object: Literal["list"] = "list"
    data: list[Model]


class Prompt(_Reply):
    """A question to be filled in, for an engine that sees."""

    id: str
    object: Literal["prompt"] = "prompt"
    titles: dict[Literal["zh", "en"], str] = Field(description="What it is called, by language")
    text: str = Field(description="Its words; `{categories}` stands for what to look for")


class PromptList(_Reply):
    """All such questions."""

    object: Literal["list"] = "list"
    data: list[Prompt]


# --- pictures in memory, and conversations -------------------------------------------------------------


class ImageInfo(_Reply):
    """A picture kept in memory: ``POST /v1/images``; to look at: ``GET /v1/images/{id}/content``."""

    id: str
    object: Literal["image"] = "image"
    created: int
    format: str
    bytes: int
    sha256: str
    width: int
    height: int
    used_width: int
    used_height: int
    shrunk: bool
    tokens: int
    available: bool = Field(
        default=True,
        description="False: only this is left of it, it can be looked at and asked about no more",
    )


class Deleted(_Reply):
    """Something was deleted."""

    id: str
    object: str
    deleted: Literal[True] = True


class NewConversation(_Request):
    """``POST /v1/conversations``."""

    title: Annotated[str, Field(max_length=200)] = ""
    level: (
        Annotated[
            Literal["public", "internal", "secret"],
            Field(description="How confidential it is; left out: as much as the person may read"),
        ]
        | None
    ) = None


class ConversationChange(_Request):
    """``PUT /v1/conversations/{id}``."""

    title: Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]


class NewSearch(_Request):
    """``POST /v1/conversations/search``: words that all stand in a conversation, in its title or in what was said."""

    text: Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class NewExport(_Request):
    """``POST /v1/conversations/{id}/exports``: take a conversation out; that it was is recorded."""

    format: Literal["markdown", "json"] = "json"


class NewMessage(_Request):
    """``POST /v1/conversations/{id}/messages``: ask, or ask again.

    The answer is generated in the background: it goes on while nobody looks, and is read from the
    conversation.
    """

    text: Annotated[str, Field(min_length=1)]
    images: Annotated[_List[str], Field(description="Ids from POST /v1/images")] = Field(default_factory=list)
    knowledge_base: Annotated[
        KnowledgeBaseField | None,
        Field(description="Knowledge bases whose pages are to be answered from, one or some"),
    ] = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: _Tokens | None = None
    language: Literal["zh", "en"] | None = None
    replaces: str | None = Field(
        None,
        description="Id of an earlier question: it and all after it are removed first (edit, regenerate)",
    )
    version: int | None = Field(
        None,
        description="Of the conversation as it was seen; if it has another one by now, this is refused (409)",
    )


class Waiting(_Reply):
    """Where a question stands in the queue."""

    ahead: int = Field(description="How many other questions that wait will begin before it")
    seconds: int | None = Field(
        description="How long it will probably wait, where answers have ended to tell by"
    )


class Message(_Reply):
    """One turn of a conversation."""

    id: str
    role: Literal["user", "assistant"]
    text: str = Field(description="Without the boxes, which stand in `vlpro.grounding`")
    created: int
    images: list[ImageInfo] = Field(default_factory=list)
    status: Literal["queued", "answering", "done", "stopped", "failed"] = "done"
    waiting: Waiting | None = Field(
        default=None, description="While the status is `queued` because others are being answered"
    )
    finish_reason: Literal["stop", "length", "content_filter"] | None = None
    error: ErrorBody | None = None
    request_id: str | None = None
    knowledge_base: list[str] | None = Field(
        default=None, description="Of a question: the knowledge bases that it was to be answered from"
    )
    usage: Usage | None = None
    vlpro: Extension | None = None


class Conversation(_Reply):
    """A conversation with its messages."""

    id: str
    object: Literal["conversation"] = "conversation"
    created: int
    updated: int
    title: str
    level: Literal["public", "internal", "secret"] = Field("public", description="How confidential it is")
    busy: bool = Field(description="Whether an answer is being generated")
    tokens: int = Field(description="What the next question carries along, without its own text and pictures")
    image_count: int
    version: int = Field(1, description="One more with each change")
    stored: bool = Field(
        default=False, description="Whether it is stored; otherwise it lives in memory only, for a while"
    )
    messages: list[Message] = Field(default_factory=list)


class ConversationItem(_Reply):
    """A conversation in a list, without its messages."""

    id: str
    object: Literal["conversation.item"] = "conversation.item"
    created: int
    updated: int = Field(description="When it was last asked in")
    title: str
    level: Literal["public", "internal", "secret"] = "public"
    busy: bool = False
    damaged: bool = Field(
        default=False, description="What is stored of it was altered: it cannot be opened, only deleted"
    )


class ConversationList(_Reply):
    """Conversations of the person, last used first."""

    object: Literal["list"] = "list"
    data: list[ConversationItem]
    next: str | None = Field(None, description="`after` for the page after; null: this is the last")
    total: int = Field(0, description="How many there are on all pages")


class Excerpt(_Reply):
    """The sentence around what was found; it begins at `begin` and ends before `end`, in characters of `text`."""

    message: str = Field(description="Id of the message")
    role: Literal["user", "assistant"]
    text: str
    begin: int
    end: int


class ConversationHit(ConversationItem):
    """A conversation in which everything stands that was looked for."""

    excerpt: Excerpt | None = Field(None, description="null: it stands in the title only")


class SearchResult(_Reply):
    """What was found, last used first."""

    object: Literal["list"] = "list"
    data: list[ConversationHit]
    total: int = Field(description="How many conversations were found")
    damaged: int = Field(0, description="How many could not be looked into, because they were altered")


class ClearedAll(_Reply):
    """``DELETE /v1/conversations``: how many were deleted."""

    object: Literal["conversations.deleted"] = "conversations.deleted"
    deleted: Literal[True] = True
    count: int


class EngineDropped(_Reply):
    """What the engine dropped of a conversation and its pictures."""

    entries: int = Field(description="Read pages, features of pictures, prefixes of conversations")
    tokens: int = Field(description="of the prefixes")
    bytes: int = Field(description="of memory that all of it held; on the card, where the engine is on one")
    confirmed: bool = Field(description="False: the engine is busy, and drops more before its next question")


class Cleared(_Reply):
    """``DELETE /v1/conversations/{id}``: a receipt of what was removed, with the memory measured before and after."""

    id: str
    object: Literal["conversation.deleted"] = "conversation.deleted"
    deleted: Literal[True] = True
    messages: int
    images: int = Field(description="that left memory; those of other conversations stay")
    image_bytes: int = Field(description="of memory that they held: their files, and their pixels")
    engine: EngineDropped | None = Field(None, description="None: this engine keeps nothing of its own here")
    took_ms: float
    before: Device
    after: Device


# --- status -------------------------------------------------------------------------------------------------


class Gpu(_Reply):
    """One card, as NVML tells it."""

    name: str
    memory_used: int = Field(description="bytes")
    memory_total: int = Field(description="bytes")
    temperature_c: int | None = None
    utilization_percent: int | None = None
    confidential: Literal["on", "test", "off", "unavailable"] = Field(
        "unavailable",
        description="Confidential computing, as NVML tells it of the machine. on: enabled, in production mode; test: "
        "enabled for development or in simulation, which protects nothing; off; unavailable: NVML tells nothing of "
        "it. It is the driver's word, and no attestation",
    )
    protected_memory: int | None = Field(
        None, description="bytes of the card's memory that confidential computing protects, if it is on"
    )


class Device(_Reply):
    """What the machine is doing."""

    gpus: list[Gpu] = Field(default_factory=list)
    cpu_percent: float
    memory_used: int = Field(description="bytes, of the whole machine")
    memory_total: int = Field(description="bytes")
    gateway_memory: int = Field(description="bytes, resident, of the service itself")
    engine_memory: int | None = Field(None, description="bytes, resident, of the engine's process")


class Budget(_Reply):
    """Limits by which the page warns before sending; the service decides again."""

    context_tokens: int
    picture_tokens: int = Field(0, description="Pictures that have more together are made smaller; 0: never")
    max_images: int
    max_image_bytes: int
    max_text_chars: int


class Loading(_Reply):
    """How far the engine is on its way to be ready."""

    stage: Literal["checking", "loading"]
    share: float = Field(description="of this stage, 0 to 1")


class Status(_Reply):
    """``GET /v1/status``."""

    engine: str
    model: str
    sees: bool
    ready: bool
    loading: Loading | None = Field(None, description="While it is not ready, and that is known")
    problem: ErrorBody | None = Field(None, description="Why it is not ready, where that is known")
    running: int
    queued: int
    reading_ahead: int = Field(description="Pictures that the engine reads before they are asked about")
    sealed: bool = Field(description="Whether the service can make no network socket (vlpro serve --sealed)")
    device: Device
    budget: Budget
    last: Timing | None = Field(None, description="Of the last answer that was completed")
