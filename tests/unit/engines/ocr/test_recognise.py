from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vlpro.engines.ocr.recognise import cut_line


def quad(x1: float, y1: float, x2: float, y2: float) -> NDArray[np.float32]:
    return np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)], np.float32)


@pytest.fixture
def halves() -> NDArray[np.uint8]:
    """A picture: left half red, right half blue."""
    pixels = np.zeros((200, 400, 3), np.uint8)
    pixels[:, :200, 0] = 255
    pixels[:, 200:, 2] = 255
    return pixels


def test_a_line_is_cut_at_the_recognisers_height_and_in_proportion(halves: NDArray[np.uint8]) -> None:
    line = cut_line(halves, quad(100, 50, 300, 90))
    assert line.shape == (48, 240, 3)
    assert line[24, 10].tolist() == [255, 0, 0]
    assert line[24, -10].tolist() == [0, 0, 255]


def test_an_upside_down_box_is_cut_the_right_way_up(halves: NDArray[np.uint8]) -> None:
    line = cut_line(halves, np.roll(quad(100, 50, 300, 90), -2, axis=0))
    assert line[24, 10].tolist() == [0, 0, 255]


def test_a_tall_box_is_turned_to_the_left() -> None:
    pixels = np.zeros((400, 200, 3), np.uint8)
    pixels[:200, :, 0] = 255  # red above
    line = cut_line(pixels, quad(80, 100, 120, 300))
    assert line.shape == (48, 240, 3)
    assert line[24, 10].tolist() == [255, 0, 0]
    assert line[24, -10].tolist() == [0, 0, 0]


def test_a_box_of_no_size_and_a_very_long_one_are_cut(halves: NDArray[np.uint8]) -> None:
    assert cut_line(halves, quad(5, 5, 5, 5)).shape == (48, 48, 3)
    assert cut_line(halves, quad(0, 0, 399, 1)).shape == (48, 3200, 3)
