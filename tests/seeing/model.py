"""What the seeing test model is made of: its words, its numbers, its folder.

A Qwen3-VL of transformers' own code with small numbers; its tokenizer a byte-level BPE of the few words that the
world knows, with Qwen's special tokens and the form of its chat template.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from tests.seeing.world import conversation

__all__ = [
    "IMAGE_PAD",
    "IM_END",
    "IM_START",
    "MAX_PIXELS",
    "VISION_END",
    "VISION_START",
    "export",
    "make_config",
    "make_tokenizer",
]

MAX_PIXELS = 16_384
MIN_PIXELS = 32 * 32
SPECIAL = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>"),
    *("<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>"),
    *("<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
)
_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
IM_START, IM_END = 1, 2
IMAGE_PAD = SPECIAL.index("<|image_pad|>")
VISION_START, VISION_END = SPECIAL.index("<|vision_start|>"), SPECIAL.index("<|vision_end|>")


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE over the world's own words, split as Qwen's tokenizer splits (digits one by one)."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    words = [f"{turn.question}\n{turn.answer}" for seed in range(1500) for turn in conversation(seed).turns]
    words += ["system\nuser\nassistant\n" + " ".join(f"Picture {number}: " for number in range(17))] * 300
    trainer = trainers.BpeTrainer(
        vocab_size=640,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(words, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>", model_max_length=8192
    )


def make_config(vocabulary: int) -> dict[str, Any]:
    """Qwen3-VL's architecture with small numbers: four layers of text, four of vision, deepstack at two.

    Written as transformers 4.57 writes it, which every later version reads.
    """
    return {
        "architectures": ["Qwen3VLForConditionalGeneration"],
        "model_type": "qwen3_vl",
        "image_token_id": IMAGE_PAD,
        "video_token_id": SPECIAL.index("<|video_pad|>"),
        "vision_start_token_id": VISION_START,
        "vision_end_token_id": VISION_END,
        "tie_word_embeddings": True,
        "text_config": {
            "model_type": "qwen3_vl_text",
            "vocab_size": vocabulary,
            "hidden_size": 192,
            "intermediate_size": 448,
            "num_hidden_layers": 4,
            "num_attention_heads": 6,
            "num_key_value_heads": 2,
            "head_dim": 32,
            "hidden_act": "silu",
            "max_position_embeddings": 8192,
            "rope_theta": 10_000.0,
            "rope_scaling": {"rope_type": "default", "mrope_section": [6, 5, 5], "mrope_interleaved": True},
            "rms_norm_eps": 1e-6,
            "bos_token_id": 0,
            "eos_token_id": IM_END,
            "tie_word_embeddings": True,
            "initializer_range": 0.05,
        },
        "vision_config": {
            "model_type": "qwen3_vl",
            "depth": 4,
            "hidden_size": 96,
            "intermediate_size": 288,
            "hidden_act": "gelu_pytorch_tanh",
            "num_heads": 3,
            "patch_size": 16,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "in_channels": 3,
            "out_hidden_size": 192,
            "num_position_embeddings": 256,
            "deepstack_visual_indexes": [1, 2],
            "initializer_range": 0.05,
        },
    }


def export(model: Any, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write the model's folder, with the files and in the form of the official one; weights in 16 bits."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: weight.to(torch.float16).contiguous()
        for name, weight in model.state_dict().items()
        if name != "lm_head.weight"  # it is the embedding's
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    template = (Path(__file__).parent / "chat_template.jinja").read_text()
    written = {
        "config.json": make_config(len(tokenizer)) | {"dtype": "float16"},
        "generation_config.json": {"do_sample": False, "eos_token_id": [IM_END, 0], "pad_token_id": 0},
        "preprocessor_config.json": {
            "size": {"shortest_edge": MIN_PIXELS, "longest_edge": MAX_PIXELS},
            "patch_size": 16,
            "temporal_patch_size": 2,
            "merge_size": 2,
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5],
            "processor_class": "Qwen3VLProcessor",
            "image_processor_type": "Qwen2VLImageProcessorFast",
        },
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "model_max_length": 8192,
            "additional_special_tokens": list(SPECIAL[1:]),
            "chat_template": template,
        },
    }
    for name, content in written.items():
        (folder / name).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
