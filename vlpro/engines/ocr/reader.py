"""Pixels to a :class:`Page`: text with PP-OCRv6, codes with zxing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import cv2
import numpy as np

from vlpro.engines.memory import trim
from vlpro.engines.ocr.codes import read_codes
from vlpro.engines.ocr.detect import Detector
from vlpro.engines.ocr.order import reading_order
from vlpro.engines.ocr.page import Line, Page
from vlpro.engines.ocr.recognise import Recogniser, cut_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["Cancelled", "Reader"]

_LEAST_SIDE = 8  # pixels; nothing can be read in less
_LEAST_CONFIDENCE = 0.5  # what was read with less is not text
_SAMPLE = 8  # lines from which it is judged which way up a page is
_SURE = 0.8  # a page whose sample is read with this confidence is the right way up
_MARGIN = 0.15  # by so much must the sample be read better for a page to be turned


class Cancelled(Exception):  # noqa: N818 - a wish of the caller, not an error
    """The caller asked to stop."""


def _never() -> bool:
    return False


class Reader:
    """Reads pictures. Not for several threads at once: each reading takes all the threads it was given.

    Args:
        threads: Processor threads to use; None: as many as this process may run on.

    Raises:
        EngineUnavailableError: A model's file is missing or was changed.
    """

    def __init__(self, *, threads: int | None = None) -> None:
        threads = threads or _processors()
        self._detect = Detector(threads)
        self._recognise = Recogniser(threads)

    def warm_up(self) -> None:
        """Read a small picture, so that the first real one is not slower than the rest."""
        picture = np.full((96, 640, 3), 255, np.uint8)
        cv2.putText(picture, "Warm up 123", (20, 64), cv2.FONT_HERSHEY_SIMPLEX, 1.8, (0, 0, 0), 3)
        self.read(picture)

    def release(self) -> None:
        """Give the memory in which pictures were read back to the system: half a gigabyte after a few pages.

        What the networks made of the last picture is gone with it.
        """
        self._detect.release()
        self._recognise.release()
        trim()

    def read(self, pixels: NDArray[np.uint8], cancelled: Callable[[], bool] = _never) -> Page:
        """Read all text and codes, whichever way up the page is.

        Args:
            pixels: ``(H, W, 3)`` uint8, RGB.
            cancelled: Asked between the steps; True ends the reading.

        Returns:
            The page; without lines where no text was found.

        Raises:
            Cancelled: ``cancelled`` said so.
        """

        def check() -> None:
            if cancelled():
                raise Cancelled

        check()
        height, width = pixels.shape[:2]
        if min(height, width) < _LEAST_SIDE:
            return Page(width, height, ())
        codes = read_codes(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8))
        check()
        quads = self._detect(pixels)
        check()
        turns = self._turns(pixels, quads, check)
        if turns:
            pixels = np.ascontiguousarray(np.rot90(pixels, turns))
            quads = self._detect(pixels)
        readings = self._recognise([cut_line(pixels, quad) for quad in quads], check)
        lines = reading_order(
            _line(reading.text.strip(), reading.confidence, quad)
            for quad, reading in zip(quads, readings, strict=True)
            if reading.text.strip() and reading.confidence >= _LEAST_CONFIDENCE
        )
        if turns:
            lines = tuple(
                _line(line.text, line.confidence, turned_back(np.array(line.quad), turns, width, height))
                for line in lines
            )
        return Page(width, height, lines, codes)

    def _turns(self, pixels: NDArray[np.uint8], quads: NDArray[np.float32], check: Callable[[], None]) -> int:
        """Find how many quarter turns to the left set the page upright.

        Only strong evidence turns a page: most of its text stands on its side, or its longest lines are read badly,
        and they are read far better turned. A single line is never turned.

        Returns:
            0 to 3.
        """
        if not len(quads):
            return 0
        wide = np.linalg.norm(quads[:, 0] - quads[:, 1], axis=1)
        tall = np.linalg.norm(quads[:, 0] - quads[:, 3], axis=1)
        upright = wide.sum() >= tall.sum()
        longest = np.argsort(-np.maximum(wide, tall), kind="stable")[:_SAMPLE]
        sample = quads[longest]

        def confidence(turns: int) -> float:
            # Where the page is turned to the left, each box's top left corner is what was its corner `turns`
            # further clockwise.
            readings = self._recognise(
                [cut_line(pixels, np.roll(quad, -turns, axis=0)) for quad in sample], check
            )
            letters = sum(len(reading.text) for reading in readings)
            return sum(len(reading.text) * reading.confidence for reading in readings) / max(letters, 1)

        if upright:
            before = confidence(0)
            if before >= _SURE:
                return 0
            return 2 if confidence(2) >= max(_SURE, before + _MARGIN) else 0
        left, right = confidence(1), confidence(3)
        if max(left, right) < _SURE:
            return 0  # perhaps vertical writing
        return 1 if left >= right else 3


def turned_back(quad: NDArray[np.float32], turns: int, width: int, height: int) -> NDArray[np.float32]:
    """Undo quarter turns of a picture for a box found in the turned one.

    Args:
        quad: ``(4, 2)`` corners x, y in the picture after ``np.rot90(picture, turns)``.
        turns: Quarter turns to the left.
        width: Of the picture before, pixels.
        height: Of the picture before, pixels.

    Returns:
        The same corners, in the same order, in the picture before.
    """
    x, y = quad[:, 0], quad[:, 1]
    back = ((x, y), (width - 1 - y, x), (width - 1 - x, height - 1 - y), (y, height - 1 - x))[turns % 4]
    return np.stack(back, axis=1)


def _line(text: str, confidence: float, quad: NDArray[np.float32]) -> Line:
    first, second, third, fourth = ((float(x), float(y)) for x, y in quad)
    return Line(text, min(1.0, max(0.0, confidence)), (first, second, third, fourth))


def _processors() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS or Windows
        return os.cpu_count() or 1
