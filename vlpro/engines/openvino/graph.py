"""Qwen3-VL's network as OpenVINO graphs.

Written from the model's definition in transformers (``modeling_qwen3_vl.py``). It differs in what a server needs:
rows of many sequences stand one after the other; keys and values lie in numbered blocks that the caller owns (paged
attention, Kwon et al., 2023); only those rows go through the head whose next token is wanted; and the vision tower is
cut into halves of its layers, so that answers can go on between them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import openvino as ov
import openvino.opset13 as op
from openvino._pyopenvino.op import _PagedAttentionExtension as PagedAttention

from vlpro.engines.openvino.weights import SCALE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vlpro.engines.openvino.weights import Weights

__all__ = ["seeing_attention", "seeing_merger", "seeing_mlp", "seeing_patches", "text_model"]

_EPSILON = 1e-6


class _Builder:
    """Makes nodes of a model's weights."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights

    def constant(self, name: str) -> Any:
        return op.constant(self._weights.read(name))

    def matrix(self, name: str) -> Any:
        """A matrix ``(out, in)`` as it is stored, and the nodes that make numbers of it.

        The plugin knows this chain, and multiplies with the packed weights as they are.
        """
        packed = self._weights.tensor(name)
        if packed.element_type == ov.Type.f32:
            return op.constant(packed)
        if packed.element_type in (ov.Type.f16, ov.Type.bf16):
            return op.convert(op.constant(packed), np.float32)
        scale = op.constant(self._weights.tensor(name + SCALE))
        made = op.multiply(op.convert(op.constant(packed), np.float16), scale)
        if len(packed.shape) == 3:  # in groups
            rows, groups, group = packed.shape
            made = op.reshape(made, np.array([rows, groups * group]), special_zero=False)
        return op.convert(made, np.float32)

    def linear(self, hidden: Any, name: str) -> Any:
        return op.matmul(hidden, self.matrix(f"{name}.weight"), transpose_a=False, transpose_b=True)

    def rms_norm(self, hidden: Any, name: str) -> Any:
        mean = op.reduce_mean(op.power(hidden, np.float32(2)), np.array([-1]), keep_dims=True)
        scaled = op.multiply(hidden, op.divide(np.float32(1), op.sqrt(op.add(mean, np.float32(_EPSILON)))))
        return op.multiply(scaled, self.constant(f"{name}.weight"))


def _input(name: str, shape: Sequence[int], kind: Any = np.float32) -> Any:
    made = op.parameter(list(shape), kind, name=name)
    made.output(0).set_names({name})
    return made


def _result(node: Any, name: str) -> Any:
    node.output(0).set_names({name})
    return op.result(node)


