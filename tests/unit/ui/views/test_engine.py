from __future__ import annotations

import re

import pytest

from vlpro import schema
from vlpro.ui import session
from vlpro.ui.views import engine


def _status(**given: object) -> schema.Status:
    card = schema.Gpu(name="L20 <x>", memory_used=44 << 30, memory_total=45 << 30, temperature_c=61)
    made = schema.Status(
        engine="transformers",
        model="<Qwen3-VL>",
        sees=True,
        ready=True,
        sealed=False,
        running=2,
        queued=7,
        reading_ahead=1,
        device=schema.Device(
            gpus=[card, card],
            cpu_percent=12.4,
            memory_used=8 << 30,
            memory_total=32 << 30,
            gateway_memory=200 << 20,
            engine_memory=700 << 20,
        ),
        budget=schema.Budget(
            context_tokens=32768, max_images=16, max_image_bytes=20_000_000, max_text_chars=1
        ),
        last=schema.Timing(queued_ms=0, first_token_ms=412.4, total_ms=5100, tokens_per_s=38.6),
    )
    return made.model_copy(update=given)


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "language", lambda: "en")


def _words(html: str) -> str:
    return " ".join(re.sub("<[^>]*>", " ", html).split())


def test_everything_that_the_service_tells_is_shown() -> None:
    html = engine.cards_html(_status())
    words = _words(html)
    assert "State Generating Engine transformers Model &lt;Qwen3-VL&gt; Can See and read" in words
    assert "Answering 2 Waiting 7 Reading ahead 1" in words
    assert "GPU 0 · L20 &lt;x&gt; GPU memory 44.0 GiB / 45.0 GiB Temperature 61 °C Utilisation –" in words
    assert "GPU 1 · " in words
    assert "Memory 8.0 GiB / 32.0 GiB Processor 12% Service memory 200 MiB Engine memory 700 MiB" in words
    assert "First token 412 ms Total 5,100 ms Speed 39 tokens/s" in words
    assert "Context 32,768 tokens Pictures a chat 16 A picture 20 MB" in words
    assert html.count('class="meter full"') == 2


def test_loading_and_problems_are_told() -> None:
    loading = engine.cards_html(_status(ready=False, loading=schema.Loading(stage="loading", share=0.5)))
    assert "State Starting" in _words(loading)
    assert 'role="progressbar"' in loading
    problem = schema.ErrorBody(message="Altered <b>.", type="server_error", vlpro={"zh": "被改动。"})
    broken = engine.cards_html(_status(problem=problem, last=None))
    assert 'role="alert"><p>Altered &lt;b&gt;.' in broken
    assert "No answer since the start." in _words(broken)
