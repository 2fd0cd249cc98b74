from __future__ import annotations

import json

import pytest

from tests.seeing import MODEL
from vlpro.engines.hardware import probe
from vlpro.engines.openvino.cache import BlockMemory
from vlpro.engines.openvino.model import OpenVinoModel
from vlpro.engines.openvino.plan import kept_token_bytes, properties
from vlpro.engines.qwen.blocks import PagedState


def test_a_runtime_that_loses_what_was_read_is_found_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    room = PagedState.room

    def lost(state: PagedState, tokens: int) -> None:
        store = state._pool._store
        assert isinstance(store, BlockMemory)
        store.wipe(state.blocks)
        room(state, tokens)

    monkeypatch.setattr(PagedState, "room", lost)
    config = json.loads((MODEL / "config.json").read_text())
    with pytest.raises(RuntimeError, match="differs from itself"):
        OpenVinoModel(MODEL, config, max_bytes=10_000_000, properties={})


def test_a_token_takes_the_memory_that_is_planned_for_it() -> None:
    config = json.loads((MODEL / "config.json").read_text())
    model = OpenVinoModel(MODEL, config, max_bytes=10_000_000, properties=properties(probe(), "usual"))
    assert model.token_bytes == kept_token_bytes(config["text_config"])
