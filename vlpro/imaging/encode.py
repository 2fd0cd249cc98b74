"""Clean pixels → bytes for a viewer; in memory, without metadata, since the pixels have none."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import simplejpeg  # type: ignore[import-untyped]  # it ships stubs but no py.typed
from PIL import Image

from vlpro.imaging.decode import shrink

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vlpro.imaging.picture import Picture

__all__ = ["pixels_to_jpeg", "thumbnail", "to_jpeg", "to_png"]


def to_jpeg(picture: Picture, *, quality: int = 85) -> bytes:
    """Encode a picture as JPEG, colour at half resolution (4:2:0).

    Args:
        picture: What to encode.
        quality: 1 to 100.
    """
    return pixels_to_jpeg(picture.pixels, quality=quality)


def to_png(picture: Picture) -> bytes:
    """Encode a picture as PNG, without loss; fast rather than smallest."""
    out = BytesIO()
    Image.fromarray(picture.pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()


def thumbnail(picture: Picture, side: int) -> bytes:
    """A JPEG of the picture whose longer side has at most ``side`` pixels; a small picture keeps its size.

    Args:
        picture: What to show.
        side: Pixels, 1 or more.
    """
    scale = min(1.0, side / max(picture.width, picture.height))
    width, height = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return pixels_to_jpeg(shrink(picture.pixels, width, height), quality=80)


def pixels_to_jpeg(pixels: NDArray[np.uint8], *, quality: int = 85) -> bytes:
    """Encode pixels as :func:`to_jpeg` does a picture.

    Args:
        pixels: ``(height, width, 3)`` uint8, RGB, contiguous.
        quality: 1 to 100.
    """
    data: bytes = simplejpeg.encode_jpeg(pixels, quality=quality, colorspace="RGB", colorsubsampling="420")
    return data
