"""Bar codes and two-dimensional codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import zxingcpp

from vlpro.engines.ocr.page import Code

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["read_codes"]

_MAX_SIDE = 2400  # a code that is legible on a page is legible at this size


def read_codes(grey: NDArray[np.uint8]) -> tuple[Code, ...]:
    """Find and read all codes.

    Args:
        grey: ``(H, W)`` uint8.

    Returns:
        The codes whose check sums hold, from top to bottom.
    """
    height, width = grey.shape
    scale = min(1.0, _MAX_SIDE / max(height, width))
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(grey.dtype, copy=False)
    codes = [
        Code(text=found.text, format=found.format.name, quad=_quad(found.position, scale))
        for found in zxingcpp.read_barcodes(grey)
        if found.valid
    ]
    return tuple(sorted(codes, key=lambda code: (code.box[1], code.box[0], code.text)))


def _quad(
    position: zxingcpp.Position, scale: float
) -> tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]:
    corners = (position.top_left, position.top_right, position.bottom_right, position.bottom_left)
    first, second, third, fourth = ((point.x / scale, point.y / scale) for point in corners)
    return first, second, third, fourth
