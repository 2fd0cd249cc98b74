from __future__ import annotations

import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlpro.engines.ocr.amounts import (
    find_amounts,
    find_capitals,
    parse_amount,
    parse_capitals,
    to_capitals,
)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("Total: RM 14.10", ["14.10"]),
        ("合计 ￥486.50 元", ["486.50"]),
        ("优惠 -6.50", ["-6.50"]),
        ("(0.02)", ["-0.02"]),
        ("0.24-", ["-0.24"]),
        ("1,234.50SR", ["1234.50"]),
        ("1.234,56 €", ["1234.56"]),
        ("12,50", ["12.50"]),
        ("12. 50", ["12.50"]),
        ("10 00", ["10.00"]),
        ("RMO.02", ["0.02"]),
        ("RMI11.90", ["111.90"]),
        ("TOTAL8.20", ["8.20"]),
        ("1 X 5.20", ["1", "5.20"]),
        ("NO 18, 20, 22", ["18", "20", "22"]),
        ("A4复印纸70g", []),
        ("9.00%", []),
        ("17%", []),
        ("USG-99-", []),
        ("14:22", []),
    ],
)
def test_amounts_of_a_line(text: str, values: list[str]) -> None:
    assert [amount.value for amount in find_amounts(text)] == [Decimal(value) for value in values]


def test_amount_keeps_what_was_written() -> None:
    (amount,) = find_amounts("实付：￥1,480.00")
    assert (amount.text, amount.currency, amount.is_money) == ("￥1,480.00", "¥", True)


def test_parse_amount_wants_nothing_else() -> None:
    assert parse_amount("RM 5.00") == Decimal("5.00")
    assert parse_amount("5.00 and 6.00") is None
    assert parse_amount("Table 5.00") is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("柒仟零壹拾捌圆捌角叁分", "7018.83"),
        ("壹万叁仟伍佰贰拾伍圆陆角整", "13525.6"),
        ("人民币壹亿零伍佰万元整", "105000000"),
        ("伍分", "0.05"),
        ("贰拾元零叁分", "20.03"),
    ],
)
def test_capitals(text: str, value: str) -> None:
    assert parse_capitals(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "元", "公元前", "圆圆", "壹壹元", "一二三"])
def test_text_that_is_no_amount_in_capitals(text: str) -> None:
    assert parse_capitals(text) in {None, Decimal(0)}


@given(st.integers(min_value=0, max_value=10**14 - 1))
def test_capitals_there_and_back(cents: int) -> None:
    value = Decimal(cents) / 100
    assert parse_capitals(to_capitals(value)) == value


def test_capitals_are_found_within_a_line() -> None:
    assert (
        find_capitals("价税合计（大写）⊗柒仟零壹拾捌圆捌角叁分 （小写）￥7018.83") == "柒仟零壹拾捌圆捌角叁分"
    )


@pytest.mark.parametrize("value", ["-1", "1.234", "1e12"])
def test_capitals_refuse_what_they_cannot_write(value: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        to_capitals(Decimal(value))


@given(st.text(max_size=200))
def test_any_text_is_survived(text: str) -> None:
    for amount in find_amounts(text):
        assert 0 <= amount.start < amount.end <= len(text)
    parse_capitals(text)
    find_capitals(text)


@pytest.mark.parametrize("piece", ["1,", "1.", "1 ", "￥", "-(", "零", "壹拾", "9'9", "1,111,", "RM O."])
def test_time_is_bounded_for_long_text(piece: str) -> None:
    begin = time.thread_time()
    find_amounts(piece * 50_000)
    find_capitals(piece * 50_000)
    assert time.thread_time() - begin < 1
