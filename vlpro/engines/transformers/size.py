"""How large a model is, told from its ``config.json``: parameters, keys and values, the work of reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from vlpro.errors import ConfigError

__all__ = ["OFFICIAL_4B", "ModelSize", "model_size"]

_NF4_BLOCK = 64  # weights that share one scale of 4 bytes


@dataclass(frozen=True, slots=True)
class ModelSize:
    """A model's shape, as far as memory follows from it.

    Args:
        text: Parameters of the language model's layers, which NF4 shrinks.
        vision: Parameters of the vision part, kept at 16 bit.
        embeddings: Parameters of the token embeddings, and of the output layer where it has its own; likewise.
        layers: Of the language model.
        kv_bytes: Keys and values of one token at 16 bit, bytes.
        context_tokens: The most that the model was made for.
        token_work: Bytes of intermediate values at 16 bit for each token of a prompt while it is read.
        patch_work: The same for each patch of 16 x 16 pixels while a picture is read.
        text_heads: Attention heads; each holds a square matrix over the prompt where attention is "eager".
        vision_heads: Likewise, over the picture's patches.
    """

    text: int
    vision: int
    embeddings: int
    layers: int
    kv_bytes: int
    context_tokens: int
    token_work: int
    patch_work: int
    text_heads: int
    vision_heads: int

    @property
    def parameters(self) -> int:
        """All parameters."""
        return self.text + self.vision + self.embeddings

    def weights(self, width: int, quantisation: Literal["nf4"] | None) -> int:
        """Bytes that the weights take.

        Args:
            width: Bytes of a number: 2 or 4.
            quantisation: NF4 takes half a byte a weight and a scale for each 64 (https://arxiv.org/abs/2305.14314,
                without its second quantisation of the scales).
        """
        text = self.text // 2 + self.text * 4 // _NF4_BLOCK if quantisation else self.text * width
        return text + (self.vision + self.embeddings) * width

    def largest_block(self, width: int) -> int:
        """Bytes of the largest part that is never split over two cards, before NF4."""
        return max(self.embeddings, self.text // self.layers) * width


OFFICIAL_4B = ModelSize(
    text=3_633_511_936,
    vision=415_347_712,
    embeddings=388_956_160,
    layers=36,
    kv_bytes=147_456,
    context_tokens=262_144,
    token_work=115_712,
    patch_work=74_752,
    text_heads=32,
    vision_heads=16,
)
"""Qwen/Qwen3-VL-4B-Instruct, for machines that do not have its folder yet."""


def model_size(config: Mapping[str, object]) -> ModelSize:
    """Count a Qwen3-VL model's parameters from its ``config.json``.

    Args:
        config: The parsed file. The layers are those of ``Qwen3VLForConditionalGeneration``.

    Raises:
        ConfigError: It describes another kind of model, or something is missing.
    """
    if config.get("model_type") != "qwen3_vl":
        raise ConfigError(
            f"config.json describes a model of type {str(config.get('model_type'))[:40]!r}. "
            "Only qwen3_vl can be loaded.",
            zh=f"config.json 描述的模型类型是 {str(config.get('model_type'))[:40]!r}，只能加载 qwen3_vl。",
            param="model_dir",
        )
    text, vision = _Section(config, "text_config"), _Section(config, "vision_config")
    hidden, layers, heads = text["hidden_size"], text["num_hidden_layers"], text["num_attention_heads"]
    head_dim, kv_heads, inner = text["head_dim"], text["num_key_value_heads"], text["intermediate_size"]
    attention = 2 * hidden * head_dim * (heads + kv_heads) + 2 * head_dim
    layer = attention + 3 * hidden * inner + 2 * hidden
    embeddings = text["vocab_size"] * hidden * (1 if config.get("tie_word_embeddings") else 2)

    wide, fine, out = vision["hidden_size"], vision["intermediate_size"], vision["out_hidden_size"]
    patch = vision["in_channels"] * vision["temporal_patch_size"] * vision["patch_size"] ** 2
    block = 4 * wide * (wide + 1) + wide * fine * 2 + fine + wide + 4 * wide
    cell = wide * vision["spatial_merge_size"] ** 2
    merger = cell * (cell + 1) + out * (cell + 1)
    deep = len(vision.list("deepstack_visual_indexes"))
    stem = patch * wide + wide + vision["num_position_embeddings"] * wide
    mergers = merger + 2 * wide + deep * (merger + 2 * cell)
    return ModelSize(
        text=layers * layer + hidden,
        vision=stem + vision["depth"] * block + mergers,
        embeddings=embeddings,
        layers=layers,
        kv_bytes=2 * 2 * layers * kv_heads * head_dim,
        context_tokens=text["max_position_embeddings"],
        token_work=2 * (3 * inner + 8 * hidden + 2 * heads * head_dim),
        patch_work=2 * (20 * wide + 3 * fine) + 6 * patch,
        text_heads=heads,
        vision_heads=vision["num_heads"],
    )


class _Section:
    """A section of ``config.json`` of which every number that is asked for must be there."""

    def __init__(self, config: Mapping[str, object], name: str) -> None:
        section = config.get(name)
        self._values = section if isinstance(section, dict) else {}
        self._name = name

    def __getitem__(self, key: str) -> int:
        value = self._values.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise self._missing(key)
        return value

    def list(self, key: str) -> Sequence[object]:
        value = self._values.get(key)
        if not isinstance(value, list):
            raise self._missing(key)
        return value

    def _missing(self, key: str) -> ConfigError:
        return ConfigError(
            f"config.json does not say {self._name}.{key}. Copy the model's folder again and verify it.",
            zh=f"config.json 中缺少 {self._name}.{key}。请重新复制模型文件夹并校验。",
            param="model_dir",
        )
