from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vlpro.engines.hardware import probe
from vlpro.engines.openvino.plan import (
    KEPT_BYTES,
    LEAST_CONTEXT,
    PACKED,
    Activations,
    kept_token_bytes,
    limits,
    properties,
)
from vlpro.errors import ConfigError

CONFIG: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "transformers" / "config_4b.json").read_text()
)
ORIGINAL, FOUR_BITS = 8_900_000_000, 3_900_000_000


def test_sixteen_gigabytes_are_enough_for_long_conversations() -> None:
    room = limits(CONFIG | {PACKED: 4}, FOUR_BITS, 13_000_000_000)
    assert room.context_tokens == 32_768
    assert room.kept_bytes == KEPT_BYTES


def test_with_less_memory_the_context_is_shorter() -> None:
    room = limits(CONFIG | {PACKED: 4}, FOUR_BITS, 6_500_000_000)
    assert LEAST_CONTEXT <= room.context_tokens < 32_768
    assert room.context_tokens * kept_token_bytes(CONFIG["text_config"]) <= room.kept_bytes


def test_too_little_memory_is_refused_with_both_figures() -> None:
    with pytest.raises(ConfigError, match=r"needs 5\.7 GB of memory, and 5\.0 GB") as refused:
        limits(CONFIG | {PACKED: 4}, FOUR_BITS, 5_000_000_000)
    assert "convert" in refused.value.zh


@pytest.mark.parametrize(("activations", "group"), [("exact", "0"), ("usual", "32"), ("fast", "128")])
def test_inputs_are_held_as_the_setting_says(activations: Activations, group: str) -> None:
    assert properties(probe(), activations)["DYNAMIC_QUANTIZATION_GROUP_SIZE"] == group


def test_weights_that_are_not_packed_take_much_more() -> None:
    with pytest.raises(ConfigError, match="Pack its weights"):
        limits(CONFIG, ORIGINAL, 24_000_000_000)
    assert limits(CONFIG, ORIGINAL, 40_000_000_000).context_tokens == 32_768
