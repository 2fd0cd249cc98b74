"""Attention over rows of different lengths in one pass, each with keys and values of its own.

transformers' own batches are padded to the longest row, past and present. Here the rows of a step stand one after
the other in a single sequence: every layer computes them together, and only attention takes them apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch.nn.functional import scaled_dot_product_attention

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vlpro.engines.transformers.states import TensorState

    class Looks(Protocol):
        """What attends."""

        def __call__(
            self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float, /
        ) -> torch.Tensor:
            """As :func:`attend`; gives ``(1, tokens, heads, size)``."""


__all__ = ["NAME", "Piece", "Pieces", "attend", "has_flash"]

NAME = "vlpro_rows"
"""Under which transformers knows it."""

_SHORT = (
    4096  # tokens: to lay the keys of so many beside others' takes a card less time than a call for one row
)
_FLASH_FROM = (8, 0)  # compute capability


@dataclass(frozen=True, slots=True)
class Piece:
    """Tokens ``begin`` to ``end`` of a step, which follow what is in ``state``."""

    begin: int
    end: int
    state: TensorState


def has_flash(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether torch's own FlashAttention is for such a card and such numbers."""
    return (
        device.type == "cuda"
        and dtype in (torch.bfloat16, torch.float16)
        and torch.cuda.get_device_capability(device) >= _FLASH_FROM
    )


class Pieces:
    """Which tokens of a step are whose.

    Args:
        pieces: Of the step.
        flash: Whether the card has the kernels: :func:`has_flash`.
        device: Of all layers, for answers under way to be taken together; None: there are several.
    """

    def __init__(self, pieces: Sequence[Piece], *, flash: bool, device: torch.device | None) -> None:
        self._look = _look_flash if flash else _look
        short = [one for one in pieces if one.end - one.begin == 1 and one.state.length < _SHORT]
        self._together = short if flash and device is not None and len(short) > 1 else []
        self._alone = [one for one in pieces if one not in self._together]
        if self._together:
            rows = [one.begin for one in short]
            lengths = [one.state.length + 1 for one in short]
            self._longest = max(lengths)
            numbers = torch.tensor([[*rows, 0], [0, *accumulate(lengths)]]).to(device)
            self._rows, self._ends = numbers[0, :-1], numbers[1].int()
            self._begins = torch.arange(len(short) + 1, dtype=torch.int32, device=device)

    def __call__(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float
    ) -> torch.Tensor:
        """As :func:`attend`; gives ``(1, tokens, heads, size)``."""
        asked = query[0].transpose(0, 1)
        fresh = torch.stack((key[0].transpose(0, 1), value[0].transpose(0, 1)), 1)
        if self._together and not self._alone:
            return self._look_together(layer, asked, fresh, scaling)[None]
        if len(self._alone) == 1 and not self._together:
            return self._look(asked, self._alone[0].state.add(layer, fresh), scaling)[None]
        out = torch.empty_like(asked, memory_format=torch.contiguous_format)
        if self._together:
            of_rows = asked.index_select(0, self._rows)
            out.index_copy_(0, self._rows, self._look_together(layer, of_rows, fresh, scaling))
        for piece in self._alone:
            held = piece.state.add(layer, fresh[piece.begin : piece.end])
            out[piece.begin : piece.end] = self._look(asked[piece.begin : piece.end], held, scaling)
        return out[None]

    def _look_together(
        self, layer: int, asked: torch.Tensor, fresh: torch.Tensor, scaling: float
    ) -> torch.Tensor:
        held = [one.state.add(layer, fresh.narrow(0, one.begin, 1)) for one in self._together]
        keys, values = torch.cat(held).unbind(1)
        rows = (self._begins, self._ends, 1, self._longest)
        seen: torch.Tensor = _flash(asked, keys, values, *rows, 0.0, False, False, scale=scaling)[0]  # noqa: FBT003
        return seen


# What torch.nn.attention.varlen and .bias call. It takes rows of different lengths, fewer heads of keys than of
# queries, and tokens that follow others, and so spares masks and copies that scaled_dot_product_attention needs.
_flash = torch.ops.aten._flash_attention_forward  # noqa: SLF001


def _look_flash(asked: torch.Tensor, held: torch.Tensor, scaling: float) -> torch.Tensor:
    """As :func:`_look`, on a card of today."""
    keys, values = held[None].unbind(2)
    lengths = (None, None, asked.shape[0], held.shape[0])
    causal = asked.shape[0] > 1
    seen: torch.Tensor = _flash(asked[None], keys, values, *lengths, 0.0, causal, False, scale=scaling)[0]  # noqa: FBT003
    return seen[0]


def _look(asked: torch.Tensor, held: torch.Tensor, scaling: float) -> torch.Tensor:
    """One piece over its own keys and values.

    Args:
        asked: ``(tokens, heads, size)``.
        held: ``(all tokens, 2, fewer heads, size)``.
        scaling: Of the products.

    Returns:
        ``(tokens, heads, size)``.
    """
    (length, heads, size), (total, _, kv_heads, _) = asked.shape, held.shape
    keys, values = held.permute(1, 2, 0, 3)
    if length == 1:
        # The heads that share keys become rows of one product: nothing is repeated in memory.
        grouped = asked.reshape(1, kv_heads, -1, size)
        seen = scaled_dot_product_attention(grouped, keys[None], values[None], scale=scaling)
        return seen.reshape(1, heads, size)
    times = heads // kv_heads
    before = total - length
    mask = None
    if before:
        mask = torch.ones(length, total, dtype=torch.bool, device=held.device).tril(before)
    seen = scaled_dot_product_attention(
        asked.transpose(0, 1)[None],
        keys.repeat_interleave(times, 0)[None],
        values.repeat_interleave(times, 0)[None],
        attn_mask=mask,
        is_causal=mask is None,
        scale=scaling,
    )
    return seen[0].transpose(0, 1)


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,  # noqa: ARG001 - the signature is transformers'; rows need no mask
    *,
    scaling: float,
    pieces: Looks,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """An attention function of transformers (``AttentionInterface``).

    Args:
        module: The layer; its ``layer_idx`` says which.
        query: ``(1, heads, tokens, size)``.
        key: ``(1, fewer heads, tokens, size)``: each serves several heads of the query.
        value: Likewise.
        attention_mask: None.
        scaling: Of the products.
        pieces: Which tokens are whose; passed through by the layers.

    Returns:
        ``(1, tokens, heads, size)``, and None for the weights.
    """
    return pieces(module.layer_idx, query, key, value, scaling), None
