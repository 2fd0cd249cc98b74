"""How long reports are kept."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ReportOptions"]


class ReportOptions(BaseModel):
    """How long reports are kept."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    days: Annotated[int, Field(ge=1, le=3_650, description="After so many a report is deleted")] = 90
    picture_days: Annotated[
        int,
        Field(
            ge=1,
            le=3_650,
            description="After so many its pictures are; where the policy keeps pictures, they stay as long as "
            "the report",
        ),
    ] = 7
