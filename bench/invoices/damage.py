"""What happens to paper before a program sees it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def _warp(pixels: Pixels, matrix: NDArray[np.float64], size: tuple[int, int], random: Random) -> Pixels:
    table = random.choice(((255, 255, 255), (190, 180, 165), (90, 85, 80)))
    return np.asarray(
        cv2.warpPerspective(pixels, matrix, size, flags=cv2.INTER_CUBIC, borderValue=table), np.uint8
    )


def tilt(pixels: Pixels, random: Random) -> Pixels:
    """Turned by up to six degrees."""
    height, width = pixels.shape[:2]
    angle = random.choice((-1, 1)) * random.uniform(1.5, 6)
    margin = 60
    matrix = np.vstack((cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1), (0, 0, 1)))
    corners = np.array([(0, 0, 1), (width, 0, 1), (width, height, 1), (0, height, 1)]).T
    moved = (matrix @ corners)[:2]
    low = moved.min(1) - margin
    size = np.ceil(moved.max(1) + margin - low).astype(int)
    matrix = np.array([[1, 0, -low[0]], [0, 1, -low[1]], [0, 0, 1]]) @ matrix
    return _warp(pixels, matrix, (int(size[0]), int(size[1])), random)


def perspective(pixels: Pixels, random: Random) -> Pixels:
    """Photographed from the side: corners move by up to 6 % of the page."""
    height, width = pixels.shape[:2]
    margin = 50
    source = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)

    def off(length: int) -> float:
        return random.uniform(0, 0.06) * length

    target = source + np.array(
        [
            (off(width), off(height)), (-off(width), off(height)),
            (-off(width), -off(height)), (off(width), -off(height)),
        ],
        np.float32,
    )  # fmt: skip
    matrix = cv2.getPerspectiveTransform(source, np.asarray(target + margin, np.float32))
    return _warp(pixels, np.asarray(matrix, np.float64), (width + 2 * margin, height + 2 * margin), random)


def blur(pixels: Pixels, random: Random) -> Pixels:
    """Out of focus, or moved."""
    if random.random() < 0.6:
        return np.asarray(cv2.GaussianBlur(pixels, (0, 0), random.uniform(1.0, 1.9)), np.uint8)
    length = random.choice((4, 5, 6))
    kernel = np.zeros((length, length), np.float32)
    if random.random() < 0.5:
        kernel[length // 2] = 1 / length
    else:
        kernel[:, length // 2] = 1 / length
    return np.asarray(cv2.filter2D(pixels, -1, kernel), np.uint8)


def low_contrast(pixels: Pixels, random: Random) -> Pixels:
    """Pale print, uneven light, noise."""
    height, width = pixels.shape[:2]
    share, base = random.uniform(0.3, 0.55), random.uniform(90, 150)
    ramp = np.linspace(random.uniform(0.75, 1), random.uniform(0.75, 1), width)[None, :, None]
    noise = np.random.default_rng(random.randrange(2**31)).normal(0, random.uniform(2, 5), (height, width, 1))
    return np.clip((pixels * share + base * (1 - share) + 25) * ramp + noise, 0, 255).astype(np.uint8)


def stamp(pixels: Pixels, random: Random) -> Pixels:
    """One to three red stamps anywhere, also over text."""
    height, width = pixels.shape[:2]
    made = pixels.copy()
    for _ in range(random.choice((1, 2, 2, 3))):
        layer = np.full_like(made, 255)
        x, y = random.randrange(width // 8, width * 7 // 8), random.randrange(height // 8, height * 7 // 8)
        radius = random.randrange(60, 110)
        colour = (random.randrange(190, 240), random.randrange(40, 90), random.randrange(40, 90))
        cv2.ellipse(
            layer,
            (x, y),
            (radius, int(radius * random.uniform(0.6, 1))),
            random.uniform(-30, 30),
            0,
            360,
            colour,
            6,
            cv2.LINE_AA,
        )
        star = [
            (x + radius * 0.35 * (1 if i % 2 == 0 else 0.4) * np.sin(i * np.pi / 5),
             y - radius * 0.35 * (1 if i % 2 == 0 else 0.4) * np.cos(i * np.pi / 5))
            for i in range(10)
        ]  # fmt: skip
        cv2.fillPoly(layer, [np.array(star, np.int32)], colour, cv2.LINE_AA)
        strength = random.uniform(0.5, 0.95)
        layer = (255 - (255 - layer.astype(np.float32)) * strength).astype(np.float32)
        made = (made.astype(np.float32) * layer / 255).astype(np.uint8)
    return made


def _compressed(pixels: Pixels, quality: int) -> Pixels:
    _, data = cv2.imencode(
        ".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    again = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert again is not None
    return np.asarray(cv2.cvtColor(again, cv2.COLOR_BGR2RGB), np.uint8)


def jpeg(pixels: Pixels, random: Random) -> Pixels:
    """Sent by a messenger: smaller, and compressed hard."""
    scale = random.uniform(0.62, 0.85)
    height, width = pixels.shape[:2]
    small = cv2.resize(pixels, (int(width * scale), int(height * scale)), interpolation=cv2.INTER_AREA)
    return _compressed(np.asarray(small, np.uint8), random.randrange(22, 45))


def photo(pixels: Pixels, random: Random) -> Pixels:
    """Some of everything, as a telephone's picture has it."""
    made = perspective(pixels, random)
    if random.random() < 0.5:
        made = stamp(made, random)
    made = np.asarray(cv2.GaussianBlur(made, (0, 0), random.uniform(0.5, 1.1)), np.uint8)
    shade = np.linspace(random.uniform(0.65, 1), random.uniform(0.65, 1), made.shape[1])[None, :, None]
    made = np.clip(made * shade, 0, 255).astype(np.uint8)
    return _compressed(made, random.randrange(45, 80))


def clean(pixels: Pixels, random: Random) -> Pixels:  # noqa: ARG001 - as all the others
    """Nothing."""
    return pixels


DAMAGES: dict[str, Callable[[Pixels, Random], Pixels]] = {
    "clean": clean,
    "tilt": tilt,
    "perspective": perspective,
    "blur": blur,
    "low contrast": low_contrast,
    "stamp": stamp,
    "jpeg": jpeg,
    "photo": photo,
}
