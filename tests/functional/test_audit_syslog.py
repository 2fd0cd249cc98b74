"""The shipper over syslog: Debian's rsyslog takes it by TLS, and hands it on as deploy/elk has it."""

from __future__ import annotations

import json
import re
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.elastic.http import basic
from tests.elastic.server import WRITER, ElasticServer, lost, partial, status
from tests.ports import free_port
from tests.rsyslog import needs, rsyslog
from tests.shipping import SEALER, Told, backed_up, filled, here, process, record, run, same, there, wait_for
from tests.slapd import make_ca
from vlpro.audit.ship import syslog
from vlpro.audit.ship.command import check, ship
from vlpro.audit.ship.options import ShipOptions
from vlpro.audit.tree import leaf_hash
from vlpro.backup.restore import restore
from vlpro.db import sqlite_url
from vlpro.errors import AuditError, ConfigError

EXAMPLE = Path(__file__).parents[2] / "deploy/elk/rsyslog.conf"
_TO_FILE = """
global(
    workDirectory="{folder}" maxMessageSize="1m" parser.escapeControlCharactersOnReceive="off"
    defaultNetstreamDriverCAFile="{folder}/ca.pem" defaultNetstreamDriverCertFile="{folder}/server.pem"
    defaultNetstreamDriverKeyFile="{folder}/server.key"
)
module(load="imtcp" streamDriver.name="{driver}" streamDriver.mode="1" streamDriver.authMode="{mode}" {peer})
template(name="line" type="list") {{
    property(name="pri") constant(value="\\t") property(name="app-name") constant(value="\\t") property(name="msgid")
    constant(value="\\t") property(name="structured-data") constant(value="\\t") property(name="msg")
    constant(value="\\n")
}}
ruleset(name="audit" queue.type="Direct") {{ action(type="omfile" file="{folder}/out" template="line") }}
input(type="imtcp" address="127.0.0.1" port="{port}" ruleset="audit")
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return sqlite_url(tmp_path, "audit")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "position.json"


@pytest.fixture
def receiver(tmp_path: Path) -> Path:
    folder = tmp_path / "receiver"
    folder.mkdir()
    make_ca(folder)
    return folder


def to(port: int, folder: Path, *, end: str = "tls", host: str = "localhost", **more: Any) -> ShipOptions:
    receiver = {"host": host, "port": port, "ca": str(folder / "ca.pem"), "end": end} | more.pop("syslog", {})
    return ShipOptions(syslog=receiver, **({"batch": 50, "most_wait_s": 0.05, "poll_s": 0.02} | more))


def config(folder: Path, port: int, driver: str = "ossl", mode: str = "anon", peer: str = "") -> str:
    needs(f"lmnsd_{driver}")
    return _TO_FILE.format(folder=folder, port=port, driver=driver, mode=mode, peer=peer)


def lines(folder: Path) -> list[tuple[int, str, str, str, dict[str, Any]]]:
    """What was received: priority, application, message id, structured data, and the document."""
    found = []
    written = (folder / "out").read_bytes()  # the end may be half written, within a character, too
    for line in written[: written.rfind(b"\n") + 1].decode().split("\n")[:-1]:
        pri, app, msgid, data, text = line.split("\t", 4)
        assert text.startswith("\ufeff")
        found.append((int(pri), app, msgid, data, json.loads(text[1:])))
    return found


def complete(url: str, folder: Path) -> bool:
    """Whether each record and checkpoint was received at least once, and nothing else."""
    if not (folder / "out").exists():
        return False
    got = there([document for *_, document in lines(folder)])
    return tuple(map(dict, got)) == here(url) and all(len(set(one)) == len(dict(one)) for one in got)


@pytest.mark.parametrize(("driver", "end"), [("gtls", "tcp"), ("ossl", "tls")])
def test_rsyslog_takes_everything_complete(
    driver: str, end: str, url: str, state: Path, receiver: Path
) -> None:
    record(url, 250)
    record(url, 3, long="字" * 20_000)  # far beyond the 8 KB that receivers take at least
    port = free_port()
    with rsyslog(receiver, config(receiver, port, driver), port):
        run(to(port, receiver, end=end), url, state)
        wait_for(lambda: complete(url, receiver))
    found = lines(receiver)
    assert len(found) == len(here(url)[0]) + len(here(url)[1])  # once, since nothing failed
    for pri, app, msgid, data, document in found:
        own, event = document["vlpro"], document["event"]
        given = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', data))
        assert data.startswith("[vlpro@32473 ")
        assert (app, msgid, given["log"], given["hash"]) == (
            "vlpro",
            event["action"],
            own["log"],
            own["hash"],
        )
        assert given.get("user", "") == re.sub(
            r'(["\\\]])', r"\\\1", document.get("user", {}).get("name", "")
        )
        assert pri == 13 * 8 + {"refused": 5, "failed": 4}.get(own.get("outcome", ""), 6)
        if event["dataset"] == "vlpro.audit":
            assert given["number"] == str(event["sequence"])
            assert leaf_hash(event["original"].encode()).hex() == own["hash"]


def test_gtls_needs_a_word_and_gets_no_record_without_it(url: str, state: Path, receiver: Path) -> None:
    record(url, 5)
    port = free_port()
    with rsyslog(receiver, config(receiver, port, "gtls"), port):
        assert "ends connections without TLS's own end" in tried(to(port, receiver), url, state)
        assert not (receiver / "out").exists()


def test_both_sides_may_show_certificates(url: str, state: Path, receiver: Path, tmp_path: Path) -> None:
    record(url, 20)
    port = free_port()
    peer = 'permittedPeer=["localhost"]'
    mine = {"certificate": str(receiver / "server.pem"), "key": str(receiver / "server.key")}
    with rsyslog(receiver, config(receiver, port, mode="x509/name", peer=peer), port):
        run(to(port, receiver, syslog=mine), url, state)
        wait_for(lambda: complete(url, receiver))
        state.unlink()
        assert "did not take it" in tried(to(port, receiver), url, state)


def tried(options: ShipOptions, url: str, state: Path) -> Told:
    """What is told about an attempt that does not succeed."""
    told, stop = Told(), threading.Event()
    thread = threading.Thread(
        target=lambda: ship(options, url, state, once=False, tell=told, stop=stop), daemon=True
    )
    thread.start()
    wait_for(lambda: bool(told.lines))
    stop.set()
    thread.join(60)
    assert not thread.is_alive()
    return told


def test_a_receiver_that_is_not_trusted_gets_nothing(
    url: str, state: Path, receiver: Path, tmp_path: Path
) -> None:
    record(url, 5)
    (tmp_path / "other").mkdir()
    make_ca(tmp_path / "other")
    port = free_port()
    with rsyslog(receiver, config(receiver, port), port):
        assert "is not trusted" in tried(to(port, tmp_path / "other"), url, state)
        with pytest.raises(ConfigError, match="cannot be used"):
            run(to(port, tmp_path), url, state)
    assert not (receiver / "out").exists()


@pytest.mark.parametrize("driver", ["gtls", "ossl"])
@pytest.mark.parametrize("word", [signal.SIGTERM, signal.SIGKILL])
def test_a_receiver_that_ends_in_the_middle_gets_it_again(
    word: signal.Signals, driver: str, url: str, tmp_path: Path, receiver: Path
) -> None:
    record(url, 1000)
    port = free_port()
    text = config(receiver, port, driver)
    chosen = to(port, receiver, end="tcp" if driver == "gtls" else "tls", batch=100).model_dump(
        mode="json", exclude_defaults=True
    )
    with process(chosen, url, tmp_path) as shipper:
        for number in range(3):
            with rsyslog(receiver, text, port) as running:
                size = (receiver / "out").stat().st_size if (receiver / "out").exists() else 0
                wait_for(
                    lambda size=size: (
                        (
                            (receiver / "out").exists() and (receiver / "out").stat().st_size > size + 20_000  # type: ignore[misc]
                        )
                        or complete(url, receiver)
                    )
                )
                running.send_signal(word)
                running.wait(60)
            cut_to_whole_lines(receiver / "out")
            if number == 1:
                record(url, 200, first=2000)
        with rsyslog(receiver, text, port):
            wait_for(lambda: complete(url, receiver))
        assert shipper.poll() is None
    assert "unreadable" not in (tmp_path / "shipper.log").read_text()


def cut_to_whole_lines(path: Path) -> None:
    """What a kill left half written is no record."""
    data = path.read_bytes()
    path.write_bytes(data[: data.rfind(b"\n") + 1])


def test_a_shipper_that_is_killed_sends_again_from_where_it_was(
    url: str, tmp_path: Path, receiver: Path
) -> None:
    record(url, 800)
    port = free_port()
    chosen = to(port, receiver, batch=20).model_dump(mode="json", exclude_defaults=True)
    position = tmp_path / "audit-ship.json"
    with rsyslog(receiver, config(receiver, port), port):
        for number in range(3):
            record(url, 50, first=1000 + 100 * number)  # one that was killed late has shipped all before
            before = position.stat().st_mtime_ns if position.exists() else 0
            with process(chosen, url, tmp_path) as shipper:
                wait_for(lambda before=before: position.exists() and position.stat().st_mtime_ns > before)  # type: ignore[misc]
                shipper.send_signal(signal.SIGKILL)
                shipper.wait(10)
        with process(chosen, url, tmp_path, "--once") as shipper:
            assert shipper.wait(60) == 0
        wait_for(lambda: complete(url, receiver))
        told = Told()
        assert check(to(port, receiver), url, position, tell=told)
        assert "A syslog receiver tells nothing" in told


# --- a receiver that ends too early, by hand


@contextmanager
def listener(folder: Path, serve: Callable[[ssl.SSLSocket], None]) -> Iterator[int]:
    """A receiver that treats each connection in its own way."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    plain, _ = server.accept()
                    with context.wrap_socket(plain, server_side=True) as secure:
                        serve(secure)
                except OSError:
                    if server.fileno() < 0:
                        return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join(10)


