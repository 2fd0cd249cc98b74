"""A token of every answer, without asking the processor about each kernel: CUDA graphs between the attentions.

A step of one token a row is hundreds of small kernels, which a card computes sooner than Python starts them. They are
the same each time but for attention, which reads keys and values of other lengths in other places. So the layers run
once while the card's work is recorded, cut in two wherever they attend; then the parts are played, with attention
between them.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from vlpro.engines.transformers.attention import Looks

    Layers = Callable[[torch.Tensor, tuple[torch.Tensor, torch.Tensor], Looks], torch.Tensor]

__all__ = ["Recorded"]


class Recorded:
    """A step of so many rows.

    Args:
        layers: Hidden states, rotary positions and attention → logits. Called twice, to warm up and to be recorded.
        hidden: ``(1, rows, size)``, as in any step.
        rotary: Cosines and sines, likewise.
    """

    def __init__(
        self, layers: Layers, hidden: torch.Tensor, rotary: tuple[torch.Tensor, torch.Tensor]
    ) -> None:
        self._hidden, self._rotary = hidden.clone(), (rotary[0].clone(), rotary[1].clone())
        self._pool = torch.cuda.graph_pool_handle()
        self._parts: list[torch.cuda.CUDAGraph] = []
        self._asked: list[tuple[int, torch.Tensor, torch.Tensor, torch.Tensor, float, torch.Tensor]] = []
        now, aside = torch.cuda.current_stream(), _aside()
        aside.wait_stream(now)
        with torch.cuda.stream(aside):
            layers(self._hidden, self._rotary, _nothing)
            torch.cuda.synchronize()
            self._begin()
            try:
                self._logits = layers(self._hidden, self._rotary, self._cut)
            finally:
                self._parts[-1].capture_end()
        now.wait_stream(aside)

    def _begin(self) -> None:
        self._parts.append(torch.cuda.CUDAGraph())
        self._parts[-1].capture_begin(pool=self._pool, capture_error_mode="thread_local")

    def _cut(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float
    ) -> torch.Tensor:
        self._parts[-1].capture_end()
        seen = _nothing(layer, query, key, value, scaling)
        self._asked.append((layer, query, key, value, scaling, seen))
        self._begin()
        return seen

    def play(
        self, hidden: torch.Tensor, rotary: tuple[torch.Tensor, torch.Tensor], looks: Looks
    ) -> torch.Tensor:
        """Logits ``(1, rows, vocabulary)``, until it is played again."""
        for held, now in zip((self._hidden, *self._rotary), (hidden, *rotary), strict=True):
            held.copy_(now)
        for part, (*asked, seen) in zip(self._parts[:-1], self._asked, strict=True):
            part.replay()
            seen.copy_(looks(*asked))
        self._parts[-1].replay()
        return self._logits


@cache
def _aside() -> torch.cuda.Stream:
    """One for all: libraries keep work space for each that they were called on."""
    return torch.cuda.Stream()


def _nothing(
    _layer: int, query: torch.Tensor, _key: torch.Tensor, _value: torch.Tensor, _scaling: float
) -> torch.Tensor:
    """Room for what attention gives."""
    return query.new_zeros(1, query.shape[2], query.shape[1], query.shape[3])
