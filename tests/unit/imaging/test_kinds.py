"""Every kind of file and pixel comes out as upright 8-bit RGB on white."""

from __future__ import annotations

import hashlib
import struct
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
import simplejpeg  # type: ignore[import-untyped]
from PIL import Image, ImageOps

from tests.unit.imaging.samples import (
    BLUE,
    GREEN,
    GREY,
    RED,
    bmp,
    corners,
    exif,
    file,
    near,
    plain,
    png,
    quarters,
    take,
)
from vlpro.errors import ImageError
from vlpro.imaging.ingest import Limits

WHITE = (255, 255, 255)
COLOURS: list[tuple[int, ...]] = [RED, GREEN, BLUE, GREY]
GREYS: list[tuple[int, ...]] = [
    (v, v, v) for v in (round(0.299 * r + 0.587 * g + 0.114 * b) for r, g, b in COLOURS)
]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"quality": 95}),
        ("JPEG", {"quality": 95, "progressive": True}),
        ("JPEG", {"quality": 95, "keep_rgb": True}),
        ("PNG", {}),
        ("BMP", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"quality": 95}),
    ],
)
def test_each_format_is_told_by_its_content_and_read(kind: str, options: dict[str, Any]) -> None:
    data = file(quarters(), kind, **options)
    picture = take(data)
    assert near(corners(picture), COLOURS, 12)
    assert (picture.format, picture.size) == (kind.lower(), len(data))
    assert (picture.width, picture.height) == (picture.original_width, picture.original_height) == (96, 64)
    assert not picture.shrunk
    assert picture.sha256 == hashlib.sha256(data).hexdigest()
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.flags.c_contiguous
    assert not picture.pixels.flags.writeable


def in_mode(mode: str) -> Image.Image:
    return quarters().quantize(4) if mode == "P" else quarters().convert(mode)


def sixteen(channels: int) -> bytes:
    values = np.asarray(quarters(), np.uint16)[..., :channels] * 257
    if channels == 1:
        return png(96, 64, 16, 0, plain(values.astype(">u2")))
    return png(96, 64, 16, 2, plain(values.astype(">u2")))


def ycck() -> bytes:
    inverted = 255 - np.asarray(in_mode("CMYK"))
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(inverted), 95, "CMYK", "444"))


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        pytest.param(file(in_mode("L"), "JPEG"), GREYS, id="grey JPEG"),
        pytest.param(
            file(in_mode("CMYK"), "JPEG", quality=95), COLOURS, id="CMYK JPEG, inverted as by Adobe"
        ),
        pytest.param(ycck(), COLOURS, id="YCCK JPEG"),
        pytest.param(file(in_mode("L"), "PNG"), GREYS, id="grey PNG"),
        pytest.param(file(in_mode("LA"), "PNG"), GREYS, id="grey PNG with alpha"),
        pytest.param(file(in_mode("P"), "PNG"), COLOURS, id="palette PNG"),
        pytest.param(file(in_mode("RGBA"), "PNG"), COLOURS, id="opaque RGBA PNG"),
        pytest.param(sixteen(1), [(c[0],) * 3 for c in COLOURS], id="16-bit grey PNG"),
        pytest.param(sixteen(3), COLOURS, id="16-bit colour PNG"),
        pytest.param(file(in_mode("P"), "BMP"), COLOURS, id="palette BMP"),
        pytest.param(file(in_mode("L"), "BMP"), GREYS, id="grey BMP"),
        pytest.param(file(in_mode("RGBA"), "BMP"), COLOURS, id="32-bit BMP"),
        pytest.param(file(in_mode("RGBA"), "WEBP", lossless=True), COLOURS, id="WebP with alpha"),
    ],
)
def test_each_kind_of_pixel_becomes_rgb(data: bytes, wanted: list[tuple[int, ...]]) -> None:
    assert near(corners(take(data)), wanted, 12)


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_one_bit_pictures_are_black_and_white(kind: str) -> None:
    image = Image.new("1", (40, 20), 1)
    image.paste(0, (0, 0, 20, 20))
    assert corners(take(file(image, kind))) == [(0, 0, 0), WHITE, (0, 0, 0), WHITE]


def one_colour(mode: str, colour: Any, **options: Any) -> bytes:
    return file(Image.new(mode, (8, 8), colour), "PNG", **options)


def transparent_palette(transparency: int | bytes) -> bytes:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    return file(image, "PNG", transparency=transparency)


def bmp_with_alpha(alpha: int) -> bytes:
    """A BMP whose 56-byte header names a mask for alpha."""
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    data = bytearray(bmp(8, 8, 32, masks + bytes([30, 20, 10, alpha] * 64), compression=3))
    data[14], data[10] = 56, 54 + len(masks)
    return bytes(data)


