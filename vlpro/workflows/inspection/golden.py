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
    seen, golden, times = _at_one_scale(picture, template)
    grey, golden_grey = (cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) for pixels in (seen, golden))
    if float(golden_grey.std()) < _PLAIN:
        return _unclear(
            picture,
            None,
            "The template shows nothing to compare with. Choose another picture as the template.",
            "模板图中没有可比对的内容，请更换模板图。",
        )
    registration = register(grey, golden_grey)
    covered = float(registration.covered.mean()) / 255
    if registration.agreement < _AGREES or covered < _COMPARED:
        return _unclear(
            picture,
            None,
            "The picture cannot be aligned with the template. Check that both show the same side of the same board, "
            "at the same scale, or choose another template.",
            "图片无法与模板对齐。请检查两者是否为同一块板的同一面、比例是否一致，或更换模板。",
        )
    shift = _shift(registration, times)
    laid = registration.lay(golden_grey)
    threshold, parted = _tones(laid)
    if parted >= _TWO_TONES:
        if copper is None:
            colour = float(np.ptp(golden[::4, ::4].astype(np.int16), axis=2).mean())
            copper = "dark" if colour <= _COLOURLESS else "light"
        found = _conductors(grey, laid, registration, threshold, golden_grey.shape, dark=copper == "dark")
    else:
        found = _colours(seen, golden, registration)
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
        tuple(Defect(one.kind, _original(one.box, picture, times), round(one.score, 3)) for one in found),
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


def _at_one_scale(picture: Picture, template: Picture) -> tuple[Grey, Grey, float]:
    """Pixels of both to compare, and how many of the original's one of them is."""
    shrink = min(1.0, _SIDE / max(picture.width, picture.height))
    width, height = max(1, round(picture.width * shrink)), max(1, round(picture.height * shrink))
    times = picture.original_width / width
    proportions = (picture.original_width / picture.original_height) / (
        template.original_width / template.original_height
    )
    if abs(proportions - 1) < 0.03:
        golden = (width, height)
    else:
        longest = 2 * max(width, height)  # of a template of much more than the picture
        part = min(1 / times, longest / max(template.original_width, template.original_height))
        golden = (
            max(1, round(template.original_width * part)),
            max(1, round(template.original_height * part)),
        )
    return _resized(picture.pixels, (width, height)), _resized(template.pixels, golden), times


def _resized(pixels: Grey, size: tuple[int, int]) -> Grey:
    if (pixels.shape[1], pixels.shape[0]) == size:
        return pixels
    smaller = size[0] <= pixels.shape[1]
    resized: Grey = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    return resized


def _shift(registration: Registration, times: float) -> tuple[float, float, float, float]:
    across, down = registration.shift
    return (
        round(registration.degrees, 3),
        round(registration.scale, 4),
        round(across * times, 2),
        round(down * times, 2),
    )


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
    grey: Grey,
    laid: Grey,
    registration: Registration,
    threshold: float,
    shape: tuple[int, ...],
    *,
    dark: bool,
) -> list[_Found]:
    """Compare as copper and ground."""
    how = cv2.THRESH_BINARY_INV if dark else cv2.THRESH_BINARY
    _, golden = cv2.threshold(laid, threshold, 1, how)
    _, copper = cv2.threshold(relit(grey, laid, registration.covered), threshold, 1, how)
    where = _compared(registration, copper, golden, shape)
    return [
        _Found(kind(seen), _roomy(seen.box), score)
        for extra, one, other in ((True, copper, golden), (False, 1 - copper, 1 - golden))
        for seen, score in _beyond(one, other, where, copper, extra=extra)
    ]


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


def _colours(seen: Grey, golden: Grey, registration: Registration) -> list[_Found]:
    """Compare in colour: what is brighter or darker, in any channel, than the template is anywhere near."""
    changed: Grey = np.zeros(seen.shape[:2], np.uint8)
    near = _disc(2)
    for channel in range(3):
        laid = registration.lay(np.ascontiguousarray(golden[..., channel]))
        even = relit(np.ascontiguousarray(seen[..., channel]), laid, registration.covered)
        even, laid = cv2.GaussianBlur(even, (3, 3), 0), cv2.GaussianBlur(laid, (3, 3), 0)
        brighter = cv2.subtract(even, cv2.dilate(laid, near))
        darker = cv2.subtract(cv2.erode(laid, near), even)
        changed = cv2.max(changed, cv2.max(brighter, darker))
    framed = cv2.copyMakeBorder(registration.covered, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
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
