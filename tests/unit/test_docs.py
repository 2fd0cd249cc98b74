from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from pydantic import BaseModel

from tests.unit.engines.transformers import machines
from vlpro.compliance.options import ComplianceOptions
from vlpro.config import Settings
from vlpro.gateway.api import routers
from vlpro.identity.directories.options import LdapOptions, OidcOptions
from vlpro.identity.permissions import PERMISSIONS, Permission, Role
from vlpro.identity.policy import GroupRule, Policy
from vlpro.workflows.inspection.options import (
    AlertRule,
    FolderOptions,
    InspectionOptions,
    MqttOptions,
    QuietHours,
)

ROOT = Path(__file__).parents[2]
READMES = ("README.md", "README.zh-CN.md")


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_every_setting_is_documented_with_its_default() -> None:
    rows = {
        cells[0]: cells[2]
        for line in text("docs/settings.md").splitlines()
        if len(cells := re.findall(r"`([^`]*)`", line)) >= 3 and line.startswith("|")
    }
    assert rows.keys() == Settings.model_fields.keys()
    for name, field in Settings.model_fields.items():
        default = field.default
        shown = "[" + ", ".join(f'"{v}"' for v in default) + "]" if isinstance(default, tuple) else default
        assert rows[name] == (str(shown) or "(none)"), name


def test_every_route_is_documented() -> None:
    page = text("docs/api.md")
    listed = [
        f"{method} /v1{re.sub(':path', '', route.path)}"
        for router in routers(accounts=True)
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    ]
    assert len(listed) > 40
    assert [route for route in listed if f"`{route}`" not in page] == []


def test_every_part_of_the_policy_and_of_the_directories_is_documented() -> None:
    page = text("docs/identity.md")
    for model in (Policy, GroupRule, LdapOptions, OidcOptions):
        assert [name for name in model.model_fields if f"`{name}`" not in page] == [], model
    for name, field in Policy.model_fields.items():
        if isinstance(field.default, int | str):
            row = next(line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
            assert f"`{str(field.default).lower()}`" in row, name
    table = page.partition("| Permission |")[2]
    for permission in Permission:
        row = next(line for line in table.splitlines() if line.startswith(f"| `{permission}` |"))
        marks = [cell.strip() == "●" for cell in row.split("|")[2:6]]
        assert marks == [permission in PERMISSIONS[role] for role in Role], permission


def test_every_part_of_the_inspections_settings_is_documented() -> None:
    table = text("docs/inspection-api.md").partition("## All settings")[2]
    parts: dict[str, type[BaseModel]] = {
        "": InspectionOptions,
        "rules[].": AlertRule,
        "quiet_hours[].": QuietHours,
        "folder.": FolderOptions,
        "mqtt.": MqttOptions,
    }
    for before, model in parts.items():
        for name, field in model.model_fields.items():
            row = next(line for line in table.splitlines() if line.startswith(f"| `{before}{name}` |"))
            assert field.description is not None
            assert field.description in row, name
            if isinstance(field.default, int | float | str) and field.default != "":
                assert f"| {field.default} |" in row, name


def test_what_the_compliance_report_is_told_is_documented() -> None:
    page = text("docs/compliance.md")
    for name, field in ComplianceOptions.model_fields.items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
        assert f"| {field.description} |" in row, name


def test_the_table_of_plans_is_what_the_rules_give() -> None:
    _, _, after = text("docs/model.md").partition(
        "<!-- plans: tests/unit/engines/transformers/machines.py -->\n"
    )
    assert after.partition("\n<!-- /plans -->")[0] == machines.table()


def test_every_place_named_in_the_architecture_exists() -> None:
    table = text("docs/architecture.md").split("## Where things are")[1].split("## Arrows")[0]
    places = list(re.findall(r"`(vlpro/[^`]*)`", table))
    assert len(places) > 20
    assert [p for p in places if not (ROOT / p).exists()] == []


@pytest.mark.parametrize("name", READMES)
def test_what_a_readme_points_to_exists(name: str) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text(name))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_both_readmes_say_the_same() -> None:
    """Same sections, same commands, same links; the sentences are for people to compare."""
    english, chinese = (text(name) for name in READMES)

    def skeleton(page: str) -> tuple[list[str], list[str], list[str]]:
        fences = re.findall(r"```.*?```", page, re.DOTALL)
        commands = [re.sub(r"#.*|合计金额是多少？|What is the total\?", "", fence) for fence in fences]
        headings = [heading.split()[0] for heading in re.findall(r"^#+ .*", page, re.MULTILINE)]
        links = re.findall(r"\]\(((?!README|#)[^)]+)\)", page)
        return headings, commands, [link.replace("page-zh", "page-en") for link in links]

    assert skeleton(english) == skeleton(chinese)
