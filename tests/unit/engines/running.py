"""The engines of Qwen3-VL in this process, with numbers that do not depend on the machine."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from vlpro.engines.interface import Loading
from vlpro.engines.model_files import Manifest
from vlpro.engines.qwen.engine import QwenEngine

__all__ = ["DEVICE", "ENGINES", "Name", "made", "started"]

DEVICE: Literal["cpu", "cuda"] = "cuda" if os.environ.get("VLPRO_TEST_DEVICE") == "cuda" else "cpu"
"""Where engine transformers is tested: the processor, or the card of a machine that has one."""

Name = Literal["openvino", "transformers"]
ENGINES: tuple[Name, ...] = ("openvino", "transformers")


@asynccontextmanager
async def started(
    folder: Path,
    manifest: Manifest,
    *,
    name: Name = "transformers",
    dtype: Literal["bfloat16", "float32"] = "float32",
    tell: Callable[[Loading], None] = lambda _: None,
) -> AsyncIterator[QwenEngine]:
    """An engine, loaded, until the end of the block.

    Args:
        folder: The model's.
        manifest: Of the folder.
        name: Which.
        dtype: Instead of what the processor is best at: in bfloat16 two tokens can be exactly as likely, and which of
            them comes then depends on how many rows were read at once. Keys and values are float32 too.
        tell: As for the engine's own ``start``.
    """
    engine = made(folder, manifest, name, dtype)
    await engine.start(tell)
    try:
        yield engine
    finally:
        await engine.stop()


def made(
    folder: Path, manifest: Manifest, name: Name, dtype: Literal["bfloat16", "float32"] = "float32"
) -> QwenEngine:
    """An engine that is not loaded."""
    return _openvino(folder, manifest, dtype) if name == "openvino" else _torch(folder, manifest, dtype)


def _torch(folder: Path, manifest: Manifest, dtype: Literal["bfloat16", "float32"]) -> QwenEngine:
    pytest.importorskip("torch", reason="the packages of the extra qwen are not installed")
    from vlpro.engines.transformers.engine import TransformersEngine  # noqa: PLC0415 - where torch is

    engine = TransformersEngine(folder, manifest, device=DEVICE)
    engine.plan = replace(engine.plan, dtype=dtype)
    return engine


def _openvino(folder: Path, manifest: Manifest, dtype: Literal["bfloat16", "float32"]) -> QwenEngine:
    from vlpro.engines.openvino.engine import OpenVinoEngine  # noqa: PLC0415 - the other is tested without it

    engine = OpenVinoEngine(folder, manifest)
    if dtype == "float32":
        engine.properties |= {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
    return engine
