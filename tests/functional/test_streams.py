"""Who goes away, or takes nothing, gives the slot back."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import replace

import pytest

from tests.functional.server import MODEL, Json, Server, chat, eventually, run
from vlpro.config import Settings
from vlpro.engines.fake import FakeEngine


def _send(server: Server, body: Json, path: str = "/v1/chat/completions") -> socket.socket:
    data = json.dumps(body).encode()
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    connection.connect(("127.0.0.1", server.port))
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    connection.sendall(head.encode() + f"Content-Length: {len(data)}\r\n\r\n".encode() + data)
    return connection


REQUESTS = [
    ("/v1/chat/completions", chat("count to 9000")),
    ("/v1/chat/completions", chat("count to 9000", stream=True)),
    ("/v1/responses", {"model": MODEL, "input": "count to 9000"}),
    ("/v1/responses", {"model": MODEL, "input": "count to 9000", "stream": True}),
]


@pytest.mark.parametrize(("path", "body"), REQUESTS)
def test_a_client_that_goes_ends_the_work(slow: Server, path: str, body: Json) -> None:
    connection = _send(slow, body, path)
    eventually(lambda: slow.running() == 1)
    connection.close()
    eventually(slow.idle)


@pytest.mark.parametrize(("path", "body"), REQUESTS)
def test_a_client_that_resets_ends_the_work(slow: Server, path: str, body: Json) -> None:
    connection = _send(slow, body, path)
    eventually(lambda: slow.running() == 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    connection.close()
    eventually(slow.idle)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
def test_a_reader_that_takes_nothing_loses_its_slot(stalling: Server, path: str) -> None:
    body = chat("count to 9000", stream=True)
    if path.endswith("responses"):
        body = {"model": MODEL, "stream": True, "input": "count to 9000"}
    readers = [_send(stalling, body, path) for _ in range(2)]
    for reader in readers:
        assert reader.recv(1) == b"H"  # the answer has begun
    eventually(stalling.idle)
    for reader in readers:
        got = b""
        while piece := reader.recv(65_536):
            got += piece
        assert b"data: " in got
        assert b"[DONE]" not in got
        assert b"completed" not in got
        reader.close()


def test_a_slow_reader_that_goes_on_gets_everything() -> None:
    # A limit beyond what a busy machine takes for a moment.
    with run(Settings(engine="fake", slow_client_timeout_s=5), send_buffer=4096) as server:
        connection, began = _send(server, chat("count to 2000", stream=True)), time.monotonic()
        connection.settimeout(30)
        got, pauses = b"", 0
        while b"[DONE]" not in got:
            piece = connection.recv(65_536)
            assert piece, "the answer was cut"
            got += piece
            if pauses < 120:  # 6 s altogether: longer than the limit, but never at once
                pauses += 1
                time.sleep(0.05)
        assert time.monotonic() - began > 6
        assert b'"2000 "' in got
        connection.close()


def test_the_first_piece_does_not_wait_for_the_last(slow: Server) -> None:
    with (
        slow.http() as http,
        http.stream("POST", "/v1/chat/completions", json=chat("count to 9000", stream=True)) as r,
    ):
        lines = r.iter_lines()  # kept: httpx closes the connection with its iterator
        next(lines)
        assert slow.running() == 1  # the rest takes three minutes more
    eventually(slow.idle)


def test_the_gauge_counts_running_and_waiting(narrow: Server) -> None:
    first = _send(narrow, chat("count to 9000", stream=True))
    eventually(lambda: narrow.running() == 1)
    second = _send(narrow, chat("count to 9000"))
    with narrow.http() as http:
        eventually(lambda: bool(http.get("/v1/status").json()["queued"] == 1))
        assert http.get("/v1/status").json()["running"] == 1
        second.close()
        eventually(lambda: bool(http.get("/v1/status").json()["queued"] == 0))
        first.close()
    eventually(narrow.idle)


def test_a_question_of_a_conversation_says_where_it_stands_in_the_queue() -> None:
    engine = FakeEngine(delay_s=0.02)
    engine.capabilities = replace(engine.capabilities, concurrency=1)
    with run(Settings(engine="fake"), engine) as server, server.http() as http:

        def ask(question: str) -> str:
            held: str = http.post("/v1/conversations", json={}).json()["id"]
            http.post(f"/v1/conversations/{held}/messages", json={"text": question}).raise_for_status()
            return held

        def last(held: str) -> Json:
            told: Json = http.get(f"/v1/conversations/{held}").json()["messages"][-1]
            return told

        first = ask("count to 9000")
        eventually(lambda: server.running() == 1)
        others = [ask("count to 2") for _ in range(3)]

        def places() -> list[int]:
            return sorted(waiting["ahead"] for held in others if (waiting := last(held)["waiting"]))

        eventually(lambda: places() == [0, 1, 2])  # two that are put on the record together are last, both
        http.post(f"/v1/conversations/{first}/stop").raise_for_status()
        eventually(lambda: all(last(held)["status"] == "done" for held in others))
        assert [last(held)["waiting"] for held in (first, *others)] == [None] * 4


def test_waiting_questions_are_answered_in_turn(narrow: Server) -> None:
    first = _send(narrow, chat("count to 200", stream=True))  # four seconds
    eventually(lambda: narrow.running() == 1)
    reply = narrow.post("/v1/chat/completions", chat("count to 1"))
    assert reply.status_code == 200
    assert reply.json()["vlpro"]["timing"]["queued_ms"] > 20
    first.close()
    eventually(narrow.idle)
