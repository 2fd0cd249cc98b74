"""Drawn circuit boards with defects of every kind, at known places, and pictures of them as a camera takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vlpro.imaging.picture import Picture

__all__ = ["KINDS", "Board", "Flaw", "board", "coloured", "lit", "picture", "taken"]

Pixels = NDArray[Any]

KINDS = ("open", "short", "mousebite", "spur", "copper", "pin-hole")
SIDE = 640
_MARGIN = 10  # around a defect, as the boxes of the data set DeepPCB have
_TOP, _PITCH, _NETS = 60, 62, 9
_SLOTS = tuple(range(130, 400, 66))  # where on a net a defect has room


@dataclass(frozen=True)
class Flaw:
    """A defect and its box, ``(x1, y1, x2, y2)``, pixels."""

    kind: str
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class Board:
    """A board without defects and one with them: ``(640, 640)`` uint8, copper black, ground white."""

    golden: Pixels
    flawed: Pixels
    flaws: tuple[Flaw, ...]


def board(seed: int, kinds: tuple[str, ...] = KINDS) -> Board:
    """Draw a board.

    Args:
        seed: Same seed, same board.
        kinds: Of the defects, each at a place of its own.
    """
    rng = np.random.default_rng(seed)
    copper = np.zeros((SIDE, SIDE), np.uint8)
    nets = []
    for number in range(_NETS):
        y, width = _TOP + _PITCH * number, int(rng.integers(12, 19))
        nets.append((y, width))
        turn, down = int(rng.integers(440, 480)), int(rng.integers(-14, 15))
        bends = np.array([(50, y), (turn, y), (turn + 40, y + down), (600, y + down)])
        cv2.polylines(copper, [bends], isClosed=False, color=1, thickness=width)
        for x, at in ((50, y), (600, y + down)):
            cv2.circle(copper, (x, at), int(rng.integers(17, 22)), 1, cv2.FILLED)
            if rng.random() < 0.6:
                cv2.circle(copper, (x, at), 6, 0, cv2.FILLED)
    cv2.rectangle(copper, (90, 0), (int(rng.integers(300, 420)), 24), 1, cv2.FILLED)
    flawed, flaws = copper.copy(), []
    places = [(net, x) for net in range(_NETS - 1) for x in _SLOTS]
    for kind, place in zip(kinds, rng.permutation(len(places)), strict=False):
        net, x = places[place]
        before = flawed.copy()
        _damage(flawed, kind, nets[net : net + 2], x, rng)
        left, top, wide, high = cv2.boundingRect((flawed ^ before).astype(np.uint8))
        box = (left - _MARGIN, top - _MARGIN, left + wide + _MARGIN, top + high + _MARGIN)
        flaws.append(Flaw(kind, box))
    return Board(_etched(copper, rng), _etched(flawed, rng), tuple(flaws))


def _damage(copper: Pixels, kind: str, nets: list[tuple[int, int]], x: int, rng: np.random.Generator) -> None:
    (y, width), below = nets
    edge = y + width // 2
    wide = int(rng.integers(5, 9))
    match kind:
        case "open":
            lean = int(rng.integers(-6, 7))
            cut = [
                (x - wide, y - width),
                (x + wide, y - width),
                (x + wide + lean, y + width),
                (x - wide + lean, y + width),
            ]
            cv2.fillPoly(copper, [np.array(cut)], 0)
        case "short":
            cv2.line(copper, (x, y), (x + int(rng.integers(-10, 11)), below[0]), 1, wide)
        case "mousebite":
            cv2.ellipse(copper, (x, edge), (wide, int(rng.integers(6, 9))), 0, 0, 360, 0, cv2.FILLED)
        case "spur":
            cv2.ellipse(copper, (x, edge), (wide, int(rng.integers(9, 15))), 0, 0, 360, 1, cv2.FILLED)
        case "copper":
            middle = (edge + below[0] - below[1] // 2) // 2
            cv2.ellipse(
                copper, (x, middle), (wide + 2, wide), float(rng.integers(180)), 0, 360, 1, cv2.FILLED
            )
        case "pin-hole":
            cv2.circle(copper, (x, y), 4, 0, cv2.FILLED)
        case _:
            raise ValueError(kind)


def _etched(copper: Pixels, rng: np.random.Generator) -> Pixels:
    """With edges as etching leaves them, a pixel to and fro: no two boards are equal."""
    uneven = cv2.GaussianBlur(rng.normal(0, 1, copper.shape).astype(np.float32), (0, 0), 2.0)
    soft = cv2.GaussianBlur(copper.astype(np.float32), (0, 0), 1.2) + 0.6 * uneven
    return np.where(soft > 0.5, 0, 255).astype(np.uint8)


def taken(
    pixels: Pixels, degrees: float = 0, scale: float = 1, shift: tuple[float, float] = (0, 0), fill: int = 255
) -> tuple[Pixels, NDArray[np.float64]]:
    """A board as a camera takes it that does not stand where it stood before; and where each point went, 2 × 3."""
    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, scale)
    matrix[:, 2] += np.array(shift)
    moved = cv2.warpAffine(pixels, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=(fill,) * 3)
    return moved, np.asarray(matrix, np.float64)


def lit(pixels: Pixels, seed: int = 0, noise: float = 5) -> Pixels:
    """In other light: paler, falling off to the right, with noise, slightly blurred and as a JPEG."""
    rng = np.random.default_rng(seed)
    fall = np.linspace(1.1, 0.65, pixels.shape[1])
    fall = fall[None, :] if pixels.ndim == 2 else fall[None, :, None]
    dim = cv2.GaussianBlur((30 + 0.7 * pixels.astype(np.float32)) * fall, (0, 0), 0.8)
    noisy = (dim + rng.normal(0, noise, pixels.shape)).clip(0, 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 60])
    taken_so: Pixels = np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED))
    return taken_so


def coloured(
    pixels: Pixels, seed: int = 0, parts: int = 12, missing: tuple[int, ...] = ()
) -> tuple[Pixels, list[Flaw]]:
    """The board in colour with parts on it, ``(640, 640, 3)`` RGB, and the places of those that are missing.

    Args:
        pixels: Copper black, ground white.
        seed: Of the parts: same seed, same parts.
        parts: How many.
        missing: Numbers of those that are not there.
    """
    rng = np.random.default_rng(seed)
    copper = pixels[..., None] < 128
    image = np.where(copper, np.array([74, 128, 70]), np.array([30, 92, 58])).astype(np.uint8)
    gone = []
    for number, place in enumerate(rng.permutation(36)[:parts]):
        x, y = 70 + 95 * int(place % 6), 45 + 95 * int(place // 6)
        wide, high = (int(side) for side in rng.integers(18, 40, 2))
        colour = [(25, 25, 28), (190, 170, 140), (60, 50, 45)][int(rng.integers(3))]
        if number in missing:
            gone.append(
                Flaw("difference", (x - _MARGIN, y - _MARGIN, x + wide + _MARGIN, y + high + _MARGIN))
            )
            continue
        cv2.rectangle(image, (x, y), (x + wide, y + high), colour, cv2.FILLED)
        cv2.rectangle(image, (x - 5, y), (x, y + high), (200, 205, 208), cv2.FILLED)
        cv2.rectangle(image, (x + wide, y), (x + wide + 5, y + high), (200, 205, 208), cv2.FILLED)
        if wide > 24:
            cv2.putText(image, "R1", (x + 3, y + high - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (230, 230, 230), 1)
    return cv2.GaussianBlur(image, (3, 3), 0), gone


def picture(pixels: Pixels) -> Picture:
    """Pixels, grey or RGB, as the rest of the program has them."""
    colour = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB) if pixels.ndim == 2 else pixels
    return Picture(np.ascontiguousarray(colour), "", "", "png", 0, pixels.shape[1], pixels.shape[0])
