"""Answers, models and prompts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from vlpro.schema.knowledge import Citation
from vlpro.schema.shapes import Reply

__all__ = [
    "ChatChoice",
    "ChatChunk",
    "ChatChunkChoice",
    "ChatCompletion",
    "ChatDelta",
    "Extension",
    "Grounding",
    "Model",
    "ModelList",
    "PictureInfo",
    "Prompt",
    "PromptDetails",
    "PromptList",
    "ReplyMessage",
    "Timing",
    "Usage",
]


class Grounding(Reply):
    """A place in a picture that an answer names: a box or a point."""

    image: int = Field(description="Which picture of the conversation, from 1")
    box: tuple[float, float, float, float] | None = Field(
        None, description="x1, y1, x2, y2 in pixels of the upright original; null of a point"
    )
    point: tuple[float, float] | None = Field(None, description="x, y, likewise; null of a box")
    label: str = ""
    text: str = ""
    confidence: float | None = None


class PictureInfo(Reply):
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


class Timing(Reply):
    """Milliseconds since the request was taken, waiting included."""

    queued_ms: float
    first_token_ms: float | None = None
    total_ms: float | None = None
    tokens_per_s: float | None = None


class Extension(Reply):
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


class PromptDetails(Reply):
    """Of the prompt's tokens."""

    cached_tokens: int = 0
    audio_tokens: int = 0


class _CompletionDetails(Reply):
    reasoning_tokens: int = 0
    audio_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


class Usage(Reply):
    """Tokens of a chat completion."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails = Field(default_factory=PromptDetails)
    completion_tokens_details: _CompletionDetails = Field(default_factory=_CompletionDetails)


class ReplyMessage(Reply):
    """The assistant's message."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: str | None = None


class ChatChoice(Reply):
    """One answer."""

    index: int
    message: ReplyMessage
    logprobs: None = None
    finish_reason: Literal["stop", "length", "content_filter"]


class ChatCompletion(Reply):
    """A whole answer."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage
    system_fingerprint: str | None = None
    vlpro: Extension | None = None


class ChatDelta(Reply):
    """What a chunk adds; absent fields add nothing."""

    role: Literal["assistant"] | None = None
    content: str | None = None
    refusal: str | None = None


class ChatChunkChoice(Reply):
    """One answer's part of a chunk."""

    index: int
    delta: ChatDelta
    logprobs: None = None
    finish_reason: Literal["stop", "length", "content_filter"] | None = None


class ChatChunk(Reply):
    """A piece of a streamed answer."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChatChunkChoice]
    usage: Usage | None = None
    system_fingerprint: str | None = None
    vlpro: Extension | None = None


class Model(Reply):
    """One model that can be asked."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str


class ModelList(Reply):
    """All models that can be asked."""

    object: Literal["list"] = "list"
    data: list[Model]


class Prompt(Reply):
    """A question to be filled in, for an engine that sees."""

    id: str
    object: Literal["prompt"] = "prompt"
    titles: dict[Literal["zh", "en"], str] = Field(description="What it is called, by language")
    text: str = Field(description="Its words; `{categories}` stands for what to look for")


class PromptList(Reply):
    """All such questions."""

    object: Literal["list"] = "list"
    data: list[Prompt]
