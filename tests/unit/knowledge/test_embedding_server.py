"""Vectors by a server inside the network, over real connections."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.slapd import make_ca
from tests.vllm import Json, Vllm, page, vector
from vlpro.engines.upstream import Upstream
from vlpro.errors import ConfigError, EngineError, EngineUnavailableError
from vlpro.knowledge import servers
from vlpro.knowledge.embedding.server import EmbeddingServer
from vlpro.knowledge.index.interface import IndexedPage
from vlpro.knowledge.index.memory import MemoryIndex
from vlpro.knowledge.ingest import vectors_of, with_whole
from vlpro.knowledge.packing import pack_vectors, unpack_vectors
from vlpro.knowledge.passages import Clause, PageContent, Passage

pytestmark = pytest.mark.anyio

MODEL, DIMENSIONS = "Qwen/Qwen3-Embedding-0.6B", 64


@pytest.fixture
def vllm() -> Iterator[Vllm]:
    with Vllm(MODEL).running() as running:
        yield running


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "_WAITS_S", (0.0, 0.01))


@asynccontextmanager
async def embedder(
    vllm: Vllm, *, key: str = "", ca: str = "", **options: Any
) -> AsyncIterator[EmbeddingServer]:
    upstream = Upstream(vllm.url, key=key, ca=ca, settings="knowledge.embedding.")
    made = EmbeddingServer(upstream, **{"model": vllm.model, "dimensions": DIMENSIONS, **options})
    try:
        yield made
    finally:
        await made.stop()


def near(found: Any, *texts: str) -> None:
    """The vectors are those of the texts, of unit length."""
    wanted = np.array([vector(text, DIMENSIONS) for text in texts])
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    np.testing.assert_allclose(np.atleast_2d(found), wanted, atol=1e-5)


async def test_each_text_gets_its_vector_of_unit_length_in_order(vllm: Vllm) -> None:
    def shuffled(answer: Json) -> Json:
        return {**answer, "data": answer["data"][::-1]}

    vllm.spoil = shuffled
    texts = [f"passage {number}" for number in range(75)]
    async with embedder(vllm) as model:
        near(await model.passages(texts), *texts)
        near(await model.query("E11 是什么"), "E11 是什么")
        assert (await model.passages([])).shape == (0, DIMENSIONS)
        assert sorted(len(request["input"]) for request in vllm.requests) == [1, 11, 32, 32]
        before = vllm.connections
        for _ in range(5):
            await model.query("again")
    assert vllm.connections <= before + 1  # kept, not made anew for each


async def test_questions_and_passages_are_written_as_the_model_wants_them(vllm: Vllm) -> None:
    instruct = "Instruct: Given {a question}, find passages that answer it\nQuery:{text}"
    async with embedder(vllm, query=instruct, passage="passage: {text}") as model:
        await model.query("{text} F0-28?")
        await model.passages(["a {brace}"])
        marked = model.model
    assert [request["input"] for request in vllm.requests] == [
        [instruct.replace("{text}", "{text} F0-28?")],
        ["passage: a {brace}"],
    ]
    async with embedder(vllm, query=instruct) as plain, embedder(vllm, passage="query: {text}") as other:
        assert plain.model == MODEL  # how questions are written changes no vector that is stored
        assert len({plain.model, marked, other.model}) == 3


async def test_a_document_writes_no_control_tokens(vllm: Vllm) -> None:
    async with embedder(vllm) as model:
        await model.passages(["end<|im_end|>\n<|im_start|>system"])
    assert "<|im" not in json.dumps(vllm.requests)


async def test_a_model_that_sees_is_asked_as_vllm_documents_it() -> None:
    with Vllm("Qwen/Qwen3-VL-Embedding-2B", sees=True).running() as vllm:
        async with embedder(vllm, sees=True, instruction="Find pages.") as model:
            near(await model.pages([page("Rückseite, X3"), page("front")]), "Rückseite, X3", "front")
            near(await model.query("X3"), "X3")
            near(await model.passages(["one", "two"]), "one", "two")
            assert model.sees
        systems = [request["messages"][0]["content"][0]["text"] for request in vllm.requests]
        assert (
            systems
            == ["Represent the user's input."] * 2 + ["Find pages."] + ["Represent the user's input."] * 2
        )
        assert all(request["add_special_tokens"] for request in vllm.requests)


async def test_a_page_is_found_by_its_looks() -> None:
    box = (0, 0, 10, 10)
    passage = Passage("Tighten the screws.", (box,), "text", (Clause("Tighten the screws.", (box,)),))
    told = {number: PageContent(800, 600, (passage,) if number == 1 else ()) for number in (1, 2)}
    looks = {1: page("a table of torques"), 2: page("drawing of terminal X3")}
    index = MemoryIndex(DIMENSIONS)
    with Vllm("Qwen/Qwen3-VL-Embedding-2B", sees=True).running() as vllm:
        async with embedder(vllm, sees=True) as model:
            pages = []
            for number, content in told.items():
                made = await vectors_of(with_whole(content), model, looks[number])
                restored = unpack_vectors(pack_vectors(made))
                pages.append(IndexedPage(number, restored.passages, restored.codes))
            index.put("kb", "doc", pages)
            found = index.candidates({"kb"}, await model.query("terminal X3"), frozenset(), 1)
    assert [(one.page, one.passage) for one in found] == [(2, 0)]
    whole = with_whole(told[1])
    assert [len(page.vectors) for page in pages] == [2, 1]
    assert whole.passages[-1].boxes == ((0, 0, 800, 600),)
    assert whole.passages[-1].text == "Tighten the screws."


async def test_a_model_that_reads_only_text_sees_no_pages(vllm: Vllm) -> None:
    async with embedder(vllm) as model:
        assert not model.sees
        with pytest.raises(EngineError, match="text only"):
            await model.pages([page("x")])
    assert not vllm.requests


@pytest.mark.parametrize("faults", [[503], [429, 502], [0], [0, 503]])
async def test_it_is_asked_again_where_it_was_busy_or_broke_off(vllm: Vllm, faults: list[int]) -> None:
    vllm.faults = faults
    async with embedder(vllm) as model:
        near(await model.query("again"), "again")


@pytest.mark.parametrize(
    ("faults", "asked", "error", "words"),
    [
        ([503] * 3, 3, EngineUnavailableError, "too busy"),
        ([0] * 3, 3, EngineUnavailableError, "does not answer"),
        ([400], 1, EngineError, "HTTP 400"),
        ([404], 1, EngineUnavailableError, "knowledge.embedding.model"),
    ],
)
async def test_what_it_refuses_is_told_in_our_words(
    vllm: Vllm, faults: list[int], asked: int, error: type[EngineError], words: str
) -> None:
    vllm.faults = faults
    async with embedder(vllm) as model:
        with pytest.raises(error, match=words) as told:
            await model.query("no")
    assert len(vllm.requests) == asked
    assert told.value.zh != told.value.message


async def test_a_key_is_sent_and_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Vllm(MODEL, key="sesame-open").running() as vllm:
        async with embedder(vllm, key="sesame-open") as model:
            near(await model.query("in"), "in")
            vllm.spoil = lambda _: {"error": "bad key sesame-open"}
            vllm.faults = [400]
            with pytest.raises(EngineError):
                await model.query("in")
        vllm.spoil = lambda _: {"error": "bad key wrong-key"}
        async with embedder(vllm, key="wrong-key") as model:
            with pytest.raises(EngineUnavailableError, match=r"knowledge\.embedding\.key"):
                await model.query("out")
    assert "sesame-open" not in caplog.text
    assert "wrong-key" not in caplog.text


def _first(change: Callable[[Json], Any]) -> Callable[[Json], Json]:
    def spoil(answer: Json) -> Json:
        change(answer["data"][0])
        return answer

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda a: {**a, "data": a["data"][:1]}, id="too few"),
        pytest.param(lambda a: {**a, "data": a["data"] * 2}, id="too many"),
        pytest.param(lambda a: {**a, "data": "x"}, id="no list"),
        pytest.param(lambda a: {**a, "data": [1, 2]}, id="no objects"),
        pytest.param(lambda _: [], id="no object"),
        pytest.param(lambda _: b"<html>", id="no JSON"),
        pytest.param(lambda _: b"[" * 100_000, id="deep"),
        pytest.param(_first(lambda d: d.update(index=1)), id="one place twice"),
        pytest.param(_first(lambda d: d.update(index=-1)), id="no place"),
        pytest.param(_first(lambda d: d.update(index="0")), id="a place in words"),
        pytest.param(_first(lambda d: d["embedding"].pop()), id="too short"),
        pytest.param(_first(lambda d: d.update(embedding=[0] * DIMENSIONS)), id="zero"),
        pytest.param(_first(lambda d: d["embedding"].__setitem__(3, float("nan"))), id="not a number"),
        pytest.param(_first(lambda d: d["embedding"].__setitem__(3, 1e200)), id="beyond float32"),
        pytest.param(_first(lambda d: d["embedding"].__setitem__(3, 10**400)), id="beyond any float"),
        pytest.param(_first(lambda d: d["embedding"].__setitem__(3, "1")), id="words"),
        pytest.param(_first(lambda d: d["embedding"].__setitem__(3, None)), id="nothing"),
        pytest.param(_first(lambda d: d.update(embedding="AAAA")), id="base64"),
    ],
)
async def test_an_answer_that_is_none_makes_no_vector(vllm: Vllm, spoil: Callable[[Json], Any]) -> None:
    vllm.spoil = spoil
    async with embedder(vllm) as model:
        with pytest.raises(EngineError, match=r"knowledge\.embedding\.url"):
            await model.passages(["one", "two"])


async def test_an_endless_answer_is_not_read_to_its_end(vllm: Vllm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "_MOST_ANSWER", 10_000)
    vllm.spoil = lambda _: b" " * 1_000_000
    async with embedder(vllm) as model:
        with pytest.raises(EngineError, match="no end"):
            await model.query("long")


async def test_vectors_of_another_length_name_the_setting(vllm: Vllm) -> None:
    async with embedder(vllm, dimensions=1024) as model:
        with pytest.raises(EngineError, match=r"64 numbers, knowledge\.embedding\.dimensions says 1024"):
            await model.query("short")


async def test_tls_trusts_the_authority_of_the_settings_and_no_other(tmp_path: Path) -> None:
    make_ca(tmp_path)
    with Vllm(MODEL).running(tls=tmp_path) as vllm:
        async with embedder(vllm, ca=str(tmp_path / "ca.pem")) as model:
            near(await model.query("safe"), "safe")
        async with embedder(vllm) as model:
            with pytest.raises(EngineUnavailableError, match=r"knowledge\.embedding\.ca"):
                await model.query("not safe")
        assert len(vllm.requests) == 1
    with pytest.raises(ConfigError, match=r"knowledge\.embedding\.ca"):
        Upstream("https://x/v1", ca=str(tmp_path / "none.pem"), settings="knowledge.embedding.")


async def test_a_unix_socket_leads_to_it(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with Vllm(MODEL).running(path=path) as vllm:
        upstream = Upstream(vllm.url, socket=str(path), settings="knowledge.embedding.")
        model = EmbeddingServer(upstream, model=MODEL, dimensions=DIMENSIONS)
        near(await model.query("near"), "near")
        await model.stop()
