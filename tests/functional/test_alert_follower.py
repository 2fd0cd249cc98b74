"""The follower over a real log: restarts, replicas on one PostgreSQL, a log that fails."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.functional.server import eventually
from tests.postgresql import BINARIES, Cluster, cluster
from vlpro.audit.alerts.alert import Alert, Rule
from vlpro.audit.alerts.follower import Follower
from vlpro.audit.alerts.options import AlertOptions
from vlpro.audit.events import Event, Outcome
from vlpro.audit.log import AuditLog
from vlpro.audit.record import Actor, Entry
from vlpro.audit.service import open_log
from vlpro.audit.tables import records
from vlpro.crypto import Sealer
from vlpro.db import Database, sqlite_url

FAST = AlertOptions(poll_s=0.05)
EGRESS = Entry(Event.EGRESS_REFUSED, object="203.0.113.7:443")


class Told:
    """What was handed on: alerts, and the numbers of their records."""

    def __init__(self) -> None:
        self.got: list[tuple[Alert, int]] = []

    def __call__(self, alert: Alert, record: int) -> None:
        self.got.append((alert, record))

    @property
    def rules(self) -> list[Rule]:
        return [alert.rule for alert, _ in self.got]


@contextmanager
def log_at(url: str, every_records: int = 1000) -> Iterator[AuditLog]:
    log = open_log(Database(url), Sealer(bytes(32)), every_records=every_records)
    log.start()
    try:
        yield log
    finally:
        log.stop()
        log.database.close()


def refused(log: AuditLog, count: int) -> None:
    actor = Actor(login="liwei", address="10.0.0.9")
    for _ in range(count):
        log.record(Entry(Event.SIGN_IN, actor, Outcome.REFUSED))


def test_what_happened_while_nobody_looked_is_found_and_told_once(tmp_path: Path) -> None:
    with log_at(sqlite_url(tmp_path)) as log:
        refused(log, 5)
        for expected in (1, 0, 0):  # a restart tells nothing again
            told = Told()
            follower = Follower(log, FAST, told)
            follower.look()
            follower.look()
            assert len(told.got) == expected
        # Nor does it count anew what an alert has counted.
        told = Told()
        Follower(log, FAST, told, clock=lambda: time.time() + 400).look()
        assert told.got == []


def test_only_what_is_recent_is_looked_at(tmp_path: Path) -> None:
    with log_at(sqlite_url(tmp_path)) as log:
        refused(log, 5)
        told = Told()
        follower = Follower(log, FAST, told, clock=lambda: time.time() + 301)
        follower.look()
        log.record(EGRESS)
        follower.look()
        assert told.rules == [Rule.EGRESS]


@pytest.mark.parametrize(
    ("column", "value"), [("data", "nonsense"), ("data", 7), ("data", b""), ("hash", "x"), ("hash", 0.5)]
)
def test_a_table_in_which_anything_stands_stops_nothing(tmp_path: Path, column: str, value: object) -> None:
    with log_at(sqlite_url(tmp_path)) as log:
        told = Told()
        follower = Follower(log, FAST, told)
        follower.look()
        refused(log, 3)
        follower.look()
        with log.database.write() as connection:
            changed = f"UPDATE audit_records SET {column} = ? WHERE seq = 3"  # noqa: S608 - of the test
            connection.exec_driver_sql(changed, (value,))
        follower._rechecked = 0.0
        follower.look()
        assert told.rules == [Rule.CHAIN_BROKEN]
        assert told.got[0][0].subject == "record 3"
        assert told.got[0][1] > 0
        log.record(EGRESS)
        follower.look()
        assert told.rules == [Rule.CHAIN_BROKEN, Rule.EGRESS]


def test_a_log_that_refuses_to_sign_is_told(tmp_path: Path) -> None:
    with log_at(sqlite_url(tmp_path), every_records=6) as log:
        told = Told()
        follower = Follower(log, FAST, told)
        refused(log, 3)
        with log.database.write() as connection:
            connection.execute(sa.delete(records).where(records.c.seq == 2))
        refused(log, 3)
        eventually(lambda: log.failed is not None)
        follower.look()
        assert Rule.LOG_FAILS in told.rules
        alert = next(alert for alert, _ in told.got if alert.rule is Rule.LOG_FAILS)
        assert "record 2 is missing" in alert.en


def test_an_alert_that_cannot_be_recorded_is_told_all_the_same(tmp_path: Path) -> None:
    with log_at(sqlite_url(tmp_path)) as log:
        log.record(EGRESS)
        log.stop()
        told = Told()
        Follower(log, FAST, told).look()
        assert [(alert.rule, number) for alert, number in told.got] == [(Rule.EGRESS, 0)]


@pytest.fixture
def postgresql() -> Iterator[Cluster]:
    """One of its own, since it is stopped."""
    if BINARIES is None:
        pytest.skip("PostgreSQL is not installed")
    with cluster() as running:
        yield running


def test_of_two_replicas_one_tells_and_the_other_takes_over(postgresql: Cluster) -> None:
    url = postgresql.new()
    with log_at(url) as one, log_at(url) as two:
        first, second = Told(), Told()
        a, b = Follower(one, FAST, first), Follower(two, FAST, second)
        a.start()
        one.record(EGRESS)
        eventually(lambda: bool(first.got))
        b.start()
        for number in range(5):
            two.record(Entry(Event.EGRESS_REFUSED, object=f"host{number}"))
        eventually(lambda: len(first.got) == 6)
        assert second.got == []
        a.stop()
        one.record(Entry(Event.EGRESS_REFUSED, object="another"))
        eventually(lambda: bool(second.got))
        assert [alert.subject for alert, _ in second.got] == ["another"]
        # Its connections are cut: it does not act on a lock that is gone, and takes it again.
        postgresql.stop()
        postgresql.start()
        eventually(lambda: _recorded(two, "last"))
        eventually(lambda: second.got[-1][0].subject == "last")
        b.stop()
        assert len(first.got) == 6


def _recorded(log: AuditLog, subject: str) -> bool:
    return log.submit(Entry(Event.EGRESS_REFUSED, object=subject)).exception() is None


def test_the_log_waits_for_no_follower(tmp_path: Path) -> None:
    """Thousands of records a second are followed, to the last one."""
    with log_at(sqlite_url(tmp_path)) as log:
        told = Told()
        follower = Follower(log, FAST, told)
        follower.start()
        waiting = [log.submit(Entry(Event.ASKED, Actor(login=f"p{n % 50}"))) for n in range(5_000)]
        log.record(EGRESS)
        assert all(one.result() for one in waiting)
        eventually(lambda: told.rules == [Rule.EGRESS])
        follower.stop()
