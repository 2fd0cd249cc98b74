"""What goes over the wire about files and batches, in OpenAI's shapes; shared by the gateway and its clients.

Fields that only this product has stand under ``vlpro``. Times are Unix seconds.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from vlpro.schema.shapes import Reply, Request

__all__ = [
    "Batch",
    "BatchCounts",
    "BatchErrors",
    "BatchExtension",
    "BatchInput",
    "BatchLine",
    "BatchLineList",
    "BatchList",
    "BatchUsage",
    "Endpoint",
    "ExportFormat",
    "File",
    "FileDeleted",
    "FileList",
    "InputTokens",
    "NewBatch",
    "OutputTokens",
    "Purpose",
]

Endpoint = Literal["/v1/chat/completions", "/v1/responses", "/v1/extractions", "/v1/inspections"]
Purpose = Literal["batch", "user_data", "vision"]
ExportFormat = Literal["csv", "json", "xlsx", "docx", "pdf"]
BatchStatus = Literal[
    "validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"
]

_Metadata = (
    Annotated[
        dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]],
        Field(max_length=16),
    ]
    | None
)
_FileId = Annotated[str, Field(min_length=1, max_length=64)]


# --- files ------------------------------------------------------------------------------------------


class File(Reply):
    """A file that was sent, or the results of a batch."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    expires_at: int | None = None
    filename: str
    purpose: str
    status: Literal["uploaded", "processed", "error"] = "processed"
    status_details: str | None = None


class FileList(Reply):
    """A page of files."""

    object: Literal["list"] = "list"
    data: list[File]
    has_more: bool = False
    first_id: str | None = None
    last_id: str | None = None


class FileDeleted(Reply):
    """A file was deleted."""

    id: str
    object: Literal["file"] = "file"
    deleted: Literal[True] = True


# --- batches: request ---------------------------------------------------------------------------------


class BatchInput(Request):
    """Files that are each asked about: pictures, PDFs and zip archives of them."""

    file_ids: Annotated[list[_FileId], Field(min_length=1, max_length=10_000, fail_fast=True)]


class NewBatch(Request):
    """``POST /v1/batches``: OpenAI's form, or files with one instruction or template (``input``)."""

    input_file_id: _FileId | None = None
    endpoint: Endpoint | None = None
    completion_window: Annotated[
        str, Field(max_length=8, description="OpenAI's 24h, or other hours or days: 12h, 7d; at most 30d")
    ] = "24h"
    metadata: _Metadata = None
    output_expires_after: None = None
    input: Annotated[BatchInput | None, Field(description="Not OpenAI's: files instead of requests")] = None
    instruction: Annotated[
        str, Field(max_length=20_000, description="With `input`: what is asked about each picture or page")
    ] = ""
    template: Annotated[
        str, Field(max_length=64, description="With `input`: what is extracted from each file")
    ] = ""

    @model_validator(mode="after")
    def _one_form(self) -> NewBatch:
        if self.input is None:
            if self.input_file_id is None or self.endpoint is None:
                raise ValueError("input_file_id and endpoint are needed, or input")
            if self.instruction or self.template:
                raise ValueError("instruction and template go with input, not with input_file_id")
        elif self.input_file_id is not None or self.endpoint is not None:
            raise ValueError("input takes neither input_file_id nor endpoint")
        elif bool(self.instruction.strip()) == bool(self.template):
            raise ValueError("input needs either instruction or template")
        return self


# --- batches: replies -------------------------------------------------------------------------------


class BatchCounts(Reply):
    """Lines."""

    total: int
    completed: int
    failed: int


class InputTokens(Reply):
    """Of the tokens read, those that were known from before."""

    cached_tokens: int


class OutputTokens(Reply):
    """OpenAI's; always 0 here."""

    reasoning_tokens: int = 0


class BatchUsage(Reply):
    """Tokens of all lines."""

    input_tokens: int
    input_tokens_details: InputTokens
    output_tokens: int
    output_tokens_details: OutputTokens
    total_tokens: int


class BatchErrors(Reply):
    """What is wrong with the input as a whole: each with code, message, param and line."""

    object: Literal["list"] = "list"
    data: list[dict[str, Any]]


class BatchExtension(Reply):
    """What only this product has."""

    paused: bool = Field(description="Whether no further lines are asked")
    why: str = Field(
        "", description="Why it was paused, or failed: paused, owner_not_permitted, …; empty: it was not"
    )
    waits_for: str = Field(
        "", description="Code of what it waits for, such as engine_unavailable; empty: nothing"
    )
    instruction: str = ""
    template: str = ""
    files: int = Field(0, description="How many files were named")
    per_second: float | None = Field(None, description="Lines answered a second, lately")
    seconds_left: float | None = Field(None, description="Until all lines are answered, at this rate")


class Batch(Reply):
    """A batch."""

    id: str
    object: Literal["batch"] = "batch"
    endpoint: str
    model: str | None = None
    errors: BatchErrors | None = None
    input_file_id: str
    completion_window: str
    status: BatchStatus
    output_file_id: str | None = None
    error_file_id: str | None = None
    created_at: int
    in_progress_at: int | None = None
    expires_at: int | None = None
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    expired_at: int | None = None
    cancelling_at: int | None = None
    cancelled_at: int | None = None
    request_counts: BatchCounts
    usage: BatchUsage | None = None
    metadata: dict[str, str] | None = None
    vlpro: BatchExtension


class BatchList(Reply):
    """A page of batches, the newest first."""

    object: Literal["list"] = "list"
    data: list[Batch]
    first_id: str | None = None
    last_id: str | None = None
    has_more: bool = False


class BatchLine(Reply):
    """One line: a file, a page of one, or a request."""

    number: int
    custom_id: str
    status: Literal["waiting", "completed", "failed"]
    answer: dict[str, Any] | None = Field(None, description="The API's answer, where there is one")
    text: str | None = Field(
        None, description="What the answer says, without boxes and emphasis; none where it is fields"
    )
    error: dict[str, Any] | None = Field(
        None, description="Why there is none: code, message, `vlpro.zh`; that of the answer where it is one"
    )


class BatchLineList(Reply):
    """Some lines in their order."""

    object: Literal["list"] = "list"
    data: list[BatchLine]
    has_more: bool = False
