"""The shipper and a strict stand-in for Elasticsearch: whatever happens, what is here is there in the end, once."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.elastic.http import basic
from tests.elastic.server import WRITER, ElasticServer, Fault, Stored, lost, partial, slow, status
from tests.ports import free_port
from tests.shipping import PHONE, Told, entry, here, opened, process, record, run, same, there, wait_for
from tests.slapd import make_ca
from tests.support import alone
from vlpro.audit.events import Event
from vlpro.audit.record import Entry
from vlpro.audit.ship.command import check, ship
from vlpro.audit.ship.elastic import Elasticsearch
from vlpro.audit.ship.options import ShipOptions
from vlpro.audit.ship.position import PositionFile
from vlpro.audit.ship.store import Store
from vlpro.audit.tables import records
from vlpro.audit.tree import leaf_hash
from vlpro.db import Database, sqlite_url
from vlpro.errors import AuditError, ConfigError, DatabaseError

ELK = Path(__file__).parents[2] / "deploy/elk"
KEY = "aWQ6c2VjcmV0LXRoYXQtbm9ib2R5LXNlZXM="


@pytest.fixture
def url(tmp_path: Path) -> str:
    return sqlite_url(tmp_path, "audit")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "shipper" / "position.json"


@pytest.fixture
def server() -> Iterator[ElasticServer]:
    server = ElasticServer({f"ApiKey {KEY}": WRITER})
    server.install(ELK)
    with server.running() as running:
        yield running


def options(server: ElasticServer, **more: Any) -> ShipOptions:
    given = {"api_key": KEY, "batch": 50, "most_wait_s": 0.05, "poll_s": 0.02} | more
    return ShipOptions(url=f"http://127.0.0.1:{server.port}", **given)


def plain(chosen: ShipOptions) -> dict[str, Any]:
    """Options as they are written in the settings."""
    found = chosen.model_dump(mode="json", exclude_defaults=True)
    return found | {"api_key": chosen.api_key.get_secret_value()}


def test_everything_arrives_as_it_is_in_the_fields_of_ecs(
    database_url: str, state: Path, server: ElasticServer
) -> None:
    record(database_url, 230)
    run(options(server, labels={"site": "suzhou"}), database_url, state)
    assert same(database_url, server)
    documents = dict(server.documents())
    log = next(iter(documents)).rpartition("-")[0]
    database = Database(database_url)
    with database.read() as connection:
        stored = bytes(connection.execute(sa.select(records.c.data).where(records.c.seq == 3)).scalar_one())
    database.close()
    found = documents[f"{log}-3"]
    assert found["event"]["original"].encode() == stored
    assert leaf_hash(found["event"]["original"].encode()).hex() == found["vlpro"]["hash"]
    assert documents[f"{log}-4"]["vlpro"]["prev"] == found["vlpro"]["hash"]
    assert found["@timestamp"] == json.loads(stored)["time"]
    assert found["user"] == {"name": 'o"]brien\\', "id": f"acc_{2:024x}", "roles": ["user"]}
    assert found["source"] == {"address": "unix"}
    assert documents[f"{log}-2"]["source"] == {"ip": "2001:db8::7", "address": "2001:db8::7"}
    assert found["http"]["request"]["id"] == f"req_{2:024x}"
    assert found["labels"] == {"site": "suzhou"}
    assert found["vlpro"]["detail"]["n"] == 2
    assert documents[f"{log}-c231"]["vlpro"]["checkpoint"]["size"] == 231


@pytest.mark.parametrize(
    "faults",
    [
        [status(429)] * 3,
        [status(503), status(502), status(500)],
        [lost(stored=False), lost(stored=True)] * 2,
        [partial(2), partial(3), partial(2, 503)],
        [partial(1), partial(1)],
        [slow(0.3)],
        [lost(stored=True), partial(2), status(429), lost(stored=True), status(503)],
    ],
    ids=["429", "5xx", "lost", "partial", "all items", "slow", "mixed"],
)
def test_faults_cost_time_and_nothing_else(
    faults: list[Fault], url: str, state: Path, server: ElasticServer
) -> None:
    record(url, 170)
    server.faults = list(faults)
    run(options(server), url, state)
    assert not server.faults
    assert same(url, server)


def test_it_waits_as_long_as_it_is_told(url: str, state: Path, server: ElasticServer) -> None:
    record(url, 5)
    server.faults = [status(429, Retry_After="1")]
    began = time.monotonic()
    run(options(server), url, state)
    assert time.monotonic() - began >= 1
    assert same(url, server)


def test_what_is_late_beyond_the_limit_is_not_sent_twice(
    url: str, state: Path, server: ElasticServer
) -> None:
    record(url, 60)
    over, told = threading.Event(), Told()

    def late() -> None:
        over.wait(60)

    server.faults = [Fault(after=late)]
    try:
        ship(
            options(server, timeout_s=0.5), url, state, once=True, tell=told, stop=threading.Event()
        )  # what is late by chance, too, it tries again; the comparison does not
    finally:
        over.set()
    assert "gave no whole answer (ReadTimeout)" in told
    assert check(options(server), url, state, tell=told)
    assert same(url, server)


def test_requests_keep_to_their_size(url: str, state: Path, server: ElasticServer) -> None:
    record(url, 100, words="字" * 1000)
    run(options(server, batch=1000, batch_bytes=40_000), url, state)
    assert 20_000 < server.largest < 40_000 + 5_000
    assert same(url, server)


def test_what_is_too_large_is_sent_in_parts(url: str, state: Path, server: ElasticServer) -> None:
    record(url, 100, words="字" * 1000)
    server.most_bytes = 30_000
    run(options(server, batch=1000), url, state)
    assert same(url, server)


def test_what_alone_is_too_large_arrives_bare_or_stops(url: str, state: Path, server: ElasticServer) -> None:
    record(url, 1, words="字" * 10_000)
    record(url, 3)
    server.most_bytes = 45_000  # the document holds the text twice, 30,000 bytes each
    told = run(options(server), url, state)
    assert same(url, server)
    bare = next(d for _, d in server.documents() if d["event"]["kind"] == "pipeline_error")
    assert bare["event"]["sequence"] == 2
    record(url, 1, words="字" * 20_000)
    with pytest.raises(AuditError, match="alone is too large for the destination"):
        ship(options(server), url, state, once=True, tell=told, stop=threading.Event())
    server.most_bytes = 1_000_000
    run(options(server), url, state)
    assert same(url, server)


def test_a_record_that_is_refused_arrives_bare(url: str, state: Path, server: ElasticServer) -> None:
    record(url, 60)
    server.poison = lambda d: (
        "failed to parse field [vlpro.detail]" if d["vlpro"].get("detail", {}).get("n") == 30 else None
    )
    told = run(options(server), url, state)
    assert "record 31 is refused as it is" in told
    assert same(url, server)
    bare = next(d for _, d in server.documents() if d["event"]["kind"] == "pipeline_error")
    assert leaf_hash(bare["event"]["original"].encode()).hex() == bare["vlpro"]["hash"]
    assert "vlpro.detail" in bare["error"]["message"]


def test_where_even_that_is_refused_nothing_after_it_is_shipped(
    url: str, state: Path, server: ElasticServer
) -> None:
    record(url, 60)
    server.poison = lambda d: "no" if d["event"].get("sequence") == 31 else None
    with pytest.raises(AuditError, match="record 31 is refused, and so is its bare text"):
        run(options(server, batch=10), url, state)
    numbers = [number for number, _ in there([d for _, d in server.documents()])[0]]
    assert 30 in numbers
    assert 41 not in numbers
    server.poison = lambda _: None
    run(options(server), url, state)
    assert same(url, server)


def test_a_document_too_deep_for_the_mapping_arrives_bare(
    url: str, state: Path, server: ElasticServer
) -> None:
    deep: Any = 1
    for _ in range(30):
        deep = {"a": deep}
    record(url, 3, deep=deep)
    run(options(server), url, state)
    assert same(url, server)
    assert sum(d["event"]["kind"] == "pipeline_error" for _, d in server.documents()) == 3


def test_the_server_is_down_and_comes_back(url: str, state: Path) -> None:
    server, port = ElasticServer(), free_port()
    server.install(ELK)
    record(url, 80)
    stop, told = threading.Event(), Told()
    chosen = ShipOptions(url=f"http://127.0.0.1:{port}", batch=20, most_wait_s=0.05, poll_s=0.02)
    thread = threading.Thread(
        target=lambda: ship(chosen, url, state, once=False, tell=told, stop=stop), daemon=True
    )
    thread.start()
    try:
        wait_for(lambda: "cannot be reached" in told)
        for first in (81, 121, 161):
            with server.running(port=port):
                wait_for(lambda: same(url, server))
            record(url, 40, first=first)  # while it is down again
        with server.running(port=port):
            wait_for(lambda: same(url, server))
            assert check(chosen, url, state, tell=told)
    finally:
        stop.set()
        thread.join(10)
    assert "Shipping goes on." in told


def test_records_appended_while_shipping_arrive(
    database_url: str, state: Path, server: ElasticServer
) -> None:
    stop, told = threading.Event(), Told()
    with opened(database_url, every_records=50) as log:
        thread = threading.Thread(
            target=lambda: ship(options(server), database_url, state, once=False, tell=told, stop=stop),
            daemon=True,
        )
        thread.start()
        try:
            for number in range(600):
                log.record(entry(number)) if number % 3 else log.submit(entry(number)).result()
        finally:
            log.stop()
            wait_for(lambda: same(database_url, server) or not thread.is_alive())
            stop.set()
            thread.join(10)
    assert same(database_url, server)
    assert check(options(server), database_url, state, tell=told)


def test_killed_again_and_again_it_leaves_no_gap_and_nothing_twice(
    url: str, tmp_path: Path, server: ElasticServer
) -> None:
    record(url, 1000)
    chance = random.Random(7)
    killed, answers, before = threading.Event(), 0, 0

    def answer() -> None:
        nonlocal answers
        answers += 1
        if answers % 5 or len(server.documents()) == before:
            time.sleep(0.01)
        else:  # one that is killed late has not shipped everything by then
            killed.wait(60)

    server.faults = [Fault(after=answer)] * 10_000
    kills = 0
    while kills < 6 and not same(url, server):
        killed.clear()
        before = len(server.documents())
        with process(plain(options(server, batch=40)), url, tmp_path) as running:
            wait_for(lambda before=before: len(server.documents()) > before or running.poll() is not None)  # type: ignore[misc]
            time.sleep(chance.uniform(0, 0.1))
            running.send_signal(signal.SIGKILL)
            running.wait(10)
        killed.set()
        kills += 1
        if kills == 2:
            (tmp_path / "audit-ship.json").unlink()  # the position is lost: the destination knows
        if kills == 4:
            server.rollover("vlpro-audit")  # ids of the index before do not count any more
    assert kills >= 5
    server.faults = []
    with process(plain(options(server)), url, tmp_path, "--once") as running:
        assert running.wait(60) == 0
    assert same(url, server)
    with process(plain(options(server)), url, tmp_path, "--check") as running:
        assert running.wait(60) == 0, (tmp_path / "shipper.log").read_text()


@pytest.mark.parametrize("point", ["prepare", "put", "present", "last", "save", "records", "checkpoints"])
def test_an_end_at_any_point_leaves_no_gap_and_nothing_twice(
    point: str,
    url: str,
    state: Path,
    server: ElasticServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As a kill would, an exception that nothing catches ends it: at each call, before and after its work."""

    class Killed(BaseException):
        pass

    record(url, 50)
    chosen = options(server, batch=30, most_wait_s=0.01)
    owners = {"save": PositionFile, "records": Store, "checkpoints": Store}
    owner: Any = owners.get(point, Elasticsearch)
    work: Callable[..., Any] = getattr(owner, point)
    calls = 0
    for deadly in range(1, 80):
        calls = 0

        def dying(*arguments: Any, deadly: int = deadly) -> Any:
            nonlocal calls
            calls += 1
            if 2 * calls - 1 == deadly:
                raise Killed
            try:
                return work(*arguments)
            finally:
                if 2 * calls == deadly:
                    raise Killed

        state.unlink(missing_ok=True)
        server.indices[server.streams["vlpro-audit"][0]].documents.clear()
        server.faults = [partial(3), lost(stored=True)]
        monkeypatch.setattr(owner, point, dying)
        killed = False
        try:
            ship(chosen, url, state, once=True, tell=Told(), stop=threading.Event())
        except Killed:
            killed = True
        finally:
            monkeypatch.undo()
        server.faults = [partial(2)] if deadly % 2 else []
        ship(chosen, url, state, once=True, tell=Told(), stop=threading.Event())
        assert same(url, server), deadly
        if not killed:
            break
    assert 2 < deadly < 79


