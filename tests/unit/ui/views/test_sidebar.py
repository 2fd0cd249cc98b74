from __future__ import annotations

import re
from typing import Any

import pytest

from vlpro import schema
from vlpro.ui import session
from vlpro.ui.views import sidebar


def _status(
    *cards: schema.Gpu, running: int = 0, queued: int = 0, ready: bool = True, reading_ahead: int = 0
) -> schema.Status:
    return schema.Status(
        engine="transformers",
        model="<Qwen3-VL>",
        sees=True,
        ready=ready,
        sealed=False,
        running=running,
        queued=queued,
        reading_ahead=reading_ahead,
        device=schema.Device(
            gpus=list(cards),
            cpu_percent=12.4,
            memory_used=8 << 30,
            memory_total=32 << 30,
            gateway_memory=1,
            engine_memory=700 << 20,
        ),
        budget=schema.Budget(context_tokens=1, max_images=1, max_image_bytes=1, max_text_chars=1),
        last=schema.Timing(queued_ms=0, first_token_ms=412.4, total_ms=5100, tokens_per_s=38.6),
    )


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "language", lambda: "en")


def _words(html: str) -> str:
    return " ".join(re.sub("<[^>]*>", " ", html).split())


def test_panel_shows_every_card() -> None:
    first = schema.Gpu(
        name="L20", memory_used=11 << 30, memory_total=45 << 30, temperature_c=61, utilization_percent=87
    )
    second = schema.Gpu(name="L20", memory_used=44 << 30, memory_total=45 << 30)
    html = sidebar.panel_html(_status(first, second, running=1, queued=2))
    assert "Generating 1 running · 2 waiting transformers · &lt;Qwen3-VL&gt;" in _words(html)
    assert "GPU 0 · L20 GPU memory 11.0 GiB / 45.0 GiB Temperature · Utilisation 61 °C · 87%" in _words(html)
    assert "GPU 1 · L20 GPU memory 44.0 GiB / 45.0 GiB Temperature · Utilisation – · –" in _words(html)
    assert html.count('class="meter full"') == 1
    assert "First token 412 ms Total 5,100 ms Speed 39 tokens/s" in _words(html)


def test_panel_tells_what_is_read_ahead_while_nobody_waits() -> None:
    assert _words(sidebar.panel_html(_status(reading_ahead=2))).startswith("Ready Reading ahead: 2")
    assert "ahead" not in _words(sidebar.panel_html(_status(running=1, queued=1, reading_ahead=2)))


def test_panel_shows_the_machine_where_there_is_no_card() -> None:
    words = _words(sidebar.panel_html(_status()))
    assert words.startswith("Ready transformers")
    assert "Memory 8.0 GiB / 32.0 GiB Engine memory 700 MiB Processor 12%" in words
    assert "GPU" not in words
    assert _words(sidebar.panel_html(_status(ready=False))).startswith("Starting")


def test_memory_is_told_before_and_after() -> None:
    def device(used: int, engine: int | None, *cards: int) -> schema.Device:
        gpus = [schema.Gpu(name="L4", memory_used=card << 30, memory_total=24 << 30) for card in cards]
        return schema.Device(
            gpus=gpus,
            cpu_percent=1,
            memory_used=used << 30,
            memory_total=32 << 30,
            gateway_memory=200 << 20,
            engine_memory=engine and engine << 20,
        )

    def cleared(before: schema.Device, after: schema.Device) -> str:
        receipt: dict[str, Any] = {
            "messages": 2,
            "images": 1,
            "image_bytes": 9000,
            "took_ms": 41.7,
            "engine": dropped,
        }
        return sidebar.memory(schema.Cleared(id="c", before=before, after=after, **receipt))

    dropped: schema.EngineDropped | None = None

    told = cleared(device(9, 810), device(8, 640))
    assert "810 MiB → 640 MiB" in told
    assert "9.0 GiB → 8.0 GiB" in told
    told = cleared(device(9, None, 11, 12), device(8, None, 5, 6))
    assert "11.0 GiB → 5.0 GiB" in told
    assert "12.0 GiB → 6.0 GiB" in told
    assert "9.0 GiB" not in told
    assert "42 ms" in told
    assert "Engine cache" not in told
    dropped = schema.EngineDropped(entries=3, tokens=1800, bytes=5 << 20, confirmed=True)
    assert "Engine cache: 3 dropped (5 MiB)" in cleared(device(9, 810), device(8, 640))
    dropped = dropped.model_copy(update={"confirmed": False})
    assert "the engine is busy" in cleared(device(9, 810), device(8, 640))


def test_panel_shows_how_far_a_model_is() -> None:
    status = _status(ready=False).model_copy(update={"loading": schema.Loading(stage="checking", share=0.42)})
    html = sidebar.panel_html(status)
    assert "Checking the model's files 42%" in _words(html).replace("&#x27;", "'")
    assert 'role="progressbar"' in html
    assert 'aria-valuenow="42"' in html


@pytest.mark.parametrize(("language", "words"), [("en", "was altered &lt;b&gt;"), ("zh", "被改动")])
def test_panel_says_why_a_model_is_not_available(
    language: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "language", lambda: language)
    problem = schema.ErrorBody(message="It was altered <b>.", type="server_error", vlpro={"zh": "被改动。"})
    html = sidebar.panel_html(_status(ready=False).model_copy(update={"problem": problem}))
    assert words in html
    assert '<section class="vl-status down"' in html
