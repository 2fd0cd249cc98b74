"""What the rest of the program knows of a picture: clean pixels and where they came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Picture"]


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Clean pixels of one picture, in memory only.

    Args:
        pixels: ``(height, width, 3)`` uint8, RGB, contiguous, read-only; orientation applied, alpha on
            white, no metadata. Possibly smaller than the original: see ``shrunk``.
        sha256: Hex digest of the original bytes.
        pixels_sha256: Hex digest of mode, size and pixel data: equal pictures have equal digests, and
            pictures of other shapes never do (CVE-2025-46722).
        format: ``jpeg``, ``png``, ``bmp`` or ``webp``: what the bytes were, not what their name said. ``pdf``: one
            page of it; the digests of the original and its size are the whole file's.
        size: Length of the original, bytes.
        original_width: Width of the upright original, pixels.
        original_height: Height of the upright original, pixels.
        sm3: Hex digest of the original bytes by SM3 (GB/T 32905-2016); empty where nobody asked for it.
    """

    pixels: NDArray[np.uint8]
    sha256: str
    pixels_sha256: str
    format: str
    size: int
    original_width: int
    original_height: int
    sm3: str = ""

    @property
    def width(self) -> int:
        """Width of ``pixels``."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Height of ``pixels``."""
        return int(self.pixels.shape[0])

    @property
    def shrunk(self) -> bool:
        """Whether the pixels are fewer than the original's."""
        return (self.width, self.height) != (self.original_width, self.original_height)
