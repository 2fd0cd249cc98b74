"""Pixels → patches, as Qwen3-VL's own image processor gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from vlpro.imaging.tokens import CELL

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FRAMES", "patches"]

_PATCH = 16
FRAMES = 2  # the vision tower reads films, two frames at once; a picture is shown twice


def patches(
    pixels: NDArray[np.uint8], rows: int, columns: int, *, frames: int = FRAMES
) -> NDArray[np.float32]:
    """Resize (bicubic), normalise to -1 … 1 and cut into patches.

    Args:
        pixels: ``(height, width, 3)``, RGB.
        rows: Height for the model, in cells of 32 pixels.
        columns: Width for the model, in cells.
        frames: How often each patch is given.

    Returns:
        ``(rows * columns * 4, 768 * frames)``: cell by cell, in each its four patches, in each colour, frame, row,
        column.
    """
    if pixels.shape[:2] != (rows * CELL, columns * CELL):
        size = (columns * CELL, rows * CELL)
        pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
    cells = pixels.reshape(rows, 2, _PATCH, columns, 2, _PATCH, 3).transpose(0, 3, 1, 4, 6, 2, 5)
    flat = np.ascontiguousarray(cells, dtype=np.float32).reshape(rows * columns * 4, 3, 1, _PATCH * _PATCH)
    flat /= 127.5
    flat -= 1
    return np.repeat(flat, frames, axis=2).reshape(rows * columns * 4, -1)
