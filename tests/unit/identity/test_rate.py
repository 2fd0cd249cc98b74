from __future__ import annotations

import pytest

from vlpro.identity import rate
from vlpro.identity.rate import Rate


def test_so_many_at_once_and_then_in_step() -> None:
    limit = Rate()
    assert [limit.wait_s("k", 3, 100.0) for _ in range(3)] == [0, 0, 0]
    assert limit.wait_s("k", 3, 100.0) == pytest.approx(20)
    assert limit.wait_s("k", 3, 119.0) == pytest.approx(1)
    assert limit.wait_s("k", 3, 120.0) == 0
    assert limit.wait_s("k", 3, 120.0) == pytest.approx(20)
    assert [limit.wait_s("k", 3, 200.0) for _ in range(4)] == [0, 0, 0, pytest.approx(20)]


def test_a_minute_never_has_more_than_twice_the_number() -> None:
    limit = Rate()
    passed = [now for now in range(6000) if not limit.wait_s("k", 10, now / 10)]
    assert len(passed) == 10 + 99


def test_keys_do_not_share() -> None:
    limit = Rate()
    assert limit.wait_s("a", 1, 0.0) == limit.wait_s("b", 1, 0.0) == 0
    assert limit.wait_s("a", 1, 1.0) == pytest.approx(59)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate, "_MOST", 10)
    limit = Rate()
    for number in range(100):
        limit.wait_s(str(number), 1, 0.0)
    assert len(limit._due) == 10
