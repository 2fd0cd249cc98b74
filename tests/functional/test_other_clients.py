"""Requests as other clients shape them (facts of August 2026), sent as raw JSON."""

from __future__ import annotations

import pytest

from tests.functional.server import MODEL, Json, Server, data_url, events, picture_file

PNG = data_url(picture_file(64, 48))
SCHEMA: Json = {
    "type": "object",
    "properties": {"total": {"anyOf": [{"type": "number"}, {"type": "null"}]}, "items": {"type": "array"}},
    "required": ["total", "items"],
    "additionalProperties": False,
}


def _look(**options: str) -> Json:
    picture = {"type": "image_url", "image_url": {"url": PNG} | options}
    return {"role": "user", "content": [{"type": "text", "text": "hi"}, picture]}


CLIENTS: dict[str, Json] = {
    "LangChain": {
        "messages": [
            {"content": "You read receipts.", "role": "system"},
            {
                "content": [
                    {"type": "text", "text": "total?"},
                    {"type": "image_url", "image_url": {"url": PNG}},
                ],
                "role": "user",
            },
        ],
        "model": MODEL,
        "max_completion_tokens": 500,
        "n": 1,
        "stream": False,
        "temperature": 0.0,
        "parallel_tool_calls": False,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "Receipt", "description": "", "strict": True, "schema": SCHEMA},
        },
    },
    "LlamaIndex": {
        "messages": [
            _look(detail="low"),
        ],
        "model": MODEL,
        "stream": False,
        "max_tokens": 256,
        "temperature": 0.1,
    },
    "LlamaIndex, streamed": {
        "messages": [{"role": "user", "content": "hi"}],
        "model": MODEL,
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.1,
    },
    "Dify, credential test": {
        "model": MODEL,
        "messages": [{"role": "user", "content": "ping"}],
        "max_tokens": 5,
        "stream": False,
    },
    "Dify": {
        "model": MODEL,
        "stream": True,
        "messages": [
            {"role": "system", "content": "x"},
            _look(detail="high"),
            {"role": "assistant", "content": "hello"},
            {"role": "user", "content": "again"},
        ],
        "temperature": 0.7,
        "top_p": 1,
        "frequency_penalty": 0,
        "presence_penalty": 0,
        "stop": [],
        "response_format": {"type": "text"},
        "user": "abc-123",
    },
    "ai-sdk": {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": "x"},
            _look(),
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 100,
    },
    "Open WebUI": {
        "stream": True,
        "model": MODEL,
        "messages": [
            _look(),
        ],
    },
    "Open WebUI, title": {
        "model": MODEL,
        "messages": [{"role": "user", "content": "### Task:\nGenerate a concise title"}],
        "stream": False,
        "max_completion_tokens": 1000,
    },
    "openai-node": {
        "model": MODEL,
        "messages": [{"role": "developer", "content": "x"}, {"role": "user", "content": "hi"}],
        "temperature": 1,
        "top_p": 1,
        "n": 1,
        "seed": 0,
        "store": False,
        "metadata": {},
    },
}


@pytest.mark.parametrize("client", CLIENTS)
def test_request_of(server: Server, client: str) -> None:
    body = CLIENTS[client]
    headers = {
        "authorization": "Bearer sk-none",
        "x-stainless-lang": "python",
        "x-stainless-retry-count": "0",
        "user-agent": "OpenAI/Python 1.0",
        "accept-encoding": "gzip, deflate, br, zstd",
        "content-type": "application/json; charset=utf-8",
    }
    reply = server.post("/v1/chat/completions", body, headers=headers)
    assert reply.status_code == 200, reply.text
    if body.get("stream"):
        chunks = events(reply.text)
        text = "".join(c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"])
        if (body.get("stream_options") or {}).get("include_usage"):
            assert chunks[-1]["usage"]["prompt_tokens"] > 0
    else:
        text = reply.json()["choices"][0]["message"]["content"]
    assert text


def test_the_list_of_models_as_a_client_selects_from_it(server: Server) -> None:
    with server.http() as http:
        listed = http.get("/v1/models", headers={"authorization": "Bearer x"}).json()["data"]
    assert all(model["object"] == "model" and model["id"] for model in listed)
