"""Malformed pictures without end, the same ones for the same seed: made of pictures that are drawn here."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageCms

__all__ = ["bombs", "mutations", "pdf_mutations", "seeds"]

Named = tuple[str, bytes]
PNG = b"\x89PNG\r\n\x1a\n"


def _drawn(width: int = 64, height: int = 48) -> Image.Image:
    pixels = np.random.default_rng(5).integers(0, 256, (height, width, 3), np.uint8)
    pixels[: height // 2] = np.linspace(0, 255, width, dtype=np.uint8)[None, :, None]
    return Image.fromarray(pixels)


def _file(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def _exif(size: int = 40) -> bytes:
    block = Image.Exif()
    block[0x0112] = 6
    block[0x010E] = "d" * size
    block.get_ifd(0x8825)[2] = (39.0, 54.0, 15.0)
    return block.tobytes()


def seeds() -> list[Named]:
    """Valid pictures of every accepted kind, and of near ones that are not accepted."""
    image = _drawn()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    frames = [_drawn(64, 48).rotate(angle) for angle in (10, 20, 30)]
    saved: list[tuple[str, Image.Image, str, dict[str, Any]]] = [
        ("jpeg", image, "JPEG", {}),
        ("jpeg-progressive", image, "JPEG", {"progressive": True}),
        ("jpeg-grey", image.convert("L"), "JPEG", {}),
        ("jpeg-cmyk", image.convert("CMYK"), "JPEG", {}),
        ("jpeg-restarts", image, "JPEG", {"restart_marker_blocks": 2}),
        ("jpeg-exif-icc", image, "JPEG", {"exif": _exif(), "icc_profile": profile}),
        ("mpo", image, "MPO", {"save_all": True, "append_images": frames[:1]}),
        ("png", image, "PNG", {}),
        ("png-palette", image.quantize(16), "PNG", {"transparency": 3}),
        ("png-grey", image.convert("LA"), "PNG", {}),
        ("png-bit", image.convert("1"), "PNG", {}),
        ("png-exif-icc", image.convert("RGBA"), "PNG", {"exif": _exif(), "icc_profile": profile}),
        ("apng", image, "PNG", {"save_all": True, "append_images": frames}),
        ("bmp", image, "BMP", {}),
        ("bmp-palette", image.quantize(16), "BMP", {}),
        ("bmp-bit", image.convert("1"), "BMP", {}),
        ("webp", image, "WEBP", {}),
        ("webp-lossless", image.convert("RGBA"), "WEBP", {"lossless": True}),
        ("webp-animated", image, "WEBP", {"save_all": True, "append_images": frames, "exif": _exif()}),
        ("gif", image, "GIF", {"save_all": True, "append_images": frames}),
        ("tiff", image, "TIFF", {}),
    ]
    return [(name, _file(drawn, kind, **options)) for name, drawn, kind, options in saved]


# --- what is done to them


def _flip(dice: random.Random, data: bytearray) -> None:
    for _ in range(dice.choice((1, 2, 8, 64))):
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def _flip_head(dice: random.Random, data: bytearray) -> None:
    for _ in range(dice.choice((1, 2, 4))):
        data[dice.randrange(min(len(data), 160))] = dice.choice(
            (0, 1, 0x7F, 0x80, 0xFE, 0xFF, dice.randrange(256))
        )


def _cut(dice: random.Random, data: bytearray) -> None:
    del data[dice.randrange(len(data)) :]


def _cut_out(dice: random.Random, data: bytearray) -> None:
    begin = dice.randrange(len(data))
    del data[begin : begin + dice.choice((1, 2, 4, 100, 1000))]


def _double(dice: random.Random, data: bytearray) -> None:
    begin = dice.randrange(len(data))
    piece = data[begin : begin + dice.choice((1, 8, 100, 1000))]
    data[begin:begin] = piece * dice.choice((1, 2, 50))


def _fill(dice: random.Random, data: bytearray) -> None:
    begin, size = dice.randrange(len(data)), dice.choice((4, 32, 256))
    data[begin : begin + size] = bytes([dice.choice((0, 0xFF, 0x41))]) * len(data[begin : begin + size])


def _numbers(dice: random.Random, data: bytearray) -> None:
    """Sizes and counts that are not so, wherever they may stand."""
    if len(data) < 4:
        return
    value = dice.choice((0, 1, 2, 255, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF))
    at = dice.randrange(max(1, min(len(data), 400) - 4))
    form = dice.choice((">I", "<I", ">H", "<H"))
    struct.pack_into(
        form, data, min(at, max(0, len(data) - 4)), value & (0xFFFFFFFF if "I" in form else 0xFFFF)
    )


def _behind(dice: random.Random, data: bytearray) -> None:
    data += dice.choice(
        (b"PK\x03\x04" + bytes(40), b"%PDF-1.7\n", bytes(5000), b"<script>", dice.randbytes(500))
    )


def _chunks(dice: random.Random, data: bytearray) -> None:
    """PNG: chunks in another order, twice, or of another kind, each with its right sum."""
    if not data.startswith(PNG):
        _flip(dice, data)
        return
    found, position = [], len(PNG)
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        found.append(
            (bytes(data[position + 4 : position + 8]), bytes(data[position + 8 : position + 8 + length]))
        )
        position += 12 + length
    for _ in range(dice.choice((1, 2, 3))):
        index = dice.randrange(len(found))
        game = dice.randrange(5)
        kind, body = found[index]
        if game == 0:
            found.insert(dice.randrange(len(found)), found.pop(index))
        elif game == 1:
            found.insert(index, (kind, body))
        elif game == 2:
            found[index] = (
                dice.choice((b"IDAT", b"PLTE", b"tRNS", b"acTL", b"fcTL", b"fdAT", b"IEND", b"iCCP")),
                body,
            )
        elif game == 3 and len(found) > 1:
            del found[index]
        else:
            found[index] = (kind, dice.randbytes(dice.choice((0, 1, 4, 13, 300))))
    data[:] = PNG + b"".join(_chunk(kind, body) for kind, body in found)


def _inflated(dice: random.Random, data: bytearray) -> None:
    """PNG: pixels that are fewer, more, or others than the header says."""
    rows = dice.choice((b"", bytes(10), bytes(200_000), dice.randbytes(9000), b"\5" * 9264))
    width, height = dice.choice(((64, 48), (1, 1), (5000, 5000), (32_768, 164), (0, 10), (0x7FFFFFFF, 1)))
    depth, colour = dice.choice((1, 2, 4, 8, 16, 3)), dice.choice((0, 2, 3, 4, 6, 1))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, dice.choice((0, 1, 2)))
    body = zlib.compress(rows) if dice.random() < 0.8 else rows
    data[:] = PNG + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


_GAMES: Sequence[Callable[[random.Random, bytearray], None]] = (
    _flip, _flip, _flip_head, _flip_head, _cut, _cut_out, _double, _fill, _numbers, _numbers, _behind, _chunks,
    _inflated,
)  # fmt: skip


def _digits(dice: random.Random, data: bytearray) -> None:
    """PDF: places, lengths and counts that are not so."""
    begin = dice.randrange(len(data))
    places = [at for at in range(begin, min(len(data), begin + 4000)) if data[at : at + 1].isdigit()]
    for at in dice.sample(places, min(len(places), 5)):
        data[at] = dice.choice(b"0123456789-")


def _words(dice: random.Random, data: bytearray) -> None:
    """PDF: words of its language where they do not belong."""
    at = dice.randrange(len(data))
    data[at:at] = dice.choice(
        (b"<<", b">>", b"[" * 200, b"1 0 R", b"endobj", b"stream\n", b"/Kids[2 0 R]", b"/Count 999999", b"2147483648",
         b"/Length 99999999", b"/Width 100000", b"/Filter/JBIG2Decode", b"/Filter/JPXDecode")
    )  # fmt: skip


_PDF_GAMES = (_flip, _cut, _cut_out, _double, _fill, _digits, _digits, _words, _words)


def mutations(from_: Sequence[Named], count: int, seed: int) -> Iterator[Named]:
    """So many malformed pictures; a few bombs among each thousand.

    Args:
        from_: What they are made of.
        count: How many.
        seed: Equal seeds, equal pictures.
    """
    return _mutated(from_, count, random.Random(seed), bombs())


def pdf_mutations(from_: Sequence[Named], count: int, seed: int) -> Iterator[Named]:
    """So many malformed PDFs, likewise."""
    dice = random.Random(seed)
    for number in range(count):
        name, valid = from_[dice.randrange(len(from_))]
        data = bytearray(valid)
        for _ in range(dice.choice((1, 1, 2, 4, 16))):
            if len(data) > 20:
                dice.choice(_PDF_GAMES)(dice, data)
        yield f"{number}: {name}", bytes(data)


def _mutated(
    from_: Sequence[Named], count: int, dice: random.Random, large: Sequence[Named]
) -> Iterator[Named]:
    for number in range(count):
        if number % 100 == 99:
            yield large[number // 100 % len(large)]
            continue
        name, valid = from_[dice.randrange(len(from_))]
        data = bytearray(valid)
        for _ in range(dice.choice((1, 1, 1, 2, 3))):
            if data:
                dice.choice(_GAMES)(dice, data)
        yield f"{number}: {name}", bytes(data)


# --- small files that become large


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(
    width: int, height: int, colour: int, rows: bytes, *before: tuple[bytes, bytes], depth: int = 8
) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), *before, (b"IDAT", rows), (b"IEND", b"")]
    return PNG + b"".join(_chunk(kind, body) for kind, body in chunks)


def bombs() -> list[Named]:
    """Files that take far more time or memory than their length tells, in every accepted kind."""
    text = zlib.compress(bytes(50_000_000), 9)
    small = zlib.compress(b"\0" + bytes(8 * 3))
    image = _drawn()
    progressive = _file(_drawn(640, 480), "JPEG", progressive=True)
    scan = progressive.rindex(b"\xff\xda")
    many_scans = progressive[:-2] + progressive[scan:-2] * 400 + b"\xff\xd9"
    sized = progressive.index(b"\xff\xc2") + 5
    huge_progressive = progressive[:sized] + struct.pack(">HH", 9000, 12_000) + progressive[sized + 4 :]
    baseline = _file(image, "JPEG")
    at = baseline.index(b"\xff\xc0") + 5
    huge_baseline = baseline[:at] + struct.pack(">HH", 32_000, 3700) + baseline[at + 4 :]
    app = b"\xff\xe1" + struct.pack(">H", 65_535) + b"Exif\0\0" + bytes(65_527)
    flat = Image.new("RGB", (6000, 4000), "red")
    webp = _file(flat, "WEBP", method=0, quality=1)
    frames = [Image.new("RGB", (400, 400), (n, n, n)) for n in range(120)]
    rle = b"BM" + struct.pack("<IHHI", 0, 0, 0, 54 + 1024)
    rle += struct.pack("<IiiHHIIiiII", 40, 2000, 1900, 1, 8, 1, 0, 0, 0, 256, 0) + bytes(1024)
    loop = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 0x8769, 4, 1, 8) + struct.pack("<I", 8)
    return [
        ("png: 100 megapixels of nothing", _png(10_000, 10_000, 2, zlib.compress(bytes(300_010_000), 1))),
        ("png: 120 megapixels, cut", _png(10_900, 11_000, 0, zlib.compress(bytes(1_000_000)))),
        ("png: 2 gigapixels", _png(50_000, 40_000, 2, small)),
        ("png: 50 MB of zTXt", _png(8, 1, 2, small, (b"zTXt", b"k\0\0" + text))),
        ("png: 50 MB of iTXt", _png(8, 1, 2, small, (b"iTXt", b"k\0\1\0\0\0" + text))),
        ("png: 50 MB of iCCP", _png(8, 1, 2, small, (b"iCCP", b"p\0\0" + text))),
        ("png: 50 MB behind 8 pixels", _png(8, 1, 2, text)),
        ("png: 60,000 chunks", _png(8, 1, 2, small, *[(b"tEXt", b"k\0v")] * 60_000)),
        ("png: 100,000 chunks", _png(8, 1, 2, small, *[(b"tEXt", b"k\0v")] * 100_000)),
        ("jpeg: 400 scans", many_scans),
        ("jpeg: 108 megapixels, progressive", huge_progressive),
        ("jpeg: 118 megapixels of grey", huge_baseline),
        ("jpeg: 6 MB of EXIF", baseline[:2] + app * 100 + baseline[2:]),
        ("jpeg: EXIF that points at itself", _file(image, "JPEG", exif=loop)),
        ("jpeg: 500,000 bytes of fill", baseline[:2] + b"\xff" * 500_000 + baseline[2:]),
        ("webp: 24 megapixels of red", webp),
        ("webp: 120 frames", _file(frames[0], "WEBP", save_all=True, append_images=frames[1:], method=0)),
        ("apng: 120 frames", _file(frames[0], "PNG", save_all=True, append_images=frames[1:])),
        ("gif: 120 frames", _file(frames[0], "GIF", save_all=True, append_images=frames[1:])),
        ("bmp: run-length, all in jumps", rle + b"\0\2\1\0" * 200_000 + b"\0\1"),
        ("bmp: run-length of single pixels", rle + b"\1\7" * 900_000 + b"\0\1"),
        (
            "bmp: upside down without end",
            b"BM" + struct.pack("<IHHIIiiHHIIiiII", 0, 0, 0, 54, 40, 9, -(1 << 31), 1, 24, 0, 0, 0, 0, 0, 0),
        ),
    ]
