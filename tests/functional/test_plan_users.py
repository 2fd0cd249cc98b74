"""``vlpro plan --users``: what an administrator reads before cards are bought."""

from __future__ import annotations

import json

import pytest

from vlpro.commands.app import main


def test_the_plan_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--users", "1000", "--images", "2", "--gpu", "24G", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["needed"]["engine"] == "openai"
    assert found["needed"]["cards"] > found["otherwise"]["cards"]  # of four bits, of which it warns
    assert f"--max-model-len {found['needed']['context_tokens']}" in found["start"]
    sources = {one["option"]: (one["value"], one["source"]) for one in found["assumptions"]}
    assert sources["--images"] == (2, "given")
    assert sources["--questions"] == (2, "assumed")
    assert sources["--bandwidth"] == (300, "published")
    assert all(one["zh"] and one["en"] for one in found["assumptions"] + found["notes"])


def test_every_assumption_can_be_changed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--users", "10000", "--gpu", "H100", "--json"]) == 0
    options = json.loads(capsys.readouterr().out)["assumptions"]
    changed = ["plan", "--users", "10000", "--json"]
    for one in options:
        value = "H200" if one["option"] == "--gpu" else str(one["value"])
        changed += [one["option"], value]
    assert main(changed) == 0
    again = json.loads(capsys.readouterr().out)["assumptions"]
    assert {one["source"] for one in again if one["option"] != "--gpu"} == {"given"}


@pytest.mark.parametrize(("language", "word"), [("zh_CN.UTF-8", "这是估算"), ("C.UTF-8", "An estimate")])
def test_the_plan_for_people(
    language: str, word: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANG", language)
    assert main(["plan", "--users", "50", "--gpu", "RTX 4090"]) == 0
    text = capsys.readouterr().out
    assert word in text
    assert "VLPRO_ENGINE=transformers" in text


@pytest.mark.parametrize(
    ("options", "named", "status"),
    [
        (("--users", "0", "--gpu", "24G"), "--users", 2),
        (("--users", "many", "--gpu", "24G"), "--users", 2),
        (("--users", "5", "--gpu", "24G", "--images", "17"), "--images", 2),
        (("--users", "5", "--gpu", "24G", "--seconds", "nan"), "--seconds", 2),
        (("--users", "5", "--gpu", "24G", "--load", "1.5"), "--load", 2),
        (("--users", "5", "--gpu", "24G", "--bits", "8"), "--bits", 2),
        (("--gpu", "24G"), "--gpu", 2),
        (("--users", "5", "--gpu", "24G", "--gpu", "80G"), "--gpu", 2),
        (
            ("--users", "1000000000", "--gpu", "24G"),
            "--users cannot be used: it must be 10000000 or less.",
            2,
        ),
        (("--users", "1.5", "--gpu", "24G"), "--users cannot be used: it must be a whole number.", 2),
        (("--users", "5"), "--gpu", 1),
        (("--users", "5", "--gpu", "a lot"), "--gpu", 1),
        (("--users", "5", "--gpu", "4G"), "--gpu", 1),
        (("--users", "5", "--gpu", "T4", "--seconds", "1"), "--seconds", 1),
    ],
)
def test_nonsense_is_refused_with_the_options_name(
    options: tuple[str, ...], named: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", *options]) == status
    said = capsys.readouterr()
    assert named in said.err
    assert not said.out


def test_values_are_refused_in_chinese(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    for value, words in {"0": "应不小于 1。", "1e3": "应为整数。", "99999999": "应不大于 10000000。"}.items():
        assert main(["plan", "--users", value, "--gpu", "24G"]) == 2
        assert f"--users 的值无法使用：{words}\n" in capsys.readouterr().err
    assert main(["plan", "--users", "9", "--gpu", "24G", "--load", "x"]) == 2
    assert "--load 的值无法使用：应为数字。" in capsys.readouterr().err
