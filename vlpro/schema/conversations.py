"""Pictures in memory, and conversations."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from vlpro.schema.chat import Tokens
from vlpro.schema.errors import ErrorBody
from vlpro.schema.knowledge import KnowledgeBaseField
from vlpro.schema.replies import Extension, Usage
from vlpro.schema.shapes import ListOf, Reply, Request
from vlpro.schema.status import Device

__all__ = [
    "Cleared",
    "ClearedAll",
    "Conversation",
    "ConversationChange",
    "ConversationHit",
    "ConversationItem",
    "ConversationList",
    "Deleted",
    "EngineDropped",
    "Excerpt",
    "ImageInfo",
    "Message",
    "NewConversation",
    "NewExport",
    "NewMessage",
    "NewSearch",
    "SearchResult",
    "Waiting",
]


class ImageInfo(Reply):
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


class Deleted(Reply):
    """Something was deleted."""

    id: str
    object: str
    deleted: Literal[True] = True


class NewConversation(Request):
    """``POST /v1/conversations``."""

    title: Annotated[str, Field(max_length=200)] = ""
    level: (
        Annotated[
            Literal["public", "internal", "secret"],
            Field(description="How confidential it is; left out: as much as the person may read"),
        ]
        | None
    ) = None


class ConversationChange(Request):
    """``PUT /v1/conversations/{id}``."""

    title: Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]


class NewSearch(Request):
    """``POST /v1/conversations/search``: words that all stand in a conversation, in its title or in what was said."""

    text: Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class NewExport(Request):
    """``POST /v1/conversations/{id}/exports``: take a conversation out; that it was is recorded."""

    format: Literal["markdown", "json"] = "json"


class NewMessage(Request):
    """``POST /v1/conversations/{id}/messages``: ask, or ask again.

    The answer is generated in the background: it goes on while nobody looks, and is read from the
    conversation.
    """

    text: Annotated[str, Field(min_length=1)]
    images: Annotated[ListOf[str], Field(description="Ids from POST /v1/images")] = Field(
        default_factory=list
    )
    knowledge_base: Annotated[
        KnowledgeBaseField | None,
        Field(description="Knowledge bases whose pages are to be answered from, one or some"),
    ] = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Tokens | None = None
    language: Literal["zh", "en"] | None = None
    replaces: str | None = Field(
        None,
        description="Id of an earlier question: it and all after it are removed first (edit, regenerate)",
    )
    version: int | None = Field(
        None,
        description="Of the conversation as it was seen; if it has another one by now, this is refused (409)",
    )


class Waiting(Reply):
    """Where a question stands in the queue."""

    ahead: int = Field(description="How many other questions that wait will begin before it")
    seconds: int | None = Field(
        description="How long it will probably wait, where answers have ended to tell by"
    )


class Message(Reply):
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


class Conversation(Reply):
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


class ConversationItem(Reply):
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


class ConversationList(Reply):
    """Conversations of the person, last used first."""

    object: Literal["list"] = "list"
    data: list[ConversationItem]
    next: str | None = Field(None, description="`after` for the page after; null: this is the last")
    total: int = Field(0, description="How many there are on all pages")


class Excerpt(Reply):
    """The sentence around what was found; it begins at `begin` and ends before `end`, in characters of `text`."""

    message: str = Field(description="Id of the message")
    role: Literal["user", "assistant"]
    text: str
    begin: int
    end: int


class ConversationHit(ConversationItem):
    """A conversation in which everything stands that was looked for."""

    excerpt: Excerpt | None = Field(None, description="null: it stands in the title only")


class SearchResult(Reply):
    """What was found, last used first."""

    object: Literal["list"] = "list"
    data: list[ConversationHit]
    total: int = Field(description="How many conversations were found")
    damaged: int = Field(0, description="How many could not be looked into, because they were altered")


class ClearedAll(Reply):
    """``DELETE /v1/conversations``: how many were deleted."""

    object: Literal["conversations.deleted"] = "conversations.deleted"
    deleted: Literal[True] = True
    count: int


class EngineDropped(Reply):
    """What the engine dropped of a conversation and its pictures."""

    entries: int = Field(description="Read pages, features of pictures, prefixes of conversations")
    tokens: int = Field(description="of the prefixes")
    bytes: int = Field(description="of memory that all of it held; on the card, where the engine is on one")
    confirmed: bool = Field(description="False: the engine is busy, and drops more before its next question")


class Cleared(Reply):
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
