"""Rotary positions: angles as cosines and sines (Su et al., 2021), as Qwen3-VL counts them.

Source: ``modeling_qwen3_vl.py`` of transformers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["TextRotary", "in_cells", "seen"]

Pair = tuple["NDArray[np.float32]", "NDArray[np.float32]"]

_SEEING_THETA = 10_000.0


class TextRotary:
    """Angles of tokens in time, row and column, which take turns among the frequencies.

    Args:
        size: Of a head.
        theta: The base.
        sections: How many frequencies time, row and column have.
    """

    def __init__(self, size: int, theta: float, sections: Sequence[int]) -> None:
        self._frequencies = _frequencies(size, theta)
        self._axis = np.zeros(size // 2, np.int64)
        for axis in (1, 2):
            self._axis[axis : 3 * sections[axis] : 3] = axis

    def __call__(self, positions: NDArray[np.int64]) -> Pair:
        """Cosines and sines ``(tokens, 1, size)``.

        Args:
            positions: ``(3, tokens)``.
        """
        return _both(positions[self._axis].T.astype(np.float32) * self._frequencies)


def seen(rows: int, columns: int, size: int) -> Pair:
    """Cosines and sines ``(patches, 1, size)`` of a picture's patches, cell by cell.

    Args:
        rows: Height in cells, of two by two patches.
        columns: Width in cells.
        size: Of a head.
    """
    frequencies = _frequencies(size // 2, _SEEING_THETA)
    row, column = (in_cells(axis.astype(np.float32)) for axis in np.mgrid[: 2 * rows, : 2 * columns])
    return _both(np.concatenate([row[:, None] * frequencies, column[:, None] * frequencies], axis=1))


def in_cells(patches: NDArray[np.float32]) -> NDArray[np.float32]:
    """``(height, width, …)`` → ``(height * width, …)`` in the order of the model: cell by cell of two by two."""
    height, width, *more = patches.shape
    cells = patches.reshape(height // 2, 2, width // 2, 2, *more).swapaxes(1, 2)
    return np.ascontiguousarray(cells.reshape(height * width, *more))


def _frequencies(size: int, theta: float) -> NDArray[np.float32]:
    steps = np.arange(0, size, 2, dtype=np.float32) / np.float32(size)
    return (1.0 / (np.float32(theta) ** steps)).astype(np.float32)


def _both(angles: NDArray[np.float32]) -> Pair:
    twice = np.concatenate([angles, angles], axis=1)[:, None]
    return np.cos(twice), np.sin(twice)
