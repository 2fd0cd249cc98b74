"""``GET /metrics``: what Prometheus is told, who is told, and what it is never told."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families as families

from tests.functional.company import Company, company
from tests.functional.server import Server, chat, eventually, picture_file, run
from vlpro import schema
from vlpro.audit.ship.options import ShipOptions
from vlpro.config import Settings
from vlpro.db import sqlite_url
from vlpro.identity.permissions import Permission, Role

SCRAPER = "10.9.9.9"
PROMTOOL = "/usr/bin/promtool"


def read(server: Server) -> dict[str, float]:
    """All samples by name and labels."""
    with server.http() as http:
        reply = http.get("/metrics")
    assert reply.status_code == 200, reply.text
    return samples(reply.text)


def samples(text: str) -> dict[str, float]:
    return {
        " ".join(
            [sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items()))]
        ): sample.value
        for family in families(text)
        for sample in family.samples
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("metrics")


@pytest.fixture(scope="module")
def measured(folder: Path) -> Iterator[Server]:
    """A service of its own, whose figures nobody else moves."""
    shipping = ShipOptions(url="http://127.0.0.1:9")
    with run(Settings(engine="fake", data_dir=folder, audit_ship=shipping)) as running:
        yield running


def test_questions_are_counted_with_their_tokens_and_times(measured: Server) -> None:
    before = read(measured)
    assert measured.post("/v1/chat/completions", chat("count to 7")).status_code == 200
    assert measured.post("/v1/chat/completions", chat("please fail")).status_code == 502
    after = read(measured)

    def more(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert more("vlpro_questions_total outcome=answered") == 1
    assert more("vlpro_questions_total outcome=failed") == 1
    assert more("vlpro_tokens_total direction=out") >= 7
    assert more("vlpro_tokens_total direction=in") > 0
    assert more("vlpro_time_to_first_token_seconds_count") == 2
    assert more("vlpro_question_wait_seconds_count") == 2
    assert more("vlpro_tokens_per_second_count") == 1
    route = "route=/v1/chat/completions"
    assert more(f"vlpro_http_requests_total method=POST {route} status=2xx") == 1
    assert more(f"vlpro_http_requests_total method=POST {route} status=5xx") == 1
    assert more(f"vlpro_http_request_duration_seconds_count method=POST {route}") == 2
    assert more("vlpro_refusals_total code=engine_error") == 1
    assert after["vlpro_questions_running"] == after["vlpro_questions_waiting"] == 0


def test_a_question_without_a_place_is_counted(narrow: Server) -> None:
    before = read(narrow)["vlpro_questions_turned_away_total"]

    def places() -> tuple[float, float]:
        told = read(narrow)
        return told["vlpro_questions_running"], told["vlpro_questions_waiting"]

    with ThreadPoolExecutor(2) as threads:
        # Three seconds each: time enough to look at them.
        asked = chat("count to 150")
        waiting = [threads.submit(narrow.post, "/v1/chat/completions", asked) for _ in range(2)]
        eventually(lambda: places() == (1, 1))  # who waits for its turn alone is counted as waiting, too
        assert narrow.post("/v1/chat/completions", chat()).status_code == 429
        told = read(narrow)
        assert [reply.result().status_code for reply in waiting] == [200, 200]
    assert told["vlpro_questions_turned_away_total"] == before + 1
    assert told["vlpro_questions_at_once"] == told["vlpro_queue_size"] == told["vlpro_questions_running"] == 1
    assert told["vlpro_refusals_total code=rate_limit_exceeded"] >= 1


def test_what_somebody_makes_up_becomes_no_label(measured: Server) -> None:
    """A label for each id or path would fill Prometheus, and tell it what people do."""
    places = ("/v1/conversations", "", "/v1", "/v1/models", "/v1/files")
    paths = [f"{place}/canary-{{}}" for place in places]

    def walk(number: int) -> None:
        with measured.http(headers={"x-request-id": f"canary-{number}"}) as http:
            for path in paths:
                http.get(path.format(number))
            http.request(f"CANARY{number}", "/v1/models")
            http.post("/v1/chat/completions", json={f"canary-{number}": 1})

    walk(0)
    read(measured)  # which becomes a series, too, when it was answered
    known = read(measured).keys()
    for number in range(1, 4):
        walk(number)
    with measured.http() as http:
        text = http.get("/metrics").text
    assert samples(text).keys() == known
    assert "canary" not in text.lower()


def test_the_state_of_the_service_and_its_machine(measured: Server, folder: Path) -> None:
    measured.post("/v1/chat/completions", chat("hello", picture_file()))
    (folder / "audit-ship.json").write_text(json.dumps({"to": "x", "seq": 1}))
    (folder / "backup-state.json").write_text(json.dumps({"at": time.time() - 3600}))
    told = read(measured)
    for name in (
        "engine_ready",
        "engine_loaded",
        "engine_info engine=fake",
        "queue_size",
        "host_memory_bytes",
        "process_memory_bytes process=gateway",
        "data_disk_free_bytes",
        "audit_records_unsigned",
    ):
        assert told[f"vlpro_{name}"] > 0, name
    assert told["vlpro_audit_failing"] == told["vlpro_audit_records_waiting"] == 0
    assert told["vlpro_audit_shipping_lag_records"] == told["vlpro_audit_records"] - 1 > 0
    assert 3600 <= told["vlpro_backup_age_seconds"] < 3700
    assert "vlpro_decode_workers state=busy" in told
    assert not [name for name in told if name.startswith("vlpro_gpu")]  # this machine has no card
    assert [name for name in told if name.startswith("vlpro_build_info profile=local")]


def test_a_copy_of_a_record_before_a_restore_is_no_copy_of_this_one(measured: Server, folder: Path) -> None:
    """The shipper has stopped then: a lag of 0 would say that all is well."""
    (folder / "audit-ship.json").write_text(json.dumps({"to": "x", "seq": 10_000_000}))
    told = read(measured)
    assert told["vlpro_audit_shipping_lag_records"] == told["vlpro_audit_records"] > 0


def test_what_was_never_backed_up_or_cannot_be_read_has_no_series(measured: Server, folder: Path) -> None:
    for content in ("", "[]", '{"at": "yesterday"}', '{"at": null}'):
        (folder / "backup-state.json").write_text(content)
        (folder / "audit-ship.json").write_text(content)
        told = read(measured)
        assert "vlpro_backup_age_seconds" not in told
        assert "vlpro_audit_shipping_lag_records" not in told
        assert "vlpro_data_disk_free_bytes" in told


def test_a_card_has_series_of_its_own(measured: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for NVML's answers; with a real card: bench/gpu.py's machine, by hand."""
    device = measured.services.device
    gpu = schema.Gpu(
        name="NVIDIA H100", memory_used=3 << 30, memory_total=80 << 30, temperature_c=41,
        utilization_percent=50, confidential="off", protected_memory=None,
    )  # fmt: skip
    monkeypatch.setattr(device, "_gpus", lambda: [gpu])
    told = read(measured)
    assert told["vlpro_gpu_memory_used_bytes gpu=0"] == 3 << 30
    assert told["vlpro_gpu_memory_bytes gpu=0"] == 80 << 30
    assert told["vlpro_gpu_utilization_ratio gpu=0"] == 0.5
    assert told["vlpro_gpu_temperature_celsius gpu=0"] == 41


