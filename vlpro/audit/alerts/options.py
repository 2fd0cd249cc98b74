"""When an alert is raised and where it goes; imports no client, so that settings stay light."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

__all__ = ["AlertOptions", "MailOptions", "SyslogTarget", "Thresholds", "WebhookOptions"]

Count = Annotated[int, Field(ge=1, le=10_000)]
Minutes = Annotated[int, Field(ge=1, le=1_440)]
Address = Annotated[str, Field(pattern=r"^[^\s@<>,;:]+@[^\s@<>,;:]+$", max_length=254)]

_FROZEN = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Thresholds(BaseModel):
    """From how many on, within how many minutes, something is an alert."""

    model_config = _FROZEN

    login_failures: Annotated[Count, Field(description="Refused sign-ins of one login")] = 5
    address_failures: Annotated[Count, Field(description="Refused sign-ins from one address")] = 20
    address_logins: Annotated[
        Count, Field(description="Different logins whose sign-ins are refused from one address")
    ] = 5
    sign_in_minutes: Annotated[Minutes, Field(description="Within so many minutes")] = 10
    foreign_tries: Annotated[
        Count, Field(description="Tries of one person to reach what is somebody else's")
    ] = 5
    foreign_minutes: Annotated[Minutes, Field(description="Within so many minutes")] = 10
    exports: Annotated[
        Count,
        Field(
            description="Conversations, results or records exported, or texts of others viewed, by one person"
        ),
    ] = 20
    exported_pictures: Annotated[Count, Field(description="Pictures in the exports of one person")] = 100
    export_minutes: Annotated[Minutes, Field(description="Within so many minutes")] = 60
    refusals: Annotated[
        Count, Field(description="Other refused requests of one person, or of one address without a person")
    ] = 100
    refusal_minutes: Annotated[Minutes, Field(description="Within so many minutes")] = 10
    egress_tries: Annotated[Count, Field(description="Refused connections to one destination")] = 1
    egress_minutes: Annotated[Minutes, Field(description="Within so many minutes")] = 10
    quiet_minutes: Annotated[
        Minutes,
        Field(description="After an alert the same rule is silent about the same subject for so long"),
    ] = 15
    most_of_a_rule: Annotated[
        Count,
        Field(
            description="Most alerts of one rule within the quiet time; one more says that there are others"
        ),
    ] = 20


class WebhookOptions(BaseModel):
    """Takes alerts as JSON, signed."""

    model_config = _FROZEN

    url: Annotated[str, Field(description="https://HOST[:PORT]/PATH; http:// to this machine only")]
    secret: Annotated[
        SecretStr,
        Field(min_length=16, description="Shared with the receiver; signs each alert (HMAC-SHA256)"),
    ]
    ca: Annotated[
        str,
        Field(
            description="PEM file of the authorities that may have signed its certificate; empty: the system's"
        ),
    ] = ""

    @field_validator("url")
    @classmethod
    def _is_safe(cls, value: str) -> str:
        parts = _parsed(value)
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or "@" in parts.netloc
            or parts.fragment
        ):
            raise ValueError("write it as https://HOST[:PORT]/PATH, without a user")
        if parts.scheme == "http" and not _is_here(parts.hostname):
            raise ValueError("http:// to another machine is readable on the way: use https://")
        return value


class SyslogTarget(BaseModel):
    """Takes alerts as messages of RFC 5424."""

    model_config = _FROZEN

    url: Annotated[
        str,
        Field(
            description="tls://HOST[:6514], tcp://HOST[:601] and udp://HOST[:514], which are readable on the way, or "
            "unix:///PATH"
        ),
    ]
    ca: Annotated[
        str,
        Field(
            description="PEM file of the authorities that may have signed its certificate; empty: the system's"
        ),
    ] = ""
    facility: Annotated[int, Field(ge=0, le=23, description="13: log audit (RFC 5424)")] = 13
    sd_id: Annotated[
        str,
        Field(
            pattern=r"^[!#-<>-\\^-~]{1,20}@[0-9]{1,11}$",
            description="Name of the structured data; put your own enterprise number behind the @",
        ),
    ] = "vlpro@32473"

    @field_validator("url")
    @classmethod
    def _is_known(cls, value: str) -> str:
        parts = _parsed(value)
        network = parts.scheme in ("tls", "tcp", "udp") and parts.hostname and not parts.path.strip("/")
        local = parts.scheme == "unix" and not parts.netloc and len(parts.path) > 1
        if not (network or local) or "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError("write it as tls://HOST[:PORT], tcp://…, udp://… or unix:///PATH")
        return value


class MailOptions(BaseModel):
    """Takes alerts as e-mail; never in the clear to another machine."""

    model_config = _FROZEN

    host: Annotated[
        str, Field(min_length=1, description="The mail server's name; the one in its certificate")
    ]
    port: Annotated[int, Field(gt=0, lt=65_536, description="587 with starttls, 465 with tls")] = 587
    security: Annotated[
        Literal["starttls", "tls", "none"],
        Field(
            description="starttls: TLS before anything else is said, refused: no mail; tls: from the first byte "
            "(SMTPS); none: to this machine only"
        ),
    ] = "starttls"
    ca: Annotated[
        str,
        Field(
            description="PEM file of the authorities that may have signed its certificate; empty: the system's"
        ),
    ] = ""
    user: Annotated[str, Field(description="Login at the server, if it wants one")] = ""
    password: Annotated[SecretStr, Field(description="Its password")] = SecretStr("")
    sender: Annotated[Address, Field(description="From whom the mails are")]
    to: Annotated[tuple[Address, ...], Field(min_length=1, max_length=50, description="To whom they go")]

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if self.security == "none" and not _is_here(self.host):
            raise ValueError("security none is for this machine only: use starttls or tls")
        if bool(self.user) != bool(self.password.get_secret_value()):
            raise ValueError("user and password belong together")
        return self


class AlertOptions(BaseModel):
    """Alerts: what is looked for, and who is told. Without a channel they are on the record only."""

    model_config = _FROZEN

    name: Annotated[
        str, Field(min_length=1, max_length=60, description="What this installation is called in alerts")
    ] = "vlpro"
    poll_s: Annotated[
        float, Field(ge=0.05, le=20, description="Seconds between looks at what is new on the record")
    ] = 3
    retry_minutes: Annotated[
        float, Field(gt=0, le=1_440, description="Minutes for which a channel that is down is tried again")
    ] = 15
    thresholds: Annotated[Thresholds, Field(description="From when on something is an alert")] = Thresholds()
    webhook: Annotated[WebhookOptions | None, Field(description="Posts alerts as JSON")] = None
    syslog: Annotated[SyslogTarget | None, Field(description="Sends alerts to a syslog receiver")] = None
    mail: Annotated[MailOptions | None, Field(description="Sends alerts by e-mail")] = None


def _parsed(value: str) -> SplitResult:
    """A URL in its parts. Raises: ValueError where there are spaces in it, or its port is none."""
    parts = urlsplit(value)
    if any(character.isspace() for character in value) or parts.port == 0:  # reading a wrong port raises
        raise ValueError("a URL has no spaces and no port 0")
    return parts


def _is_here(host: str) -> bool:
    """Whether a host's name or address is this machine, told without asking a name server."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
