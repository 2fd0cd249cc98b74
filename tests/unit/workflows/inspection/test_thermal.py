from __future__ import annotations

import re
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.boards import picture
from vlpro.workflows.inspection.result import Box
from vlpro.workflows.inspection.thermal import Printed, inspect

Pixels = NDArray[Any]
COLD, HOT = 12.0, 78.0
SPOT = (150, 118)
BAR: Box = (362, 40, 376, 240)
LABELS = ("78.0 °C", "12.0 °C")


def _scene(spot: float = 66.0) -> Pixels:
    """Degrees: a cool sky, a pole that the sun has warmed, a wire before it and a clamp on the wire."""
    rng = np.random.default_rng(0)
    sky = np.linspace(18, 24, 288)[:, None] + cv2.GaussianBlur(rng.normal(0, 4, (288, 384)), (0, 0), 3)
    scene = sky.astype(np.float32)
    cv2.line(scene, (250, 0), (262, 287), 46.0, 30)
    cv2.line(scene, (0, 140), (340, 90), 36.0, 4)
    cv2.ellipse(scene, SPOT, (9, 6), -8, 0, 360, spot, cv2.FILLED)
    return cv2.GaussianBlur(scene, (0, 0), 1.0)


def _shown(scene: Pixels, palette: int | None, *, bar: bool = False, upside_down: bool = False) -> Pixels:
    """As a thermal camera shows it, RGB; None: grey."""
    levels = ((scene - COLD) / (HOT - COLD) * 255).clip(0, 255).astype(np.uint8)
    if bar:
        x1, y1, x2, y2 = BAR
        levels[y1:y2, x1:x2] = np.linspace(255, 0, y2 - y1)[:: -1 if upside_down else 1, None]
    coloured = levels if palette is None else cv2.applyColorMap(levels, palette)
    shown = cv2.cvtColor(coloured, cv2.COLOR_GRAY2RGB if palette is None else cv2.COLOR_BGR2RGB)
    if bar:
        cv2.rectangle(shown, (BAR[0] - 2, BAR[1] - 2), (BAR[2] + 1, BAR[3] + 1), (255, 255, 255), 1)
    return shown


def _printed(first: str, last: str) -> tuple[Printed, ...]:
    return Printed(first, (340, 22, 382, 34)), Printed(last, (340, 246, 382, 258))


def _holds(box: Box, at: tuple[int, int]) -> bool:
    return box[0] < at[0] < box[2] and box[1] < at[1] < box[3] and max(box[2] - box[0], box[3] - box[1]) < 60


@pytest.mark.parametrize("palette", [None, cv2.COLORMAP_JET, cv2.COLORMAP_HOT, cv2.COLORMAP_INFERNO])
def test_the_spot_on_the_wire_is_found_and_not_the_warm_pole(palette: int | None) -> None:
    found = inspect(picture(_shown(_scene(), palette)))
    assert (found.method, found.verdict) == ("thermal", "review")
    assert [one.kind for one in found.defects] == ["hot"]
    assert _holds(found.defects[0].box, SPOT)
    assert found.defects[0].note == ""
    assert "degrees are not known" in found.message
    assert "温度未知" in found.zh


@pytest.mark.parametrize("palette", [None, cv2.COLORMAP_JET, cv2.COLORMAP_INFERNO, cv2.COLORMAP_TURBO])
@pytest.mark.parametrize("upside_down", [False, True])
def test_a_printed_scale_gives_degrees(palette: int | None, *, upside_down: bool) -> None:
    shown = _shown(_scene(), palette, bar=True, upside_down=upside_down)
    found = inspect(picture(shown), _printed(*(reversed(LABELS) if upside_down else LABELS)))
    first = found.defects[0]
    assert _holds(first.box, SPOT)
    degrees = re.fullmatch(r"([\d.]+) °C", first.note)
    assert degrees, first.note
    assert float(degrees[1]) == pytest.approx(66, abs=2.5)
    assert first.note in found.message
    assert first.note in found.zh


def test_a_spot_at_the_end_of_the_scale_may_be_hotter() -> None:
    found = inspect(picture(_shown(_scene(95), cv2.COLORMAP_INFERNO, bar=True)), _printed(*LABELS))
    assert found.defects[0].note == "≥ 78.0 °C"


@pytest.mark.parametrize(
    ("printed", "note"),
    [
        (_printed("172.4F", "53.6F"), "°F"),
        (_printed("78,0", "-12,0"), "°C"),  # no unit is printed beside most scales
        ((*_printed("78.0", "12.0"), Printed("45.0", (340, 134, 360, 146))), "°C"),
        ((Printed("2026-11-27", (340, 22, 382, 34)), Printed("ε=0.95", (340, 246, 382, 258))), ""),
        ((Printed("78.0", (340, 22, 382, 34)),), ""),
        ((*_printed("78.0", "12.0"), Printed("20.0", (340, 60, 360, 72))), ""),  # they contradict each other
        ((Printed("78.0", (10, 22, 40, 34)), Printed("12.0", (10, 246, 40, 258))), ""),  # not beside the bar
    ],
)
def test_only_numbers_that_stand_at_the_scale_are_believed(printed: tuple[Printed, ...], note: str) -> None:
    found = inspect(picture(_shown(_scene(), cv2.COLORMAP_INFERNO, bar=True)), printed)
    assert found.defects[0].note.endswith(note)
    assert bool(found.defects[0].note) == bool(note)


def test_an_even_picture_passes() -> None:
    sky = np.linspace(20, 24, 288)[:, None] * np.ones(384)
    found = inspect(picture(_shown(sky.astype(np.float32), cv2.COLORMAP_INFERNO)))
    assert (found.verdict, found.defects) == ("pass", ())
    assert found.message
    assert found.zh


def test_a_machine_that_is_hot_as_a_whole_is_one_region() -> None:
    scene = np.full((288, 384), 22, np.float32)
    cv2.rectangle(scene, (100, 90), (190, 170), 64, cv2.FILLED)
    found = inspect(picture(_shown(cv2.GaussianBlur(scene, (0, 0), 3), cv2.COLORMAP_INFERNO)))
    (region,) = found.defects
    assert region.box == pytest.approx((100, 90, 190, 170), abs=12)


def test_boxes_are_in_pixels_of_the_original_and_inside_it() -> None:
    large = cv2.resize(_shown(_scene(), cv2.COLORMAP_INFERNO), (1536, 1152))
    found = inspect(picture(large))
    box = found.defects[0].box
    assert _holds((box[0] // 4, box[1] // 4, box[2] // 4, box[3] // 4), SPOT)
    assert (found.width, found.height) == (1536, 1152)


@pytest.mark.parametrize("size", [(1, 1), (5, 400), (400, 5)])
def test_small_pictures_are_no_error(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    for defect in inspect(picture(pixels), [Printed("20", (0, 0, 9, 9))]).defects:
        x1, y1, x2, y2 = defect.box
        assert 0 <= x1 < x2 <= size[1]
        assert 0 <= y1 < y2 <= size[0]
