"""All settings, read once: environment ``VLPRO_…``, credentials, ``vlpro.toml``, then the defaults here.

A credential is a file in the folder ``CREDENTIALS_DIRECTORY`` (systemd's LoadCredential=) that is named as the
variable is, in capitals or not; ``vlpro_ldap__bind_password`` is a part of a table.
"""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from vlpro.audit.alerts.options import AlertOptions
from vlpro.audit.ship.options import ShipOptions
from vlpro.compliance.options import ComplianceOptions
from vlpro.errors import ConfigError
from vlpro.identity.directories.options import LdapOptions, OidcOptions
from vlpro.knowledge.options import KnowledgeOptions
from vlpro.workflows.batch.options import BatchOptions
from vlpro.workflows.delivery.options import DeliveryOptions
from vlpro.workflows.inspection.options import InspectionOptions
from vlpro.workflows.report.options import ReportOptions

__all__ = ["Settings", "load"]

Positive = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


def _proxy(value: str) -> str:
    return value if value == "unix" else str(ipaddress.ip_network(value))


def _network(value: str) -> str:
    return str(ipaddress.ip_network(value))


Proxy = Annotated[str, AfterValidator(_proxy)]
Network = Annotated[str, AfterValidator(_network)]


class Settings(BaseSettings):
    """Every setting with its default. An attribute's name in capitals after ``VLPRO_`` is its variable."""

    model_config = SettingsConfigDict(
        env_prefix="VLPRO_", toml_file="vlpro.toml", frozen=True, extra="forbid", case_sensitive=False
    )

    profile: Annotated[
        Literal["local", "mlps3"],
        Field(
            description="local: one person at this machine, no login, this machine's addresses only; mlps3: "
            "accounts, second factors and three separate administrators, behind a proxy that brings TLS"
        ),
    ] = "local"
    data_dir: Annotated[
        Path, Field(description="Folder under which everything lies that is stored; made where it is missing")
    ] = Path("data")
    database_url: Annotated[
        SecretStr,
        Field(
            description="postgresql://USER:PASSWORD@HOST/NAME; empty: SQLite in the data folder. Profile mlps3"
        ),
    ] = SecretStr("")
    key_file: Annotated[
        Path | None,
        Field(
            description="Key to what is stored encrypted, outside the data folder; made by vlpro key. "
            "credential:NAME: systemd's. Profile mlps3 ([encryption.md](encryption.md))"
        ),
    ] = None
    key_token: Annotated[
        str,
        Field(
            pattern=r"^(pkcs11:.+)?$",
            description="PKCS#11 URI of the AES key in a hardware security module that the key file is wrapped with; "
            "empty: it is not wrapped",
        ),
    ] = ""
    crypto: Annotated[
        Literal["international", "gm"],
        Field(
            description="gm (国密): what is stored is sealed with SM4-GCM, not AES-256-GCM; pictures are on the "
            "audit record with their SM3 as well, and its checkpoints are signed with SM2 beside Ed25519 "
            "([audit.md](audit.md)); needs OpenSSL 3 on this machine"
        ),
    ] = "international"
    public_url: Annotated[
        str,
        Field(
            pattern=r"^(https?://[^/\s?#@]+)?$",
            description="Where people find the service, such as https://vl.example.cn; profile mlps3 needs it",
        ),
    ] = ""
    trusted_proxies: Annotated[
        tuple[Proxy, ...],
        Field(
            description="Networks of the proxies whose X-Forwarded-For is believed; unix: what comes by a Unix "
            "socket. Profile mlps3 needs it"
        ),
    ] = ()
    audit_database_url: Annotated[
        SecretStr,
        Field(
            description="Database of the audit; empty: the one of database_url where that is a PostgreSQL, else a "
            "SQLite of its own in the data folder"
        ),
    ] = SecretStr("")
    audit_copy: Annotated[
        Path | None,
        Field(
            description="File to which the audit's checkpoints are copied, best on another disk or machine"
        ),
    ] = None
    alerts: Annotated[
        AlertOptions | None,
        Field(
            description="Who is told when the audit shows what should not go on, as a table or JSON "
            "([alerts.md](alerts.md)); none: profile mlps3 puts alerts on the record only"
        ),
    ] = None
    audit_days: Annotated[
        int,
        Field(
            ge=180, le=36_500, description="Days after which vlpro audit archive moves records into archives"
        ),
    ] = 365
    audit_ship: Annotated[
        ShipOptions | None,
        Field(
            description="Where vlpro audit ship copies the record, as a table or JSON "
            "([audit-shipping.md](audit-shipping.md))"
        ),
    ] = None
    compliance: Annotated[
        ComplianceOptions | None,
        Field(
            description="What the compliance report is told of the deployment, as a table or JSON "
            "([compliance.md](compliance.md))"
        ),
    ] = None
    ldap: Annotated[
        LdapOptions | None,
        Field(description="The company's LDAP directory, as a table or JSON ([identity.md](identity.md))"),
    ] = None
    oidc: Annotated[
        OidcOptions | None,
        Field(description="The company's OpenID provider, as a table or JSON ([identity.md](identity.md))"),
    ] = None
    engine: Annotated[
        Literal["auto", "ocr", "openvino", "transformers", "openai", "fake"],
        Field(
            description="What answers; auto: openai where an upstream is set; where a model folder is, transformers "
            "on a card and openvino without one; else ocr"
        ),
    ] = "auto"
    upstream_url: Annotated[
        str,
        Field(
            pattern=r"^(https?://.+)?$",
            description="Engine openai: base URL of an OpenAI-compatible server inside the network, with /v1",
        ),
    ] = ""
    upstream_model: Annotated[
        str,
        Field(
            description="Engine openai: the model's name on that server; empty: the only one that it lists"
        ),
    ] = "Qwen/Qwen3-VL-4B-Instruct"
    upstream_key: Annotated[
        SecretStr, Field(description="Engine openai: bearer token, if that server wants one")
    ] = SecretStr("")
    upstream_ca: Annotated[
        str,
        Field(
            description="Engine openai: PEM file of the authority that signed that server's certificate; "
            "empty: those that the system trusts"
        ),
    ] = ""
    upstream_socket: Annotated[
        str,
        Field(description="Engine openai: Unix socket on which that server listens; empty: over the network"),
    ] = ""
    upstream_context_tokens: Annotated[
        Positive, Field(description="Engine openai: context that the server was started with, tokens")
    ] = 32_768
    upstream_concurrency: Annotated[
        Positive, Field(description="Engine openai: questions in flight at once")
    ] = 32
    model_dir: Annotated[
        str,
        Field(
            description="Engines openvino and transformers: folder of the model's files; verified before it is loaded"
        ),
    ] = ""
    model_manifest: Annotated[
        str,
        Field(
            description="Manifest that the folder is verified against; none: the official one, which is built in"
        ),
    ] = ""
    model_check: Annotated[
        Literal["always", "cached"],
        Field(
            description="always: every byte of the model's files is read before each loading; cached: not those of a "
            "file that was found right and was not touched since ([model.md](model.md)). Profile mlps3 takes always "
            "only"
        ),
    ] = "always"
    model_check_days: Annotated[
        int, Field(ge=1, le=90, description="model_check cached: days after which every byte is read again")
    ] = 7
    device: Annotated[
        Literal["auto", "cuda", "cpu"],
        Field(
            description="Where the model computes; auto: on a card where it fits one. cpu: engine auto is openvino"
        ),
    ] = "auto"
    load_in_4bit: Annotated[
        Literal["auto", "on", "off"],
        Field(
            description="Engine transformers: NF4 by bitsandbytes; auto: where the memory is too small without"
        ),
    ] = "auto"
    activations: Annotated[
        Literal["exact", "usual", "fast"],
        Field(
            description="Engine openvino: bits of a layer's inputs where its weights are packed. exact: 16 (32 "
            "without bfloat16); usual: 8, in groups of 32, the runtime's own default; fast: 8, in groups of 128"
        ),
    ] = "usual"
    idle_unload_s: Annotated[
        float,
        Field(
            ge=0,
            le=86_400,
            description="Seconds without a question after which the model leaves memory; 0: never",
        ),
    ] = 0
    read_ahead: Annotated[
        bool,
        Field(
            description="Whether the engine reads a picture of the page, or of POST /v1/images, before it is asked "
            "about; it gives way to every question"
        ),
    ] = True
    share_prefixes: Annotated[
        bool,
        Field(
            description="Whether what the engine has read for one person serves the others. Faster where many ask "
            "about the same pictures; but the time of an answer then tells whether somebody asked before"
        ),
    ] = False
    answer_timeout_s: Annotated[Seconds, Field(description="Most seconds that one answer may take")] = 600
    stop_timeout_s: Annotated[
        float,
        Field(
            ge=0,
            le=3600,
            description="Most seconds that answers get to come to their end when the service is asked to stop "
            "([monitoring.md](monitoring.md))",
        ),
    ] = 60
    slow_client_timeout_s: Annotated[
        Seconds,
        Field(description="A client that sends or takes nothing for this many seconds loses its request"),
    ] = 60
    queue_size: Annotated[
        int, Field(ge=0, description="Questions that may wait while others are answered; more get 429")
    ] = 32
    max_body_bytes: Annotated[
        Positive, Field(description="Largest request body, bytes (pictures inside JSON are base64: + 33 %)")
    ] = 64_000_000
    max_images: Annotated[Positive, Field(description="Most pictures in one request")] = 16
    max_image_bytes: Annotated[Positive, Field(description="Largest picture file, bytes")] = 20_000_000
    max_image_pixels: Annotated[Positive, Field(description="Most pixels of a picture, width x height")] = (
        120_000_000
    )
    max_image_side: Annotated[Positive, Field(description="Longest side of a picture, pixels")] = 32_768
    max_image_aspect: Annotated[Positive, Field(description="Most that a picture is longer than wide")] = 200
    max_image_decode_bytes: Annotated[
        Positive,
        Field(description="Most memory that decoding one picture may take, bytes, told from its header"),
    ] = 400_000_000
    image_timeout_s: Annotated[
        Seconds, Field(description="Most seconds that reading one picture in, or one page of a PDF, may take")
    ] = 20
    max_pdf_bytes: Annotated[Positive, Field(description="Largest PDF, bytes")] = 50_000_000
    max_pdf_pages: Annotated[Positive, Field(description="Most pages of a PDF")] = 200
    max_text_chars: Annotated[
        Positive, Field(description="Most characters of text in one request, all messages together")
    ] = 400_000
    max_choices: Annotated[Positive, Field(description="Most answers to one request (n)")] = 8
    answer_language: Annotated[
        Literal["off", "auto", "always"],
        Field(
            description="Engines that see: whether 请用中文回答： is put before the question, on its way to the "
            "model only; auto: where the question is in Chinese. A language chosen on the page wins"
        ),
    ] = "auto"
    max_conversations: Annotated[
        Positive, Field(description="Conversations kept in memory; the longest unused goes first")
    ] = 100
    store_conversations: Annotated[
        bool,
        Field(
            description="Profile local: whether conversations are stored, encrypted "
            "([conversations.md](conversations.md)); in mlps3 the policy decides this and the next two"
        ),
    ] = True
    conversation_days: Annotated[
        int,
        Field(
            ge=1,
            le=3650,
            description="Profile local: days without a question after which a stored conversation is deleted",
        ),
    ] = 180
    keep_images: Annotated[
        bool,
        Field(
            description="Profile local: whether the pictures of stored conversations are stored, too, encrypted"
        ),
    ] = False
    max_search_bytes: Annotated[
        Positive,
        Field(
            description="Memory for text that searches in conversations opened, of all people together; it is closed "
            "when its person signs out, or after ten minutes"
        ),
    ] = 100_000_000
    max_picture_store_bytes: Annotated[
        Positive, Field(description="Memory for pictures of conversations; the longest unused go first")
    ] = 1_000_000_000
    idle_ttl_s: Annotated[
        Seconds, Field(description="Seconds after which an unused conversation or picture leaves memory")
    ] = 28_800
    allowed_hosts: Annotated[
        tuple[str, ...],
        Field(description="Host names by which this service may be addressed (DNS rebinding)"),
    ] = ("127.0.0.1", "localhost", "[::1]")
    templates: Annotated[
        Path | None,
        Field(
            description="Folder of the company's own templates of extractions, *.yaml; one of the same name takes "
            "the place of ours ([extraction.md](extraction.md))"
        ),
    ] = None
    delivery: Annotated[
        DeliveryOptions | None,
        Field(
            description="The systems that results may be sent to, as a table or JSON "
            "([extraction-api.md](extraction-api.md)); none: nothing is sent anywhere"
        ),
    ] = None
    inspection: Annotated[
        InspectionOptions | None,
        Field(
            description="Inspections: what is an alert, watched folder, MQTT, as a table or JSON "
            "([inspection-api.md](inspection-api.md))"
        ),
    ] = None
    report: Annotated[
        ReportOptions | None,
        Field(description="How long reports are kept, as a table or JSON ([documents.md](documents.md))"),
    ] = None
    knowledge: Annotated[
        KnowledgeOptions | None,
        Field(
            description="Knowledge bases: limits, and who makes vectors and keeps them, as a table or JSON "
            "([knowledge.md](knowledge.md))"
        ),
    ] = None
    content_producer: Annotated[
        str,
        Field(
            pattern=r"^[!#-\[\]-~]{1,64}$",
            description="Who generated a file, in the label that it carries (GB 45438-2025): a name or code in "
            "ASCII, such as the unified social credit code",
        ),
    ] = "vlpro"
    batch: Annotated[
        BatchOptions | None,
        Field(
            description="Files and batches: how many lines at once, limits, Ray, as a table or JSON "
            "([batch.md](batch.md))"
        ),
    ] = None
    log_format: Annotated[
        Literal["auto", "text", "json"],
        Field(
            description="What the log on standard error is: text, or a JSON object a line; auto: json in profile "
            "mlps3 ([monitoring.md](monitoring.md))"
        ),
    ] = "auto"
    log_level: Annotated[
        Literal["auto", "debug", "info", "warning", "error"],
        Field(
            description="What is logged at least, libraries aside; auto: info, with a line for each request, in "
            "JSON; warning in text"
        ),
    ] = "auto"
    metrics_addresses: Annotated[
        tuple[Network, ...],
        Field(
            description="Profile mlps3: networks from which GET /metrics is answered, such as the machine of "
            "Prometheus; none: to nobody ([monitoring.md](monitoring.md))"
        ),
    ] = ()
    otel_endpoint: Annotated[
        str,
        Field(
            pattern=r"^(https?://[^\s/?#]+(/[^\s?#]*)?)?$",
            description="URL of an OpenTelemetry collector inside the network, such as http://collector:4318; empty: "
            "no traces are made. Needs the extra otel ([monitoring.md](monitoring.md))",
        ),
    ] = ""
    otel_ca: Annotated[
        str,
        Field(
            description="PEM file of the authority that signed the collector's certificate; empty: those that the "
            "system trusts"
        ),
    ] = ""
    fake_delay_s: Annotated[
        float, Field(ge=0, le=60, description="Engine fake: seconds before each piece of an answer")
    ] = 0.0

    @property
    def log_kind(self) -> Literal["text", "json"]:
        """What the log is: in profile ``mlps3`` for those who collect logs, in ``local`` for who is there."""
        if self.log_format != "auto":
            return self.log_format
        return "json" if self.profile == "mlps3" else "text"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment before credentials before the file; no .env files, no surprises."""
        credentials = NestedSecretsSettingsSource(
            file_secret_settings,
            secrets_dir=os.environ.get("CREDENTIALS_DIRECTORY") or None,
            secrets_dir_missing="ok",
            secrets_prefix="VLPRO_",
            secrets_nested_delimiter="__",
        )
        return init_settings, env_settings, credentials, TomlConfigSettingsSource(settings_cls)


def load() -> Settings:
    """Read the settings.

    Raises:
        ConfigError: A value is wrong; names the setting.
    """
    try:
        return Settings()
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"vlpro.toml is not valid TOML: {error}.",
            zh=f"vlpro.toml 不是有效的 TOML：{error}。",
            param="vlpro.toml",
        ) from error
    except SettingsError as error:
        found = re.search(r'"(\w+)"', str(error))
        name = found[1] if found else "of the environment"
        raise ConfigError(
            f'Setting {name} (VLPRO_{name.upper()}) is wrong: write a list as JSON, such as ["a", "b"].',
            zh=f'设置 {name}（VLPRO_{name.upper()}）不正确：列表请写成 JSON，例如 ["a", "b"]。',
            param=name,
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"Setting {name} (VLPRO_{name.upper()}) is wrong: {first['msg']}.",
            zh=f"设置 {name}（VLPRO_{name.upper()}）不正确：{first['msg']}。",
            param=name,
        ) from error
