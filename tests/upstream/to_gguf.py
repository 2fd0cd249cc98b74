"""A small Qwen3-VL of Hugging Face's form, written as the two GGUF files that llama.cpp reads.

Runs in the environment of ``make upstream``. Knows dense models with unquantised weights and one file of them:
enough for a model of test size. The names on both sides are those of GGUF's own package.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from safetensors import safe_open

__all__ = ["convert"]

_CONTROL, _NORMAL = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL


def convert(model: Path, to: Path) -> tuple[Path, Path]:
    """Write ``text.gguf`` and ``vision.gguf`` into a folder; returns their paths."""
    config = json.loads((model / "config.json").read_text())
    with safe_open(model / "model.safetensors", "np") as file:
        weights = {name.removeprefix("model."): file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    text = {name: weight for name, weight in weights.items() if name.startswith("language_model.")}
    vision = {name: weight for name, weight in weights.items() if name.startswith("visual.")}
    paths = to / "text.gguf", to / "vision.gguf"
    _write_text(paths[0], config, model, text)
    _write_vision(paths[1], config, json.loads((model / "preprocessor_config.json").read_text()), vision)
    return paths


def _write_text(path: Path, config: dict[str, Any], model: Path, weights: dict[str, Any]) -> None:
    text = config["text_config"]
    writer = gguf.GGUFWriter(path, "qwen3vl")
    writer.add_name("test model")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_context_length(text["max_position_embeddings"])
    writer.add_embedding_length(text["hidden_size"])
    writer.add_block_count(text["num_hidden_layers"])
    writer.add_feed_forward_length(text["intermediate_size"])
    writer.add_head_count(text["num_attention_heads"])
    writer.add_head_count_kv(text["num_key_value_heads"])
    writer.add_key_length(text["head_dim"])
    writer.add_value_length(text["head_dim"])
    writer.add_layer_norm_rms_eps(text["rms_norm_eps"])
    writer.add_rope_freq_base(text["rope_theta"])
    writer.add_rope_dimension_sections([*text["rope_scaling"]["mrope_section"], 0])
    writer.add_num_deepstack_layers(len(config["vision_config"]["deepstack_visual_indexes"]))
    _add_tokenizer(writer, model, text["vocab_size"])
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN3VL, text["num_hidden_layers"])
    for name, weight in weights.items():
        plain = name.replace("language_model.", "model.", 1)
        _add(writer, names.get_name(plain, try_suffixes=(".weight",)), weight)
    _finish(writer)


def _add_tokenizer(writer: Any, model: Path, size: int) -> None:
    """Byte-level BPE, split as Qwen's tokenizer splits."""
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    settings = json.loads((model / "tokenizer_config.json").read_text())
    special = {entry["content"]: entry["id"] for entry in tokenizer["added_tokens"]}
    ids = {number: token for token, number in (tokenizer["model"]["vocab"] | special).items()}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([ids.get(number, f"<unused{number}>") for number in range(size)])
    writer.add_token_types([_CONTROL if ids.get(n) in special else _NORMAL for n in range(size)])
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in tokenizer["model"]["merges"]])
    writer.add_eos_token_id(special[settings["eos_token"]])
    writer.add_pad_token_id(special[settings["pad_token"]])
    writer.add_add_bos_token(value=False)
    writer.add_chat_template(settings["chat_template"])


def _write_vision(
    path: Path, config: dict[str, Any], processor: dict[str, Any], weights: dict[str, Any]
) -> None:
    vision = config["vision_config"]
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_type(gguf.GGUFType.MMPROJ)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_clip_has_vision_encoder(value=True)
    writer.add_clip_projector_type(gguf.VisionProjectorType.QWEN3VL)
    writer.add_vision_use_gelu(value=True)
    writer.add_vision_projection_dim(vision["out_hidden_size"])
    writer.add_vision_image_size(round(vision["num_position_embeddings"] ** 0.5) * vision["patch_size"])
    writer.add_vision_patch_size(vision["patch_size"])
    writer.add_vision_embedding_length(vision["hidden_size"])
    writer.add_vision_feed_forward_length(vision["intermediate_size"])
    writer.add_vision_block_count(vision["depth"])
    writer.add_vision_head_count(vision["num_heads"])
    writer.add_vision_spatial_merge_size(vision["spatial_merge_size"])
    writer.add_vision_attention_layernorm_eps(1e-6)
    writer.add_vision_is_deepstack_layers(
        [layer in vision["deepstack_visual_indexes"] for layer in range(vision["depth"])]
    )
    writer.add_vision_image_mean(processor["image_mean"])
    writer.add_vision_image_std(processor["image_std"])
    writer.add_vision_min_pixels(processor["size"]["shortest_edge"])
    writer.add_vision_max_pixels(processor["size"]["longest_edge"])
    for name, weight in weights.items():
        for new, part in _vision_parts(name, weight, vision):
            _add(writer, new, part)
    _finish(writer)


def _vision_parts(name: str, weight: Any, vision: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The GGUF tensors that one of ours becomes."""
    _, group, rest = name.split(".", 2)
    if (
        name == "visual.patch_embed.proj.weight"
    ):  # a 3-D convolution there, one in 2-D for each of two frames here
        yield "v.patch_embd.weight", weight[:, :, 0]
        yield "v.patch_embd.weight.1", weight[:, :, 1]
    elif name == "visual.patch_embed.proj.bias":
        yield "v.patch_embd.bias", weight
    elif group == "merger":
        new = {"linear_fc1": "mm.0", "linear_fc2": "mm.2", "norm": "v.post_ln"}
        part, suffix = rest.split(".")
        yield f"{new[part]}.{suffix}", weight
    elif group == "deepstack_merger_list":
        number, part, suffix = rest.split(".")
        layer = vision["deepstack_visual_indexes"][int(number)]
        yield f"v.deepstack.{layer}.{part.removeprefix('linear_')}.{suffix}", weight
    else:
        names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.MMPROJ, vision["depth"])
        yield names.get_name(name, try_suffixes=(".weight", ".bias")), weight


def _add(writer: Any, name: str, weight: Any) -> None:
    """Matrices in 16 bits; vectors, and positions, which are resampled, in 32: as llama.cpp computes with them."""
    whole = weight.ndim == 1 or name == "v.position_embd.weight"
    writer.add_tensor(name, np.ascontiguousarray(weight, np.float32 if whole else np.float16))


def _finish(writer: Any) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
