"""The log under everything that can happen to it: kills at any point, a full disk, a database that is gone."""

from __future__ import annotations

import asyncio
import os
import queue
import re
import resource
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.people import Clock
from tests.postgresql import BINARIES, Cluster, cluster
from tests.support import alone
from tests.unit.audit.victim import Victim, entry
from vlpro.audit.checkpoint import Checkpoint
from vlpro.audit.copies import read_copies
from vlpro.audit.events import Event
from vlpro.audit.record import Actor, Entry
from vlpro.audit.service import open_log
from vlpro.audit.sources import DatabaseSource
from vlpro.audit.tables import records
from vlpro.audit.verify import verify
from vlpro.crypto import Sealer
from vlpro.db import Database, sqlite_url
from vlpro.errors import AuditError, DatabaseError


@pytest.fixture
def empty(database_url: str) -> Any:
    made = Victim(database_url)
    yield made
    made.database.close()


# --- many at once


def test_each_caller_gets_the_number_of_its_own_record(empty: Victim) -> None:
    log = empty.open(every_records=50)
    log.start()
    with ThreadPoolExecutor(16) as pool:
        numbers = list(pool.map(lambda n: log.record(entry(n)), range(300)))
    log.stop()
    assert sorted(numbers) == list(range(2, 302))
    for n, seq in enumerate(numbers):
        if n % 37 == 0:
            assert empty.row(seq)["object"] == f"msg_{n}"
    assert empty.verify(copies=True).signed == 301


def test_one_entry_twice_in_one_group_is_two_records(empty: Victim) -> None:
    log = empty.open()
    same = entry(1)
    log.start()
    waiting = [log.submit(same) for _ in range(20)]
    assert sorted(one.result() for one in waiting) == list(range(2, 22))
    log.stop()


def test_several_replicas_keep_one_chain(database_url: str) -> None:
    victims = [Victim(database_url) for _ in range(3)]
    logs = [victim.open(every_records=20) for victim in victims]
    for log in logs:
        log.start()
    with ThreadPoolExecutor(12) as pool:
        numbers = list(pool.map(lambda n: logs[n % 3].record(entry(n)), range(240)))
    for log in logs:
        log.stop()
    assert sorted(numbers) == list(range(2, 242))
    assert victims[0].verify().signed == 241
    copied = [checkpoint.size for victim in victims for checkpoint in victim.copied]
    assert len(set(copied)) == len(copied)  # each was signed by one of them
    for victim in victims:
        victim.database.close()


def test_what_cannot_be_written_down_fails_alone(empty: Victim) -> None:
    log = empty.open()
    log.start()
    waiting = [
        log.submit(entry(1)),
        log.submit(Entry(Event.ASKED, detail={"x": object()})),
        log.submit(entry(2)),
    ]
    assert [waiting[0].result(), waiting[2].result()] == [2, 3]
    with pytest.raises(AuditError):
        waiting[1].result()
    log.stop()
    assert empty.verify().last == 3


def test_long_and_strange_texts_fail_nobody(empty: Victim) -> None:
    log = empty.open()
    log.start()
    log.record(Entry(Event.SIGN_IN, Actor(login="x\0" * 500, address="y" * 900), object="\0"))
    log.stop()
    assert empty.verify().last == 2


async def _cancelled(victim: Victim) -> list[int]:
    log = victim.open()
    log.start()
    with victim.database.write():  # so that the writer waits
        first = asyncio.create_task(log.arecord(entry(1)))
        await asyncio.sleep(0.05)  # the writer has it, and waits; the others wait in the queue
        others = [asyncio.create_task(log.arecord(entry(n))) for n in range(2, 12)]
        await asyncio.sleep(0.05)
        others[3].cancel()
        first.cancel()
        await asyncio.sleep(0.01)
    numbers = [await one for one in others if not one.cancelled() and one is not others[3]]
    log.stop()
    return numbers


def test_who_gives_up_waiting_harms_nobody(empty: Victim) -> None:
    numbers = asyncio.run(_cancelled(empty))
    assert len(set(numbers)) == 9
    assert empty.verify().last == 12  # what was submitted is recorded, whether somebody waits or not


def test_a_log_that_has_ended_refuses(empty: Victim) -> None:
    log = empty.open()
    with pytest.raises(AuditError):
        log.record(entry(1))
    log.start()
    log.start()
    assert log.record(entry(1)) == 2
    results: list[Future[int]] = []
    going = threading.Event()

    def submit() -> None:
        going.set()
        results.extend(log.submit(entry(n)) for n in range(2000))

    thread = threading.Thread(target=submit)
    thread.start()
    going.wait()
    log.stop()
    thread.join()
    numbers = []
    for one in results:
        try:
            numbers.append(one.result(timeout=60))
        except AuditError:
            continue
    assert len(numbers) == empty.last() - 2
    assert empty.verify().unsigned == 0
    log.stop()


