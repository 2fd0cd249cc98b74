"""A bare FastAPI server that answers every chat completion at once: the floor, and LiteLLM's upstream.

`uvicorn echo:app`. It reads the JSON body and checks nothing; the answer is always ``1 2 … 20``, as engine fake
answers ``count to 20``.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response, StreamingResponse

PIECES = [f"{number} " for number in range(1, 21)]
USAGE = {"prompt_tokens": 8, "completion_tokens": 20, "total_tokens": 28}

app = FastAPI()


def event(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "echo",
        "choices": [choice],
    }
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


async def events() -> AsyncIterator[bytes]:
    yield event({"role": "assistant", "content": ""})
    for piece in PIECES:
        yield event({"content": piece})
    yield event({}, "stop")
    yield b"data: [DONE]\n\n"


@app.get("/v1/models")
async def models() -> dict[str, Any]:
    return {"object": "list", "data": [{"id": "echo", "object": "model"}]}


@app.post("/v1/chat/completions")
async def complete(body: dict[str, Any]) -> Response:
    if body.get("stream"):
        return StreamingResponse(events(), media_type="text/event-stream")
    message = {"role": "assistant", "content": "".join(PIECES)}
    return JSONResponse(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "echo",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": USAGE,
        }
    )
