"""Shrinking, digests, caps, and everything that somebody may send to do harm."""

from __future__ import annotations

import random
import struct
import sys
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.unit.imaging.samples import bmp, chunk, exif, file, plain, png, quarters, take
from vlpro.errors import ImageError
from vlpro.imaging.encode import to_jpeg, to_png
from vlpro.imaging.ingest import Limits, ingest, pixels_digest, target_size
from vlpro.imaging.picture import Picture

FILES = {
    "jpeg": file(quarters(), "JPEG"),
    "progressive": file(quarters(), "JPEG", progressive=True),
    "png": file(quarters(), "PNG"),
    "palette": file(quarters().convert("P"), "PNG"),
    "bmp": file(quarters(), "BMP"),
    "run-length": bmp(4, 4, 8, b"\4\1\0\0" * 4 + b"\0\1", compression=1, palette=bytes(8)),
    "webp": file(quarters(), "WEBP"),
    "animation": file(quarters(), "WEBP", save_all=True, append_images=[quarters().rotate(180)]),
}


def drawing(width: int, height: int) -> Image.Image:
    """Smooth colours with sharp lines over them."""
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height)], -1).astype(
        np.uint8
    )
    pixels[:: height // 10] = 255
    return Image.fromarray(pixels)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WEBP"])
@pytest.mark.parametrize("pixels", [1_000_000, 300_000, 50_000, 1000])
def test_a_shrunk_picture_is_the_same_picture(kind: str, pixels: int) -> None:
    original = drawing(1500, 1000)
    picture = take(
        file(original, kind, **({"lossless": True} if kind == "WEBP" else {"quality": 95})), pixels=pixels
    )
    assert picture.shrunk
    assert (picture.original_width, picture.original_height) == (1500, 1000)
    assert 0.9 * pixels < picture.width * picture.height <= pixels
    assert picture.width / picture.height == pytest.approx(1.5, rel=0.05)
    reference = cv2.resize(
        np.asarray(original), (picture.width, picture.height), interpolation=cv2.INTER_AREA
    )
    assert np.abs(picture.pixels.astype(int) - reference).mean() < 4


@given(st.integers(1, 20_000), st.integers(1, 20_000), st.integers(1, 20_000_000))
@example(49, 49, 1)  # 49 times 1/49 is below 1 in floating point
def test_target_size_keeps_shape_and_budget(width: int, height: int, most: int) -> None:
    new_width, new_height = target_size(width, height, most)
    assert 1 <= new_width <= width
    assert 1 <= new_height <= height
    assert new_width * new_height <= most
    if width * height <= most:
        assert (new_width, new_height) == (width, height)
    assert max(new_width, new_height) * min(width, height) <= min(new_width, new_height) * max(width, height)
    if min(new_width, new_height) > 20:
        assert new_width / new_height == pytest.approx(width / height, rel=0.1)


def test_equal_pictures_have_equal_digests_whatever_the_file() -> None:
    one, other = take(file(quarters(), "PNG")), take(file(quarters(), "BMP"))
    assert one.pixels_sha256 == other.pixels_sha256
    assert one.sha256 != other.sha256


def test_the_same_bytes_in_another_shape_have_another_digest() -> None:
    pixels = np.arange(48, dtype=np.uint8)
    shapes = [(4, 4, 3), (2, 8, 3), (8, 2, 3), (1, 16, 3)]
    assert len({pixels_digest(pixels.reshape(shape)) for shape in shapes}) == len(shapes)


def test_metadata_is_left_behind() -> None:
    private = "Secret-Garden-39N"
    for kind in ("JPEG", "PNG", "WEBP"):
        data = file(
            quarters(),
            kind,
            exif=exif(1, description=private),
            icc_profile=private.encode(),
            comment=private.encode(),
        )
        assert private.encode() in data
        assert b"GPS" in data or len(data) > len(file(quarters(), kind))
        picture = take(data)
        assert picture.pixels_sha256 == take(file(quarters(), kind)).pixels_sha256
        for clean in (to_jpeg(picture), to_png(picture)):
            assert private.encode() not in clean
            assert b"Exif" not in clean
            assert b"ICC" not in clean.upper()


def test_what_hides_in_metadata_is_gone_afterwards() -> None:
    data = FILES["png"]
    inside = data[:33] + chunk(b"tEXt", b"PK\x03\x04payload") + data[33:]
    picture = take(inside)
    assert picture.pixels_sha256 == take(data).pixels_sha256
    assert b"payload" not in to_png(picture)


def test_parts_that_are_not_pixels_do_not_reach_the_decoder() -> None:
    data = FILES["png"]
    animation = chunk(b"acTL", bytes(8))  # of no frames: Pillow would warn
    assert take(data[:33] + animation + data[33:]).pixels_sha256 == take(data).pixels_sha256


def too_large(data: bytes, limits: Limits | None = None, word: str | None = None) -> None:
    with pytest.raises(ImageError, match=word) as caught:
        take(data, pixels=1000, limits=limits)
    assert caught.value.code == "image_too_large"


@pytest.mark.parametrize(
    ("limits", "word"),
    [
        (Limits(max_bytes=100), "MB"),
        (Limits(max_pixels=6143), "megapixels"),
        (Limits(max_side=95), "side longer than the 95"),
        (Limits(max_aspect=1.4), "1.4 times"),
        (Limits(max_decode_bytes=1000), "decode"),
    ],
)
def test_each_cap_refuses_and_says_why(limits: Limits, word: str) -> None:
    too_large(FILES["png"], limits, word)


def test_pictures_at_the_caps_pass() -> None:
    data = FILES["png"]
    take(data, limits=Limits(len(data), 96 * 64, 96, 1.5, 4 * 96 * 64))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(png(60_000, 60_000, 8, 2, b""), id="PNG"),
        pytest.param(png(0x7FFFFFFF, 1, 8, 2, b""), id="PNG of one row"),
        pytest.param(png(12_000, 9_999, 8, 2, b""), id="PNG that would take 480 MB"),
        pytest.param(bmp(60_000, 60_000, 24, b""), id="BMP"),
        pytest.param(bmp(30_000, -(2**31), 24, b""), id="BMP, top row first"),
        pytest.param(bmp(4000, 4000, 8, b"\0\1", compression=1, palette=bytes(8)), id="run-length BMP"),
        pytest.param(b"RIFF\x20\0\0\0WEBPVP8L\x10\0\0\0\x2f\xff\xff\xff\x0f" + bytes(20), id="WebP lossless"),
        pytest.param(b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff" * 6 + bytes(20), id="WebP canvas"),
        pytest.param(
            b"RIFF\x20\0\0\0WEBPVP8 \x0a\0\0\0\0\0\0\x9d\x01\x2a\xff\x3f\xff\x3f" + bytes(20), id="WebP lossy"
        ),
        pytest.param(
            FILES["jpeg"].replace(struct.pack(">HH", 64, 96), struct.pack(">HH", 65_000, 65_000), 1),
            id="JPEG",
        ),
        pytest.param(
            FILES["progressive"].replace(struct.pack(">HH", 64, 96), struct.pack(">HH", 10_900, 10_900), 1),
            id="progressive JPEG",
        ),
    ],
)
def test_bombs_are_refused_by_their_header(data: bytes) -> None:
    # None of them holds pixels: had anything been decoded, the answer would be that the file is broken.
    if data[:2] == b"\xff\xd8" and b"\xff\xc2" in data:
        too_large(data, Limits(max_decode_bytes=300_000_000))
    else:
        too_large(data)


