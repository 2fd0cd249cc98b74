"""Keys and values in numbered blocks of tokens, which sequences share (paged attention, Kwon et al., 2023).

Two sequences that begin alike hold the same blocks. The first block in which they differ each has for itself: it is
copied when one of them goes on. A block that nobody holds any more is wiped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    class Store(Protocol):
        """The memory behind the numbers."""

        def copy(self, source: int, target: int) -> None:
            """Make one block like another."""

        def wipe(self, blocks: Sequence[int]) -> None:
            """Leave nothing in these blocks, and give their memory back."""


__all__ = ["BlockPool", "PagedState"]


class BlockPool:
    """Which blocks are held, and by how many sequences.

    Args:
        store: The memory behind the numbers.
        count: How many blocks there are.
        block_tokens: Tokens of a block.
        block_bytes: Memory of a block, of all layers together.
    """

    def __init__(self, store: Store, count: int, *, block_tokens: int, block_bytes: int) -> None:
        self._store = store
        self.block_tokens = block_tokens
        self.block_bytes = block_bytes
        self._free = list(range(count))[::-1]
        self._holders = np.zeros(count, np.int32)

    @property
    def held(self) -> int:
        """How many blocks are held."""
        return len(self._holders) - len(self._free)

    def holders(self, block: int) -> int:
        """How many sequences hold a block."""
        return int(self._holders[block])

    def take(self) -> int:
        """A block that nobody held.

        Raises:
            MemoryError: There is none.
        """
        if not self._free:
            raise MemoryError("no block of keys and values is left")
        block = self._free.pop()
        self._holders[block] = 1
        return block

    def share(self, blocks: Sequence[int]) -> None:
        """One more sequence holds these."""
        for block in blocks:
            self._holders[block] += 1

    def release(self, blocks: Sequence[int]) -> None:
        """One sequence less holds these; those that none holds are wiped."""
        gone = []
        for block in blocks:
            self._holders[block] -= 1
            if self._holders[block] == 0:
                gone.append(block)
        if gone:
            self._store.wipe(gone)
            self._free.extend(gone)

    def own(self, block: int) -> int:
        """The same block, or a copy of it where others hold it as well."""
        if self._holders[block] == 1:
            return block
        made = self.take()
        self._store.copy(block, made)
        self.release([block])
        return made


class PagedState:
    """Keys and values of one sequence.

    Args:
        pool: Of its blocks.
    """

    def __init__(self, pool: BlockPool) -> None:
        self._pool = pool
        self.length = 0
        self.blocks: list[int] = []

    @property
    def nbytes(self) -> int:
        """Its share of memory: of a block that several hold, a part."""
        return int(sum(self._pool.block_bytes / self._pool.holders(block) for block in self.blocks))

    def room(self, tokens: int) -> None:
        """Have room for so many tokens behind those that are there.

        Raises:
            MemoryError: No block is left. The sequence is as it was.
        """
        size = self._pool.block_tokens
        if self.length % size:
            last = self.length // size
            self.blocks[last] = self._pool.own(self.blocks[last])
        taken: list[int] = []
        try:
            while (len(self.blocks) + len(taken)) * size < self.length + tokens:
                taken.append(self._pool.take())
        except MemoryError:
            self._pool.release(taken)
            raise
        self.blocks += taken

    def cut(self, length: int) -> None:
        """Forget all tokens from here on."""
        self.length = min(self.length, length)
        keep = -(-self.length // self._pool.block_tokens)
        self._pool.release(self.blocks[keep:])
        del self.blocks[keep:]

    def copy(self, length: int) -> PagedState:
        """The same, up to a length; nothing is copied until one of both goes on within a block."""
        made = PagedState(self._pool)
        made.length = min(length, self.length)
        made.blocks = self.blocks[: -(-made.length // self._pool.block_tokens)]
        self._pool.share(made.blocks)
        return made

    def free(self) -> None:
        """Hold nothing any more."""
        self.cut(0)
