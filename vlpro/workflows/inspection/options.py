"""How boards and equipment are inspected; imports no client, so that settings stay light."""

from __future__ import annotations

import ipaddress
from datetime import time
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from vlpro.workflows.delivery.options import TargetName

__all__ = ["NAME", "AlertRule", "FolderOptions", "InspectionOptions", "MqttOptions", "Name", "QuietHours"]

_FROZEN = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

NAME = r"^([^\x00-\x1f\x7f/\\#+$.][^\x00-\x1f\x7f/\\#+]{0,63})?$"
"""A station's or product's name: it may be a folder and a level of an MQTT topic. Empty: none."""

Name = Annotated[str, Field(pattern=NAME)]
Pattern = Annotated[str, Field(min_length=1, max_length=64)]
Kinds = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=64)], ...], Field(max_length=50)]
Level = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f#+$/][^\x00-\x1f\x7f#+]{0,127}$")]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class AlertRule(BaseModel):
    """Which findings are an alert. The first rule whose product and station fit decides."""

    model_config = _FROZEN

    product: Annotated[
        Pattern, Field(description="The product, or a pattern: `*` any text, `?` a letter")
    ] = "*"
    station: Annotated[Pattern, Field(description="The station, likewise")] = "*"
    kinds: Annotated[Kinds, Field(description="Kinds of defects that count; empty: all")] = ()
    min_score: Annotated[float, Field(ge=0, le=1, description="Defects that are less sure do not count")] = (
        0.5
    )
    min_defects: Annotated[int, Field(ge=1, le=10_000, description="From so many defects that count on")] = 1
    quiet_minutes: Annotated[
        float,
        Field(
            ge=0,
            le=1_440,
            description="After an alert, its kinds of defects are silent at its station for so long",
        ),
    ] = 0


class QuietHours(BaseModel):
    """When findings raise no alert, such as while a line is set up; they are kept, marked silenced."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, populate_by_name=True)

    station: Annotated[Pattern, Field(description="As in a rule")] = "*"
    kinds: Annotated[Kinds, Field(description="Of these kinds only; empty: of all")] = ()
    since: Annotated[time, Field(description="HH:MM, in this machine's zone")]
    until: Annotated[time, Field(description="HH:MM; before `since`: of the next day")]
    days: Annotated[
        tuple[Day, ...], Field(min_length=1, description="On which days it begins: mon, tue, …")
    ] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class FolderOptions(BaseModel):
    """A folder that is watched: each picture in it is inspected; the name of the sub folder is the station."""

    model_config = _FROZEN

    path: Annotated[Path, Field(description="The folder, outside the data folder; it must be there")]
    account: Annotated[
        str,
        Field(
            max_length=64,
            description="Login in whose name pictures are inspected; profile mlps3 needs it, local ignores it",
        ),
    ] = ""
    product: Annotated[
        Name, Field(description="Product of pictures that do not lie in a folder STATION/PRODUCT")
    ] = ""
    method: Annotated[Literal["auto", "template", "thermal", "sight"], Field(description="As in the API")] = (
        "auto"
    )
    done: Annotated[
        Literal["move", "remove"],
        Field(
            description="move: an inspected picture goes to the sub folder `done`, with its result as JSON; remove: "
            "it is deleted"
        ),
    ] = "move"
    settle_s: Annotated[
        float,
        Field(ge=0, le=600, description="Seconds for which a file must not have changed before it is taken"),
    ] = 1.0
    poll_s: Annotated[float, Field(ge=0.05, le=60, description="Seconds between looks")] = 0.5

    @field_validator("path")
    @classmethod
    def _is_whole(cls, value: Path) -> Path:
        if not value.is_absolute():
            raise ValueError("write the whole path, beginning with /")
        return value


class MqttOptions(BaseModel):
    """A broker from which pictures come, and to which results and alerts go (MQTT 5)."""

    model_config = _FROZEN

    url: Annotated[str, Field(description="mqtts://HOST[:8883]; mqtt://HOST[:1883] to this machine only")]
    user: Annotated[str, Field(max_length=256, description="Login at the broker")] = ""
    password: Annotated[SecretStr, Field(description="Its password")] = SecretStr("")
    ca: Annotated[
        str,
        Field(
            description="PEM file of the authorities that may have signed the broker's certificate; empty: the "
            "system's"
        ),
    ] = ""
    client_id: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9_-]{1,64}$",
            description="As the broker knows this service; of several replicas only one may have it",
        ),
    ] = "vlpro"
    prefix: Annotated[
        Level, Field(description="What all topics begin with: PREFIX/pictures/STATION/PRODUCT and so on")
    ] = "vlpro"
    account: Annotated[
        str,
        Field(
            max_length=64,
            description="Login in whose name pictures are inspected; profile mlps3 needs it, local ignores it",
        ),
    ] = ""
    method: Annotated[Literal["auto", "template", "thermal", "sight"], Field(description="As in the API")] = (
        "auto"
    )

    @field_validator("url")
    @classmethod
    def _is_safe(cls, value: str) -> str:
        parts = urlsplit(value)
        if (
            parts.scheme not in ("mqtt", "mqtts")
            or not parts.hostname
            or "@" in parts.netloc
            or parts.path.strip("/")
            or parts.query
            or parts.fragment
            or parts.port == 0
        ):
            raise ValueError("write it as mqtts://HOST[:PORT], without a user")
        if parts.scheme == "mqtt" and not _is_here(parts.hostname):
            raise ValueError("mqtt:// to another machine is readable on the way: use mqtts://")
        return value

    @model_validator(mode="after")
    def _belong(self) -> Self:
        if self.password.get_secret_value() and not self.user:
            raise ValueError("a password needs its user")
        return self

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or (8883 if parts.scheme == "mqtts" else 1883)

    @property
    def tls(self) -> bool:
        """Whether it is spoken to in TLS."""
        return self.url.startswith("mqtts")


class InspectionOptions(BaseModel):
    """Inspections: how long they are kept, what is an alert, and where pictures come from beside the API."""

    model_config = _FROZEN

    days: Annotated[
        int, Field(ge=1, le=3_650, description="Days after which inspections and alerts are deleted")
    ] = 90
    max_pixels: Annotated[
        int,
        Field(
            ge=100_000,
            le=120_000_000,
            description="Pixels at which pictures are compared; larger ones are made smaller, boxes stay those of "
            "the original",
        ),
    ] = 25_000_000
    rules: Annotated[
        tuple[AlertRule, ...], Field(max_length=200, description="Which findings are an alert; empty: none")
    ] = (AlertRule(),)
    quiet_hours: Annotated[
        tuple[QuietHours, ...], Field(max_length=200, description="When findings raise no alert")
    ] = ()
    alert_targets: Annotated[
        tuple[TargetName, ...],
        Field(max_length=32, description="Which of `delivery.targets` get each new alert, signed"),
    ] = ()
    folder: Annotated[FolderOptions | None, Field(description="A watched folder")] = None
    mqtt: Annotated[MqttOptions | None, Field(description="A broker of MQTT")] = None


def _is_here(host: str) -> bool:
    """Whether a host's name or address is this machine, told without asking a name server."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
