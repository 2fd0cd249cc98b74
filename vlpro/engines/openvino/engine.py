"""Qwen3-VL on processors, on OpenVINO's plain runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vlpro.engines.hardware import probe
from vlpro.engines.openvino.plan import limits, properties
from vlpro.engines.qwen.engine import QwenEngine

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from vlpro.engines.model_files import Manifest
    from vlpro.engines.openvino.plan import Activations
    from vlpro.engines.qwen.network import Model

__all__ = ["OpenVinoEngine"]


class OpenVinoEngine(QwenEngine):
    """Qwen3-VL on processors.

    Args:
        folder: The model's: the original, or one with packed weights (:mod:`vlpro.engines.openvino.convert`).
        manifest: What its files must be.
        activations: How the layers' inputs are held where the weights are packed.
        keep_s: As for :class:`QwenEngine`.
        known: Likewise.

    Raises:
        ConfigError: The folder is not what the manifest says, or the model does not fit.
    """

    name = "openvino"

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        *,
        activations: Activations = "usual",
        keep_s: float = 28_800,
        known: tuple[Mapping[str, str], float] = ({}, 0.0),
    ) -> None:
        hardware = probe()
        size = sum(entry.size for name, entry in manifest.files.items() if name.endswith(".safetensors"))
        self.properties = properties(hardware, activations)
        super().__init__(
            folder,
            manifest,
            lambda config: limits(config, size, hardware.usable_memory),
            keep_s=keep_s,
            known=known,
        )

    def _network(self) -> Model:
        from vlpro.engines.openvino.model import OpenVinoModel  # noqa: PLC0415 - its runtime, in the worker only

        return OpenVinoModel(
            self._folder, self._config, max_bytes=self._store.max_bytes, properties=self.properties
        )
