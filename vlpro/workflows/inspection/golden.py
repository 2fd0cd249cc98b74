"""A picture against its golden template: what is there and should not be, and what is missing.

The template is laid on the picture (:mod:`.registration`), the light made equal (:mod:`.light`), and what differs by
more than an edge may is a defect. Boards of two tones, as conductors on their ground are, are compared as copper and
ground, and each defect gets its kind (:mod:`.kinds`); all others are compared in colour, where a defect is a
``difference``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np

from vlpro.imaging.picture import Picture
from vlpro.workflows.inspection.kinds import Seen, kind, look
from vlpro.workflows.inspection.light import relit
from vlpro.workflows.inspection.registration import Registration, register
from vlpro.workflows.inspection.result import Box, Defect, Inspection

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Grey = NDArray[Any]  # uint8; OpenCV's stubs tell no kind of number

__all__ = ["MAX_DEFECTS", "inspect"]

MAX_DEFECTS = 200

_SIDE = 1600  # pictures are compared with at most so many pixels on their longer side
_AGREES = 0.6  # correlation from which a template lies on its picture; of other boards it is below 0.45
_PLAIN = 3.0  # spread of brightness below which a template shows nothing
_TWO_TONES = 0.8  # share of the spread that two tones explain; of an even spread it is 0.75
_COLOURLESS = 12  # mean difference of a pixel's channels up to which a picture is black and white
_ROUGH, _SMOOTH = (
    0.5,
    0.4,
)  # pixels by which edges differ: from where pictures are too large, and what is right
_FINE_SIDE = 720  # pixels of the longer side from which that is looked at
_ROOM = 10  # pixels of surroundings in a defect's box
_JOIN = 3  # pixels: what lies closer together than twice this is one defect
_SURE, _LIKELY = 12, 12  # pixels of a defect that an edge may not explain: moved by 2 pixels, by 1
_SMALL = 26  # pixels: a defect that only the latter shows is at most so long
_ALONE = 0.7  # and of what it shows around that, it is at least so much
_AROUND = 30
_EDGE_WIDTH, _EDGE_LENGTH = 2.2, 10  # pixels: what is thinner than this and longer than that is a moved edge
_BAND = 24  # pixels along the template's own edges in which the picture may show nothing of the board
_CHANGED = 30  # brightness by which a colour differs
_CHANGED_PIXELS = 24
_COMPARED = 0.6  # share of the picture that a template must cover

_BLOCK = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class _Found:
    """A defect in pixels of the compared picture."""

    kind: str
    box: Box
    score: float


def inspect(
    picture: Picture, template: Picture, *, copper: Literal["dark", "light"] | None = None
) -> Inspection:
    """Find the defects of a board by difference to a board without any.

    Args:
        picture: The board.
        template: The same part of a board without defects; turned by up to 3° or so, moved by up to a tenth of the
            picture, and 3 % larger or smaller. Pictures of the same proportions show the same part.
        copper: Which of two tones the conductors are; None: dark in black and white, light in colour.

    Returns:
        ``template``; ``review`` with a sentence where the two cannot be laid on each other, or differ so much that
        they are not of the same board.
    """
    laid = _laid(picture, template, _SIDE)
    if laid is None:
        return _unclear(
            picture,
            None,
            "The template shows nothing to compare with. Choose another picture as the template.",
            "模板图中没有可比对的内容，请更换模板图。",
        )
    if not laid.fits:
        return _unclear(
            picture,
            None,
            "The picture cannot be aligned with the template. Check that both show the same side of the same board, "
            "at the same scale, or choose another template.",
            "图片无法与模板对齐。请检查两者是否为同一块板的同一面、比例是否一致，或更换模板。",
        )
    _, parted = _tones(laid.golden_grey)
    if parted >= _TWO_TONES:
        if copper is None:
            colour = float(np.ptp(laid.golden[::4, ::4].astype(np.int16), axis=2).mean())
            copper = "dark" if colour <= _COLOURLESS else "light"
        laid, found = _conductors(laid, picture, template, dark=copper == "dark")
    else:
        found = _colours(laid)
    shift = _shift(laid)
    if len(found) > MAX_DEFECTS:
        return _unclear(
            picture,
            shift,
            f"The picture differs from the template in more than {MAX_DEFECTS} places. Check that both are of the "
            "same board.",
            f"图片与模板有超过 {MAX_DEFECTS} 处不同，请检查两者是否为同一块板。",
        )
    found.sort(key=lambda one: -one.score)
    return Inspection(
        "template",
        tuple(
            Defect(one.kind, _original(one.box, picture, laid.times), round(one.score, 3)) for one in found
        ),
        "fail" if found else "pass",
        picture.original_width,
        picture.original_height,
        shift,
    )


def _unclear(
    picture: Picture, shift: tuple[float, float, float, float] | None, message: str, zh: str
) -> Inspection:
    size = (picture.original_width, picture.original_height)
    return Inspection("template", (), "review", *size, shift, message, zh)


@dataclass(frozen=True, slots=True, eq=False)
class _Laid:
    """A template laid on a picture, both of one scale.

    Args:
        seen: The picture, RGB.
        grey: The picture, grey.
        golden: The template, RGB, as it is.
        golden_grey: The template, grey, as it lies on the picture.
        how: How it lies there.
        times: How many pixels of the picture's original one of ``seen`` is.
    """

    seen: Grey
    grey: Grey
    golden: Grey
    golden_grey: Grey
    how: Registration
    times: float

    @property
    def fits(self) -> bool:
        """Whether it lies where it belongs."""
        return self.how.agreement >= _AGREES and float(self.how.covered.mean()) >= 255 * _COMPARED


def _laid(picture: Picture, template: Picture, side: int) -> _Laid | None:
    """Lay a template on a picture.

    Args:
        picture: The picture.
        template: The template.
        side: Of the pictures that are compared: the most pixels of the longer one.

    Returns:
        None where the template shows nothing.
    """
    shrink = min(1.0, side / max(picture.width, picture.height))
    width, height = max(1, round(picture.width * shrink)), max(1, round(picture.height * shrink))
    times = picture.original_width / width
    seen = _resized(picture.pixels, (width, height))
    grey = cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY)
    best: _Laid | None = None
    for size in _sizes(picture, template, (width, height), times):
        golden = _resized(template.pixels, size)
        golden_grey = cv2.cvtColor(golden, cv2.COLOR_RGB2GRAY)
        if float(golden_grey.std()) < _PLAIN:
            continue
        how = register(grey, golden_grey)
        if best is None or how.agreement > best.how.agreement:
            best = _Laid(seen, grey, golden, how.lay(golden_grey), how, times)
    return best


def _sizes(picture: Picture, template: Picture, seen: tuple[int, int], times: float) -> list[tuple[int, int]]:
    """In which size a template may fit: one that shows the same part as the picture, or is of the same scale."""
    original = (template.original_width, template.original_height)
    part = min(1 / times, 2 * max(seen) / max(original))  # one that shows very much more is looked at smaller
    scaled = (max(1, round(original[0] * part)), max(1, round(original[1] * part)))
    proportions = picture.original_width / picture.original_height / (original[0] / original[1])
    if abs(proportions - 1) >= 0.03:
        return [scaled]
    return [seen] if max(abs(scaled[0] - seen[0]), abs(scaled[1] - seen[1])) <= 1 else [seen, scaled]


def _resized(pixels: Grey, size: tuple[int, int]) -> Grey:
    if (pixels.shape[1], pixels.shape[0]) == size:
        return pixels
    smaller = size[0] <= pixels.shape[1]
    resized: Grey = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    return resized


def _shift(laid: _Laid) -> tuple[float, float, float, float]:
    how = laid.how
    across, down = (round(pixels * laid.times, 2) for pixels in how.shift)
    return round(how.degrees, 3), round(how.scale, 4), across, down


def _original(box: Box, picture: Picture, times: float) -> Box:
    x1, y1, x2, y2 = (round(side * times) for side in box)
    width, height = picture.original_width, picture.original_height
    return max(0, x1), max(0, y1), min(width, x2), min(height, y2)


def _roomy(box: Box) -> Box:
    return box[0] - _ROOM, box[1] - _ROOM, box[2] + _ROOM, box[3] + _ROOM


def _tones(grey: Grey) -> tuple[float, float]:
    """Otsu's threshold, and the share of the spread that the two tones explain, 0 to 1."""
    threshold, _ = cv2.threshold(grey, 0, 255, cv2.THRESH_OTSU)
    counts = cv2.calcHist([grey], [0], None, [256], [0, 256]).reshape(-1).astype(np.float64)
    levels = np.arange(256)
    low = levels <= threshold
    below, above = counts[low].sum(), counts[~low].sum()
    if not below or not above:
        return threshold, 0.0
    apart = (counts[low] @ levels[low]) / below - (counts[~low] @ levels[~low]) / above
    total = below + above
    spread = counts @ levels**2 / total - (counts @ levels / total) ** 2
    return threshold, float(below * above / total**2 * apart**2 / max(spread, 1e-6))


