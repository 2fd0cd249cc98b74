"""What an operator tells of the deployment, so that a compliance report can try it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ComplianceOptions"]

_Port = Annotated[int, Field(ge=1, le=65_535)]


class ComplianceOptions(BaseModel):
    """What a compliance report cannot know by itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Annotated[str, Field(description="Of the running service; empty: `public_url`")] = ""
    ca: Annotated[
        Path | None,
        Field(
            description="PEM file of the authority that signed its certificate; none: those that the system trusts"
        ),
    ] = None
    ports: Annotated[
        tuple[_Port, ...] | None,
        Field(description="TCP ports on which this machine is meant to listen for others; none: nobody said"),
    ] = None
    advisories: Annotated[
        Path | None, Field(description="Advisories as OSV publishes them; none: there are none here")
    ] = None
    accepted: Annotated[
        tuple[str, ...],
        Field(
            description='Advisories that are accepted, or packages that cannot be checked ("NAME VERSION")'
        ),
    ] = ()
    lock: Annotated[
        Path | None,
        Field(description="What should be installed, with hashes; none: that of the offline kit, if any"),
    ] = None
