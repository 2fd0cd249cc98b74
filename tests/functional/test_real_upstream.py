"""Engine ``openai`` with a server that is not ours: llama.cpp's, with the small model that sees."""

from __future__ import annotations

import asyncio
import io
import json
import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.attacks import CONTROL_TEXTS
from tests.functional.server import Json, Server, chat, events, eventually, picture_file, run
from tests.seeing import MODEL
from tests.seeing.world import COLOURS, KINDS, draw_shapes
from vlpro.config import Settings
from vlpro.engines.interface import Message, Request
from vlpro.engines.openai import OpenAiEngine
from vlpro.engines.upstream import Upstream
from vlpro.knowledge.embedding.server import EmbeddingServer

ROOT = Path(__file__).parents[2]
PYTHON = Path(os.environ.get("VLPRO_UPSTREAM_PYTHON", ROOT / ".venv-upstream" / "bin" / "python"))
KEY = "sesame"

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="no real server here: make upstream")


@contextmanager
def serving(work: Path, *options: str) -> Iterator[str]:
    """The real server's address."""
    out = work / "out"
    with out.open("w") as stdout, (work / "log").open("w") as stderr:
        process = subprocess.Popen(
            [PYTHON, "-m", "tests.upstream.serve", MODEL, work, KEY, *options],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=stderr,
        )

    def listening() -> bool:
        assert process.poll() is None, (work / "log").read_text()[-2_000:]
        return out.read_text().endswith("\n")

    try:
        eventually(listening, timeout_s=120)
        yield out.read_text().strip()
    finally:
        process.communicate(timeout=60)  # it ends with its standard input


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The real server's address."""
    with serving(tmp_path_factory.mktemp("upstream")) as address:
        yield address


@contextmanager
def gateway_to(upstream: str, **settings: Any) -> Iterator[Server]:
    options: Json = {"upstream_model": "", "upstream_key": KEY, "upstream_context_tokens": 4_096}
    with run(Settings(engine="openai", upstream_url=f"{upstream}/v1", **(options | settings))) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(upstream: str) -> Iterator[Server]:
    with gateway_to(upstream) as running:
        eventually(lambda: status(running)["ready"])
        yield running


def status(server: Server) -> Json:
    with server.http() as http:
        reply: Json = http.get("/v1/status").json()
    return reply


def schema(**properties: Json) -> Json:
    """A response_format of one object."""
    wanted = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": wanted}}


def test_the_only_model_that_it_lists_is_taken(gateway: Server) -> None:
    assert (status(gateway)["model"], status(gateway)["problem"]) == ("seeing", None)
    with gateway.openai() as client:
        assert [model.id for model in client.models.list()] == ["seeing", "vlpro"]


def test_a_picture_is_seen_and_the_answer_streams(gateway: Server) -> None:
    def ask(*pictures: bytes) -> tuple[list[str], Json]:
        body = chat("What is in the picture?", *pictures, model="seeing", max_tokens=24, temperature=0)
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        chunks = events(gateway.post("/v1/chat/completions", body).text)
        pieces = [chunk["choices"][0]["delta"].get("content") for chunk in chunks if chunk["choices"]]
        usage: Json = chunks[-1]["usage"]
        return [piece for piece in pieces if piece], usage

    pieces, usage = ask(picture_file(128, 128))
    assert len(pieces) > 1
    assert usage["completion_tokens"] <= 24
    # 128 x 128 pixels are 4 x 4 tokens, and a frame of two: counted by the server, so the picture was there.
    assert usage["prompt_tokens"] == ask()[1]["prompt_tokens"] + 18


def test_what_it_sees_is_what_is_there(gateway: Server) -> None:
    """A picture arrives whole and in its colours."""
    names = [(colour, kind) for colour in COLOURS for kind in KINDS][::2]
    right = 0
    for seed, (colour, kind) in enumerate(names):
        out = io.BytesIO()
        draw_shapes(random.Random(seed), 1, size=(96, 96), only=(colour, kind), scale=2)[0].save(out, "PNG")
        for text, wanted in ((f"What colour is the {kind}?", colour), ("图中一共有几个图形？", "1")):
            body = chat(text, out.getvalue(), model="seeing", max_tokens=24, temperature=0)
            reply = gateway.post("/v1/chat/completions", body).json()
            right += reply["choices"][0]["message"]["content"] == wanted
    assert right >= 0.85 * 2 * len(names)


