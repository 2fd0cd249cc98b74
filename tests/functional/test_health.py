"""``GET /readyz``: ready or not, and why, in words that tell an outsider nothing more."""

from __future__ import annotations

import shutil
import sqlite3
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.functional.company import company
from tests.functional.server import Json, Server, chat, eventually, run
from vlpro.config import Settings
from vlpro.db import sqlite_url
from vlpro.engines.fake import FakeEngine
from vlpro.errors import EngineUnavailableError, VlproError
from vlpro.gateway import readiness
from vlpro.gateway.readiness import REASONS

Usage = namedtuple("Usage", ["total", "used", "free"])


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look may take its time, since a busy machine makes it wait."""
    monkeypatch.setattr(readiness, "_LOOK_S", 60.0)


@pytest.fixture
def always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each probe looks anew, so that none waits for the time of the last one to pass."""
    monkeypatch.setattr(readiness, "_FRESH_S", 0.0)


@pytest.fixture
def own(tmp_path: Path, always_fresh: None) -> Iterator[Server]:
    with run(Settings(engine="fake", data_dir=tmp_path)) as running:
        yield running


def probe(server: Server) -> tuple[int, list[str]]:
    """Status and codes."""
    with server.http() as http:
        reply = http.get("/readyz")
        assert http.get("/healthz").json() == {"status": "ok"}  # whatever else is so
        gauge = http.get("/metrics").text
    told: Json = reply.json()
    assert reply.headers["cache-control"] == "no-store"
    assert told.keys() == {"status", "reasons"}
    assert told["status"] == ("ready" if reply.status_code == 200 else "not_ready")
    for reason in told["reasons"]:
        known = REASONS[reason["code"]]
        assert reason == {"code": known.code, "message": known.message, "zh": known.zh}
    assert f"\nvlpro_ready {float(reply.status_code == 200)}\n" in gauge
    return reply.status_code, [reason["code"] for reason in told["reasons"]]


def test_a_service_that_can_answer_is_ready(server: Server) -> None:
    assert probe(server) == (200, [])


class _Engine(FakeEngine):
    """Not ready, for a reason or none."""

    def __init__(self, why: VlproError | None) -> None:
        super().__init__()
        self.why = why

    @property
    def ready(self) -> bool:
        return False

    @property
    def problem(self) -> VlproError | None:
        return self.why


@pytest.mark.parametrize(
    ("why", "code"),
    [(None, "engine_starting"), (EngineUnavailableError("secret: /srv/models"), "engine_failed")],
)
def test_an_engine_that_loads_or_does_not(why: VlproError | None, code: str) -> None:
    with run(Settings(engine="fake"), _Engine(why)) as server:
        assert probe(server) == (503, [code])  # nothing of the engine's own words: the body was compared


def test_an_audit_that_cannot_be_written(
    own: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert probe(own) == (200, [])
    with sqlite3.connect(tmp_path / "audit.db") as audit:
        audit.execute("ALTER TABLE audit_records RENAME TO taken_away")
    assert own.post("/v1/chat/completions", chat()).status_code == 503
    assert probe(own) == (503, ["audit_not_writable"])
    with sqlite3.connect(tmp_path / "audit.db") as audit:
        audit.execute("ALTER TABLE taken_away RENAME TO audit_records")
    monkeypatch.setattr(readiness, "_FAILED_S", 0.0)  # as if that time had passed
    assert probe(own) == (200, [])
    assert own.post("/v1/chat/completions", chat()).status_code == 200


def test_a_database_that_does_not_answer(own: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    database = own.services.storage.database
    assert probe(own) == (200, [])

    def gone() -> None:
        raise VlproError("gone")

    monkeypatch.setattr(database, "read", gone)
    assert probe(own) == (503, ["database_unreachable"])


@pytest.mark.parametrize(
    ("total", "free", "ready"),
    [
        (10**12, 499 * 10**6, False),
        (10**12, 501 * 10**6, True),
        (10**8, 4 * 10**6, False),
        (10**8, 6 * 10**6, True),
    ],
)
def test_a_disk_that_is_nearly_full(
    own: Server, monkeypatch: pytest.MonkeyPatch, total: int, free: int, *, ready: bool
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(total, total - free, free))
    assert probe(own) == ((200, []) if ready else (503, ["disk_nearly_full"]))


def test_many_probes_look_once(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may ask, so asking must be cheap for the databases."""
    looks = []
    before = readiness.Readiness.look

    def counted(self: readiness.Readiness) -> tuple[str, ...]:
        looks.append(1)
        return before(self)

    monkeypatch.setattr(readiness.Readiness, "look", counted)
    # On a busy machine fifty probes may take longer than two seconds.
    monkeypatch.setattr(readiness, "_FRESH_S", 60.0)
    with server.http() as http:
        for _ in range(50):
            assert http.get("/readyz").status_code == 200
    assert len(looks) <= 2


def test_whoever_is_about_to_end_takes_nothing_new(own: Server) -> None:
    made = own.post("/v1/conversations", {}).json()
    own.services.draining.active = True
    assert probe(own) == (503, ["draining"])
    for path, body in (
        ("/v1/chat/completions", chat()),
        ("/v1/responses", {"model": "vlpro", "input": "hi"}),
        (f"/v1/conversations/{made['id']}/messages", {"text": "hi"}),
        ("/v1/images", None),
        ("/v1/batches", {}),
    ):
        reply = own.post(path, body)
        assert reply.status_code == 503, path
        assert reply.json()["error"]["code"] == "draining"
        assert int(reply.headers["retry-after"]) > 0
    assert own.post(f"/v1/conversations/{made['id']}/stop").status_code == 200
    with own.http() as http:  # reading goes on: a page sees its answer come to its end
        assert http.get(f"/v1/conversations/{made['id']}").status_code == 200


def test_probes_tell_a_stranger_no_more(tmp_path: Path) -> None:
    with company(tmp_path, sqlite_url(tmp_path)) as firm:
        eventually(lambda: httpx.get(f"{firm.server.url}/readyz", timeout=30).status_code == 200)
        reply = httpx.get(f"{firm.server.url}/readyz", timeout=30)
        assert reply.json() == {"status": "ready", "reasons": []}
