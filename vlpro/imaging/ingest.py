"""Bytes of an upload → clean pixels in memory, or one error that says what is wrong with them."""

from __future__ import annotations

import hashlib
import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vlpro.errors import ImageError
from vlpro.imaging.decode import decode
from vlpro.imaging.header import foreign_tail, read_header
from vlpro.imaging.picture import Picture

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vlpro.imaging.header import Header

__all__ = ["Clean", "Limits", "clean", "ingest", "picture_of", "pixels_digest", "target_size"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps on one picture, checked on its header before anything is decoded.

    Args:
        max_bytes: Length of the file.
        max_pixels: Width times height; 120 million lets a 108-megapixel phone's photo pass.
        max_side: Width or height, pixels.
        max_aspect: Longer side over shorter; 200 is Qwen3-VL's own limit.
        max_decode_bytes: Memory that decoding may take beside the result. Baseline JPEG takes next to none;
            a progressive one 2 bytes a coefficient, PNG and BMP 1 to 4 bytes a pixel, WebP 16. 400 MB is 100
            megapixels of colour PNG or of progressive 4:2:0 JPEG, 25 of WebP.
    """

    max_bytes: int = 20_000_000
    max_pixels: int = 120_000_000
    max_side: int = 32_768
    max_aspect: float = 200.0
    max_decode_bytes: int = 400_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Clean:
    """Clean pixels of a file, not yet named by digests.

    Args:
        pixels: As in :class:`~vlpro.imaging.picture.Picture`.
        format: Likewise.
        original_width: Likewise.
        original_height: Likewise.
    """

    pixels: NDArray[np.uint8]
    format: str
    original_width: int
    original_height: int


def ingest(data: bytes, *, limits: Limits, max_pixels_used: int, param: str | None = None) -> Picture:
    """As :func:`clean`, in this process, with the digests of file and pixels.

    The service has it done by :mod:`vlpro.imaging.workers`; this is for programs that trust their files.
    """
    found = clean(data, limits=limits, max_pixels_used=max_pixels_used, param=param)
    return picture_of(found, sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def picture_of(found: Clean, *, sha256: str, sm3: str = "", size: int) -> Picture:
    """Name clean pixels by their digest.

    Args:
        found: The pixels; they are read-only afterwards.
        sha256: Hex digest of the file.
        sm3: The same by SM3, where it is wanted.
        size: Its length, bytes.
    """
    found.pixels.setflags(write=False)
    return Picture(
        pixels=found.pixels,
        sha256=sha256,
        pixels_sha256=pixels_digest(found.pixels),
        format=found.format,
        size=size,
        original_width=found.original_width,
        original_height=found.original_height,
        sm3=sm3,
    )


def clean(data: bytes, *, limits: Limits, max_pixels_used: int, param: str | None = None) -> Clean:
    """Turn an uploaded file into clean pixels.

    The kind is told by content. The first frame is decoded, at the scale that is needed, turned upright, laid
    on white and made 8-bit RGB; metadata is left behind. Pure and thread safe; nothing touches the disk. Takes
    some 0.1 s of processor time for a 24-megapixel photo: call it off the event loop.

    Args:
        data: The whole file.
        limits: Caps on the file.
        max_pixels_used: The most pixels the result may have; larger pictures are shrunk, none is enlarged.
        param: The request's field that the file came in, for the error.

    Returns:
        The pixels.

    Raises:
        ImageError: It is no JPEG, PNG, BMP or WebP picture or it is broken (``invalid_image_format``), or it is
            beyond a cap (``image_too_large``).
        ValueError: ``max_pixels_used`` is not positive.
    """
    if max_pixels_used < 1:
        raise ValueError("max_pixels_used must be positive")
    try:
        return _clean(data, limits, max_pixels_used)
    except ImageError as error:
        error.param = param
        raise
    except MemoryError as error:
        raise ImageError(
            "There is not enough memory for this picture now. Send a smaller one, or try again later.",
            zh="当前内存不足以处理这张图片，请上传更小的图片或稍后重试。",
            param=param,
            code="image_too_large",
        ) from error
    except Exception as error:
        # Decoders raise ValueError, OSError, IndexError, SyntaxError, struct.error and more on broken files.
        raise ImageError(
            "This picture is broken or incomplete. Open it, save it again as JPEG or PNG, and send that.",
            zh="图片已损坏或不完整，请打开后另存为 JPEG 或 PNG 再上传。",
            param=param,
        ) from error


def _clean(data: bytes, limits: Limits, max_pixels_used: int) -> Clean:
    if not data:
        raise ImageError("The picture is empty (0 bytes).", zh="图片为空（0 字节）。")
    if len(data) > limits.max_bytes:
        raise _too_large(
            f"is {_megabytes(len(data))}, more than the {_megabytes(limits.max_bytes)} allowed",
            f"大小为 {_megabytes(len(data))}，超过上限 {_megabytes(limits.max_bytes)}",
        )
    header = read_header(data)
    _check(header, limits)
    if behind := foreign_tail(data, header.format):
        raise ImageError(
            f"Behind this picture stands a {behind} file. Open the picture, save it again, and send that.",
            zh=f"图片末尾附带了 {behind} 文件，请打开图片另存后再上传。",
        )
    stored = (header.width, header.height)
    original_width, original_height = stored[::-1] if header.orientation >= 5 else stored
    width, height = target_size(original_width, original_height, max_pixels_used)
    return Clean(decode(data, header, width, height), header.format, original_width, original_height)


def target_size(width: int, height: int, max_pixels: int) -> tuple[int, int]:
    """The largest size of the same shape that has at most ``max_pixels`` pixels, and is not enlarged.

    Args:
        width: Of the original, pixels.
        height: Of the original, pixels.
        max_pixels: The most pixels wanted, 1 or more.

    Returns:
        ``(width, height)``, each at least 1.
    """
    if width * height <= max_pixels:
        return width, height
    longer, shorter = max(width, height), min(width, height)
    scale = math.sqrt(max_pixels / (width * height))
    new_shorter = max(1, int(shorter * scale))
    # Whole numbers must not make it longer in shape than it was: the model's own limit is just at the cap.
    new_longer = min(max(1, int(longer * scale)), new_shorter * longer // shorter, max_pixels // new_shorter)
    return (new_longer, new_shorter) if width >= height else (new_shorter, new_longer)


def pixels_digest(pixels: NDArray[np.uint8]) -> str:
    """SHA-256 over mode, size and pixels, as hex: arrays of other shapes never share one (CVE-2025-46722).

    Args:
        pixels: ``(height, width, 3)`` uint8, RGB, contiguous.
    """
    height, width, _ = pixels.shape
    digest = hashlib.sha256(struct.pack(">3sII", b"RGB", width, height))
    digest.update(pixels.data)
    return digest.hexdigest()


def _check(header: Header, limits: Limits) -> None:
    width, height = header.width, header.height
    if width < 1 or height < 1:
        raise ValueError("no pixels")
    size = f"{width} × {height}"
    if width * height > limits.max_pixels:
        most = limits.max_pixels / 1e6
        raise _too_large(
            f"has {size} pixels, more than the {most:g} megapixels allowed",
            f"有 {size} 像素，超过上限 {most:g} 百万像素",
        )
    if max(width, height) > limits.max_side:
        raise _too_large(
            f"has {size} pixels, a side longer than the {limits.max_side} allowed",
            f"有 {size} 像素，边长超过上限 {limits.max_side}",
        )
    if max(width, height) > limits.max_aspect * min(width, height):
        raise _too_large(
            f"has {size} pixels, one side more than {limits.max_aspect:g} times the other",
            f"有 {size} 像素，长边超过短边的 {limits.max_aspect:g} 倍",
        )
    if header.decode_bytes > limits.max_decode_bytes:
        need, most_bytes = _megabytes(header.decode_bytes), _megabytes(limits.max_decode_bytes)
        raise _too_large(
            f"has {size} pixels and would take {need} to decode, more than the {most_bytes} allowed",
            f"有 {size} 像素，解码需要 {need} 内存，超过上限 {most_bytes}",
        )


def _too_large(what: str, zh: str) -> ImageError:
    return ImageError(
        f"This picture {what}. Make it smaller or cut it, and send it again.",
        zh=f"图片{zh}，请缩小或裁剪后重新上传。",
        code="image_too_large",
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.4g} MB"
