"""Pixels out of a file whose header has passed: at the scale that is needed, upright, on white.

JPEG goes through libjpeg-turbo, which decodes at N/8 of the size in little more than the time of its entropy
coding. Everything else goes through Pillow's own class for that one format (``Image.open`` would try formats by
their magic and warn of large pictures), whole, and is then made RGB and shrunk band by band.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import cv2
import numpy as np
import simplejpeg  # type: ignore[import-untyped]  # it ships stubs but no py.typed
from PIL import BmpImagePlugin, Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from vlpro.imaging.header import PNG_SIGNATURE, jpeg_segments, png_chunks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vlpro.imaging.header import Header

__all__ = ["decode", "shrink"]

_BAND_PIXELS = 2_000_000
_PNG_PIXEL_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}


def decode(data: bytes, header: Header, width: int, height: int) -> NDArray[np.uint8]:
    """Decode a picture straight to the size that is wanted.

    Args:
        data: The whole file.
        header: What its header says; must have passed the caps.
        width: Wanted width of the upright picture, at most the original's, pixels.
        height: Likewise, its height.

    Returns:
        ``(height, width, 3)`` uint8, RGB, contiguous.

    Raises:
        Exception: The file is broken; any kind.
    """
    if header.orientation >= 5:  # stored lying on its side
        width, height = height, width
    if header.format == "jpeg":
        pixels = _jpeg(data, header, width, height)
    else:
        pixels = _in_bands(_open(data, header), width, height)
    return _upright(shrink(pixels, width, height), header.orientation)


def shrink(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Resize to exactly ``width`` × ``height`` pixels, each at most the present one.

    Args:
        pixels: ``(h, w, 3)`` uint8.
        width: Wanted width, pixels.
        height: Wanted height, pixels.

    Returns:
        ``(height, width, 3)`` uint8, contiguous.
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _jpeg(data: bytes, header: Header, width: int, height: int) -> NDArray[np.uint8]:
    """Decode at the smallest N/8 that is no smaller than wanted."""
    if width == header.width and height == header.height:
        width, height = 0, 0  # no scaling
    try:
        pixels = _turbo(data, width, height, strict=True)
    except ValueError as error:
        if "subsampling" in str(
            error
        ):  # a combination that TurboJPEG has no name for; libjpeg itself reads it
            return _odd_jpeg(data, width, height)
        if "extraneous bytes" not in str(error):
            raise
        # Padding between segments is no damage; cut or wrong data, which would turn grey, stays refused.
        pixels = _turbo(data, width, height, strict=False)
    if pixels.shape[0] > header.height or pixels.shape[1] > header.width:
        raise ValueError("larger than its header says")
    return pixels


def _turbo(data: bytes, width: int, height: int, *, strict: bool) -> NDArray[np.uint8]:
    """libjpeg-turbo; CMYK and YCCK are taken as inverted, as Adobe writes them and as Pillow and Chromium do."""
    pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(
        data, "RGB", min_width=width, min_height=height, strict=strict
    )
    return pixels


def _odd_jpeg(data: bytes, width: int, height: int) -> NDArray[np.uint8]:
    """Decode by Pillow, without metadata, since it warns of broken EXIF; JFIF and Adobe tell the colours."""
    parts = [data[:2]]
    scan = 2
    for marker, start, scan in jpeg_segments(data):
        if not (0xE1 <= marker <= 0xED or marker in {0xEF, 0xFE}):
            parts.append(data[start:scan])
    image = JpegImagePlugin.JpegImageFile(BytesIO(b"".join([*parts, data[scan:]])))
    if width:
        image.draft(None, (width, height))
    return np.array(image.convert("RGB"))


def _open(data: bytes, header: Header) -> Image.Image:
    image: Image.Image
    match header.format:
        case "png":
            # Only what the pixels need: no text, profile or animation chunk reaches the decoder.
            parts = [data[start:end] for kind, start, end in png_chunks(data) if kind in _PNG_PIXEL_CHUNKS]
            image = PngImagePlugin.PngImageFile(BytesIO(b"".join([PNG_SIGNATURE, *parts])))
        case "webp":
            image = WebPImagePlugin.WebPImageFile(BytesIO(data))
        case _:
            image = BmpImagePlugin.BmpImageFile(BytesIO(data))
    if image.size != (header.width, header.height):
        raise ValueError("not the size that its header says")
    image.load()
    if header.format == "bmp" and image.mode == "RGBA" and image.getchannel("A").getextrema() == (0, 0):
        return image.convert("RGB")  # programs that leave the fourth byte at zero mean opaque
    if header.format == "png" and image.mode == "RGB" and data[24] == 16:
        image.info.pop("transparency", None)  # a 16-bit colour key cannot be found again in 8-bit pixels
    return image


def _in_bands(image: Image.Image, width: int, height: int) -> NDArray[np.uint8]:
    """Make RGB on white, shrunk by the whole number that fits, without a second copy of the whole picture."""
    factor = max(1, min(image.width // width, image.height // height))
    rows = max(1, _BAND_PIXELS // (image.width * factor)) * factor
    pixels = np.empty((-(-image.height // factor), -(-image.width // factor), 3), np.uint8)
    for top in range(0, image.height, rows):
        band = _on_white(image.crop((0, top, image.width, min(top + rows, image.height))))
        if factor > 1:
            band = band.reduce(factor)
        pixels[top // factor : top // factor + band.height] = np.asarray(band)
    return pixels


def _on_white(band: Image.Image) -> Image.Image:
    if band.mode.startswith("I;16"):
        grey = np.asarray(band)
        key = band.info.get("transparency")
        eight = ((grey.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
        return Image.fromarray(eight if key is None else np.where(grey == key, np.uint8(255), eight)).convert(
            "RGB"
        )
    if not band.has_transparency_data:
        return band.convert("RGB")
    band = band.convert("RGBA")
    white = Image.new("RGB", band.size, "white")
    white.paste(band, mask=band.getchannel("A"))
    return white


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Apply an EXIF orientation."""
    turned: cv2.typing.MatLike
    match orientation:
        case 2:
            turned = cv2.flip(pixels, 1)
        case 3:
            turned = cv2.rotate(pixels, cv2.ROTATE_180)
        case 4:
            turned = cv2.flip(pixels, 0)
        case 5:
            turned = cv2.transpose(pixels)
        case 6:
            turned = cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE)
        case 7:
            turned = cv2.transpose(cv2.rotate(pixels, cv2.ROTATE_180))
        case 8:
            turned = cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE)
        case _:
            turned = pixels
    return np.ascontiguousarray(turned, np.uint8)