def test_a_lost_reply_is_not_repeated_into_the_next_index(
    url: str, state: Path, server: ElasticServer
) -> None:
    """Ids count within one index of a data stream only: without asking, all would be there twice."""
    record(url, 100)

    def roll_over() -> None:
        server.rollover("vlpro-audit")
        lost(stored=True).after()

    server.faults = [Fault(after=roll_over)] * 3
    run(options(server), url, state)
    assert len(server.streams["vlpro-audit"]) == 4
    assert same(url, server)


def test_two_at_once_write_each_record_once(url: str, tmp_path: Path, server: ElasticServer) -> None:
    record(url, 500)
    server.faults = [slow(0.01)] * 40
    chosen = plain(options(server, batch=30))
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with (
        process(chosen, url, tmp_path / "one", "--once") as one,
        process(chosen, url, tmp_path / "two", "--once") as two,
    ):
        assert (one.wait(120), two.wait(120)) == (0, 0)
    assert same(url, server)
    run(options(server), url, tmp_path / "one" / "audit-ship.json")


def test_two_with_one_position_are_not_allowed(url: str, tmp_path: Path, server: ElasticServer) -> None:
    record(url, 5)
    state = tmp_path / "audit-ship.json"
    with PositionFile(state).held(), pytest.raises(ConfigError, match="Another shipper is at work"):
        run(options(server), url, state)


