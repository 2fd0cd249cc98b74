"""Attention over rows of different lengths in one pass, each with keys and values of its own.

transformers' own batches are padded to the longest row, past and present. Here the rows of a step stand one after
the other in a single sequence: every layer computes them together, and only attention takes them apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import scaled_dot_product_attention

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vlpro.engines.transformers.states import TensorState

__all__ = ["NAME", "Piece", "attend"]

NAME = "vlpro_rows"
"""Under which transformers knows it."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Tokens ``begin`` to ``end`` of a step, which follow what is in ``state``."""

    begin: int
    end: int
    state: TensorState


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,  # noqa: ARG001 - the signature is transformers'; rows need no mask
    *,
    scaling: float,
    pieces: Sequence[Piece],
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
    heads, tokens, size = query.shape[1:]
    out = query.new_empty(1, tokens, heads, size)
    for piece in pieces:
        length = piece.end - piece.begin
        keys, values = piece.state.add(
            module.layer_idx, key[0, :, piece.begin : piece.end], value[0, :, piece.begin : piece.end]
        )
        asked = query[:, :, piece.begin : piece.end]
        if length == 1:
            # The heads that share keys become rows of one product: nothing is repeated in memory.
            grouped = asked.view(1, keys.shape[0], -1, size)
            seen = scaled_dot_product_attention(grouped, keys[None], values[None], scale=scaling)
            out[:, piece.begin] = seen.reshape(1, heads, size)
            continue
        times = heads // keys.shape[0]
        before = keys.shape[1] - length
        mask = None
        if before:
            mask = torch.ones(length, keys.shape[1], dtype=torch.bool, device=keys.device).tril(before)
        seen = scaled_dot_product_attention(
            asked,
            keys.repeat_interleave(times, 0)[None],
            values.repeat_interleave(times, 0)[None],
            attn_mask=mask,
            is_causal=mask is None,
            scale=scaling,
        )
        out[:, piece.begin : piece.end] = seen.transpose(1, 2)
    return out, None
