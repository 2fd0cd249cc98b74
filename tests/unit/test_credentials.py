"""Settings from files in $CREDENTIALS_DIRECTORY: systemd's credentials, Docker's secrets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vlpro import config
from vlpro.errors import ConfigError

LDAP = {"url": "ldapi://%2Frun%2Fslapd", "bind_dn": "cn=reader,dc=x", "base_dn": "dc=x"}


@pytest.fixture
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "credentials"
    folder.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


def test_secrets_come_from_files_of_their_names(credentials: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (credentials / "vlpro_upstream_key").write_text("sk-1\n")
    (credentials / "VLPRO_LDAP__BIND_PASSWORD").write_text("a secret\n")
    (credentials / "vlpro-key").write_text("the key file is none of the settings")
    monkeypatch.setenv("VLPRO_LDAP", json.dumps(LDAP))
    settings = config.load()
    assert settings.upstream_key.get_secret_value() == "sk-1"
    assert settings.ldap is not None
    assert settings.ldap.bind_password.get_secret_value() == "a secret"
    assert settings.ldap.bind_dn == LDAP["bind_dn"]


def test_environment_before_credentials_before_the_file(
    credentials: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("vlpro.toml").write_text('upstream_key = "of the file"\nupstream_model = "of the file"\n')
    (credentials / "vlpro_upstream_key").write_text("of the credential")
    assert config.load().upstream_key.get_secret_value() == "of the credential"
    assert config.load().upstream_model == "of the file"
    monkeypatch.setenv("VLPRO_UPSTREAM_KEY", "of the environment")
    assert config.load().upstream_key.get_secret_value() == "of the environment"


def test_a_whole_table_in_a_file(credentials: Path) -> None:
    (credentials / "vlpro_ldap").write_text(json.dumps(LDAP | {"bind_password": "a secret"}))
    settings = config.load()
    assert settings.ldap is not None
    assert settings.ldap.bind_password.get_secret_value() == "a secret"


def test_a_wrong_one_is_named_without_its_content(credentials: Path) -> None:
    (credentials / "vlpro_ldap__bind_password").write_text("a secret")
    with pytest.raises(ConfigError, match=r"ldap\.url") as raised:
        config.load()
    assert "a secret" not in raised.value.message


def test_without_such_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "missing"))
    assert config.load().upstream_key.get_secret_value() == ""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    assert config.load().upstream_key.get_secret_value() == ""
