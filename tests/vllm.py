"""A stand-in for vLLM's pooling server: /v1/embeddings and /v1/rerank, as its documentation has them, and strict.

Written from vLLM's documentation and request classes (docs/models/pooling_models/embed.md and scoring.md, and
vllm/entrypoints/pooling, of version 0.32): what it does not know it refuses with 400, as the real one does in these
cases. Its vectors are sums over the letter pairs of a text, so texts that share words are near each other; a
picture's vector is that of the text in its JPEG comment, so a test can say what a page shows.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

__all__ = ["Json", "Vllm", "page", "vector"]

Json = dict[str, Any]

_EMBEDDINGS = {"model", "input", "messages", "encoding_format", "dimensions", "user"} | {
    *("add_special_tokens", "continue_final_message", "add_generation_prompt", "truncate_prompt_tokens"),
}
_RERANK = {"model", "query", "documents", "top_n", "truncate_prompt_tokens"}


def vector(text: str, dimensions: int) -> list[float]:
    """Not of unit length: who asks must see to that."""
    made = np.zeros(dimensions)
    for first, second in zip(text.lower(), text.lower()[1:], strict=False):
        seed = int.from_bytes(hashlib.sha256((first + second).encode()).digest()[:4])
        made += np.random.default_rng(seed).normal(size=dimensions)
    return [float(number) for number in made + 1e-3]


def page(shows: str) -> bytes:
    """A page's picture that shows what is said."""
    out = io.BytesIO()
    Image.new("RGB", (64, 64), "white").save(out, "JPEG", comment=shows.encode())
    return out.getvalue()


class _RefusedError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Vllm:
    """One model on one server.

    Args:
        model: Its name.
        dimensions: Length of its vectors; 0: it ranks.
        sees: Whether it takes pictures, and so messages.
        key: That it wants; empty: none.
    """

    def __init__(self, model: str, *, dimensions: int = 64, sees: bool = False, key: str = "") -> None:
        self.model, self.dimensions, self.sees, self.key = model, dimensions, sees, key
        self.requests: list[Json] = []
        self.faults: list[int] = []  # a status each for the next requests; 0: the connection is closed
        self.spoil: Any = lambda answer: answer
        self.connections = 0
        self.url = ""

    @contextmanager
    def running(self, *, tls: Path | None = None, path: Path | None = None) -> Iterator[Vllm]:
        """Serve until the block ends.

        Args:
            tls: Folder with server.pem and server.key.
            path: Of a Unix socket instead of a port.
        """
        server = _UnixServer(str(path), _handler(self)) if path else _Server(("127.0.0.1", 0), _handler(self))
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls / "server.pem", tls / "server.key")
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        where = f"127.0.0.1:{server.server_port}" if isinstance(server, _Server) else "vllm"
        self.url = f"http{'s' if tls else ''}://{where}/v1"
        thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join(10)

    def answer(self, path: str, body: Json) -> Json:
        """What a request is answered with.

        Raises:
            _RefusedError: It is wrong.
        """
        if body.get("model") != self.model:
            raise _RefusedError(404, f"The model `{body.get('model')}` does not exist.")
        if path == "/v1/embeddings" and self.dimensions:
            return self._embeddings(body)
        if path == "/v1/rerank" and not self.dimensions:
            return self._rerank(body)
        raise _RefusedError(404, "Not Found")

    def _embeddings(self, body: Json) -> Json:
        _only(body, _EMBEDDINGS)
        if ("input" in body) == ("messages" in body):
            raise _RefusedError(400, "input or messages")
        if body.get("continue_final_message") and body.get("add_generation_prompt"):
            raise _RefusedError(400, "Cannot set both")
        if "messages" in body:
            texts = [self._prompt(body["messages"], continued=body.get("continue_final_message", False))]
        else:
            if body.keys() & {"continue_final_message", "add_generation_prompt"}:
                raise _RefusedError(400, "messages only")
            texts = [body["input"]] if isinstance(body["input"], str) else list(body["input"])
        if not all(texts):
            raise _RefusedError(400, "input")
        data = [
            {"object": "embedding", "index": place, "embedding": vector(text, self.dimensions)}
            for place, text in enumerate(texts)
        ]
        return {
            "id": "embd-1",
            "object": "list",
            "created": 1,
            "model": self.model,
            "data": data,
            "usage": {},
        }

    def _prompt(self, messages: list[Json], *, continued: bool) -> str:
        """What the model reads: of the user's message only, so that a test can reckon with it."""
        roles = [message["role"] for message in messages]
        if not self.sees or roles != ["system", "user", "assistant"] or not continued:
            raise _RefusedError(400, f"not as Qwen3-VL-Embedding is asked: {roles}")
        return "".join(self._part(part) for message in messages[1:] for part in message["content"])

    def _part(self, part: Json) -> str:
        if part["type"] == "text":
            return str(part["text"])
        if part["type"] != "image_url" or not self.sees:
            raise _RefusedError(400, f"At most 0 {part['type']}(s) may be provided in one prompt.")
        head, _, data = part["image_url"]["url"].partition(",")
        if head != "data:image/jpeg;base64":
            raise _RefusedError(400, head)
        with Image.open(io.BytesIO(base64.b64decode(data, validate=True))) as picture:
            return bytes(picture.info["comment"]).decode()

    def _rerank(self, body: Json) -> Json:
        _only(body, _RERANK)
        texts = []
        for document in body["documents"]:
            parts = [document] if isinstance(document, str) else [self._part(p) for p in document["content"]]
            texts.append(" ".join(parts))
        words = set(body["query"].lower().split())
        scores = [len(words & set(text.lower().split())) / max(1, len(words)) for text in texts]
        results = [
            {"index": place, "document": {"text": texts[place]}, "relevance_score": scores[place]}
            for place in sorted(range(len(texts)), key=lambda place: -scores[place])
        ]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        top = results[: body.get("top_n") or len(results)]
        return {"id": "rerank-1", "model": self.model, "usage": usage, "results": top}


def _only(body: Json, known: set[str]) -> None:
    if unknown := body.keys() - known:
        raise _RefusedError(400, f"unknown: {sorted(unknown)}")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who does not trust the certificate goes away: no output."""


class _UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 64


def _handler(vllm: Vllm) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        server_of = vllm

    return Handler


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of: Vllm
    timeout = 30
    wbufsize = -1

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the signature is Python's
        """Nothing."""

    def setup(self) -> None:
        self.server_of.connections += 1
        super().setup()

    def do_POST(self) -> None:
        vllm = self.server_of
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        vllm.requests.append(body)
        fault = vllm.faults.pop(0) if vllm.faults else 200
        if fault == 0:
            self.close_connection = True
            return
        status, answer = fault, {"error": {"message": "not now", "code": fault}}
        if vllm.key and self.headers.get("authorization") != f"Bearer {vllm.key}":
            status = 401
        if status == 200:
            try:
                answer = vllm.answer(self.path, body)
            except _RefusedError as error:
                status, answer = error.status, {"error": {"message": str(error), "code": error.status}}
        answer = vllm.spoil(answer)
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
