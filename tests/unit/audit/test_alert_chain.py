"""The end of the chain, as the follower remembers it, against what whoever tampers may do to the table."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from vlpro.audit.alerts.chain import Row, Tail
from vlpro.audit.events import Event
from vlpro.audit.record import FIRST, Entry, make

Rows = list[Row]


def chain(count: int, *, first: int = 1, prev: bytes = FIRST, what: str = "x") -> Rows:
    rows: Rows = []
    for seq in range(first, first + count):
        made = make(Entry(Event.ASKED, detail={"what": what}), seq=seq, prev=prev, now=1.8e9)
        rows.append(Row(seq, made.hash, made.data))
        prev = made.hash
    return rows


def test_a_whole_chain_is_followed_batch_by_batch() -> None:
    rows, tail = chain(30), Tail(10)
    for at in range(0, 30, 7):
        said, breaks = tail.follow(rows[at : at + 7])
        assert not breaks
        assert [one["seq"] for one in said] == [row.seq for row in rows[at : at + 7]]
    assert (tail.first, tail.last) == (21, 30)
    assert tail.recheck(rows[20:], since=21, archived=0) is None


def altered(row: Row, **fields: object) -> Row:
    return Row.of(row.seq, fields.get("hash", row.hash), fields.get("data", row.data))


NEW: list[tuple[str, Callable[[Rows], Rows], int]] = [
    ("edited", lambda r: [*r[:2], altered(r[2], data=r[2].data.replace(b'"x"', b'"y"')), *r[3:]], 8),
    ("edited with its hash", lambda r: [*r[:2], *chain(1, first=8, prev=r[1].hash, what="y"), *r[3:]], 9),
    ("rewritten from here", lambda r: [*r[:2], *chain(3, first=8, what="y")], 8),
    ("removed", lambda r: [*r[:2], *r[3:]], 8),
    ("the first removed", lambda r: r[1:], 6),
    (
        "two exchanged",
        lambda r: [r[0], Row(7, r[2].hash, r[2].data), Row(8, r[1].hash, r[1].data), *r[3:]],
        7,
    ),
    ("no bytes", lambda r: [*r[:2], altered(r[2], data=None, hash=None), *r[3:]], 8),
    ("a number", lambda r: [*r[:2], altered(r[2], data=7, hash=0.5), *r[3:]], 8),
    ("text", lambda r: [*r[:2], altered(r[2], data=r[2].data.decode() + " "), *r[3:]], 8),
    ("deep", lambda r: [*r[:2], altered(r[2], data=b"[" * 100_000), *r[3:]], 8),
]


@pytest.mark.parametrize(("how", "tamper", "seq"), NEW, ids=[case[0] for case in NEW])
def test_new_records_that_do_not_link_are_found(how: str, tamper: Callable[[Rows], Rows], seq: int) -> None:
    rows, tail = chain(10), Tail(100)
    tail.follow(rows[:5])
    _, breaks = tail.follow(tamper(rows[5:]))
    assert [found.seq for found in breaks] == [seq]
    assert str(seq) in breaks[0].en
    assert str(seq) in breaks[0].zh


OLD: list[tuple[str, Callable[[Rows], Rows], int]] = [
    ("edited", lambda r: [*r[:2], altered(r[2], data=r[2].data.replace(b'"x"', b'"y"')), *r[3:]], 3),
    ("removed", lambda r: [*r[:2], *r[3:]], 3),
    ("the first removed", lambda r: r[1:], 1),
    ("cut", lambda r: r[:7], 8),
    ("all removed", lambda _: [], 1),
    ("rewritten whole", lambda _: chain(10, what="y"), 1),
    ("cut and grown again", lambda r: [*r[:7], *chain(3, first=8, prev=r[6].hash, what="y")], 8),
]


@pytest.mark.parametrize(("how", "tamper", "seq"), OLD, ids=[case[0] for case in OLD])
def test_records_that_were_seen_and_are_others_now_are_found_once(
    how: str, tamper: Callable[[Rows], Rows], seq: int
) -> None:
    rows, tail = chain(10), Tail(100)
    tail.follow(rows)
    now = tamper(rows)
    found = tail.recheck(now, since=1, archived=0)
    assert found is not None
    assert found.seq == seq
    assert tail.recheck(now, since=1, archived=0) is None
    assert tail.last == (now[-1].seq if now else 0)


def test_what_was_archived_is_not_missing() -> None:
    rows, tail = chain(10), Tail(100)
    tail.follow(rows)
    assert tail.recheck(rows[4:], since=1, archived=4) is None
    found = tail.recheck(rows[5:], since=1, archived=4)
    assert found is not None
    assert found.seq == 5


def test_only_the_last_record_can_be_looked_at() -> None:
    rows, tail = chain(10), Tail(100)
    tail.follow(rows)
    assert tail.recheck(rows[9:], since=10, archived=0) is None
    found = tail.recheck([], since=10, archived=0)
    assert found is not None
    assert found.seq == 10
    assert tail.last == 9


def test_what_is_not_its_record_is_no_matter_of_the_rules() -> None:
    row = chain(1)[0]
    other = Row(5, row.hash, json.dumps({"seq": "5", "event": []}).encode())
    said, breaks = Tail(5).follow([other])
    assert said == []
    assert breaks
