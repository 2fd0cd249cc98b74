"""Where the audit's records are copied to; imports no client, so that settings stay light."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

__all__ = ["ShipOptions", "SyslogOptions"]

Positive = Annotated[int, Field(gt=0)]

_FROZEN = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class SyslogOptions(BaseModel):
    """A receiver of syslog over TLS (RFC 5425)."""

    model_config = _FROZEN

    host: Annotated[str, Field(min_length=1, description="Name or address; the one in its certificate")]
    port: Annotated[int, Field(gt=0, lt=65_536, description="RFC 5425 names 6514")] = 6514
    ca: Annotated[
        str,
        Field(
            description="PEM file of the authorities that may have signed its certificate; empty: system's"
        ),
    ] = ""
    certificate: Annotated[
        str, Field(description="PEM file of the shipper's own certificate, where the receiver wants one")
    ] = ""
    key: Annotated[str, Field(description="PEM file of that certificate's key, not encrypted")] = ""
    end: Annotated[
        Literal["tls", "tcp"],
        Field(
            description="What shows that the receiver has read a batch: that it ends TLS (close_notify), or at least "
            "that it ends the connection, which somebody on the way could do, too; rsyslog's gtls needs tcp"
        ),
    ] = "tls"
    facility: Annotated[int, Field(ge=0, le=23, description="13: log audit (RFC 5424)")] = 13
    sd_id: Annotated[
        str,
        Field(
            pattern=r"^[!#-<>-\\^-~]{1,20}@[0-9]{1,11}$",
            description="Name of the structured data; 32473 is the number that RFC 5612 keeps for examples: "
            "put your own enterprise number there",
        ),
    ] = "vlpro@32473"


class ShipOptions(BaseModel):
    """One destination: Elasticsearch (url) or syslog."""

    model_config = _FROZEN

    url: Annotated[
        str,
        Field(
            description="Elasticsearch, such as https://elk.example.cn:9200: one address, a path before /_bulk may "
            "follow; http:// to this machine only, or with plain_http"
        ),
    ] = ""
    plain_http: Annotated[
        bool,
        Field(
            description="Whether http:// may lead to another machine; records and secrets are readable then"
        ),
    ] = False
    ca: Annotated[
        str,
        Field(
            description="PEM file of the authorities that may have signed the server's certificate; empty: those "
            "that the system trusts"
        ),
    ] = ""
    api_key: Annotated[SecretStr, Field(description="API key in its encoded form (id:key in base64)")] = (
        SecretStr("")
    )
    api_key_file: Annotated[str, Field(description="File that holds it")] = ""
    user: Annotated[str, Field(description="Instead of an API key: a user")] = ""
    password: Annotated[SecretStr, Field(description="Its password")] = SecretStr("")
    password_file: Annotated[str, Field(description="File that holds it")] = ""
    index: Annotated[
        str,
        Field(
            pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$", description="Data stream, or index, that is written to"
        ),
    ] = "vlpro-audit"
    syslog: Annotated[
        SyslogOptions | None, Field(description="Instead of url: a syslog receiver, as a table")
    ] = None
    masked: Annotated[
        bool,
        Field(
            description="Whether personal data is masked in the copy whatever the policy's mask_shipped says; a "
            "record in which any was cannot be verified from the copy"
        ),
    ] = False
    labels: Annotated[
        dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,40}$")], str],
        Field(description='Put on every document, such as {"site": "suzhou"}'),
    ] = {}
    batch: Annotated[Positive, Field(le=10_000, description="Most records in one request")] = 500
    batch_bytes: Annotated[
        int, Field(ge=1_000, le=50_000_000, description="Most bytes of a request; one record may be larger")
    ] = 4_000_000
    timeout_s: Annotated[float, Field(gt=0, le=600, description="Seconds that one request may take")] = 30
    poll_s: Annotated[float, Field(gt=0, le=60, description="Seconds between looks for new records")] = 1
    most_wait_s: Annotated[
        float, Field(gt=0, le=3600, description="Longest pause between two attempts, seconds")
    ] = 60
    state: Annotated[
        Path | None,
        Field(description="File that keeps how far the copy is; none: audit-ship.json in the data folder"),
    ] = None

    @field_validator("url")
    @classmethod
    def _address(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname or _more(parts)):
            raise ValueError("write it as https://HOST[:PORT], without a user, a query or spaces")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _one_destination(self) -> Self:
        if bool(self.url) == (self.syslog is not None):
            raise ValueError("name one destination: url or syslog")
        secrets = [self.api_key.get_secret_value(), self.api_key_file]
        passwords = [self.password.get_secret_value(), self.password_file]
        if all(secrets) or all(passwords):
            raise ValueError("give a secret itself or the file that holds it, not both")
        if any(secrets) and self.user:
            raise ValueError("give an API key or a user, not both")
        if bool(self.user) != any(passwords):
            raise ValueError("user and password belong together")
        parts = urlsplit(self.url)
        if parts.scheme == "http" and not self.plain_http and not _is_here(parts.hostname or ""):
            raise ValueError(
                "url: http:// to another machine is readable on the way; use https://, or plain_http"
            )
        return self


def _more(parts: SplitResult) -> bool:
    """Whether a URL holds more than an address and a path."""
    try:
        _ = parts.port
    except ValueError:
        return True
    return bool("@" in parts.netloc or parts.query or parts.fragment) or any(
        c.isspace() for c in parts.geturl()
    )


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
