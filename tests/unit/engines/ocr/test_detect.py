from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlpro.engines.ocr.detect import boxes, working_size


def test_a_marked_core_becomes_a_larger_box_around_it() -> None:
    probability = np.zeros((200, 400), np.float32)
    probability[90:100, 100:300] = 0.9
    (quad,) = boxes(probability)
    growth = 1.6 * 200 * 10 / (2 * (200 + 10))
    expected = [
        (100 - growth, 90 - growth),
        (300 + growth, 90 - growth),
        (300 + growth, 100 + growth),
        (100 - growth, 100 + growth),
    ]
    np.testing.assert_allclose(quad, expected, atol=1.5)


def test_a_slanted_core_keeps_its_slant_and_starts_at_its_top_left() -> None:
    probability = np.zeros((300, 400), np.float32)
    corners = cv2.boxPoints(((200, 150), (200, 14), 20))
    cv2.fillPoly(probability, [corners.astype(np.int32)], 0.9)
    (quad,) = boxes(probability)
    (x1, y1), (x2, y2) = quad[0], quad[1]
    assert np.degrees(np.arctan2(y2 - y1, x2 - x1)) == pytest.approx(20, abs=1.5)


def test_faint_and_tiny_marks_are_no_text() -> None:
    probability = np.zeros((200, 400), np.float32)
    probability[20:40, 20:200] = 0.35  # over the ink threshold, under the box's
    probability[100:101, 50:52] = 0.9
    assert boxes(probability).shape == (0, 4, 2)


@given(st.integers(1, 40_000), st.integers(1, 40_000))
def test_the_working_size_suits_the_network_and_its_memory(width: int, height: int) -> None:
    w, h = working_size(width, height)
    assert w % 32 == h % 32 == 0
    assert w >= 32
    assert h >= 32
    assert w * h <= 1_500_000 * 1.1 + 32 * max(w, h)


def test_a_page_keeps_its_shape_and_a_small_one_is_enlarged() -> None:
    assert working_size(368, 736) == (736, 1472)
    assert working_size(800, 1600) == (800, 1600)
    w, h = working_size(2480, 3508)
    assert w / h == pytest.approx(2480 / 3508, rel=0.03)
