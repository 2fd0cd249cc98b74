from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.boards import KINDS, Flaw, board, coloured, lit, picture, taken
from vlpro.workflows.inspection.golden import inspect
from vlpro.workflows.inspection.result import Box, Inspection


def _iou(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    if wide <= 0 or high <= 0:
        return 0.0
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return wide * high / (areas - wide * high)


def _moved(box: Box, matrix: NDArray[np.float64]) -> tuple[float, ...]:
    x1, y1, x2, y2 = box
    corners = np.array([[x1, y1, 1], [x2, y1, 1], [x1, y2, 1], [x2, y2, 1]]) @ matrix.T
    return (*corners.min(axis=0), *corners.max(axis=0))


def _missed(found: Inspection, flaws: tuple[Flaw, ...], matrix: NDArray[Any] | None = None) -> list[Flaw]:
    """The flaws that are not found with their kind, by DeepPCB's measure; nothing else may be found."""
    matrix = np.eye(2, 3) if matrix is None else matrix
    left, missed = list(found.defects), []
    for flaw in flaws:
        place = _moved(flaw.box, matrix)
        hit = next((one for one in left if one.kind == flaw.kind and _iou(one.box, place) > 0.33), None)
        if hit is None:
            missed.append(flaw)
        else:
            left.remove(hit)
    assert not left, (left, missed)
    return missed


@pytest.mark.parametrize("seed", range(3))
def test_every_kind_of_defect_is_found_named_and_boxed(seed: int) -> None:
    drawn = board(seed, KINDS * 2)
    found = inspect(picture(drawn.flawed), picture(drawn.golden))
    assert found.method == "template"
    assert found.verdict == "fail"
    assert not _missed(found, drawn.flaws)
    assert all(0 < one.score <= 1 for one in found.defects)
    assert [one.score for one in found.defects] == sorted((one.score for one in found.defects), reverse=True)


@pytest.mark.parametrize(
    ("degrees", "scale", "shift", "fill"),
    [(1, 1, (8, 8), 255), (-3, 0.97, (40, -40), 0), (2, 1.03, (-30, 25), 127)],
)
def test_a_camera_that_stands_elsewhere_and_other_light_change_nothing(
    degrees: float, scale: float, shift: tuple[float, float], fill: int
) -> None:
    drawn = board(7, KINDS * 2)
    seen, matrix = taken(drawn.flawed, degrees, scale, shift, fill)
    found = inspect(picture(lit(seen)), picture(drawn.golden))
    assert not _missed(found, drawn.flaws, matrix)
    assert found.shift is not None
    assert found.shift == pytest.approx((degrees, scale, *shift), abs=1.5)
    assert found.shift[0] == pytest.approx(degrees, abs=0.1)
    assert found.shift[1] == pytest.approx(scale, abs=0.003)


def test_a_board_without_defects_passes() -> None:
    drawn = board(11, ())
    seen, _ = taken(drawn.flawed, -1.5, 1.01, (12, 5))
    found = inspect(picture(lit(seen)), picture(drawn.golden))
    assert (found.verdict, found.defects, found.message) == ("pass", (), "")


@pytest.mark.parametrize(
    "template",
    [
        np.rot90(board(3, ()).golden),  # another board
        np.full((640, 640), 200, np.uint8),  # nothing at all
        np.random.default_rng(0).integers(0, 256, (640, 640), np.uint8),
    ],
    ids=["another", "blank", "noise"],
)
def test_a_template_of_something_else_is_for_a_person_to_see(template: NDArray[Any]) -> None:
    found = inspect(picture(board(3).flawed), picture(template))
    assert (found.verdict, found.defects) == ("review", ())
    assert found.message.endswith(".")
    assert found.zh.endswith("。")


def test_a_board_covered_in_differences_is_for_a_person_to_see() -> None:
    drawn = board(3, ())
    spotted = drawn.golden.copy()
    rows, columns = np.mgrid[:640, :640] % 20
    spotted[(rows < 6) & (columns < 6)] = 0
    found = inspect(picture(spotted), picture(drawn.golden))
    assert (found.verdict, found.defects) == ("review", ())
    assert "200" in found.message
    assert "200" in found.zh


def test_boxes_are_in_pixels_of_the_original() -> None:
    drawn = board(5)
    shown = replace(picture(drawn.flawed), original_width=1920, original_height=1920)
    found = inspect(shown, replace(picture(drawn.golden), original_width=1920, original_height=1920))
    assert (found.width, found.height) == (1920, 1920)
    assert not _missed(found, drawn.flaws, 3 * np.eye(2, 3))


@pytest.mark.parametrize("side", [560, 600])
def test_a_picture_that_shows_less_than_its_template(side: int) -> None:
    drawn = board(8)
    seen, matrix = taken(drawn.flawed, 1, 1, (3, -2))
    matrix[:, 2] -= 20
    found = inspect(picture(seen[20 : 20 + side, 20 : 20 + side]), picture(drawn.golden))
    assert not _missed(found, drawn.flaws, matrix)


def test_light_copper_is_told_or_known_by_its_colour() -> None:
    drawn = board(5)
    light = inspect(picture(255 - drawn.flawed), picture(255 - drawn.golden), copper="light")
    assert not _missed(light, drawn.flaws)
    tones = np.where([[[True]]], np.array([40, 110, 60]), 0), np.array([190, 150, 80])
    flawed, golden = (
        np.where(pixels[..., None] < 128, tones[1], tones[0]).astype(np.uint8)
        for pixels in (drawn.flawed, drawn.golden)
    )
    assert not _missed(inspect(picture(flawed), picture(golden)), drawn.flaws)


def test_a_missing_part_is_found_in_colour_and_in_other_light() -> None:
    drawn = board(4, ())
    golden, _ = coloured(drawn.golden, 4)
    bare, gone = coloured(drawn.golden, 4, missing=(1, 5))
    seen, matrix = taken(bare, 1, 1, (8, -6))
    found = inspect(picture(lit(seen, 1)), picture(golden))
    assert found.verdict == "fail"
    assert not _missed(found, tuple(gone), matrix)
    whole, _ = taken(golden, 1, 1, (8, -6))
    assert inspect(picture(lit(whole, 1)), picture(golden)).verdict == "pass"


def test_a_picture_much_larger_than_those_compared() -> None:
    drawn = board(6)
    flawed = drawn.golden.copy()  # the same edges: they are four times as rough here
    for flaw in drawn.flaws:
        x1, y1, x2, y2 = flaw.box
        flawed[y1:y2, x1:x2] = drawn.flawed[y1:y2, x1:x2]
    found = inspect(*(picture(pixels.repeat(4, 0).repeat(4, 1)) for pixels in (flawed, drawn.golden)))
    centres = [((one.box[0] + one.box[2]) / 8, (one.box[1] + one.box[3]) / 8) for one in found.defects]
    for flaw in drawn.flaws:
        assert any(
            flaw.box[0] < x < flaw.box[2] and flaw.box[1] < y < flaw.box[3] and one.kind == flaw.kind
            for (x, y), one in zip(centres, found.defects, strict=True)
        ), flaw
    assert len(found.defects) == len(drawn.flaws)


@pytest.mark.parametrize("size", [(1, 1), (7, 640), (640, 3), (40, 40)])
def test_small_pictures_are_no_error(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    one, other = (rng.integers(0, 256, size, np.uint8) for _ in range(2))
    assert inspect(picture(one), picture(other)).verdict in ("review", "fail", "pass")
    assert inspect(picture(one), picture(board(1).golden)).verdict == "review"
