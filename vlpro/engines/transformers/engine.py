"""Qwen3-VL on PyTorch, in transformers' own layers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vlpro.engines.hardware import probe
from vlpro.engines.openvino.plan import PACKED
from vlpro.engines.qwen.engine import QwenEngine
from vlpro.engines.qwen.limits import Limits
from vlpro.engines.transformers.plan import load_plan, model_size
from vlpro.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any, Literal

    from vlpro.engines.model_files import Manifest
    from vlpro.engines.qwen.network import Model

__all__ = ["TransformersEngine"]

_AT_HOME = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "BITSANDBYTES_NOWELCOME": "1",
    "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # so that the plan's cards are CUDA's
}
"""For the libraries: nothing is looked for outside."""
_GROWING = ("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
"""Keys and values grow bit by bit: without it torch holds several times their size, in pieces that are too small."""


class TransformersEngine(QwenEngine):
    """Qwen3-VL on PyTorch.

    Args:
        folder: The model's.
        manifest: What its files must be.
        load_in_4bit: None: where 16 bits do not fit.
        device: ``auto``: a card where there is one that the model fits on.
        keep_s: As for :class:`QwenEngine`.
        known: Likewise.

    Raises:
        ConfigError: The folder is not what the manifest says, or the model fits nowhere.
    """

    name = "transformers"

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        *,
        load_in_4bit: bool | None = None,
        device: Literal["auto", "cuda", "cpu"] = "auto",
        keep_s: float = 28_800,
        known: tuple[Mapping[str, str], float] = ({}, 0.0),
    ) -> None:
        def limits(config: Mapping[str, Any]) -> Limits:
            if PACKED in config:
                raise ConfigError(
                    "This folder was packed for the engine openvino. Name the original one in VLPRO_MODEL_DIR.",
                    zh="该文件夹是为 openvino 引擎压缩的，请在 VLPRO_MODEL_DIR 中指定原模型文件夹。",
                    param="model_dir",
                )
            self.plan = plan = load_plan(
                probe(), model_size(config), load_in_4bit=load_in_4bit, device=device
            )
            return Limits(
                plan.context_tokens,
                plan.picture_pixels,
                plan.concurrency,
                plan.question_bytes + plan.cache_bytes,
            )

        super().__init__(folder, manifest, limits, keep_s=keep_s, known=known)

    def _network(self) -> Model:
        os.environ |= _AT_HOME
        os.environ.setdefault(*_GROWING)
        from vlpro.engines.transformers.model import load  # noqa: PLC0415 - torch, in the worker only

        return load(self._folder, self.plan)