def _conductors(
    laid: _Laid, picture: Picture, template: Picture, *, dark: bool
) -> tuple[_Laid, list[_Found]]:
    """Compare as copper and ground; where large pictures have rough edges, at a smaller size, which comes back."""
    copper, golden = _tones_of(laid, dark=dark)
    side = max(copper.shape)
    rough = _roughness(copper, golden, laid.how.covered) if side > _FINE_SIDE else 0.0
    if rough > _ROUGH:
        smaller = _laid(picture, template, max(_FINE_SIDE, round(side * _SMOOTH / rough)))
        if smaller is not None and smaller.fits:
            laid = smaller
            copper, golden = _tones_of(laid, dark=dark)
    where = _compared(laid.how, copper, golden, laid.golden.shape)
    return laid, [
        _Found(kind(seen), _roomy(seen.box), score)
        for extra, one, other in ((True, copper, golden), (False, 1 - copper, 1 - golden))
        for seen, score in _beyond(one, other, where, copper, extra=extra)
    ]


def _tones_of(laid: _Laid, *, dark: bool) -> tuple[Grey, Grey]:
    """Copper of the picture and of the template: 1, the rest 0."""
    threshold, _ = _tones(laid.golden_grey)
    how = cv2.THRESH_BINARY_INV if dark else cv2.THRESH_BINARY
    _, golden = cv2.threshold(laid.golden_grey, threshold, 1, how)
    _, copper = cv2.threshold(relit(laid.grey, laid.golden_grey, laid.how.covered), threshold, 1, how)
    return copper, golden


