"""A real server on a free port of this machine, in a thread of the tests' own process."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import numpy as np
import openai
import uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.routing import Mount

from vlpro.config import Settings
from vlpro.engines.interface import Engine
from vlpro.gateway import app as gateway
from vlpro.gateway.deps import Services

__all__ = [
    "MODEL",
    "NO_TLS",
    "Json",
    "Server",
    "chat",
    "data_url",
    "events",
    "eventually",
    "picture_file",
    "run",
    "user",
]

MODEL = "vlpro-fake"
NO_TLS = False
"""For clients of plain HTTP: reading the authorities' certificates takes each 25 ms of processor time."""
Json = dict[str, Any]


@dataclass(frozen=True)
class Server:
    """Where it listens, and what is inside."""

    port: int
    services: Services
    loop: asyncio.AbstractEventLoop
    clients: list[openai.OpenAI] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def http(self, **options: Any) -> httpx.Client:
        """A plain HTTP client."""
        return httpx.Client(base_url=self.url, timeout=30, trust_env=False, verify=NO_TLS, **options)

    def openai(self, **options: Any) -> openai.OpenAI:
        """The official client, which knows nothing of this product."""
        plain = openai.DefaultHttpxClient(verify=NO_TLS)
        given: dict[str, Any] = {"max_retries": 0, "timeout": 30, "http_client": plain} | options
        client = openai.OpenAI(base_url=f"{self.url}/v1", api_key="any key or none", **given)
        self.clients.append(client)
        return client

    def post(self, path: str, body: object = None, **options: Any) -> httpx.Response:
        """Post JSON."""
        with self.http() as http:
            return http.post(path, json=body, **options)

    def raw(self, data: bytes, *, wait_s: float = 30, until: bytes | None = None) -> bytes:
        """Write bytes, read until the server closes or falls silent; or until some bytes have come."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait_s) as connection:
            connection.sendall(data)
            got = b""
            try:
                while (until is None or until not in got) and (piece := connection.recv(65_536)):
                    got += piece
            except TimeoutError:
                pass
            return got

    def idle(self) -> bool:
        """Whether the gauge of running and waiting questions, as everybody can read it, is at zero."""
        with self.http() as http:
            status = http.get("/v1/status").json()
        return bool(status["running"] == status["queued"] == 0)

    def running(self) -> int:
        """The gauge of running questions."""
        with self.http() as http:
            return int(http.get("/v1/status").json()["running"])

    def call(self, work: Callable[[], Any]) -> Any:
        """Run a function inside the server's loop, where its objects belong."""

        async def inside() -> Any:
            return work()

        return asyncio.run_coroutine_threadsafe(inside(), self.loop).result(30)


@contextmanager
def run(
    settings: Settings, engine: Engine | None = None, *, send_buffer: int | None = None
) -> Iterator[Server]:
    """Serve until the block ends.

    Args:
        settings: Of the service.
        engine: Instead of the one that the settings name.
        send_buffer: Bytes that the kernel keeps for a reader; as the system has it where left out.
    """
    folder = (
        tempfile.TemporaryDirectory(prefix="vlpro") if settings.data_dir == Path("data") else nullcontext("")
    )
    with folder as made:
        if made:
            settings = settings.model_copy(update={"data_dir": Path(made)})
        if engine is None:
            parts = gateway.parts(settings)
        else:
            with mock.patch.object(gateway, "engine_of", return_value=engine):
                parts = gateway.parts(settings)
        with _serving(parts, send_buffer) as running:
            yield running


@contextmanager
def _serving(parts: Json, send_buffer: int | None) -> Iterator[Server]:
    mount = next(route for route in parts["routes"] if isinstance(route, Mount))
    # As Streamlit starts it, except for the WebSocket library, which the API does not use.
    config = uvicorn.Config(Starlette(**parts), access_log=False, ws="none", log_level="critical")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        if send_buffer is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)  # connections inherit it
        loops: list[asyncio.AbstractEventLoop] = []

        async def serve() -> None:
            loops.append(asyncio.get_running_loop())
            await server.serve([listener])

        thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
        thread.start()
        eventually(lambda: server.started)
        running = Server(listener.getsockname()[1], mount.app.state.services, loops[0])  # type: ignore[attr-defined]
        try:
            yield running
        finally:
            for client in running.clients:
                client.close()
            # A forced exit waits for no connection, but then nothing ends the processes in order.
            services = running.services
            for ending in (
                services.chat.engine.stop(),
                services.chat.reader.stop(),
                services.extractions.close(),
            ):
                asyncio.run_coroutine_threadsafe(ending, loops[0]).result(60)
            server.should_exit = server.force_exit = True
            thread.join(60)
            assert not thread.is_alive(), "the server did not end"


def eventually(condition: Callable[[], bool], *, timeout_s: float = 60) -> None:
    """Wait until something is so; fails where it does not become so."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


def picture_file(
    width: int = 40, height: int = 30, *, kind: str = "PNG", seed: int = 0, **options: Any
) -> bytes:
    """A picture of noise as a file."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **options)
    return out.getvalue()


def data_url(data: bytes, media: str = "image/png") -> str:
    """A file as a data URL."""
    return f"data:{media};base64,{base64.b64encode(data).decode()}"


def user(text: str, *pictures: bytes | str) -> Json:
    """A message of the user with pictures, as files or as URLs."""
    urls = [p if isinstance(p, str) else data_url(p) for p in pictures]
    parts: list[Json] = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return {"role": "user", "content": [*parts, {"type": "text", "text": text}] if parts else text}


def chat(text: str = "hello", *pictures: bytes | str, **fields: Any) -> Json:
    """A chat completion request."""
    return {"model": MODEL, "messages": [user(text, *pictures)]} | fields


def events(body: str) -> list[Json]:
    """The JSON of all server-sent events but [DONE]."""
    lines = [line.removeprefix("data: ") for line in body.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]
