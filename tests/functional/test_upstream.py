"""Engine ``openai``: another server of this product is the upstream, so both ends are real."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from tests.functional.server import MODEL, Server, chat, eventually, picture_file, run
from vlpro.config import Settings
from vlpro.errors import ConfigError

Answers = Callable[[Request], Awaitable[StreamingResponse]]


def get(server: Server, path: str) -> httpx.Response:
    with server.http() as http:
        return http.get(path)


@pytest.fixture(scope="module")
def gateway(slow: Server) -> Iterator[Server]:
    """Has the slow server as its upstream."""
    settings = Settings(engine="auto", upstream_url=f"{slow.url}/v1", upstream_model=MODEL)
    with run(settings) as running:
        eventually(lambda: get(running, "/readyz").status_code == 200)
        yield running


def test_auto_takes_the_configured_upstream(gateway: Server) -> None:
    status = get(gateway, "/v1/status").json()
    assert (status["engine"], status["model"], status["sees"]) == ("openai", MODEL, True)


def test_a_question_with_a_picture_goes_through(gateway: Server) -> None:
    reply = gateway.post("/v1/chat/completions", chat("box please", picture_file()))
    assert reply.status_code == 200
    answer = reply.json()
    assert "You asked: box please" in answer["choices"][0]["message"]["content"]
    assert len(answer["vlpro"]["grounding"]) == 1
    assert answer["usage"]["completion_tokens"] > 3


def test_a_stream_arrives_piece_by_piece(gateway: Server) -> None:
    with gateway.openai() as client:
        stream = client.chat.completions.create(
            model="vlpro", messages=[{"role": "user", "content": "count to 12"}], stream=True
        )
        pieces = [chunk.choices[0].delta.content for chunk in stream if chunk.choices]
    assert "".join(piece or "" for piece in pieces).split() == [str(n) for n in range(1, 13)]
    assert len(pieces) >= 12


def test_a_client_that_goes_ends_the_upstreams_work(gateway: Server, slow: Server) -> None:
    with gateway.openai() as client:
        stream = client.chat.completions.create(
            model="vlpro", messages=[{"role": "user", "content": "count to 9000"}], stream=True
        )
        next(iter(stream))
        assert slow.running() == 1
        stream.close()
    eventually(slow.idle)
    eventually(gateway.idle)


def test_an_upstream_that_fails_is_told_in_our_words(gateway: Server) -> None:
    with gateway.openai() as client, pytest.raises(openai.APIError) as caught:
        list(
            client.chat.completions.create(
                model="vlpro", messages=[{"role": "user", "content": "fail"}], stream=True
            )
        )
    assert "model's server failed" in str(caught.value)


def test_length_and_limits_are_the_upstreams(gateway: Server) -> None:
    body = chat("count to 50", max_tokens=3)
    choice = gateway.post("/v1/chat/completions", body).json()["choices"][0]
    assert choice["finish_reason"] == "length"
    assert choice["message"]["content"].split() == ["1", "2", "3"]


def test_no_server_is_503_and_not_ready() -> None:
    settings = Settings(engine="openai", upstream_url="http://127.0.0.1:9/v1", upstream_model=MODEL)
    with run(settings) as running:
        reply = running.post("/v1/chat/completions", {**chat("hello"), "model": "vlpro"})
        assert reply.status_code == 503
        assert reply.json()["error"]["code"] == "engine_unavailable"
        assert get(running, "/readyz").status_code == 503


def test_a_wrong_model_name_is_told(slow: Server) -> None:
    settings = Settings(engine="openai", upstream_url=f"{slow.url}/v1", upstream_model="nothing")
    with run(settings) as running:
        reply = running.post("/v1/chat/completions", {**chat("hello"), "model": "vlpro"})
        assert reply.status_code == 503
        refusal = reply.json()["error"]
        for word in ("'nothing'", repr(MODEL), "VLPRO_UPSTREAM_MODEL"):
            assert word in refusal["message"]
        status = get(running, "/v1/status").json()
        assert (status["ready"], status["problem"]) == (False, refusal)
        assert get(running, "/readyz").status_code == 503


def test_several_models_and_no_name_is_told(slow: Server) -> None:
    """This product lists its model and the alias."""
    settings = Settings(engine="openai", upstream_url=f"{slow.url}/v1", upstream_model="")
    with run(settings) as running:
        reply = running.post("/v1/chat/completions", {**chat("hello"), "model": "vlpro"})
        assert reply.status_code == 503
        for word in (repr(MODEL), "'vlpro'", "VLPRO_UPSTREAM_MODEL"):
            assert word in reply.json()["error"]["message"]


async def _one_model(_: Request) -> JSONResponse:
    return JSONResponse({"object": "list", "data": [{"id": "only"}]})


async def _one_answer(request: Request) -> StreamingResponse:
    asked = await request.json()
    choices = [{"delta": {"content": f"{asked['model']} over a socket"}, "finish_reason": "stop"}]
    return StreamingResponse(
        [f"data: {json.dumps({'choices': choices})}\n\n"], media_type="text/event-stream"
    )


@contextmanager
def listening(path: str, answer: Answers) -> Iterator[Settings]:
    """A server with one model on a Unix socket, and the settings of a service that uses it."""
    routes = [Route("/v1/models", _one_model), Route("/v1/chat/completions", answer, methods=["POST"])]
    upstream = uvicorn.Server(
        uvicorn.Config(Starlette(routes=routes), uds=path, log_level="critical", ws="none")
    )
    thread = threading.Thread(target=upstream.run, daemon=True)
    thread.start()
    eventually(lambda: upstream.started)
    yield Settings(engine="auto", upstream_url="http://localhost/v1", upstream_socket=path, upstream_model="")
    upstream.should_exit = True
    thread.join(60)
    assert not thread.is_alive()


def test_a_server_on_a_unix_socket(tmp_path: Path) -> None:
    with listening(str(tmp_path / "model.sock"), _one_answer) as settings, run(settings) as running:
        eventually(lambda: get(running, "/readyz").status_code == 200)
        assert get(running, "/v1/status").json()["model"] == "only"
        answer = running.post("/v1/chat/completions", {**chat("hello"), "model": "only"}).json()
        assert answer["choices"][0]["message"]["content"] == "only over a socket"


def test_a_picture_is_read_ahead_by_a_request_for_one_token_while_nobody_is_answered(tmp_path: Path) -> None:
    asked: list[dict[str, Any]] = []
    answering, go_on = threading.Event(), threading.Event()

    async def answer(request: Request) -> StreamingResponse:
        body = await request.json()
        asked.append(body)
        if body["max_tokens"] > 1:
            answering.set()
            await asyncio.to_thread(go_on.wait, 60)
        return await _one_answer(request)

    with listening(str(tmp_path / "model.sock"), answer) as settings, run(settings) as running:
        eventually(lambda: get(running, "/readyz").status_code == 200)

        def drop() -> None:
            with running.http() as http:
                http.post("/v1/images", content=picture_file()).raise_for_status()
            eventually(lambda: get(running, "/v1/status").json()["reading_ahead"] == 0)

        drop()
        assert [(body["max_tokens"], len(body["messages"])) for body in asked] == [(1, 1)]
        assert [part["type"] for part in asked[0]["messages"][0]["content"]] == ["image_url"]
        question = threading.Thread(
            target=running.post,
            args=("/v1/chat/completions", {**chat("hello", max_tokens=9), "model": "only"}),
        )
        question.start()
        assert answering.wait(30)
        drop()
        assert len(asked) == 2  # the first picture and the question: the second picture was left
        go_on.set()
        question.join(60)


def test_a_wrong_file_of_authorities_stops_the_start(tmp_path: Path) -> None:
    settings = Settings(upstream_url="https://127.0.0.1:9/v1", upstream_ca=str(tmp_path / "missing.pem"))
    with pytest.raises(ConfigError, match="VLPRO_UPSTREAM_CA"), run(settings):
        pass


def test_what_the_upstream_finds_too_long_is_told_as_such(narrow: Server) -> None:
    """The upstream takes less text than this service was told."""
    settings = Settings(upstream_url=f"{narrow.url}/v1", upstream_model=MODEL)
    with run(settings) as running:
        reply = running.post("/v1/chat/completions", {**chat("word " * 1_500), "model": "vlpro"})
        assert reply.status_code == 400
        assert reply.json()["error"]["code"] == "context_length_exceeded"


def test_what_leaves_for_the_upstream_is_clean_pixels(gateway: Server, slow: Server) -> None:
    """The file that was sent, with whatever it carries, stays here: the upstream sees another picture file."""
    sent = picture_file()
    answer = gateway.post("/v1/chat/completions", chat("look", sent)).json()
    ours = answer["vlpro"]["pictures"][0]["sha256"][:12]
    assert ours not in answer["choices"][0]["message"]["content"]
    assert base64.b64encode(sent).decode()[:40] not in answer["choices"][0]["message"]["content"]