def test_the_position_may_be_lost_or_damaged(url: str, state: Path, server: ElasticServer) -> None:
    record(url, 120)
    run(options(server), url, state)
    for content in ("", "{", "[]", '{"to": 1}', '{"to": "elsewhere", "seq": 900}'):
        state.write_text(content)
        run(options(server), url, state)
        assert same(url, server)
        assert json.loads(state.read_text())["seq"] == 121


def test_what_the_destination_has_lost_is_sent_again(url: str, state: Path, server: ElasticServer) -> None:
    record(url, 120)
    told = run(options(server), url, state)
    index = server.indices[server.streams["vlpro-audit"][0]]
    for number in range(60, 122):
        index.documents = {
            i: d for i, d in index.documents.items() if not i.endswith((f"-{number}", f"c{number}"))
        }
    record(url, 5)
    told = run(options(server), url, state)
    assert "121 records were shipped, and the destination ends at 59" in told
    assert same(url, server)


def test_the_check_names_what_is_missing_and_what_differs(
    url: str, state: Path, server: ElasticServer
) -> None:
    record(url, 120)
    chosen = options(server)
    run(chosen, url, state)
    index = server.indices[server.streams["vlpro-audit"][0]]
    log = next(iter(index.documents)).rpartition("-")[0]
    for number in (7, 50, 51, 52):
        del index.documents[f"{log}-{number}"]
    index.documents[f"{log}-9"].source["vlpro"]["hash"] = "00"
    server.rollover("vlpro-audit")
    server.indices[server.streams["vlpro-audit"][1]].documents["other"] = index.documents[f"{log}-11"]
    told = Told()
    assert not check(chosen, url, state, tell=told)
    assert "Records missing there (4): 7, 50-52." in told
    assert "Records different there (1): 9." in told
    assert "Records there more than once (1): 11." in told
    del server.indices[server.streams["vlpro-audit"][1]].documents["other"]
    index.documents[f"{log}-9"].source["vlpro"]["hash"] = here(url)[0][9]
    state.unlink()  # as the documentation says
    run(chosen, url, state)
    assert same(url, server)


