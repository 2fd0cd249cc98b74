from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from vlpro.audit.events import Event, Outcome
from vlpro.audit.record import Actor
from vlpro.audit.recorder import ACTOR, NullRecorder
from vlpro.gateway import repetitions
from vlpro.gateway.egress import EgressTries
from vlpro.sealing import tripwire


@pytest.fixture
def told() -> Iterator[list[tuple[str, str]]]:
    found: list[tuple[str, str]] = []
    ours = threading.get_ident()

    def tell(way: str, to: str) -> None:
        if threading.get_ident() == ours:  # services of other tests may live in this process
            found.append((way, to))

    tripwire.install(tell)
    yield found
    tripwire.install(None)


def test_each_way_out_is_told_with_where_it_would_have_gone(told: list[tuple[str, str]]) -> None:
    with socket.socket() as made, pytest.raises(OSError):  # noqa: PT011 - nobody listens there
        made.connect(("127.0.0.1", 9))
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as datagrams:
        datagrams.sendto(b"x", ("::1", 9))
    with pytest.raises(OSError):  # noqa: PT011 - whatever the system says
        socket.getaddrinfo("models.invalid", 443)
    assert told == [
        ("socket", ""),
        ("connect", "127.0.0.1:9"),
        ("socket", ""),
        ("connect", "::1:9"),
        ("lookup", "models.invalid:443"),
    ]


def test_what_stays_on_this_machine_is_no_try(told: list[tuple[str, str]]) -> None:
    here, there = socket.socketpair()
    here.sendall(b"x")
    assert there.recv(1) == b"x"
    with here, there, socket.socket(fileno=here.detach()):
        pass
    assert told == []


def test_odd_addresses_are_told_as_text(told: list[tuple[str, str]]) -> None:
    with pytest.raises(OSError):  # noqa: PT011 - likewise
        socket.getaddrinfo(b"\xff.invalid", None)
    assert told == [("lookup", "\ufffd.invalid")]


def test_once_an_address_and_minute_with_who_asked_and_how_often(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(repetitions, "time", SimpleNamespace(monotonic=lambda: now[0]))
    recorder = NullRecorder()
    tries = EgressTries(recorder)
    before = ACTOR.set(Actor(login="liwei", request="req_1"))
    threads = [threading.Thread(target=tries.add, args=("connect", "203.0.113.7:443")) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tries.add("lookup", "models.invalid:443")
    now[0] += 61
    tries.add("connect", "203.0.113.7:443")
    ACTOR.reset(before)  # or later tests of this process would be of that person
    found = [(entry.detail["to"], entry.detail.get("before")) for entry in recorder.entries]
    assert found == [("203.0.113.7:443", None), ("models.invalid:443", None), ("203.0.113.7:443", "39")]
    assert {(entry.event, entry.outcome) for entry in recorder.entries} == {
        (Event.EGRESS_REFUSED, Outcome.REFUSED)
    }
    assert recorder.entries[1].actor.login == "liwei"


def test_many_addresses_fill_no_memory_and_no_disk() -> None:
    recorder = NullRecorder()
    tries = EgressTries(recorder)
    for number in range(5000):
        tries.add("connect", f"203.0.113.7:{number}")
    assert len(recorder.entries) <= 1003  # the others by the hundred and the thousand
