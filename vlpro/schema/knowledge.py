"""What goes over the wire about knowledge bases; shared by the gateway and its clients. Times are Unix seconds.

Boxes are ``[x1, y1, x2, y2]`` in pixels of the page's picture, whose size is ``page_size``: width and height.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from vlpro.schema.shapes import Reply, Request

__all__ = [
    "BaseId",
    "Citation",
    "DocumentState",
    "KnowledgeBase",
    "KnowledgeBaseChange",
    "KnowledgeBaseField",
    "KnowledgeBaseList",
    "KnowledgeDocument",
    "KnowledgeDocumentList",
    "KnowledgeError",
    "KnowledgeHit",
    "KnowledgeHits",
    "KnowledgeIndexStatus",
    "KnowledgeJob",
    "NewKnowledgeBase",
    "NewKnowledgeSearch",
    "NewKnowledgeSearchOver",
    "WireBox",
]

DocumentState = Literal["queued", "reading", "ready", "failed", "cancelled"]
WireBox = tuple[int, int, int, int]
BaseId = Annotated[str, Field(min_length=1, max_length=64)]
_Several = Annotated[list[BaseId], Field(min_length=1, max_length=16, fail_fast=True)]
KnowledgeBaseField = BaseId | _Several
"""The extra field ``knowledge_base`` of questions: an id, or some."""

_Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"\S")]
_Description = Annotated[str, Field(max_length=1_000)]
_Query = Annotated[str, Field(min_length=1, max_length=2_000, pattern=r"\S")]
_Limit = Annotated[int, Field(ge=1, le=50)]


# --- bases --------------------------------------------------------------------------------------------


class NewKnowledgeBase(Request):
    """``POST /v1/knowledge-bases``."""

    name: _Name
    description: _Description = ""
    shared: Annotated[
        bool,
        Field(
            description="false: only you see it; true: everybody who may read its level, but only you write"
        ),
    ] = False
    level: Annotated[
        Literal["public", "internal", "secret"] | None,
        Field(description="How confidential; left out: as much as you may read"),
    ] = None


class KnowledgeBaseChange(Request):
    """``PATCH /v1/knowledge-bases/{id}``: what is left out stays as it is."""

    name: _Name | None = None
    description: _Description | None = None
    shared: bool | None = None


class KnowledgeBase(Reply):
    """A knowledge base."""

    id: str
    object: Literal["knowledge_base"] = "knowledge_base"
    created: int
    name: str
    description: str = ""
    shared: bool = False
    level: Literal["public", "internal", "secret"] = "public"
    writable: bool = Field(
        default=True, description="Whether it is yours: whether you may put and delete documents"
    )
    documents: int = Field(0, description="How many documents it has")
    pages: int = Field(0, description="How many pages can be found")


class KnowledgeIndexStatus(Reply):
    """What finds pages: which model makes vectors, and where they lie."""

    embedder: str = Field(description="The model that makes vectors, with its version")
    index: str = Field(description="memory, postgres or elasticsearch")
    pages: int = Field(0, description="In the index, of all bases")
    passages: int = Field(0, description="In the index, of all bases")
    loading: float | None = Field(
        None, description="Share of the index that is loaded after a start, 0 to 1; null: all of it"
    )


class KnowledgeBaseList(Reply):
    """All bases that one may see."""

    object: Literal["list"] = "list"
    data: list[KnowledgeBase]
    status: KnowledgeIndexStatus | None = None


# --- documents ----------------------------------------------------------------------------------------


class KnowledgeJob(Reply):
    """The work of reading a document in."""

    id: str
    status: Literal["queued", "in_progress", "completed", "failed", "cancelled"]


class KnowledgeError(Reply):
    """Why a document could not be read in."""

    code: str
    message: str
    message_zh: str = ""


class KnowledgeDocument(Reply):
    """A document of a base; ``pages_done`` of ``pages`` are read. While a new version is read the old one answers."""

    id: str
    object: Literal["knowledge_base.document"] = "knowledge_base.document"
    base: str
    name: str
    version: int
    created: int
    bytes: int
    sha256: str
    status: DocumentState
    pages: int
    pages_done: int
    error: KnowledgeError | None = None
    job: KnowledgeJob


class KnowledgeDocumentList(Reply):
    """Documents by name; ``next`` is what to ask for the page after."""

    object: Literal["list"] = "list"
    data: list[KnowledgeDocument]
    next: str | None = None


# --- finding ------------------------------------------------------------------------------------------


class NewKnowledgeSearch(Request):
    """``POST /v1/knowledge-bases/{id}/search``."""

    query: _Query
    limit: _Limit = 5


class NewKnowledgeSearchOver(NewKnowledgeSearch):
    """``POST /v1/knowledge-bases/search``: over several bases."""

    bases: _Several


class KnowledgeHit(Reply):
    """A passage of a page; ``boxes`` are of its part that fits best."""

    base: str
    document: str
    page: int = Field(description="From 1")
    score: float
    text: str
    boxes: list[WireBox]
    page_size: tuple[int, int]


class KnowledgeHits(Reply):
    """The passages that fit best, the best first."""

    object: Literal["list"] = "list"
    hits: list[KnowledgeHit]
    answers: bool = Field(description="Whether the best one answers; false: it is not in these documents")


class Citation(Reply):
    """What an answer's ``[number]`` stands for."""

    number: int
    base: str
    document: str
    page: int = Field(description="From 1")
    boxes: list[WireBox]
    text: str
