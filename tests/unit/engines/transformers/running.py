"""The engine ``transformers`` in this process, with numbers that do not depend on the machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

from vlpro.engines.interface import Loading
from vlpro.engines.model_files import Manifest
from vlpro.engines.transformers.engine import TransformersEngine

__all__ = ["started"]


@asynccontextmanager
async def started(
    folder: Path,
    manifest: Manifest,
    *,
    dtype: Literal["bfloat16", "float32"] = "float32",
    tell: Callable[[Loading], None] = lambda _: None,
) -> AsyncIterator[TransformersEngine]:
    """The engine, loaded, until the end of the block.

    Args:
        folder: The model's.
        manifest: Of the folder.
        dtype: Instead of what the processor is best at: in bfloat16 two tokens can be exactly as likely, and which of
            them comes then depends on how many rows were read at once.
        tell: As for the engine's own ``start``.
    """
    engine = TransformersEngine(folder, manifest, device="cpu")
    engine.plan = replace(engine.plan, dtype=dtype)
    await engine.start(tell)
    try:
        yield engine
    finally:
        await engine.stop()
