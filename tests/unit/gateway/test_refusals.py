"""How many records a flood of refusals is."""

from __future__ import annotations

import pytest

from vlpro.audit.record import Actor
from vlpro.audit.recorder import ACTOR, NullRecorder
from vlpro.gateway import refusals
from vlpro.gateway.refusals import SOMEBODY_ELSES, Refusals


def counted(recorder: NullRecorder) -> list[int]:
    """For each record, how many refusals it stands for."""
    return [1 + int(entry.detail.get("before", 0)) for entry in recorder.entries]


@pytest.mark.parametrize(
    ("why", "times", "records"),
    [
        ("forbidden", 1, [1]),
        ("forbidden", 100, [1]),
        ("forbidden", 101, [1, 100]),
        ("forbidden", 1_101, [1, 100, 1_000]),
        ("forbidden", 50_000, [1, 100, 1_000, 10_000]),
        (SOMEBODY_ELSES, 20, [1] * 20),
        (SOMEBODY_ELSES, 119, [1] * 20),
        (SOMEBODY_ELSES, 120, [*[1] * 20, 100]),
    ],
)
def test_the_first_at_once_then_by_the_hundred(why: str, times: int, records: list[int]) -> None:
    recorder = NullRecorder()
    kept = Refusals(recorder)
    for _ in range(times):
        kept.add(why, "/x")
    assert counted(recorder) == records


def test_what_was_only_counted_is_told_later(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("vlpro.gateway.repetitions.time.monotonic", lambda: now[0])
    recorder = NullRecorder()
    kept = Refusals(recorder)
    for _ in range(40):
        kept.add("forbidden", "/x")
    kept.add("other", "/x")
    now[0] += 60
    kept.add("forbidden", "/x")
    assert counted(recorder) == [1, 1, 40]


def test_a_flood_from_many_addresses_fills_no_disk_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("vlpro.gateway.repetitions.time.monotonic", lambda: now[0])
    monkeypatch.setattr(refusals, "_MOST", 20)
    recorder = NullRecorder()
    kept = Refusals(recorder)

    def refused(number: int) -> None:
        token = ACTOR.set(Actor(address=f"10.0.0.{number}"))
        kept.add("forbidden", "/x")
        ACTOR.reset(token)

    for number in range(120):
        refused(number)
    assert counted(recorder) == [1] * 21  # the last one stands for those that come next
    refused(120)
    refused(121)
    assert counted(recorder) == [1] * 21 + [100]
    now[0] += 60
    refused(500)
    assert counted(recorder) == [1] * 21 + [100, 1]
