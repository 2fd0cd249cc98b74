"""Inspections, golden templates and alerts in the database: sealed, and bound to owner, level and state.

An inspection and a template have a data key of their own, which is deleted with them. What stands in clear is what
the database needs: ids, owner, level, times, states; each of them is bound into what is sealed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from vlpro.crypto import DataKey, Sealer
from vlpro.db import Database
from vlpro.errors import ConflictError
from vlpro.identity.labels import Level
from vlpro.workflows.inspection.alerts import Alert, AlertState
from vlpro.workflows.inspection.result import Defect, Inspection
from vlpro.workflows.inspection.tables import (
    golden_templates,
    inspection_alerts,
    inspection_silences,
    inspections,
)

__all__ = [
    "Copper",
    "Decision",
    "GoldenTemplate",
    "Inspected",
    "InspectionStore",
    "Source",
    "alert_place",
    "inspection_place",
    "template_place",
]

Source = Literal["api", "folder", "mqtt"]
Copper = Literal["dark", "light"]
"""Which of a board's two tones its conductors are."""

_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided about an inspection; times are Unix seconds."""

    verdict: Literal["pass", "fail"]
    by: str
    at: float


@dataclass(frozen=True, slots=True)
class Inspected:
    """A stored inspection.

    Args:
        id: Its id.
        owner: Whose.
        level: Its label.
        created: Unix time.
        product: What was inspected; may be empty.
        station: Where; may be empty.
        source: How the picture came.
        sha256: Of the picture as it was sent.
        result: What was found.
        seconds: From the picture's arrival to the finding.
        has_picture: Whether the picture is stored.
        decision: What a person decided; None: nobody has.
        alert: Id of its alert; None: it raised none.
        version: Of the row.
    """

    id: str
    owner: str
    level: int
    created: float
    product: str
    station: str
    source: Source
    sha256: str
    result: Inspection
    seconds: float
    has_picture: bool = False
    decision: Decision | None = None
    alert: str | None = None
    version: int = field(default=1, compare=False)

    @property
    def screening(self) -> bool:
        """Whether it rests on what a model saw, and nobody has confirmed it yet."""
        return self.result.method == "sight"


@dataclass(frozen=True, slots=True)
class GoldenTemplate:
    """What is known of a golden template, without its pixels."""

    id: str
    owner: str
    level: int
    created: float
    product: str
    width: int
    height: int
    sha256: str
    copper: Copper | None = None


class InspectionStore:
    """All that inspections leave. Blocks: not for the event loop.

    Args:
        database: Migrated.
        sealer: Wraps data keys, and seals alerts.
        clock: Unix time.
    """

    def __init__(self, database: Database, sealer: Sealer, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock

    # --- inspections

    def add(self, one: Inspected, picture: bytes | None) -> Inspected:
        """Store an inspection.

        Args:
            one: The inspection.
            picture: A JPEG of its clean pixels; None: it is not kept.

        Returns:
            As it is stored.

        Raises:
            DatabaseError: The database does not answer.
        """
        stored = replace(one, has_picture=picture is not None, version=1)
        key, wrapped = self._sealer.new_data_key(inspection_place(one.id, one.owner, one.level))
        row = {
            "id": one.id,
            "owner": one.owner,
            "level": one.level,
            "created_at": one.created,
            "version": 1,
            "key": wrapped,
            "data": key.seal(_inspected_bytes(stored), f"inspections.data:{one.id}", 1),
            "picture": None if picture is None else key.seal(picture, f"inspections.picture:{one.id}"),
        }
        with self._database.write() as connection:
            connection.execute(sa.insert(inspections).values(row))
        return stored

    def get(self, name: str) -> Inspected | None:
        """An inspection; None: there is none. Raises: VlproError, ``integrity_error``: it was altered."""
        with self._database.read() as connection:
            row = connection.execute(_HEADS.where(inspections.c.id == name)).one_or_none()
        return None if row is None else self._inspected(row)

    def picture(self, name: str) -> bytes | None:
        """The picture of an inspection, a JPEG; None: it is not kept."""
        wanted = sa.select(
            inspections.c.owner, inspections.c.level, inspections.c.key, inspections.c.picture
        ).where(inspections.c.id == name)
        with self._database.read() as connection:
            row = connection.execute(wanted).one_or_none()
        if row is None or row.picture is None:
            return None
        key = self._sealer.data_key(bytes(row.key), inspection_place(name, row.owner, row.level))
        return key.open(bytes(row.picture), f"inspections.picture:{name}")

    def page(
        self, owner: str, level: Level, *, before: tuple[float, str] | None, limit: int
    ) -> list[Inspected]:
        """A person's inspections up to a level, the newest first.

        Args:
            owner: Whose.
            level: The highest.
            before: When the last one of the page before was made, and its id.
            limit: How many at most.
        """
        query = _page_of(_HEADS, inspections, owner, level, before).limit(limit)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [self._inspected(row) for row in rows]

    def change(self, one: Inspected, *, keep_picture: bool) -> Inspected:
        """Store what a person decided.

        Args:
            one: As it was read, with the change.
            keep_picture: Whether the picture stays.

        Raises:
            ConflictError: It was changed since it was read, or deleted.
        """
        with self._database.write() as connection:
            stored_key = sa.select(inspections.c.key).where(
                inspections.c.id == one.id, inspections.c.version == one.version
            )
            wrapped = connection.execute(stored_key).scalar()
            if wrapped is None:
                raise _changed()
            stored = replace(one, version=one.version + 1, has_picture=one.has_picture and keep_picture)
            key = self._sealer.data_key(bytes(wrapped), inspection_place(one.id, one.owner, one.level))
            values: dict[str, Any] = {
                "version": stored.version,
                "data": key.seal(_inspected_bytes(stored), f"inspections.data:{one.id}", stored.version),
            }
            if not keep_picture:
                values["picture"] = None
            done = connection.execute(
                sa.update(inspections)
                .where(inspections.c.id == one.id, inspections.c.version == one.version)
                .values(values)
            )
            if not done.rowcount:
                raise _changed()
        if one.has_picture and not keep_picture:
            self._database.overwrite()
        return stored

    def delete(self, name: str) -> bool:
        """Delete an inspection with its key; whether it was there. Its alert stays."""
        with self._database.write() as connection:
            gone = connection.execute(sa.delete(inspections).where(inspections.c.id == name)).rowcount
        if gone:
            self._database.overwrite()
        return bool(gone)

    def _inspected(self, row: Any) -> Inspected:
        key = self._sealer.data_key(bytes(row.key), inspection_place(row.id, row.owner, row.level))
        told = json.loads(key.open(bytes(row.data), f"inspections.data:{row.id}", row.version))
        return _inspected_of(told, row)

    # --- golden templates

    def template_id(self, owner: str, product: str) -> str:
        """Under which the template of a product is stored: tells nothing of the product."""
        return f"tpl_{self._hash('golden_templates.id', owner, product)}"

    def put_template(self, one: GoldenTemplate, png: bytes) -> None:
        """Store a golden template in place of the one before.

        Args:
            one: What is known of it.
            png: Its clean pixels.
        """
        place = template_place(one.id, one.owner, one.level)
        key, wrapped = self._sealer.new_data_key(place)
        told = {name: getattr(one, name) for name in ("product", "width", "height", "sha256", "copper")}
        row = {
            "id": one.id,
            "owner": one.owner,
            "level": one.level,
            "created_at": one.created,
            "key": wrapped,
            "data": key.seal(_json(told), f"golden_templates.data:{one.id}"),
            "picture": key.seal(png, f"golden_templates.picture:{one.id}"),
        }
        with self._database.write() as connection:
            connection.execute(sa.delete(golden_templates).where(golden_templates.c.id == one.id))
            connection.execute(sa.insert(golden_templates).values(row))
        self._database.overwrite()

    def template(self, name: str) -> GoldenTemplate | None:
        """What is known of a template; None: there is none."""
        with self._database.read() as connection:
            row = connection.execute(_TEMPLATES.where(golden_templates.c.id == name)).one_or_none()
        return None if row is None else self._template(row)[0]

    def template_picture(self, name: str) -> tuple[GoldenTemplate, bytes] | None:
        """A template with its pixels, as PNG; None: there is none."""
        with self._database.read() as connection:
            row = connection.execute(
                sa.select(golden_templates).where(golden_templates.c.id == name)
            ).one_or_none()
        if row is None:
            return None
        one, key = self._template(row)
        return one, key.open(bytes(row.picture), f"golden_templates.picture:{name}")

    def templates(self, owner: str, level: Level) -> list[GoldenTemplate]:
        """A person's templates up to a level, by product."""
        own = _TEMPLATES.where(golden_templates.c.owner == owner, golden_templates.c.level <= int(level))
        with self._database.read() as connection:
            rows = connection.execute(own.limit(1_000)).all()
        return sorted((self._template(row)[0] for row in rows), key=lambda one: one.product)

    def delete_template(self, name: str) -> bool:
        """Delete a template with its key; whether it was there."""
        with self._database.write() as connection:
            gone = connection.execute(
                sa.delete(golden_templates).where(golden_templates.c.id == name)
            ).rowcount
        if gone:
            self._database.overwrite()
        return bool(gone)

    def _template(self, row: Any) -> tuple[GoldenTemplate, DataKey]:
        key = self._sealer.data_key(bytes(row.key), template_place(row.id, row.owner, row.level))
        told = json.loads(key.open(bytes(row.data), f"golden_templates.data:{row.id}"))
        return GoldenTemplate(row.id, row.owner, row.level, row.created_at, **told), key

    # --- alerts

    def alert_id(self, owner: str, station: str, sha256: str) -> str:
        """The id of the alert that a picture raises at a station: the same each time."""
        return f"ialert_{self._hash('inspection_alerts.id', owner, station, sha256)}"

    def raise_alert(self, alert: Alert, *, quiet_s: float, to_mqtt: bool) -> tuple[Alert, bool]:
        """Store an alert, once; silenced where all its kinds were raised at its station a short while ago.

        Args:
            alert: The alert; ``silenced`` already where the hour is a quiet one.
            quiet_s: Seconds for which its kinds are silent afterwards.
            to_mqtt: Whether it is to be published, unless it is silenced.

        Returns:
            As it is stored; and whether it is new.
        """
        now = self._clock()
        kinds = [
            self._hash("inspection_silences.id", alert.owner, alert.station, kind) for kind in alert.kinds
        ]
        silences = inspection_silences.c
        try:
            with self._database.write() as connection:
                there = connection.execute(_ALERTS.where(inspection_alerts.c.id == alert.id)).one_or_none()
                if there is not None:
                    return self._alert(there), False
                if quiet_s and alert.state == "open":
                    rows = connection.execute(
                        sa.select(silences.id).where(
                            silences.id.in_(kinds), silences.raised_at > now - quiet_s
                        )
                    ).all()
                    if {row.id for row in rows} == set(kinds):
                        alert = replace(alert, state="silenced")
                if alert.state == "open":
                    connection.execute(sa.delete(inspection_silences).where(silences.id.in_(kinds)))
                    connection.execute(
                        sa.insert(inspection_silences),
                        [{"id": kind, "raised_at": now} for kind in set(kinds)],
                    )
                row = self._alert_row(alert) | {"to_mqtt": to_mqtt and alert.state == "open"}
                connection.execute(sa.insert(inspection_alerts).values(row))
        except IntegrityError:  # another process raised it, or one of its kinds, in the same instant
            with self._database.read() as connection:
                there = connection.execute(_ALERTS.where(inspection_alerts.c.id == alert.id)).one_or_none()
            if there is None:
                return self.raise_alert(alert, quiet_s=quiet_s, to_mqtt=to_mqtt)
            return self._alert(there), False
        return alert, True

    def alert(self, name: str) -> Alert | None:
        """An alert; None: there is none. Raises: VlproError, ``integrity_error``: it was altered."""
        with self._database.read() as connection:
            row = connection.execute(_ALERTS.where(inspection_alerts.c.id == name)).one_or_none()
        return None if row is None else self._alert(row)

    def alerts(
        self,
        owner: str,
        level: Level,
        *,
        state: AlertState | None,
        before: tuple[float, str] | None,
        limit: int,
    ) -> list[Alert]:
        """A person's alerts up to a level, the newest first.

        Args:
            owner: Whose.
            level: The highest.
            state: Only those; None: all.
            before: When the last one of the page before was raised, and its id.
            limit: How many at most.
        """
        query = _page_of(_ALERTS, inspection_alerts, owner, level, before)
        if state is not None:
            query = query.where(inspection_alerts.c.state == state)
        with self._database.read() as connection:
            rows = connection.execute(query.limit(limit)).all()
        return [self._alert(row) for row in rows]

    def alert_states(self, names: Sequence[str]) -> dict[str, AlertState]:
        """How alerts stand now, by id; those that are there."""
        c = inspection_alerts.c
        with self._database.read() as connection:
            rows = connection.execute(sa.select(c.id, c.state).where(c.id.in_(names))).all()
        return {row.id: row.state for row in rows}

    def acknowledge(self, alert: Alert) -> bool:
        """Store that somebody saw to an alert; whether it was not acknowledged before.

        Args:
            alert: As acknowledged.
        """
        c = inspection_alerts.c
        row = self._alert_row(alert)
        with self._database.write() as connection:
            done = connection.execute(
                sa.update(inspection_alerts)
                .where(c.id == alert.id, c.state != "acknowledged")
                .values(state=row["state"], data=row["data"])
            )
        return bool(done.rowcount)

    def to_publish(self, limit: int) -> list[Alert]:
        """Alerts that are still to be published, the oldest first."""
        c = inspection_alerts.c
        query = _ALERTS.where(c.to_mqtt).order_by(c.created_at).limit(limit)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [self._alert(row) for row in rows]

    def published(self, name: str) -> None:
        """An alert was published."""
        with self._database.write() as connection:
            connection.execute(
                sa.update(inspection_alerts).where(inspection_alerts.c.id == name).values(to_mqtt=False)
            )

    def _alert_row(self, alert: Alert) -> dict[str, Any]:
        told = asdict(alert)
        for bound in ("id", "owner", "level", "created", "state"):
            del told[bound]
        place = alert_place(alert.id, alert.owner, alert.level, alert.state)
        return {
            "id": alert.id,
            "owner": alert.owner,
            "level": alert.level,
            "created_at": alert.created,
            "state": alert.state,
            "data": self._sealer.seal(_json(told), place),
        }

    def _alert(self, row: Any) -> Alert:
        place = alert_place(row.id, row.owner, row.level, row.state)
        told = json.loads(self._sealer.open(bytes(row.data), place))
        told["kinds"] = tuple(told["kinds"])
        return Alert(
            id=row.id, owner=row.owner, level=row.level, created=row.created_at, state=row.state, **told
        )

    # --- what is over

    def sweep(self, days: int) -> int:
        """Delete what is older than so many days; returns how many rows."""
        now, gone = self._clock(), 0
        with self._database.write() as connection:
            for table in (inspections, inspection_alerts):
                gone += connection.execute(
                    sa.delete(table).where(table.c.created_at < now - days * _DAY_S)
                ).rowcount
            connection.execute(
                sa.delete(inspection_silences).where(inspection_silences.c.raised_at < now - _DAY_S)
            )
        if gone:
            self._database.overwrite()
        return gone

    def _hash(self, place: str, *parts: str) -> str:
        return self._sealer.mac("\0".join(parts).encode(), place).hex()[:32]