def _rotated(hidden: Any, cos: Any, sin: Any, size: int) -> Any:
    """Rotary positions: the first half of a head against its second (Su et al., 2021)."""
    first, second = op.variadic_split(hidden, np.int64(-1), np.array([size // 2, size // 2])).outputs()
    turned = op.concat([op.multiply(second, np.float32(-1)), first], -1)
    return op.add(op.multiply(hidden, cos), op.multiply(turned, sin))


def _nothing(kind: Any, shape: Sequence[int]) -> Any:
    return op.constant(np.zeros(shape, kind)).output(0)


def text_model(weights: Weights, config: Mapping[str, Any], deep: int) -> ov.Model:
    """The language model, from embeddings to logits.

    Inputs, for all tokens of all rows of a step, one after the other: ``hidden`` ``(tokens, hidden)``; ``cos`` and
    ``sin`` ``(tokens, 1, head)``; ``deep`` ``(levels, tokens, hidden)``, what the first layers add; ``wanted``
    ``(n,)``, whose logits are wanted; those of paged attention; ``key_cache.N`` and ``value_cache.N``.

    Args:
        weights: The model's.
        config: Its ``text_config``.
        deep: How many levels the vision tower gives.
    """
    heads, few = int(config["num_attention_heads"]), int(config["num_key_value_heads"])
    hidden_size, size = int(config["hidden_size"]), int(config["head_dim"])
    make = _Builder(weights)
    hidden = inputs = _input("hidden", [-1, hidden_size])
    cos, sin = _input("cos", [-1, 1, size]), _input("sin", [-1, 1, size])
    levels = _input("deep", [deep, -1, hidden_size])
    wanted = _input("wanted", [-1], np.int64)
    paging = [
        _input(name, [-1], np.int32)
        for name in ("past_lens", "subsequence_begins", "block_indices", "block_indices_begins")
    ]
    longest = _input("max_context_len", [], np.int32)
    caches = []

    def attention(hidden: Any, layer: str, number: int) -> Any:
        parts: dict[str, Any] = {}
        for part, count in (("q", heads), ("k", few)):
            split = op.reshape(
                make.linear(hidden, f"{layer}.{part}_proj"), np.array([0, count, size]), special_zero=True
            )
            turned = _rotated(make.rms_norm(split, f"{layer}.{part}_norm"), cos, sin, size)
            parts[part] = op.reshape(turned, np.array([0, count * size]), special_zero=True)
        value = make.linear(hidden, f"{layer}.v_proj")
        cache = [
            op.parameter([-1, -1, -1, -1], ov.Type.dynamic, name=f"{kind}_cache.{number}")
            for kind in ("key", "value")
        ]
        for parameter in cache:
            parameter.output(0).set_names({parameter.friendly_name})
        caches.extend(cache)
        made = PagedAttention(
            [
                *(node.output(0) for node in (parts["q"], parts["k"], value, *cache, *paging)),
                op.constant(np.float32(size**-0.5)).output(0),
                op.constant(np.int32(0)).output(0),  # no sliding window
                _nothing(np.float32, [0]),  # no ALiBi
                longest.output(0),
                # What evicts or skips part of the cache, and what other models need: none of it.
                *(_nothing(np.int32, [0]) for _ in range(3)),
                *(_nothing(np.float32, [0]) for _ in range(2)),
                *(_nothing(np.int32, []) for _ in range(2)),
                _nothing(np.float32, [0, 0, 0, 0]),
                _nothing(np.int32, []),
                *(_nothing(np.int32, [0]) for _ in range(4)),
                _nothing(np.uint8, [0]),
                _nothing(np.int32, [0]),
            ]
        )
        told = made.get_rt_info()  # what the plugin cannot see from the shapes
        for kind in "kv":
            told[f"num_{kind}_heads"], told[f"{kind}_head_size"] = few, size
        return op.reshape(made.output(0), np.array([0, heads * size]), special_zero=True)

    layers = int(config["num_hidden_layers"])
    for number in range(layers):
        layer = f"model.language_model.layers.{number}"
        seen = attention(make.rms_norm(hidden, f"{layer}.input_layernorm"), f"{layer}.self_attn", number)
        if number == layers - 1:  # of the others, nothing is needed any more but their keys and values
            seen, hidden = (op.gather(node, wanted, np.int64(0)) for node in (seen, hidden))
        hidden = op.add(hidden, make.linear(seen, f"{layer}.self_attn.o_proj"))
        normed = make.rms_norm(hidden, f"{layer}.post_attention_layernorm")
        gate = op.swish(make.linear(normed, f"{layer}.mlp.gate_proj"))
        product = op.multiply(gate, make.linear(normed, f"{layer}.mlp.up_proj"))
        hidden = op.add(hidden, make.linear(product, f"{layer}.mlp.down_proj"))
        if number < deep:
            hidden = op.add(hidden, op.gather(levels, np.int64(number), np.int64(0)))
    last = make.rms_norm(hidden, "model.language_model.norm")
    head = "lm_head" if "lm_head.weight" in weights else "model.language_model.embed_tokens"
    logits = make.linear(last, head)
    return ov.Model(
        [_result(logits, "logits")], [inputs, cos, sin, levels, wanted, *paging, longest, *caches], "text"
    )


def seeing_patches(weights: Weights, config: Mapping[str, Any]) -> ov.Model:
    """Patches and their learnt positions → hidden.

    Inputs: ``patches`` ``(n, 768)``, each once (the model's two frames are the same); ``places`` ``(n, hidden)``.
    """
    make = _Builder(weights)
    hidden_size = int(config["hidden_size"])
    kernel = (
        weights.read("model.visual.patch_embed.proj.weight").sum(2).reshape(hidden_size, -1)
    )  # of both frames
    patches, places = _input("patches", [-1, kernel.shape[1]]), _input("places", [-1, hidden_size])
    made = op.matmul(patches, op.constant(kernel), transpose_a=False, transpose_b=True)
    made = op.add(op.add(made, make.constant("model.visual.patch_embed.proj.bias")), places)
    return ov.Model([_result(made, "out")], [patches, places], "patches")


class _Given:
    """Makes inputs of weights: one graph then serves all layers, and its work space is there once."""

    def __init__(self, weights: Weights, prefix: str) -> None:
        self._weights = weights
        self._prefix = prefix
        self.inputs: list[Any] = []

    def _input(self, name: str) -> Any:
        tensor = self._weights.tensor(f"{self._prefix}.{name}")
        self.inputs.append(_input(name, list(tensor.shape), tensor.element_type))
        return op.convert(self.inputs[-1], np.float32)

    def linear(self, hidden: Any, name: str) -> Any:
        matrix = self._input(f"{name}.weight")
        made = op.matmul(hidden, matrix, transpose_a=False, transpose_b=True)
        return op.add(made, self._input(f"{name}.bias"))

    def layer_norm(self, hidden: Any, name: str) -> Any:
        made = op.mvn(hidden, np.array([-1]), normalize_variance=True, eps=_EPSILON, eps_mode="INSIDE_SQRT")
        return op.add(op.multiply(made, self._input(f"{name}.weight")), self._input(f"{name}.bias"))


def seeing_attention(weights: Weights, config: Mapping[str, Any], prefix: str) -> ov.Model:
    """The first half of a layer of the vision tower, of any number.

    Inputs: ``hidden`` ``(n, hidden)``; ``cos`` and ``sin`` ``(n, 1, head)``, of rows and columns; and the half's
    weights by their names behind the prefix.

    Args:
        weights: The model's: they say the inputs' types.
        config: Its ``vision_config``.
        prefix: Of one layer's weights.
    """
    make = _Given(weights, prefix)
    hidden_size, heads = int(config["hidden_size"]), int(config["num_heads"])
    size = hidden_size // heads
    hidden = _input("hidden", [-1, hidden_size])
    cos, sin = _input("cos", [-1, 1, size]), _input("sin", [-1, 1, size])
    all_three = make.linear(make.layer_norm(hidden, "norm1"), "attn.qkv")
    split = op.reshape(all_three, np.array([0, 3, heads, size]), special_zero=True)
    query, key, value = (op.gather(split, np.int64(part), np.int64(1)) for part in range(3))
    query, key = _rotated(query, cos, sin, size), _rotated(key, cos, sin, size)
    order = np.array([1, 0, 2])
    query, key, value = (op.unsqueeze(op.transpose(one, order), np.int64(0)) for one in (query, key, value))
    attended = op.squeeze(op.scaled_dot_product_attention(query, key, value), np.int64(0))
    attended = op.reshape(op.transpose(attended, order), np.array([0, hidden_size]), special_zero=True)
    out = op.add(hidden, make.linear(attended, "attn.proj"))
    return ov.Model([_result(out, "out")], [hidden, cos, sin, *make.inputs], "attention")


def seeing_mlp(weights: Weights, config: Mapping[str, Any], prefix: str) -> ov.Model:
    """The second half of a layer of the vision tower.

    Inputs: ``hidden`` ``(n, hidden)``, and the half's weights by their names behind the prefix.

    Args:
        weights: The model's: they say the inputs' types.
        config: Its ``vision_config``.
        prefix: Of one layer's weights.
    """
    make = _Given(weights, prefix)
    hidden = _input("hidden", [-1, int(config["hidden_size"])])
    wide = op.gelu(make.linear(make.layer_norm(hidden, "norm2"), "mlp.linear_fc1"), "TANH")
    out = op.add(hidden, make.linear(wide, "mlp.linear_fc2"))
    return ov.Model([_result(out, "out")], [hidden, *make.inputs], "mlp")


def seeing_merger(weights: Weights, config: Mapping[str, Any], prefix: str, *, last: bool) -> ov.Model:
    """Four patches → one cell, as wide as the text's hidden.

    Inputs: ``hidden`` ``(n, hidden)``, and the weights by their names behind the prefix.

    Args:
        weights: The model's: they say the inputs' types.
        config: Its ``vision_config``.
        prefix: Of the weights.
        last: Whether it is the one that follows the last layer; the others (DeepStack) differ a little.
    """
    make = _Given(weights, prefix)
    hidden_size = int(config["hidden_size"])
    hidden = _input("hidden", [-1, hidden_size])
    wide = np.array([-1, 4 * hidden_size])
    if last:
        cell = op.reshape(make.layer_norm(hidden, "norm"), wide, special_zero=False)
    else:
        cell = make.layer_norm(op.reshape(hidden, wide, special_zero=False), "norm")
    made = op.gelu(make.linear(cell, "linear_fc1"), "ERF")
    return ov.Model([_result(make.linear(made, "linear_fc2"), "out")], [hidden, *make.inputs], "merger")
