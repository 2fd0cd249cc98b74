"""Small things that several tests need."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
from collections.abc import Callable
from typing import Any

import numpy as np

from vlpro.engines.interface import Engine, Message, Request, Sampling
from vlpro.imaging.picture import Picture

__all__ = ["altered", "answer_text", "ask", "end", "eventually", "picture"]


def altered(digits: str) -> str:
    """Hexadecimal digits, of which the last is another one: whatever it was."""
    return f"{digits[:-1]}{int(digits[-1], 16) ^ 1:x}"


def picture(width: int = 40, height: int = 30, seed: int = 0) -> Picture:
    """A picture of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    return Picture(pixels, digest, digest, "png", pixels.nbytes, width, height)


def ask(text: str, *pictures: Picture, max_tokens: int = 4096) -> Request:
    """A request of one question."""
    return Request((Message("user", (*pictures, text)),), Sampling(max_tokens=max_tokens))


async def answer_text(engine: Engine, request: Request) -> str:
    """The whole answer."""
    return "".join([delta.text async for delta in engine.generate(request, timeout_s=30)])


def end(process: subprocess.Popen[Any], *, wait_s: float = 20) -> None:
    """Ask a process of ours to end, and see that it does."""
    process.terminate()
    try:
        process.wait(wait_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


async def eventually(condition: Callable[[], bool], *, timeout_s: float = 20) -> None:
    """Wait until something is so; fails where it does not become so."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.01)
