"""A network of a few lines, which notices every mistake: see :class:`Sum`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vlpro.engines.qwen.blocks import BlockPool, PagedState
from vlpro.engines.qwen.network import Row, Stopped
from vlpro.engines.qwen.prefixes import State
from vlpro.imaging.picture import Picture

__all__ = ["END", "PagedSum", "Read", "Sum"]

WORDS = 1009
END = 0


@dataclass
class Read:
    """What a sequence has read, and its size."""

    values: list[int] = field(default_factory=list)

    @property
    def length(self) -> int:
        return len(self.values)

    @length.setter
    def length(self, _: int) -> None:
        raise AssertionError("the network's own")

    @property
    def nbytes(self) -> int:
        return 8 * len(self.values)

    def cut(self, length: int) -> None:
        del self.values[length:]

    def copy(self, length: int) -> Read:
        return Read(self.values[:length])

    def free(self) -> None:
        self.values = []


@dataclass
class Cells:
    values: list[int]
    nbytes: int = 8


class Sum:
    """Its next token is a checksum of every token, cell and position so far: any mix-up changes the answer."""

    token_bytes = 8

    def __init__(self) -> None:
        self.steps: list[list[int]] = []
        self.seen: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.sight = threading.Event()  # cleared, a picture is not seen to the end
        self.sight.set()
        self.in_sight = threading.Event()
        self.layers = 3
        self.released = 0
        self.token_s = 0.0
        self.fails = False

    def new_state(self) -> State:
        return Read()

    def release(self) -> None:
        self.released += 1

    def grown(self, state: State, values: list[int]) -> list[int]:
        """All that a sequence has read, these at the end."""
        assert isinstance(state, Read)
        state.values += values
        return state.values

    def see(self, picture: Picture, rows: int, columns: int, between: Callable[[], None]) -> Cells:
        self.seen.append(picture.pixels_sha256)
        for _ in range(self.layers):
            self.in_sight.set()
            self.sight.wait(60)
            between()
        return Cells([int(picture.pixels_sha256[:4], 16) + cell for cell in range(rows * columns)])

    def step(self, rows: Sequence[Row], stopped: Callable[[], bool]) -> list[NDArray[np.float32] | None]:
        self.gate.wait(60)
        if stopped():
            raise Stopped
        if self.fails:
            raise RuntimeError("broken")
        self.steps.append([len(row.ids) for row in rows])
        time.sleep(self.token_s * sum(self.steps[-1]))
        out: list[NDArray[np.float32] | None] = []
        for row in rows:
            values = [
                int(token) * 7 + int(places.sum()) * 3
                for token, places in zip(row.ids, row.positions.T, strict=True)
            ]
            for at, features, first, last in row.pictures:
                assert isinstance(features, Cells)
                values[at : at + last - first] = features.values[first:last]
            logits = np.zeros(WORDS, np.float32)
            logits[checksum(self.grown(row.state, values))] = 1
            out.append(logits if row.wants_logits else None)
        return out


class PagedSum(Sum):
    """The same, with what it reads in blocks that sequences share."""

    BLOCK = 4

    def __init__(self, count: int) -> None:
        super().__init__()
        self.content = np.zeros((count, self.BLOCK), np.int64)
        self.pool = BlockPool(self, count, block_tokens=self.BLOCK, block_bytes=8 * self.BLOCK)

    def copy(self, source: int, target: int) -> None:
        self.content[target] = self.content[source]

    def wipe(self, blocks: Sequence[int]) -> None:
        self.content[list(blocks)] = -1

    def new_state(self) -> State:
        return PagedState(self.pool)

    def step(self, rows: Sequence[Row], stopped: Callable[[], bool]) -> list[NDArray[np.float32] | None]:
        for row in rows:
            assert isinstance(row.state, PagedState)
            row.state.room(len(row.ids))
        return super().step(rows, stopped)

    def grown(self, state: State, values: list[int]) -> list[int]:
        assert isinstance(state, PagedState)
        for value in values:
            self.content[state.blocks[state.length // self.BLOCK], state.length % self.BLOCK] = value
            state.length += 1
        return [int(self.content[state.blocks[n // self.BLOCK], n % self.BLOCK]) for n in range(state.length)]


def checksum(values: Sequence[int]) -> int:
    total = 1
    for value in values:
        total = (total * 31 + value) % (WORDS - 1)
    return total + 1  # never END
