from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vlpro.engines.qwen.prefixes import Prefix, PrefixStore


@dataclass
class Kept:
    """A state of ten bytes a token."""

    length: int

    @property
    def nbytes(self) -> int:
        return 10 * self.length

    def cut(self, length: int) -> None:
        self.length = length

    def copy(self, length: int) -> Kept:
        return Kept(length)

    def free(self) -> None:
        self.length = 0


def keys(*tokens: int) -> NDArray[np.int64]:
    return np.array(tokens, np.int64)


def kept(
    store: PrefixStore, *tokens: int, owner: str = "a", conversation: str = "", picture: str = ""
) -> Kept:
    state = Kept(len(tokens))
    pictures = frozenset({picture} if picture else ())
    store.keep(Prefix(owner, conversation, keys(*tokens), state, pictures))
    return state


def test_a_conversation_that_goes_on_takes_its_own_state_along() -> None:
    store = PrefixStore(1000)
    state = kept(store, 1, 2, 3, 4)
    assert store.take("a", keys(1, 2, 3, 4, 5, 6)) == (state, 4)
    assert store.nbytes == 0
    assert store.take("a", keys(1, 2, 3, 4, 5, 6)) == (None, 0)


def test_a_branch_gets_a_copy_and_leaves_the_other_as_it_is() -> None:
    store = PrefixStore(1000)
    state = kept(store, *range(10))
    branch, length = store.take("a", keys(0, 1, 2, 99, 98))
    assert length == 3
    assert branch is not state
    assert branch is not None
    assert branch.length == 3
    assert state.length == 10
    assert store.take("a", keys(*range(12)))[1] == 10


def test_the_last_token_is_always_left_to_read() -> None:
    store = PrefixStore(1000)
    kept(store, 1, 2, 3)
    state, length = store.take("a", keys(1, 2, 3))
    assert length == 2
    assert state is not None
    assert state.length == 2


def test_the_longest_beginning_is_taken() -> None:
    store = PrefixStore(1000)
    kept(store, 1, 2, 9)
    longer = kept(store, 1, 2, 3)
    assert store.take("a", keys(1, 2, 3, 4)) == (longer, 3)


def test_another_owner_finds_nothing() -> None:
    store = PrefixStore(1000)
    kept(store, 1, 2, 3)
    store.keep_features("a", ("p", 2, 2), Kept(1))
    assert store.take("b", keys(1, 2, 3, 4)) == (None, 0)
    assert store.features("b", ("p", 2, 2)) is None
    assert store.features("a", ("p", 2, 2)) is not None


def test_features_are_of_a_picture_at_a_size() -> None:
    store = PrefixStore(1000)
    store.keep_features("a", ("p", 2, 2), Kept(1))
    assert store.features("a", ("p", 2, 3)) is None
    assert store.name(("p", 2, 2)) != store.name(("p", 2, 3)) != store.name(("q", 2, 3))


def test_memory_is_bounded_and_the_longest_unused_goes_first() -> None:
    store = PrefixStore(100)
    kept(store, *range(4))
    kept(store, *range(100, 104))
    store.keep_features("a", ("p", 1, 1), Kept(2))
    assert store.nbytes == 100
    kept(store, *range(200, 203))
    assert store.nbytes <= 100
    assert store.take("a", keys(0, 1, 2, 3, 4)) == (None, 0)
    assert store.features("a", ("p", 1, 1)) is not None  # prefixes go before features
    assert store.take("a", keys(100, 101, 102, 103, 4))[1] == 4


def test_what_is_too_large_is_not_kept() -> None:
    store = PrefixStore(100)
    kept(store, *range(20))
    assert store.nbytes == 0
    assert not store.make_room(101)
    assert store.make_room(100)


def test_pictures_and_conversations_can_be_forgotten() -> None:
    store = PrefixStore(10_000)
    kept(store, 1, 2, picture="p")
    kept(store, 3, 4, conversation="c")
    kept(store, 5, 6, conversation="d", picture="q")
    store.keep_features("a", ("p", 1, 1), Kept(1))
    store.keep_features("a", ("q", 1, 1), Kept(1))
    store.forget(frozenset({"p"}), frozenset({"c"}))
    assert store.take("a", keys(1, 2, 0))[1] == 0
    assert store.take("a", keys(3, 4, 0))[1] == 0
    assert store.take("a", keys(5, 6, 0))[1] == 2
    assert store.features("a", ("p", 1, 1)) is None
    assert store.features("a", ("q", 1, 1)) is not None


def test_a_forgotten_pictures_name_is_not_given_again() -> None:
    store = PrefixStore(1000)
    first = store.name(("p", 1, 1))
    store.forget(frozenset({"p"}), frozenset())
    assert store.name(("q", 1, 1)) != first
    assert store.name(("p", 1, 1)) != first


def test_what_nobody_asks_about_goes_in_time() -> None:
    now = 0.0
    store = PrefixStore(1000, ttl_s=60, clock=lambda: now)
    kept(store, 1, 2, 3)
    store.keep_features("a", ("old", 1, 1), Kept(1))
    store.keep_features("a", ("asked again", 1, 1), Kept(1))
    now = 50.0
    kept(store, 7, 8, 9)
    assert store.features("a", ("asked again", 1, 1)) is not None
    now = 70.0
    store.expire()
    assert store.take("a", keys(1, 2, 3, 4))[1] == 0
    assert store.take("a", keys(7, 8, 9, 4))[1] == 3
    assert store.features("a", ("old", 1, 1)) is None
    assert store.features("a", ("asked again", 1, 1)) is not None


def test_numbers_of_pictures_that_nothing_shows_are_given_up() -> None:
    store = PrefixStore(10**6)
    shown = store.name(("shown", 1, 1))
    kept(store, 1, 2, picture="shown")
    for number in range(5000):
        store.name((str(number), 1, 1))
    store.expire()
    assert store.name(("shown", 1, 1)) == shown
    assert len(store._names) < 10
