"""Keys and values of a sequence, in PyTorch tensors that grow."""

from __future__ import annotations

import torch

__all__ = ["TensorState"]

_ROOM = 256  # tokens that a sequence grows by: copying what is there costs little a token, and little stays unused


class TensorState:
    """Keys and values of all layers.

    Args:
        layers: How many there are.
    """

    def __init__(self, layers: int) -> None:
        self.length = 0
        self._held: list[torch.Tensor | None] = [None] * layers

    @property
    def nbytes(self) -> int:
        """Memory that it holds."""
        first = self._held[0]  # all layers hold as much
        return 0 if first is None else len(self._held) * first.nbytes

    def add(self, layer: int, fresh: torch.Tensor) -> torch.Tensor:
        """Put a layer's keys and values behind those that are there; ``length`` grows when all layers have done so.

        Args:
            layer: Which.
            fresh: ``(tokens, 2, heads, size)``: keys and values.

        Returns:
            All so far, likewise, as a view.
        """
        count = fresh.shape[0]
        end = self.length + count
        held = self._held[layer]
        if held is None or held.shape[0] < end:
            held = self._held[layer] = self._grown(held, fresh, end)
        held.narrow(0, self.length, count).copy_(fresh)
        return held.narrow(0, 0, end)

    def _grown(self, held: torch.Tensor | None, like: torch.Tensor, length: int) -> torch.Tensor:
        grown = like.new_empty(length + _ROOM, *like.shape[1:])
        if held is not None:
            grown[: self.length] = held[: self.length]
        return grown

    def cut(self, length: int) -> None:
        """Forget all tokens from here on."""
        self.length = min(self.length, length)

    def copy(self, length: int) -> TensorState:
        """The same, up to a length, in memory of its own."""
        made = TensorState(len(self._held))
        made.length = length
        made._held = [None if t is None else t[:length].clone() for t in self._held]
        return made

    def free(self) -> None:
        """Let go of all memory."""
        self.length = 0
        self._held = [None] * len(self._held)
