from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.audit.test_canonical import TEXTS, VALUES
from tests.unit.audit.victim import entry
from vlpro.audit.canonical import encode
from vlpro.audit.events import Event, Outcome
from vlpro.audit.log import AuditLog
from vlpro.audit.record import FIRST, Actor, Entry, column, make
from vlpro.audit.tables import records
from vlpro.audit.tree import leaf_hash


@given(
    st.builds(
        Entry,
        st.sampled_from(Event),
        st.builds(Actor, *[TEXTS] * 7),
        st.sampled_from(Outcome),
        TEXTS,
        st.dictionaries(TEXTS, VALUES, max_size=4),
    ),
    st.integers(1, 2**53 - 1),
    st.floats(0, 4e9),
)
def test_a_record_is_canonical(what: Entry, seq: int, now: float) -> None:
    record = make(what, seq=seq, prev=FIRST, now=now)
    content = json.loads(record.data)
    assert encode(content) == record.data
    assert record.hash == leaf_hash(record.data)
    assert (content["seq"], content["login"], content["object"]) == (seq, what.actor.login, what.object)


@given(st.floats(0, 4e9))
def test_column_and_text_are_the_same_moment(now: float) -> None:
    record = make(entry(1), seq=1, prev=FIRST, now=now)
    text = json.loads(record.data)["time"]
    assert datetime.fromisoformat(text).timestamp() == record.time
    assert abs(record.time - now) < 1e-6


@pytest.mark.parametrize("detail", [{"x": float("nan")}, {"x": b""}, {"x": "\ud800"}, {"x": 2**60}])
def test_what_cannot_be_written_down(detail: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of several kinds
        make(Entry(Event.ASKED, detail=detail), seq=1, prev=FIRST, now=0)


def test_what_does_not_fit_a_column_is_in_the_record() -> None:
    what = Entry(Event.SIGN_IN, Actor(login="x" * 5000 + "\0", session="\0s"), object="中" * 100)
    record = make(what, seq=1, prev=FIRST, now=0)
    assert json.loads(record.data)["login"] == what.actor.login
    row = AuditLog.row(record)
    assert (row["login"], row["session"], row["object"]) == ("x" * 64, "s", "中" * 64)


def test_every_event_and_column_fits_its_table() -> None:
    for name in ("event", "outcome", "login", "session", "address", "object"):
        assert len(column(name, "x" * 999)) == records.c[name].type.length  # type: ignore[attr-defined]
    assert all(len(event) <= 48 for event in Event)
    assert all(event.count(":") == 2 for event in Event)