def test_a_jump_of_the_clock_is_on_the_record(empty: Victim) -> None:
    log = empty.open()
    log.start()
    log.record(entry(1))
    empty.clock.pass_(hours=-1)
    assert log.record(entry(2)) == 4
    log.stop()
    assert empty.row(3)["event"] == Event.CLOCK_JUMPED
    assert b'"seconds":-3600' in empty.row(3)["data"]
    summary = empty.verify()
    assert [seq for seq, _ in summary.backwards] == [3]


def test_a_checkpoint_is_signed_in_time(tmp_path: Path) -> None:
    signed = threading.Event()
    database = Database(sqlite_url(tmp_path))
    log = open_log(database, Sealer(b"k" * 32), every_s=0.05)
    log._copied = lambda _: signed.set()
    log.start()
    log.record(entry(1))
    assert signed.wait(30)
    log.stop()
    database.close()


@pytest.mark.parametrize("gm", [False, True])
def test_a_service_where_nothing_happens_any_more_still_signs(tmp_path: Path, *, gm: bool) -> None:
    signed: queue.SimpleQueue[Checkpoint] = queue.SimpleQueue()
    database = Database(sqlite_url(tmp_path))
    log = open_log(database, Sealer(b"k" * 32), gm=gm, every_s=0.3)
    log._copied = signed.put
    log.start()
    for number in range(3):
        log.record(entry(number))
    while (last := signed.get(timeout=30)).size < 4:
        pass
    assert bool(last.sm2) == gm
    with pytest.raises(queue.Empty):  # what is signed already is not signed again
        signed.get(timeout=0.9)
    log.record(entry(3))
    assert signed.get(timeout=30).size == 5
    log.stop()
    database.close()


def test_a_copy_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path))
    log = open_log(database, Sealer(b"k" * 32), every_records=1, copy=tmp_path / "missing" / "copies")
    log.start()
    log.record(entry(1))
    log.stop()
    assert isinstance(log.failed, AuditError)
    assert "copies" in str(log.failed)
    database.close()


# --- kills


@pytest.fixture(scope="module")
def process() -> Iterator[Executor]:
    """Where nothing else goes on: a lock that another thread holds while a process forks stays locked in the fork."""
    with alone() as made:
        yield made


class Child:
    """A forked process that appends, and tells by a pipe which records it was told to be durable.

    Args:
        dies_after: A statement after which it dies; 0: after none.
    """

    def __init__(self, url: str, folder: Path, dies_after: int) -> None:
        self._url, self._copy = url, folder / "copies"
        self._told = b""
        self._read, write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                os.close(self._read)
                self._append(write, dies_after)
                status = 0
            finally:
                os._exit(status)
        os.close(write)

    def _append(self, write: int, dies_after: int) -> None:
        signal.alarm(300)
        database = Database(self._url)
        log = open_log(database, Sealer(b"k" * 32), every_records=7, copy=self._copy)
        if dies_after:
            _die_after(dies_after, database)
        log.start()

        def work(worker: int) -> None:
            for n in range(400):
                what = (worker + 1) * 1_000_000 + n
                number = log.record(entry(what))
                os.write(write, b"%d %d\n" % (number, what))  # smaller than PIPE_BUF: whole

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        log.stop()

    def kill_after(self, number: int) -> None:
        """Kill it, in the middle of something, when it was told of some records."""
        while self._told.count(b"\n") < number:
            piece = os.read(self._read, 64)
            assert piece, "it has ended by itself"
            self._told += piece
        os.kill(self.pid, signal.SIGKILL)

    def acknowledged(self) -> dict[int, str]:
        """Which records it was told of, with what they are about; after its end."""
        with os.fdopen(self._read, "rb") as file:
            told = self._told + file.read()
        os.waitpid(self.pid, 0)
        lines = [line.split() for line in told.splitlines(keepends=True) if line.endswith(b"\n")]
        return {int(number): f"msg_{int(what)}" for number, what in lines}


def _die_after(statement: int, database: Database) -> None:
    done = 0

    def dies(*_: Any) -> None:
        nonlocal done
        done += 1
        if done == statement:
            os.kill(os.getpid(), signal.SIGKILL)

    for event in ("after_cursor_execute", "commit", "begin"):
        sa.event.listen(database._engine, event, dies)


def told_by_child(url: str, folder: Path, *, dies_after: int = 0, killed_after: int = 0) -> dict[int, str]:
    """Of which records a child was told that died or was killed."""
    child = Child(url, folder, dies_after)
    if killed_after:
        child.kill_after(killed_after)
    return child.acknowledged()


def check(victim: Victim, folder: Path, acknowledged: dict[int, str]) -> None:
    """Everything that was acknowledged is there once, the chain and the copies hold, and the log goes on."""
    copies = read_copies(folder / "copies", victim.keys) if (folder / "copies").exists() else []
    victim.fill(2)
    summary = verify(DatabaseSource(victim.database), keys=victim.keys, copies=copies)
    assert summary.copies == len(copies)
    with victim.database.read() as connection:
        rows = connection.execute(sa.select(records.c.seq, records.c.object)).all()
        stored = {row.seq: row.object for row in rows}
    assert {seq: stored.get(seq) for seq in acknowledged} == acknowledged
    of_child = [thing for thing in stored.values() if re.fullmatch(r"msg_\d{7}", thing)]
    assert len(set(of_child)) == len(of_child)


