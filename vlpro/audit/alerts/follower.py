"""Reads the record as it grows, runs the rules over it, records each alert, and hands it on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import TimeoutError as NotYetError
from typing import Any

import sqlalchemy as sa

from vlpro.audit.alerts.alert import Alert, Rule, clean
from vlpro.audit.alerts.chain import Break, Row, Tail, content_of
from vlpro.audit.alerts.lease import Lease
from vlpro.audit.alerts.options import AlertOptions
from vlpro.audit.alerts.rules import Rules
from vlpro.audit.errors import VerificationError
from vlpro.audit.events import Event
from vlpro.audit.log import AuditLog
from vlpro.audit.record import Entry
from vlpro.audit.tables import archives, records
from vlpro.errors import VlproError

__all__ = ["Follower"]

log = logging.getLogger(__name__)

_BACK_S = 300.0  # what happened shortly before the start is looked at, too
_BATCH = 1_000
_REMEMBERED = 1_000
_RECHECK_S = 20.0  # what is remembered is looked at again this often at least
_RECORD_S = 5.0  # that recording an alert may take; then it is handed on without


class Follower:
    """A thread that follows the record. It only reads: the log waits for it nowhere.

    Args:
        audit: The log.
        options: What to look for, and how often.
        hand_on: Is given each alert, with the number of its record; 0: it could not be recorded. Must not wait.
        clock: Unix time.
    """

    def __init__(
        self,
        audit: AuditLog,
        options: AlertOptions,
        hand_on: Callable[[Alert, int], None],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._audit = audit
        self._options = options
        self._hand_on = hand_on
        self._clock = clock
        self._rules = Rules(options.thresholds)
        self._lease = Lease(audit.database)
        self._tail: Tail | None = None
        self._since = 0  # records before this one are not the rules'
        self._rechecked = time.monotonic()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to follow."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End; before the log does."""
        self._ended.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def look(self) -> None:
        """Look at what is new, once.

        Raises:
            DatabaseError: The database does not answer.
        """
        failed, self._audit.failed = self._audit.failed, None
        if failed is not None:
            en, zh = _told(failed)
            self._found(Alert(Rule.LOG_FAILS, "log", 1, 0.0, 0, 0, self._clock(), en, zh))
        if not self._lease.take():
            self._tail = None  # another replica acts; what it has seen is not known here
            return
        if self._tail is None or not self._tail.last:
            self._tail = self._begun()
        self._recheck(self._tail)
        for rows in self._new(self._tail):
            said, breaks = self._tail.follow(rows)
            for found in breaks:
                self._broken(found)
            for one in said:
                self._rules.remember(one)
            for alert in (alert for one in said for alert in self._looked(one)):
                self._raise(alert)

    # ---

    def _run(self) -> None:
        try:
            while True:
                try:
                    self.look()
                except VlproError as error:
                    log.warning("the record cannot be followed: %s", error.message)
                except Exception:
                    log.exception("alerts failed")
                if self._ended.wait(self._options.poll_s):
                    return
        finally:
            self._lease.give_back()

    def _begun(self) -> Tail:
        """Where to begin: a little before now. Alerts that were raised already are not raised again."""
        now = self._clock()
        quiet_s = self._options.thresholds.quiet_minutes * 60
        with self._audit.database.read() as connection:
            first = connection.execute(
                sa.select(sa.func.min(records.c.seq)).where(records.c.time >= now - _BACK_S)
            ).scalar()
            if first is None:
                first = (connection.execute(sa.select(sa.func.max(records.c.seq))).scalar() or 0) + 1
            base = connection.execute(_ROWS.where(records.c.seq == first - 1)).one_or_none()
            raised = connection.execute(
                _ROWS.where(records.c.event == str(Event.ALERT_RAISED), records.c.time >= now - quiet_s)
            )
            for row in raised:
                self._rules.remember(content_of(_row(row).data) or {})
        tail = Tail(_REMEMBERED)
        self._since = first
        if base is not None:
            _, breaks = tail.follow([_row(base)])
            for found in breaks:
                self._broken(found)
        return tail

    def _recheck(self, tail: Tail) -> None:
        """Whether what was seen is still there: the last record each time, all that are remembered now and then."""
        if not tail.last:
            return
        since = tail.last
        interval = min(_RECHECK_S, 5 * self._options.poll_s)
        if time.monotonic() - self._rechecked >= interval:
            self._rechecked, since = time.monotonic(), tail.first
        with self._audit.database.read() as connection:
            rows = connection.execute(_ROWS.where(records.c.seq.between(since, tail.last))).all()
            # Behind the records: whatever was moved to an archive before they were read is then known.
            archived = connection.execute(sa.select(sa.func.max(archives.c.last))).scalar() or 0
        found = tail.recheck(map(_row, rows), since=since, archived=archived)
        if found is not None:
            self._broken(found)

    def _new(self, tail: Tail) -> Iterator[list[Row]]:
        while True:
            after = max(tail.last, self._since - 1)
            with self._audit.database.read() as connection:
                query = _ROWS.where(records.c.seq > after).order_by(records.c.seq).limit(_BATCH)
                rows = [_row(row) for row in connection.execute(query)]
            if rows:
                yield rows
            if len(rows) < _BATCH or self._ended.wait(0.02):  # the log has the processor meanwhile
                return

    def _looked(self, said: dict[str, Any]) -> list[Alert]:
        """What the rules say; a record in which somebody put what none of ours holds stops nothing."""
        try:
            return self._rules.look(said) if said["seq"] >= self._since else []
        except Exception:
            log.exception("record %s was passed over", said["seq"])
            return []

    def _broken(self, found: Break) -> None:
        subject = f"record {found.seq}"
        now = self._clock()
        self._found(Alert(Rule.CHAIN_BROKEN, subject, 1, 0.0, found.seq, found.seq, now, found.en, found.zh))

    def _found(self, alert: Alert) -> None:
        admitted = self._rules.admit(alert)
        if admitted is not None:
            self._raise(admitted)

    def _raise(self, alert: Alert) -> None:
        """Record an alert, and hand it on whether or not that could be done."""
        log.warning("alert: %s", alert.en)
        entry = Entry(Event.ALERT_RAISED, object=alert.id, detail=alert.detail())
        number = 0
        try:
            number = self._audit.submit(entry).result(_RECORD_S)
        except NotYetError:
            log.error("an alert was not recorded in time: %s", alert.id)  # noqa: TRY400 - the sentence says it
        except VlproError as error:
            log.error("an alert was not recorded: %s", error.message)  # noqa: TRY400 - likewise
        self._hand_on(alert, number)


_ROWS = sa.select(records.c.seq, records.c.hash, records.c.data)


def _row(row: Any) -> Row:
    return Row.of(row.seq, row.hash, row.data)


def _told(error: Exception) -> tuple[str, str]:
    """What went wrong in the log, in English and Chinese; of an unexpected error its name only."""
    if isinstance(error, VlproError):
        return clean(error.message.rstrip(".")), clean(error.zh.rstrip("。"))
    if isinstance(error, VerificationError):
        return clean(error), clean(error.zh)
    return type(error).__name__, type(error).__name__
