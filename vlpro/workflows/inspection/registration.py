"""Lays a golden template on a picture: turned, scaled and moved as a whole, then bent where the board is.

Three steps, each from what the one before left over:

1. Small pictures, turned and scaled in steps; phase correlation gives the shift of each (Kuglin and Hines, 1975);
   the one that agrees best is kept.
2. From there, shift, turn and scale are fitted to all pixels (Gauss-Newton): sub-pixel.
3. What is left is local (line cameras, warped boards): for each cell of a grid, the small shift under which it
   fits best, smoothed so that a defect cannot pull its surroundings along.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from vlpro.workflows.inspection.light import relit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Grey = NDArray[Any]  # uint8; OpenCV's stubs tell no kind of number
    Floats = NDArray[Any]  # float32
    Matrix = NDArray[Any]  # float64

__all__ = ["Registration", "register"]

_COARSE = 160  # longer side of the pictures of step 1, pixels
_NEAR = (
    (0.0, -1.0, 1.0, -2.0, 2.0, -3.0, 3.0),
    (0.98, 1.02, 0.96, 1.04),
)  # degrees and scales, tried in turn
_FAR = (tuple(range(-10, 11)), (0.94, 0.96, 0.98, 1.02, 1.04, 1.06))
_FARTHEST = 0.2  # of the longer side: how far it may have moved
_SURE = 0.8  # agreement from which nothing else is tried
_LIKELY = 0.5  # agreement from which nothing farther is tried
_FITTED = 150  # of step 2, likewise, at least
_HELD = (0.02, 0.02, 3.0, 3.0)  # of step 2: what holds shift, scale and turn back, as squared slope a pixel
_REACH = 3  # of step 3: pixels of the half-size picture
_CELL = 20  # likewise


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """How a template lies on a picture.

    Args:
        degrees: By which the template is turned, anticlockwise as one sees it.
        scale: By which it is enlarged.
        shift: By which its middle is then moved, right and down, pixels.
        map_x: ``(height, width)`` of the picture: the template's column that lies on each pixel.
        map_y: Likewise, its row.
        covered: 255 where the template has something to say of the picture, 0 elsewhere.
        agreement: Correlation of the two, -1 to 1, over what both cover.
    """

    degrees: float
    scale: float
    shift: tuple[float, float]
    map_x: Floats
    map_y: Floats
    covered: Grey
    agreement: float

    def lay(self, template: Grey) -> Grey:
        """Any channel of the template as it lies on the picture."""
        laid: Grey = cv2.remap(
            template, self.map_x, self.map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return laid


def register(picture: Grey, template: Grey) -> Registration:
    """Find how a template lies on a picture.

    Args:
        picture: ``(height, width)``.
        template: ``(height, width)``, of about the same scale.

    Returns:
        The best that was found; whether it is any good says its ``agreement``.
    """
    matrix = _whole(picture, template)
    times = 1
    while max(picture.shape) / (2 * times) >= _FITTED:
        times *= 2
    matrix = _fitted(picture, template, matrix, times, 12)
    if times > 4:
        matrix = _fitted(picture, template, matrix, 4, 6)
    height, width = picture.shape
    back = cv2.invertAffineTransform(matrix)
    map_x, map_y = _mapped(back, width, height)
    laid = cv2.remap(template, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    covered = _covered(map_x, map_y, template.shape)
    bent = cv2.transform(_bent(picture, laid, covered), back[:, :2])
    for mapped, field in ((map_x, bent[..., 0]), (map_y, bent[..., 1])):
        cv2.add(mapped, cv2.resize(field, (width, height), interpolation=cv2.INTER_LINEAR), dst=mapped)
    covered = _covered(map_x, map_y, template.shape)
    laid = cv2.remap(template, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    middle = matrix @ np.array([(template.shape[1] - 1) / 2, (template.shape[0] - 1) / 2, 1])
    return Registration(
        degrees=-math.degrees(math.atan2(matrix[1, 0], matrix[0, 0])),
        scale=math.hypot(matrix[0, 0], matrix[1, 0]),
        shift=(float(middle[0] - (width - 1) / 2), float(middle[1] - (height - 1) / 2)),
        map_x=map_x,
        map_y=map_y,
        covered=covered,
        agreement=_agreement(_smaller(picture, 4), _smaller(laid, 4), _smaller(covered, 4)),
    )


def _smaller(pixels: Grey, times: int) -> Grey:
    height, width = pixels.shape
    size = (max(1, width // times), max(1, height // times))
    small: Grey = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return small


def _whole(picture: Grey, template: Grey) -> Matrix:
    """Step 1: template to picture, 2 × 3."""
    times = max(1.0, max(*picture.shape, *template.shape) / _COARSE)
    side = cv2.getOptimalDFTSize(_COARSE)
    seen = _framed(picture, times, side)
    golden = _framed(template, times, side)
    full = _framed(np.full_like(template, 255), times, side)
    window = cv2.createHanningWindow((side, side), cv2.CV_32F)
    values = _level(seen)
    windowed, plain = cv2.dft(values * window), cv2.dft(values)
    valid = _framed(np.full_like(picture, 255), times, side)
    reach = int(_FARTHEST * side) + 1

    def tried(degrees: float, scale: float) -> tuple[float, Matrix]:
        turned = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), degrees, scale)
        laid = cv2.warpAffine(golden, turned, (side, side), borderMode=cv2.BORDER_REPLICATE)
        values = _level(laid)
        best = (-2.0, turned)
        for product in (  # sharp; and blunt, for boards on which there is little, maybe at the edge
            _whitened(cv2.mulSpectrums(windowed, cv2.dft(values * window), 0, conjB=True)),
            cv2.mulSpectrums(plain, cv2.dft(values), 0, conjB=True),
        ):
            surface = cv2.idft(product, flags=cv2.DFT_SCALE | cv2.DFT_REAL_OUTPUT)
            for part in (surface[reach:-reach], surface[:, reach:-reach]):
                part[:] = -np.inf  # so far away hardly anything would be left to compare
            for _ in range(2):  # boards repeat themselves: the second peak may be the true one
                _, _, _, (x, y) = cv2.minMaxLoc(surface)
                moved = turned.copy()
                moved[:, 2] += (x - side if x > side / 2 else x, y - side if y > side / 2 else y)
                laid = cv2.warpAffine(golden, moved, (side, side), borderMode=cv2.BORDER_REPLICATE)
                both = cv2.min(cv2.warpAffine(full, moved, (side, side)), valid)
                best = max(best, (_agreement(seen, laid, both), moved), key=lambda one: one[0])
                cv2.circle(surface, (x, y), 3, -math.inf, cv2.FILLED)
        return best

    best = (-2.0, np.eye(2, 3))
    for turns, scales in (_NEAR, _FAR):
        turn = 0.0
        for degrees in turns:
            if (one := tried(degrees, 1.0))[0] > best[0]:
                best, turn = one, degrees
            if best[0] >= _SURE:
                break
        for scale in scales:
            if best[0] >= _SURE:
                break
            best = max(best, tried(turn, scale), key=lambda one: one[0])
        if best[0] >= _LIKELY:
            break
    # from the small frames back to the full pictures: both were put in the middle of theirs
    to_small, from_small = _frame(template, times, side), _frame(picture, times, side)
    matrix: Matrix = np.linalg.inv(from_small) @ np.vstack([best[1], (0, 0, 1)]) @ to_small
    return matrix[:2]


def _frame(pixels: Grey, times: float, side: int) -> Matrix:
    """Pixels of a picture → those of the small square frame in whose middle it is put, 3 × 3."""
    height, width = pixels.shape
    small = 1 / times
    return np.array(
        [
            [small, 0, (side - 1) / 2 - (width - 1) / 2 * small],
            [0, small, (side - 1) / 2 - (height - 1) / 2 * small],
            [0, 0, 1],
        ]
    )


def _framed(pixels: Grey, times: float, side: int) -> Grey:
    whole = int(times)
    if whole > 1:
        height, width = pixels.shape
        pixels = cv2.resize(
            pixels, (max(1, width // whole), max(1, height // whole)), interpolation=cv2.INTER_AREA
        )
        frame = _frame(pixels, times / whole, side)
    else:
        frame = _frame(pixels, times, side)
    framed: Grey = cv2.warpAffine(pixels, frame[:2], (side, side), flags=cv2.INTER_LINEAR)
    return framed


def _level(pixels: Grey) -> Floats:
    """Without the light's slow changes."""
    values = pixels.astype(np.float32)
    level: Floats = values - cv2.blur(values, (31, 31))
    return level


