"""Qwen3-VL's network on OpenVINO's plain runtime, for rows of many sequences at once."""

from __future__ import annotations

import contextlib
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino as ov

from vlpro.engines.memory import trim
from vlpro.engines.openvino import graph
from vlpro.engines.openvino.cache import BLOCK_TOKENS, BlockMemory
from vlpro.engines.openvino.rotary import TextRotary
from vlpro.engines.openvino.vision import Tower
from vlpro.engines.openvino.weights import Weights
from vlpro.engines.qwen.blocks import BlockPool, PagedState
from vlpro.engines.qwen.network import Row, Seen, Stopped
from vlpro.imaging.picture import Picture

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


__all__ = ["OpenVinoModel"]

_ASK_EVERY_MS = 10
_ALIKE = 0.98
"""Correlation of logits that must be the same, but for rounding."""
_SPARE = 1.1
"""Times the limit: a sequence may hold a part of a block more than its tokens. What is not in use takes no memory."""


class OpenVinoModel:
    """The network, for :class:`~vlpro.engines.qwen.scheduler.Scheduler`.

    Args:
        folder: The model's, verified.
        config: Its ``config.json``.
        max_bytes: Memory for keys and values.
        properties: Of the processor plugin.
    """

    def __init__(
        self, folder: Path, config: Mapping[str, Any], *, max_bytes: int, properties: Mapping[str, Any]
    ) -> None:
        core = ov.Core()
        weights = Weights(folder)
        text, vision = config["text_config"], config["vision_config"]

        def compiled(model: ov.Model) -> ov.CompiledModel:
            self._compiled.append(core.compile_model(model, "CPU", dict(properties)))
            return self._compiled[-1]

        self._compiled: list[ov.CompiledModel] = []
        self._weights = weights  # the graphs may read from its memory for as long as they run
        self._levels = len(vision["deepstack_visual_indexes"])
        self._hidden = int(text["hidden_size"])
        rope = text.get("rope_scaling") or text["rope_parameters"]
        self._rotary = TextRotary(
            int(text["head_dim"]),
            float(text.get("rope_theta", rope.get("rope_theta"))),
            rope["mrope_section"],
        )
        self._embedding = weights.stored("model.language_model.embed_tokens.weight")
        self._tower = Tower(weights, vision, compiled)
        language = compiled(graph.text_model(weights, text, self._levels))
        self._request = language.create_infer_request()
        self.vocabulary = int(text["vocab_size"])
        self._memory = BlockMemory(language, int(max_bytes * _SPARE))
        for name, tensor in self._memory.tensors.items():
            self._request.set_tensor(name, tensor)
        size = self._memory.block_bytes
        self.pool = BlockPool(self._memory, self._memory.count, block_tokens=BLOCK_TOKENS, block_bytes=size)
        self.token_bytes = -(-size // BLOCK_TOKENS)

        self._check()
        weights.rest()

    def _check(self) -> None:
        """Run everything once: what the runtime does at first use is done, and blocks are what they must be.

        Raises:
            RuntimeError: A text read in one piece and in two is not the same: the runtime is not one that this was
                written for.
        """
        pixels = np.zeros((256, 256, 3), np.uint8)
        self._tower.see(Picture(pixels, "", "", "png", 0, 256, 256), 8, 8, lambda: None)
        ids, places = np.arange(64) % self.vocabulary, np.tile(np.arange(64), (3, 1))
        last = []
        for pieces in ((0, 64), (0, 40, 63, 64)):
            state = self.new_state()
            for begin, end in pairwise(pieces):
                row = Row(state, ids[begin:end], places[:, begin:end], [], wants_logits=end == 64)
                (logits,) = self.step([row], lambda: False)
            state.free()
            assert logits is not None  # noqa: S101 - they were wanted
            last.append(logits)
        alike = float(np.corrcoef(last[0], last[1])[0, 1])
        if not alike > _ALIKE:
            raise RuntimeError(f"a text read in pieces differs from itself: {alike:.3f}")

    def new_state(self) -> PagedState:
        """Of an empty sequence."""
        return PagedState(self.pool)

    def see(
        self, picture: Picture, rows: int, columns: int, between: Callable[[], None]
    ) -> Seen[NDArray[np.float32]]:
        """Features of a picture; see :meth:`Tower.see`."""
        return self._tower.see(picture, rows, columns, between)

    def release(self) -> None:
        """Give back the memory in which pictures and prompts were computed."""
        for one in self._compiled:
            one.release_memory()
        trim()

    def step(self, rows: Sequence[Row], stopped: Callable[[], bool]) -> list[NDArray[np.float32] | None]:
        """Read each row; logits ``(vocabulary,)`` of those that want them.

        Raises:
            Stopped: ``stopped`` said yes meanwhile; no state has grown.
            MemoryError: There is no block left for one of them.
        """
        for row in rows:
            _state(row).room(len(row.ids))
        ends = np.cumsum([len(row.ids) for row in rows])
        begins = ends - [len(row.ids) for row in rows]
        hidden = self._embedded(np.concatenate([row.ids for row in rows]))
        deep = np.zeros((self._levels, len(hidden), self._hidden), np.float32)
        for begin, row in zip(begins, rows, strict=True):
            for at, features, first, last in row.pictures:
                assert isinstance(features, Seen)  # noqa: S101 - see() made them
                place = slice(begin + at, begin + at + last - first)
                hidden[place] = features.merged[first:last]
                for level, one in enumerate(features.deep):
                    deep[level, place] = one[first:last]
        cos, sin = self._rotary(np.concatenate([row.positions for row in rows], axis=1))
        blocks = [_state(row).blocks for row in rows]
        past = [row.state.length for row in rows]
        wanted = [end - 1 for end, row in zip(ends, rows, strict=True) if row.wants_logits]
        given = {
            "hidden": hidden,
            "cos": cos,
            "sin": sin,
            "deep": deep,
            "wanted": np.array(wanted or [0], np.int64),
            "past_lens": np.array(past, np.int32),
            "subsequence_begins": np.array([0, *ends], np.int32),
            "block_indices": np.concatenate(blocks).astype(np.int32),
            "block_indices_begins": np.cumsum([0, *map(len, blocks)]).astype(np.int32),
            "max_context_len": np.array(
                max(p + len(r.ids) for p, r in zip(past, rows, strict=True)), np.int32
            ),
        }
        if stopped():
            raise Stopped
        self._request.start_async(given, share_inputs=True)
        while not self._request.wait_for(_ASK_EVERY_MS):
            if stopped():
                self._request.cancel()
                with contextlib.suppress(RuntimeError):  # that it was cancelled
                    self._request.wait()
                raise Stopped
        for row in rows:
            row.state.length += len(row.ids)
        logits = iter(self._request.get_tensor("logits").data.reshape(-1, self.vocabulary).copy())
        return [next(logits) if row.wants_logits else None for row in rows]

    def _embedded(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        found = self._embedding.values[ids]
        if self._embedding.kind == "BF16":
            return (found.astype(np.uint32) << 16).view(np.float32)
        return found.astype(np.float32)


def _state(row: Row) -> PagedState:
    assert isinstance(row.state, PagedState)  # noqa: S101 - new_state() made it
    return row.state
