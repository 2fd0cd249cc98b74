"""How the service is: ``GET /v1/status``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from vlpro.schema.errors import ErrorBody
from vlpro.schema.replies import Timing
from vlpro.schema.shapes import Reply

__all__ = ["Budget", "Device", "Gpu", "Loading", "Status"]


class Gpu(Reply):
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


class Device(Reply):
    """What the machine is doing."""

    gpus: list[Gpu] = Field(default_factory=list)
    cpu_percent: float
    memory_used: int = Field(description="bytes, of the whole machine")
    memory_total: int = Field(description="bytes")
    gateway_memory: int = Field(description="bytes, resident, of the service itself")
    engine_memory: int | None = Field(None, description="bytes, resident, of the engine's process")


class Budget(Reply):
    """Limits by which the page warns before sending; the service decides again."""

    context_tokens: int
    picture_tokens: int = Field(0, description="Pictures that have more together are made smaller; 0: never")
    max_images: int
    max_image_bytes: int
    max_text_chars: int


class Loading(Reply):
    """How far the engine is on its way to be ready."""

    stage: Literal["checking", "loading"]
    share: float = Field(description="of this stage, 0 to 1")


class Status(Reply):
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
