"""What goes over the wire of extractions and deliveries; strict where it is asked, as :mod:`vlpro.schema` is."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from vlpro.schema import ImagePart
from vlpro.schema.accounts import LevelName
from vlpro.schema.shapes import Reply, Request

__all__ = [
    "CheckInfo",
    "Corrections",
    "DeliveryInfo",
    "DeliveryList",
    "ExtractedFieldInfo",
    "ExtractionInfo",
    "ExtractionItem",
    "ExtractionList",
    "FieldCorrections",
    "FilePart",
    "InputFilePart",
    "NewApproval",
    "NewDelivery",
    "NewExtraction",
    "NewReturn",
    "PageInfo",
    "TemplateInfo",
    "TemplateList",
]

Text = Annotated[str, Field(max_length=1_000)]
FieldName = Annotated[str, Field(min_length=1, max_length=200)]
Metadata = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)
]


# --- what is asked


class FileData(Request):
    """A file inside the request."""

    file_data: Annotated[str, Field(description="data:application/pdf;base64,… or data:image/…;base64,…")]
    filename: Annotated[str, Field(max_length=255)] | None = None


class FilePart(Request):
    """A file, as chat completions have it."""

    type: Literal["file"]
    file: FileData


class InputFilePart(Request):
    """A file, as the Responses API has it."""

    type: Literal["input_file"]
    file_data: Annotated[str, Field(description="data:application/pdf;base64,… or data:image/…;base64,…")]
    filename: Annotated[str, Field(max_length=255)] | None = None


InputPart = Annotated[ImagePart | FilePart | InputFilePart, Field(discriminator="type")]


class NewExtraction(Request):
    """Pages to be read as fields."""

    template: Annotated[
        str,
        Field(
            min_length=1,
            max_length=100,
            description="Name of a template; auto: the one that fits; custom: by `schema`",
        ),
    ] = "auto"
    input: Annotated[
        list[InputPart],
        Field(min_length=1, max_length=200, fail_fast=True, description="Pages of one document, in order"),
    ]
    schema_: Annotated[
        dict[str, Any] | None,
        Field(alias="schema", description="An own JSON Schema; without a template or with custom"),
    ] = None
    review: Annotated[
        bool, Field(description="Whether everybody who may review, up to the level, sees it in the queue")
    ] = False
    deliver: Annotated[
        str | None,
        Field(max_length=64, description="Target of the settings that gets the result once it is approved"),
    ] = None
    level: Annotated[
        LevelName | None, Field(description="How confidential it is; left out: as the person may read")
    ] = None
    metadata: Annotated[Metadata | None, Field(description="Of the caller's own, given back as it is")] = None


class FieldCorrections(Request):
    """What a person reads instead."""

    fields: Annotated[
        dict[FieldName, Text | None],
        Field(min_length=1, max_length=200, description="By name; null: the page does not have it"),
    ]
    version: Annotated[int, Field(description="Of the result that was looked at")] | None = None


class NewApproval(Request):
    """A person says that it is right."""

    confirmed: Annotated[
        list[FieldName],
        Field(
            default_factory=list,
            max_length=200,
            description="Fields and checks that are right as they stand, although one failed",
        ),
    ]
    version: Annotated[int, Field(description="Of the result that was looked at")] | None = None


class NewReturn(Request):
    """A person sends it back."""

    reason: Annotated[str, Field(min_length=1, max_length=500)]
    version: Annotated[int, Field(description="Of the result that was looked at")] | None = None


class NewDelivery(Request):
    """Send a result to one of the systems that the settings name."""

    target: Annotated[str, Field(min_length=1, max_length=64)]


# --- what is answered


class CheckInfo(Reply):
    """One check."""

    name: str
    passed: bool | None = Field(description="null: it could not be checked")
    message: str
    zh: str


class ExtractedFieldInfo(Reply):
    """One field."""

    value: str | None = Field(description="As written")
    normalized: str | None = Field(description="In one form for programs")
    confidence: float
    box: tuple[int, int, int, int] | None = Field(
        description="x1, y1, x2, y2 in pixels of the page's original"
    )
    page: int
    checks: list[CheckInfo]
    title: str | None = None
    title_zh: str | None = None
    type: str | None = None
    required: bool = False
    corrected: bool = Field(default=False, description="Whether a person put value and normalized there")
    confirmed: bool = Field(default=False, description="Whether a person said that it is right as it stands")


class PageInfo(Reply):
    """One page."""

    page: int
    width: int = Field(description="Of the original, pixels")
    height: int
    name: str = Field(description="Of its file")
    available: bool = Field(description="Whether its picture can still be looked at")


class ExtractionInfo(Reply):
    """A document as fields."""

    id: str
    object: Literal["extraction"] = "extraction"
    created: int
    updated: int
    template: str
    title: str = ""
    title_zh: str = ""
    fields: dict[str, ExtractedFieldInfo]
    items: list[dict[str, ExtractedFieldInfo]]
    checks: list[CheckInfo]
    verdict: Literal["pass", "review", "fail"]
    duplicate_of: str | None = Field(
        None, description="The earlier result of the same document, where it is one's own"
    )
    state: Literal["open", "approved", "returned"]
    unsettled: list[str] = Field(
        description="Fields and checks that must be corrected or confirmed before it is approved"
    )
    review: bool
    level: LevelName
    own: bool
    engine: str
    pages: list[PageInfo]
    reason: str | None = None
    deliver: str | None = None
    metadata: dict[str, str] | None = None
    version: int
    deliveries: list[DeliveryInfo] = Field(default_factory=list)


class ExtractionItem(Reply):
    """A result as it is listed."""

    id: str
    object: Literal["extraction"] = "extraction"
    created: int
    updated: int
    template: str
    title: str = ""
    title_zh: str = ""
    name: str = Field(description="What it is called in a list: whom it is from")
    amount: str | None = Field(None, description="How much it is about")
    verdict: Literal["pass", "review", "fail"]
    state: Literal["open", "approved", "returned"]
    level: LevelName
    own: bool
    damaged: bool = Field(default=False, description="It does not open: what was stored was altered")


class ExtractionList(Reply):
    """Results, the newest first."""

    object: Literal["list"] = "list"
    data: list[ExtractionItem]
    next: str | None = None
    open: int = Field(description="How many wait for a person, of all that one may see")
    decided_today: int = Field(description="How many one has decided since midnight, UTC")


class TemplateField(Reply):
    """One field of a template."""

    name: str
    title: str
    title_zh: str
    type: str
    required: bool


class TemplateInfo(Reply):
    """A kind of document."""

    name: str
    title: str
    title_zh: str
    fields: list[TemplateField]
    items: list[TemplateField]


class TemplateList(Reply):
    """All kinds of documents."""

    object: Literal["list"] = "list"
    data: list[TemplateInfo]
    targets: list[str] = Field(description="Systems that results can be sent to")


class Correction(Reply):
    """What was read, and what a person put instead; ``read`` and ``right`` as normalised."""

    extraction: str
    template: str
    field: str
    read: str | None
    right: str | None
    confidence: float
    page: int
    box: tuple[int, int, int, int] | None
    engine: str


class Corrections(Reply):
    """For measuring: all that people corrected, and how many fields they left as they were."""

    object: Literal["list"] = "list"
    data: list[Correction]
    extractions: int = Field(description="Decided results that were looked at")
    fields: int = Field(description="Their fields that were found or corrected")
    unchanged: int = Field(description="Those that nobody corrected")


class DeliveryInfo(Reply):
    """A result on its way to another system."""

    id: str
    object: Literal["delivery"] = "delivery"
    target: str
    state: Literal["waiting", "delivered", "failed"]
    tries: int
    problem: str | None = None
    created: int
    updated: int
    next_try: int | None = None


class DeliveryList(Reply):
    """The deliveries of a result, the newest first."""

    object: Literal["list"] = "list"
    data: list[DeliveryInfo]
