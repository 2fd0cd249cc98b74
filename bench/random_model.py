"""A model of Qwen3-VL-4B's true shape with random weights: as fast and as large (8.9 GB) as the real one.

`python bench/random_model.py FOLDER [--layers 36]` takes about a minute. Needs torch and transformers.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, Qwen3VLForConditionalGeneration

SEEING = Path(__file__).resolve().parents[1] / "tests" / "seeing" / "model"
SHAPE = {
    "text_config": {
        "hidden_size": 2560,
        "intermediate_size": 9728,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "rope_theta": 5_000_000,
        "rope_scaling": {"rope_type": "default", "mrope_section": [24, 20, 20], "mrope_interleaved": True},
        "vocab_size": 151_936,
        "max_position_embeddings": 262_144,
        "initializer_range": 0.02,
    },
    "vision_config": {
        "depth": 24,
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_heads": 16,
        "out_hidden_size": 2560,
        "num_position_embeddings": 2304,
        "deepstack_visual_indexes": [5, 11, 17],
        "initializer_range": 0.02,
    },
}
SHARD = 4_000_000_000


def make(folder: Path, layers: int) -> None:
    """Write the model's folder; tokenizer and template are those of the small seeing model of the tests."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(SEEING / name, folder / name)
    config = json.loads((SEEING / "config.json").read_text()) | {"dtype": "bfloat16"}
    for part, numbers in SHAPE.items():
        config[part] |= numbers
    config["text_config"]["num_hidden_layers"] = layers
    pictures = json.loads((SEEING / "preprocessor_config.json").read_text())
    pictures["size"] = {"shortest_edge": 65_536, "longest_edge": 16_777_216}
    usual = {
        "do_sample": True,
        "temperature": 0.7,
        "top_p": 0.8,
        "top_k": 20,
        "eos_token_id": [2, 0],
        "pad_token_id": 0,
    }
    for name, content in {
        "config.json": config,
        "preprocessor_config.json": pictures,
        "generation_config.json": usual,
    }.items():
        (folder / name).write_text(json.dumps(content, indent=1))
    with torch.device("meta"):
        model = Qwen3VLForConditionalGeneration(AutoConfig.from_pretrained(folder))
    noise = torch.randn(2**26, generator=torch.Generator().manual_seed(20)).mul_(0.02).to(torch.bfloat16)
    silent = torch.ones(SHAPE["text_config"]["vocab_size"], dtype=torch.bool)
    plain = re.compile("Ġ?[ -;=-~]+")  # no control token, no part of a character
    vocabulary = json.loads((SEEING / "tokenizer.json").read_text())["model"]["vocab"]
    silent[[number for token, number in vocabulary.items() if plain.fullmatch(token)]] = False
    shards: list[dict[str, torch.Tensor]] = [{}]
    size = 0
    for number, (name, weight) in enumerate(model.state_dict().items()):
        if name == "lm_head.weight":  # it is the embedding's
            continue
        if size + 2 * weight.numel() > SHARD:
            write(folder, shards[-1], len(shards))
            shards[-1] = dict.fromkeys(shards[-1], noise[:0])
            shards.append({})
            size = 0
        size += 2 * weight.numel()
        shards[-1][name] = filled(name, weight.shape, noise, number)
        if name.endswith("embed_tokens.weight"):
            # So that every token that is chosen is a text of its own, and the first one is seen when it comes.
            shards[-1][name][silent] = 0
    write(folder, shards[-1], len(shards))
    index = {name: file_name(number) for number, shard in enumerate(shards, 1) for name in shard}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))


def file_name(number: int) -> str:
    return f"model-{number:05d}.safetensors"


def write(folder: Path, shard: dict[str, torch.Tensor], number: int) -> None:
    save_file(shard, folder / file_name(number), metadata={"format": "pt"})


def filled(name: str, shape: torch.Size, noise: torch.Tensor, number: int) -> torch.Tensor:
    """Norms are one; matrices repeat a long row of noise, each from another place on."""
    if "norm" in name and name.endswith("weight"):
        return torch.ones(shape, dtype=torch.bfloat16)
    if name.endswith("bias"):
        return torch.zeros(shape, dtype=torch.bfloat16)
    count = shape.numel()
    begin = number * 7919 % len(noise)
    times = (begin + count) // len(noise) + 1
    return noise.repeat(times)[begin : begin + count].reshape(shape).clone()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layers", type=int, default=36, help="of the language model; fewer: a smaller one")
    options = parser.parse_args()
    make(options.folder, options.layers)
