"""The shipper after a restore: it stops, says what to do, and what it then ships hides nothing from an auditor."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.elastic.server import WRITER, ElasticServer
from tests.functional.test_audit_ship import ELK, KEY, options, plain
from tests.shipping import SEALER, Told, backed_up, filled, here, process, record, run, wait_for
from vlpro.audit.ship.command import ship
from vlpro.audit.tables import records
from vlpro.backup.restore import restore
from vlpro.commands.app import main
from vlpro.db import Database, sqlite_url
from vlpro.errors import AuditError

RESTORED = "backup:archive:restored"


@pytest.fixture
def server() -> Iterator[ElasticServer]:
    server = ElasticServer({f"ApiKey {KEY}": WRITER})
    server.install(ELK)
    with server.running() as running:
        yield running


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with records."""
    return filled(tmp_path / "data")


def copies(server: ElasticServer, index: str) -> dict[int, dict[str, Any]]:
    """The records of an index by number."""
    found = [d for _, d in server.documents(index) if d["event"]["dataset"] == "vlpro.audit"]
    numbers = {d["event"]["sequence"]: d for d in found}
    assert len(numbers) == len(found)
    return numbers


@pytest.mark.parametrize("more", [0, 60], ids=["at once", "when the service has gone on"])
def test_it_stops_and_another_index_shows_both(
    more: int, data: Path, tmp_path: Path, server: ElasticServer
) -> None:
    url, state = sqlite_url(data, "audit"), tmp_path / "shipper" / "position.json"
    backup, kept = backed_up(data)
    record(url, 30, first=100)  # what the restore will lose
    run(options(server), url, state)
    before = server.documents()

    new = tmp_path / "new"
    restore(backup, SEALER, new)
    restored = sqlite_url(new, "audit")
    if more:
        record(restored, more, first=200)
    for _ in range(2):  # each time that systemd starts it
        with pytest.raises(
            AuditError, match=r"another audit_ship\.index .*docs/audit-shipping\.md"
        ) as caught:
            run(options(server), restored, state)
        assert "另一个索引" in caught.value.zh
    assert server.documents() == before

    server.put_stream("vlpro-audit-2")  # by the template that was installed
    run(options(server, index="vlpro-audit-2"), restored, state)
    assert server.documents() == before
    old, now = copies(server, "vlpro-audit"), copies(server, "vlpro-audit-2")
    hashes = here(restored)[0]
    assert {number: d["vlpro"]["hash"] for number, d in now.items()} == hashes
    same = {n for n in old.keys() & now.keys() if old[n]["vlpro"]["hash"] == now[n]["vlpro"]["hash"]}
    assert same == set(range(1, kept + 1))  # up to the backup they are one record, and behind it two
    assert now[kept + 1]["event"]["action"] == RESTORED
    assert now[kept + 1]["vlpro"]["detail"]["sequence"] == kept
    assert not [d for d in now.values() if "problem" in d["vlpro"]]


def test_the_command_ends_with_one_sentence(data: Path, tmp_path: Path, server: ElasticServer) -> None:
    url = sqlite_url(data, "audit")
    backup, _ = backed_up(data)
    record(url, 30, first=100)
    chosen = plain(options(server))
    with process(chosen, url, tmp_path, "--once") as running:
        assert running.wait(60) == 0
    new = tmp_path / "new"
    restore(backup, SEALER, new)
    restored = sqlite_url(new, "audit")
    with process(chosen, restored, tmp_path) as running:
        assert running.wait(60) == 1
    last = (tmp_path / "shipper.log").read_text(encoding="utf-8").splitlines()[-1]
    assert "its end was cut off, or a backup was restored" in last
    with process(chosen, restored, tmp_path, "--check") as running:
        assert running.wait(60) == 1
    server.put_stream("vlpro-audit-2")
    chosen["index"] = "vlpro-audit-2"
    for arguments in (["--once"], ["--check"]):
        with process(chosen, restored, tmp_path, *arguments) as running:
            assert running.wait(60) == 0, (tmp_path / "shipper.log").read_text(encoding="utf-8")


def test_a_position_that_came_back_with_the_data_hides_nothing(
    data: Path, tmp_path: Path, server: ElasticServer
) -> None:
    """Where it lies in the data folder, the backup holds an older one: it is no leave to go on."""
    url, state = sqlite_url(data, "audit"), data / "audit-ship.json"
    run(options(server), url, state)
    backup, _ = backed_up(data)
    record(url, 30, first=100)
    run(options(server), url, state)
    before = server.documents()
    new = tmp_path / "new"
    restore(backup, SEALER, new)
    assert json.loads((new / "audit-ship.json").read_text())["seq"] < 30
    with pytest.raises(AuditError, match="has another record under number"):
        run(options(server), sqlite_url(new, "audit"), new / "audit-ship.json")
    assert server.documents() == before


@pytest.mark.parametrize("what", ["cut", "restored", "restored and gone on", "emptied"])
def test_one_that_runs_notices_it_too(what: str, data: Path, tmp_path: Path, server: ElasticServer) -> None:
    """Without its being started again: nothing of another record may follow the old one's copies."""
    url, state = sqlite_url(data, "audit"), tmp_path / "position.json"
    backup, _ = backed_up(data)
    record(url, 30, first=100)
    told, caught = Told(), list[AuditError]()

    def shipping() -> None:
        try:
            ship(options(server), url, state, once=False, tell=told, stop=stop)
        except AuditError as error:
            caught.append(error)

    stop = threading.Event()
    thread = threading.Thread(target=shipping, daemon=True)
    thread.start()
    try:
        wait_for(lambda: copies(server, "vlpro-audit").keys() == here(url)[0].keys())
        before = copies(server, "vlpro-audit")
        if what in ("cut", "emptied"):
            database = Database(url)
            with database.write() as connection:
                least = 30 if what == "cut" else 0
                connection.execute(sa.delete(records).where(records.c.seq > least))
            database.close()
        else:
            new = tmp_path / "new"
            restore(backup, SEALER, new)
            if what == "restored and gone on":
                record(sqlite_url(new, "audit"), 60, first=200)
            for name in ("audit.db-wal", "audit.db-shm"):
                (data / name).unlink(missing_ok=True)
            shutil.move(new / "audit.db", data / "audit.db")
        wait_for(lambda: bool(caught))
    finally:
        stop.set()
        thread.join(10)
    assert "docs/audit-shipping.md" in caught[0].message
    assert copies(server, "vlpro-audit") == before


def test_the_comparison_is_the_answer(
    data: Path,
    tmp_path: Path,
    server: ElasticServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On stdout, so that a weekly run can be kept; what is wrong about it on stderr."""
    url = sqlite_url(data, "audit")
    run(options(server), url, tmp_path / "position.json")
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("VLPRO_AUDIT_SHIP", json.dumps(plain(options(server))))
    command = ["audit", "ship", "--check", "--database", url]
    assert main(command) == 0
    said = capsys.readouterr()
    assert (said.out.splitlines()[0], said.err) == ("Records: 21 here, 21 there.", "")
    database = Database(url)
    with database.write() as connection:
        connection.execute(sa.delete(records).where(records.c.seq > 15))
    database.close()
    assert main(command) == 1
    said = capsys.readouterr()
    assert "there, but not here: the store has lost them (6): 16-21." in said.out
    assert said.err == "The copy is not the same.\n"