def _whitened(packed: Floats) -> Floats:
    """The cross-power spectrum, which OpenCV packs real, with all its magnitudes brought near one."""
    magnitude = np.abs(packed)
    magnitude[:, 1:-1:2] = magnitude[:, 2::2] = cv2.magnitude(
        np.ascontiguousarray(packed[:, 1:-1:2]), np.ascontiguousarray(packed[:, 2::2])
    )
    whitened: Floats = packed / (magnitude + 1e-6 + 0.05 * float(magnitude.mean()))
    return whitened


def _agreement(one: Grey, other: Grey, where: Grey) -> float:
    """Correlation of what is left without the light's slow changes, over where the mask is set."""
    weight = (where > 250).astype(np.float32)
    total = float(weight.sum())
    if total < 0.25 * weight.size:
        return -1.0
    a, b = _level(np.where(where > 250, one, other)), _level(other)
    a = (a - float((a * weight).sum()) / total) * weight
    b = (b - float((b * weight).sum()) / total) * weight
    power = float((a * a).sum()) * float((b * b).sum())
    return float((a * b).sum()) / math.sqrt(power) if power > 0 else -1.0


def _fitted(picture: Grey, template: Grey, start: Matrix, times: int, steps: int) -> Matrix:
    """Step 2 at one size: template to picture, 2 × 3.

    Gauss-Newton on all pixels (Baker and Matthews, 2004) for shift, turn and scale; what does not fit, as a defect
    does not, counts little. Where the picture does not tell, as along straight lines, nothing moves.
    """
    small, golden = _smaller(picture, times), _smaller(template, times)
    height, width = small.shape
    # the middle of pixel 0 of the small picture lies at (times - 1) / 2 of the full one
    enlarge = np.array([[times, 0, (times - 1) / 2], [0, times, (times - 1) / 2], [0, 0, 1.0]])
    matrix = np.linalg.inv(enlarge) @ np.vstack([start, (0, 0, 1)]) @ enlarge
    middle, radius = ((width - 1) / 2, (height - 1) / 2), max(width, height) / 2
    x = (np.arange(width, dtype=np.float32)[None, :] - np.float32(middle[0])) / np.float32(radius)
    y = (np.arange(height, dtype=np.float32)[:, None] - np.float32(middle[1])) / np.float32(radius)
    full = np.full_like(golden, 255)
    slopes = np.empty((4, height, width), np.float32)
    held = width * height * np.array(_HELD)
    gone = np.zeros(4)
    for _ in range(steps):
        laid = cv2.warpAffine(golden, matrix[:2], (width, height), borderMode=cv2.BORDER_REPLICATE)
        inside = cv2.erode(cv2.warpAffine(full, matrix[:2], (width, height)), np.ones((3, 3), np.uint8))
        values = cv2.GaussianBlur(_level(laid), (0, 0), 1.0)
        off = cv2.GaussianBlur(_level(np.where(inside > 250, small, laid)), (0, 0), 1.0) - values
        tolerated = 0.3 * float(values.std()) + 1
        weight = (inside > 250) / (1 + (off / tolerated) ** 2)
        across, down = cv2.Scharr(values, cv2.CV_32F, 1, 0) / 32, cv2.Scharr(values, cv2.CV_32F, 0, 1) / 32
        slopes[0], slopes[1] = -across, -down
        slopes[2] = -(across * x + down * y)
        slopes[3] = across * y - down * x
        flat = slopes.reshape(4, -1)
        weighted = flat * weight.reshape(-1).astype(np.float32)
        normal = (weighted @ flat.T).astype(np.float64)
        pull = (weighted @ off.reshape(-1)).astype(np.float64) - held * gone
        step = np.linalg.solve(normal + np.diag(held), pull)
        gone += step
        moved, grown, turned = step[:2], step[2] / radius, step[3] / radius
        about = np.array([[1 + grown, -turned], [turned, 1 + grown]])
        change = np.eye(3)
        change[:2, :2] = about
        change[:2, 2] = moved + (np.eye(2) - about) @ middle
        matrix = change @ matrix
        if float(np.abs(step).max()) < 0.02:
            break
    fitted: Matrix = enlarge @ matrix @ np.linalg.inv(enlarge)
    return fitted[:2]


