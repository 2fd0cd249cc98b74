"""deploy/elk: what can be seen of it without Elasticsearch and Kibana."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.elastic.server import ElasticServer
from vlpro.audit.ship.options import ShipOptions, SyslogOptions
from vlpro.commands.app import main

ROOT = Path(__file__).parents[2]
ELK = ROOT / "deploy/elk"


def fields(mappings: dict[str, Any], path: str = "") -> dict[str, str]:
    """Fields of a mapping and their types."""
    found: dict[str, str] = {}
    for name, inner in mappings.get("properties", {}).items():
        where = f"{path}{name}"
        found |= fields(inner, f"{where}.") if "properties" in inner else {where: inner["type"]}
    return found


def objects() -> dict[str, dict[str, Any]]:
    lines = (ELK / "kibana.ndjson").read_text(encoding="utf-8").splitlines()
    return {found["id"]: found for found in map(json.loads, lines)}


def test_the_policy_keeps_records_for_half_a_year_at_least() -> None:
    policy = json.loads((ELK / "ilm-policy.json").read_text(encoding="utf-8"))["policy"]
    age = re.fullmatch(r"(\d+)d", policy["phases"]["delete"]["min_age"])
    assert age is not None
    assert int(age[1]) >= 180
    assert policy["phases"].keys() == {"hot", "delete"}


def test_template_policy_and_data_stream_belong_together() -> None:
    server = ElasticServer()
    server.install(ELK)
    template = server.templates["vlpro-audit"]
    assert template["template"]["settings"]["index.lifecycle.name"] in server.policies
    assert template["template"]["mappings"]["dynamic"] == "strict"
    assert ShipOptions(url="https://elk").index in server.streams


def test_kibanas_objects_refer_to_each_other_and_to_fields_that_are_there() -> None:
    mapped = fields(
        json.loads((ELK / "index-template.json").read_text(encoding="utf-8"))["template"]["mappings"]
    )
    found = objects()
    kinds = [one["type"] for one in found.values()]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "index-pattern": 1, "search": 3, "visualization": 4, "dashboard": 1,
    }  # fmt: skip
    assert found["vlpro-audit"]["attributes"]["title"] == "vlpro-audit,vlpro-audit-*"
    for one in found.values():
        attributes = one["attributes"]
        for reference in one["references"]:
            assert found[reference["id"]]["type"] == reference["type"]
        search = json.loads(attributes.get("kibanaSavedObjectMeta", {}).get("searchSourceJSON", "{}"))
        if "indexRefName" in search:
            assert search["indexRefName"] in [reference["name"] for reference in one["references"]]
        used = {
            *attributes.get("columns", []),
            *re.findall(r"([\w.@]+) :", search.get("query", {}).get("query", "")),
        }
        state = json.loads(attributes.get("visState", "{}"))
        used |= {agg["params"]["field"] for agg in state.get("aggs", []) if "field" in agg["params"]}
        assert used <= mapped.keys(), one["id"]
        aggregated = [agg["params"]["field"] for agg in state.get("aggs", []) if agg["type"] == "terms"]
        assert all(mapped[field] in ("keyword", "ip") for field in aggregated)


def test_the_dashboards_panels_do_not_overlap() -> None:
    dashboard = objects()["vlpro-audit-dashboard"]
    panels = json.loads(dashboard["attributes"]["panelsJSON"])
    assert {f"{p['panelIndex']}:{p['panelRefName']}" for p in panels} == {
        r["name"] for r in dashboard["references"]
    }
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        grid = panel["gridData"]
        cells = {
            (x, y)
            for x in range(grid["x"], grid["x"] + grid["w"])
            for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not cells & taken
        assert grid["x"] + grid["w"] <= 48
        taken |= cells


def test_the_unit_is_right_and_lets_nothing_else_out(tmp_path: Path) -> None:
    text = (ELK / "vlpro-audit-ship.service").read_text(encoding="utf-8")
    for line in (
        "IPAddressDeny=any",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "CapabilityBoundingSet=",
    ):
        assert line in text.splitlines()
    assert "ExecStart=/opt/vlpro/bin/vlpro audit ship" in text
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed (Debian's package systemd)")
    unit = tmp_path / "vlpro-audit-ship.service"
    unit.write_text(text.replace("/opt/vlpro/bin/vlpro", "/bin/true"), encoding="utf-8")
    found = subprocess.run(
        [program, "verify", str(unit)], check=False, capture_output=True, text=True, timeout=60
    )
    assert "vlpro-audit-ship.service" not in found.stderr, found.stderr


def test_every_setting_and_option_is_documented(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs/audit-shipping.md").read_text(encoding="utf-8")
    for model, prefix in ((ShipOptions, ""), (SyslogOptions, "syslog.")):
        for name, field in model.model_fields.items():
            row = next((line for line in page.splitlines() if line.startswith(f"| `{prefix}{name}` |")), None)
            assert row is not None, name
            if isinstance(field.default, int | float | str) and not isinstance(field.default, bool):
                assert f"`{field.default or '(none)'}`" in row, name
    assert main(["audit", "ship", "--help"]) == 0
    options = set(re.findall(r"--[a-z]+", capsys.readouterr().out)) - {"--help"}
    assert [word for word in ("vlpro audit ship", *options) if word not in page] == []
