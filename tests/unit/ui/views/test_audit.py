from __future__ import annotations

from datetime import UTC, date

import pytest

from vlpro.schema.audit import AuditRecord, AuditRecordList, AuditStanding
from vlpro.ui import session
from vlpro.ui.views import audit
from vlpro.ui.views.audit import Wanted

STANDING = AuditStanding(
    log="log_1",
    size=9,
    first=1,
    last_time=0,
    signed=0,
    signed_root="",
    key="",
    refused_sign_ins=0,
    refusals=0,
)


def test_recent_periods_begin_before_now() -> None:
    assert Wanted(period="day").times(100_000.0) == {"since": 13_600.0}
    assert Wanted(period="week").times(1_000_000.0) == {"since": 395_200.0}
    assert Wanted().times(5.0) == {}


def test_dates_are_whole_days_of_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "zone", lambda: UTC)
    first, last = date(1970, 1, 2), date(1970, 1, 3)
    assert Wanted(period="dates", first=first, last=last).times(0) == {"since": 86_400.0, "until": 259_200.0}
    assert Wanted(period="dates", last=first).times(0) == {"until": 172_800.0}
    assert Wanted(first=first).times(0) == {}


def test_all_is_wanted_where_nothing_is_left_out() -> None:
    assert Wanted().all
    assert not Wanted(login="li").all
    assert not Wanted(period="day").all


@pytest.mark.parametrize(
    ("text", "numbers", "before", "searched"),
    [
        ("", [9, 8], 8, False),  # a full page: there are older ones
        ("", [9, 8], 3, True),  # any filter can take long
        ("x", [9, 8], 8, False),
        ("x", [9, 8], 3, True),  # searched for long enough
        ("x", [], 3, True),
        ("x", [9], None, False),  # all was searched
    ],
)
def test_a_search_that_went_on_for_long_enough_is_told(
    text: str,
    numbers: list[int],
    before: int | None,
    searched: bool,  # noqa: FBT001 - a parameter
) -> None:
    found = [AuditRecord(seq=seq, hash="", said={}) for seq in numbers]
    shown = audit._Shown(Wanted(text=text), 0.0, STANDING)
    shown.add(AuditRecordList(data=found, before=before, complete=before is None))
    assert shown.searched is searched
    assert [one.seq for one in shown.data] == numbers


def test_a_search_goes_on_by_itself_until_a_page_is_full_or_somebody_stops_it() -> None:
    def add(shown: audit._Shown, count: int, before: int | None) -> None:
        top = shown.before or 1000
        found = [AuditRecord(seq=top - 1 - one, hash="", said={}) for one in range(count)]
        shown.add(AuditRecordList(data=found, before=before, complete=before is None))

    shown = audit._Shown(Wanted(text="x"), 0.0, STANDING)
    add(shown, 2, 900)
    assert shown.seeking
    shown.stop()
    assert not shown.seeking
    assert shown.searched
    shown.ask_on()
    assert shown.seeking
    add(shown, 40, 700)
    assert shown.seeking
    add(shown, 20, 600)
    assert not shown.seeking  # 50 more than when it was asked to go on
    shown.ask_on()
    add(shown, 0, None)
    assert not shown.seeking
