from __future__ import annotations

import csv
import io
import json

import pytest

from vlpro.audit.search import Found
from vlpro.audit.tabular import BEGINS, as_csv, as_json_lines


def row(**said: object) -> dict[str, str]:
    """One record as a spreadsheet reads it."""
    text = BEGINS["csv"] + as_csv([Found(7, "ab", said)])
    assert text.startswith("\ufeffseq,")
    return next(iter(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)))


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_no_cell_is_a_formula(first: str) -> None:
    written = row(login=f"{first}1+1", object=f"{first}cmd|' /C calc'!A0", session="a=b")
    assert written["login"] == f"'{first}1+1"
    assert written["object"].startswith(f"'{first}")
    assert written["session"] == "a=b"


def test_all_that_a_record_says_is_there() -> None:
    written = row(time="2026", event="a:b:c", login='a,"b"\nc', detail={"text": "中文，逗号", "n": 1.5})
    assert (written["seq"], written["hash"], written["time"], written["event"]) == (
        "7",
        "ab",
        "2026",
        "a:b:c",
    )
    assert written["login"] == 'a,"b"\nc'
    assert json.loads(written["detail"]) == {"text": "中文，逗号", "n": 1.5}
    assert row(login=["=1"])["login"] == '["=1"]'  # altered: no text any more
    assert row()["login"] == ""


def test_a_line_of_json_is_one_record() -> None:
    (line,) = as_json_lines([Found(7, "ab", {"login": "a\nb"})]).splitlines()
    assert json.loads(line) == {"seq": 7, "hash": "ab", "record": {"login": "a\nb"}}
