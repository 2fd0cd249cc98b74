"""Compliance reports over HTTP: made in a process of their own, read by two administrators, on the record."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.functional.company import Company, company
from tests.functional.compliance_process import GATE
from tests.functional.server import eventually
from vlpro.compliance.report_store import folder_of
from vlpro.compliance.report_verify import verify
from vlpro.compliance.reporting import trusted_keys
from vlpro.db import sqlite_url
from vlpro.errors import AuditError
from vlpro.gateway.profile import sealer_of
from vlpro.identity.permissions import Role

REPORTS = "/v1/compliance/reports"
SECRET = "upstream-key-4711-canary"  # noqa: S105 - of a server that does not exist


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    folder = tmp_path_factory.mktemp("compliant")
    with company(folder, sqlite_url(folder), reports=True, upstream_key=SECRET) as running:
        service = running.server.services.compliance
        assert service is not None
        service._module = "tests.functional.compliance_process"
        yield running


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that keeps the second check waiting; what is left on its way lies in the test's own folder."""
    path = tmp_path / "gate"
    path.touch()
    monkeypatch.setenv(GATE, str(path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return path


@pytest.fixture
def auditor(firm: Company) -> Iterator[httpx.Client]:
    with firm.client(Role.AUDIT) as client:
        yield client


@pytest.fixture
def security(firm: Company) -> Iterator[httpx.Client]:
    with firm.client(Role.SECURITY) as client:
        yield client


def get(client: httpx.Client, path: str) -> Any:
    reply = client.get(path)
    assert reply.status_code == 200, reply.text
    return reply.json()


def begun(client: httpx.Client) -> str:
    reply = client.post(REPORTS)
    assert reply.status_code == 202, reply.text
    said = reply.json()
    assert (said["status"], said["progress"]) == ("running", {"done": 0, "total": 0, "check": ""})
    return str(said["id"])


def made(firm: Company, client: httpx.Client) -> str:
    """Make a report; returns its id."""
    report = begun(client)
    service = firm.server.services.compliance
    assert service is not None
    eventually(lambda: service.running is None, timeout_s=120)  # it gives way to all that the machine does
    said = get(client, f"{REPORTS}/{report}")
    assert said["status"] == "made", said["problem"]
    return report


@pytest.fixture(scope="module")
def report(firm: Company) -> str:
    """The first one."""
    with firm.client(Role.AUDIT) as client:
        return made(firm, client)


def told(auditor: httpx.Client, event: str, report: str) -> list[dict[str, Any]]:
    """What the record says of a report, the newest first."""
    found = get(auditor, f"/v1/audit/records?event={event}&object={report}")["data"]
    return [each["said"] for each in found]


def test_one_is_made_read_and_recorded(auditor: httpx.Client, security: httpx.Client, report: str) -> None:
    found = get(security, f"{REPORTS}/{report}")
    assert (found["totals"]["pass"], found["by"], found["profile"]) == (2, "auditor", "mlps3")
    assert [clause["id"] for clause in found["clauses"]] == ["8.1.4.1 a", "8.1.4.2 a"]
    assert found["files"] == ["report.html", "report.pdf", "report.json", "report.sig", "report.zip"]
    assert get(security, REPORTS)["data"][0]["id"] == report
    (record,) = told(auditor, "compliance:report:created", report)
    assert (record["login"], record["role"], record["outcome"]) == ("auditor", "audit", "ok")
    assert record["detail"]["result"] == "made"
    assert record["detail"]["totals"]["pass"] == 2
    looks = told(auditor, "compliance:report:read", report)
    assert {look["role"] for look in looks} == {"audit", "security"}


def test_its_files_verify_outside_and_hold_no_secret(
    firm: Company, auditor: httpx.Client, report: str, tmp_path: Path
) -> None:
    for name, kind in (
        ("report.html", "text/html; charset=utf-8"),
        ("report.pdf", "application/pdf"),
        ("report.json", "application/json"),
        ("report.sig", "application/octet-stream"),
        ("report.zip", "application/zip"),
    ):
        reply = auditor.get(f"{REPORTS}/{report}/files/{name}")
        assert (reply.status_code, reply.headers["content-type"]) == (200, kind)
        assert reply.headers["content-disposition"].startswith("attachment; filename=")
        assert reply.headers["cache-control"] == "private, no-store"
        assert SECRET.encode() not in reply.content
        assert told(auditor, "compliance:report:read", report)[0]["detail"] == {"file": name}
    archive = tmp_path / "report.zip"
    archive.write_bytes(reply.content)
    shutil.unpack_archive(archive, tmp_path)
    settings = firm.server.services.settings
    content = verify(tmp_path / report, trusted_keys(settings, sealer_of(settings))).content
    assert content["id"] == report
    evidence = json.loads((tmp_path / report / "evidence/settings.json").read_bytes())
    assert evidence["facts"] == {"profile": "mlps3", "key": "[secret removed]"}  # it did come along


def command(process: psutil.Process) -> str:
    """What a process was started with; nothing of one that has ended meanwhile."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def test_one_at_a_time_with_its_progress_until_it_is_stopped(
    firm: Company, auditor: httpx.Client, security: httpx.Client, gate: Path
) -> None:
    report = begun(security)
    service = firm.server.services.compliance
    assert service is not None
    eventually(lambda: service.running is not None and service.running.done == 1, timeout_s=120)
    assert get(auditor, f"{REPORTS}/{report}")["progress"] == {"done": 1, "total": 2, "check": "settings"}
    refused = auditor.post(REPORTS)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "compliance_running")
    (process,) = [each for each in psutil.Process().children() if "compliance_process" in command(each)]
    assert list(gate.parent.glob("vlpro-comply-*/vlpro-comply-*/left"))

    stopped = auditor.post(f"{REPORTS}/{report}/stop").json()
    assert stopped["status"] == "stopped"
    assert not process.is_running()
    assert not list(gate.parent.glob("vlpro-comply-*/vlpro-comply-*/left"))
    assert get(auditor, f"{REPORTS}/{report}")["status"] == "stopped"
    assert get(auditor, REPORTS)["data"][0]["status"] == "stopped"
    (record,) = told(auditor, "compliance:report:created", report)
    assert (record["login"], record["outcome"]) == (firm.people[Role.SECURITY].login, "failed")
    assert record["detail"]["stopped_by"] == "auditor"
    assert auditor.get(f"{REPORTS}/{report}/files/report.html").status_code == 404
    assert auditor.post(f"{REPORTS}/{report}/stop").status_code == 404


def test_what_breaks_off_says_so(
    firm: Company, auditor: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = firm.server.services.compliance
    assert service is not None
    monkeypatch.setattr(service, "_module", "tests.functional.no_such_module")
    report = begun(auditor)
    eventually(lambda: service.running is None, timeout_s=120)
    assert "ended with 1" in get(auditor, f"{REPORTS}/{report}")["problem"]["en"]
    (record,) = told(auditor, "compliance:report:created", report)
    assert (record["outcome"], record["detail"]["result"]) == ("failed", "failed")


def test_a_report_is_compared_with_the_one_before(firm: Company, auditor: httpx.Client, report: str) -> None:
    changes = get(auditor, f"{REPORTS}/{made(firm, auditor)}")["changes"]
    assert changes == {"since": report, "clauses": []}


def test_one_that_was_altered_is_listed_as_that_and_not_given_out(
    firm: Company, auditor: httpx.Client, report: str
) -> None:
    folder = folder_of(firm.server.services.settings.data_dir) / report
    evidence = folder / "evidence/gate.json"
    whole = evidence.read_bytes()
    evidence.write_bytes(whole.replace(b"true", b"null"))
    for path in (f"{REPORTS}/{report}", f"{REPORTS}/{report}/files/report.pdf"):
        refused = auditor.get(path)
        assert (refused.status_code, refused.json()["error"]["code"]) == (500, "integrity_error")
        assert "evidence/gate.json" in refused.json()["error"]["message"]
    evidence.write_bytes(whole)
    content = (folder / "report.json").read_bytes()
    (folder / "report.json").write_bytes(b"{}")
    listed = next(each for each in get(auditor, REPORTS)["data"] if each["id"] == report)
    assert listed["status"] == "altered"
    assert "report.json" in listed["problem"]["en"]
    (folder / "report.json").write_bytes(content)


def paths(report: str) -> list[tuple[str, str]]:
    return [
        ("POST", REPORTS),
        ("GET", REPORTS),
        ("GET", f"{REPORTS}/{report}"),
        ("POST", f"{REPORTS}/{report}/stop"),
        ("GET", f"{REPORTS}/{report}/files/report.pdf"),
    ]


@pytest.mark.parametrize(("who", "status"), [(None, 401), (Role.USER, 403), (Role.SYSTEM, 403)])
def test_nobody_else_gets_any_of_it(
    firm: Company, auditor: httpx.Client, report: str, who: Role | None, status: int
) -> None:
    before = len(get(auditor, REPORTS)["data"])
    with firm.client(who) as person:
        assert {person.request(method, path).status_code for method, path in paths(report)} == {status}
    assert len(get(auditor, REPORTS)["data"]) == before


@pytest.mark.parametrize("name", ["cr_ffffffffffffffff", "..", "%2e%2e", "x" * 64])
def test_what_is_not_there_is_not_found(auditor: httpx.Client, name: str) -> None:
    for more in ("", "/files/report.html", "/files/..%2f..%2fkey"):
        assert auditor.get(f"{REPORTS}/{name}{more}").status_code in (404, 405)


def test_nothing_is_read_without_a_record(
    firm: Company, auditor: httpx.Client, report: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder: Any = firm.server.services.recorder

    async def full(*_: object) -> int:
        raise AuditError("The disk is full.")

    monkeypatch.setattr(recorder, "arecord", full)
    reply = auditor.get(f"{REPORTS}/{report}/files/report.html")
    assert (reply.status_code, b"<html" in reply.content) == (503, False)


def test_a_system_that_a_report_is_made_with_makes_none(firm: Company, auditor: httpx.Client) -> None:
    service: Any = firm.server.services.compliance
    service.close()
    try:
        refused = auditor.post(REPORTS)
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "compliance_closed")
    finally:
        service._closed = False
