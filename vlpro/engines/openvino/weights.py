"""Weights of a model folder, one tensor at a time, and how they are stored in fewer bits.

A safetensors file is a length (8 bytes, little-endian), so many bytes of JSON that name each tensor's type, shape and
place, and the tensors. Source: the format's own description.
"""

from __future__ import annotations

import json
import math
import mmap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino as ov

from vlpro.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["SCALE", "Tensor", "Weights", "int4", "int8"]

SCALE = ".scale"
"""Behind the name of a matrix in fewer bits: the name of its scales."""

_MOST_HEADER = 100_000_000

_TYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor as it is stored.

    Args:
        kind: The format's name of its type; ``BF16`` is held as 16 bits each, ``U8`` as two weights of four bits.
        values: The content, read when it is touched.
    """

    kind: str
    values: NDArray[Any]


class Weights:
    """The tensors of a folder's ``*.safetensors``. Whoever has taken tensors from it keeps it as long as these.

    Args:
        folder: The model's.

    Raises:
        ConfigError: A file is none, or holds a type that is not known.
    """

    def __init__(self, folder: Path) -> None:
        self._found: dict[str, Tensor] = {}
        self._files: list[mmap.mmap] = []
        for path in sorted(folder.glob("*.safetensors")):
            try:
                with path.open("rb") as file:
                    memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
                self._files.append(memory)
                length = int.from_bytes(memory[:8], "little")
                if length > min(len(memory) - 8, _MOST_HEADER):
                    raise ValueError("the header is longer than the file")  # noqa: TRY301 - told below, as any other
                header = json.loads(memory[8 : 8 + length])
                for name, told in header.items():
                    if name != "__metadata__":
                        shape, kind = tuple(told["shape"]), str(told["dtype"])
                        begin = 8 + length + int(told["data_offsets"][0])
                        values = np.frombuffer(memory, _TYPES[kind], math.prod(shape), begin)
                        self._found[name] = Tensor(kind, values.reshape(shape))
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                raise ConfigError(
                    f"{path} is no file of weights that can be read.",
                    zh=f"{path} 不是可读取的权重文件。",
                    param="model_dir",
                ) from error

    def __contains__(self, name: str) -> bool:
        return name in self._found

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def stored(self, name: str) -> Tensor:
        """One tensor as it is stored.

        Raises:
            ConfigError: There is none of this name.
        """
        if name not in self._found:
            raise ConfigError(
                f"The model has no weights {name}: it is not a Qwen3-VL.",
                zh=f"模型缺少权重 {name}：它不是 Qwen3-VL。",
                param="model_dir",
            )
        return self._found[name]

    def tensor(self, name: str) -> ov.Tensor:
        """One tensor for OpenVINO, in the memory that it lies in; four bits a weight in their groups."""
        found = self.stored(name)
        if found.kind == "U8":
            rows, groups, _ = self.stored(name + SCALE).values.shape
            return ov.Tensor(
                found.values, ov.Shape([rows, groups, 2 * found.values.shape[1] // groups]), ov.Type.i4
            )
        kind = ov.Type.bf16 if found.kind == "BF16" else ov.Type(found.values.dtype)
        return ov.Tensor(found.values, ov.Shape(found.values.shape), kind)

    def rest(self) -> None:
        """Let the system take back the memory of what has been read; it comes again from the files where needed."""
        for memory in self._files:
            memory.madvise(mmap.MADV_DONTNEED)

    def read(self, name: str) -> NDArray[np.float32]:
        """One tensor as numbers; it is not stored in fewer than 16 bits."""
        found = self.stored(name)
        if found.kind == "BF16":
            return (found.values.astype(np.uint32) << 16).view(np.float32)
        return found.values.astype(np.float32)


def int4(matrix: NDArray[np.float32], group: int) -> tuple[NDArray[np.uint8], NDArray[np.float16]]:
    """Four bits a weight, symmetric, with a scale for each group along a row.

    Args:
        matrix: ``(rows, columns)``.
        group: Weights that share a scale; divides the columns.

    Returns:
        Two's complement, two weights a byte, the first in the low half: ``(rows, columns / 2)``; scales
        ``(rows, columns / group, 1)``.
    """
    rows, columns = matrix.shape
    groups = matrix.reshape(rows, columns // group, group)
    # The largest weight becomes -8, the one number of four bits that has no counterpart: so all sixteen are used.
    index = np.abs(groups).argmax(2, keepdims=True)
    scale = (np.take_along_axis(groups, index, 2) / -8).astype(np.float16)
    scale[scale == 0] = 1
    whole = np.clip(np.rint(groups / scale.astype(np.float32)), -8, 7).astype(np.int8).view(np.uint8)
    flat = whole.reshape(rows, columns) & 15
    return (flat[:, ::2] | (flat[:, 1::2] << 4)).astype(np.uint8), scale


def int8(matrix: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    """Eight bits a weight, symmetric, with a scale for each row.

    Args:
        matrix: ``(rows, columns)``.

    Returns:
        ``(rows, columns)``, and scales ``(rows, 1)``.
    """
    scale = (np.abs(matrix).max(1, keepdims=True) / 127).astype(np.float16)
    scale[scale == 0] = 1
    return np.clip(np.rint(matrix / scale.astype(np.float32)), -127, 127).astype(np.int8), scale
