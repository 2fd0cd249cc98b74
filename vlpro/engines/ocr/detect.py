"""Where on a picture text lines are: PP-OCR's detector and its "differentiable binarization" boxes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from vlpro.engines.ocr.models import DETECTION, compile_model, picture_input

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Detector", "boxes", "working_size"]

_SHORT_SIDE = 736  # text of a small picture is found better when the picture is enlarged
_MOST_ENLARGED = 3.0
_MOST_PIXELS = 1_500_000  # a receipt and an A4 page of 9-point Chinese are read as well as with 2.6 million
_INK = 0.3  # probability over which a pixel belongs to text
_LEAST_SCORE = 0.5  # mean probability over a box
_GROWTH = 1.6  # the network marks the core of a line; the line is this much larger: see boxes()
_MOST_BOXES = 1000


class Detector:
    """Finds lines of text.

    Args:
        threads: Processor threads to use.
    """

    def __init__(self, threads: int) -> None:
        self._model = compile_model(picture_input(DETECTION.read()), threads=threads, streams=1)

    def release(self) -> None:
        """Give back the memory of the last pictures; the next one takes it anew."""
        self._model.release_memory()

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Find the lines of a picture.

        Args:
            pixels: ``(H, W, 3)`` uint8, RGB.

        Returns:
            ``(N, 4, 2)`` corners x, y in pixels: top left, top right, bottom right, bottom left.
        """
        height, width = pixels.shape[:2]
        size = working_size(width, height)
        shrinks = size[0] * size[1] < width * height
        scaled = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        probability = self._model(scaled[None])[0][0, 0]
        quads = boxes(probability) * np.array((width / size[0], height / size[1]), np.float32)
        return np.asarray(np.clip(quads, 0, (width - 1, height - 1)), np.float32)


def working_size(width: int, height: int) -> tuple[int, int]:
    """Choose the size at which a picture is searched.

    Args:
        width: Of the picture, pixels.
        height: Of the picture, pixels.

    Returns:
        Width and height, multiples of 32 as the network wants them.
    """
    scale = min(max(1.0, _SHORT_SIDE / min(width, height)), _MOST_ENLARGED)
    scale = min(scale, math.sqrt(_MOST_PIXELS / (width * height)))
    return max(32, round(width * scale / 32) * 32), max(32, round(height * scale / 32) * 32)


def boxes(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn the network's map into boxes.

    The network draws each line shrunken by area × (1 - r²) / perimeter, so that neighbours stay apart (Liao et
    al., "Real-time scene text detection with differentiable binarization", AAAI 2020, sections 3.2 and 3.5); here
    each rectangle is grown back by area × 1.6 / perimeter on all sides.

    Args:
        probability: ``(H, W)``, 0 to 1.

    Returns:
        ``(N, 4, 2)`` corners x, y in pixels of the map: top left, top right, bottom right, bottom left.
    """
    ink = cv2.dilate((probability > _INK).astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(ink, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    quads: list[NDArray[np.float32]] = []
    for contour in contours[:_MOST_BOXES]:
        centre, (width, height), angle = cv2.minAreaRect(contour)
        if min(width, height) < 3:
            continue
        core = np.asarray(cv2.boxPoints((centre, (width, height), angle)), np.float32)
        if _score(probability, core) < _LEAST_SCORE:
            continue
        growth = 2 * _GROWTH * width * height / (2 * (width + height))
        grown = cv2.boxPoints((centre, (width + growth, height + growth), angle))
        quads.append(_clockwise(np.asarray(grown, np.float32)))
    return np.array(quads, np.float32).reshape(-1, 4, 2)


def _score(probability: NDArray[np.float32], quad: NDArray[np.float32]) -> float:
    """Mean probability inside a box."""
    height, width = probability.shape
    x1, y1 = np.clip(np.floor(quad.min(0)), 0, (width - 1, height - 1)).astype(int)
    x2, y2 = np.clip(np.ceil(quad.max(0)), 0, (width - 1, height - 1)).astype(int)
    inside = np.zeros((y2 - y1 + 1, x2 - x1 + 1), np.uint8)
    cv2.fillPoly(inside, [(quad - (x1, y1)).astype(np.int32)], 1)
    return float(cv2.mean(probability[y1 : y2 + 1, x1 : x2 + 1], inside)[0])


def _clockwise(quad: NDArray[np.float32]) -> NDArray[np.float32]:
    """Order corners: top left, top right, bottom right, bottom left."""
    by_x = quad[np.argsort(quad[:, 0], kind="stable")]
    left, right = by_x[:2], by_x[2:]
    top_left, bottom_left = left[np.argsort(left[:, 1], kind="stable")]
    top_right, bottom_right = right[np.argsort(right[:, 1], kind="stable")]
    return np.stack((top_left, top_right, bottom_right, bottom_left))