@pytest.mark.parametrize("end", ["tls", "tcp"])
@pytest.mark.parametrize("goodbye", ["said", "not said"])
def test_an_end_before_everything_was_read_is_no_confirmation(
    goodbye: str,
    end: str,
    url: str,
    state: Path,
    receiver: Path,
) -> None:
    """Somebody stops the receiver: it says goodbye in order, and had not read what was under way."""
    record(url, 30, words="字" * 3000)  # three of them are more than one piece of TLS
    early = 0

    def serve(secure: ssl.SSLSocket) -> None:
        nonlocal early
        first = secure.recv(100)
        if not first:  # the probe
            secure.unwrap()
            return
        early += 1
        if early < 6:
            time.sleep(0.03 * (early % 2))  # the shipper has said its end by then, or not
            if goodbye == "said":
                secure.settimeout(0)
                with suppress(ssl.SSLWantReadError):
                    secure.unwrap()  # says its end, and does not look for ours
            return
        got = bytearray(first)
        while piece := secure.recv(65536):
            got += piece
        numbers.update(map(int, re.findall(rb'number="(\d+)"', got)))
        secure.unwrap()

    numbers: set[int] = set()
    with listener(receiver, serve) as port:
        run(to(port, receiver, end=end, batch=3, timeout_s=5), url, state)
    assert early > 6
    assert numbers >= set(here(url)[0])