_HEADS = sa.select(
    inspections.c.id,
    inspections.c.owner,
    inspections.c.level,
    inspections.c.created_at,
    inspections.c.version,
    inspections.c.key,
    inspections.c.data,
    inspections.c.picture.is_not(None).label("has_picture"),
)
_TEMPLATES = sa.select(
    golden_templates.c.id,
    golden_templates.c.owner,
    golden_templates.c.level,
    golden_templates.c.created_at,
    golden_templates.c.key,
    golden_templates.c.data,
)
_ALERTS = sa.select(inspection_alerts)


def _page_of(
    query: sa.Select[Any], table: sa.Table, owner: str, level: Level, before: tuple[float, str] | None
) -> sa.Select[Any]:
    c = table.c
    query = query.where(c.owner == owner, c.level <= int(level))
    if before is not None:
        query = query.where(
            sa.or_(c.created_at < before[0], sa.and_(c.created_at == before[0], c.id < before[1]))
        )
    return query.order_by(c.created_at.desc(), c.id.desc())


def inspection_place(name: str, owner: str, level: int) -> str:
    """Of an inspection's wrapped data key: one that is given to somebody else, or a lower level, does not open."""
    return f"inspections.key:{name}:{owner}:{Level(level).word}"


def template_place(name: str, owner: str, level: int) -> str:
    """Of a template's wrapped data key, likewise."""
    return f"golden_templates.key:{name}:{owner}:{Level(level).word}"


