"""Pictures share a budget: evenly, never below readable, and only where they must."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.support import picture
from vlpro.imaging.budget import reduce, reduced_size, shares
from vlpro.imaging.ingest import pixels_digest
from vlpro.imaging.tokens import MIN_PIXELS, picture_tokens

MOST = 1_310_720
LEAST = 262_144


def _share(sizes: list[tuple[int, int]], budget: int) -> list[int] | None:
    return shares(sizes, budget_tokens=budget, max_pixels=MOST, min_pixels=MIN_PIXELS, readable_pixels=LEAST)


def _tokens(sizes: list[tuple[int, int]], pixels: list[int]) -> int:
    return sum(
        picture_tokens(*reduced_size(*size, most), MOST) for size, most in zip(sizes, pixels, strict=True)
    )


@st.composite
def _size(draw: st.DrawFn) -> tuple[int, int]:
    width = draw(st.integers(1, 9000))
    height = draw(st.integers(1, MOST // width))
    assume(max(width, height) <= 200 * min(width, height))
    return width, height


sizes_of = st.lists(_size(), max_size=20)
budgets = st.integers(0, 30_000)


@given(sizes_of, budgets)
def test_the_sum_is_within_the_budget_and_nothing_is_below_readable(
    sizes: list[tuple[int, int]], budget: int
) -> None:
    pixels = _share(sizes, budget)
    if pixels is None:
        least = [min(width * height, LEAST) for width, height in sizes]
        assert _tokens(sizes, least) > budget
        return
    assert _tokens(sizes, pixels) <= budget
    assert len(pixels) == len(sizes)
    for (width, height), most in zip(sizes, pixels, strict=True):
        assert min(width * height, LEAST) <= most <= width * height


@given(sizes_of, budgets)
def test_what_fits_is_left_alone(sizes: list[tuple[int, int]], budget: int) -> None:
    own = [width * height for width, height in sizes]
    assume(_tokens(sizes, own) <= budget)
    assert _share(sizes, budget) == own


@given(sizes_of, budgets)
def test_one_cap_holds_for_all_that_are_larger(sizes: list[tuple[int, int]], budget: int) -> None:
    pixels = _share(sizes, budget)
    assume(pixels is not None)
    assert pixels is not None
    reduced = {most for (width, height), most in zip(sizes, pixels, strict=True) if most < width * height}
    assert len(reduced) <= 1
    assert all(most <= cap for cap in reduced for most in pixels)


@given(sizes_of, budgets, st.integers(0, 5000))
def test_more_room_never_makes_a_picture_smaller(
    sizes: list[tuple[int, int]], budget: int, more: int
) -> None:
    tight, wide = _share(sizes, budget), _share(sizes, budget + more)
    if tight is not None:
        assert wide is not None
        assert all(less <= most for less, most in zip(tight, wide, strict=True))


@given(st.lists(_size(), min_size=1, max_size=20), budgets, st.data())
def test_each_picture_keeps_its_place(sizes: list[tuple[int, int]], budget: int, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(sizes))))
    pixels, turned = _share(sizes, budget), _share([sizes[i] for i in order], budget)
    assert turned == (None if pixels is None else [pixels[i] for i in order])


@given(_size(), st.integers(LEAST, MOST))
@example((37, 7400), LEAST)
@example((7400, 37), LEAST)
def test_a_reduced_picture_is_never_enlarged_and_keeps_its_shape(size: tuple[int, int], most: int) -> None:
    width, height = reduced_size(*size, most)
    assert 1 <= width <= size[0]
    assert 1 <= height <= size[1]
    assert width * height <= most
    if size[0] * size[1] > most:
        scale = (most / (size[0] * size[1])) ** 0.5
        longest = 200 * min(width, height)
        assert max(width, height) <= longest
        assert size[0] * scale - width < 33 or width == longest  # cells
        assert size[1] * scale - height < 33 or height == longest


def test_sixteen_large_pictures() -> None:
    sizes = [(1024, 1024)] * 16
    assert _share(sizes, 16 * 1026) == [1024 * 1024] * 16
    (cap,) = set(_share(sizes, 8192) or [])
    assert 400_000 < cap < 8192 * 1024 // 16 * 1.1
    assert _share(sizes, 16 * 258) == [LEAST] * 16
    assert _share(sizes, 16 * 258 - 1) is None


def test_small_pictures_are_left_alone_beside_large_ones() -> None:
    assert _share([(300, 400), (1200, 1000), (512, 512)], 1000) == [120_000, MOST // 2, 512 * 512]


def test_pictures_that_come_one_by_one_seldom_change_those_before() -> None:
    sizes = [(1024, 1024 + 8 * n) for n in range(16)]
    caps = [max(_share(sizes[:count], 8192) or []) for count in range(1, 17)]
    assert len({cap for cap in caps if cap < 1024 * 1024}) <= 4


def test_a_reduced_copy_is_a_picture_of_its_own_that_knows_its_original() -> None:
    before = picture(1200, 800)
    after = reduce(before, LEAST)
    assert (after.width, after.height) == (608, 416)
    assert after.pixels_sha256 == pixels_digest(after.pixels) != before.pixels_sha256
    assert not after.pixels.flags.writeable
    assert (after.original_width, after.original_height, after.sha256) == (1200, 800, before.sha256)
    assert after.shrunk
    assert np.array_equal(
        after.pixels, reduce(before, LEAST).pixels
    )  # the same again, for who keeps what it read
    assert before.width == 1200
    assert reduce(before, 1200 * 800) is before


@pytest.mark.parametrize("size", [(7400, 37), (37, 7400), (1200, 1000)])
def test_copies_have_the_size_that_was_counted(size: tuple[int, int]) -> None:
    after = reduce(picture(*size), 200_000)
    assert (after.width, after.height) == reduced_size(*size, 200_000)