def test_a_store_whose_end_was_cut_off_is_told(url: str, state: Path, server: ElasticServer) -> None:
    record(url, 40)
    run(options(server), url, state)
    database = Database(url)
    with database.write() as connection:
        connection.execute(sa.delete(records).where(records.c.seq > 30))
    database.close()
    with pytest.raises(AuditError, match="41 records were shipped, and the store ends at 30"):
        run(options(server), url, state)
    told = Told()
    assert not check(options(server), url, state, tell=told)
    assert "there, but not here: the store has lost them (11): 31-41." in told


def test_another_record_under_the_same_number_is_never_taken_for_a_copy(
    url: str, tmp_path: Path, state: Path, server: ElasticServer
) -> None:
    """A store that was restored from an older copy, and went on."""
    record(url, 40)
    shutil.copytree(tmp_path, tmp_path / "backup", ignore=lambda *_: ["backup", "shipper"])
    record(url, 20, first=100)
    run(options(server), url, state)
    restored = sqlite_url(tmp_path / "backup", "audit")
    record(restored, 30, first=200)
    for _ in range(2):
        with pytest.raises(AuditError, match="has another record under number"):
            run(options(server), restored, state)
        state.unlink(missing_ok=True)  # nor without the position
    assert same(url, server)


def test_nor_where_it_was_written_meanwhile(url: str, state: Path, server: ElasticServer) -> None:
    """Another machine that goes on with a copy of the store."""
    record(url, 40)
    run(options(server), url, state)
    record(url, 5)
    index = server.indices[server.streams["vlpro-audit"][0]]
    log = next(iter(index.documents)).rpartition("-")[0]

    def another() -> None:
        other = json.loads(json.dumps(index.documents[f"{log}-41"].source))
        other["event"]["sequence"] = 43
        index.documents[f"{log}-43"] = Stored(other)

    server.faults = [Fault(before=another)]
    with pytest.raises(AuditError, match="has another record under number 43"):
        run(options(server), url, state)


