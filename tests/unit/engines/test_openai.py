from __future__ import annotations

import json

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import answer_text, ask
from vlpro.engines.openai import OpenAiEngine, _read
from vlpro.errors import EngineError, EngineUnavailableError

pytestmark = pytest.mark.anyio


def engine(stream: bytes, status: int = 200) -> OpenAiEngine:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"data": [{"id": "m"}]})
        return httpx.Response(status, content=stream)

    return OpenAiEngine(url="http://upstream/v1", model="m", transport=httpx.MockTransport(answer))


def event(**choice: object) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, **choice}]}).encode() + b"\n\n"


async def test_what_the_upstream_lacks_is_filled() -> None:
    upstream = engine(
        event(delta={"content": "好"}) + event(delta={}, finish_reason="stop") + b"data: [DONE]\n\n"
    )
    deltas = [delta async for delta in upstream.generate(ask("?"), timeout_s=5)]
    await upstream.stop()
    assert deltas[-1].finish_reason == "stop"
    assert deltas[-1].usage is not None
    assert deltas[-1].usage.completion_tokens == 2


@pytest.mark.parametrize(
    ("stream", "status", "kind", "words"),
    [
        (b'{"error": "secret path"}', 500, EngineError, "HTTP 500"),
        (b"no", 401, EngineUnavailableError, "VLPRO_UPSTREAM_KEY"),
        (b"", 429, EngineUnavailableError, "too busy"),
        (b"data: {broken\n\n", 200, EngineError, "failed while answering"),
        (b"data: []\n\n", 200, EngineError, "failed while answering"),
        (event(delta={"content": "x"}), 200, EngineError, "without saying why"),
        (b"data: " + b"x" * 1_100_000, 200, EngineError, "endless line"),
    ],
)
async def test_a_bad_upstream_is_an_error_in_our_words(
    stream: bytes, status: int, kind: type[Exception], words: str
) -> None:
    upstream = engine(stream, status)
    with pytest.raises(kind, match=words) as caught:
        await answer_text(upstream, ask("?"))
    await upstream.stop()
    assert "secret" not in str(caught.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(derandomize=True, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["choices", "usage"]), json_values)
    | st.fixed_dictionaries(
        {
            "choices": st.lists(
                st.dictionaries(st.sampled_from(["delta", "finish_reason"]), json_values), max_size=2
            ),
            "usage": st.dictionaries(st.sampled_from(["prompt_tokens", "completion_tokens"]), json_values),
        }
    )
)
def test_no_shape_of_a_chunk_breaks_the_reader(chunk: dict[str, object]) -> None:
    text, finish, usage = _read(chunk)
    assert isinstance(text, str)
    assert finish in (None, "stop", "length")
    assert usage is None or usage.prompt_tokens >= 0


@pytest.mark.parametrize(("context", "wanted"), [(262_144, 16 * 1282), (32_768, 16_384), (8192, 4096)])
def test_pictures_take_at_most_half_of_the_context(context: int, wanted: int) -> None:
    upstream = OpenAiEngine(url="http://upstream/v1", model="m", context_tokens=context)
    assert upstream.capabilities.picture_tokens_budget == wanted
