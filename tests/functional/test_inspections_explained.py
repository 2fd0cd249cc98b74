"""Inspections with a knowledge base: what a manual says about a fault stands beside what was found, with its page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import quote

import httpx
import pytest
import sqlalchemy as sa

from tests.functional.boards import board, file_of, golden_board
from tests.functional.company import Company, company
from tests.functional.manuals import pdf
from tests.functional.server import data_url, eventually
from vlpro.audit.recorder import LogRecorder
from vlpro.audit.tables import records
from vlpro.commands.app import main
from vlpro.db import sqlite_url
from vlpro.identity.permissions import Role
from vlpro.masking import Masking

MANUAL = pdf(
    ["1 Acceptance", "An open trace on board A1: call the shift lead on 13912345678, and scrap the board."],
    ["2 Overheating", "Overheating of the fuse clamp: the temperature is too high. Tighten the clamp."],
    ["3 Cleaning", "Wipe the housing with a dry cloth."],
)
BASES = "/v1/knowledge-bases"


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    folder = tmp_path_factory.mktemp("explained")
    with company(folder, sqlite_url(folder)) as running:
        yield running


@pytest.fixture(scope="module")
def base(firm: Company) -> str:
    """Li's, with the manual."""
    with firm.client(Role.USER) as li:
        name = str(li.post(BASES, json={"name": "Boards"}).json()["id"])
        path = f"{BASES}/{name}/documents/{quote('A1 manual.pdf')}"
        assert li.put(path, content=MANUAL).status_code == 202
        eventually(lambda: li.get(path).json()["status"] == "ready", timeout_s=60)
        return name


def ask(http: httpx.Client, base: Any, **fields: Any) -> httpx.Response:
    body = {"image": {"url": data_url(file_of(board(), "JPEG"))}, "product": "A1", "language": "en"}
    return http.post("/v1/inspections", json=body | {"knowledge_base": base} | fields)


GOLDEN = {"template_image": {"url": data_url(file_of(golden_board()))}}


def said(firm: Company, name: str) -> dict[str, Any]:
    """How an inspection ended, as the record has it."""
    recorder = firm.server.services.recorder
    assert isinstance(recorder, LogRecorder)
    query = sa.select(records.c.data).where(records.c.event == "workflow:run:completed")
    with recorder.audit.database.read() as connection:
        told = [json.loads(row.data) for row in connection.execute(query)]
    return next(one["detail"] for one in told if one["object"] == name)


def test_what_a_manual_says_about_a_defect_stands_beside_it(firm: Company, base: str) -> None:
    with firm.client(Role.USER) as li:
        found = ask(li, [base], **GOLDEN).json()
        assert [one["kind"] for one in found["defects"]] == ["open"]
        cited = found["citations"][0]
        assert (cited["number"], cited["base"], cited["document"], cited["page"]) == (
            1,
            base,
            "A1 manual.pdf",
            1,
        )
        assert "An open trace on board A1" in cited["text"]
        assert cited["boxes"]
        assert li.get(f"/v1/inspections/{found['id']}").json() == found
        document = li.get(f"{BASES}/{base}/documents/{quote('A1 manual.pdf')}").json()["id"]
        assert {"base": base, "document": document, "page": 1} in said(firm, found["id"])["cited"]
        # Nothing was found: there is nothing to explain. And nothing is looked up that nobody asked for.
        good = {"image": {"url": data_url(file_of(board(defect=False, seed=7), "JPEG"))}}
        assert ask(li, base, **GOLDEN, **good).json()["citations"] == []
        assert ask(li, None, **GOLDEN).json()["citations"] is None


def test_the_command_takes_knowledge_bases(
    firm: Company,
    base: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LANG", "C")
    monkeypatch.setenv("VLPRO_KEY", firm.key(scopes=["workflow:run:use", "knowledge:base:use"]))
    (tmp_path / "board.jpg").write_bytes(file_of(board(), "JPEG"))
    (tmp_path / "golden.png").write_bytes(file_of(golden_board()))
    given = ["inspect", str(tmp_path / "board.jpg"), "--template", str(tmp_path / "golden.png")]
    given += ["--product", "A1", "--server", firm.server.url]
    assert main([*given, "--knowledge-base", base]) == 0
    assert re.search(
        r"^\[1\] A1 manual.pdf, page 1: .*An open trace on board A1", capsys.readouterr().out, re.MULTILINE
    )
    assert main([*given, "--knowledge-base", base, "--knowledge-base", "kb_0", "--json"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "knowledge base" in told.err
    assert main([*given, "--knowledge-base", ""]) == 1
    assert "--knowledge-base" in capsys.readouterr().err


def test_an_engine_that_sees_is_given_the_passages_and_cites_them(firm: Company, base: str) -> None:
    with firm.client(Role.USER) as li:
        found = ask(li, base, method="sight", instruction="Why is the fuse clamp overheating?").json()
    # The engine of these tests repeats what it is given.
    assert (found["method"], found["verdict"]) == ("sight", "review")
    assert re.search(r"^> .*Overheating of the fuse clamp", found["message"], re.MULTILINE)
    assert found["citations"][0]["page"] == 2
    assert "cited" in said(firm, found["id"])


def test_personal_data_in_a_passage_is_masked(firm: Company, base: str) -> None:
    with firm.client(Role.USER) as li, mock.patch.object(firm.server.services.chat, "masking", Masking):
        texts = " ".join(one["text"] for one in ask(li, base, **GOLDEN).json()["citations"])
    assert "open trace" in texts
    assert "13912345678" not in texts


def test_a_base_of_somebody_else_explains_nothing(firm: Company, base: str) -> None:
    with firm.client(firm.other) as wang:
        replies = [ask(wang, name, **GOLDEN) for name in (base, "kb_000000000000000000000000")]
        assert [reply.status_code for reply in replies] == [404, 404]
        assert replies[0].content == replies[1].content
        assert replies[0].json()["error"]["param"] == "knowledge_base"
        assert ask(wang, [base], **GOLDEN).json()["error"]["param"] == "knowledge_base[0]"
    without = firm.key(scopes=["workflow:run:use"])
    with firm.server.http(headers={"authorization": f"Bearer {without}"}) as camera:
        assert ask(camera, base, **GOLDEN).status_code == 403
        assert ask(camera, None, **GOLDEN).status_code == 200
