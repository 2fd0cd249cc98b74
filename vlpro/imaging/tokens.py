"""How many tokens a picture costs Qwen3-VL, and the size at which it is shown to it.

The arithmetic is ``smart_resize`` of transformers' Qwen2-VL image processor with Qwen3-VL's numbers: patches of
16 pixels, merged 2 × 2, so each side is a multiple of 32 and each cell of 32 × 32 pixels is one token.
"""

from __future__ import annotations

import math

__all__ = ["CELL", "MANY_PICTURES_TOKENS", "MAX_ASPECT", "MAX_PIXELS", "MIN_PIXELS", "fit", "picture_tokens"]

CELL = 32
MIN_PIXELS = 65_536
MAX_PIXELS = 16_777_216
MAX_ASPECT = 200
MANY_PICTURES_TOKENS = 16 * (1280 + 2)
"""Of 16 pictures with the most that the authors of Qwen3-VL suggest, each with its start and end marks."""
_START_AND_END = 2


def fit(
    width: int, height: int, max_pixels: int = MAX_PIXELS, *, min_pixels: int = MIN_PIXELS
) -> tuple[int, int]:
    """The size to which the model's own preprocessing brings a picture.

    Args:
        width: Pixels, 1 or more.
        height: Pixels, 1 or more.
        max_pixels: The most pixels that the model is given; at least ``min_pixels``. Kept, except where a
            very long picture's short side is held at one cell.
        min_pixels: The fewest; smaller pictures are enlarged.

    Returns:
        ``(width, height)``, both multiples of 32.

    Raises:
        ValueError: A side is below 1, one is over 200 times the other, or the two bounds contradict.
    """
    if width < 1 or height < 1:
        raise ValueError(f"a picture of {width} x {height} pixels has no content")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ValueError(f"one side of {width} x {height} is over {MAX_ASPECT} times the other")
    if max_pixels < min_pixels:
        raise ValueError("max_pixels is below min_pixels")
    # Python's round() takes halves to the even number; the model's processor does the same.
    new_width, new_height = (max(CELL, round(side / CELL) * CELL) for side in (width, height))
    if new_width * new_height > max_pixels:
        scale = math.sqrt(width * height / max_pixels)
        return max(CELL, _floor(width / scale)), max(CELL, _floor(height / scale))
    if new_width * new_height < min_pixels:
        scale = math.sqrt(min_pixels / (width * height))
        return _ceil(width * scale), _ceil(height * scale)
    return new_width, new_height


def picture_tokens(
    width: int, height: int, max_pixels: int = MAX_PIXELS, *, min_pixels: int = MIN_PIXELS
) -> int:
    """Tokens of one picture in the prompt, its start and end marks included.

    Args:
        width: Pixels.
        height: Pixels.
        max_pixels: As for :func:`fit`.
        min_pixels: As for :func:`fit`.

    Raises:
        ValueError: As for :func:`fit`.
    """
    new_width, new_height = fit(width, height, max_pixels, min_pixels=min_pixels)
    return (new_width // CELL) * (new_height // CELL) + _START_AND_END


def _floor(side: float) -> int:
    return math.floor(side / CELL) * CELL


def _ceil(side: float) -> int:
    return math.ceil(side / CELL) * CELL
