from __future__ import annotations

import pytest

from tests.support import picture
from vlpro.chat.pictures import KeptPicture, PictureStore
from vlpro.errors import BusyError, NotFoundError

COST = 10 * 10 * 3 + 5


class _Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def store(clock: _Clock) -> PictureStore:
    return PictureStore(max_bytes=3 * COST, ttl_s=60, clock=clock)


def _add(store: PictureStore, seed: int = 0, owner: str = "li") -> KeptPicture:
    return store.add(owner, b"12345", picture(10, 10, seed))


def _kept(store: PictureStore, kept: KeptPicture) -> bool:
    try:
        return store.get(kept.owner, kept.id) is kept
    except NotFoundError:
        return False


def test_bytes_are_counted(store: PictureStore) -> None:
    first = _add(store)
    assert (first.cost, store.bytes_used) == (COST, COST)
    store.discard(first.id)
    store.discard(first.id)
    store.discard("img_nope")
    assert store.bytes_used == 0


def test_nobody_else_gets_it(store: PictureStore) -> None:
    kept = _add(store)
    with pytest.raises(NotFoundError) as refused:
        store.get("wang", kept.id, param="images[0]")
    assert (refused.value.code, refused.value.param) == ("image_not_found", "images[0]")
    assert store.get("li", kept.id) is kept


def test_the_longest_unused_makes_room(store: PictureStore, clock: _Clock) -> None:
    first, second, third = (_add(store, seed) for seed in range(3))
    clock.now += 1
    store.get("li", first.id)
    fourth = _add(store, 4)
    assert [_kept(store, k) for k in (first, second, third, fourth)] == [True, False, True, True]
    assert store.bytes_used == 3 * COST


def test_what_a_conversation_holds_stays(store: PictureStore, clock: _Clock) -> None:
    held = [_add(store, seed) for seed in range(3)]
    for kept in held:
        kept.held = 1
    clock.now += 1000
    with pytest.raises(BusyError, match="full") as refused:
        _add(store, 4)
    assert refused.value.retry_after > 0
    assert all(_kept(store, kept) for kept in held)
    held[1].held = 0
    _add(store, 4)
    assert not _kept(store, held[1])


def test_one_that_is_larger_than_all_memory(store: PictureStore) -> None:
    with pytest.raises(BusyError):
        store.add("li", b"", picture(100, 100))
    assert store.bytes_used == 0


def test_unused_ones_go_in_time(store: PictureStore, clock: _Clock) -> None:
    first, second = _add(store, 1), _add(store, 2)
    clock.now += 50
    store.get("li", second.id)
    clock.now += 20
    store.expire()
    assert store.bytes_used == COST
    assert [_kept(store, k) for k in (first, second)] == [False, True]


def test_every_way_out_is_told(store: PictureStore, clock: _Clock) -> None:
    gone: list[KeptPicture] = []
    store.dropped = gone.append
    discarded, pushed_out, expired = _add(store, 1), _add(store, 2), _add(store, 3)
    store.discard(discarded.id)
    clock.now += 1
    store.get("li", expired.id)
    _add(store, 4), _add(store, 5)
    assert gone == [discarded, pushed_out]
    clock.now += 1000
    store.expire()
    assert expired in gone
    assert (len(gone), store.bytes_used, store.digests()) == (5, 0, frozenset())
