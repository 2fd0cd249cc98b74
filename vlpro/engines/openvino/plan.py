"""What there is memory for on a machine without a card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from vlpro.engines.qwen.limits import Limits
from vlpro.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vlpro.engines.hardware import Hardware

__all__ = ["Activations", "limits", "properties"]

Activations = Literal["exact", "usual", "fast"]
"""exact: with 16 bits (32 where the processor has no bfloat16); usual: eight bits with a scale for each 32 of them,
which is the runtime's own default; fast: for each 128."""

PICTURE_PIXELS = 1_048_576
CONTEXT_TOKENS = 32_768
"""A processor reads a longer prompt for more minutes than an answer may take."""
CONCURRENCY = 8
KEPT_BYTES = 6_000_000_000
"""The most that is kept: main memory is shared with all that runs beside."""
LEAST_CONTEXT = 4096
PACKED = "vlpro_bits"
"""In a packed folder's ``config.json``: bits of its text layers."""
PACKED_4B: tuple[dict[str, Any], int] = (
    {
        PACKED: 4,
        "text_config": {
            "num_hidden_layers": 36,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "max_position_embeddings": 262_144,
        },
    },
    3_871_818_832,
)
"""Qwen/Qwen3-VL-4B-Instruct in 4 bits, for machines that do not have its folder yet: what is read here of its
``config.json``, and bytes of its weights."""
OPENED = 2.8
"""Memory of weights of 16 bits, times their files: the runtime holds them with 32, and in its own form.
Measured: over 24.4 GB for files of 8.9 GB."""
WORK_BYTES = 1_200_000_000
"""For reading a picture and a piece of a prompt. With packed weights at the size of their files, this is more than
was measured: 4.3 GB for files of 3.9 GB and one megapixel."""


def limits(config: Mapping[str, Any], weights: int, usable: int) -> Limits:
    """Divide the memory.

    Args:
        config: The model's ``config.json``.
        weights: Bytes of its weights' files.
        usable: Bytes of memory that may be planned with.

    Raises:
        ConfigError: The model does not fit.
    """
    text = config["text_config"]
    token = kept_token_bytes(text)
    weights = weights if PACKED in config else int(weights * OPENED)
    room = usable - weights - WORK_BYTES
    if room < LEAST_CONTEXT * token:
        needed = weights + WORK_BYTES + LEAST_CONTEXT * token
        raise ConfigError(
            f"The model needs {needed / 1e9:.1f} GB of memory, and {usable / 1e9:.1f} GB can be used. "
            "Pack its weights into 4 bits (vlpro model convert), or free memory.",
            zh=f"模型需要 {needed / 1e9:.1f} GB 内存，可用 {usable / 1e9:.1f} GB。"
            "请用 vlpro model convert 压缩为 4 位权重，或释放内存。",
            param="model_dir",
        )
    kept = min(room, KEPT_BYTES)
    context = min(CONTEXT_TOKENS, int(text["max_position_embeddings"]), kept // token)
    return Limits(context, PICTURE_PIXELS, CONCURRENCY, kept)


def kept_token_bytes(text: Mapping[str, Any]) -> int:
    """Memory of a token's keys and values, 16 bits each.

    With eight, eight answers at once went on at four fifths of the speed: they are unpacked for each of them.

    Args:
        text: The model's ``text_config``.
    """
    layers, heads, size = (
        int(text[name]) for name in ("num_hidden_layers", "num_key_value_heads", "head_dim")
    )
    return layers * heads * 2 * size * 2


def properties(hardware: Hardware, activations: Activations) -> dict[str, Any]:
    """Of the processor plugin.

    Args:
        hardware: The machine.
        activations: How the layers' inputs are held where the weights are packed.
    """
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": hardware.cores,
        "KV_CACHE_PRECISION": "f16",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": {"exact": "0", "usual": "32", "fast": "128"}[activations],
    }