def test_what_was_not_acknowledged_has_not_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def pair() -> tuple[socket.socket, socket.socket]:
            return socket.create_connection(server.getsockname()), server.accept()[0]

        ours, theirs = pair()
        with ours, theirs:
            ours.sendall(b"a")
            syslog._wait_for_acknowledgement(ours.fileno(), ours)
            ours.settimeout(0)
            with suppress(BlockingIOError):
                while True:
                    ours.send(b"a" * 100_000)
            monkeypatch.setattr(syslog, "_ACKNOWLEDGED_S", 0.1)
            with pytest.raises(TimeoutError, match="were not acknowledged"):
                syslog._wait_for_acknowledgement(ours.fileno(), ours)
            monkeypatch.undo()
        ours, theirs = pair()
        with ours:
            theirs.close()  # in order: it has read all that there was
            time.sleep(0.01)
            ours.send(b"a")  # goes out, and nobody is there
            time.sleep(0.01)
            with pytest.raises(OSError, match=r"reset|pipe"):
                syslog._wait_for_acknowledgement(ours.fileno(), ours)


def test_a_receiver_that_stops_reading_is_left_in_time(url: str, state: Path, receiver: Path) -> None:
    record(url, 100, words="字" * 30_000)
    served = threading.Event()

    def serve(secure: ssl.SSLSocket) -> None:
        if secure.recv(100):
            served.wait(60)
        else:
            secure.unwrap()

    with listener(receiver, serve) as port:
        began = time.monotonic()
        assert "did not take it" in tried(to(port, receiver, timeout_s=0.5, batch=100), url, state)
        assert time.monotonic() - began < 30  # half a second is usual; nothing was read for a minute
        served.set()


# --- through rsyslog into Elasticsearch


@pytest.fixture
def through(receiver: Path, tmp_path: Path) -> tuple[ElasticServer, str, int]:
    """The stand-in, and deploy/elk/rsyslog.conf with the names of this test."""
    needs("lmnsd_ossl", "omelasticsearch", "mmpstrucdata")
    (tmp_path / "elk").mkdir()
    make_ca(tmp_path / "elk")
    server = ElasticServer({basic("vlpro_audit", "s3cret"): WRITER})
    server.install(EXAMPLE.parent)
    port, elastic = free_port(), free_port()
    text = EXAMPLE.read_text(encoding="utf-8")
    for was, now in {
        "/etc/vlpro/tls/elk-ca.pem": f"{tmp_path}/elk/ca.pem",
        "/etc/vlpro/tls": str(receiver),
        "/var/spool/rsyslog": str(receiver),
        "/var/log": str(receiver),
        "shipper.example.cn": "localhost",
        "https://elk.example.cn": "https://localhost",
        'serverport="9200"': f'serverport="{elastic}"',
        'pwd="CHANGE"': 'pwd="s3cret"',
        'port="6514"': f'port="{port}" address="127.0.0.1"',
        'action.resumeRetryCount="-1"': 'action.resumeRetryCount="-1" action.resumeInterval="1"',
    }.items():
        assert was in text, was
        text = text.replace(was, now)
    server.port = elastic
    return server, text, port


