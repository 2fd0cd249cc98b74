"""The size and token arithmetic of Qwen3-VL."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vlpro.imaging.tokens import MAX_PIXELS, MIN_PIXELS, fit, picture_tokens

sides = st.integers(1, 20_000)
budgets = st.integers(4 * MIN_PIXELS, MAX_PIXELS)  # just above the least, enlarging may overshoot


@pytest.mark.parametrize(
    ("size", "most", "wanted", "tokens"),
    [
        ((1024, 1024), MAX_PIXELS, (1024, 1024), 1026),
        ((1000, 1000), MAX_PIXELS, (992, 992), 963),
        ((1008, 1040), MAX_PIXELS, (1024, 1024), 1026),  # 31.5 and 32.5 cells: halves go to the even number
        ((6000, 4000), 1_048_576, (1248, 832), 1016),
        ((20, 20), MAX_PIXELS, (256, 256), 66),  # the processor's least: 64 tokens
        ((10_000, 10_000), MAX_PIXELS, (4096, 4096), 16_386),  # and its most: 16,384
        ((6400, 32), MIN_PIXELS, (3616, 32), 115),  # the short side cannot go below one cell
    ],
)
def test_known_sizes(size: tuple[int, int], most: int, wanted: tuple[int, int], tokens: int) -> None:
    assert fit(*size, most) == wanted
    assert picture_tokens(*size, most) == tokens


@given(sides, sides, budgets)
def test_sides_are_cells_within_the_budget(width: int, height: int, most: int) -> None:
    assume(max(width, height) <= 200 * min(width, height))
    new_width, new_height = fit(width, height, most)
    assert new_width % 32 == new_height % 32 == 0
    assert min(new_width, new_height) >= 32
    assert new_width * new_height >= MIN_PIXELS
    assert new_width * new_height <= most or min(new_width, new_height) == 32
    assert picture_tokens(width, height, most) == new_width * new_height // 1024 + 2


@given(sides, sides, budgets)
def test_the_shape_changes_by_less_than_one_cell_a_side(width: int, height: int, most: int) -> None:
    assume(max(width, height) <= 200 * min(width, height))
    new_width, new_height = fit(width, height, most)
    assume(min(new_width, new_height) > 32)
    scale = math.sqrt(new_width * new_height / (width * height))
    assert abs(new_width - width * scale) <= 32 * max(1, new_width / new_height)
    assert abs(new_height - height * scale) <= 32 * max(1, new_height / new_width)


@given(st.integers(1, 128), st.integers(1, 128))
def test_a_size_that_fits_stays(columns: int, rows: int) -> None:
    width, height = 32 * columns, 32 * rows
    assume(width * height >= MIN_PIXELS)
    assert fit(width, height) == (width, height)


@given(sides, sides, budgets)
def test_lying_and_standing_cost_the_same(width: int, height: int, most: int) -> None:
    assume(max(width, height) <= 200 * min(width, height))
    assert fit(width, height, most) == fit(height, width, most)[::-1]


@pytest.mark.parametrize("size", [(0, 5), (5, -1), (201, 1), (1, 201)])
def test_impossible_sizes_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"pixels has no content|times the other"):
        fit(*size)


def test_contradicting_bounds_are_refused() -> None:
    with pytest.raises(ValueError, match="below min_pixels"):
        fit(10, 10, 100)
