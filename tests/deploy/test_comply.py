"""The compliance report's checks of a running service: the shipped nginx, before the service in profile mlps3."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.clauses import failed, tried
from tests.deploy.nginx import HOST, INSIDE, OUTSIDE, SERVER, Nginx, running_nginx
from tests.ports import free_port
from vlpro.audit.ship.options import ShipOptions
from vlpro.audit.ship.position import Position, PositionFile
from vlpro.compliance.checks import served
from vlpro.compliance.clause import CheckResult, Verdict
from vlpro.compliance.installed import packages
from vlpro.compliance.options import ComplianceOptions
from vlpro.config import Settings

ANOTHER = "127.0.0.11"
"""Listed in nginx, and no monitor."""


@pytest.fixture(autouse=True)
def _names(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service's name leads to nginx; other machines know this one by an address that is listed."""
    find = socket.getaddrinfo

    def found(host: Any, *more: Any, **options: Any) -> Any:
        return find(SERVER if host in (HOST, HOST.encode()) else host, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", found)
    monkeypatch.setattr(served, "own_addresses", lambda: [ANOTHER])


def settings_of(folder: Path, nginx: Nginx | None = None, **told: Any) -> Settings:
    """Of the service behind nginx, and what its operator tells."""
    if nginx is not None:
        told |= {"url": f"https://{nginx.host}", "ca": nginx.folder / "vlpro/server.pem"}
    return Settings(
        profile="mlps3",
        engine="fake",
        public_url=f"https://{HOST}",
        key_file=folder / "key",
        data_dir=folder / "data",
        trusted_proxies=("unix",),
        compliance=ComplianceOptions(**told),
    )


BOTH = ("tls", "service_closed")


@pytest.mark.usefixtures("service")
def test_as_it_is_shipped_nothing_fails(folder: Path, door: Nginx) -> None:
    settings = settings_of(folder, door)
    assert failed(settings, BOTH) == set()
    tls = tried(settings, "tls")
    assert tls.verdict is Verdict.PASS, tls.found.en
    assert tls.facts["versions"] == {"TLSv1.0": False, "TLSv1.1": False, "TLSv1.2": True, "TLSv1.3": True}
    closed = tried(settings, "service_closed")
    assert closed.verdict is Verdict.PASS, closed.found.en
    assert (closed.facts["from"], closed.facts["status"]["/healthz"]) == (ANOTHER, 404)


SPEAKING_AS_OF_OLD = (
    "ssl_protocols TLSv1.2 TLSv1.3;\nssl_ciphers ",
    "ssl_protocols TLSv1.1 TLSv1.2 TLSv1.3;\nssl_ciphers @SECLEVEL=0:ECDHE-ECDSA-AES128-SHA:",
)
TRANSIT = {"8.1.4.1 c", "8.1.4.7 a", "8.1.4.8 a"}


@pytest.mark.parametrize(
    ("edits", "clauses"),
    [
        pytest.param({"connection.conf": SPEAKING_AS_OF_OLD}, TRANSIT, id="TLS 1.1"),
        pytest.param({"vlpro.conf": ("Strict-Transport-Security", "X-Nothing")}, TRANSIT, id="no HSTS"),
        pytest.param(
            {"monitors.conf": (f"{INSIDE}/32", "127.0.0.0/8")}, {"8.1.4.2 a", "F5"}, id="health for all"
        ),
    ],
)
def test_a_weakened_door_fails_in_its_clauses(
    folder: Path, service: Path, tmp_path: Path, edits: dict[str, tuple[str, str]], clauses: set[str]
) -> None:
    (tmp_path / "nginx").mkdir()
    with running_nginx(tmp_path / "nginx", service, edits=edits) as nginx:
        assert failed(settings_of(folder, nginx), BOTH) == clauses


@pytest.mark.usefixtures("service")
def test_a_certificate_of_nobody_is_not_trusted(folder: Path, door: Nginx) -> None:
    settings = settings_of(folder, door)
    told = settings.compliance
    assert told is not None
    nobody = settings.model_copy(update={"compliance": told.model_copy(update={"ca": None})})
    assert failed(nobody, ("tls",)) == TRANSIT


@pytest.mark.usefixtures("service")
def test_who_can_only_ask_as_itself_finds_out_nothing(
    folder: Path, door: Nginx, monkeypatch: pytest.MonkeyPatch
) -> None:
    for addresses in ([], ["192.0.2.1"]):  # none; one that is not of this machine
        monkeypatch.setattr(served, "own_addresses", lambda addresses=addresses: addresses)
        assert tried(settings_of(folder, door), "service_closed").verdict is Verdict.NOT_EVALUATED
    monkeypatch.setattr(served, "own_addresses", lambda: [OUTSIDE])
    found = tried(settings_of(folder, door), "service_closed")
    assert (found.verdict, set(found.facts["status"].values())) == (Verdict.PASS, {401, 404})


def test_where_nobody_listens_nothing_is_evaluated(folder: Path) -> None:
    settings = settings_of(folder, url=f"https://{HOST}:{free_port()}")
    for name in BOTH:
        assert tried(settings, name).verdict is Verdict.NOT_EVALUATED


# --- What the operator tells


def shipping(folder: Path, records: int | None) -> CheckResult:
    """What comes of the copy, of which so many records arrived."""
    state = folder / "shipper" / "position.json"
    state.parent.mkdir(exist_ok=True)
    state.unlink(missing_ok=True)
    if records is not None:
        PositionFile(state).save(Position("elk", seq=records))
    ship = ShipOptions(url="https://192.0.2.20:9200", state=state)
    return tried(settings_of(folder).model_copy(update={"audit_ship": ship}), "audit_copy")


@pytest.mark.usefixtures("service")
def test_the_copy_of_the_audit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert failed(settings_of(folder), ("audit_copy",)) == {"8.1.4.3 c", "8.1.5.4 d"}
    assert shipping(folder, None).verdict is Verdict.NOT_EVALUATED
    found = shipping(folder, 1)
    assert found.verdict is Verdict.PASS, found.found.en
    assert found.facts["there"] == 1
    monkeypatch.setattr("vlpro.compliance.checks.stored._MOST_BEHIND", 0)
    assert shipping(folder, 1).verdict is Verdict.FAIL


def advisory(name: str, version: str) -> dict[str, Any]:
    return {
        "schema_version": "1.6.0", "id": "PYSEC-2026-1", "modified": datetime.now(UTC).isoformat(),
        "affected": [{"package": {"ecosystem": "PyPI", "name": name}, "versions": [version]}],
    }  # fmt: skip


def test_advisories_and_what_is_accepted_of_them(folder: Path, tmp_path: Path) -> None:
    here = {package.key: package.version for package in packages(contents=False)}
    database = tmp_path / "advisories.json"
    odd = tuple(f"{one.name} {one.version}" for one in packages(contents=False) if "+" in one.version)
    clauses = {"8.1.4.4 e", "F4"}
    for name, version, accepted, expected in (
        ("httpx", "0.0.1", odd, set()),
        ("httpx", here["httpx"], odd, clauses),
        ("httpx", here["httpx"], (*odd, "PYSEC-2026-1"), set()),
    ):
        database.write_text(json.dumps(advisory(name, version)), encoding="utf-8")
        settings = settings_of(folder, advisories=database, accepted=accepted)
        assert failed(settings, ("advisories",)) == expected


def test_the_lock_as_a_kit_has_it(folder: Path, tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    lines = [f"{one.name}=={one.version} --hash=sha256:{'0' * 64}\n" for one in packages(contents=False)]
    lock.write_text("".join(lines), encoding="utf-8")
    assert tried(settings_of(folder, lock=lock), "installed_lock").verdict is Verdict.PASS
    lock.write_text("".join(line.replace("==", "==9", 1) for line in lines), encoding="utf-8")
    assert failed(settings_of(folder, lock=lock), ("installed_lock",)) == {"8.1.4.4 a", "F4"}
    lock.write_text("".join(lines[1:]), encoding="utf-8")
    assert tried(settings_of(folder, lock=lock), "installed_lock").verdict is Verdict.NOT_EVALUATED


def test_a_service_that_does_not_run_is_not_closed_but_unknown(folder: Path, dead: Nginx) -> None:
    assert tried(settings_of(folder, dead), "service_closed").verdict is Verdict.NOT_EVALUATED


@pytest.mark.usefixtures("service")
def test_files_that_are_not_there_are_named(folder: Path, door: Nginx, tmp_path: Path) -> None:
    missing, text = tmp_path / "missing", tmp_path / "text"
    text.write_text("nothing of the kind", encoding="utf-8")
    for file in (missing, text):
        told = ComplianceOptions(url=f"https://{door.host}", ca=file, advisories=missing, lock=missing)
        settings = settings_of(folder).model_copy(update={"compliance": told})
        for name in ("tls", "service_closed", "advisories", "installed_lock"):
            found = tried(settings, name)
            assert found.verdict is Verdict.NOT_EVALUATED, found.found.en


def test_a_port_that_is_not_meant_to_listen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("0.0.0.0", free_port())) as server:  # noqa: S104 - for others, as the check asks
        port = server.getsockname()[1]
        others = tried(settings_of(folder, ports=(port,)), "ports").facts["listening_for_others"]
        assert port in others
        # Other programs of this machine begin to listen and end as they like: of this one alone.
        monkeypatch.setattr(psutil, "net_connections", psutil.Process().net_connections)
        assert failed(settings_of(folder, ports=(port,)), ("ports",)) == set()
        assert failed(settings_of(folder, ports=(1,)), ("ports",)) == {"8.1.3.2", "8.1.4.4 b"}
