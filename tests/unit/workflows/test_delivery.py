"""The outbox: what is taken arrives once, whatever fails on the way, and is never sent anywhere else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.receivers import SECRET, HookServer, hook
from vlpro.audit.events import Event, Outcome
from vlpro.audit.recorder import NullRecorder
from vlpro.crypto import Sealer
from vlpro.db import Database, sqlite_url
from vlpro.errors import AuditError, BadRequestError
from vlpro.workflows.delivery.options import DeliveryOptions
from vlpro.workflows.delivery.outbox import Delivery, Outbox
from vlpro.workflows.delivery.service import Deliveries

pytestmark = pytest.mark.anyio

RESULT = {"id": "ext_1", "fields": {"total": "13552.60"}}
SEALER = Sealer(bytes(32))


class Clock:
    """The time, moved on: receivers compare what they get with the true one."""

    def __init__(self, later_s: float = 0.0) -> None:
        self._later_s = later_s

    def __call__(self) -> float:
        return time.time() + self._later_s


@pytest.fixture
def oa() -> Iterator[HookServer]:
    with hook() as running:
        yield running


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(sqlite_url(tmp_path))
    made.migrate()
    yield made
    made.close()


def options(server: HookServer, **more: Any) -> DeliveryOptions:
    target = {"url": server.url, "secret": SECRET}
    return DeliveryOptions.model_validate({"targets": {"oa": target}, **more})


@asynccontextmanager
async def sending(
    database: Database, given: DeliveryOptions | None, recorder: NullRecorder, **more: Any
) -> AsyncIterator[Deliveries]:
    made = Deliveries(Outbox(database, SEALER, clock=more.get("clock", Clock())), given, recorder, **more)
    await made.start()
    yield made
    await made.stop()


async def becomes(deliveries: Deliveries, state: str) -> Delivery:
    async with asyncio.timeout(30):
        while True:
            (found,) = await deliveries.of("extraction", "ext_1")
            if found.state == state:
                return found
            await asyncio.sleep(0.01)


async def true(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def put_off(deliveries: Deliveries) -> None:
    """Wait until a try is over and the next one is to come: one that is cut off would keep it for its lease."""
    async with asyncio.timeout(30):
        while not (await deliveries.of("extraction", "ext_1"))[0].problem:
            await asyncio.sleep(0.01)


async def take(deliveries: Deliveries, target: str = "oa") -> Delivery:
    return await deliveries.deliver("extraction", "ext_1", RESULT, target, event="approved", owner="liwei")


async def test_a_result_arrives_though_its_receiver_fails_first(database: Database, oa: HookServer) -> None:
    recorder = NullRecorder()
    oa.status = 503
    async with sending(database, options(oa), recorder, pause_s=0.05) as deliveries:
        taken = await take(deliveries)
        await true(lambda: len(oa.keys) >= 2)
        (waiting,) = await deliveries.of("extraction", "ext_1")
        assert (waiting.state, waiting.problem) == ("waiting", "it answered 503")
        oa.status = 200
        done = await becomes(deliveries, "delivered")
        assert done.tries == len(oa.keys) >= 3
    assert set(oa.keys) == {taken.id}  # the same name each time: who keeps it takes the result once
    (got,) = oa.got
    assert got["data"] == RESULT
    assert (got["id"], got["object"], got["type"]) == (taken.id, "event", "extraction.approved")
    assert oa.wrong == 0
    states = [entry.detail["state"] for entry in recorder.entries if entry.event is Event.WORKFLOW_DELIVERED]
    assert states == ["waiting", "delivered"]
    assert "13552.60" not in str(recorder.entries)  # with its point, which no digest has


async def test_a_restart_loses_nothing_and_sends_nothing_twice(database: Database, oa: HookServer) -> None:
    oa.status = 500
    async with sending(database, options(oa), NullRecorder(), pause_s=0.2) as deliveries:
        await take(deliveries)
        await put_off(deliveries)
        (waiting,) = await deliveries.of("extraction", "ext_1")
        assert waiting.state == "waiting"
    oa.status = 200
    async with sending(database, options(oa), NullRecorder()) as deliveries:
        await becomes(deliveries, "delivered")
    async with sending(database, options(oa), NullRecorder()) as deliveries:
        assert (await take(deliveries)).state == "delivered"  # the same again is what was taken before
    assert len(oa.got) == 1


async def test_what_nobody_takes_is_given_up_told_and_tried_again_by_hand(
    database: Database, oa: HookServer
) -> None:
    recorder = NullRecorder()
    oa.status = 400
    async with sending(database, options(oa, retry_hours=1e-5), recorder, pause_s=0.05) as deliveries:
        taken = await take(deliveries)
        assert (await becomes(deliveries, "failed")).problem == "it answered 400"
        assert recorder.entries[-1].outcome is Outcome.FAILED
        oa.status = 204
        await deliveries.again(taken.id)
        await becomes(deliveries, "delivered")
    assert len(oa.got) == 1


async def test_only_the_settings_name_where_to(database: Database, oa: HookServer) -> None:
    async with sending(database, options(oa), NullRecorder()) as deliveries:
        for target in ("http://127.0.0.1:1/steal", "mes", ""):
            with pytest.raises(BadRequestError, match="may not be sent") as refused:
                await take(deliveries, target)
            assert refused.value.param == "deliver"
    async with sending(database, None, NullRecorder()) as deliveries:
        with pytest.raises(BadRequestError, match="names no target"):
            await take(deliveries)
    assert oa.keys == []


async def test_a_target_that_is_no_longer_named_gets_nothing(database: Database, oa: HookServer) -> None:
    oa.status = 500
    async with sending(database, options(oa), NullRecorder(), pause_s=0.05) as deliveries:
        await take(deliveries)
        await put_off(deliveries)
    before = len(oa.keys)
    async with sending(database, None, NullRecorder(), clock=Clock(150)) as deliveries:
        assert "no longer" in (await becomes(deliveries, "failed")).problem
    assert len(oa.keys) == before


async def test_nothing_is_taken_that_cannot_be_recorded(database: Database, oa: HookServer) -> None:
    class Broken(NullRecorder):
        async def arecord(self, _: Any) -> int:
            raise AuditError("full")

    async with sending(database, options(oa), Broken()) as deliveries:
        with pytest.raises(AuditError):
            await take(deliveries)
        assert await deliveries.of("extraction", "ext_1") == []
    assert oa.keys == []


async def test_what_waits_is_sealed(database: Database, oa: HookServer, tmp_path: Path) -> None:
    oa.status = 500
    async with sending(database, options(oa), NullRecorder()) as deliveries:
        await take(deliveries)
        await true(lambda: bool(oa.keys))
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert b"dlv_" in stored
    assert b"13552.60" not in stored


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"targets": {}}, "at least 1"),
        ({"targets": {"OA!": {}}}, "pattern"),
        ({"targets": {"oa": {"url": "http://oa.example.cn/", "secret": SECRET}}}, "readable on the way"),
        (
            {"targets": {"oa": {"url": "https://oa.example.cn/", "secret": SECRET}}, "approved": "mes"},
            "one of targets",
        ),
    ],
)
async def test_wrong_options_are_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        DeliveryOptions.model_validate(given)