HALF_RED = (255, 127, 127)


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        pytest.param(one_colour("RGBA", (255, 0, 0, 128)), HALF_RED, id="half transparent red"),
        pytest.param(one_colour("RGBA", (0, 0, 0, 0)), WHITE, id="wholly transparent"),
        pytest.param(one_colour("LA", (0, 0)), WHITE, id="grey, wholly transparent"),
        pytest.param(transparent_palette(1), WHITE, id="palette, one transparent entry"),
        pytest.param(transparent_palette(b"\xff\x00"), WHITE, id="palette, alpha table"),
        pytest.param(transparent_palette(0), (10, 20, 30), id="palette, another entry transparent"),
        pytest.param(one_colour("RGB", (9, 8, 7), transparency=(9, 8, 7)), WHITE, id="colour key"),
        pytest.param(one_colour("L", 9, transparency=9), WHITE, id="grey key"),
        pytest.param(one_colour("1", 0, transparency=0), WHITE, id="1-bit key"),
        pytest.param(
            png(8, 8, 16, 0, plain(np.full((8, 8), 300, ">u2")), (b"tRNS", struct.pack(">H", 300))),
            WHITE,
            id="16-bit grey key",
        ),
        pytest.param(
            png(8, 8, 16, 2, plain(np.full((8, 24), 257, ">u2")), (b"tRNS", struct.pack(">HHH", 1, 2, 3))),
            (1, 1, 1),
            id="16-bit colour key, not used",
        ),
        pytest.param(
            png(8, 8, 16, 6, plain(np.full((8, 32), 0, ">u2"))), WHITE, id="16-bit colour with alpha"
        ),
        pytest.param(png(8, 8, 16, 4, plain(np.full((8, 16), 0, ">u2"))), WHITE, id="16-bit grey with alpha"),
        pytest.param(
            file(Image.new("RGBA", (8, 8), (255, 0, 0, 128)), "WEBP", lossless=True), HALF_RED, id="WebP"
        ),
        pytest.param(bmp_with_alpha(0), (10, 20, 30), id="BMP of unset alpha"),
        pytest.param(bmp_with_alpha(128), (132, 137, 142), id="BMP with alpha"),
    ],
)
def test_transparency_is_laid_on_white(data: bytes, wanted: tuple[int, ...]) -> None:
    assert near(corners(take(data)), [wanted] * 4, 2)


def test_transparent_pixels_do_not_bleed_when_shrunk() -> None:
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))  # black where nothing is to be seen
    picture = take(file(image, "PNG"), pixels=100)
    assert corners(picture) == [WHITE] * 4


PALETTE = bytes([0, 0, 0, 0, 10, 20, 30, 0])


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        pytest.param(bmp(4, 4, 24, bytes([30, 20, 10] * 16)), (10, 20, 30), id="24-bit"),
        pytest.param(bmp(4, -4, 24, bytes([30, 20, 10] * 16)), (10, 20, 30), id="top row first"),
        pytest.param(bmp(4, 4, 8, b"\1" * 16, palette=PALETTE), (30, 20, 10), id="8-bit"),
        pytest.param(bmp(4, 4, 4, b"\x11\x11\0\0" * 4, palette=PALETTE), (30, 20, 10), id="4-bit"),
        pytest.param(bmp(4, 4, 1, b"\xf0\0\0\0" * 4, palette=PALETTE), (30, 20, 10), id="1-bit"),
        pytest.param(bmp(4, 4, 16, b"\x1f\0" * 16), (0, 0, 255), id="16-bit"),
        pytest.param(
            bmp(4, 4, 8, b"\4\1\0\0" * 4 + b"\0\1", compression=1, palette=PALETTE),
            (30, 20, 10),
            id="run-length",
        ),
    ],
)
def test_kinds_of_bmp(data: bytes, wanted: tuple[int, ...]) -> None:
    assert near(corners(take(data)), [wanted] * 4, 1)


def test_a_bmp_whose_top_row_comes_first_is_not_upside_down() -> None:
    rows = bytes([255, 255, 255] * 4) * 2 + bytes(12) * 2
    assert corners(take(bmp(4, -4, 24, rows)))[0] == WHITE
    assert corners(take(bmp(4, 4, 24, rows)))[0] == (0, 0, 0)


