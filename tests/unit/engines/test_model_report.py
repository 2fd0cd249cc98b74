"""A report of a verification says what it said when it was signed, or it is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vlpro.audit.checkpoint import public_key
from vlpro.engines.model_files import make_manifest
from vlpro.engines.model_report import content, opened, written
from vlpro.errors import VlproError

SEED = b"s" * 32
KEY = public_key(SEED)
NOW = 1_790_000_000.0


@pytest.fixture
def report(tmp_path: Path) -> str:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    return written(content(tmp_path, make_manifest(tmp_path, "我们/model"), NOW), SEED)


def test_it_says_what_was_found(report: str) -> None:
    said = opened(report, [KEY])
    assert (said["result"], said["time"], said["manifest"]["name"]) == (
        "verified",
        "2026-09-21T14:13:20Z",
        "我们/model",
    )
    assert [(file["name"], file["size"]) for file in said["files"]] == [
        ("config.json", 2),
        ("model.safetensors", 7),
    ]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda whole: whole["report"]["files"][0].update(sha256="0" * 64), "signature is wrong"),
        (lambda whole: whole["report"].update(note="all well"), "signature is wrong"),
        (lambda whole: whole.update(signature="00" * 64), "signature is wrong"),
        (lambda whole: whole.update(signature=""), "signature is wrong"),
        (lambda whole: whole["report"].update(key="0" * 64), "not trusted"),
        (lambda whole: whole.update(signature=None), "is not signed"),
        (lambda whole: whole.pop("signature"), "no report"),
        (lambda whole: whole.update(extra=1), "no report"),
        (lambda whole: whole["report"].update(kind="other"), "no report"),
        (lambda whole: whole["report"].update(number=10**30), "no report"),
    ],
)
def test_one_that_was_altered_is_refused(
    change: Callable[[dict[str, Any]], object], why: str, report: str
) -> None:
    whole = json.loads(report)
    change(whole)
    with pytest.raises(VlproError, match=why):
        opened(json.dumps(whole), [KEY])


def test_a_name_twice_is_refused(report: str) -> None:
    with pytest.raises(VlproError, match="no report"):
        opened(report.replace('"result":', '"result": "refused", "result":'), [KEY])


@pytest.mark.parametrize("text", ["", "[]", "null", '{"report": 1, "signature": 2}', "[" * 100_000])
def test_what_is_no_report_is_told_as_such(text: str) -> None:
    with pytest.raises(VlproError, match="no report"):
        opened(text, [KEY])


def test_only_the_keys_that_are_trusted_count(report: str) -> None:
    with pytest.raises(VlproError, match="not trusted"):
        opened(report, [public_key(b"t" * 32)])
    with pytest.raises(VlproError, match="not trusted"):
        opened(report, [])


def test_without_a_key_it_is_not_signed(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    text = written(content(tmp_path, make_manifest(tmp_path, "own"), NOW), None)
    with pytest.raises(VlproError, match="is not signed"):
        opened(text, [KEY])
