"""Takes the difference of light between a picture and a template laid on it out of the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Grey = NDArray[Any]  # uint8; OpenCV's stubs tell no kind of number
    Floats = NDArray[Any]  # float32

__all__ = ["relit"]

_TIMES = 4  # the light is looked at in pictures so much smaller
_FITS, _USUAL = 2, 15.0  # rounds after the first, and by how much of brightness a pixel is usually off
_EVEN = 200.0  # squared brightness below which a place tells nothing of its own gain


def relit(picture: Grey, laid: Grey, covered: Grey) -> Grey:
    """The picture as it would look in the template's light.

    Gain and offset are fitted around each place as a guided filter does (He, Sun and Tang, 2010), over a quarter of
    the picture: slow changes of light go, defects stay.

    Args:
        picture: ``(height, width)``.
        laid: The template as it lies on it.
        covered: 255 where there is template.
    """
    height, width = picture.shape
    size = (max(1, width // _TIMES), max(1, height // _TIMES))
    seen, golden, where = (
        cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        for pixels in (picture, laid, covered)
    )
    inside = (where > 250).astype(np.float32)
    # what differs is not light: the more it does under the first fit, the less it counts in the next
    weight = inside
    for _ in range(_FITS):
        gain, level, golden_level = _fitted(seen, golden, weight)
        off = seen - (gain * (golden - golden_level) + level)
        weight = inside / (1 + (off / _USUAL) ** 2)
    gain, level, golden_level = _fitted(seen, golden, weight)
    back, offset = (
        cv2.resize(field, (width, height), interpolation=cv2.INTER_LINEAR)
        for field in (1 / gain, level / gain - golden_level)
    )
    values = cv2.multiply(picture, back, dtype=cv2.CV_32F)
    evened: Grey = cv2.subtract(values, offset, dtype=cv2.CV_8U)
    return evened


def _fitted(seen: Floats, golden: Floats, weight: Floats) -> tuple[Floats, Floats, Floats]:
    """Around each place: gain, and the means of both, each pixel with its weight."""
    window = (max(seen.shape) // 4 * 2 + 1,) * 2

    def around(values: Floats) -> Floats:
        return cv2.blur(values * weight, window, borderType=cv2.BORDER_REFLECT) / share

    share = cv2.blur(weight, window, borderType=cv2.BORDER_REFLECT) + 1e-6
    level, golden_level = around(seen), around(golden)
    together = around(seen * golden) - level * golden_level
    spread = around(golden * golden) - golden_level * golden_level
    overall = float(together.mean()) / (float(spread.mean()) + 1e-6)
    gain: Floats = ((together + _EVEN * overall) / (spread + _EVEN)).clip(0.2, 5)
    return gain, level, golden_level
