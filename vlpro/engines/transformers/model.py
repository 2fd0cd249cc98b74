"""Qwen3-VL's network on PyTorch: transformers' own layers, called for rows of many sequences at once."""

from __future__ import annotations

import logging
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import AttentionInterface, AutoModelForImageTextToText

from vlpro.engines.memory import trim
from vlpro.engines.qwen.network import Row, Seen, Stopped
from vlpro.engines.qwen.pixels import patches
from vlpro.engines.transformers.attention import NAME, Piece, Pieces, attend, has_flash
from vlpro.engines.transformers.recorded import Recorded
from vlpro.engines.transformers.states import TensorState
from vlpro.imaging.picture import Picture
from vlpro.imaging.tokens import CELL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from vlpro.engines.transformers.attention import Looks
    from vlpro.engines.transformers.plan import LoadPlan

__all__ = ["TorchModel", "load"]

log = logging.getLogger(__name__)

_AHEAD = 2  # layers of the vision tower
_RECORDED_ROWS = 32  # for more answers at once a step is not recorded


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
        self._flash = has_flash(self._device, self._dtype)
        self._one_device = len({weight.device for weight in self._text.parameters()}) == 1
        self._records = self._device.type == "cuda" and self._one_device
        self._recorded: dict[int, Recorded] = {}
        if self._device.type == "cuda" and hasattr(torch.backends.cuda, "enable_cudnn_sdp"):
            # It makes a plan for every length, so for every token of an answer: about 30 ms each on an H200.
            torch.backends.cuda.enable_cudnn_sdp(False)  # noqa: FBT003 - torch's own signature
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
        with _calling(self._visual.blocks, _not_far_ahead(between) if weight.is_cuda else between):
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
        looks = Pieces(pieces, flash=self._flash, device=self._device if self._one_device else None)
        recorded = None
        if len(ids) == len(rows) and not shown and all(row.wants_logits for row in rows):
            recorded = self._record(hidden, rotary)
        if recorded is not None:
            made = recorded.play(hidden, rotary, looks)[0]
        else:
            for index, layer in enumerate(self._text.layers):
                if stopped():
                    raise Stopped
                hidden = _through(layer, hidden, rotary, looks)
                for at, features, first, last in shown:
                    if index < len(_of(features).deep):
                        deep = _of(features).deep[index][first:last]
                        hidden[0, at : at + last - first] += deep.to(hidden.device)
            wanted = [end - 1 for end, row in zip(ends, rows, strict=True) if row.wants_logits]
            made = self._logits(hidden[:, torch.tensor(wanted, device=hidden.device)])[0] if wanted else None
        logits = iter([] if made is None else _at_home(made))
        if made is None and self._device.type == "cuda":
            torch.cuda.synchronize(hidden.device)  # the caller measures how long it took
        for row in rows:
            row.state.length += len(row.ids)
        return [next(logits) if row.wants_logits else None for row in rows]

    def _logits(self, hidden: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self._head(self._text.norm(hidden))
        return logits

    def _record(self, hidden: torch.Tensor, rotary: tuple[torch.Tensor, torch.Tensor]) -> Recorded | None:
        """The step of as many rows, recorded where that is possible."""
        rows = hidden.shape[1]
        if not self._records or rows > _RECORDED_ROWS:
            return None

        def layers(
            hidden: torch.Tensor, rotary: tuple[torch.Tensor, torch.Tensor], looks: Looks
        ) -> torch.Tensor:
            for layer in self._text.layers:
                hidden = _through(layer, hidden, rotary, looks)
            return self._logits(hidden)

        if rows not in self._recorded:
            try:
                self._recorded[rows] = Recorded(layers, hidden, rotary)
            except RuntimeError:  # of a kernel that cannot be recorded, or for want of memory
                log.warning("steps are not recorded: answers come slower", exc_info=True)
                self._records = False
                self._recorded.clear()
                return None
        return self._recorded[rows]


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
    made = TorchModel(model)
    if plan.device == "cuda":
        _warm_up(made)
    return made


def _warm_up(model: TorchModel) -> None:
    """Each kind of work once, before anybody waits: a card loads its kernels when they are first used."""
    grey = Picture(np.zeros((8 * CELL, 8 * CELL, 3), np.uint8), "", "", "png", 0, 8 * CELL, 8 * CELL)
    model.see(grey, 8, 8, lambda: None)
    state = model.new_state()
    for count in (256, 1):
        ids, places = np.zeros(count, np.int64), np.zeros((3, count), np.int64)
        model.step([Row(state, ids, places, [], wants_logits=True)], lambda: False)
    state.free()
    model.release()


def _not_far_ahead(between: Callable[[], None]) -> Callable[[], None]:
    """Before each layer, when a card has computed the last but two: it is told of layers long before it does them."""
    begun: deque[torch.cuda.Event] = deque()

    def called() -> None:
        begun.append(torch.cuda.Event())
        begun[-1].record()
        if len(begun) > _AHEAD:
            begun.popleft().synchronize()
        between()

    return called


@contextmanager
def _calling(layers: Sequence[torch.nn.Module], between: Callable[[], None]) -> Iterator[None]:
    """Call this before each of these layers."""
    hooks = [layer.register_forward_pre_hook(lambda *_: between()) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _through(
    layer: Any, hidden: torch.Tensor, rotary: tuple[torch.Tensor, torch.Tensor], looks: Looks
) -> torch.Tensor:
    made = layer(hidden, position_embeddings=rotary, attention_mask=None, pieces=looks)
    return made if isinstance(made, torch.Tensor) else made[0]


def _at_home(logits: torch.Tensor) -> NDArray[np.float32]:
    """In main memory, where a card can write at full speed only if it is pinned."""
    home = torch.empty(logits.shape, dtype=torch.float32, pin_memory=logits.is_cuda)
    made: NDArray[np.float32] = home.copy_(logits.float()).numpy()
    return made


def _of(features: object) -> Seen[torch.Tensor]:
    assert isinstance(features, Seen)  # noqa: S101 - see() made them
    return features


def _state(row: Row) -> TensorState:
    assert isinstance(row.state, TensorState)  # noqa: S101 - new_state() made it
    return row.state
