"""Vectors by a server inside the network: any ``/v1/embeddings``, and Qwen3-VL-Embedding, which sees, by vLLM.

Texts go in batches, as OpenAI's API has them. A model that sees takes one input a request instead: messages, which
its server puts into the model's template, as vLLM's own example for Qwen3-VL-Embedding does (vLLM 0.14 and later,
``examples/pooling/embed/vision_embedding_online.py``). Nothing of an answer is believed: as many vectors as texts,
of the length that the settings say, of finite numbers; they are given unit length here.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from vlpro.engines.control import parted
from vlpro.engines.upstream import Upstream
from vlpro.knowledge.embedding.interface import Embedder, Vectors
from vlpro.knowledge.servers import ModelServer

__all__ = ["EmbeddingServer"]

SETTINGS = "knowledge.embedding."
"""How the settings' names begin."""

_DOCUMENT = "Represent the user's input."
"""The model's own words for what is not a question."""

_T = TypeVar("_T")


class EmbeddingServer(Embedder):
    """One server.

    Args:
        upstream: The way to it; its URL with ``/v1``.
        model: The model's name there.
        dimensions: Length of its vectors; another one is an error.
        query: How a question is written to the model; ``{text}`` stands for it.
        passage: How a passage is written to it.
        sees: Whether the model takes pictures: Qwen3-VL-Embedding.
        instruction: To a model that sees, what a question's vector is for.
        batch: Most texts of one request.
        concurrency: Most requests in flight.
    """

    def __init__(
        self,
        upstream: Upstream,
        *,
        model: str,
        dimensions: int,
        query: str = "{text}",
        passage: str = "{text}",
        sees: bool = False,
        instruction: str = "Retrieve images or text relevant to the user's query.",
        batch: int = 32,
        concurrency: int = 4,
    ) -> None:
        self._server = ModelServer(upstream, SETTINGS)
        self._name = model
        self._dimensions = dimensions
        self._query, self._passage = query, passage
        self._sees = sees
        self._instruction = instruction
        self._batch = batch
        self._turns = asyncio.Semaphore(concurrency)

    @property
    def model(self) -> str:
        """Its name; with a mark of how passages are written to it, where that is not as they are."""
        if self._passage == "{text}":
            return self._name
        return f"{self._name} ({hashlib.sha256(self._passage.encode()).hexdigest()[:8]})"

    @property
    def dimensions(self) -> int:
        """As the settings say."""
        return self._dimensions

    @property
    def sees(self) -> bool:
        """As the settings say."""
        return self._sees

    async def query(self, text: str) -> Vectors:
        """One request."""
        written = self._query.replace("{text}", text)
        if self._sees:
            found: Vectors = (await self._one(self._instruction, [_text(written)]))[0]
        else:
            found = (await self._texts([written]))[0]
        return found

    async def passages(self, texts: Sequence[str]) -> Vectors:
        """In batches, some at once; for a model that sees, one by one, some at once."""
        written = [self._passage.replace("{text}", text) for text in texts]
        if self._sees:
            return await self._together(written, lambda text: self._one(_DOCUMENT, [_text(text)]))
        batches = [written[place : place + self._batch] for place in range(0, len(written), self._batch)]
        return await self._together(batches, self._texts)

    async def pages(self, pictures: Sequence[bytes]) -> Vectors:
        """One request a picture, some at once."""
        if not self._sees:
            return await super().pages(pictures)
        return await self._together(
            pictures, lambda picture: self._one(_DOCUMENT, [_picture(picture), _text("")])
        )

    async def stop(self) -> None:
        """Close its connections."""
        await self._server.stop()

    async def _together(self, inputs: Sequence[_T], ask: Callable[[_T], Any]) -> Vectors:
        if not inputs:
            return np.empty((0, self._dimensions), np.float32)
        asked = [asyncio.ensure_future(ask(one)) for one in inputs]
        try:
            return np.concatenate(await asyncio.gather(*asked))
        finally:  # where one has failed, the others need not be asked
            for one in asked:
                one.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    async def _texts(self, texts: list[str]) -> Vectors:
        return await self._ask({"input": [parted(text) for text in texts]}, len(texts))

    async def _one(self, instruction: str, content: list[dict[str, Any]]) -> Vectors:
        messages = [
            {"role": "system", "content": [_text(instruction)]},
            {"role": "user", "content": content},
            {"role": "assistant", "content": [_text("")]},  # the vector is taken where its answer would begin
        ]
        body = {"messages": messages, "continue_final_message": True, "add_special_tokens": True}
        return await self._ask(body, 1)

    async def _ask(self, body: dict[str, Any], count: int) -> Vectors:
        async with self._turns:
            answer = await self._server.post(
                "/embeddings", {"model": self._name, "encoding_format": "float", **body}
            )
        return self._checked(answer.get("data"), count)

    def _checked(self, data: object, count: int) -> Vectors:
        if not isinstance(data, list) or len(data) != count:
            raise self._server.nonsense(f"not {count} vectors")
        vectors = np.empty((count, self._dimensions), np.float32)
        places = set()
        for entry in data:
            place, vector = (
                (entry.get("index"), entry.get("embedding")) if isinstance(entry, dict) else (None, None)
            )
            if type(place) is not int or not 0 <= place < count or place in places:
                raise self._server.nonsense("not one vector a text")
            places.add(place)
            if not isinstance(vector, list) or not all(type(number) in (int, float) for number in vector):
                raise self._server.nonsense("a vector is no list of numbers")
            if len(vector) != self._dimensions:
                raise self._server.nonsense(
                    f"a vector has {len(vector)} numbers, {SETTINGS}dimensions says {self._dimensions}"
                )
            try:
                with np.errstate(over="ignore"):
                    vectors[place] = vector
            except OverflowError:
                raise self._server.nonsense("a number is too large") from None
        lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
        if not np.isfinite(vectors).all() or lengths.min() < 1e-6:
            raise self._server.nonsense("a vector is zero or not finite")
        unit: Vectors = (vectors / lengths).astype(np.float32)
        return unit


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": parted(text)}


def _picture(picture: bytes) -> dict[str, Any]:
    url = f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}
