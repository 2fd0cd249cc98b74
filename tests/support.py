"""Small things that several tests need."""

from __future__ import annotations

import asyncio
import hashlib
import multiprocessing
import subprocess
import time
from collections.abc import Callable, Iterator, Set
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from vlpro.engines.interface import Engine, Message, Request, Sampling
from vlpro.imaging.picture import Picture

__all__ = ["alone", "altered", "answer_text", "ask", "end", "eventually", "left_open", "opened", "picture"]


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


@contextmanager
def alone() -> Iterator[Executor]:
    """A process in which nothing else goes on: what is open in it was opened by what it was given to do.

    In the tests' own process services of other tests live on.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        yield process


def opened() -> set[str]:
    """What is open in this process: each descriptor and its target."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the one by which the folder is read
            found.add(f"{descriptor.name} {descriptor.readlink()}")
    return found


def left_open(before: Set[str]) -> set[str]:
    """What was opened in this process and stays so, however long one waits: 20 seconds."""
    deadline = time.monotonic() + 20
    while (left := opened() - before) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left


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
