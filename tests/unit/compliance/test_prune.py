"""``vlpro comply prune``: what goes, what stays, and what the record says of it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.unit.compliance.reports import SEALER, made
from vlpro.audit.service import open_log
from vlpro.commands.app import main
from vlpro.db import Database, sqlite_url
from vlpro.errors import AuditError

NAMES = [f"cr_{number:016x}" for number in range(5)]


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A service in profile ``local`` with five reports, days between each; not to be touched."""
    data = tmp_path_factory.mktemp("five")
    (data / "key").write_text(bytes(range(32)).hex())
    (data / "key").chmod(0o600)
    database = Database(sqlite_url(data, "audit"))
    log = open_log(database, SEALER)
    log.start()
    log.stop()
    database.close()
    for number, name in enumerate(NAMES):
        age = number * 7 % 5  # the first is the oldest, then the fourth, the second, the fifth, the third
        made(data / "compliance", id=name, created=1_800_000_000.0 + 86_400 * age)
    return data


@pytest.fixture
def reports(five: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The reports of a service of the test's own."""
    shutil.copytree(five, tmp_path / "data")
    monkeypatch.setenv("VLPRO_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LANG", "C.UTF-8")
    return tmp_path / "data" / "compliance"


def pruned(keep: int, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["comply", "prune", "--keep", str(keep), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def left(reports: Path) -> list[str]:
    return sorted(path.name for path in reports.iterdir())


def recorded(reports: Path) -> list[dict[str, Any]]:
    database = Database(sqlite_url(reports.parent, "audit"))
    with database.read() as connection:
        wanted = sa.text(
            "SELECT data FROM audit_records WHERE event = 'compliance:report:deleted' ORDER BY seq"
        )
        found = [json.loads(row) for row in connection.execute(wanted).scalars()]
    database.close()
    return found


def test_the_oldest_go_and_the_record_says_so(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hashes = {
        name: hashlib.sha256((reports / name / "report.json").read_bytes()).hexdigest() for name in NAMES
    }
    assert pruned(2, capsys) == {"deleted": [NAMES[0], NAMES[3], NAMES[1]], "not_as_signed": []}
    assert left(reports) == [NAMES[2], NAMES[4]]
    told = recorded(reports)
    assert [(each["object"], each["detail"]["sha256"]) for each in told] == [
        (name, hashes[name]) for name in (NAMES[0], NAMES[3], NAMES[1])
    ]
    assert all(each["detail"]["at"] == "machine" and each["detail"]["user"] for each in told)
    assert pruned(2, capsys) == {"deleted": [], "not_as_signed": []}
    assert len(recorded(reports)) == 3


def test_the_newest_is_never_deleted(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for wrong in ("0", "-1", "x"):
        assert main(["comply", "prune", "--keep", wrong]) == 2
    assert main(["comply", "prune"]) == 2
    assert "--keep is missing" in capsys.readouterr().err
    assert left(reports) == NAMES
    assert pruned(1, capsys)["deleted"] == [NAMES[0], NAMES[3], NAMES[1], NAMES[4]]
    assert left(reports) == [NAMES[2]]


def test_what_was_altered_is_evidence(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is not deleted, and does not count as one that stays."""
    for name, file in ((NAMES[0], "report.html"), (NAMES[2], "report.json")):
        path = reports / name / file
        path.write_bytes(path.read_bytes() + b" ")
    assert main(["comply", "prune", "--keep", "1", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == {"deleted": [NAMES[3], NAMES[1]], "not_as_signed": [NAMES[2], NAMES[0]]}
    assert said.err.count("is not as it was signed, and stays") == 2
    assert left(reports) == [NAMES[0], NAMES[2], NAMES[4]]


def test_what_cannot_be_recorded_is_not_deleted(
    reports: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise AuditError("The record cannot be written.", zh="无法写入审计记录。")

    monkeypatch.setattr("vlpro.audit.log.AuditLog.record", full)
    assert main(["comply", "prune", "--keep", "1"]) == 1
    assert capsys.readouterr().err == "The record cannot be written.\n"
    assert left(reports) == NAMES


def test_one_that_is_half_deleted_is_none(
    reports: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.rmtree", killed)
    assert main(["comply", "prune", "--keep", "4"]) == 130
    monkeypatch.undo()
    monkeypatch.setenv("VLPRO_DATA_DIR", str(reports.parent))
    assert (reports / f".{NAMES[0]}.gone").exists()
    assert [each["object"] for each in recorded(reports)] == [NAMES[0]]
    assert pruned(4, capsys)["deleted"] == []
    assert left(reports) == NAMES[1:], "what an interrupted run left is gone, too"


def test_what_a_killed_report_left_is_cleared_away(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, age_s in (("killed", 4000), ("being-written", 60)):
        part = reports / f".cr_{name}.part"
        part.mkdir()
        os.utime(part, (time.time() - age_s, time.time() - age_s))
    assert pruned(5, capsys)["deleted"] == []
    assert left(reports) == [".cr_being-written.part", *NAMES]
