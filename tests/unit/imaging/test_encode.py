"""Clean pixels for a viewer."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tests.unit.imaging.samples import file, quarters, take
from vlpro.imaging.encode import thumbnail, to_jpeg, to_png


def test_png_is_exact() -> None:
    picture = take(file(quarters(), "PNG"))
    with Image.open(BytesIO(to_png(picture))) as image:
        assert image.format == "PNG"
        assert (np.asarray(image) == picture.pixels).all()


def test_jpeg_is_close() -> None:
    picture = take(file(quarters(), "PNG"))
    with Image.open(BytesIO(to_jpeg(picture, quality=95))) as image:
        assert image.format == "JPEG"
        assert np.abs(np.asarray(image, int) - picture.pixels).mean() < 3


@pytest.mark.parametrize(
    ("size", "wanted"), [((960, 640), (96, 64)), ((30, 20), (30, 20)), ((4000, 20), (96, 1))]
)
def test_a_thumbnail_fits_and_is_never_enlarged(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    picture = take(file(quarters(*size), "PNG"))
    with Image.open(BytesIO(thumbnail(picture, 96))) as image:
        assert image.size == wanted
