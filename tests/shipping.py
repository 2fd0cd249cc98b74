"""Logs to ship, and shippers of one's own or as processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests.elastic.server import ElasticServer
from vlpro.audit.events import Event, Outcome
from vlpro.audit.log import AuditLog
from vlpro.audit.record import Actor, Entry
from vlpro.audit.service import open_log
from vlpro.audit.ship.command import check, ship
from vlpro.audit.ship.documents import of_checkpoint
from vlpro.audit.ship.options import ShipOptions
from vlpro.audit.tables import checkpoints, records
from vlpro.backup.make import make
from vlpro.backup.stores import Stores
from vlpro.crypto import Sealer
from vlpro.db import Database, sqlite_url

__all__ = [
    "PHONE",
    "SEALER",
    "Told",
    "backed_up",
    "entry",
    "filled",
    "here",
    "opened",
    "process",
    "record",
    "run",
    "same",
    "there",
    "wait_for",
]

PHONE = "13800138000"
SEALER = Sealer(b"k" * 32)
_ROOT = Path(__file__).parents[1]
_EVENTS = (Event.SIGN_IN, Event.SIGN_OUT, Event.ACCOUNT_CHANGED, Event.ASKED, Event.POLICY_DECIDED)
_OUTCOMES = tuple(Outcome)


def entry(number: int, **detail: Any) -> Entry:
    """Something that happened."""
    actor = Actor(
        account=f"acc_{number:024x}",
        login=("li.wenjing", "张伟", 'o"]brien\\')[number % 3],
        role="user",
        session=f"ses_{number:024x}",
        request=f"req_{number:024x}",
        address=("10.0.0.7", "2001:db8::7", "unix")[number % 3],
    )
    found = {"n": number, "words": "静水流深 \u2028\x7f é", **detail}
    return Entry(_EVENTS[number % 5], actor, _OUTCOMES[number % 3], object=f"acc_{number:024x}", detail=found)


@contextmanager
def opened(url: str, **options: Any) -> Iterator[AuditLog]:
    """A log that writes, with its first record."""
    database = Database(url)
    log = open_log(database, SEALER, **({"every_records": 100} | options))
    log.start()
    try:
        yield log
    finally:
        log.stop()
        database.close()


def record(url: str, count: int, *, first: int = 1, **detail: Any) -> None:
    """Record so many entries, and sign them."""
    with opened(url) as log:
        for done in [log.submit(entry(number, **detail)) for number in range(first, first + count)]:
            done.result()


def filled(folder: Path) -> Path:
    """A new data folder with records."""
    folder.mkdir()
    database = Database(sqlite_url(folder))
    database.migrate()
    database.close()
    record(sqlite_url(folder, "audit"), 20)
    return folder


def backed_up(data: Path) -> tuple[Path, int]:
    """A backup of a data folder, and the number of the last record in it."""
    with opened(sqlite_url(data, "audit")) as log:
        made = make(Stores.of(data), SEALER, log, data.parent / "one.vlbackup")
    return made.path, made.manifest.audit.sequence


def here(url: str) -> tuple[dict[int, str], dict[int, str]]:
    """Hashes of the records and the checkpoints of a database."""
    database = Database(url)
    try:
        with database.read() as connection:
            found = connection.execute(sa.select(records.c.seq, records.c.hash)).all()
            signed = connection.execute(
                sa.select(checkpoints.c.size, checkpoints.c.data, checkpoints.c.signature)
            ).all()
    finally:
        database.close()
    return {row.seq: bytes(row.hash).hex() for row in found}, {
        row.size: of_checkpoint(row.size, row.data, row.signature, log="", labels={}).hash for row in signed
    }


def there(documents: list[dict[str, Any]]) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    """Numbers and hashes of documents: records and checkpoints, in order."""
    found: tuple[list[tuple[int, str]], list[tuple[int, str]]] = ([], [])
    for document in documents:
        own = document["vlpro"]
        if document["event"]["dataset"] == "vlpro.audit":
            found[0].append((document["event"]["sequence"], own["hash"]))
        else:
            found[1].append((own["checkpoint"]["size"], own["hash"]))
    return sorted(found[0]), sorted(found[1])


def same(url: str, server: ElasticServer) -> bool:
    """Whether everything here is there, once, and nothing else."""
    records_here, checkpoints_here = here(url)
    documents = [document for _, document in server.documents()]
    return there(documents) == (sorted(records_here.items()), sorted(checkpoints_here.items()))


class Told:
    """Sentences for the operator."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, en: str, zh: str) -> None:
        assert zh
        self.lines.append(en)

    def __contains__(self, words: str) -> bool:
        return any(words in line for line in self.lines)


def run(options: ShipOptions, url: str, state: Path) -> Told:
    """Ship until all has arrived, and compare."""
    told = Told()
    ship(options, url, state, once=True, tell=told, stop=threading.Event())
    if options.url:
        assert check(options, url, state, tell=told), told.lines
    return told


@contextmanager
def process(
    options: dict[str, Any], url: str, folder: Path, *arguments: str, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """``vlpro audit ship`` as a process, ended at the end of the block."""
    given = {
        **{name: value for name, value in os.environ.items() if not name.startswith("VLPRO_")},
        "VLPRO_AUDIT_SHIP": json.dumps(options),
        "VLPRO_DATA_DIR": str(folder),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(_ROOT),
        **environment,
    }
    with (folder / "shipper.log").open("ab") as log:
        running = subprocess.Popen(
            [sys.executable, "-m", "vlpro", "audit", "ship", "--database", url, *arguments],
            env=given,
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(20)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait(10)


def wait_for(what: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not become so"
        time.sleep(0.02)
