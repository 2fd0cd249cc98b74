from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from vlpro.engines.ocr.order import reading_order
from vlpro.engines.ocr.page import Line


def line(text: str, x: float, y: float, width: float, height: float = 20, *, degrees: float = 0) -> Line:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    a, b, c, d = (
        (px * cos - py * sin, px * sin + py * cos)
        for px, py in ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
    )
    return Line(text, 1.0, (a, b, c, d))


def texts(lines: tuple[Line, ...]) -> list[str]:
    return [line.text for line in lines]


RECEIPT = [
    piece
    for number in range(12)
    for piece in (
        line(f"{number}: a thing with a long name", 20, 40 * number, 300),
        line(f"{number}.50", 480, 40 * number + 4, 60),
    )
]
COLUMNS = [
    *(line(f"left column's line {number}", 20, 100 + 30 * number, 280) for number in range(8)),
    *(line(f"right column's line {number}", 330, 105 + 30 * number, 280) for number in range(8)),
]


def test_rows_go_from_top_to_bottom_and_left_to_right() -> None:
    lines = [line("d", 200, 60, 50), line("b", 200, 3, 50), line("c", 10, 64, 50), line("a", 10, 0, 50)]
    assert texts(reading_order(lines)) == ["a", "b", "c", "d"]


def test_an_item_stays_beside_its_price() -> None:
    assert list(reading_order(RECEIPT[::-1])) == RECEIPT


def test_items_stay_beside_prices_on_a_slanted_photo() -> None:
    slanted = [line(one.text, *one.box[:2], one.box[2] - one.box[0], degrees=5) for one in RECEIPT]
    assert list(reading_order(slanted[::-1])) == slanted


def test_columns_of_text_are_read_one_after_the_other() -> None:
    assert list(reading_order(COLUMNS[::-1])) == COLUMNS


def test_a_headline_and_a_footer_over_both_columns_stay_first_and_last() -> None:
    head, foot = line("A headline over the whole page", 20, 20, 590), line("footer " * 6, 20, 500, 590)
    assert list(reading_order([foot, *COLUMNS[::-1], head])) == [head, *COLUMNS, foot]


def test_no_lines_are_no_lines() -> None:
    assert reading_order([]) == ()


@given(st.permutations(RECEIPT[:8] + COLUMNS))
def test_the_order_does_not_depend_on_the_order_given(lines: list[Line]) -> None:
    assert reading_order(lines) == reading_order(RECEIPT[:8] + COLUMNS)
