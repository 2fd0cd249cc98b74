from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from vlpro.crypto import Sealer
from vlpro.crypto.keys import Keys
from vlpro.crypto.stored import reseal
from vlpro.db import Database
from vlpro.errors import ConflictError, VlproError
from vlpro.identity.labels import Level
from vlpro.sealed_columns import MAIN
from vlpro.workflows.inspection.alert_store import AlertStore
from vlpro.workflows.inspection.alerts import Alert
from vlpro.workflows.inspection.result import Defect, Inspection
from vlpro.workflows.inspection.store import Decision, Inspected, InspectionStore
from vlpro.workflows.inspection.tables import golden_templates, inspection_alerts, inspections
from vlpro.workflows.inspection.template_store import GoldenTemplate, TemplateStore

FOUND = Inspection("template", (Defect("open", (1, 2, 3, 4), 0.9, "n"),), "fail", 9, 9, (0.5, 1.0, 2.0, 3.0))


class World:
    """A store whose clock is set by hand."""

    def __init__(self, url: str) -> None:
        self.now = 1_000.0
        self.database = Database(url)
        self.database.migrate()
        self.key = secrets.token_bytes(32)
        sealer = Sealer(self.key)
        self.store = InspectionStore(self.database, sealer, clock=lambda: self.now)
        self.alerts = AlertStore(self.database, sealer, clock=lambda: self.now)
        self.templates = TemplateStore(self.database, sealer)

    def inspected(self, name: str, **fields: Any) -> Inspected:
        given: dict[str, Any] = {
            "id": name, "owner": "li", "level": 1, "created": self.now, "product": "A1", "station": "S1",
            "source": "api", "sha256": "0" * 64, "result": FOUND, "seconds": 0.1,
        }  # fmt: skip
        return Inspected(**given | fields)

    def alert(self, picture: str, *, station: str = "S1", kinds: tuple[str, ...] = ("open",)) -> Alert:
        return Alert(
            id=self.alerts.id_of("li", station, picture), owner="li", level=1, created=self.now, state="open",
            inspection="insp_1", product="A1", station=station, kinds=kinds, defects=1, score=0.9, verdict="fail",
            screening=False, picture_sha256=picture,
        )  # fmt: skip


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    made = World(database_url)
    yield made
    made.database.close()


def test_what_is_stored_comes_back_and_goes_after_its_days(world: World) -> None:
    store = world.store
    first = store.add(world.inspected("insp_1"), b"jpeg")
    world.now += 1
    second = store.add(world.inspected("insp_2", level=2), None)
    assert store.get("insp_1") == first
    assert (first.has_picture, second.has_picture) == (True, False)
    assert (store.picture("insp_1"), store.picture("insp_2")) == (b"jpeg", None)
    assert store.page("li", Level.SECRET, before=None, limit=9) == [second, first]
    assert store.page("li", Level.INTERNAL, before=None, limit=9) == [first]
    assert store.page("li", Level.SECRET, before=(second.created, second.id), limit=9) == [first]
    assert store.page("wang", Level.SECRET, before=None, limit=9) == []

    decided = store.change(replace(first, decision=Decision("pass", "li", 1.0)), keep_picture=False)
    assert (store.get("insp_1"), store.picture("insp_1")) == (decided, None)
    with pytest.raises(ConflictError):
        store.change(first, keep_picture=True)  # it was changed since
    world.now += 90 * 86_400
    assert store.sweep(90) == 1
    assert store.get("insp_1") is None
    assert store.delete("insp_2")
    assert not store.delete("insp_2")


def test_an_alert_is_raised_once_whoever_finds_it_first(world: World) -> None:
    with ThreadPoolExecutor(8) as pool:
        raised = list(
            pool.map(lambda _: world.alerts.raise_once(world.alert("a"), quiet_s=0, to_mqtt=True), range(16))
        )
    assert sorted(new for _, new in raised) == [False] * 15 + [True]
    assert len({alert.id for alert, _ in raised}) == 1
    (waiting,) = world.alerts.to_publish(9)
    world.alerts.published(waiting.id)
    assert world.alerts.to_publish(9) == []
    seen = replace(waiting, state="acknowledged", acknowledged_by="li", acknowledged_at=1.0)
    assert world.alerts.acknowledge(seen)
    assert not world.alerts.acknowledge(seen)
    assert world.alerts.get(seen.id) == seen
    assert world.alerts.page("li", Level.SECRET, state="open", before=None, limit=9) == []
    again, new = world.alerts.raise_once(world.alert("a"), quiet_s=0, to_mqtt=True)
    assert (again.state, new) == ("acknowledged", False)


def test_kinds_are_silent_at_their_station_for_a_while(world: World) -> None:
    def raised(picture: str, station: str = "S1", kinds: tuple[str, ...] = ("open",)) -> str:
        alert = world.alert(picture, station=station, kinds=kinds)
        return world.alerts.raise_once(alert, quiet_s=60, to_mqtt=True)[0].state

    assert raised("a") == "open"
    world.now += 59
    assert raised("b") == "silenced"
    assert raised("c", "S2") == "open"
    assert raised("d", kinds=("open", "spur")) == "open"  # one of them is new; the silence begins anew
    world.now += 59
    assert raised("e") == "silenced"
    world.now += 2
    assert raised("f") == "open"
    assert len(world.alerts.to_publish(9)) == 4


@pytest.mark.parametrize("column", ["data", "picture", "owner", "level"])
def test_what_was_altered_or_given_to_somebody_else_does_not_open(world: World, column: str) -> None:
    for name, picture in (("insp_1", b"one"), ("insp_2", b"two")):
        world.store.add(world.inspected(name), picture)
    other: Any = {"owner": "wang", "level": 0}.get(column)
    with world.database.write() as connection:
        if other is None:
            other = connection.execute(
                sa.select(inspections.c[column]).where(inspections.c.id == "insp_2")
            ).scalar()
        connection.execute(sa.update(inspections).where(inspections.c.id == "insp_1").values({column: other}))
    with pytest.raises(VlproError, match="insp_1"):
        _ = world.store.get("insp_1"), world.store.picture("insp_1")


def test_an_alert_cannot_be_acknowledged_in_the_database(world: World) -> None:
    alert, _ = world.alerts.raise_once(world.alert("a"), quiet_s=0, to_mqtt=False)
    with world.database.write() as connection:
        connection.execute(sa.update(inspection_alerts).values(state="acknowledged"))
    with pytest.raises(VlproError) as told:
        world.alerts.get(alert.id)
    assert told.value.code == "integrity_error"


def test_everything_opens_under_a_new_key_and_its_columns_are_gone_through(world: World) -> None:
    world.store.add(world.inspected("insp_1"), b"jpeg")
    alert, _ = world.alerts.raise_once(world.alert("a"), quiet_s=0, to_mqtt=False)
    name = world.templates.id_of("li", "A1")
    golden = GoldenTemplate(name, "li", 1, 1.0, "A1", 9, 9, "0" * 64)
    world.templates.put(golden, b"png")
    tables = (inspections, golden_templates, inspection_alerts)
    columns = [one for one in MAIN if one.column.table in tables]
    assert len(columns) == 3
    both = Sealer(Keys([(world.key, 0.0), (secrets.token_bytes(32), 1.0)]))
    assert [sum(reseal(world.database, column, both)) for column in columns] == [1, 1, 1]
    assert InspectionStore(world.database, both).picture("insp_1") == b"jpeg"
    assert AlertStore(world.database, both).get(alert.id) == alert
    assert TemplateStore(world.database, both).picture(name) == (golden, b"png")
