"""An approval and its delivery are one thing: a crash leaves both, or neither."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

import pytest

from tests.receivers import SECRET, hook
from vlpro.audit.recorder import NullRecorder
from vlpro.crypto import Sealer
from vlpro.db import Database, sqlite_url
from vlpro.errors import DatabaseError, NotFoundError
from vlpro.identity.labels import Level
from vlpro.identity.principal import Person
from vlpro.workflows.delivery.options import DeliveryOptions
from vlpro.workflows.delivery.outbox import Outbox
from vlpro.workflows.delivery.service import Deliveries
from vlpro.workflows.extraction.result import ExtractedField, Extraction
from vlpro.workflows.extraction.service import ExtractionService
from vlpro.workflows.extraction.standing import Viewer
from vlpro.workflows.extraction.store import ExtractionStore
from vlpro.workflows.extraction.stored import Stored

pytestmark = pytest.mark.anyio

NAME = "ext_1"
WHO = Viewer(Person("liwei", Level.PUBLIC))
SEALER = Sealer(bytes(32))


@contextmanager
def service(folder: Path, url: str = "https://oa.example/") -> Iterator[ExtractionService]:
    database = Database(sqlite_url(folder))
    database.migrate()
    options = DeliveryOptions.model_validate(
        {"targets": {"oa": {"url": url, "secret": SECRET}}, "approved": "oa"}
    )
    recorder = NullRecorder()
    yield ExtractionService(
        cast("Any", SimpleNamespace(recorder=recorder)),
        cast("Any", None),
        ExtractionStore(database, SEALER),
        {},
        Deliveries(Outbox(database, SEALER), options, recorder),
        max_pages=1,
    )
    database.close()


def add(made: ExtractionService) -> None:
    found = Extraction("custom", {"total": ExtractedField("1.00", "1.00", 0.9)}, (), "pass")
    stored = Stored(NAME, "liwei", Level.PUBLIC, 1.0, 1.0, "open", False, found, "ocr", ())  # noqa: FBT003
    made._store.add(stored, (), None)


def approve_and_die(folder: str, when: str) -> None:
    """In a process of its own: approve, and end where nothing can be tidied up any more."""
    with service(Path(folder)) as made:
        take = made.deliveries.put

        def put(*args: Any, **named: Any) -> None:
            take(*args, **named)
            os._exit(7)

        if when == "before it is committed":
            made.deliveries.put = put  # type: ignore[method-assign]
        else:
            made.deliveries.look = lambda: os._exit(7)  # type: ignore[method-assign]
        asyncio.run(made.approve(WHO, NAME, (), None))


@pytest.mark.parametrize("when", ["before it is committed", "after it"])
async def test_a_crash_leaves_an_approval_with_its_delivery_or_neither(tmp_path: Path, when: str) -> None:
    with service(tmp_path) as made:
        add(made)
    code = f"from {__name__} import approve_and_die as die; die({str(tmp_path)!r}, {when!r})"
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert done.returncode == 7
    with hook() as oa, service(tmp_path, oa.url) as made:
        state = (await made.get(WHO, NAME)).stored.state
        assert state == ("open" if when == "before it is committed" else "approved")
        if state == "open":
            assert await made.delivered(WHO, NAME) == []
            await made.approve(WHO, NAME, (), None)
        await made.deliveries.start()
        async with asyncio.timeout(30):
            while [one.state for one in await made.delivered(WHO, NAME)] != ["delivered"]:
                await asyncio.sleep(0.01)
        # The same by hand is the same delivery.
        assert (await made.deliver(WHO, NAME, "oa")).state == "delivered"
        await made.deliveries.stop()
        assert [event["data"]["state"] for event in oa.got] == ["approved"]


async def test_a_result_is_deleted_with_what_is_on_its_way_or_not_at_all(tmp_path: Path) -> None:
    with service(tmp_path) as made:
        add(made)
        await made.approve(WHO, NAME, (), None)
        with (
            mock.patch.object(made.deliveries, "drop", side_effect=DatabaseError("gone")),
            pytest.raises(DatabaseError),
        ):
            await made.delete(WHO, NAME)
        assert len(await made.delivered(WHO, NAME)) == 1
        await made.delete(WHO, NAME)
        assert await made.deliveries.of("extraction", NAME) == []
        with pytest.raises(NotFoundError):
            await made.get(WHO, NAME)
