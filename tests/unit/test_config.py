from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from vlpro import config
from vlpro.errors import ConfigError
from vlpro.gateway import app


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in config.Settings.model_fields:
        monkeypatch.delenv(f"VLPRO_{name.upper()}", raising=False)


def test_defaults() -> None:
    settings = config.load()
    assert (settings.profile, settings.max_images, settings.max_image_bytes) == ("local", 16, 20_000_000)
    assert settings.allowed_hosts == ("127.0.0.1", "localhost", "[::1]")


def test_every_setting_says_what_it_is() -> None:
    assert [n for n, field in config.Settings.model_fields.items() if not field.description] == []


def test_the_environment_beats_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vlpro.toml").write_text('engine = "fake"\nqueue_size = 5\n')
    assert (config.load().engine, config.load().queue_size) == ("fake", 5)
    monkeypatch.setenv("VLPRO_QUEUE_SIZE", "7")
    assert (config.load().engine, config.load().queue_size) == ("fake", 7)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("engine", "magic"),
        ("profile", "open"),
        ("queue_size", "-1"),
        ("queue_size", "many"),
        ("max_images", "0"),
        ("answer_timeout_s", "0"),
        ("answer_timeout_s", "inf"),
        ("answer_timeout_s", "nan"),
        ("allowed_hosts", "127.0.0.1"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"VLPRO_{name.upper()}", value)
    with pytest.raises(ConfigError) as refused:
        config.load()
    assert refused.value.param == name
    assert f"VLPRO_{name.upper()}" in refused.value.message
    assert f"VLPRO_{name.upper()}" in refused.value.zh


def test_an_unknown_setting_in_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "vlpro.toml").write_text("colour = 1\n")
    with pytest.raises(ConfigError, match="colour"):
        config.load()


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "vlpro.toml").write_text("= 1\n")
    with pytest.raises(ConfigError, match=r"vlpro\.toml"):
        config.load()


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        config.load().queue_size = 1  # type: ignore[misc]


@pytest.mark.parametrize("address", ["0.0.0.0", "", "::", "192.168.1.5", "localhost.evil"])  # noqa: S104
def test_profile_local_listens_for_nobody_else(address: str) -> None:
    with pytest.raises(ConfigError) as refused:
        app.parts(config.Settings(engine="fake"), address=address)
    assert refused.value.param == "server.address"