def test_what_comes_through_rsyslog_is_what_the_shipper_writes_itself(
    url: str, tmp_path: Path, state: Path, receiver: Path, through: tuple[ElasticServer, str, int]
) -> None:
    record(url, 300)
    record(url, 2, long="字" * 20_000)
    server, text, port = through
    mine = {"certificate": str(receiver / "server.pem"), "key": str(receiver / "server.key")}
    with (
        server.running(certificate=tmp_path / "elk/server.pem", port=server.port),
        rsyslog(receiver, text, port),
    ):
        run(to(port, receiver, syslog=mine), url, state)
        wait_for(lambda: same(url, server))
        direct = ElasticServer()
        direct.install(EXAMPLE.parent)
        with direct.running():
            run(ShipOptions(url=f"http://127.0.0.1:{direct.port}"), url, tmp_path / "direct.json")
        told = {f"{name}-{document['vlpro']['hash'][:16]}": document for name, document in direct.documents()}
        assert dict(server.documents()) == told
        state.unlink()  # all once more: each is there already
        run(to(port, receiver, syslog=mine), url, state)
        bulks = server.bulks
        record(url, 1)
        run(to(port, receiver, syslog=mine), url, state)
        wait_for(lambda: server.bulks > bulks and same(url, server))
    assert not (receiver / "vlpro-audit-refused.json").exists()


def test_rsyslog_survives_part_of_what_the_shipper_survives(
    url: str, tmp_path: Path, state: Path, receiver: Path, through: tuple[ElasticServer, str, int]
) -> None:
    """As deploy/elk says; and what is missing afterwards is found, and sent."""
    record(url, 300)
    server, text, port = through
    mine = {"certificate": str(receiver / "server.pem"), "key": str(receiver / "server.key")}
    direct = ShipOptions(
        url=f"https://localhost:{server.port}",
        ca=str(tmp_path / "elk/ca.pem"),
        user="vlpro_audit",
        password="s3cret",
    )
    with rsyslog(receiver, text, port):
        run(to(port, receiver, syslog=mine), url, state)  # while Elasticsearch is down
        server.faults = [partial(2), lost(stored=True), partial(3)]
        with server.running(certificate=tmp_path / "elk/server.pem", port=server.port):
            wait_for(lambda: same(url, server))
            assert not (receiver / "vlpro-audit-refused.json").exists()
            record(url, 100)
            server.faults = [status(429), status(503)]
            run(to(port, receiver, syslog=mine), url, state)
            wait_for(lambda: bool(not server.faults and server.documents()))
            wait_for((receiver / "vlpro-audit-refused.json").exists)
            ship(direct, url, tmp_path / "direct.json", once=True, tell=Told(), stop=threading.Event())
            wait_for(lambda: same(url, server))
            assert check(direct, url, tmp_path / "direct.json", tell=Told())


def test_by_rsyslog_both_records_reach_elasticsearch(
    tmp_path: Path, state: Path, receiver: Path, through: tuple[ElasticServer, str, int]
) -> None:
    """Under one number there are two, the lost one and that after the restore: neither is taken for the other."""
    data = filled(tmp_path / "data")
    url = sqlite_url(data, "audit")
    server, text, port = through
    mine = {"certificate": str(receiver / "server.pem"), "key": str(receiver / "server.key")}
    backup, kept = backed_up(data)
    record(url, 10, first=100)
    new = tmp_path / "new"
    with (
        server.running(certificate=tmp_path / "elk/server.pem", port=server.port),
        rsyslog(receiver, text, port),
    ):
        run(to(port, receiver, syslog=mine), url, state)
        restore(backup, SEALER, new)
        restored = sqlite_url(new, "audit")
        record(restored, 5, first=200)
        with pytest.raises(AuditError, match="remove the position file"):
            run(to(port, receiver, syslog=mine), restored, state)
        state.unlink()
        run(to(port, receiver, syslog=mine), restored, state)
        lost, now = here(url)[0], here(restored)[0]
        expected = set(lost.items()) | set(now.items())

        def arrived() -> set[tuple[int, str]]:
            found = [d for _, d in server.documents() if d["event"]["dataset"] == "vlpro.audit"]
            assert len(found) == len({(d["event"]["sequence"], d["vlpro"]["hash"]) for d in found})
            return {(d["event"]["sequence"], d["vlpro"]["hash"]) for d in found}

        wait_for(lambda: arrived() == expected)
    assert len(expected) > kept + 10
