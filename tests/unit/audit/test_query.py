from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from vlpro.audit.events import Event
from vlpro.audit.log import AuditLog
from vlpro.audit.query import AuditQueries, Filter
from vlpro.audit.record import Actor, Entry
from vlpro.audit.recorder import LogRecorder
from vlpro.audit.service import open_log
from vlpro.crypto import Sealer
from vlpro.db import Database, sqlite_url


@pytest.fixture
def log(tmp_path: Path) -> Iterator[AuditLog]:
    database = Database(sqlite_url(tmp_path, "audit"))
    made = open_log(database, Sealer(os.urandom(32)))
    made.start()
    yield made
    made.stop()
    database.close()


@pytest.mark.parametrize(
    ("altered", "said"),
    [
        ("CAST(replace(data, 'li', 'ma') AS BLOB)", "ma"),
        ("replace(data, 'li', 'ma')", "ma"),  # a text where bytes were
        ("'no record'", None),
        ("CAST('[1]' AS BLOB)", None),
        ("x'ff'", None),
    ],
)
def test_altered_bytes_are_shown_with_the_hash_that_they_have(
    log: AuditLog, altered: str, said: str | None
) -> None:
    sealer = Sealer(os.urandom(32))
    queries = AuditQueries(log.database, LogRecorder(log, sealer), sealer, log.signer)
    seq = log.record(Entry(Event.SIGN_OUT, Actor(login="li")))
    log.record(Entry(Event.SIGN_OUT, Actor(login="li")))
    after, before = queries.get(seq + 1), queries.get(seq)
    assert after.said["prev"] == before.hash
    with log.database.write() as connection:
        connection.execute(sa.text(f"UPDATE audit_records SET data = {altered} WHERE seq = {seq}"))  # noqa: S608
    found = {one.seq: one for one in queries.find(Filter()).found}
    assert found[seq] == queries.get(seq)
    assert found[seq].said.get("login") == said
    assert found[seq].hash != after.said["prev"]
