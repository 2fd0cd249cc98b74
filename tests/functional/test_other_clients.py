"""Requests as other clients shape them, sent as raw JSON: facts of August 2026; Open WebUI's of November 2026."""

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
    # Open WebUI 0.12.4: as a proxy before this service recorded them, built-in tools off, all else as it comes.
    "Open WebUI, first question": {
        "stream": True,
        "model": MODEL,
        "messages": [{"role": "user", "content": "hi"}],
    },
    "Open WebUI, picture": {
        "stream": True,
        "model": MODEL,
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "You asked: hi"},
            _look(),
        ],
    },
    "Open WebUI, after a question that was refused": {
        "stream": True,
        "model": MODEL,
        "messages": [_look(), {"role": "user", "content": "and now?"}, {"role": "user", "content": "third"}],
    },
    "Open WebUI, with usage, an answer to be continued": {
        "stream": True,
        "model": MODEL,
        "stream_options": {"include_usage": True},
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "You asked: hi"},
        ],
    },
    "Open WebUI, title": {
        "model": MODEL,
        "messages": [{"role": "user", "content": "### Task:\nGenerate a concise title"}],
        "stream": False,
        "max_tokens": 1000,
    },
    "Open WebUI, tags or what to ask next": {
        "model": MODEL,
        "messages": [{"role": "user", "content": "### Task:\nPredict 3-5 useful messages"}],
        "stream": False,
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


def test_tools_that_a_program_sends_of_its_own_accord(server: Server) -> None:
    """Open WebUI 0.12.4 shows a refusal's sentence, and nothing else, to whoever asked."""
    clock: Json = {
        "name": "get_current_timestamp",
        "description": "Get the current Unix timestamp in seconds.",
        "parameters": {"properties": {}, "type": "object"},
    }
    body = CLIENTS["Open WebUI, first question"] | {"tools": [{"type": "function", "function": clock}]}
    reply = server.post("/v1/chat/completions", body)
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert error["param"] == "tools"
    assert "turn its built-in tools off" in error["message"]
    assert "请关闭其内置工具" in error["vlpro"]["zh"]


def test_the_list_of_models_as_a_client_selects_from_it(server: Server) -> None:
    with server.http() as http:
        listed = http.get("/v1/models", headers={"authorization": "Bearer x"}).json()["data"]
    assert all(model["object"] == "model" and model["id"] for model in listed)
