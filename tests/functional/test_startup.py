"""What a start says that it found: one screen, in the person's language, or one line of a JSON log; no secret."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from tests.functional.company import company
from tests.functional.server import Server
from vlpro.db import sqlite_url
from vlpro.gateway import startup

CODES = ["version", "profile", "address", "engine", "model", "hardware", "database", "audit", "shipping"]
CODES += ["encryption", "sealed", "knowledge"]


class Terminal(io.StringIO):
    """Something that says that it is one."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(scope="module")
def start(server: Server) -> startup.Start:
    return startup.found(server.services, "127.0.0.1")


def test_it_tells_what_was_found(start: startup.Start, server: Server) -> None:
    told = {fact.code: fact.value[1] for fact in start.facts}
    assert list(told) == CODES
    assert f"http://127.0.0.1:{server.port}" in told["address"]
    assert told["engine"] == "fake (as VLPRO_ENGINE says)"
    assert told["database"] == "SQLite"
    assert "no card" in told["hardware"]
    assert "records, last checkpoint" in told["audit"]
    assert (
        "fake 引擎只用于测试，请设置 VLPRO_ENGINE=auto。",
        "Engine fake is for tests: set VLPRO_ENGINE=auto.",
    ) in (start.warnings)


@pytest.mark.parametrize(("language", "words"), [("zh_CN.UTF-8", "引擎"), ("en_US.UTF-8", "Engine")])
@pytest.mark.parametrize("out", [Terminal, io.StringIO])
def test_it_is_one_screen(
    start: startup.Start, monkeypatch: pytest.MonkeyPatch, language: str, words: str, out: type[io.StringIO]
) -> None:
    monkeypatch.setenv("LANG", language)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("vlpro.logs._kind", "text")
    screen = out()
    startup.show(start, screen)
    shown = screen.getvalue()
    assert words in shown
    assert 12 < shown.count("\n") <= 24


def test_in_a_company_it_is_one_line_of_json_without_secrets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = sqlite_url(tmp_path)
    with company(tmp_path, url) as firm:
        hidden = [str(tmp_path), url, (tmp_path / "key").read_text().strip()]
        assert firm.server.services.settings.profile == "mlps3"
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    (told,) = [line for line in lines if line["logger"] == "vlpro.gateway.startup"]
    assert told["message"] == "started"
    assert set(CODES) <= told.keys()
    assert any("--sealed" in warning for warning in told["warnings"])
    assert any("vlpro backup" in warning for warning in told["warnings"])
    assert not [secret for secret in hidden if secret in json.dumps(told)]
