"""Pictures for the tests, made here: nothing is read from a file."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vlpro.imaging.ingest import Limits, ingest
from vlpro.imaging.picture import Picture

RED, GREEN, BLUE, GREY = (220, 20, 30), (20, 180, 40), (30, 40, 200), (120, 120, 120)
PLENTY = 100_000_000


def quarters(width: int = 96, height: int = 64) -> Image.Image:
    """Red, green / blue, grey: tells every way of turning and mirroring apart."""
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = RED
    pixels[: height // 2, width // 2 :] = GREEN
    pixels[height // 2 :, : width // 2] = BLUE
    pixels[height // 2 :, width // 2 :] = GREY
    return Image.fromarray(pixels)


def file(image: Image.Image, format: str, **options: Any) -> bytes:  # noqa: A002 - Pillow's own name for it
    out = BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def take(data: bytes, *, pixels: int = PLENTY, limits: Limits | None = None) -> Picture:
    return ingest(data, limits=limits or Limits(), max_pixels_used=pixels)


def corners(picture: Picture) -> list[tuple[int, ...]]:
    """Colours in the middle of the four quarters: top left, top right, bottom left, bottom right."""
    rows, columns = picture.height // 4, picture.width // 4
    return [
        tuple(int(value) for value in picture.pixels[row, column])
        for row in (rows, 3 * rows)
        for column in (columns, 3 * columns)
    ]


def near(got: Sequence[tuple[int, ...]], wanted: Sequence[tuple[int, ...]], by: int = 6) -> bool:
    return bool(np.abs(np.array(got) - np.array(wanted)).max() <= by)


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *extra: tuple[bytes, bytes]) -> bytes:
    """A PNG chunk by chunk, for kinds that Pillow does not write."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)), *extra]
    chunks += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(map(chunk, *zip(*chunks, strict=True)))


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def bmp(
    width: int, height: int, depth: int, body: bytes, *, compression: int = 0, palette: bytes = b""
) -> bytes:
    """A BMP with a 40-byte header; ``height`` below 0 means top row first."""
    offset = 54 + len(palette)
    header = struct.pack("<2sIHHI", b"BM", offset + len(body), 0, 0, offset)
    info = struct.pack(
        "<IiiHHIIiiII", 40, width, height, 1, depth, compression, len(body), 0, 0, len(palette) // 4, 0
    )
    return header + info + palette + body


def exif(orientation: int, **tags: Any) -> bytes:
    block = Image.Exif()
    block[0x0112] = orientation
    if tags:
        block[0x010E] = tags["description"]
        block.get_ifd(0x8825)[2] = (39.0, 54.0, 15.0)
    return block.tobytes()


def plain(values: NDArray[Any]) -> bytes:
    """Rows of a PNG without filtering."""
    return b"".join(b"\0" + row.tobytes() for row in values)