def alert_place(name: str, owner: str, level: int, state: str) -> str:
    """Of an alert: one whose state was altered does not open either."""
    return f"inspection_alerts.data:{name}:{owner}:{Level(level).word}:{state}"


def _inspected_bytes(one: Inspected) -> bytes:
    told = {
        "product": one.product,
        "station": one.station,
        "source": one.source,
        "sha256": one.sha256,
        "result": asdict(one.result),
        "seconds": one.seconds,
        "decision": asdict(one.decision) if one.decision is not None else None,
        "alert": one.alert,
    }
    return _json(told)


def _inspected_of(told: Mapping[str, Any], row: Any) -> Inspected:
    result, decision = told["result"], told["decision"]
    defects = tuple(Defect(**{**defect, "box": _four(defect["box"])}) for defect in result["defects"])
    shift = result["shift"]
    return Inspected(
        id=row.id,
        owner=row.owner,
        level=row.level,
        created=row.created_at,
        product=told["product"],
        station=told["station"],
        source=told["source"],
        sha256=told["sha256"],
        result=Inspection(
            **{**result, "defects": defects, "shift": tuple(shift) if shift is not None else None}
        ),
        seconds=told["seconds"],
        has_picture=row.has_picture,
        decision=Decision(**decision) if decision is not None else None,
        alert=told["alert"],
        version=row.version,
    )


def _four(box: Sequence[int]) -> tuple[int, int, int, int]:
    x1, y1, x2, y2 = box
    return x1, y1, x2, y2


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _changed() -> ConflictError:
    return ConflictError(
        "This inspection was changed or deleted meanwhile. Load it again.",
        zh="该检测记录已被修改或删除，请重新载入。",
    )
