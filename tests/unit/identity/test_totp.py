from __future__ import annotations

import base64

import pytest

from vlpro.identity import totp

# RFC 6238 appendix B: the secret of the SHA-1 rows; its 8 digits end in our 6.
RFC = base64.b32encode(b"12345678901234567890").decode()


@pytest.mark.parametrize(
    ("now", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
    ],
)
def test_vectors_of_the_rfc(now: int, code: str) -> None:
    assert totp.check(RFC, code, now, 0) == totp.Code(step=now // 30)


def test_the_step_before_and_after_are_taken() -> None:
    now = 1_800_000_000
    for step in (-1, 0, 1):
        code = totp.check(RFC, _at(now + 30 * step), now, 0)
        assert code.step == now // 30 + step


@pytest.mark.parametrize("steps", [-20, -2, 2, 20])
def test_a_wrong_clock(steps: int) -> None:
    now = 1_800_000_000
    assert totp.check(RFC, _at(now + 30 * steps), now, 0) == totp.Code(drift_s=30 * steps)


def test_replay() -> None:
    now = 1_800_000_000
    assert totp.check(RFC, _at(now), now, now // 30) == totp.Code(replayed=True)
    assert totp.check(RFC, _at(now - 30), now, now // 30) == totp.Code(replayed=True)
    assert totp.check(RFC, _at(now + 30), now, now // 30).step == now // 30 + 1


@pytest.mark.parametrize(
    "code", ["", "00000", "0000000", "abcdef", "１２３４５６", "12 34 5x", "-12345", "1e5000"]
)
def test_what_is_no_code(code: str) -> None:
    assert totp.check(RFC, code, 1_800_000_000, 0) == totp.Code()


def test_spaces_do_not_matter() -> None:
    assert totp.check(RFC, " 287 082 ", 59, 0).step == 1


def test_secrets_are_long_and_new() -> None:
    secrets = {totp.new_secret() for _ in range(50)}
    assert len(secrets) == 50
    assert {len(base64.b32decode(secret)) for secret in secrets} == {20}


def test_the_qr_code_is_drawn_here_and_says_the_right_thing() -> None:
    import cv2  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415
    import segno  # noqa: PLC0415

    uri = totp.uri(RFC, "liwei", "Qwen3-VL-4B Pro")
    assert totp.qr(uri).startswith("data:image/svg+xml;base64,")
    drawn = segno.make(uri, error="m", micro=False)
    pixels = np.array([[0 if dark else 255 for dark in row] for row in drawn.matrix], np.uint8)
    large = cv2.copyMakeBorder(
        np.kron(pixels, np.ones((8, 8), np.uint8)), 40, 40, 40, 40, cv2.BORDER_CONSTANT, value=255
    )
    read, _, _ = cv2.QRCodeDetector().detectAndDecode(large)
    assert read == uri
    assert f"secret={RFC}" in uri


def _at(now: int) -> str:
    import pyotp  # noqa: PLC0415

    return pyotp.TOTP(RFC).at(now)
