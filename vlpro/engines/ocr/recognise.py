"""What a line of text says: PP-OCR's recogniser."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from vlpro.engines.ocr.models import RECOGNITION, compile_model, metadata, picture_input

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import openvino as ov
    from numpy.typing import NDArray

__all__ = ["Reading", "Recogniser", "cut_line"]

_HEIGHT = 48  # of a line, as the network wants it
_WIDTH_STEP = 8  # one column of the network's answer
_MOST_WIDTH = 3200
_MOST_AT_ONCE = 4


class Reading(NamedTuple):
    """Text of a line, and the mean over its characters of their probability (0 for no text)."""

    text: str
    confidence: float


class Recogniser:
    """Reads lines of text, several at once, each at its own width.

    Args:
        threads: Processor threads to use.
    """

    def __init__(self, threads: int) -> None:
        from openvino import AsyncInferQueue  # noqa: PLC0415 - heavy; models.py says more

        data = RECOGNITION.read()
        self._characters = ["", *metadata(data)["character"].splitlines(), " "]  # first: CTC's blank
        self._model = compile_model(_best_character(picture_input(data)), threads=threads, streams=threads)
        self._queue = AsyncInferQueue(self._model, threads)

    def release(self) -> None:
        """Give back the memory of the last lines; the next ones take it anew."""
        self._model.release_memory()

    def __call__(self, lines: Sequence[NDArray[np.uint8]], check: Callable[[], None]) -> list[Reading]:
        """Read lines.

        Args:
            lines: Each ``(48, W, 3)`` uint8, RGB, W a multiple of 8.
            check: Called before each line; what it raises ends the reading.

        Returns:
            A reading for each line, in their order.
        """
        readings = [Reading("", 0.0)] * len(lines)

        def done(request: ov.InferRequest, index: int) -> None:
            best, probability = (request.get_output_tensor(output).data[0] for output in (0, 1))
            readings[index] = self._decode(best, probability)

        self._queue.set_callback(done)
        try:
            # Widest first: the last ones to end are then short, and no thread waits long for another.
            for index in sorted(range(len(lines)), key=lambda index: -lines[index].shape[1]):
                check()
                self._queue.start_async(lines[index][None], index)
        finally:
            self._queue.wait_all()
        return readings

    def _decode(self, best: NDArray[np.int32], probability: NDArray[np.float32]) -> Reading:
        """Drop repeats and blanks (Graves et al., "Connectionist temporal classification", ICML 2006)."""
        keep = best != 0
        keep[1:] &= best[1:] != best[:-1]
        if not keep.any():
            return Reading("", 0.0)
        return Reading(
            "".join(self._characters[number] for number in best[keep]), float(probability[keep].mean())
        )


def _best_character(model: ov.Model) -> ov.Model:
    """Let the model answer each column's likeliest character and its probability, not all 18,710 of them."""
    import openvino as ov  # noqa: PLC0415 - heavy; models.py says more
    from openvino import opset13 as ops  # noqa: PLC0415

    probabilities = model.outputs[0].get_node().input_value(0)
    top = ops.topk(probabilities, ops.constant(np.int64(1)), 2, "max", "none", index_element_type="i32")
    last = ops.constant([2])
    results = [ops.result(ops.squeeze(top.output(number), last)) for number in (1, 0)]
    return ov.Model(results, model.get_parameters(), "recognition")


def cut_line(pixels: NDArray[np.uint8], quad: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Cut a line out of a picture, upright and at the recogniser's height.

    Args:
        pixels: ``(H, W, 3)`` uint8.
        quad: ``(4, 2)`` corners from the text's top left, clockwise.

    Returns:
        ``(48, W, 3)`` uint8; W keeps the line's proportions, to a multiple of 8. A box much taller than wide
        is turned a quarter to the left first, as the network was trained.
    """
    top, right, bottom, left = (
        float(side) for side in np.linalg.norm(quad - np.roll(quad, -1, axis=0), axis=1)
    )
    width, height = max(top, bottom, 1.0), max(left, right, 1.0)
    if height >= 1.5 * width:
        quad, width, height = np.roll(quad, -1, axis=0), height, width
    columns = min(max(round(_HEIGHT * width / height / _WIDTH_STEP), 1) * _WIDTH_STEP, _MOST_WIDTH)
    target = np.array([[0, 0], [columns, 0], [columns, _HEIGHT], [0, _HEIGHT]], np.float32)
    transform = cv2.getPerspectiveTransform(quad, target)
    line = cv2.warpPerspective(
        pixels, transform, (columns, _HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(line, np.uint8)