def test_promtool_has_nothing_to_say_against_it(measured: Server) -> None:
    with measured.http() as http:
        text = http.get("/metrics").content
    found = subprocess.run([PROMTOOL, "check", "metrics"], input=text, capture_output=True, check=False)
    assert (found.returncode, found.stdout + found.stderr) == (0, b"")


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    folder = tmp_path_factory.mktemp("firm")
    with company(folder, sqlite_url(folder), metrics_addresses=(f"{SCRAPER}/32",)) as running:
        yield running


def test_in_a_company_only_the_listed_addresses_read_it(firm: Company) -> None:
    proxy = httpx.HTTPTransport(local_address="127.0.0.9")
    told = {
        SCRAPER: 200,
        "10.9.9.8": 401,
        f"{SCRAPER}, 10.9.9.8": 401,
        f"10.9.9.8, {SCRAPER}": 200,
        "evil": 401,
        "": 401,
    }
    with httpx.Client(base_url=firm.server.url, transport=proxy, timeout=30) as client:
        for value, status in told.items():
            reply = client.get("/metrics", headers={"x-forwarded-for": value})
            assert reply.status_code == status, value
            assert ("vlpro_questions_total" in reply.text) is (status == 200)
        for path in ("/metrics/", "/Metrics", "/metrics/x", "//metrics"):
            assert client.get(path, headers={"x-forwarded-for": SCRAPER}).status_code == 401, path
        for path in ("/v1/models", "/v1/status", "/"):  # it opens nothing else
            assert client.get(path, headers={"x-forwarded-for": SCRAPER}).status_code == 401, path
        assert client.post("/metrics", headers={"x-forwarded-for": SCRAPER}).status_code in (401, 403, 405)


def test_nobody_else_reads_it_whoever_they_are(firm: Company) -> None:
    key = firm.key(scopes=[Permission.ANSWER_CREATE])
    for header in (
        {},
        {"x-forwarded-for": SCRAPER},
        {"authorization": f"Bearer {key}"},
    ):  # that is no proxy's word
        with firm.server.http(headers=header) as program:
            assert program.get("/metrics").status_code == 401, header
    for role in Role:
        with firm.client(role) as person:
            reply = person.get("/metrics")
            assert reply.status_code == 403, role
            assert reply.json()["error"]["code"] == "address_not_allowed"


def test_left_out_it_is_closed_to_everybody(tmp_path: Path) -> None:
    with company(tmp_path, sqlite_url(tmp_path)) as firm:
        proxy = httpx.HTTPTransport(local_address="127.0.0.9")
        with httpx.Client(base_url=firm.server.url, transport=proxy, timeout=30) as client:
            for address in (SCRAPER, "127.0.0.1", "::1"):
                assert client.get("/metrics", headers={"x-forwarded-for": address}).status_code == 401
        with firm.client(Role.SYSTEM) as person:
            assert person.get("/metrics").status_code == 403


def test_in_profile_local_it_is_this_machines(measured: Server) -> None:
    with measured.http(headers={"host": "evil.example"}) as http:
        assert http.get("/metrics").status_code == 403
    with measured.http(headers={"sec-fetch-site": "cross-site"}) as http:
        assert http.get("/metrics").status_code == 403


def test_a_network_that_is_none_stops_the_start() -> None:
    wrong: Any = ("10.0.0.0/99",)
    with pytest.raises(ValueError, match="metrics_addresses"):
        Settings(metrics_addresses=wrong)
