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
        self._keys: list[torch.Tensor | None] = [None] * layers
        self._values: list[torch.Tensor | None] = [None] * layers

    @property
    def nbytes(self) -> int:
        """Memory that it holds."""
        first = self._keys[0]  # all layers hold as much
        return 0 if first is None else 2 * len(self._keys) * first.nbytes

    def add(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Put a layer's keys and values behind those that are there; ``length`` grows when all layers have done so.

        Args:
            layer: Which.
            keys: ``(heads, tokens, size)``.
            values: Likewise.

        Returns:
            All keys and all values so far, as views.
        """
        end = self.length + keys.shape[1]
        held_keys = self._keys[layer] = self._grown(self._keys[layer], keys, end)
        held_values = self._values[layer] = self._grown(self._values[layer], values, end)
        held_keys[:, self.length : end] = keys
        held_values[:, self.length : end] = values
        return held_keys[:, :end], held_values[:, :end]

    def _grown(self, held: torch.Tensor | None, like: torch.Tensor, length: int) -> torch.Tensor:
        if held is not None and held.shape[1] >= length:
            return held
        grown = like.new_empty(like.shape[0], length + _ROOM, like.shape[2])
        if held is not None:
            grown[:, : self.length] = held[:, : self.length]
        return grown

    def cut(self, length: int) -> None:
        """Forget all tokens from here on."""
        self.length = min(self.length, length)

    def copy(self, length: int) -> TensorState:
        """The same, up to a length, in memory of its own."""
        made = TensorState(len(self._keys))
        made.length = length
        made._keys = [None if t is None else t[:, :length].clone() for t in self._keys]
        made._values = [None if t is None else t[:, :length].clone() for t in self._values]
        return made

    def free(self) -> None:
        """Let go of all memory."""
        self.length = 0
        self._keys = [None] * len(self._keys)
        self._values = [None] * len(self._values)
