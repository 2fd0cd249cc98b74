"""Engine ``openai``: another server of this product is the upstream, so both ends are real."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import httpx
import openai
import pytest

from tests.functional.server import MODEL, Server, chat, eventually, picture_file, run
from vlpro.config import Settings


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
            model="vlpro", messages=[{"role": "user", "content": "count to 2000"}], stream=True
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
        assert "VLPRO_UPSTREAM_MODEL" in reply.json()["error"]["message"]


def test_what_leaves_for_the_upstream_is_clean_pixels(gateway: Server, slow: Server) -> None:
    """The file that was sent, with whatever it carries, stays here: the upstream sees another picture file."""
    sent = picture_file()
    answer = gateway.post("/v1/chat/completions", chat("look", sent)).json()
    ours = answer["vlpro"]["pictures"][0]["sha256"][:12]
    assert ours not in answer["choices"][0]["message"]["content"]
    assert base64.b64encode(sent).decode()[:40] not in answer["choices"][0]["message"]["content"]
