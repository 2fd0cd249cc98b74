"""The inspected picture with its defects drawn on it, as a file."""

from __future__ import annotations

from io import BytesIO
from typing import Literal

from PIL import Image

from vlpro.imaging.encode import pixels_to_jpeg
from vlpro.imaging.overlay import Drawn, draw
from vlpro.imaging.picture import Picture
from vlpro.workflows.inspection.result import Inspection

__all__ = ["annotated"]


def annotated(picture: Picture, inspection: Inspection, *, form: Literal["jpeg", "png"] = "jpeg") -> bytes:
    """Draw an inspection's defects, numbered from 1 in their order, on the picture.

    Args:
        picture: That was inspected; the drawing has as many pixels as it has here, which may be fewer than its
            original's.
        inspection: What was found in it.
        form: Of the file.

    Returns:
        The file.
    """
    across, down = picture.width / inspection.width, picture.height / inspection.height
    places = [
        Drawn(
            number,
            (defect.box[0] * across, defect.box[1] * down, defect.box[2] * across, defect.box[3] * down),
            f"{defect.kind} {defect.note}".rstrip(),
        )
        for number, defect in enumerate(inspection.defects, 1)
    ]
    pixels = draw(picture.pixels, places)
    if form == "jpeg":
        return pixels_to_jpeg(pixels, quality=90)
    out = BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()
