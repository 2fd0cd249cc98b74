"""What reading a picture yields: lines of text and codes, each with its place."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Box", "Code", "Line", "Page", "Quad"]

Quad = tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]
Box = tuple[float, float, float, float]


def _box(quad: Quad) -> Box:
    xs, ys = [x for x, _ in quad], [y for _, y in quad]
    return min(xs), min(ys), max(xs), max(ys)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text.

    Args:
        text: As read; full-width forms are kept.
        confidence: Mean over the characters, 0 to 1.
        quad: Corners in pixels of the picture: top left, top right, bottom right, bottom left of the text.
    """

    text: str
    confidence: float
    quad: Quad

    @property
    def box(self) -> Box:
        """``(x1, y1, x2, y2)`` around the line, pixels."""
        return _box(self.quad)


@dataclass(frozen=True, slots=True)
class Code:
    """One bar code or two-dimensional code.

    Args:
        text: Its content.
        format: Its kind, as zxing names it (``QRCode``, ``Code128``, …).
        quad: Corners in pixels of the picture.
    """

    text: str
    format: str
    quad: Quad

    @property
    def box(self) -> Box:
        """``(x1, y1, x2, y2)`` around the code, pixels."""
        return _box(self.quad)


@dataclass(frozen=True, slots=True)
class Page:
    """All that was read in one picture.

    Args:
        width: Of the picture, pixels.
        height: Of the picture, pixels.
        lines: In reading order.
        codes: From top to bottom.
    """

    width: int
    height: int
    lines: tuple[Line, ...]
    codes: tuple[Code, ...] = ()