def _roughness(copper: Grey, golden: Grey, covered: Grey) -> float:
    """By how many pixels edges differ, in the middle one of all places that have edges."""
    size = (max(1, golden.shape[1] // 32), max(1, golden.shape[0] // 32))
    off, edges = (
        cv2.resize(255 * (mask & (covered & 1)), size, interpolation=cv2.INTER_AREA).astype(np.float32)
        for mask in (copper ^ golden, golden ^ cv2.erode(golden, _BLOCK))
    )
    there = edges > 8
    return float(np.median(off[there] / edges[there])) if there.any() else 0.0


def _beyond(
    one: Grey, other: Grey, where: Grey, copper: Grey, *, extra: bool
) -> Iterator[tuple[Seen, float]]:
    """What of one mask lies farther outside another than an edge may, each with how sure that is."""
    strict = one & (1 - other) & where
    near = strict & (1 - cv2.dilate(other, _disc(1)))
    far = strict & (1 - cv2.dilate(other, _disc(2)))
    whole = strict & cv2.dilate(near, _disc(2))
    seeds = whole & cv2.dilate(far, _disc(3)) | cv2.morphologyEx(
        near, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)
    )
    for x, y, inside in _parts(cv2.dilate(seeds, _disc(_JOIN))):
        height, width = inside.shape
        cut = np.s_[y : y + height, x : x + width]
        likely = cv2.countNonZero(near[cut] & inside)
        sure = cv2.countNonZero(far[cut] & inside)
        if sure < _SURE:
            if likely < _LIKELY or max(width, height) - 2 * _JOIN > _SMALL:
                continue
            around = near[
                max(0, y - _AROUND) : y + height + _AROUND, max(0, x - _AROUND) : x + width + _AROUND
            ]
            if likely < _ALONE * cv2.countNonZero(around):
                continue
        blob = whole[cut] & inside
        left, top, wide, tall = cv2.boundingRect(blob)
        length = math.hypot(wide, tall)
        if length > _EDGE_LENGTH and cv2.countNonZero(blob) < _EDGE_WIDTH * length:
            continue
        box = (x + left, y + top, x + left + wide, y + top + tall)
        seen = look(blob[top : top + tall, left : left + wide], box, copper, extra=extra)
        yield seen, 1 - math.exp(-(likely + 2 * sure) / 40)


def _parts(mask: Grey) -> Iterator[tuple[int, int, Grey]]:
    """Each connected part of a mask: column and row of its box's corner, and 1 inside it."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    for contour in contours:
        x, y, width, height = cv2.boundingRect(contour)
        inside = np.zeros((height, width), np.uint8)
        cv2.drawContours(inside, [contour], -1, 1, cv2.FILLED, offset=(-x, -y))
        yield x, y, inside


def _disc(radius: int) -> Grey:
    disc: Grey = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
    return disc


def _compared(registration: Registration, copper: Grey, golden: Grey, shape: tuple[int, ...]) -> Grey:
    """1 where the two can be compared: both have pixels there, and they are pixels of the board.

    A picture that was turned or moved shows something else along an edge: a filling, or what lies beside the board.
    There most of an edge's whole length differs, which no defect does.
    """
    where = registration.covered & 1
    off = cv2.morphologyEx((copper ^ golden) & where, cv2.MORPH_OPEN, _BLOCK)
    band, map_x, map_y = 2 * _BAND, registration.map_x, registration.map_y
    for edge, depth in (
        (np.s_[:, :band], map_x[:, :band]),
        (np.s_[:, -band:], shape[1] - 1 - map_x[:, -band:]),
        (np.s_[:band], map_y[:band]),
        (np.s_[-band:], shape[0] - 1 - map_y[-band:]),
    ):
        inside = (where[edge] > 0) & (depth < _BAND) & (depth > -1)
        at = (depth[inside] + 1).astype(np.intp)
        total = np.bincount(at, minlength=_BAND + 2)[: _BAND + 1] + 1e-6
        wrong = np.bincount(at, off[edge][inside], minlength=_BAND + 2)[: _BAND + 1] / total
        tone = np.bincount(at, copper[edge][inside], minlength=_BAND + 2)[: _BAND + 1] / total
        empty = np.abs(tone - 0.5) > 0.496  # of one tone along the whole edge
        beside = (wrong > 0.12) | (empty & (wrong > 0.02))
        if beside.any():
            where[edge][depth < int(np.flatnonzero(beside)[-1]) + 2] = 0
    framed = cv2.copyMakeBorder(where, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    return cv2.erode(framed, _disc(2))[1:-1, 1:-1]


def _colours(laid: _Laid) -> list[_Found]:
    """Compare in colour: what is brighter or darker, in any channel, than the template is anywhere near."""
    changed: Grey = np.zeros(laid.grey.shape, np.uint8)
    near = _disc(2)
    for channel in range(3):
        golden = laid.how.lay(np.ascontiguousarray(laid.golden[..., channel]))
        even = relit(np.ascontiguousarray(laid.seen[..., channel]), golden, laid.how.covered)
        even, golden = cv2.GaussianBlur(even, (3, 3), 0), cv2.GaussianBlur(golden, (3, 3), 0)
        brighter = cv2.subtract(even, cv2.dilate(golden, near))
        darker = cv2.subtract(cv2.erode(golden, near), even)
        changed = cv2.max(changed, cv2.max(brighter, darker))
    framed = cv2.copyMakeBorder(laid.how.covered, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    changed[cv2.erode(framed, _disc(3))[1:-1, 1:-1] == 0] = 0
    _, mask = cv2.threshold(changed, _CHANGED, 1, cv2.THRESH_BINARY)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    found = []
    for x, y, inside in _parts(cv2.dilate(mask, _disc(2 * _JOIN))):
        height, width = inside.shape
        cut = np.s_[y : y + height, x : x + width]
        blob = mask[cut] & inside
        size = cv2.countNonZero(blob)
        if size < _CHANGED_PIXELS:
            continue
        strength = float(changed[cut][blob > 0].mean()) / _CHANGED
        left, top, wide, tall = cv2.boundingRect(blob)
        box = _roomy((x + left, y + top, x + left + wide, y + top + tall))
        found.append(_Found("difference", box, 1 - math.exp(-strength * math.sqrt(size) / 10)))
    return found
