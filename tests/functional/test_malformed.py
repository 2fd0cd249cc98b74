"""Broken pictures and bombs, over HTTP: each gets its answer soon, and the next picture is read."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import psutil

from tests.functional.server import Server, chat, eventually, picture_file
from tests.malformed import bombs, mutations, seeds
from vlpro.imaging.workers import WorkerPool

_MOST_S = 20.0


def test_each_broken_picture_costs_one_answer(server: Server) -> None:
    reader = server.services.chat.reader
    assert isinstance(reader, WorkerPool)
    assert reader.pid is not None
    maker = psutil.Process(reader.pid)
    with server.http() as http, ThreadPoolExecutor(3) as pool:
        assert http.post("/v1/images", content=picture_file()).status_code == 201
        before = maker.memory_full_info().uss

        def post(numbered: tuple[int, tuple[str, bytes]]) -> str:
            number, (name, data) = numbered
            began = time.monotonic()
            if number % 8:
                answer = http.post("/v1/images", content=data)
            else:
                answer = http.post("/v1/chat/completions", json=chat("what?", data))
            took = time.monotonic() - began
            told = answer.json()
            fine = answer.status_code in (200, 201) or (
                answer.status_code == 400 and told["error"]["param"] and told["error"]["vlpro"]["zh"]
            )
            return (
                "" if fine and took < _MOST_S else f"{name}: {answer.status_code} after {took:.1f} s {told}"
            )

        wrong = list(pool.map(post, enumerate(chain(mutations(seeds(), 200, seed=7), bombs()))))
        assert [one for one in wrong if one] == []
        assert http.post("/v1/images", content=picture_file(seed=1)).status_code == 201
    assert maker.is_running()
    assert reader.pid == maker.pid  # no picture reached the process that makes workers
    assert maker.memory_full_info().uss < before + 5_000_000
    eventually(lambda: len(maker.children()) == 2)
    assert server.idle()
