from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import psutil
import pytest

from tests.support import alone, answer_text, ask, eventually, left_open, opened, picture
from vlpro.engines.fake import FakeEngine
from vlpro.engines.interface import Delta, Loading, Request
from vlpro.engines.worker import wire
from vlpro.engines.worker.client import WorkerEngine
from vlpro.engines.worker.host import serve
from vlpro.errors import EngineError, EngineUnavailableError

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def worker(*, delay_s: float = 0.0) -> AsyncIterator[WorkerEngine]:
    engine = WorkerEngine(FakeEngine(delay_s=delay_s), {"delay_s": delay_s})
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


async def test_answers_are_the_same_as_without_a_worker() -> None:
    request = ask("box", picture(64, 48), picture(10, 200, seed=3))
    async with worker() as engine:
        assert await answer_text(engine, request) == await answer_text(FakeEngine(), request)
        assert engine.pid != os.getpid()


async def test_many_at_once_are_not_mixed_up() -> None:
    requests = [ask(f"number {n} of many", picture(seed=n)) for n in range(24)]
    async with worker(delay_s=0.002) as engine:
        got = await asyncio.gather(*(answer_text(engine, request) for request in requests))
    assert got == [await answer_text(FakeEngine(), request) for request in requests]


async def test_an_error_of_the_engine_keeps_its_words() -> None:
    async with worker() as engine:
        with pytest.raises(EngineError, match="asked to fail"):
            await answer_text(engine, ask("fail"))


async def test_a_killed_worker_ends_its_answers_and_the_next_question_works() -> None:
    async with worker(delay_s=0.02) as engine:
        seen = 0

        async def interrupted() -> None:
            nonlocal seen
            async for _ in engine.generate(ask("count to 1000"), timeout_s=30):
                seen += 1

        tasks = [asyncio.create_task(interrupted()) for _ in range(3)]
        await eventually(lambda: seen >= 3)
        first = engine.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(r, EngineError) and "process ended" in str(r) for r in results)
        assert await answer_text(engine, ask("count to 3")) == "1 2 3 "
        assert engine.pid != first


async def test_stop_leaves_no_process_and_no_descriptor() -> None:
    with alone() as process:
        pid, left = process.submit(_left_by_a_stop).result(60)
    assert not psutil.pid_exists(pid)
    assert not left


def _left_by_a_stop() -> tuple[int, set[str]]:
    """The worker's number, and what stays open."""

    async def start_and_stop() -> int:
        async with worker(delay_s=0.01) as engine:
            for n in range(20):
                answer = engine.generate(ask("count to 1000", picture(seed=n)), timeout_s=30)
                await anext(answer)
                await answer.aclose()
            pid = engine.pid
            assert pid is not None
        return pid

    before = opened()
    return asyncio.run(start_and_stop()), left_open(before)


async def test_a_worker_that_cannot_start_says_so_at_once() -> None:
    class Missing(FakeEngine):
        name = "missing"

    engine = WorkerEngine(Missing(), {})
    try:
        with pytest.raises(EngineUnavailableError, match="before it was ready"):
            await answer_text(engine, ask("hello"))
        assert not engine.ready
    finally:
        await engine.stop()


async def test_a_try_that_takes_long_and_fails_is_not_made_all_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As with a model of gigabytes of which one file is altered: each try reads them all."""

    class Missing(FakeEngine):
        name = "missing"

    monkeypatch.setattr("vlpro.engines.worker.client._HEALTHY_S", 0.0)  # each try lasts longer than this
    monkeypatch.setattr("vlpro.engines.worker.client._BACKOFF_S", (0.0,))
    engine = WorkerEngine(Missing(), {})
    loop = asyncio.get_running_loop()
    ends: list[float] = []

    def told(record: logging.LogRecord) -> bool:
        if "ended with" in record.getMessage():
            ends.append(loop.time() - began)
        return True

    monkeypatch.setattr(logging.getLogger("vlpro.engines.worker.client"), "filters", [told])
    began = loop.time()
    await engine.start()
    try:
        await eventually(lambda: len(ends) >= 3, timeout_s=120)
        # Two rests of four tries each lie before the third end, where without them it lies at three tries.
        assert ends[2] > 5 * ends[0]
    finally:
        await engine.stop()


def test_the_worker_ends_with_the_gateway(anyio_backend: str) -> None:
    code = """
import asyncio, os
from vlpro.engines.fake import FakeEngine
from vlpro.engines.worker import wire
from vlpro.engines.worker.client import WorkerEngine
async def main():
    engine = WorkerEngine(FakeEngine(), {})
    await engine.start()
    await engine._until_ready()
    print(engine.pid, flush=True)
    os._exit(1)  # as a crash would
