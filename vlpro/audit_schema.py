"""What goes over the wire about the audit; shared by the gateway and its clients. Times are Unix seconds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["AuditContent", "AuditRecord", "AuditRecordList", "AuditStanding", "ContentReason"]


class _Reply(BaseModel):
    model_config = ConfigDict(extra="ignore")


class AuditRecord(_Reply):
    """A record: its number, the hash of its bytes as they are now (RFC 6962, SHA-256), and what it says."""

    object: Literal["audit.record"] = "audit.record"
    seq: int
    hash: str
    said: dict[str, Any]


class AuditRecordList(_Reply):
    """Records, the newest first."""

    object: Literal["list"] = "list"
    data: list[AuditRecord]
    before: int | None = Field(description="Ask for those before this number next; null: there are no more")
    complete: bool = Field(description="Whether everything was looked at")


class AuditStanding(_Reply):
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


class AuditContent(_Reply):
    """Texts by their place in the record."""

    object: Literal["audit.content"] = "audit.content"
    seq: int
    texts: dict[str, str]