def test_a_record_that_was_altered_here_is_shipped_with_what_is_wrong(
    url: str, state: Path, server: ElasticServer
) -> None:
    record(url, 20)
    database = Database(url)
    with database.write() as connection:
        data = bytes(connection.execute(sa.select(records.c.data).where(records.c.seq == 8)).scalar_one())
        connection.execute(
            sa.update(records).where(records.c.seq == 8).values(data=data.replace(b'"n":7', b'"n":0'))
        )
        connection.execute(sa.delete(records).where(records.c.seq == 12))
    database.close()
    told = run(options(server), url, state)
    assert "Record 8 of the store: its hash is not that of its bytes." in told
    assert "Record 13 of the store: it does not follow from the one before" in told
    found = {
        d["event"]["sequence"]: d for _, d in server.documents() if d["event"]["dataset"] == "vlpro.audit"
    }
    assert found[8]["vlpro"]["problem"] == "its hash is not that of its bytes"
    assert 12 not in found


def test_the_beginning_may_be_in_an_archive(url: str, state: Path, server: ElasticServer) -> None:
    record(url, 100)
    run(options(server), url, state)
    database = Database(url)
    with database.write() as connection:
        connection.execute(sa.delete(records).where(records.c.seq <= 50))
    database.close()
    told = Told()
    assert check(options(server), url, state, tell=told), told.lines
    assert "Records there from before the store's beginning: 50." in told


