"""The language that is asked for reaches the model, and nobody else: not the person, not the conversation."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace
from itertools import pairwise

import pytest

from tests.functional.server import MODEL, Json, Server, chat, eventually, picture_file, run
from vlpro.config import Settings
from vlpro.engines.fake import FakeEngine
from vlpro.engines.interface import Delta, Request

ZH, EN = "请用中文回答：", "Answer in English: "


class _Upstream(FakeEngine):
    """Knows what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Request] = []

    async def _generate(self, request: Request) -> AsyncGenerator[Delta, None]:
        self.asked.append(request)
        async for delta in super()._generate(request):
            yield delta

    def texts(self, number: int = -1) -> list[str]:
        return [message.text for message in self.asked[number].messages]


@pytest.fixture(scope="module")
def upstream() -> Iterator[tuple[Server, _Upstream]]:
    """Another server of this product that adds nothing by itself."""
    engine = _Upstream()
    with run(Settings(engine="fake", answer_language="off"), engine) as running:
        yield running, engine


@pytest.fixture(scope="module")
def gateway(upstream: tuple[Server, _Upstream]) -> Iterator[Server]:
    settings = Settings(engine="openai", upstream_url=f"{upstream[0].url}/v1", upstream_model=MODEL)
    with run(settings) as running:
        yield running


def _answer(server: Server, body: Json) -> str:
    reply = server.post("/v1/chat/completions", body)
    assert reply.status_code == 200, reply.text
    assert ZH not in reply.text
    return str(reply.json()["choices"][0]["message"]["content"])


def test_a_chinese_question_asks_the_upstream_for_chinese(
    gateway: Server, upstream: tuple[Server, _Upstream]
) -> None:
    assert _answer(gateway, chat("图里有什么？", picture_file())).startswith("You asked: 图里有什么？")
    assert upstream[1].texts() == [f"{ZH}图里有什么？"]


def test_others_are_passed_on_as_they_are(gateway: Server, upstream: tuple[Server, _Upstream]) -> None:
    _answer(gateway, chat("What is in it?"))
    assert upstream[1].texts() == ["What is in it?"]
    _answer(gateway, chat("列出图里的字段", response_format={"type": "json_object"}))
    assert upstream[1].texts() == ["列出图里的字段"]


def test_the_words_are_in_no_conversation_and_stay_the_same_for_earlier_turns(
    gateway: Server, upstream: tuple[Server, _Upstream]
) -> None:
    with gateway.http() as http:
        path = f"/v1/conversations/{http.post('/v1/conversations', json={}).json()['id']}"
        for text, language in (
            ("图里有什么？", None),
            ("这个呢？", "en"),
            ("And that?", "zh"),
            ("Why?", None),
        ):
            body = {"text": text} if language is None else {"text": text, "language": language}
            assert http.post(f"{path}/messages", json=body).status_code == 202
            eventually(lambda: not http.get(path).json()["busy"])
        asked = [upstream[1].texts(number) for number in (-4, -3, -2, -1)]
        whole = http.get(path)
    assert [text for text in asked[-1] if not text.startswith("You asked")] == [
        f"{ZH}图里有什么？",
        f"{EN}这个呢？",
        f"{ZH}And that?",
        "Why?",
    ]
    for before, after in pairwise(asked):
        assert after[: len(before)] == before  # what an engine keeps of a conversation stays good
    assert ZH not in whole.text
    assert EN not in whole.text
    assert [m["text"] for m in whole.json()["messages"][::2]] == [
        "图里有什么？",
        "这个呢？",
        "And that?",
        "Why?",
    ]


def test_a_language_is_no_message_of_the_system(gateway: Server, upstream: tuple[Server, _Upstream]) -> None:
    assert all(message.role != "system" for request in upstream[1].asked for message in request.messages)


@pytest.mark.parametrize(
    ("setting", "wanted"), [("off", "看图"), ("always", f"{ZH}看图"), ("auto", f"{ZH}看图")]
)
def test_the_setting_decides(setting: str, wanted: str) -> None:
    engine = _Upstream()
    with run(Settings(engine="fake", answer_language=setting), engine) as server:
        _answer(server, chat("看图"))
        assert engine.texts() == [wanted]
        _answer(server, chat("Look"))
        assert engine.texts() == [f"{ZH}Look" if setting == "always" else "Look"]


class _Reader(_Upstream):
    """Does not see, as the embedded engine."""

    def __init__(self) -> None:
        super().__init__()
        self.capabilities = replace(self.capabilities, sees=False)


def test_an_engine_that_reads_is_told_the_language_beside_the_question() -> None:
    engine = _Reader()
    with run(Settings(engine="fake", answer_language="always"), engine) as server, server.http() as http:
        path = f"/v1/conversations/{http.post('/v1/conversations', json={}).json()['id']}"
        http.post(f"{path}/messages", json={"text": "合计是多少？", "language": "en"})
        eventually(lambda: not http.get(path).json()["busy"])
    assert engine.texts() == ["合计是多少？"]
    assert engine.asked[0].language == "en"