def test_an_answer_keeps_to_its_schema(gateway: Server) -> None:
    body = chat("How many?", picture_file(64, 64), model="seeing", max_tokens=400)
    body["response_format"] = schema(
        colour={"enum": ["red", "blue"]}, count={"type": "integer", "minimum": 0, "maximum": 9}
    )
    reply = gateway.post("/v1/chat/completions", body).json()
    answer = json.loads(reply["choices"][0]["message"]["content"])
    assert answer["colour"] in ("red", "blue")
    assert answer["count"] in range(10)


def test_a_client_that_goes_ends_the_servers_work(gateway: Server, upstream: str) -> None:
    def slot() -> Json:
        headers = {"authorization": f"Bearer {KEY}"}
        reply = httpx.get(f"{upstream}/slots", headers=headers, trust_env=False, timeout=30)
        slots: list[Json] = reply.json()
        return slots[0]

    body = chat("count", model="seeing", max_tokens=3_500, stream=True)
    only_answer = "0123456789" * 300  # a token for each digit
    body["response_format"] = schema(digits={"enum": [only_answer]})
    with gateway.http() as http, http.stream("POST", "/v1/chat/completions", json=body) as reply:
        received = accumulate(reply.iter_text())
        assert any(text.count("data: ") > 5 for text in received)
        assert slot()["is_processing"]
    eventually(lambda: not slot()["is_processing"])
    assert (
        slot()["n_prompt_tokens"] < 2_900
    )  # what the slot holds: the prompt, and the answer as far as it came


def test_what_it_finds_too_long_is_told_as_such(upstream: str) -> None:
    with gateway_to(upstream, upstream_context_tokens=100_000) as running:
        reply = running.post("/v1/chat/completions", chat("word " * 6_000, model="vlpro"))
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "context_length_exceeded"


def test_a_wrong_key_is_told(upstream: str) -> None:
    with gateway_to(upstream, upstream_key="open", upstream_model="seeing") as running:
        reply = running.post("/v1/chat/completions", chat("hello", model="vlpro"))
        assert reply.status_code == 503
        assert "VLPRO_UPSTREAM_KEY" in reply.json()["error"]["message"]
        eventually(lambda: "VLPRO_UPSTREAM_KEY" in (status(running)["problem"] or {}).get("message", ""))
        assert not status(running)["ready"]


def test_no_text_is_a_control_token_to_it(upstream: str) -> None:
    """As the server itself makes the prompt, and reads it."""
    engine = OpenAiEngine(Upstream(f"{upstream}/v1", key=KEY), model="seeing")
    with httpx.Client(
        base_url=upstream, headers={"authorization": f"Bearer {KEY}"}, trust_env=False, timeout=30
    ) as server:

        def marks(messages: list[Json]) -> list[int]:
            prompt = server.post("/apply-template", json={"messages": messages}).json()["prompt"]
            how = {"content": prompt, "add_special": False, "parse_special": True}
            return [token for token in server.post("/tokenize", json=how).json()["tokens"] if token < 14]

        def sent(*parts: str) -> list[Json]:
            request = Request((Message("system", parts), Message("user", parts)))
            messages: list[Json] = json.loads(engine._body(request, "seeing"))["messages"]
            return messages

        plain = marks(sent("x"))
        assert len(plain) == 5
        assert len(marks([{"role": "user", "content": "<|im_end|>"}])) > 3  # as it is, it would be one
        for name, parts in CONTROL_TEXTS.items():
            assert marks(sent(*parts)) == plain, name


def test_a_text_that_speaks_of_pictures_brings_none(gateway: Server) -> None:
    marks = "<|vision_start|><|image_pad|><|vision_end|><__media__>"

    def read(*pictures: bytes) -> int:
        body = chat(f"What is {marks}?", *pictures, model="seeing", max_tokens=8, temperature=0)
        reply = gateway.post("/v1/chat/completions", body)
        assert reply.status_code == 200, reply.text
        tokens: int = reply.json()["usage"]["prompt_tokens"]
        return tokens

    assert read(picture_file(128, 128)) == read() + 18


def test_it_makes_vectors_for_a_knowledge_base(tmp_path: Path) -> None:
    texts = ["a red circle", "a blue square <|im_end|>", "一个红色的圆"] * 20

    async def vectors(address: str) -> tuple[Any, Any]:
        upstream = Upstream(f"{address}/v1", key=KEY, settings="knowledge.embedding.")
        model = EmbeddingServer(upstream, model="seeing", dimensions=192)
        try:
            return await model.passages(texts), await model.query(texts[1])
        finally:
            await model.stop()

    with serving(tmp_path, "vectors") as address:
        passages, question = asyncio.run(vectors(address))
    products = passages @ question
    assert passages.shape == (60, 192)
    assert products == pytest.approx([products[0], 1.0, products[2]] * 20, abs=1e-3)
    assert max(products[0], products[2]) < 0.99
