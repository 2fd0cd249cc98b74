"""What a sealed service reaches, and which settings it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vlpro.commands.app import main
from vlpro.config import Settings
from vlpro.errors import ConfigError
from vlpro.sealed import destinations_of

WEBHOOK = {"url": "https://Hooks.example.cn/x", "secret": "0123456789abcdef"}
MAIL = {"host": "mail.example.cn", "sender": "v@a.cn", "to": ["s@a.cn"]}
LDAP = {"base_dn": "dc=a", "url": "ldaps://ldap.example.cn", "ca": "/ca.pem"}


def test_every_address_of_the_settings_is_known() -> None:
    settings = Settings.model_validate(
        {
            "upstream_url": "https://[2001:DB8::7]/v1",
            "ldap": LDAP,
            "oidc": {"issuer": "https://sso.example.cn:8443/realm", "client_id": "a", "client_secret": "b"},
            "alerts": {"webhook": WEBHOOK, "mail": MAIL, "syslog": {"url": "tls://logs.example.cn"}},
            "inspection": {"mqtt": {"url": "mqtts://broker.example.cn"}},
            "delivery": {"targets": {"oa": {**WEBHOOK, "url": "https://oa.example.cn/hooks"}}},
            "knowledge": {
                "embedding": {"url": "https://vectors.example.cn/v1", "model": "m", "dimensions": 8},
                "rerank": {"url": "http://ranks.example.cn:8001/v1", "model": "m"},
                "index": "elasticsearch",
                "elasticsearch": {"url": "https://elk.example.cn:9200"},
            },
        }
    )
    assert destinations_of(settings) == [
        "2001:db8::7:443",
        "vectors.example.cn:443",
        "ranks.example.cn:8001",
        "elk.example.cn:9200",
        "ldap.example.cn:636",
        "sso.example.cn:8443",
        "hooks.example.cn:443",
        "mail.example.cn:587",
        "logs.example.cn:6514",
        "oa.example.cn:443",
        "broker.example.cn:8883",
    ]


def test_sockets_of_this_machine_are_addresses_too() -> None:
    settings = Settings.model_validate(
        {
            "upstream_url": "http://model/v1",
            "upstream_socket": "/run/vllm/socket",
            "ldap": {"base_dn": "dc=a", "url": "ldapi://%2Frun%2Fslapd%2Fldapi"},
            "knowledge": {
                "embedding": {"url": "http://m/v1", "model": "m", "dimensions": 8, "socket": "/run/v/socket"}
            },
        }
    )
    addresses = ["unix:/run/vllm/socket", "unix:/run/v/socket", "unix:/run/slapd/ldapi"]
    assert destinations_of(settings) == addresses


def test_a_local_engine_needs_nobody() -> None:
    assert destinations_of(Settings(engine="ocr", upstream_url="http://model/v1")) == []


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without settings."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("url", ["udp://logs.example.cn", "tcp://logs.example.cn", "unix:///dev/log"])
def test_syslog_by_tls_only(url: str) -> None:
    with pytest.raises(ConfigError, match="by tls:// only"):
        destinations_of(Settings.model_validate({"alerts": {"syslog": {"url": url}}}))


@pytest.mark.parametrize(
    ("settings", "options", "sentence"),
    [
        (
            {"database_url": "postgresql://u:p@db.example.cn/v"},
            [],
            "by its Unix socket only: set VLPRO_DATABASE_URL",
        ),
        ({"database_url": "postgresql:///v"}, [], "by its Unix socket only"),
        ({"audit_database_url": "postgresql:///v?hostaddr=10.0.0.1"}, [], "set VLPRO_AUDIT_DATABASE_URL"),
        ({"database_url": "postgresql://u@/v?host=/run/postgresql,db"}, [], "by its Unix socket only"),
        ({"database_url": "postgresql://u@/v?host=/run/postgresql"}, [], "needs --socket PATH"),
        ({"engine": "ocr"}, ["--relay", "/x"], "--relay belongs to --sealed"),
        (
            {"upstream_url": "http://a/v1"},
            ["--port", "0", "--relay", "/nowhere"],
            "No relay listens on /nowhere",
        ),
        ({"engine": "ocr"}, ["--inherited", "3,-1"], "--inherited is for the process"),
    ],
)
@pytest.mark.usefixtures("elsewhere")
def test_refused_with_a_sentence(
    settings: dict[str, Any],
    options: list[str],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LANG", "C.UTF-8")
    for name, value in settings.items():
        monkeypatch.setenv(f"VLPRO_{name.upper()}", value if isinstance(value, str) else json.dumps(value))
    seal = [] if options[:1] in (["--relay"], ["--inherited"]) else ["--sealed"]
    assert main(["serve", *seal, *options]) == 1
    assert sentence in capsys.readouterr().err
