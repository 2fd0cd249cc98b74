"""Where results may go; imports no client, so that settings stay light."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from vlpro.audit.alerts.options import WebhookOptions

__all__ = ["DeliveryOptions", "TargetName"]

TargetName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]


class DeliveryOptions(BaseModel):
    """The systems that take results: a request can name one of them, and no other address."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    targets: Annotated[
        dict[TargetName, WebhookOptions],
        Field(
            min_length=1,
            max_length=32,
            description="Name of each system with its webhook: url, secret and ca, as of alerts.webhook",
        ),
    ]
    approved: Annotated[
        str,
        Field(
            description="Target to which each extraction goes when it is approved, where its request named none; "
            "empty: nowhere"
        ),
    ] = ""
    retry_hours: Annotated[
        float,
        Field(gt=0, le=720, description="Hours for which a result is tried that its target does not take"),
    ] = 72

    @model_validator(mode="after")
    def _names_its_own(self) -> Self:
        if self.approved and self.approved not in self.targets:
            raise ValueError("approved must be one of targets")
        return self