def test_only_the_first_frame_counts() -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, GREEN, BLUE)]
    for kind in ("WEBP", "PNG"):
        data = file(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
        assert near(corners(take(data)), [RED] * 4, 2)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("pixels", [100_000_000, 1000], ids=["whole", "shrunk"])
def test_orientation_is_applied(orientation: int, kind: str, pixels: int) -> None:
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95} if kind == "JPEG" else {}
    data = file(quarters(192, 128), kind, exif=exif(orientation), **options)
    turned = Image.new("RGB", (192, 128))
    turned.paste(quarters(192, 128))
    turned.getexif()[0x0112] = orientation
    upright = ImageOps.exif_transpose(turned)

    picture = take(data, pixels=pixels)

    assert (picture.original_width, picture.original_height) == upright.size
    assert (picture.width > picture.height) == (upright.width > upright.height)
    wanted = [
        upright.getpixel((x * upright.width // 4, y * upright.height // 4)) for y in (1, 3) for x in (1, 3)
    ]
    assert near(corners(picture), wanted, 12)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "block",
    [
        b"Exif\0\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\x63\0\0",
        b"Exif\0\0garbage",
    ],
)
def test_broken_exif_spoils_no_picture(block: bytes) -> None:
    data = file(quarters(), "JPEG", exif=block, quality=95)
    assert near(corners(take(data)), COLOURS, 12)


def test_the_orientation_may_be_a_long() -> None:
    block = b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\4\0\0\0\1\0\0\0\6"
    assert take(file(quarters(), "JPEG", exif=block)).width == 64


def test_odd_chroma_sampling_is_read() -> None:
    """Colour at 2 x 1 and at 1 x 1 of 2 x 2: libjpeg reads it, TurboJPEG has no name for it."""
    data = bytearray(file(quarters(), "JPEG", subsampling=0, exif=b"Exif\0\0II*\0\xff\xff\xff\xff"))
    frame, scan = data.index(b"\xff\xc0"), data.index(b"\xff\xda")
    for component, sampling in enumerate((0x22, 0x21, 0x11)):
        data[frame + 11 + 3 * component] = sampling
        data[scan + 6 + 2 * component] = 0x00  # the first Huffman tables for all
    grey = b"\x28\xa2\x8a" * 42  # 24 x 7 blocks of "no change, end of block" in those tables
    data[scan + 14 :] = grey + b"\xff\xd9"
    for pixels in (100_000_000, 1000):
        picture = take(bytes(data), pixels=pixels)
        assert (picture.original_width, picture.original_height) == (96, 64)
        assert picture.width * picture.height <= pixels
        assert (picture.pixels == 128).all()


def test_padding_between_jpeg_segments_is_no_damage() -> None:
    data = file(quarters(), "JPEG", quality=95)
    assert near(corners(take(data[:-2] + b"\0\0\0" + data[-2:])), COLOURS, 12)


def _zip() -> bytes:
    out = BytesIO()
    with ZipFile(out, "w") as archive:
        archive.writestr("a.txt", "x" * 100)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP"])
def test_what_phones_put_behind_a_picture_is_ignored(kind: str) -> None:
    data = file(quarters(), kind)
    for tail in (
        b"\0" * 7,
        b"\r\n",
        b"\0\0\0\x18ftypmp42" + bytes(500),
        file(quarters(), "JPEG"),
        b"SEFH" + bytes(20),
    ):
        assert take(data + tail).pixels_sha256 == take(data).pixels_sha256
        assert take(data + tail).sha256 != take(data).sha256


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP"])
@pytest.mark.parametrize(
    ("tail", "name"),
    [
        (_zip(), "ZIP"),
        (b"film" * 300 + _zip(), "ZIP"),
        (b"\n%PDF-1.7 x", "PDF"),
        (b"\x7fELF\2\1\1", "program"),
        (b"#!/bin/sh", "program"),
        (b"Rar!\x1a\7\0", "archive"),
        (b"\n<script>alert(1)</script>", "HTML"),
        (b"<!DOCTYPE html>", "HTML"),
    ],
)
def test_a_picture_that_is_another_file_as_well_is_refused(kind: str, tail: bytes, name: str) -> None:
    with pytest.raises(ImageError, match=name) as caught:
        take(file(quarters(), kind) + tail)
    assert caught.value.code == "invalid_image_format"


def test_marks_of_other_files_inside_a_picture_are_pixels() -> None:
    pixels = np.frombuffer((b"PK\x03\x04PK\x05\x06%PDF-<script>\x7fELF" * 200)[: 32 * 32 * 3], np.uint8)
    image = Image.fromarray(pixels.reshape(32, 32, 3).copy())
    for kind in ("PNG", "BMP"):
        out = BytesIO()
        image.save(out, kind)
        assert take(out.getvalue()).width == 32


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"GIF89a" + bytes(50), "GIF"),
        (b"II*\0" + bytes(50), "TIFF"),
        (b"\0\0\0\x18ftypheic" + bytes(50), "HEIC"),
        (b"%PDF-1.7" + bytes(50), "PDF"),
        (b"<svg xmlns='x'/>", "SVG"),
    ],
)
def test_other_kinds_are_named(data: bytes, name: str) -> None:
    with pytest.raises(ImageError, match=name) as caught:
        take(data)
    assert name in caught.value.zh


def test_pillows_own_pixel_cap_neither_warns_nor_refuses() -> None:
    image = Image.new("1", (10_000, 9_000), 1)  # 90 megapixels: above the size from which Pillow warns
    picture = take(file(image, "PNG"), pixels=10_000)
    assert (picture.original_width, picture.original_height) == (10_000, 9_000)
    assert corners(picture) == [WHITE] * 4


def test_a_large_photo_passes_by_default() -> None:
    data = bytes(simplejpeg.encode_jpeg(np.full((9000, 12_000, 3), 99, np.uint8), 50))
    picture = take(data, pixels=1_000_000, limits=Limits())
    assert picture.original_width * picture.original_height == 108_000_000
    assert near(corners(picture), [(99, 99, 99)] * 4)