def test_the_copy_may_be_masked(url: str, state: Path, server: ElasticServer) -> None:
    record(url, 10)
    record(url, 10, first=11, phone=PHONE, card="6222 0212 3456 7890 128", person="11010519491231002X")
    run(options(server, masked=True), url, state)
    assert same(url, server)
    text = json.dumps([d for _, d in server.documents()])
    assert PHONE not in text
    assert "11010519491231002X" not in text
    masked = [d for _, d in server.documents() if d["vlpro"].get("masked")]
    assert len(masked) == 10
    for _, document in server.documents():
        exact = leaf_hash(document["event"]["original"].encode()).hex() == document["vlpro"]["hash"]
        assert exact is (document["vlpro"].get("masked") is False)
        assert json.loads(document["event"]["original"])


def test_the_copy_follows_the_policy(url: str, state: Path, server: ElasticServer) -> None:
    """The record says what the policy says; the copy is the same wherever the shipper stopped and went on."""

    def decide(**changes: tuple[Any, Any]) -> None:
        detail = {"changes": {name: {"old": old, "new": new} for name, (old, new) in changes.items()}}
        with opened(url) as log:
            log.submit(Entry(Event.POLICY_DECIDED, detail=detail)).result()

    def copies(target: ElasticServer) -> dict[int, Any]:
        found = (d for _, d in target.documents() if d["event"]["dataset"] == "vlpro.audit")
        return {d["event"]["sequence"]: d for d in found}

    for change in (
        {},
        {"mask_shipped": (False, True), "mask_names": ([], ["张伟强"])},
        {"mask_shipped": (True, False)},
    ):
        if change:
            decide(**change)
        record(url, 2, phone=PHONE, who="张伟强")
        run(options(server), url, state)
    told = {number: json.dumps(d, ensure_ascii=False) for number, d in copies(server).items()}
    # The log's beginning, two records, a decision, two masked records, a decision, two records.
    assert [number for number, text in told.items() if PHONE in text] == [2, 3, 8, 9]
    assert [number for number, text in told.items() if "张伟强" in text] == [2, 3, 8, 9]
    assert [number for number, d in copies(server).items() if d["vlpro"]["masked"]] == [4, 5, 6]

    again = ElasticServer({f"ApiKey {KEY}": WRITER})
    again.install(ELK)
    with again.running() as other:
        run(options(other), url, state.with_name("again.json"))
        assert copies(other) == copies(server)
    assert same(url, server)


# --- secrets, certificates, addresses


def test_secrets_from_files_and_basic_authentication(
    url: str, tmp_path: Path, state: Path, server: ElasticServer
) -> None:
    server.logins = {basic("vlpro", "pässword:1"): WRITER}
    record(url, 5)
    secret = tmp_path / "secret"
    secret.write_text("pässword:1\n")
    run(options(server, api_key="", user="vlpro", password_file=str(secret)), url, state)
    assert same(url, server)


def test_wrong_secrets_and_missing_rights_are_told_and_lose_nothing(
    url: str, tmp_path: Path, state: Path, server: ElasticServer
) -> None:
    record(url, 60)
    secret = tmp_path / "secret"
    secret.write_text("d3Jvbmc=")
    stop, told = threading.Event(), Told()
    chosen = options(server, api_key="", api_key_file=str(secret))
    thread = threading.Thread(
        target=lambda: ship(chosen, url, state, once=False, tell=told, stop=stop), daemon=True
    )
    thread.start()
    try:
        wait_for(lambda: "refuses the API key or the password" in told)
        server.logins = {f"ApiKey {KEY}": WRITER - {"create_doc"}}
        secret.write_text(KEY)  # read again, without a restart
        wait_for(lambda: "lets nothing be written to vlpro-audit: 403" in told)
        assert server.documents() == []
        server.logins = {f"ApiKey {KEY}": WRITER}
        wait_for(lambda: same(url, server))
    finally:
        stop.set()
        thread.join(10)
    assert not any(KEY in line or "d3Jvbmc" in line for line in told.lines)


