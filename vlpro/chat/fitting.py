"""Makes a question fit into the engine's context: counts first, then makes smaller what is too large together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from vlpro.engines.interface import Capabilities, Engine, Message, Request
from vlpro.imaging.budget import reduce, reduced_size, shares
from vlpro.imaging.tokens import picture_tokens

__all__ = ["Counted", "Shown", "count", "reduced"]


@dataclass(frozen=True, slots=True)
class Counted:
    """A request with what it takes.

    Args:
        request: For the engine, its pictures still as they were read in.
        pixels: The most that each of them may have.
        tokens: Of text and pictures, when these have no more than that.
    """

    request: Request
    pixels: tuple[int, ...]
    tokens: int

    @property
    def too_large(self) -> bool:
        """Whether a picture has to be made smaller."""
        return any(
            p.width * p.height > most for p, most in zip(self.request.pictures, self.pixels, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture as the engine was given it, without its pixels.

    Args:
        sha256: Of the original bytes.
        pixels_sha256: Of the pixels that were given.
        width: Of what was given, pixels.
        height: Likewise.
        original_width: Of the upright original, pixels.
        original_height: Likewise.
        reduced: Whether it was made smaller so that all pictures fit together.
    """

    sha256: str
    pixels_sha256: str
    width: int
    height: int
    original_width: int
    original_height: int
    reduced: bool


def count(engine: Engine, request: Request, max_tokens: int | None) -> Counted:
    """What a request takes of an engine's context, with smaller pictures where that makes it fit.

    Args:
        engine: Counts.
        request: The question.
        max_tokens: Room for the answer, as asked for; None: as the engine gives by default, in moderation.
    """
    capabilities = engine.capabilities
    sizes = [(picture.width, picture.height) for picture in request.pictures]
    pixels = [width * height for width, height in sizes]
    tokens = engine.count_prompt(request)
    if not (sizes and capabilities.picture_tokens_budget):
        return Counted(request, tuple(pixels), tokens)
    text = tokens - _tokens(sizes, pixels, capabilities)
    answer = max_tokens or min(capabilities.default_max_tokens, capabilities.context_tokens // 4)
    found = shares(
        sizes,
        budget_tokens=min(capabilities.picture_tokens_budget, capabilities.context_tokens - text - answer),
        max_pixels=capabilities.picture_pixels,
        min_pixels=capabilities.picture_min_pixels,
        readable_pixels=capabilities.picture_readable_pixels,
    )
    # With the least of all pictures it may be over the budget, or leave a short answer, and yet fit the context.
    pixels = found or [min(own, capabilities.picture_readable_pixels) for own in pixels]
    return Counted(request, tuple(pixels), text + _tokens(sizes, pixels, capabilities))


def reduced(counted: Counted) -> tuple[Request, tuple[Shown, ...]]:
    """The request with its pictures at the sizes that fit, and what they are now.

    Takes some milliseconds of processor time for each that is made smaller: call it off the event loop then.
    """
    before = counted.request.pictures
    after = tuple(map(reduce, before, counted.pixels))
    left = iter(after)
    messages = tuple(
        Message(m.role, tuple(part if isinstance(part, str) else next(left) for part in m.parts))
        for m in counted.request.messages
    )
    shown = tuple(
        Shown(
            sha256=now.sha256,
            pixels_sha256=now.pixels_sha256,
            width=now.width,
            height=now.height,
            original_width=now.original_width,
            original_height=now.original_height,
            reduced=now is not then,
        )
        for then, now in zip(before, after, strict=True)
    )
    return replace(counted.request, messages=messages), shown


def _tokens(sizes: Sequence[tuple[int, int]], pixels: Sequence[int], capabilities: Capabilities) -> int:
    shown = (reduced_size(width, height, most) for (width, height), most in zip(sizes, pixels, strict=True))
    return sum(
        picture_tokens(*size, capabilities.picture_pixels, min_pixels=capabilities.picture_min_pixels)
        for size in shown
    )
