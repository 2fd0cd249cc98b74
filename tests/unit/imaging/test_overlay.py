from __future__ import annotations

import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.browser.receipt import chinese_font
from vlpro.imaging import overlay
from vlpro.imaging.overlay import PALETTE, Drawn, draw

GROUND = (200, 200, 200)


def _ground(width: int = 400, height: int = 300) -> NDArray[np.uint8]:
    return np.full((height, width, 3), GROUND, np.uint8)


def _near(pixels: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    return np.asarray(np.abs(pixels.astype(int) - colour).max(axis=2) < 12)


def test_a_box_is_drawn_where_it_is_told() -> None:
    drawn = draw(_ground(), [Drawn(1, (100, 80, 300, 220))])
    line = _near(drawn, PALETTE[0])
    for x, y in ((100, 150), (300, 150), (200, 220), (100, 80), (300, 220)):
        assert line[y, x], (x, y)
    assert tuple(drawn[150, 200]) == GROUND  # the inside stays to be seen
    assert tuple(drawn[250, 50]) == GROUND
    assert (drawn[150, 97] == 255).all() or (
        drawn[150, 98] == 255
    ).all()  # a rim, for a ground of the same colour


def test_a_point_is_drawn_where_it_is_told() -> None:
    drawn = draw(_ground(), [Drawn(1, (200, 150))])
    assert _near(drawn, PALETTE[0])[147:154, 197:204].all()
    assert tuple(drawn[150, 190]) == GROUND
    assert tuple(drawn[180, 200]) == GROUND


def test_the_picture_itself_stays_as_it_is() -> None:
    pixels = _ground()
    pixels.setflags(write=False)
    assert (draw(pixels, []) == pixels).all()
    draw(pixels, [Drawn(1, (1, 1, 50, 50))])
    assert (pixels == GROUND).all()


def test_equal_labels_have_one_colour_and_others_another() -> None:
    boxes = [(20, 100, 80, 200), (120, 100, 180, 200), (220, 100, 280, 200)]
    drawn = draw(_ground(), [Drawn(1, boxes[0], "a"), Drawn(2, boxes[1], "b"), Drawn(3, boxes[2], "a")])
    colours = [tuple(drawn[150, x]) for x in (20, 120, 220)]
    assert colours == [PALETTE[0], PALETTE[1], PALETTE[0]]


def test_more_labels_than_colours() -> None:
    places = [Drawn(n, (10.0 * n, 100, 10.0 * n + 5, 200), str(n)) for n in range(20)]
    assert draw(_ground(), places).shape == (300, 400, 3)


def test_the_label_stands_above_and_inside_at_the_border() -> None:
    above = draw(_ground(), [Drawn(1, (100, 80, 300, 220), "total")])
    plain = draw(_ground(), [Drawn(1, (100, 80, 300, 220))])
    assert (
        _near(above, PALETTE[0])[:78].sum() > _near(plain, PALETTE[0])[:78].sum() > 100
    )  # the number alone is short
    at_top = draw(_ground(), [Drawn(1, (100, 0, 300, 50), "total")])
    assert _near(at_top, PALETTE[0])[54:80].sum() > 100
    corner = draw(_ground(), [Drawn(1, (390, 290, 400, 300), "a rather long label")])
    assert _near(corner, PALETTE[0])[:288, 200:].sum() > 1000  # moved to the left, not cut off


def test_lines_and_letters_grow_with_the_picture() -> None:
    def colour_share(scale: int) -> float:
        drawn = draw(_ground(800 * scale, 600 * scale), [Drawn(1, (200.0 * scale, 200.0 * scale), "x")])
        return float(_near(drawn, PALETTE[0]).mean())

    assert colour_share(5) == pytest.approx(colour_share(2), rel=0.4)


def test_a_label_that_does_not_fit_leaves_its_number_and_that_at_last_nothing() -> None:
    long = draw(_ground(60, 60), [Drawn(1, (10, 40, 50, 50), "wide as a house")])
    number = draw(_ground(60, 60), [Drawn(1, (10, 40, 50, 50))])
    assert (long == number).all()
    assert draw(_ground(5, 5), [Drawn(1, (1, 1, 3, 3), "x")]).shape == (5, 5, 3)


def test_chinese_is_written_where_there_is_a_font_for_it() -> None:
    chinese_font()
    one, other = (draw(_ground(), [Drawn(1, (100, 80, 300, 220), label)]) for label in ("合计", "金额"))
    assert (one != other).any()  # not two equal empty squares


def test_without_a_chinese_font_the_number_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    overlay._chinese_font.cache_clear()
    try:
        chinese = draw(_ground(), [Drawn(1, (100, 80, 300, 220), "合计")])
        number = draw(_ground(), [Drawn(1, (100, 80, 300, 220))])
        latin = draw(_ground(), [Drawn(1, (100, 80, 300, 220), "total")])
    finally:
        overlay._chinese_font.cache_clear()
    assert (chinese == number).all()
    assert (latin != number).any()


@given(
    st.tuples(st.integers(1, 200), st.integers(1, 200)),
    st.lists(
        st.tuples(st.lists(st.floats(0, 1), min_size=4, max_size=4), st.text(max_size=40), st.booleans()),
        max_size=4,
    ),
)
@settings(derandomize=True, max_examples=100, database=None)
def test_anything_can_be_drawn(size: tuple[int, int], places: list[tuple[list[float], str, bool]]) -> None:
    width, height = size
    drawn = []
    for number, (parts, label, is_point) in enumerate(places, 1):
        (x1, x2), (y1, y2) = sorted(parts[::2]), sorted(parts[1::2])
        corners = (x1 * width, y1 * height, x2 * width, y2 * height)
        drawn.append(Drawn(number, corners[:2] if is_point else corners, label))
    assert draw(_ground(width, height), drawn).shape == (height, width, 3)
