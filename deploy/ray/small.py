"""A small model behind Ray Serve, to try a cluster without cards: ``serve deploy small.yaml``, in the repository.

Each replica is llama.cpp's server (``make upstream``) with the small model of ``tests/seeing``, and hands requests on
to it: what is OpenAI's shape stays llama.cpp's matter, as it is vLLM's on a real cluster.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
from ray import serve
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

__all__ = ["application"]

_ROOT = Path(__file__).resolve().parents[2]


@serve.deployment
class SmallModel:
    """One llama.cpp server."""

    def __init__(self) -> None:
        self._key, self._work = secrets.token_hex(16), tempfile.mkdtemp(prefix="small")
        python = os.environ.get("VLPRO_UPSTREAM_PYTHON", str(_ROOT / ".venv-upstream" / "bin" / "python"))
        model = str(_ROOT / "tests" / "seeing" / "model")
        # It ends with its standard input: with this process, however that ends.
        self._server = subprocess.Popen(  # noqa: S603 - a command of ours
            [python, "-m", "tests.upstream.serve", model, self._work, self._key],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._server.stdout is not None  # noqa: S101 - it is a pipe
        self._address = self._server.stdout.readline().strip()
        self._session: aiohttp.ClientSession | None = None

    def check_health(self) -> None:
        """For Ray Serve: raises where the server is gone."""
        if self._server.poll() is not None:
            raise RuntimeError("llama.cpp's server has ended")

    async def __call__(self, request: Request) -> Response:
        """Hand a request on, and its answer back as it comes."""
        if self._session is None:
            # A kept connection to llama.cpp's server may break: each request has its own.
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
        answer = await self._session.request(
            request.method,
            f"{self._address}{request.url.path}",
            data=await request.body(),
            headers={"authorization": f"Bearer {self._key}", "content-type": "application/json"},
        )

        async def pieces() -> AsyncIterator[bytes]:
            try:
                async for piece in answer.content.iter_any():
                    yield piece
            finally:
                answer.close()

        return StreamingResponse(pieces(), answer.status, media_type=answer.headers.get("content-type"))


application = SmallModel.bind()
