"""Room for many pictures in one question: their sizes come down together, the largest first, never below readable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from vlpro.imaging.decode import shrink
from vlpro.imaging.ingest import pixels_digest
from vlpro.imaging.picture import Picture
from vlpro.imaging.tokens import MAX_ASPECT, fit, picture_tokens

__all__ = ["reduce", "reduced_size", "shares"]


def shares(
    sizes: Sequence[tuple[int, int]],
    *,
    budget_tokens: int,
    max_pixels: int,
    min_pixels: int,
    readable_pixels: int,
) -> list[int] | None:
    """How many pixels each picture may have, so that all fit together.

    One cap holds for all: what is below it stays as it is, what is above comes down to it. That is the fair way,
    since the largest pictures have the most to give. The cap goes down in steps of the square root of two from
    ``max_pixels``, not to the last pixel that would fit: an engine keeps what it has read of a conversation by the
    pictures' pixels, and a cap that moved with each new picture would make it read all of them anew each time. So
    a follow-up without pictures changes nothing, and 16 pictures that come one by one change it four times.

    Args:
        sizes: Width and height of each picture, pixels, at most ``max_pixels`` each.
        budget_tokens: Tokens for all pictures together, their start and end marks included.
        max_pixels: The most that the engine takes of one picture.
        min_pixels: The fewest; smaller pictures are enlarged by it.
        readable_pixels: The least that a picture is brought down to.

    Returns:
        Pixels in the order of ``sizes``, for :func:`reduced_size`; None where even the least is too much.
    """
    for cap in _caps(max_pixels, max(readable_pixels, min_pixels)):
        shown = (reduced_size(width, height, cap) for width, height in sizes)
        if sum(picture_tokens(*size, max_pixels, min_pixels=min_pixels) for size in shown) <= budget_tokens:
            return [min(width * height, cap) for width, height in sizes]
    return None


def reduced_size(width: int, height: int, pixels: int) -> tuple[int, int]:
    """The size of a picture that may have so many pixels: the model's own cells, so that it resizes no more.

    Args:
        width: Pixels.
        height: Pixels.
        pixels: The most; the last cell that it would fill only partly is left out.

    Returns:
        ``(width, height)``; unchanged where it has no more pixels than that.
    """
    if width * height <= pixels:
        return width, height
    new_width, new_height = fit(width, height, pixels, min_pixels=1)
    new_width, new_height = (
        min(width, new_width),
        min(height, new_height),
    )  # a cell may be wider than the picture
    # Whole cells must not make it longer in shape than the model takes.
    return min(new_width, MAX_ASPECT * new_height), min(new_height, MAX_ASPECT * new_width)


def reduce(picture: Picture, pixels: int) -> Picture:
    """A smaller copy of a picture, or the picture itself where it has no more than ``pixels`` pixels.

    It still knows its original's size. Takes some milliseconds of processor time: call it off the event loop.
    """
    width, height = reduced_size(picture.width, picture.height, pixels)
    if (width, height) == (picture.width, picture.height):
        return picture
    smaller = shrink(picture.pixels, width, height)
    smaller.setflags(write=False)
    return replace(picture, pixels=smaller, pixels_sha256=pixels_digest(smaller))


def _caps(most: int, least: int) -> Iterator[int]:
    """From the most down to the least, which comes last."""
    step, cap = 0, most
    while cap > least:
        yield cap
        step += 1
        cap = int(most / 2 ** (step / 2))
    yield min(most, least)
