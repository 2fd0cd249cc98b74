"""A deterministic engine without a model: for tests, demonstrations and load tests of everything around it."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import AsyncGenerator, Mapping

from vlpro.engines.interface import ANSWER_IN, Capabilities, Delta, Engine, FinishReason, Request, Usage
from vlpro.errors import EngineError

__all__ = ["FakeEngine"]


class FakeEngine(Engine):
    """Repeats the question, and tells size and digest of each picture.

    What it is asked steers it, so that every state can be staged from outside: ``count to 40`` gives forty pieces,
    ``fail`` breaks, ``box`` and ``point`` name the middle of the last picture.

    Args:
        delay_s: Seconds before each piece of an answer.
    """

    name = "fake"

    def __init__(self, *, delay_s: float = 0.0) -> None:
        self._delay_s = delay_s
        self.capabilities = Capabilities(
            model="vlpro-fake",
            sees=True,
            context_tokens=32_768,
            picture_pixels=1_048_576,
            picture_tokens_budget=8192,
            concurrency=64,
            honours=frozenset({"frequency_penalty", "presence_penalty", "top_k"}),
        )

    def count_tokens(self, text: str) -> int:
        """A token for each four bytes of UTF-8, rounded up."""
        return math.ceil(len(text.encode()) / 4)

    async def _generate(self, request: Request) -> AsyncGenerator[Delta, None]:
        prompt = self.count_prompt(request)
        pieces = self._pieces(request)
        limit = request.sampling.max_tokens
        finish: FinishReason = "length" if len(pieces) > limit else "stop"
        for piece in pieces[:limit]:
            if self._delay_s:
                await asyncio.sleep(self._delay_s)
            if piece == "fail":
                raise EngineError("The fake engine was asked to fail.", zh="测试引擎按要求出错。")
            yield Delta(piece)
        yield Delta(finish_reason=finish, usage=Usage(prompt, min(len(pieces), limit)))

    def _pieces(self, request: Request) -> list[str]:
        question = request.question
        for words in ANSWER_IN.values():  # like a model, it follows them and does not repeat them
            question = question.removeprefix(words)
        if request.response_format:
            return _chunks(json.dumps(_instance(request.response_format.schema or {}), ensure_ascii=False))
        if found := re.search(r"count to (\d{1,4})", question):
            return [f"{number} " for number in range(1, int(found[1]) + 1)]
        if re.search(r"\bfail\b", question):
            return [*_chunks("This answer breaks "), "fail"]
        text = f"You asked: {question}"
        for number, picture in enumerate(request.pictures, 1):
            text += (
                f"\n\nPicture {number}: {picture.width}×{picture.height} {picture.format}, "
                f"sha256 {picture.sha256[:12]}"
            )
        middle = {"box": {"bbox_2d": [250, 250, 750, 750]}, "point": {"point_2d": [500, 500]}}
        named = [
            {**place, "label": "middle", "image": len(request.pictures)}
            for word, place in middle.items()
            if re.search(rf"\b{word}\b", question)
        ]
        if named and request.pictures:
            text += f"\n\n```json\n{json.dumps(named)}\n```"
        return _chunks(text)


def _chunks(text: str) -> list[str]:
    return re.findall(r"\S*\s*", text)[:-1]


def _instance(schema: Mapping[str, object], depth: int = 0) -> object:
    """The emptiest value of a JSON Schema's common core."""
    if "enum" in schema and isinstance(schema["enum"], list) and schema["enum"]:
        return schema["enum"][0]
    if isinstance(either := schema.get("anyOf"), list) and either:
        return _instance(either[0], depth + 1) if isinstance(either[0], dict) and depth < 8 else None
    kind = schema.get("type", "object")
    if isinstance(kind, list):
        kind = "null" if "null" in kind else next(iter(kind), "null")
    if kind == "object" and depth < 8:
        properties = schema.get("properties")
        parts = properties.items() if isinstance(properties, dict) else ()
        return {name: _instance(part, depth + 1) for name, part in parts if isinstance(part, dict)}
    return {"string": "", "number": 0, "integer": 0, "boolean": False, "array": []}.get(str(kind))
