"""Exact names in text: found however they are written, and nothing else taken for one."""

from __future__ import annotations

import pytest

from vlpro.knowledge.codes import codes_in


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ("e11怎么处理", "故障E11：模块过热"),
        ("Ｅ１１", "E11"),
        ("E 11是什么", "E11"),
        ("F0－28", "参数F0-28设为1"),
        ("F0—28", "F0-28"),
        ("F028", "F0-28"),
        ("skr-mini-e3-v2.0", "SKR MINI E3 V2.0"),
        ("wsk220n04?", "MOS: WSK220N04."),
        ("X2 在哪里", "端子X1/X2"),
        ("FO-28", "F0-28"),  # as pictures are read
        ("E1O", "E10"),
    ],
)
def test_a_code_is_found_however_it_is_written(asked: str, written: str) -> None:
    assert codes_in(asked) & codes_in(written)


@pytest.mark.parametrize(
    ("one", "other"), [("E11", "E12"), ("F0-28", "FA-28"), ("E1", "E11"), ("WSK220N04", "WSK220N05")]
)
def test_another_code_is_another_one(one: str, other: str) -> None:
    assert not codes_in(one) & codes_in(other)


@pytest.mark.parametrize(
    "text",
    [
        "How do I change the 3 screws at 10 minutes?",
        "The board wants 24V, 3.3V or 12/24V at 115200bps",
        "机身高280mm，净重约4.3kg",
        "第3页",
        "温度",
        "",
    ],
)
def test_words_numbers_and_measures_are_no_codes(text: str) -> None:
    assert not codes_in(text)


def test_a_hostile_text_names_few_codes() -> None:
    assert len(codes_in(" ".join(f"E{number}" for number in range(10_000)))) <= 64
    assert not codes_in("a1" * 5_000)