def test_a_jpeg_of_a_thousand_scans_is_refused_undecoded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = FILES["progressive"]
    again = data[data.rindex(b"\xff\xda") : -2]
    monkeypatch.setattr("vlpro.imaging.ingest.decode", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(ImageError, match="broken"):
        take(data[:-2] + again * 1000 + data[-2:])


def test_a_png_that_unpacks_to_far_more_than_its_size_costs_only_its_size() -> None:
    rows = b"\0" * (50_000_000)
    data = png(8, 8, 8, 2, rows)
    assert take(data).width == 8


def test_what_looks_like_scans_elsewhere_does_not_count() -> None:
    data = FILES["progressive"]
    lookalike = b"\xff\xda\x00\x08" * 5000
    length = struct.pack(">H", len(lookalike) + 2)
    last = data.rindex(b"\xff\xda")
    thumbnail, comment = b"\xff\xe1" + length + lookalike, b"\xff\xfe" + length + lookalike
    full = data[:2] + thumbnail + data[2:last] + comment + data[last:] + lookalike
    assert take(full).pixels_sha256 == take(data).pixels_sha256


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=60)
@given(data=st.data())
def test_a_cut_file_is_refused(name: str, data: st.DataObject) -> None:
    whole = FILES[name]
    end = data.draw(st.integers(0, len(whole) - 1))
    if name == "run-length" and end >= len(whole) - 4:
        return  # its last run and end mark may be missing: all pixels are there
    with pytest.raises(ImageError) as caught:
        take(whole[:end])
    assert caught.value.code == "invalid_image_format"