asyncio.run(main())
"""
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    pid = int(told.stdout)
    with suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(20)


async def test_the_worker_gets_no_setting_of_the_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLPRO_UPSTREAM_KEY", "canary")
    async with worker() as engine:
        await answer_text(engine, ask("hello"))
        assert "VLPRO_UPSTREAM_KEY" not in psutil.Process(engine.pid).environ()


class Watched(FakeEngine):
    """Tells what the host does with it."""

    def __init__(self) -> None:
        super().__init__(delay_s=0.01)
        self.ended = 0
        self.forgotten: set[str] = set()

    async def forget(self, pictures: frozenset[str], conversations: frozenset[str] = frozenset()) -> None:
        self.forgotten |= pictures

    async def _generate(self, request: Request) -> AsyncGenerator[Delta, None]:
        try:
            async for delta in super()._generate(request):
                yield delta
        finally:
            self.ended += 1


@asynccontextmanager
async def hosted(engine: Watched) -> AsyncIterator[WorkerEngine]:
    """Both sides in this process, so that the inner one can be watched."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(0)
    host = asyncio.create_task(serve(engine, theirs))
    outer = WorkerEngine(engine, {})
    assert await asyncio.get_running_loop().sock_recv(ours, 100) == b'{"ready": true}'
    outer._control = ours
    outer._settled.set()
    outer._watch = host
    try:
        yield outer
    finally:
        ours.close()
        await host
        theirs.close()


async def test_closing_an_answer_ends_the_engines_work() -> None:
    engine = Watched()
    async with hosted(engine) as outer:
        answer = outer.generate(ask("count to 1000"), timeout_s=30)
        await anext(answer)
        assert engine.ended == 0
        await answer.aclose()
        await eventually(lambda: engine.ended == 1)


async def test_what_is_to_be_forgotten_reaches_the_engine_however_much() -> None:
    engine = Watched()
    digests = frozenset(f"{n:064x}" for n in range(1_700))
    async with hosted(engine) as outer:
        await outer.forget(digests)
        assert engine.forgotten == digests  # when it returns, the worker has done so


async def test_an_idle_worker_gives_its_memory_back_and_the_next_question_wakes_it() -> None:
    engine = WorkerEngine(FakeEngine(), {}, idle_unload_s=0.4)
    await engine.start()
    try:
        await answer_text(engine, ask("hello"))
        first = engine.pid
        assert first is not None
        await eventually(lambda: engine.pid is None and not psutil.pid_exists(first))
        assert engine.ready  # a question is welcome
        assert "again" in await answer_text(engine, ask("again"))
        assert engine.pid not in (None, first)
    finally:
        await engine.stop()


async def test_a_worker_does_not_end_while_it_answers() -> None:
    engine = WorkerEngine(FakeEngine(delay_s=0.02), {"delay_s": 0.02}, idle_unload_s=0.1)
    await engine.start()
    try:
        assert (await answer_text(engine, ask("count to 40"))).endswith("40 ")
    finally:
        await engine.stop()


class Slow(FakeEngine):
    """Says how far it is."""

    async def start(self, tell: Callable[[Loading], None] = lambda _: None) -> None:
        tell(Loading("checking", 0.25))
        tell(Loading("loading", 0.5))


async def test_the_host_tells_how_far_the_engine_is() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    host = asyncio.create_task(serve(Slow(), theirs))
    got = [json.loads(await asyncio.to_thread(ours.recv, 1000)) for _ in range(3)]
    ours.close()
    await host
    theirs.close()
    assert got == [
        {"loading": "checking", "share": 0.25},
        {"loading": "loading", "share": 0.5},
        {"ready": True},
    ]


class _Broken(FakeEngine):
    """Fails, while ``words`` are asked, as no engine should."""

    async def _generate(self, request: Request) -> AsyncGenerator[Delta, None]:
        if "memory" in request.messages[-1].text:
            raise MemoryError
        if "bug" in request.messages[-1].text:
            raise RuntimeError("std::bad_alloc")
        async for delta in super()._generate(request):
            yield delta


@asynccontextmanager
async def broken() -> AsyncIterator[tuple[Callable[[str], Awaitable[str]], asyncio.Task[None]]]:
    """A host with such an engine: asks it, as the gateway does; and its end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    loop = asyncio.get_running_loop()
    hosting = asyncio.create_task(serve(_Broken(), theirs))
    ours.settimeout(0)
    assert json.loads(await loop.sock_recv(ours, 1000)) == {"ready": True}

    async def said(text: str) -> str:
        here, there = socket.socketpair()
        socket.send_fds(ours, [b"{}"], [there.fileno()])
        there.close()
        reader, writer = await asyncio.open_unix_connection(sock=here)
        await wire.write_frame(writer, wire.encode_request(ask(text)))
        words = ""
        while (frame := await wire.read_frame(reader)) is not None:
            words += wire.decode_error(frame).message if "error" in frame else wire.decode_delta(frame).text
        writer.close()
        return words

    try:
        yield said, hosting
    finally:
        ours.close()
        await hosting
        theirs.close()


@pytest.mark.parametrize("kind", ["memory", "bug"])
async def test_an_engine_that_fails_again_and_again_is_started_anew(kind: str) -> None:
    async with broken() as (said, hosting):
        for _ in range(3):
            assert "failed while answering" in await said(kind)
        await asyncio.wait_for(asyncio.shield(hosting), 20)


async def test_a_worker_without_memory_for_the_question_itself_is_started_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> Request:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    async with broken() as (said, hosting):
        monkeypatch.setattr(wire, "decode_request", full)
        for _ in range(3):
            assert await said("hello") == ""
        await asyncio.wait_for(asyncio.shield(hosting), 20)


async def test_a_question_that_breaks_the_engine_ends_nobody_elses_worker() -> None:
    async with broken() as (said, hosting):
        for _ in range(6):
            assert "failed while answering" in await said("bug")
            assert await said("count to 2") == "1 2 "
        for _ in range(6):
            assert "asked to fail" in await said("fail")  # foreseen
        assert not hosting.done()
