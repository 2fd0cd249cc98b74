"""Qwen3-VL's network on PyTorch: transformers' own layers, called for rows of many sequences at once."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import AttentionInterface, AutoModelForImageTextToText

from vlpro.engines.memory import trim
from vlpro.engines.qwen.network import Seen, Stopped
from vlpro.engines.qwen.pixels import patches
from vlpro.engines.transformers.attention import NAME, Piece, attend
from vlpro.engines.transformers.states import TensorState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from vlpro.engines.qwen.network import Row
    from vlpro.engines.transformers.plan import LoadPlan
    from vlpro.imaging.picture import Picture

__all__ = ["TorchModel", "load"]


class TorchModel:
    """The network, for :class:`~vlpro.engines.qwen.scheduler.Scheduler`.

    Args:
        model: A ``Qwen3VLForConditionalGeneration``.
    """

    def __init__(self, model: Any) -> None:
        self._visual = model.model.visual
        self._text = model.model.language_model
        self._head = model.lm_head
        self._device = self._text.embed_tokens.weight.device
        self._dtype = self._text.embed_tokens.weight.dtype
        config = self._text.config
        self.vocabulary = int(config.vocab_size)
        self._layers = len(self._text.layers)
        self.token_bytes = (
            2 * self._layers * config.num_key_value_heads * config.head_dim * self._dtype.itemsize
        )
        AttentionInterface.register(NAME, attend)
        for layer in self._text.layers:
            layer.self_attn.config._attn_implementation = NAME  # noqa: SLF001 - the only way to say so of a part

    def new_state(self) -> TensorState:
        """Of an empty sequence."""
        return TensorState(self._layers)

    @torch.inference_mode()
    def see(
        self, picture: Picture, rows: int, columns: int, between: Callable[[], None]
    ) -> Seen[torch.Tensor]:
        """Features of a picture.

        Args:
            picture: The picture.
            rows: Height in cells of 32 pixels.
            columns: Width in cells.
            between: Called before each layer; what it raises ends the work.
        """
        weight = self._visual.patch_embed.proj.weight
        pixels = torch.from_numpy(patches(picture.pixels, rows, columns)).to(weight.device, weight.dtype)
        grid = torch.tensor([[1, 2 * rows, 2 * columns]], device=weight.device)
        with _calling(self._visual.blocks, between):
            made = self._visual(pixels, grid_thw=grid)
        # transformers 4 gives a pair, 5 an object.
        merged, deep = made if isinstance(made, tuple) else (made.pooler_output, made.deepstack_features)
        return Seen(merged.to(self._dtype), tuple(one.to(self._dtype) for one in deep))

    def release(self) -> None:
        """Give back memory that nothing is kept in."""
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        trim()

    @torch.inference_mode()
    def step(self, rows: Sequence[Row], stopped: Callable[[], bool]) -> list[NDArray[np.float32] | None]:
        """Read each row; logits ``(vocabulary,)`` of those that want them.

        Raises:
            Stopped: ``stopped`` said yes between two layers; no state has grown.
        """
        ends = np.cumsum([len(row.ids) for row in rows]).tolist()
        begins = [0, *ends[:-1]]
        ids = torch.from_numpy(np.concatenate([row.ids for row in rows])).to(self._device)
        where = torch.from_numpy(np.concatenate([row.positions for row in rows], axis=1)).to(self._device)
        hidden = self._text.embed_tokens(ids)[None]
        shown = [
            (begin + at, features, first, last)
            for begin, row in zip(begins, rows, strict=True)
            for at, features, first, last in row.pictures
        ]
        for at, features, first, last in shown:
            hidden[0, at : at + last - first] = _of(features).merged[first:last].to(self._device)
        rotary = self._text.rotary_emb(hidden, where[:, None])
        pieces = [Piece(begin, end, _state(row)) for begin, end, row in zip(begins, ends, rows, strict=True)]
        for index, layer in enumerate(self._text.layers):
            if stopped():
                raise Stopped
            hidden = layer(hidden, position_embeddings=rotary, attention_mask=None, pieces=pieces)
            hidden = hidden if isinstance(hidden, torch.Tensor) else hidden[0]
            for at, features, first, last in shown:
                if index < len(_of(features).deep):
                    deep = _of(features).deep[index][first:last]
                    hidden[0, at : at + last - first] += deep.to(hidden.device)
        for row in rows:
            row.state.length += len(row.ids)
        wanted = [end - 1 for end, row in zip(ends, rows, strict=True) if row.wants_logits]
        if not wanted:
            return [None] * len(rows)
        last_hidden = self._text.norm(hidden[:, torch.tensor(wanted, device=hidden.device)])
        logits = iter(self._head(last_hidden)[0].float().cpu().numpy())
        return [next(logits) if row.wants_logits else None for row in rows]


def load(folder: Path, plan: LoadPlan) -> TorchModel:
    """Load a verified model folder as planned: its own weights only, no code of it, nothing from outside.

    Args:
        folder: The model's.
        plan: How.
    """
    options: dict[str, Any] = {}
    if plan.quantisation == "nf4":
        from transformers import BitsAndBytesConfig  # noqa: PLC0415 - asks for its package

        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=getattr(torch, plan.dtype),
        )
    if plan.device_map is not None:
        options |= {"device_map": plan.device_map, "max_memory": plan.max_memory}
    model = AutoModelForImageTextToText.from_pretrained(
        folder,
        dtype=getattr(torch, plan.dtype),
        attn_implementation=plan.attention,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        **options,
    ).eval()
    if plan.device == "cuda" and plan.device_map is None:
        model.to("cuda")
    return TorchModel(model)


@contextmanager
def _calling(layers: Sequence[torch.nn.Module], between: Callable[[], None]) -> Iterator[None]:
    """Call this before each of these layers."""
    hooks = [layer.register_forward_pre_hook(lambda *_: between()) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _of(features: object) -> Seen[torch.Tensor]:
    assert isinstance(features, Seen)  # noqa: S101 - see() made them
    return features


def _state(row: Row) -> TensorState:
    assert isinstance(row.state, TensorState)  # noqa: S101 - new_state() made it
    return row.state
