from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from vlpro.engines.qwen.blocks import BlockPool, PagedState

TOKENS = 4
WIPED = -1


class Memory:
    """What each block holds; a test can see what was wiped."""

    def __init__(self, count: int) -> None:
        self.content = np.full((count, TOKENS), WIPED)

    def copy(self, source: int, target: int) -> None:
        self.content[target] = self.content[source]

    def wipe(self, blocks: Sequence[int]) -> None:
        self.content[list(blocks)] = WIPED


class Sequences(RuleBasedStateMachine):
    """Sequences that grow, are cut, copied and freed at random; each must still hold what it has read."""

    @initialize(count=st.integers(1, 12))
    def begin(self, count: int) -> None:
        self.memory = Memory(count)
        self.pool = BlockPool(self.memory, count, block_tokens=TOKENS, block_bytes=100)
        self.count = count
        self.states: list[tuple[PagedState, list[int]]] = []
        self.next = 0

    @rule()
    def new(self) -> None:
        self.states.append((PagedState(self.pool), []))

    @precondition(lambda self: self.states)
    @rule(which=st.integers(0, 99), tokens=st.integers(1, 9))
    def grow(self, which: int, tokens: int) -> None:
        state, told = self.states[which % len(self.states)]
        try:
            state.room(tokens)
        except MemoryError:
            return
        for place in range(state.length, state.length + tokens):
            self.next += 1
            told.append(self.next)
            block = state.blocks[place // TOKENS]
            assert self.pool.holders(block) == 1
            self.memory.content[block, place % TOKENS] = self.next
        state.length += tokens

    @precondition(lambda self: self.states)
    @rule(which=st.integers(0, 99), length=st.integers(0, 30))
    def cut(self, which: int, length: int) -> None:
        state, told = self.states[which % len(self.states)]
        state.cut(length)
        del told[length:]

    @precondition(lambda self: self.states)
    @rule(which=st.integers(0, 99), length=st.integers(0, 30))
    def copy(self, which: int, length: int) -> None:
        state, told = self.states[which % len(self.states)]
        self.states.append((state.copy(length), told[:length]))

    @precondition(lambda self: self.states)
    @rule(which=st.integers(0, 99))
    def free(self, which: int) -> None:
        state, _ = self.states.pop(which % len(self.states))
        state.free()

    @invariant()
    def each_holds_what_it_has_read(self) -> None:
        for state, told in getattr(self, "states", []):
            assert state.length == len(told)
            held = [self.memory.content[state.blocks[n // TOKENS], n % TOKENS] for n in range(len(told))]
            assert held == told

    @invariant()
    def no_block_is_lost_or_counted_twice(self) -> None:
        if hasattr(self, "pool"):
            held = {block for state, _ in self.states for block in state.blocks}
            assert self.pool.held == len(held)
            assert sum(state.nbytes for state, _ in self.states) <= 100 * len(held)
            free = sorted(set(range(self.count)) - held)
            assert (self.memory.content[free] == WIPED).all()


Sequences.TestCase.settings = settings(max_examples=500, stateful_step_count=60)
TestSequences = Sequences.TestCase


def test_a_sequence_that_finds_no_room_is_as_it_was() -> None:
    pool = BlockPool(Memory(3), 3, block_tokens=TOKENS, block_bytes=100)
    one, two = PagedState(pool), PagedState(pool)
    one.room(8)
    one.length = 8
    with pytest.raises(MemoryError, match="no block"):
        two.room(5)
    assert two.blocks == []
    two.room(4)
    assert pool.held == 3


@given(st.integers(0, 40), st.integers(0, 40))
def test_what_two_hold_counts_once(length: int, common: int) -> None:
    pool = BlockPool(Memory(20), 20, block_tokens=TOKENS, block_bytes=100)
    state = PagedState(pool)
    state.room(length)
    state.length = length
    before = state.nbytes
    other = state.copy(common)
    assert before - 1 <= state.nbytes + other.nbytes + 1
    assert state.nbytes + other.nbytes <= before
