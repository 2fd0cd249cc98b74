from __future__ import annotations

import numpy as np
import pytest
import zxingcpp
from numpy.typing import NDArray

from vlpro.engines.ocr.codes import read_codes


def page(*codes: tuple[str, str, int, int], scale: int = 4) -> NDArray[np.uint8]:
    grey = np.full((1200, 1000), 255, np.uint8)
    for text, kind, x, y in codes:
        barcode = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat[kind])
        drawn = np.asarray(zxingcpp.write_barcode_to_image(barcode, scale=scale))
        grey[y : y + drawn.shape[0], x : x + drawn.shape[1]] = drawn
    return grey


def test_all_codes_are_read_from_top_to_bottom_with_content_kind_and_place() -> None:
    found = read_codes(page(("发票 12345678", "QRCode", 100, 700), ("AB-123456", "Code128", 80, 100)))
    assert [(code.text, code.format) for code in found] == [
        ("AB-123456", "Code128"),
        ("发票 12345678", "QRCode"),
    ]
    assert found[1].quad[0] == pytest.approx((100, 700), abs=20)


def test_places_are_those_of_the_picture_when_it_is_large() -> None:
    small = page(("12345678", "QRCode", 300, 400))
    large = np.kron(small, np.ones((4, 4), np.uint8))
    (before,), (after,) = read_codes(small), read_codes(large)
    assert after.text == before.text
    np.testing.assert_allclose(np.array(after.quad), np.array(before.quad) * 4, atol=12)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9000), (9000, 1), (50, 50)])
def test_a_picture_without_codes_has_none(shape: tuple[int, int]) -> None:
    assert read_codes(np.full(shape, 255, np.uint8)) == ()