@pytest.mark.parametrize("statement", [1, 2, 3, 5, 8, 13, 21, 22, 23, 24, 34, 55])
def test_a_process_that_dies_after_any_statement(
    database_url: str, tmp_path: Path, statement: int, process: Executor
) -> None:
    victim = Victim(database_url)
    victim.fill(1)
    victim.database.close()
    acknowledged = process.submit(told_by_child, database_url, tmp_path, dies_after=statement).result()
    check(victim, tmp_path, acknowledged)
    victim.database.close()


def test_a_process_that_is_killed_at_any_moment(database_url: str, tmp_path: Path, process: Executor) -> None:
    victim = Victim(database_url)
    acknowledged: dict[int, str] = {}
    for number in (1, 6, 25, 70):
        victim.fill(1)
        victim.database.close()
        acknowledged |= process.submit(told_by_child, database_url, tmp_path, killed_after=number).result()
        assert victim.verify().last >= len(acknowledged)
    assert len(acknowledged) > 100
    victim.database.close()


# --- the disk


def test_a_full_disk_loses_nothing_and_the_log_goes_on(tmp_path: Path, process: Executor) -> None:
    """In a process of its own, since the limit of a file's size is the process's."""
    url = sqlite_url(tmp_path)
    before, refused, after = process.submit(_on_a_full_disk, url).result()
    assert refused > 5
    assert len(before) > 20
    assert len(after) == 10
    victim = Victim(url)
    assert victim.verify().last == max(after)
    with victim.database.read() as connection:
        rows = connection.execute(sa.select(records.c.seq, records.c.object)).all()
        stored = {row.seq: row.object for row in rows}
    assert {seq: stored[seq] for seq in before | after} == before | after
    victim.database.close()


def _on_a_full_disk(url: str) -> tuple[dict[int, str], int, dict[int, str]]:
    signal.alarm(300)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    database = Database(url)
    log = open_log(database, Sealer(b"k" * 32), every_records=7)
    log.start()
    before, refused = {}, 0
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    for n in range(3000):
        try:
            before[log.record(entry(n))] = f"msg_{n}"
        except AuditError:
            refused += 1
            if refused > 20:
                break
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    after = {log.record(entry(n)): f"msg_{n}" for n in range(5000, 5010)}
    log.stop()
    database.close()
    signal.alarm(0)
    return before, refused, after


# --- a database that is locked, or gone


def test_a_database_that_another_process_keeps_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vlpro.db._BUSY_MS", 50)
    victim = Victim(sqlite_url(tmp_path), clock=Clock())
    log = victim.open()
    log.start()
    other = Database(sqlite_url(tmp_path))
    with other.write(), pytest.raises(AuditError):
        log.record(entry(1))
    assert log.record(entry(2)) == 2
    log.stop()
    assert victim.verify().last == 2
    other.close()
    victim.database.close()


def test_a_server_that_goes_away_and_comes_back(tmp_path: Path) -> None:
    if BINARIES is None:
        pytest.skip("PostgreSQL is not installed")
    with cluster() as server:  # its own: it is stopped
        _goes_and_comes(server)


def _goes_and_comes(server: Cluster) -> None:
    victim = Victim(server.new())
    log = victim.open()
    log.start()
    acknowledged: dict[int, str] = {}
    refused = 0
    back = threading.Event()

    def work(worker: int) -> None:
        nonlocal refused
        left, what = 60, worker * 1_000_000
        while left:  # however long the server takes to go and to come
            left -= back.is_set()
            what += 1
            try:
                acknowledged[log.record(entry(what))] = f"msg_{what}"
            except AuditError:
                refused += 1
                time.sleep(0.02)

    with ThreadPoolExecutor(4) as pool:
        working = [pool.submit(work, worker) for worker in range(4)]
        try:
            while len(acknowledged) < 40:
                time.sleep(0.005)
            server.stop()
            while refused < 4:
                time.sleep(0.005)
            with pytest.raises(DatabaseError):
                victim.last()
            server.start()
        finally:
            back.set()
        for one in working:
            one.result()
    number = log.record(entry(1))
    log.stop()
    assert refused >= 4
    assert len(acknowledged) > 200
    assert victim.verify(copies=True).last == number
    with victim.database.read() as connection:
        rows = connection.execute(sa.select(records.c.seq, records.c.object)).all()
        stored = {row.seq: row.object for row in rows}
    assert {seq: stored.get(seq) for seq in acknowledged} == acknowledged
    victim.database.close()


def test_checkpoints_name_their_log_and_key(empty: Victim) -> None:
    empty.fill(3)
    signed: Checkpoint = empty.copied[-1]
    assert empty.keys[0].hex().encode() in signed.data
    assert empty.row(1)["object"].encode() in signed.data
