from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from vlpro.engines.model_files import find_manifest
from vlpro.engines.transformers.size import OFFICIAL_4B, model_size
from vlpro.errors import ConfigError

CONFIG = Path(__file__).with_name("config_4b.json")
OFFICIAL = find_manifest("", CONFIG.parent).files


@pytest.fixture
def config() -> Any:
    return json.loads(CONFIG.read_text())


def test_the_file_of_this_test_is_the_official_one() -> None:
    assert hashlib.sha256(CONFIG.read_bytes()).hexdigest() == OFFICIAL["config.json"].sha256


def test_the_official_model_is_counted_to_the_parameter(config: Any) -> None:
    size = model_size(config)
    assert size == OFFICIAL_4B
    assert (size.kv_bytes, size.context_tokens) == (147_456, 262_144)
    assert round(size.parameters / 1e9, 3) == 4.438
    assert round(size.vision / 1e9, 3) == 0.415
    # The shards hold nothing but weights at 16 bit and a header each, of a hundred bytes a weight.
    shards = sum(entry.size for name, entry in OFFICIAL.items() if name.endswith(".safetensors"))
    assert 0 < shards - size.weights(2, None) < 200_000


def test_nf4_leaves_about_two_fifths() -> None:
    """Above the 3.06 GB that others measured with scales quantised too, and below half."""
    assert 3.06e9 < OFFICIAL_4B.weights(2, "nf4") < 0.42 * OFFICIAL_4B.weights(2, None)


def test_an_output_layer_of_its_own_counts(config: Any) -> None:
    config["tie_word_embeddings"] = False
    assert model_size(config).embeddings == 2 * OFFICIAL_4B.embeddings


def test_another_kind_of_model_is_refused(config: Any) -> None:
    config["model_type"] = "llama"
    with pytest.raises(ConfigError, match="'llama'"):
        model_size(config)


@pytest.mark.parametrize("broken", ["36", True, 0, None])
@pytest.mark.parametrize(
    "path",
    [
        "text_config.hidden_size",
        "text_config.max_position_embeddings",
        "text_config.num_key_value_heads",
        "vision_config.depth",
        "vision_config.deepstack_visual_indexes",
    ],
)
def test_what_is_missing_is_named(path: str, broken: object, config: Any) -> None:
    section, key = path.split(".")
    config[section][key] = broken
    with pytest.raises(ConfigError, match=path) as refused:
        model_size(config)
    assert path in refused.value.zh
    with pytest.raises(ConfigError, match=section):
        model_size(config | {section: 5})
