"""What a picture's header says, read without decoding anything: kind, size, orientation, cost.

Every reader is linear in the file's length, and raises whatever comes (``IndexError``, ``struct.error``,
``ValueError``) on a broken file: the one caller that faces people, :func:`vlpro.imaging.ingest.ingest`, turns
all of it into one error.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vlpro.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Format", "Header", "foreign_tail", "jpeg_segments", "png_chunks", "read_header"]

Format = Literal["jpeg", "png", "bmp", "webp"]

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

_MOST_PARTS = 65_536  # segments or chunks in one file; a phone's panorama with a depth map has some hundreds
_MOST_SCANS = 100  # a progressive JPEG has about ten; each one more costs a pass over the whole picture
_MOST_RLE_BYTES = 2_000_000  # run-length BMP is decoded in Python: seconds for a crafted larger one

_ORIENTATION = 0x0112
_SOI, _EOI, _SOS, _APP1, _APP14 = 0xD8, 0xD9, 0xDA, 0xE1, 0xEE
_SOF_DECODED = {0xC0, 0xC1, 0xC2}  # baseline, extended sequential, progressive
_SOF_OTHER = set(range(0xC0, 0xD0)) - _SOF_DECODED - {0xC4, 0xC8, 0xCC}  # lossless, arithmetic, hierarchical
_STANDALONE = {0x01, *range(0xD0, 0xD9)}
_TO_MARKER = re.compile(rb"[^\xff]*\xff+")
_IN_SCAN = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")  # not a stuffed byte, not a restart marker

_BMP_HEADERS = {12, 40, 52, 56, 64, 108, 124}
_BMP_RLE = {1, 2}

# First bytes of files that people take for pictures we read, with the name that they know them by.
_KNOWN = (
    (re.compile(rb"GIF8[79]a"), "GIF"),
    (re.compile(rb"II\*\x00|MM\x00\*"), "TIFF"),
    (re.compile(rb".{4}ftyp(heic|heix|heim|hevc|mif1|msf1)", re.DOTALL), "HEIC"),
    (re.compile(rb".{4}ftypavi[fs]", re.DOTALL), "AVIF"),
    (re.compile(rb"%PDF-"), "PDF"),
    (re.compile(rb"\s*<(svg|\?xml|!DOCTYPE|html)", re.IGNORECASE), "SVG, XML or HTML"),
    (re.compile(rb"PK\x03\x04"), "ZIP or Office"),
)


# What makes a picture two files in one, when it stands behind the picture's end. Phones put other things there:
# further pictures (MPO), a film, a depth map.
_BEHIND = (
    (re.compile(rb"PK\x03\x04"), "ZIP or Office"),
    (re.compile(rb"%PDF-"), "PDF"),
    (re.compile(rb"\x7fELF|MZ|#!"), "program"),
    (re.compile(rb"Rar!\x1a|7z\xbc\xaf"), "archive"),
    (re.compile(rb"<[!?a-zA-Z]"), "SVG, XML or HTML"),
)
_ZIP_END = b"PK\x05\x06"
_ZIP_END_MOST = 65_557  # bytes from a ZIP's end record to its end (PKWARE APPNOTE, 4.3.16)


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture's header says.

    Args:
        format: What the bytes are, by their content.
        width: As stored, pixels, before ``orientation`` is applied.
        height: As stored, pixels.
        orientation: 1 to 8, as in EXIF (CIPA DC-008, tag 274); 1 is upright.
        decode_bytes: Memory that decoding takes beside the result, bytes; 0 where the decoder goes row by row.
    """

    format: Format
    width: int
    height: int
    orientation: int
    decode_bytes: int


