"""Where each token of a prompt stands: time, row and column (multimodal rotary positions).

Text stands at p, p, p. A picture that begins at p stands at p, p + row, p + column; what follows it is at
p + max(rows, columns). Source: ``get_rope_index`` of transformers' Qwen3-VL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vlpro.engines.qwen.prompt import Prompt

__all__ = ["positions"]


def positions(prompt: Prompt) -> NDArray[np.int64]:
    """Positions of a prompt.

    Returns:
        ``(3, tokens)``. It ends with text, so what is written next stands one place after the last.
    """
    out = np.empty((3, len(prompt.ids)), np.int64)
    at, place = 0, 0
    for shown in prompt.shown:
        length = shown.begin - at
        out[:, at : shown.begin] = np.arange(place, place + length)
        place += length
        at = shown.begin + shown.rows * shown.columns
        out[0, shown.begin : at] = place
        out[1, shown.begin : at] = place + np.arange(shown.rows).repeat(shown.columns)
        out[2, shown.begin : at] = place + np.tile(np.arange(shown.columns), shown.rows)
        place += max(shown.rows, shown.columns)
    out[:, at:] = np.arange(place, place + len(prompt.ids) - at)
    return out
