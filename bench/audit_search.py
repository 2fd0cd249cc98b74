# ruff: noqa: E402
"""How soon the auditor sees the first page, by what is asked for, and how long a search to the very end takes.

`python bench/audit_search.py [--records N] [--rounds N]`: SQLite and, where Debian's server is installed, a
PostgreSQL of the benchmark's own. "First answer" is what a person waits for; "whole" is with all further ones, where
the page goes on by itself. Each question is on the record, as in the service.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import sqlalchemy as sa

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from audit import SEALER, fill, server

from vlpro.audit.events import Event, Outcome
from vlpro.audit.query import AuditQueries, Filter
from vlpro.audit.record import Actor, Entry
from vlpro.audit.recorder import LogRecorder
from vlpro.audit.service import open_log
from vlpro.db import Database, sqlite_url

EVENTS = (Event.ASKED, Event.ANSWERED, Event.ASKED, Event.ANSWERED, Event.SIGN_IN, Event.REQUEST_REFUSED)
BEGUN, A_SECOND = 1.7e9, 10  # Unix time of the first record; records


def entry(number: int) -> Entry:
    """A busy company: 300 people, of whom one was there at the beginning only, as were two words."""
    early = number < 50
    actor = Actor(
        "acc_1",
        "early" if early else f"person{number % 300}",
        "user",
        f"ses_{number // 40}",
        "",
        f"req_{number}",
        "10.0.0.9" if early else f"10.0.1.{number % 250}",
    )
    event = Event.POLICY_DECIDED if early else EVENTS[number % len(EVENTS)]
    outcome = Outcome.REFUSED if event is Event.REQUEST_REFUSED else Outcome.OK
    detail = {"sha256": f"{number:064x}", "tokens": number}
    return Entry(
        event, actor, outcome, f"msg_{number}", detail | ({"note": "处理第118号投诉"} if early else {})
    )


def questions(records: int) -> dict[str, Filter]:
    """What is asked for, by its name in the table."""
    end = BEGUN + records / A_SECOND
    return {
        "no filter": Filter(),
        "login": Filter(login="person7"),
        "login, at the beginning only": Filter(login="early"),
        "login, nobody's": Filter(login="nobody"),
        "session": Filter(session=f"ses_{records // 80}"),
        "event": Filter(event="identity:session:begun"),
        "group of events": Filter(event="chat:"),
        "group of events, rare": Filter(event="policy:"),
        "outcome": Filter(outcome="refused"),
        "outcome, none": Filter(outcome="failed"),
        "address": Filter(address="10.0.1.7"),
        "address, at the beginning only": Filter(address="10.0.0.9"),
        "the last hour": Filter(since=end - 3600),
        "an hour in the middle": Filter(since=end - records / 20, until=end - records / 20 + 3600),
        "the older half": Filter(since=BEGUN, until=BEGUN + records / 20),
        "an hour in the middle, refused": Filter(
            since=end - records / 20, until=end - records / 20 + 3600, outcome="refused"
        ),
        "text, often": Filter(text="req_"),
        "text, one in 1,000": Filter(text="777,"),
        "text, at the beginning only": Filter(text="REQ_17,".replace(",", '"')),
        "text, Chinese, at the beginning only": Filter(text="118号投诉"),
        "text, never": Filter(text="no such thing"),
        "text, Chinese, never": Filter(text="没有这样的"),
        "text of one login": Filter(text="no such thing", login="person7"),
    }


def measured(name: str, url: str, number: int, rounds: int) -> None:
    """Lines of the table for one database."""
    fill(url, number, entry)
    database = Database(url)
    if not database.sqlite:  # as its own housekeeping does after a while
        with database.write() as connection:
            connection.execute(sa.text("ANALYZE audit_records"))
    log = open_log(database, SEALER)
    log.start()
    asked = AuditQueries(database, LogRecorder(log, SEALER), SEALER, log.signer)
    for what, wanted in questions(number).items():
        first, whole, answers, found = [], [], 0, 0
        for _ in range(rounds):
            began = time.perf_counter()
            page = asked.find(wanted)
            first.append(time.perf_counter() - began)
            answers, found = 1, len(page.found)
            while found < 50 and page.before is not None:
                page = asked.find(wanted, page.before)
                answers, found = answers + 1, found + len(page.found)
            whole.append(time.perf_counter() - began)
        ms = [statistics.median(each) * 1e3 for each in (first, whole)]
        print(
            f"| {name}: {what} | {ms[0]:,.0f} | {max(first) * 1e3:,.0f} | {ms[1]:,.0f} | {answers} | {found} |",
            flush=True,
        )
    began = time.perf_counter()
    for _ in range(rounds):
        asked.standing(BEGUN + number / A_SECOND)
    print(
        f"| {name}: figures above the page | {(time.perf_counter() - began) / rounds * 1e3:,.0f} | | | | |",
        flush=True,
    )
    log.stop()
    database.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("SQLite", "PostgreSQL"))
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores; {options.records:,} records; medians of {options.rounds} rounds\n")
    print("| asked for | first answer ms | slowest | whole ms | answers | found |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, server() as postgresql:
        if options.only != "PostgreSQL":
            measured("SQLite", sqlite_url(Path(folder)), options.records, options.rounds)
        if postgresql is not None and options.only != "SQLite":
            measured("PostgreSQL", postgresql.new(), options.records, options.rounds)


if __name__ == "__main__":
    main()
