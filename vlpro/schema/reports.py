"""What goes over the wire about reports; shared by the gateway and its clients. Times are Unix seconds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from vlpro.schema import ImagePart
from vlpro.schema.extractions import FilePart
from vlpro.schema.shapes import Reply, Request

__all__ = [
    "AigcLabel",
    "DocumentFormat",
    "NewReport",
    "Report",
    "ReportContent",
    "ReportFailure",
    "ReportFilePart",
    "ReportFinding",
    "ReportImage",
    "ReportList",
    "ReportProgress",
    "ReportState",
    "Severity",
]

ReportState = Literal["in_progress", "completed", "failed", "cancelled"]
Severity = Literal["info", "minor", "major", "critical"]
DocumentFormat = Literal["docx", "pdf"]


class ReportFilePart(Request):
    """A file, as the Responses API has it: inside the request, or sent before (``POST /v1/files``)."""

    type: Literal["input_file"]
    file_data: Annotated[
        str | None, Field(description="data:application/pdf;base64,… or data:image/…;base64,…")
    ] = None
    file_id: Annotated[str | None, Field(max_length=64, description="Instead of file_data")] = None
    filename: Annotated[str, Field(max_length=255)] | None = None


ReportPart = Annotated[ImagePart | FilePart | ReportFilePart, Field(discriminator="type")]


class NewReport(Request):
    """``POST /v1/reports``."""

    input: Annotated[
        list[ReportPart],
        Field(
            min_length=1,
            max_length=16,
            fail_fast=True,
            description="Pictures and PDFs of one inspection, with 16 pictures and pages at most, in order",
        ),
    ]
    instruction: Annotated[str, Field(max_length=2_000, description="What to look for")] = ""
    title: Annotated[str, Field(max_length=80, description="Of the report; left out: the engine's")] = ""
    language: Annotated[Literal["zh", "en"], Field(description="To write in")] = "zh"
    level: Annotated[
        Literal["public", "internal", "secret"] | None,
        Field(description="How confidential; left out: as much as you may read"),
    ] = None
    background: Annotated[
        bool, Field(description="Whether to answer at once, with a report that is still being made")
    ] = False


class ReportProgress(Reply):
    """How far it is: a step a picture, and one for the conclusion."""

    done: int
    steps: int


class ReportFinding(Reply):
    """One finding; ``boxes`` are ``[x1, y1, x2, y2]`` in pixels of the picture as it was sent."""

    number: int
    image: int
    text: str
    severity: Severity
    basis: Literal["sight", "text", "code", "difference"]
    boxes: list[tuple[int, int, int, int]]


class ReportImage(Reply):
    """One picture; ``available``: whether it is still kept."""

    number: int
    name: str
    page: int
    width: int
    height: int
    sha256: str
    available: bool


class AigcLabel(Reply):
    """The label of generated content, as GB 45438-2025 names its fields (annex E)."""

    Label: str
    ContentProducer: str
    ProduceID: str
    ReservedCode1: str = ""
    ContentPropagator: str = ""
    PropagateID: str = ""
    ReservedCode2: str = ""


class ReportContent(Reply):
    """What a complete report says.

    ``sees`` is False where the engine reads texts and codes only and judges nothing; ``notice`` says in the report's
    language that it was generated, ``AIGC`` says so to programs.
    """

    title: str
    summary: str
    verdict: Literal["pass", "review", "fail"]
    findings: list[ReportFinding]
    images: list[ReportImage]
    instruction: str
    language: Literal["zh", "en"]
    engine: str
    model: str
    sees: bool
    notice: str
    AIGC: AigcLabel


class ReportFailure(Reply):
    """Why a report came to no end."""

    code: str
    message: str
    message_zh: str


class Report(Reply):
    """A report; ``report`` is there once it is complete."""

    id: str
    object: Literal["report"] = "report"
    created: int
    status: ReportState
    level: Literal["public", "internal", "secret"]
    progress: ReportProgress
    report: ReportContent | None = None
    error: ReportFailure | None = None


class ReportList(Reply):
    """Reports, the newest first; ``next`` is what to ask for the page after."""

    object: Literal["list"] = "list"
    data: list[Report]
    next: str | None = None
