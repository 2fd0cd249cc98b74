"""What a machine has memory for."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What there is memory for.

    Args:
        context_tokens: Prompt and answer together.
        picture_pixels: The largest picture.
        concurrency: Answers at once.
        kept_bytes: Keys, values and features, of questions in flight and of what may be wanted again.
    """

    context_tokens: int
    picture_pixels: int
    concurrency: int
    kept_bytes: int