def test_without_its_data_stream_nothing_is_written(url: str, state: Path) -> None:
    """Elasticsearch would make an index, and guess what numbers and dates are."""
    record(url, 5)
    with ElasticServer().running() as server:
        chosen = options(server, api_key="")
        stop, told = threading.Event(), Told()
        thread = threading.Thread(
            target=lambda: ship(chosen, url, state, once=False, tell=told, stop=stop), daemon=True
        )
        thread.start()
        try:
            wait_for(lambda: "neither a data stream nor an index vlpro-audit" in told)
            assert server.bulks == 0
            server.install(ELK)
            wait_for(lambda: same(url, server))
        finally:
            stop.set()
            thread.join(10)


def test_https_with_an_authority_of_ones_own(url: str, tmp_path: Path, state: Path) -> None:
    (tmp_path / "tls").mkdir()
    (tmp_path / "other").mkdir()
    make_ca(tmp_path / "tls", ("elk.test", "127.0.0.1"))
    make_ca(tmp_path / "other")
    record(url, 60)
    server = ElasticServer({f"ApiKey {KEY}": WRITER})
    server.install(ELK)
    with server.running(certificate=tmp_path / "tls/server.pem"):
        chosen = {"url": f"https://127.0.0.1:{server.port}", "api_key": KEY, "most_wait_s": 0.05}
        for wrong, reason in (
            ({"ca": str(tmp_path / "other/ca.pem")}, "is not trusted"),
            ({}, "is not trusted"),
            (
                {"ca": str(tmp_path / "tls/ca.pem"), "url": f"https://localhost:{server.port}"},
                "is not trusted",
            ),
        ):
            stop, told = threading.Event(), Told()
            thread = threading.Thread(
                target=lambda w=wrong, t=told, s=stop: ship(
                    ShipOptions(**(chosen | w)), url, state, once=False, tell=t, stop=s
                ),
                daemon=True,
            )
            thread.start()
            wait_for(lambda told=told, reason=reason: reason in told)  # type: ignore[misc]
            stop.set()
            thread.join(10)
        assert server.requests == []  # nobody was told the secret
        run(ShipOptions(ca=str(tmp_path / "tls/ca.pem"), **chosen), url, state)
        assert same(url, server)