def _mapped(back: Matrix, width: int, height: int) -> tuple[Floats, Floats]:
    """For each pixel of the picture, the template's column and row."""
    x = np.arange(width, dtype=np.float32)[None, :]
    y = np.arange(height, dtype=np.float32)[:, None]
    a, b = back.astype(np.float32)
    return a[0] * x + (a[1] * y + a[2]), b[0] * x + (b[1] * y + b[2])


def _covered(map_x: Floats, map_y: Floats, shape: tuple[int, ...]) -> Grey:
    columns = cv2.inRange(map_x, -0.6, shape[1] - 0.4)
    covered: Grey = cv2.bitwise_and(columns, cv2.inRange(map_y, -0.6, shape[0] - 0.4))
    return covered


def _bent(picture: Grey, laid: Grey, covered: Grey) -> Floats:
    """Step 3: by how many pixels to look further right and further down, ``(rows, columns, 2)`` of the grid."""
    half, golden, where = (_smaller(pixels, 2) for pixels in (picture, laid, covered))
    half = cv2.GaussianBlur(relit(half, golden, where), (3, 3), 0)
    golden = cv2.GaussianBlur(golden, (3, 3), 0)
    rows, columns = max(1, half.shape[0] // _CELL), max(1, half.shape[1] // _CELL)
    seen, around = half.shape, cv2.copyMakeBorder(golden, *(_REACH,) * 4, cv2.BORDER_REPLICATE)
    steps = 2 * _REACH + 1
    costs = np.empty((steps, steps, rows, columns), np.float32)
    for down in range(steps):
        for aside in range(steps):
            off = cv2.absdiff(half, around[down : down + seen[0], aside : aside + seen[1]])
            cell = cv2.resize(cv2.min(off, where), (columns, rows), interpolation=cv2.INTER_AREA)
            costs[down, aside] = cv2.blur(cell.astype(np.float32), (3, 3))
    # where a cell says nothing of a direction, as along a straight line, it follows the picture as a whole
    total = costs.mean(axis=(2, 3))
    best = np.unravel_index(int(total.argmin()), total.shape)
    away = np.hypot(*(np.arange(steps)[:, None] - best[0], np.arange(steps)[None, :] - best[1]))
    costs += (0.3 * away).astype(np.float32)[:, :, None, None]
    flat = costs.reshape(steps * steps, -1).argmin(axis=0)
    row, column = np.divmod(flat, steps)
    cells = np.arange(rows * columns)
    told = costs.reshape(steps, steps, -1)

    def between(at: NDArray[np.intp], other: NDArray[np.intp], *, rowwise: bool) -> Floats:
        """Sub-pixel: the parabola through the lowest cost and its neighbours."""
        low, high = np.maximum(at - 1, 0), np.minimum(at + 1, steps - 1)
        before, middle, after = (
            (told[place, other, cells] if rowwise else told[other, place, cells]) for place in (low, at, high)
        )
        bend = before - 2 * middle + after
        part = np.where((bend > 1e-3) & (low < at) & (high > at), 0.5 * (before - after) / (bend + 1e-9), 0.0)
        moved: Floats = (at - _REACH + part.clip(-0.5, 0.5)).astype(np.float32)
        return moved.reshape(rows, columns)

    fields = (between(column, row, rowwise=False), between(row, column, rowwise=True))
    bent: Floats = np.dstack([2 * cv2.blur(cv2.medianBlur(field, 3), (3, 3)) for field in fields])
    return bent
