"""The memory of the keys and values of all layers, in blocks."""

from __future__ import annotations

import math
import mmap
from typing import TYPE_CHECKING

import numpy as np
import openvino as ov

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["BLOCK_TOKENS", "BlockMemory"]

BLOCK_TOKENS = 32
"""Of the processor plugin."""

_FLAGS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000  # MAP_NORESERVE, which Python names from 3.13 on


class BlockMemory:
    """Memory that is used only where blocks are in use.

    Args:
        compiled: The compiled language model: it says how large a block of each layer is.
        max_bytes: How much it may come to.
    """

    def __init__(self, compiled: ov.CompiledModel, max_bytes: int) -> None:
        caches = [one for one in compiled.inputs if "_cache." in one.any_name]
        sides = [[side.get_length() for side in list(one.partial_shape)[1:]] for one in caches]
        sizes = [math.prod(shape) * one.element_type.size for shape, one in zip(sides, caches, strict=True)]
        self.block_bytes = sum(sizes)
        self.count = max_bytes // self.block_bytes
        self.tensors: dict[str, ov.Tensor] = {}
        self._memory: list[tuple[mmap.mmap, int]] = []
        for one, shape, size in zip(caches, sides, sizes, strict=True):
            memory = mmap.mmap(-1, self.count * size, flags=_FLAGS)
            kind = one.element_type
            flat = np.frombuffer(memory, np.dtype(f"u{kind.size}"))
            self.tensors[one.any_name] = ov.Tensor(flat, ov.Shape([self.count, *shape]), kind)
            self._memory.append((memory, size))

    def copy(self, source: int, target: int) -> None:
        """Make one block like another, in all layers."""
        for memory, size in self._memory:
            memory[target * size : (target + 1) * size] = memory[source * size : (source + 1) * size]

    def wipe(self, blocks: Sequence[int]) -> None:
        """Leave nothing in these blocks, and give their memory back."""
        page = mmap.PAGESIZE
        for memory, size in self._memory:
            for begin, end in _runs(blocks):
                first, last = begin * size, end * size
                whole, rest = -(-first // page) * page, last // page * page
                if whole >= rest:
                    memory[first:last] = bytes(last - first)
                    continue
                memory.madvise(mmap.MADV_DONTNEED, whole, rest - whole)  # it reads as zeros from now on
                memory[first:whole] = bytes(whole - first)
                memory[rest:last] = bytes(last - rest)


def _runs(blocks: Sequence[int]) -> list[tuple[int, int]]:
    """Neighbouring blocks together: where each run begins, and where the next block would be."""
    out: list[tuple[int, int]] = []
    for block in sorted(blocks):
        if out and out[-1][1] == block:
            out[-1] = (out[-1][0], block + 1)
        else:
            out.append((block, block + 1))
    return out