def test_proxies_of_the_environment_are_ignored(
    url: str, state: Path, server: ElasticServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    record(url, 5)
    run(options(server), url, state)
    assert same(url, server)


def test_redirects_are_not_followed(url: str, state: Path, server: ElasticServer) -> None:
    record(url, 5)
    server.faults = [status(307, Location="http://127.0.0.1:9/vlpro-audit/_bulk")]
    told = run(options(server), url, state)
    assert "refuses: 307" in told
    assert same(url, server)


def test_an_answer_that_is_not_elasticsearchs_is_told(
    url: str, state: Path, server: ElasticServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(url, 5)
    bulk, answers = server.bulk, [{"items": []}, {"items": [{"create": {}}] * 6}, {"items": 7}, {}]
    monkeypatch.setattr(server, "bulk", lambda *arguments: answers.pop() if answers else bulk(*arguments))
    told = run(options(server), url, state)
    assert "but not as Elasticsearch does" in told
    assert same(url, server)


# --- the process and the store


def test_the_command_tells_and_hides(url: str, tmp_path: Path, server: ElasticServer) -> None:
    record(url, 30)
    with process(plain(options(server)), url, tmp_path, "--once") as running:
        assert running.wait(60) == 0
    with process(plain(options(server)), url, tmp_path, "--check") as running:
        assert running.wait(60) == 0
    record(url, 1)
    with process(plain(options(server)), url, tmp_path, "--check", LANG="zh_CN.UTF-8") as running:
        assert running.wait(60) == 1
    log = (tmp_path / "shipper.log").read_text()
    assert "Shipped: records up to 31." in log
    assert "Records: 31 here, 31 there." in log
    assert "记录目标中缺少（1）：32。" in log
    assert KEY not in log


def test_the_service_ends_by_sigterm_in_order(url: str, tmp_path: Path, server: ElasticServer) -> None:
    record(url, 30)
    with process(plain(options(server)), url, tmp_path) as running:
        wait_for(lambda: same(url, server))
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == 0


def test_a_log_that_begins_later_is_shipped(url: str, tmp_path: Path, server: ElasticServer) -> None:
    Database(url).close()
    with process(plain(options(server)), url, tmp_path) as running:
        wait_for(lambda: "cannot be read" in (tmp_path / "shipper.log").read_text())
        record(url, 10)
        wait_for(lambda: same(url, server))
        assert running.poll() is None


def test_the_store_cannot_be_written_to(database_url: str) -> None:
    record(database_url, 3)
    store = Store(database_url)
    with pytest.raises(DatabaseError, match=r"read-?only"), store._read() as connection:
        connection.execute(sa.delete(records))
    assert store.ends() == (1, 4)
    store.close()


@contextmanager
def who_may_only_read(folder: Path) -> Iterator[None]:
    """A user who may read what lies in a folder, and write none of it."""
    files = [*folder.iterdir()]
    for path in (folder, *files):
        path.chmod(0o755 if path == folder else 0o644)
    try:
        if os.geteuid() == 0:
            os.seteuid(65534)  # "nobody"
        else:
            for path in (*files, folder):
                path.chmod(0o555 if path == folder else 0o444)
        yield
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        else:
            for path in (folder, *files):
                path.chmod(0o755 if path == folder else 0o644)


def ship_reading_only(folder: Path, chosen: ShipOptions, url: str, state: Path) -> None:
    """Ship as that user, in a process of its own: all threads of a process change their user with it."""
    with alone() as process:
        process.submit(_ship_reading_only, folder, chosen, url, state).result()


def _ship_reading_only(folder: Path, chosen: ShipOptions, url: str, state: Path) -> None:
    with tempfile.TemporaryDirectory() as name, ElasticServer().running() as another:
        # What is imported when it is first needed that user may not read, where Python is root's.
        another.install(ELK)
        record(sqlite_url(Path(name), "audit"), 1)
        run(options(another), sqlite_url(Path(name), "audit"), Path(name) / "position.json")
    with who_may_only_read(folder):
        run(chosen, url, state)


def test_who_may_only_read_can_ship(server: ElasticServer) -> None:
    """While the service runs, and while it does not: then SQLite's own files beside the database are gone."""
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as own:
        folder = Path(name)
        Path(own).chmod(0o777)
        url = sqlite_url(folder, "audit")
        with opened(url, every_records=10) as log:
            for number in range(30):
                log.record(entry(number))
            assert (folder / "audit.db-wal").exists()
            ship_reading_only(folder, options(server), url, Path(own) / "position.json")
            assert same(url, server)
            for number in range(30):
                log.record(entry(number))
        assert not (folder / "audit.db-wal").exists()
        ship_reading_only(folder, options(server), url, Path(own) / "position.json")
        assert not (folder / "audit.db-wal").exists()
        assert same(url, server)


def test_twenty_thousand_records(url: str, state: Path, server: ElasticServer) -> None:
    with opened(url, every_records=1000) as log:
        for done in [log.submit(entry(number)) for number in range(20_000)]:
            done.result()
    began = time.monotonic()
    stop, told = threading.Event(), Told()
    ship(options(server, batch=500), url, state, once=True, tell=told, stop=stop)
    took = time.monotonic() - began
    print(f"20,001 records in {took:.1f} s: {20_001 / took:.0f} a second, stand-in included")  # noqa: T201
    assert same(url, server)
