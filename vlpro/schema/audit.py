"""What goes over the wire about the audit; shared by the gateway and its clients. Times are Unix seconds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from vlpro.schema.shapes import Reply

__all__ = [
    "AuditContent",
    "AuditExport",
    "AuditFilter",
    "AuditRecord",
    "AuditRecordList",
    "AuditStanding",
    "AuditVerification",
    "AuditVerified",
    "ContentReason",
    "NewAuditExport",
]


class AuditRecord(Reply):
    """A record: its number, the hash of its bytes as they are now (RFC 6962, SHA-256), and what it says."""

    object: Literal["audit.record"] = "audit.record"
    seq: int
    hash: str
    said: dict[str, Any]


class AuditRecordList(Reply):
    """Records, the newest first."""

    object: Literal["list"] = "list"
    data: list[AuditRecord]
    before: int | None = Field(description="Ask for those before this number next; null: there are no more")
    complete: bool = Field(
        description="Whether everything was looked at; false with fewer than 50 records: its time was over, ask on"
    )


class AuditStanding(Reply):
    """Where the record stands."""

    object: Literal["audit.standing"] = "audit.standing"
    log: str
    size: int
    first: int = Field(description="Number of the oldest that is not in an archive")
    last_time: float
    signed: int = Field(description="Records that the newest checkpoint covers")
    signed_root: str
    key: str = Field(description="Public key of checkpoints (Ed25519)")
    refused_sign_ins: int = Field(description="Within a day")
    refusals: int = Field(description="Within a day")


class ContentReason(BaseModel):
    """``POST /v1/audit/records/{seq}/content``: why somebody looks at what people wrote."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    reason: Annotated[str, Field(min_length=4, max_length=200)]


class AuditContent(Reply):
    """Texts by their place in the record."""

    object: Literal["audit.content"] = "audit.content"
    seq: int
    texts: dict[str, str]


class AuditFilter(BaseModel):
    """Which records; what is left out does not matter."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    event: Annotated[str, Field(max_length=48, description="A name, or its beginning up to a colon")] = ""
    outcome: Annotated[str, Field(max_length=128)] = ""
    login: Annotated[str, Field(max_length=128)] = ""
    session: Annotated[str, Field(max_length=128)] = ""
    address: Annotated[str, Field(max_length=128)] = ""
    object: Annotated[str, Field(max_length=128)] = ""
    since: Annotated[float | None, Field(ge=0, le=1e11)] = None
    until: Annotated[float | None, Field(ge=0, le=1e11)] = None
    text: Annotated[str, Field(max_length=128, description="Anywhere in the record")] = ""


class NewAuditExport(BaseModel):
    """``POST /v1/audit/exports``: what is to be taken out, and why."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    format: Literal["csv", "jsonl", "record"] = Field(
        description="record: all records and checkpoints, as `vlpro audit verify --export` reads them"
    )
    filter: AuditFilter = AuditFilter()
    reason: Annotated[str, Field(min_length=4, max_length=200)]


class AuditExport(Reply):
    """An export that can be fetched once, within five minutes, from ``/v1/audit/exports/{id}/file``."""

    object: Literal["audit.export"] = "audit.export"
    id: str
    format: str
    name: str = Field(description="Of the file")


class AuditVerified(Reply):
    """A verification that ended, as it is on the record."""

    seq: int = Field(description="Number of its record")
    time: str = Field(description="When it ended, UTC")
    by: str = Field(description="Login of who began it")
    result: Literal["whole", "wrong", "stopped", "failed"]
    seconds: float = 0
    size: int = Field(0, description="Records that there were, about")
    first: int = Field(0, description="First record that was read")
    last: int = Field(0, description="Last one")
    checkpoints: int = 0
    signed: int = Field(0, description="Record up to which a checkpoint signs")
    root: str = ""
    copies: int = Field(0, description="Copies of checkpoints that agree")
    archived: int = Field(0, description="Records up to this one are in archives, and were not verified")
    sm2: int = Field(0, description="Signatures with SM2 that are right")
    sm2_unchecked: int = Field(0, description="Signatures with SM2 that this machine could not check")
    times_backwards: int = Field(0, description="How often the clock went back")
    finding: str = Field("", description="What was done to the record, as far as it shows")
    record: int | None = Field(None, description="The first record at which it shows")
    message: str = ""
    message_zh: str = ""
    expected: str = ""
    found: str = ""
    meaning: str = ""
    meaning_zh: str = ""
    stopped_by: str = ""


class AuditVerification(Reply):
    """The verification that goes on, and the last one that ended."""

    object: Literal["audit.verification"] = "audit.verification"
    running: bool
    by: str = Field("", description="Login of who began what goes on")
    began: float | None = None
    read: int = Field(0, description="Records that were read")
    of: int = Field(0, description="Records that there are, about; 0: not known yet")
    last: AuditVerified | None = None
