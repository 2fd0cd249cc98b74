from __future__ import annotations

import json
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import answer_text, ask, eventually
from tests.unit.engines.upstreams import Scripted, event, models
from vlpro.engines.openai import OpenAiEngine, _read
from vlpro.engines.upstream import Upstream
from vlpro.errors import ContextLengthError, EngineError, EngineUnavailableError

pytestmark = pytest.mark.anyio

WHOLE = event(delta={"content": "好"}) + event(delta={}, finish_reason="stop") + b"data: [DONE]\n\n"


async def test_what_the_upstream_lacks_is_filled() -> None:
    upstream = OpenAiEngine(Scripted(WHOLE), model="m")
    deltas = [delta async for delta in upstream.generate(ask("?"), timeout_s=30)]
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
        (b"", 302, EngineError, "HTTP 302"),
        (b"data: {broken\n\n", 200, EngineError, "failed while answering"),
        (b"data: []\n\n", 200, EngineError, "failed while answering"),
        (event(delta={"content": "x"}), 200, EngineError, "without saying why"),
        (b"data: " + b"x" * 1_100_000, 200, EngineError, "endless line"),
        # As vLLM, SGLang, llama.cpp and its Python server say it.
        (b"This model's maximum context length is 4096 tokens.", 400, ContextLengthError, "do not fit"),
        (
            b"The decoder prompt is longer than the maximum model length of",
            400,
            ContextLengthError,
            "do not fit",
        ),
        (b'{"error": {"type": "exceed_context_size_error"}}', 400, ContextLengthError, "do not fit"),
        (b"Requested tokens (9) exceed context window of 5", 500, ContextLengthError, "do not fit"),
        (b'data: {"error": {"code": "context_length_exceeded"}}\n\n', 200, ContextLengthError, "do not fit"),
    ],
)
async def test_a_bad_upstream_is_an_error_in_our_words(
    stream: bytes, status: int, kind: type[Exception], words: str
) -> None:
    upstream = OpenAiEngine(Scripted(stream, status), model="m")
    with pytest.raises(kind, match=words) as caught:
        await answer_text(upstream, ask("?"))
    await upstream.stop()
    assert "secret" not in str(caught.value)
    assert type(caught.value) is kind


@pytest.mark.parametrize(("status", "prefix"), [(500, b""), (401, b""), (200, b"data: ")])
async def test_the_log_tells_that_the_server_refused_but_not_what_it_repeats(
    status: int, prefix: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """A server's refusal may hold what was asked, or our key."""
    error = b'"type": "BadRequest", "code": "no such code: my canary", "message": "you sent Bearer k-5678"'
    said = prefix + b'{"error": {' + error + b"}}\n\n"
    upstream = OpenAiEngine(Scripted(said, status, key="k-5678"), model="m")
    with caplog.at_level(logging.DEBUG), pytest.raises(EngineError) as caught:
        await answer_text(upstream, ask("?"))
    await upstream.stop()
    told = [record.getMessage() for record in caplog.records if record.name == "vlpro.engines.openai"]
    assert any("bytes, BadRequest" in line for line in told), told
    for hidden in ("k-5678", "you sent", "canary"):
        assert hidden not in " ".join(told) + caught.value.message + caught.value.zh


async def test_half_of_a_surrogate_pair_is_no_text() -> None:
    upstream = OpenAiEngine(Scripted(WHOLE.replace(b"\\u597d", b"a\\ud83d")), model="m")
    assert await answer_text(upstream, ask("?")) == "a?"
    await upstream.stop()


async def test_without_a_name_the_only_listed_model_is_taken() -> None:
    scripted = Scripted(WHOLE, listed=models("org/seeing"))
    upstream = OpenAiEngine(scripted)
    assert upstream.capabilities.model == "unknown"
    await answer_text(upstream, ask("?"))
    await upstream.stop()
    assert upstream.ready
    assert upstream.capabilities.model == "org/seeing"
    assert json.loads(scripted.requests[0].content)["model"] == "org/seeing"


@pytest.mark.parametrize(
    ("wanted", "listed", "words"),
    [
        ("", models("one", "two"), ["'one'", "'two'", "VLPRO_UPSTREAM_MODEL"]),
        ("", models(), ["lists no model"]),
        ("m", models("/models/m.gguf"), ["'m'", "'/models/m.gguf'", "VLPRO_UPSTREAM_MODEL"]),
        ("m", models(*"abcdefg"), ["'e', …"]),
    ],
)
async def test_a_list_that_leaves_the_model_open_is_told_and_nothing_is_asked(
    wanted: str, listed: bytes, words: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    scripted = Scripted(WHOLE, listed=listed)
    upstream = OpenAiEngine(scripted, model=wanted)
    with pytest.raises(EngineUnavailableError) as refused:
        await answer_text(upstream, ask("?"))
    with pytest.raises(EngineUnavailableError):
        await answer_text(upstream, ask("?"))
    await upstream.stop()
    assert not upstream.ready
    assert scripted.requests == []
    assert str(upstream.problem) == refused.value.message
    for word in words:
        assert word in refused.value.message
        assert word in caplog.text
    told = [record for record in caplog.records if record.name == "vlpro.engines.openai"]
    assert len(told) == 1, "looked at twice, told once"


@pytest.mark.parametrize(
    "listed", [b"", b"[" * 100_000, b"[]", b'{"data": 1}', b'{"data": [{}]}', b"x" * 2_000_000]
)
async def test_a_list_that_is_none_does_not_stop_a_named_model(listed: bytes) -> None:
    upstream = OpenAiEngine(Scripted(WHOLE, listed=listed), model="m")
    assert await answer_text(upstream, ask("?")) == "好"
    assert not upstream.ready
    await upstream.stop()


async def test_a_model_that_comes_later_is_asked_at_once() -> None:
    scripted = Scripted(WHOLE, listed=models("other"))
    upstream = OpenAiEngine(scripted, model="m")
    await upstream.start()
    await eventually(lambda: "does not list" in str(upstream.problem))
    scripted.listed = models("other", "m")
    assert await answer_text(upstream, ask("?")) == "好"
    assert upstream.ready
    await upstream.stop()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(derandomize=True)
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
    upstream = OpenAiEngine(Upstream(url="http://upstream/v1"), model="m", context_tokens=context)
    assert upstream.capabilities.picture_tokens_budget == wanted
