"""`deploy/prometheus` and `deploy/grafana`: what they ask for is there, and a real Prometheus understands it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.functional.server import Server, chat, eventually, run
from tests.ports import free_port
from tests.support import end
from vlpro import schema
from vlpro.audit.ship.options import ShipOptions
from vlpro.config import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "vlpro.rules.yml"
PROMTOOL, PROMETHEUS = "/usr/bin/promtool", "/usr/bin/prometheus"


def promtool(*arguments: str, folder: Path = DEPLOY / "prometheus") -> str:
    done = subprocess.run(
        [PROMTOOL, *arguments], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def expressions() -> list[str]:
    """Every question of the dashboard and of the alerts, for all instances."""
    panels = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text(encoding="utf-8"))["panels"]
    asked = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    asked += [rule["expr"] for group in rules for rule in group["rules"]]
    assert len(asked) > 40
    return [expression.replace("$instance", ".*") for expression in asked]


def test_the_configuration_and_the_rules_are_right(tmp_path: Path) -> None:
    for file in ("prometheus.yml", "vlpro.rules.yml"):
        shutil.copy(DEPLOY / "prometheus" / file, tmp_path)
    (tmp_path / "company-ca.pem").touch()
    assert "15 rules found" in promtool("check", "config", "prometheus.yml", folder=tmp_path)


def test_each_alert_fires_where_it_should_and_nowhere_else() -> None:
    assert "SUCCESS" in promtool("test", "rules", "vlpro.tests.yml")
    tests = yaml.safe_load((DEPLOY / "prometheus" / "vlpro.tests.yml").read_text(encoding="utf-8"))["tests"]
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    alerts = {rule["alert"] for group in rules for rule in group["rules"]}
    assert {test["name"] for test in tests} == {
        f"{a} {how}" for a in alerts for how in ("fires", "is silent")
    }


def test_each_alert_says_what_to_do_and_where_that_is_described() -> None:
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    page = (DEPLOY.parent / "docs" / "monitoring.md").read_text(encoding="utf-8")
    section = page.partition("### When an alert fires")[2].partition("\n## ")[0]
    described = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \| ([^|]+) \|$", section, re.MULTILINE))
    alerts = {rule["alert"]: rule for group in rules for rule in group["rules"]}
    assert described.keys() == alerts.keys()
    for rule in alerts.values():
        assert rule["annotations"].keys() == {"summary", "zh", "runbook"}
        assert rule["annotations"]["runbook"] == "docs/monitoring.md#when-an-alert-fires"
        assert rule["labels"].keys() == {"severity"}
        assert re.search(r"[:;] ", rule["annotations"]["summary"]), (
            rule
        )  # what is so, and what to do or look at


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that has something to tell of everything."""
    folder = tmp_path_factory.mktemp("measured")
    (folder / "backup-state.json").write_text(json.dumps({"at": time.time()}))
    (folder / "audit-ship.json").write_text(json.dumps({"to": "x", "seq": 1}))
    gpu = schema.Gpu(name="x", memory_used=1, memory_total=2, temperature_c=3, utilization_percent=4)
    settings = Settings(engine="fake", data_dir=folder, audit_ship=ShipOptions(url="http://127.0.0.1:9"))
    with run(settings) as running, pytest.MonkeyPatch.context() as patch:
        patch.setattr(running.services.device, "_gpus", lambda: [gpu])  # no card here
        assert running.post("/v1/chat/completions", chat("count to 9")).status_code == 200
        assert running.post("/v1/chat/completions", {}).status_code == 400
        yield running


def test_every_series_that_is_asked_for_is_told(service: Server) -> None:
    with service.http() as http:
        told = set(re.findall(r"^(vlpro_\w+)[{ ]", http.get("/metrics").text, re.MULTILINE))
    asked = {name for one in expressions() for name in re.findall(r"\bvlpro_\w+", one)}
    assert asked <= told, asked - told
    documented = (DEPLOY.parent / "docs" / "monitoring.md").read_text(encoding="utf-8")
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in told}
    assert not [name for name in families if name not in documented and not _ends(name, documented)]


def _ends(name: str, page: str) -> bool:
    """Whether a series is named by its ending, behind one that begins alike."""
    parts = name.split("_")
    return any(f"`_{'_'.join(parts[at:])}" in page for at in range(2, len(parts)))


def test_a_real_prometheus_scrapes_it_and_answers_every_question(service: Server, tmp_path: Path) -> None:
    config: dict[str, Any] = {
        # A scrape may take no longer than to the next one, and what one misses is told no more.
        "global": {"scrape_interval": "5s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [
            {"job_name": "vlpro", "static_configs": [{"targets": [f"127.0.0.1:{service.port}"]}]}
        ],
    }
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    command = [
        PROMETHEUS,
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as http:

            def found(expression: str) -> list[Any]:
                reply = http.get("/api/v1/query", params={"query": expression})
                assert reply.status_code == 200, (expression, reply.text)
                return list(reply.json()["data"]["result"])

            def scraped() -> bool:
                try:
                    if http.get("/-/ready").status_code != 200:
                        return False
                    return bool(found('up{job="vlpro"} == 1'))
                except httpx.TransportError:
                    assert process.poll() is None
                    return False

            eventually(scraped, timeout_s=60)
            for expression in expressions():
                answer = found(expression)
                if "[" not in expression and not re.search(
                    r"[<>=]= ?\d|[<>] ?\d|probe_|>=|unless", expression
                ):
                    assert answer, expression  # a value of now; rates need more time
            health = http.get("/api/v1/rules").json()["data"]["groups"]
            assert {rule["health"] for group in health for rule in group["rules"]} <= {"ok", "unknown"}
    finally:
        end(process)
