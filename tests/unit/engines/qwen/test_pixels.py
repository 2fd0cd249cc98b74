from __future__ import annotations

import numpy as np
import pytest

from tests.support import picture
from vlpro.engines.qwen.pixels import patches


def theirs(pixels: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """As transformers' processor makes them, for a picture that already has its size."""
    transformers = pytest.importorskip(
        "transformers", reason="the packages of the extra qwen are not installed"
    )
    kind = getattr(transformers, "Qwen2VLImageProcessorPil", transformers.Qwen2VLImageProcessor)
    processor = kind(
        patch_size=16,
        merge_size=2,
        temporal_patch_size=2,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
        size={"shortest_edge": 1024, "longest_edge": 16_777_216},
    )
    made = processor(images=[pixels], return_tensors="np")
    assert made["image_grid_thw"].tolist() == [[1, 2 * rows, 2 * columns]]
    values: np.ndarray = made["pixel_values"]
    return values


@pytest.mark.parametrize(("width", "height"), [(64, 64), (96, 64), (160, 224)])
def test_patches_are_those_of_the_models_own_processor(width: int, height: int) -> None:
    pixels = picture(width, height, seed=7).pixels
    rows, columns = height // 32, width // 32
    ours = patches(pixels, rows, columns)
    assert np.abs(ours - theirs(pixels, rows, columns)).max() < 1e-5


@pytest.mark.parametrize(
    ("width", "height", "rows", "columns"), [(100, 70, 2, 3), (60, 70, 2, 2), (300, 200, 6, 9)]
)
def test_a_picture_of_another_size_is_resized(width: int, height: int, rows: int, columns: int) -> None:
    pixels = picture(width, height, seed=3).pixels
    ours = patches(pixels, rows, columns)
    assert ours.shape == (rows * columns * 4, 1536)
    assert np.abs(ours - theirs(pixels, rows, columns)).mean() < 0.02


def test_cells_come_row_by_row_and_colours_in_their_order() -> None:
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[32:, 32:64] = (255, 0, 0)  # second row, second column: red
    ours = patches(pixels, 2, 3).reshape(6, 4, 3, 2, 256)
    assert (ours[4, :, 0] == 1).all()
    assert (ours[4, :, 1:] == -1).all()
    assert (np.delete(ours, 4, axis=0) == -1).all()