def read_header(data: bytes) -> Header:
    """Tell a picture's kind, size and orientation from its header.

    Args:
        data: The whole file.

    Returns:
        The header; its numbers are those of the file, not yet checked against any cap.

    Raises:
        ImageError: It is no JPEG, PNG, BMP or WebP, or a variant of them that nobody uses for pictures.
        Exception: It is broken: any kind.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data)
    if data.startswith(PNG_SIGNATURE):
        return _png(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data)
    if data.startswith(b"BM") and int.from_bytes(data[14:18], "little") in _BMP_HEADERS:
        return _bmp(data)
    what = next((name for pattern, name in _KNOWN if pattern.match(data)), None)
    raise ImageError(
        f"This is {'not a picture' if what is None else f'a {what} file'}. Send a JPEG, PNG, BMP or WebP picture.",
        zh=f"{'这不是图片' if what is None else f'这是 {what} 文件'}，请上传 JPEG、PNG、BMP 或 WebP 图片。",
    )


def foreign_tail(data: bytes, kind: Format) -> str | None:
    """Tell what file of another kind stands behind a picture's end.

    Args:
        data: The whole file; its header was read.
        kind: What :func:`read_header` said of it.

    Returns:
        A name for people; None where there is none.

    Raises:
        Exception: The picture is broken: any kind.
    """
    tail = data[_end(data, kind) :].lstrip(b"\0\t\r\n ")
    if not tail:
        return None
    if _ZIP_END in tail[-_ZIP_END_MOST:]:
        return "ZIP or Office"
    return next((name for pattern, name in _BEHIND if pattern.match(tail)), None)


def _end(data: bytes, kind: Format) -> int:
    """Where a picture ends and anything behind it begins."""
    match kind:
        case "png":
            return max(end for _, _, end in png_chunks(data))
        case "webp":
            return 8 + int.from_bytes(data[4:8], "little")
        case "bmp":
            return int.from_bytes(data[2:6], "little") or len(data)
    if data.endswith(b"\xff\xd9"):
        return len(data)  # nearly always; else it takes a walk through the whole scan
    position = max(end for _, _, end in jpeg_segments(data))
    for found in _IN_SCAN.finditer(data, position):
        if found.start() < position:
            continue  # inside a segment
        if found[1][0] == _EOI:
            return found.end()
        if found[1][0] not in _STANDALONE:
            position = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
    return len(data)


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield ``(marker, start, end)`` of a JPEG's segments up to and with its first scan's header.

    ``start`` is at the marker's ``0xFF``, ``end`` past the segment (ITU T.81, B.1.1).
    """
    position = 2
    for _ in range(_MOST_PARTS):
        found = _TO_MARKER.match(data, position)
        if found is None:
            raise ValueError("no further marker")
        marker, start, position = data[found.end()], found.end() - 1, found.end() + 1
        if marker == 0 or marker in _STANDALONE:
            continue
        if marker == _EOI:
            raise ValueError("no scan")
        length = int.from_bytes(data[position : position + 2], "big")
        if length < 2 or position + length > len(data):
            raise ValueError("a segment is cut")
        position += length
        yield marker, start, position
        if marker == _SOS:
            return
    raise ValueError("too many segments")


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield ``(type, start, end)`` of a PNG's chunks up to and with IEND; 12 bytes of each are frame."""
    position = len(PNG_SIGNATURE)
    for _ in range(_MOST_PARTS):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            raise ValueError("a chunk is cut")
        yield kind, position, end
        if kind == b"IEND":
            return
        position = end
    raise ValueError("too many chunks")


def _jpeg(data: bytes) -> Header:
    orientation, frame, scan = None, None, b""
    marker, end = 0, 0
    for marker, start, end in jpeg_segments(data):
        body = data[start + 4 : end]
        if marker in _SOF_OTHER:
            raise ImageError(
                "This JPEG is of a rare kind (lossless, arithmetic, hierarchical). Save it as ordinary JPEG or PNG.",
                zh="这是少见的 JPEG 类型（无损、算术编码或分层），请另存为普通 JPEG 或 PNG。",
            )
        if marker in _SOF_DECODED and frame is None:
            frame = (marker, body)
        elif marker == _APP1 and orientation is None and body.startswith(b"Exif\0\0"):
            orientation = exif_orientation(body)
        elif marker == _SOS:
            scan = body
    if frame is None:
        raise ValueError("no frame header")
    precision, height, width, components = struct.unpack_from(">BHHB", frame[1])
    if precision != 8 or components not in {1, 3, 4}:
        raise ValueError("not an 8-bit picture of 1, 3 or 4 components")
    decode_bytes = 0
    if frame[0] == 0xC2 or scan[0] < components:
        # Several scans: the decoder keeps 2 bytes a coefficient of the whole picture, whatever the scale.
        _check_scans(data, end)
        factors = [frame[1][7 + 3 * index] for index in range(components)]
        areas = [(factor >> 4) * (factor & 15) for factor in factors]
        decode_bytes = 2 * width * height * sum(areas) // max(areas)
    return Header("jpeg", width, height, orientation or 1, decode_bytes)