def usable(data: bytes) -> bool:
    """A picture or an ImageError; whatever else is raised fails the test."""
    try:
        picture = ingest(data, limits=Limits(max_pixels=4_000_000), max_pixels_used=10_000)
    except ImageError:
        return False
    assert picture.width * picture.height <= 10_000
    return True


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=150)
@given(data=st.data())
def test_damaged_files_give_a_picture_or_a_clear_error(name: str, data: st.DataObject) -> None:
    damaged = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    usable(bytes(damaged))


def test_damaged_chunks_with_right_checksums_give_a_picture_or_a_clear_error() -> None:
    dice = random.Random(5)
    for _ in range(400):
        depth, colour = dice.choice([1, 2, 4, 8, 16]), dice.choice([0, 2, 3, 4, 6])
        rows = dice.randbytes(dice.randrange(0, 300))
        extra = [
            (kind, dice.randbytes(dice.randrange(0, 20))) for kind in (b"PLTE", b"tRNS", b"acTL", b"eXIf")
        ]
        usable(png(dice.randrange(0, 12), dice.randrange(0, 12), depth, colour, rows, *dice.sample(extra, 2)))


@settings(max_examples=300)
@given(
    st.sampled_from(
        [
            b"",
            b"\xff\xd8\xff",
            b"\xff\xd8\xff\xe1",
            b"\x89PNG\r\n\x1a\n",
            b"BM",
            b"RIFF\0\0\0\0WEBP",
            b"RIFF\0\0\0\0WEBPVP8X",
        ]
    ),
    st.binary(max_size=400),
)
def test_random_bytes_are_refused(magic: bytes, rest: bytes) -> None:
    assert not usable(magic + rest)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8" + b"\xff" * 2_000_000,
        b"\xff\xd8" + b"\xff\xfe\x00\x02" * 500_000,
        b"\xff\xd8\xff" + b"\0" * 2_000_000,
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", b"") * 100_000,
        b"\x89PNG\r\n\x1a\n" + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(50_000_000))),
        b"BM" + b"\x28" * 2_000_000,
        b"RIFF\xff\xff\xff\xffWEBP" + b"EXIF\0\0\0\0" * 100_000,
    ],
)
def test_files_made_to_keep_the_reader_busy_are_refused(data: bytes) -> None:
    assert not usable(data)


def test_the_error_names_the_field_in_both_languages() -> None:
    for data in (b"", b"nonsense", FILES["png"][:50], png(60_000, 60_000, 8, 2, b"")):
        with pytest.raises(ImageError) as caught:
            ingest(data, limits=Limits(), max_pixels_used=1000, param="messages[0].content[1].image_url")
        assert caught.value.param == "messages[0].content[1].image_url"
        assert any("\u4e00" <= character <= "\u9fff" for character in caught.value.zh)


def test_lack_of_memory_is_an_error_of_that_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("vlpro.imaging.ingest.decode", fail)
    with pytest.raises(ImageError) as caught:
        take(FILES["png"])
    assert caught.value.code == "image_too_large"


def test_a_budget_of_no_pixels_is_a_mistake_of_the_program() -> None:
    with pytest.raises(ValueError, match="positive"):
        take(FILES["png"], pixels=0)


def test_threads_do_not_disturb_each_other() -> None:
    originals = [
        file(drawing(300 + 10 * n, 200), kind) for n in range(4) for kind in ("JPEG", "PNG", "WEBP", "BMP")
    ]
    alone = [take(data, pixels=20_000).pixels_sha256 for data in originals]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda data: take(data, pixels=20_000).pixels_sha256, originals * 4))
    assert together == alone * 4


def test_no_file_is_opened() -> None:
    opened: list[object] = []
    watching = False
    here = threading.get_ident()  # services of other tests live on in other threads

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event == "open" and threading.get_ident() == here:
            opened.append(arguments[0])

    def all_of_them() -> list[Picture]:
        return [take(data, pixels=1000) for data in FILES.values()]

    all_of_them()  # what is imported on first use
    sys.addaudithook(watch)
    watching = True
    all_of_them()
    assert not opened
    with open("/dev/null"):  # noqa: PTH123 - the watch does see files
        watching = False
    assert opened


def test_interlaced_and_filtered_rows_are_pillows_business_and_read() -> None:
    values = np.arange(64, dtype=np.uint8).reshape(8, 8)
    picture = take(png(8, 8, 8, 0, plain(values)))
    assert (picture.pixels[..., 0] == values).all()
