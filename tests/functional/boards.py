"""Pictures of a small printed circuit board: a golden one, and one with defects."""

from __future__ import annotations

import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["DEFECT", "board", "file_of", "golden_board"]

SIDE = 640
DEFECT = (300, 180, 318, 200)
"""Where the first trace is broken, ``(x1, y1, x2, y2)``."""


def golden_board() -> NDArray[np.uint8]:
    """Traces, pads and holes, dark on light."""
    pixels = np.full((SIDE, SIDE, 3), 255, np.uint8)
    copper = (0, 0, 0)
    for number in range(10):
        y = 70 + 55 * number
        cv2.line(pixels, (60, y), (420 + 15 * (number % 4), y), copper, 12)
        cv2.line(pixels, (420 + 15 * (number % 4), y), (580, 90 + 50 * number), copper, 12)
        for x in (60, 580):
            at = (x, y if x == 60 else 90 + 50 * number)
            cv2.circle(pixels, at, 18, copper, cv2.FILLED)
            cv2.circle(pixels, at, 6, (255, 255, 255), cv2.FILLED)
    cv2.rectangle(pixels, (150, 20), (260, 45), copper, cv2.FILLED)
    return pixels


def board(*, defect: bool = True, seed: int = 0) -> NDArray[np.uint8]:
    """The same board from another picture, with a little noise; with ``defect``, one trace is broken."""
    pixels = golden_board()
    if defect:
        x1, y1, x2, y2 = DEFECT
        pixels[y1 - 6 : y2 + 6, x1:x2] = 255
    noise = np.random.default_rng(seed).normal(0, 4, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def file_of(pixels: NDArray[np.uint8], kind: str = "PNG") -> bytes:
    """Pixels as a file."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()