def _check_scans(data: bytes, position: int) -> None:
    """Refuse a JPEG of absurdly many scans: a kilobyte of them costs seconds (libjpeg-turbo's own warning)."""
    scans = 1
    markers = 0
    for found in _IN_SCAN.finditer(data, position):
        if found.start() < position:
            continue  # inside a segment
        marker = found[1][0]
        if marker == _EOI:
            return
        scans += marker == _SOS
        markers += 1
        if scans > _MOST_SCANS or markers > 10 * _MOST_SCANS:
            raise ValueError("too many scans")
        if marker not in _STANDALONE:
            position = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")


def _png(data: bytes) -> Header:
    orientation = 1
    header: tuple[int, int, int, int] | None = None
    for kind, start, end in png_chunks(data):
        if header is None:
            if kind != b"IHDR":
                raise ValueError("the first chunk is not the header")
            header = struct.unpack_from(">IIBB", data, start + 8)
        elif kind == b"eXIf":
            orientation = exif_orientation(data[start + 8 : end - 4])
    if header is None:
        raise ValueError("no header")
    width, height, depth, colour = header
    # Pillow's memory a pixel for grey, palette and the rest; 16-bit colour takes twice the time, so it counts twice.
    pixel = {0: 1, 3: 1}.get(colour, 4) * (2 if depth == 16 else 1)
    return Header("png", width, height, orientation, width * height * pixel)


def _webp(data: bytes) -> Header:
    kind = data[12:16]
    width, height, orientation = 0, 0, 1
    if kind == b"VP8X":
        width = 1 + int.from_bytes(data[24:27], "little")
        height = 1 + int.from_bytes(data[27:30], "little")
        orientation = _webp_orientation(data)
    elif kind == b"VP8L" and data[20] == 0x2F:
        bits = int.from_bytes(data[21:25], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    # Measured: two canvases, the frame and Pillow's copy, 4 bytes a pixel each.
    return Header("webp", width, height, orientation, width * height * 16)


def _webp_orientation(data: bytes) -> int:
    position = 12
    for _ in range(_MOST_PARTS):
        if position + 8 > len(data):
            break
        kind, length = struct.unpack_from("<4sI", data, position)
        if kind == b"EXIF":
            return exif_orientation(data[position + 8 : position + 8 + length])
        position += 8 + length + (length & 1)
    return 1


def _bmp(data: bytes) -> Header:
    if data[14] == 12:  # OS/2
        width, height, _, depth = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    else:
        width, height, _, depth, compression = struct.unpack_from("<iiHHI", data, 18)
    if compression in _BMP_RLE and max(len(data), width * abs(height) // 2) > _MOST_RLE_BYTES:
        raise ImageError(
            "This run-length compressed BMP is too large. Save it as PNG and try again.",
            zh="这个 RLE 压缩的 BMP 过大，请另存为 PNG 后重试。",
            code="image_too_large",
        )
    return Header("bmp", width, abs(height), 1, width * abs(height) * (1 if depth <= 8 else 4))


def exif_orientation(exif: bytes) -> int:
    r"""Find the orientation in a block of EXIF (TIFF 6.0, section 2; CIPA DC-008, tag 274).

    Args:
        exif: The block, with or without its leading ``Exif\0\0``.

    Returns:
        1 to 8; 1 (upright) where the block is broken or says nothing: bad metadata spoils no picture.
    """
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (offset,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, offset)
        for index in range(entries):
            tag, kind = struct.unpack_from(order + "HH", tiff, offset + 2 + 12 * index)
            if tag == _ORIENTATION:
                # SHORT (3) as the standard says, LONG (4) as some write it
                (value,) = struct.unpack_from(
                    order + ("I" if kind == 4 else "H"), tiff, offset + 10 + 12 * index
                )
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1
