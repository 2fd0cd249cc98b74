from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vlpro.engines.openvino.plan import KEPT_BYTES, LEAST_CONTEXT, kept_token_bytes, limits
from vlpro.errors import ConfigError

CONFIG: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "transformers" / "config_4b.json").read_text()
)
PACKED = 3_900_000_000  # measured: weights of 4 bits


def test_sixteen_gigabytes_are_enough_for_long_conversations() -> None:
    room = limits(CONFIG, PACKED, 13_000_000_000)
    assert room.context_tokens == 32_768
    assert room.kept_bytes == KEPT_BYTES


def test_with_less_memory_the_context_is_shorter() -> None:
    room = limits(CONFIG, PACKED, 6_500_000_000)
    assert LEAST_CONTEXT <= room.context_tokens < 32_768
    assert room.context_tokens * kept_token_bytes(CONFIG["text_config"]) <= room.kept_bytes


def test_too_little_memory_is_refused_with_both_figures() -> None:
    with pytest.raises(ConfigError, match=r"needs 5\.4 GB of memory, and 5\.0 GB") as refused:
        limits(CONFIG, PACKED, 5_000_000_000)
    assert "convert" in refused.value.zh
