"""The guides for operators and assessors name only settings, commands, routes and files that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from typer.main import get_command

from vlpro.commands.app import app
from vlpro.compliance.promises import PROMISES
from vlpro.config import Settings
from vlpro.gateway.api import routers
from vlpro.identity.policy import Policy

ROOT = Path(__file__).parents[2]
GUIDES = (
    "docs/mlps3.md",
    "docs/operations.md",
    "docs/security.md",
    "deploy/compose/README.md",
    "deploy/offline/README.md",
)
_WORD = re.compile(r"[a-z]+(_[a-z0-9]+)+")
_FOREIGN = {"client_max_body_size", "worker_shutdown_timeout"}  # nginx's


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def spans(page: str) -> list[str]:
    """What is written as code, in lines and in blocks."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL))
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines()] + inline


def commands() -> dict[str, set[str]]:
    """Each command, such as ``audit verify``, with its options."""
    found: dict[str, set[str]] = {}

    def walk(command: object, path: str) -> None:
        options = {
            name for one in getattr(command, "params", ()) for name in (*one.opts, *one.secondary_opts)
        }
        found[path] = options | {"--help"}
        for name, below in getattr(command, "commands", {}).items():
            walk(below, f"{path} {name}".strip())

    walk(get_command(app), "")
    return found


@pytest.mark.parametrize("name", GUIDES)
def test_every_command_and_option_is_there(name: str) -> None:
    known, wrong = commands(), []
    for span in spans(text(name)):
        for said in re.findall(r"^(?:vlpro) ([a-z-][^|;&>#]*)", span):
            words = said.split()
            path = next((" ".join(words[:n]) for n in (2, 1) if " ".join(words[:n]) in known), None)
            if words[0].startswith("-"):
                path = ""
            if path is None:
                wrong.append(span)
                continue
            options = {word for word in words if re.fullmatch(r"--[a-z-]+", word)}
            wrong += [f"{span}: {option}" for option in options - known[path]]
    assert wrong == []


@pytest.mark.parametrize("name", GUIDES)
def test_every_setting_is_there(name: str) -> None:
    page = text(name)
    variables = set(re.findall(r"\bVLPRO_[A-Z0-9_]+", page))
    ours = {f"VLPRO_{field.upper()}" for field in Settings.model_fields}
    compose = text("deploy/compose/compose.yaml")
    assert [one for one in variables - ours if one not in compose] == []
    fields = Settings.model_fields.keys() | Policy.model_fields.keys() | {one.name for one in PROMISES}
    alerts = text("docs/alerts.md")
    named = {span for span in spans(page) if _WORD.fullmatch(span)}
    assert [one for one in named - fields - _FOREIGN if f"`{one}`" not in alerts] == []


@pytest.mark.parametrize("name", GUIDES)
def test_every_route_is_there(name: str) -> None:
    listed = {
        f"{method} /v1{re.sub(':path', '', route.path)}"
        for router in routers(accounts=True)
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    for method, path in re.findall(r"`(GET|POST|PUT|DELETE|PATCH) (/v1/[^`? ]*)", text(name)):
        assert f"{method} {path}" in listed, path


@pytest.mark.parametrize("name", GUIDES)
def test_every_file_is_there(name: str) -> None:
    page, folder = text(name), (ROOT / name).parent
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page):
        assert (folder / target.replace("\n", "")).exists(), target
    for path in re.findall(r"`(deploy/[\w./-]+)`", page):
        assert (ROOT / path).exists(), path


def test_the_assessors_guide_has_every_clause_and_five_answers_each() -> None:
    page = text("docs/mlps3.md")
    for group in range(1, 12):
        assert f"8.1.4.{group}" in page
    parts = re.split(r"^#{2,3} ", page, flags=re.MULTILINE)
    answered = [part for part in parts if "- 软件：" in part]
    assert len(answered) >= 22
    for part in answered:
        heads = re.findall(r"^- (软件|设置|自查|证据|部署单位)：", part, re.MULTILINE)
        assert heads == ["软件", "设置", "自查", "证据", "部署单位"], part.partition("\n")[0]
