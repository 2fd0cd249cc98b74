from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.boards import board, picture
from vlpro.imaging.overlay import PALETTE
from vlpro.workflows.inspection.drawing import annotated
from vlpro.workflows.inspection.result import Defect, Inspection


@pytest.mark.parametrize("form", ["jpeg", "png"])
def test_defects_are_drawn_at_their_places_of_a_smaller_picture(form: str) -> None:
    shown = replace(picture(board(1, ()).golden), original_width=1280, original_height=1280)
    found = Inspection("template", (Defect("spur", (400, 900, 600, 1100), 0.9),), "fail", 1280, 1280)
    data = annotated(shown, found, form="png" if form == "png" else "jpeg")
    image = Image.open(io.BytesIO(data))
    assert image.format == form.upper()
    assert image.size == (640, 640)
    assert not image.info.get("exif")
    pixels = np.asarray(image.convert("RGB")).astype(int)
    for x, y in ((200, 500), (300, 500), (250, 550)):
        assert abs(pixels[y, x] - PALETTE[0]).max() < 60, (x, y)
    assert (
        picture(board(1, ()).golden).pixels == shown.pixels
    ).all()  # the inspected picture stays as it was
