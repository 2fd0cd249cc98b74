from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from tests.postgresql import BINARIES, cluster
from vlpro.audit import search as search_module
from vlpro.audit.events import Event, Outcome
from vlpro.audit.log import AuditLog
from vlpro.audit.record import FIRST, Actor, Entry, make
from vlpro.audit.search import Filter, search
from vlpro.audit.service import MIGRATIONS
from vlpro.audit.tables import records
from vlpro.db import Database, sqlite_url


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """2,001 records, one a second; the clock goes back by an hour in the middle."""
    if request.param == "sqlite":
        yield _written(sqlite_url(tmp_path_factory.mktemp("search"), "audit"))
        return
    if BINARIES is None:
        pytest.skip("needs PostgreSQL: apt-get install postgresql")
    with cluster() as server:
        made = _written(server.new())
        yield made
        made.close()


def _written(url: str) -> Database:
    database = Database(url)
    database.migrate(folder=MIGRATIONS)
    rows, prev = [], FIRST
    for seq in range(1, 2002):
        event = (Event.ASKED, Event.ANSWERED, Event.SIGN_IN)[seq % 3] if seq < 2001 else Event.SIGN_OUT
        outcome = Outcome.REFUSED if seq == 3 else Outcome.OK
        detail = {"note": ["处理第118号投诉", "100%", "a_b", "A/B\\C"][seq % 4] if seq < 100 else ""}
        entry = Entry(event, Actor(login=f"p{seq % 10}"), outcome, f"o{seq}", detail)
        made = make(entry, seq=seq, prev=prev, now=10_000.0 + seq - (3600 if seq >= 1000 else 0))
        rows.append(AuditLog.row(made))
        prev = made.hash
    with database.write() as connection:
        connection.execute(sa.insert(records), rows)
    return database


def numbers(database: Database, wanted: Filter, below: int = 10_000, seconds: float = 60.0) -> list[int]:
    """All that match, page by page."""
    found: list[int] = []
    before: int | None = below
    while before is not None:
        page = search(database, wanted, before, seconds=seconds)
        found += [one.seq for one in page.found]
        assert page.before is None or page.before < before
        before = page.before
    return found


@pytest.mark.parametrize("seconds", [60.0, 0.0])
@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Filter(login="p7"), range(1997, 0, -10)),
        (Filter(login="nobody"), []),
        (Filter(event="chat:", login="p7"), [n for n in range(1997, 0, -10) if n % 3 != 2]),
        (Filter(event="identity:session:begun"), range(2000, 1, -3)),
        (Filter(event="identity:"), [2001, *range(2000, 1, -3)]),
        (Filter(event="policy:"), []),
        (Filter(outcome="refused"), [3]),
        (Filter(object="o17"), [17]),
        (Filter(text="118号"), range(96, 1, -4)),
        (Filter(text="100%"), range(97, 0, -4)),
        (Filter(text="A_b"), range(98, 1, -4)),
        (Filter(text="a/b"), range(99, 1, -4)),
        (Filter(text='"SEQ":17,'), [17]),
        (Filter(text="nothing like it"), []),
    ],
)
def test_what_matches_is_found_once_the_newest_first(
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    wanted: Filter,
    expected: list[int],
    seconds: float,
) -> None:
    monkeypatch.setattr(search_module, "_LEAST", 130)
    assert numbers(database, wanted, seconds=seconds) == list(expected)


def test_a_time_is_found_though_the_clock_went_back(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_module, "_LEAST", 130)
    with database.read() as connection:
        rows = connection.exec_driver_sql("SELECT seq, time FROM audit_records").all()
    times = {int(row[0]): float(row[1]) for row in rows}
    for since, until in (
        (10_100.0, 10_200.0),
        (None, 7_500.0),
        (8_000.0, None),
        (10_990.0, 20_000.0),
        (9e9, None),
    ):
        expected = [
            seq
            for seq in sorted(times, reverse=True)
            if (since is None or times[seq] >= since) and (until is None or times[seq] < until)
        ]
        assert numbers(database, Filter(since=since, until=until)) == expected


def test_no_question_takes_longer_than_it_may(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_module, "_LEAST", 130)
    page = search(database, Filter(text="nothing like it"), 2002, seconds=0)
    assert (page.found, page.complete) == ((), False)
    assert page.before is not None
    page = search(database, Filter(), 2002, seconds=0)
    assert (len(page.found), page.before) == (50, page.found[-1].seq)
