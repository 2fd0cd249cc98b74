"""The official client, unchanged: what people do with it works, and what fails raises its own errors."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, cast

import openai
import pytest
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam
from pydantic import BaseModel

from tests.functional.server import MODEL, Server, data_url, eventually, picture_file, run, user
from vlpro.config import Settings
from vlpro.engines.fake import FakeEngine
from vlpro.errors import EngineUnavailableError


@pytest.fixture(scope="module")
def client(server: Server) -> openai.OpenAI:
    return server.openai()


def _say(text: str, *pictures: bytes) -> list[ChatCompletionMessageParam]:
    return [cast(ChatCompletionMessageParam, user(text, *pictures))]


def test_chat(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=_say("hello"))
    assert answer.choices[0].message.content == "You asked: hello"
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.refusal is None
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == MODEL
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0
    assert answer._request_id is not None
    assert answer._request_id.startswith("req_")


def test_stream(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(model=MODEL, messages=_say("count to 5"), stream=True)
    chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "1 2 3 4 5 "
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].finish_reason for c in chunks if c.choices[0].finish_reason] == ["stop"]
    assert len({(c.id, c.created, c.model) for c in chunks}) == 1
    assert all(c.usage is None for c in chunks)


def test_stream_with_usage(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model=MODEL, messages=_say("count to 3"), stream=True, stream_options={"include_usage": True}
        )
    )
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 3


def test_picture_as_data_url(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=_say("what is it?", picture_file(50, 20)))
    assert "Picture 1: 50×20 png" in (answer.choices[0].message.content or "")


def test_several_answers(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=_say("count to 2"), n=3)
    assert [(c.index, c.message.content) for c in answer.choices] == [(i, "1 2 ") for i in range(3)]
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 6


def test_several_answers_streamed(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(model=MODEL, messages=_say("count to 2"), n=2, stream=True)
    texts, ends = {0: "", 1: ""}, []
    for chunk in stream:
        choice = chunk.choices[0]
        texts[choice.index] += choice.delta.content or ""
        ends += [choice.index] if choice.finish_reason else []
    assert texts == {0: "1 2 ", 1: "1 2 "}
    assert ends == [0, 1]


@pytest.mark.parametrize("stop", ["4", ["9 ", "3 4"], ["nothing", "4 5"]])
def test_stop(client: openai.OpenAI, stop: str | list[str]) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=_say("count to 9"), stop=stop)
    first = [stop] if isinstance(stop, str) else stop
    whole = "1 2 3 4 5 6 7 8 9 "
    assert answer.choices[0].message.content == whole[: min(whole.find(s) for s in first if s in whole)]
    assert answer.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_length(client: openai.OpenAI, name: str) -> None:
    asked: dict[str, Any] = {name: 3}
    answer = client.chat.completions.create(model=MODEL, messages=_say("count to 9"), **asked)
    assert answer.choices[0].message.content == "1 2 3 "
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3


def test_seed_at_its_limit_with_several_answers(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=_say("hello"), seed=2**63 - 1, n=2)
    assert len(answer.choices) == 2


def test_all_roles_and_an_answer_sent_back(client: openai.OpenAI) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    before = client.chat.completions.create(model=MODEL, messages=_say("hello")).choices[0].message
    messages: list[Any] = [
        {"role": "system", "content": "Be short."},
        {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
        {"role": "user", "content": "hello", "name": "li"},
        before,
        before.model_dump(),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "42"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        {"role": "user", "content": "count to 2"},
    ]
    answer = client.chat.completions.create(model=MODEL, messages=messages)
    assert answer.choices[0].message.content == "1 2 "


def test_json_object(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=_say("as JSON"), response_format={"type": "json_object"}
    )
    assert answer.choices[0].message.content == "{}"


class Receipt(BaseModel):
    merchant: str
    total: float | None
    items: list[str]


def test_json_schema_parsed_into_a_class(client: openai.OpenAI) -> None:
    answer = client.chat.completions.parse(
        model=MODEL, messages=_say("read", picture_file()), response_format=Receipt
    )
    assert isinstance(answer.choices[0].message.parsed, Receipt)


def test_stream_helper_of_the_client(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model=MODEL, messages=_say("count to 4")) as stream:
        assert stream.get_final_completion().choices[0].message.content == "1 2 3 4 "


def test_responses(client: openai.OpenAI) -> None:
    reply = client.responses.create(
        model=MODEL,
        instructions="Be short.",
        input=[
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "what is it?"},
                    {"type": "input_image", "image_url": data_url(picture_file(33, 22)), "detail": "auto"},
                ],
            }
        ],
    )
    assert "33×22" in reply.output_text
    assert reply.status == "completed"
    assert reply.usage is not None
    assert reply.usage.total_tokens > 0
    assert reply._request_id is not None


def test_responses_continue_with_the_output_of_the_last_one(client: openai.OpenAI) -> None:
    first = client.responses.create(model=MODEL, input="hello")
    history: list[Any] = [{"role": "user", "content": "hello"}]
    history += [item.model_dump(exclude_none=True) for item in first.output]
    history.append({"role": "user", "content": "count to 2"})
    assert client.responses.create(model=MODEL, input=history).output_text == "1 2 "


def test_responses_stream(client: openai.OpenAI) -> None:
    with client.responses.stream(model=MODEL, input="count to 4") as stream:
        kinds = [event.type for event in stream]
        assert stream.get_final_response().output_text == "1 2 3 4 "
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"


def test_responses_parsed_into_a_class(client: openai.OpenAI) -> None:
    reply = client.responses.parse(model=MODEL, input="read", text_format=Receipt)
    assert isinstance(reply.output_parsed, Receipt)


def test_responses_cut_by_length(client: openai.OpenAI) -> None:
    reply = client.responses.create(model=MODEL, input="count to 9", max_output_tokens=2)
    assert reply.output_text == "1 2 "
    assert reply.status == "incomplete"
    assert reply.incomplete_details is not None
    assert reply.incomplete_details.reason == "max_output_tokens"


def test_models(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert names == [MODEL, "vlpro"]
    for name in names:
        assert client.models.retrieve(name).id == name
    assert client.chat.completions.create(model="vlpro", messages=_say("hi")).model == MODEL


def test_raw_headers(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=_say("hi"))
    assert raw.headers["content-type"] == "application/json"
    assert raw.headers["x-request-id"] == raw.request_id
    with client.chat.completions.with_streaming_response.create(
        model=MODEL, messages=_say("hi"), stream=True
    ) as streamed:
        assert streamed.headers["content-type"].startswith("text/event-stream")
        assert streamed.headers["cache-control"] == "no-store"


def test_unknown_model(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        client.chat.completions.create(model="gpt-9", messages=_say("hi"))
    assert refused.value.code == "model_not_found"
    assert refused.value.param == "model"
    assert refused.value.request_id is not None
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-9")


def test_bad_request(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model=MODEL, messages=_say("hi"), temperature=9)
    assert refused.value.param == "temperature"
    assert refused.value.type == "invalid_request_error"
    assert refused.value.request_id is not None


def test_engine_fails(client: openai.OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as failed:
        client.chat.completions.create(model=MODEL, messages=_say("please fail"))
    assert failed.value.status_code == 502
    assert failed.value.code == "engine_error"
    assert failed.value.request_id is not None


def test_engine_fails_within_a_stream(client: openai.OpenAI) -> None:
    got = ""
    with pytest.raises(openai.APIError, match="asked to fail") as failed:  # noqa: PT012 - the text before it counts
        for chunk in client.chat.completions.create(model=MODEL, messages=_say("please fail"), stream=True):
            assert isinstance(chunk, ChatCompletionChunk)
            got += chunk.choices[0].delta.content or ""
    assert got == "This answer breaks "
    assert failed.value.code == "engine_error"


class _Absent(FakeEngine):
    """One whose process is not there."""

    @property
    def ready(self) -> bool:
        return False

    def _generate(self, request: Any) -> Any:
        raise EngineUnavailableError("The engine is not running.")


def test_engine_absent() -> None:
    with run(Settings(engine="fake"), _Absent()) as server:
        with pytest.raises(openai.InternalServerError) as failed:
            server.openai().chat.completions.create(model=MODEL, messages=_say("hi"))
        assert failed.value.status_code == 503
        assert failed.value.code == "engine_unavailable"
        with server.http() as http:
            assert http.get("/readyz").status_code == 503
            assert http.get("/healthz").status_code == 200


def test_engine_too_slow() -> None:
    with run(Settings(engine="fake", fake_delay_s=30, answer_timeout_s=0.1)) as server:
        with pytest.raises(openai.InternalServerError) as failed:
            server.openai().chat.completions.create(model=MODEL, messages=_say("hi"))
        assert failed.value.status_code == 504
        assert failed.value.code == "engine_timeout"
        assert server.idle()


def test_queue_full(narrow: Server) -> None:
    async def ask_all() -> list[object]:
        async with openai.AsyncOpenAI(
            base_url=f"{narrow.url}/v1", api_key="x", max_retries=0, timeout=60
        ) as client:
            asked = [
                client.chat.completions.create(model=MODEL, messages=_say("count to 100")) for _ in range(4)
            ]
            return await asyncio.gather(*asked, return_exceptions=True)

    replies = asyncio.run(ask_all())
    refused = [reply for reply in replies if isinstance(reply, Exception)]
    assert len(refused) == 2
    for error in refused:
        assert isinstance(error, openai.RateLimitError)
        assert error.code == "rate_limit_exceeded"
        assert int(error.response.headers["retry-after"]) >= 1
        assert error.request_id is not None
    assert narrow.idle()


def test_twenty_at_once(server: Server) -> None:
    async def ask_all() -> list[str | None]:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="x", timeout=60) as client:

            async def ask(number: int) -> str | None:
                if number % 2:
                    whole = await client.chat.completions.create(
                        model=MODEL, messages=_say(f"number {number}")
                    )
                    return whole.choices[0].message.content
                stream = await client.chat.completions.create(
                    model=MODEL, messages=_say(f"number {number}"), stream=True
                )
                return "".join([c.choices[0].delta.content or "" async for c in stream])

            return await asyncio.gather(*(ask(number) for number in range(20)))

    assert asyncio.run(ask_all()) == [f"You asked: number {number}" for number in range(20)]
    assert server.idle()


def test_stream_that_is_closed_ends_the_work(slow: Server) -> None:
    stream = slow.openai().chat.completions.create(model=MODEL, messages=_say("count to 9000"), stream=True)
    for chunk, _ in zip(stream, range(3), strict=False):
        assert chunk.model == MODEL
    assert slow.running() == 1
    stream.close()
    eventually(slow.idle)


def test_client_that_gives_up_ends_the_work(slow: Server) -> None:
    with pytest.raises(openai.APITimeoutError):
        slow.openai(timeout=0.3).chat.completions.create(model=MODEL, messages=_say("count to 9000"))
    eventually(slow.idle)


def test_client_that_gives_up_while_waiting_frees_its_place() -> None:
    engine = FakeEngine(delay_s=0.02)
    engine.capabilities = replace(engine.capabilities, concurrency=1)
    with run(Settings(engine="fake", queue_size=1), engine) as server:
        first = server.openai().chat.completions.create(
            model=MODEL, messages=_say("count to 9000"), stream=True
        )
        next(iter(first))
        with pytest.raises(openai.APITimeoutError):
            server.openai(timeout=0.3).chat.completions.create(model=MODEL, messages=_say("hi"), stream=True)
        with server.http() as http:
            eventually(lambda: bool(http.get("/v1/status").json()["queued"] == 0))
        first.close()
        eventually(server.idle)
