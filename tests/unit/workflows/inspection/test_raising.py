"""An alert that was raised is handed on, though the process ended in between."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.people import Clock
from vlpro.audit.recorder import NullRecorder
from vlpro.crypto import Sealer
from vlpro.db import Database, sqlite_url
from vlpro.workflows.inspection.alert_store import AlertStore
from vlpro.workflows.inspection.alerts import Alert, Finding
from vlpro.workflows.inspection.options import InspectionOptions
from vlpro.workflows.inspection.raising import InspectionAlerts
from vlpro.workflows.inspection.result import Inspection
from vlpro.workflows.inspection.store import Inspected


class KilledError(BaseException):
    """The process ends here."""


@pytest.mark.anyio
async def test_what_a_process_did_not_come_to_hand_on_the_next_one_does(tmp_path: Path) -> None:
    database, clock = Database(sqlite_url(tmp_path)), Clock()
    database.migrate()
    store = AlertStore(database, Sealer(bytes(32)), clock=clock)
    got: list[Alert] = []

    async def deliver(alert: Alert) -> None:
        got.append(alert)

    async def dies(_: Alert) -> None:
        raise KilledError

    def alerts(deliver: Callable[[Alert], Awaitable[None]]) -> InspectionAlerts:
        return InspectionAlerts(store, NullRecorder(), InspectionOptions(), deliver=deliver, clock=clock)

    result = Inspection("template", (), "fail", 9, 9)
    one = Inspected("insp_1", "li", 0, clock.now, "A1", "S1", "api", "a" * 64, result, 0.1)
    found = Finding(("open",), 1, 0.9, quiet_s=60)
    with pytest.raises(KilledError):
        await alerts(dies).raise_for(one, found)
    silenced = await alerts(deliver).raise_for(replace(one, sha256="b" * 64), found)
    assert (silenced.state, got) == ("silenced", [])
    clock.pass_(minutes=5)
    await alerts(deliver).catch_up()
    assert [(alert.inspection, alert.state, alert.picture_sha256[0]) for alert in got] == [
        ("insp_1", "open", "a")
    ]
    store.acknowledge(replace(got[0], state="acknowledged"))
    await alerts(deliver).catch_up()
    assert len(got) == 1
    database.close()
