"""A model folder in fewer bits, for processors: its matrices packed, all else as it is."""

from __future__ import annotations

import json
import math
import re
import shutil
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from vlpro.engines.openvino.plan import PACKED
from vlpro.engines.openvino.weights import SCALE, Weights, int4, int8
from vlpro.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Bits", "convert"]

Bits = Literal[4, 8]

_GROUPS = (128, 64, 32)
_TEXT = re.compile(r"model\.language_model\.layers\..*_proj\.weight")
_EMBEDDING, _HEAD = "model.language_model.embed_tokens.weight", "lm_head.weight"
_OTHERS = ("generation_config.json", "preprocessor_config.json", "tokenizer.json")
_WIDTH = {"F32": 4, "F16": 2, "BF16": 2, "I8": 1, "U8": 1}
FILE = "model.safetensors"


def convert(
    source: Path, target: Path, bits: Bits = 4, progress: Callable[[int, int], None] = lambda *_: None
) -> None:
    """Write a model folder in fewer bits.

    The text layers' matrices take four or eight bits, the head eight; the embedding, the vision tower and all norms
    stay as they are.

    Args:
        source: The model's folder, verified.
        target: A new folder.
        bits: Of the text layers' matrices.
        progress: Called with weights done and in all.

    Raises:
        ConfigError: The source is no Qwen3-VL, or the target is there already or cannot be written.
    """
    weights = Weights(source)
    weights.stored(_EMBEDDING)
    total, done = sum(weights.stored(name).values.size for name in weights), 0
    header, at = {}, 0
    for name in weights:
        for made, kind, shape in _planned(weights, name, bits):
            end = at + math.prod(shape) * _WIDTH[kind]
            header[made] = {"dtype": kind, "shape": shape, "data_offsets": [at, end]}
            at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    try:
        target.mkdir(parents=True)
        for other in _OTHERS:
            shutil.copyfile(source / other, target / other)
        config = json.loads((source / "config.json").read_text(encoding="utf-8")) | {PACKED: bits}
        (target / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
        with (target / FILE).open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for name in weights:
                for values in _packed(weights, name, bits):
                    file.write(values.data)
                done += weights.stored(name).values.size
                progress(done, total)
    except FileExistsError as error:
        raise ConfigError(
            f"{target} is there already. Name a new folder.",
            zh=f"{target} 已存在，请指定新的文件夹。",
            param="output",
        ) from error
    except OSError as error:
        raise ConfigError(
            f"{target} cannot be written: {error.strerror}.",
            zh=f"无法写入 {target}：{error.strerror}。",
            param="output",
        ) from error


def _bits_of(weights: Weights, name: str, bits: Bits) -> int:
    """Of a tensor as it will be stored; 0: as it is."""
    if weights.stored(name).kind not in ("F32", "F16", "BF16"):
        return 0
    if _TEXT.fullmatch(name):
        return bits if bits == 8 or _group(weights.stored(name).values.shape[1]) else 8
    return 8 if name == _HEAD else 0


def _group(columns: int) -> int:
    return next((size for size in _GROUPS if columns % size == 0), 0)


def _planned(weights: Weights, name: str, bits: Bits) -> Iterator[tuple[str, str, list[int]]]:
    """Names, types and shapes of what a tensor becomes."""
    found = weights.stored(name)
    shape = list(found.values.shape)
    match _bits_of(weights, name, bits):
        case 4:
            rows, columns = shape
            yield name, "U8", [rows, columns // 2]
            yield name + SCALE, "F16", [rows, columns // _group(columns), 1]
        case 8:
            yield name, "I8", shape
            yield name + SCALE, "F16", [shape[0], 1]
        case _:
            yield name, found.kind, shape
    if (
        name == _EMBEDDING and _HEAD not in weights
    ):  # the head is the embedding, and is read as a whole each time
        yield _HEAD, "I8", shape
        yield _HEAD + SCALE, "F16", [shape[0], 1]


def _packed(weights: Weights, name: str, bits: Bits) -> Iterator[NDArray[Any]]:
    """What a tensor becomes, in the order of :func:`_planned`."""
    match _bits_of(weights, name, bits):
        case 4:
            matrix = weights.read(name)
            yield from int4(matrix, _group(matrix.shape[1]))
        case 8:
            yield from int8(weights.read(name))
        case _:
            yield np.ascontiguousarray(weights.stored(name).values)
    if name == _EMBEDDING and _HEAD not in weights:
        yield from int8(weights.read(name))
