"""Alerts in the database: sealed, bound to owner, level and state; each is raised once, whoever finds it first."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from vlpro.crypto import Sealer
from vlpro.db import Database
from vlpro.identity.labels import Level
from vlpro.workflows.inspection.alerts import Alert, AlertState
from vlpro.workflows.inspection.tables import inspection_alerts, inspection_silences
from vlpro.workflows.paging import ordered

__all__ = ["AlertStore", "alert_place"]

_DAY_S = 86_400.0
_ALERTS = sa.select(inspection_alerts)


class AlertStore:
    """Alerts by id. Blocks: not for the event loop.

    Args:
        database: Migrated.
        sealer: Seals them.
        clock: Unix time.
    """

    def __init__(self, database: Database, sealer: Sealer, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock

    def id_of(self, owner: str, station: str, sha256: str) -> str:
        """The id of the alert that a picture raises at a station: the same each time."""
        return f"ialert_{self._hash('inspection_alerts.id', owner, station, sha256)}"

    def raise_once(self, alert: Alert, *, quiet_s: float, to_mqtt: bool) -> tuple[Alert, bool]:
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
                return self.raise_once(alert, quiet_s=quiet_s, to_mqtt=to_mqtt)
            return self._alert(there), False
        return alert, True

    def get(self, name: str) -> Alert | None:
        """An alert; None: there is none. Raises: VlproError, ``integrity_error``: it was altered."""
        with self._database.read() as connection:
            row = connection.execute(_ALERTS.where(inspection_alerts.c.id == name)).one_or_none()
        return None if row is None else self._alert(row)

    def page(
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
        c = inspection_alerts.c
        query = _ALERTS.where(c.owner == owner, c.level <= int(level))
        if state is not None:
            query = query.where(c.state == state)
        with self._database.read() as connection:
            rows = connection.execute(ordered(query, inspection_alerts, before).limit(limit)).all()
        return [self._alert(row) for row in rows]

    def states(self, names: Sequence[str]) -> dict[str, AlertState]:
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

    def open_since(self, moment: float) -> list[Alert]:
        """Open alerts that were raised since a time, the oldest first."""
        c = inspection_alerts.c
        query = _ALERTS.where(c.state == "open", c.created_at >= moment).order_by(c.created_at, c.id)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [self._alert(row) for row in rows]

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

    def sweep(self, days: int) -> int:
        """Delete what is older than so many days; returns how many alerts."""
        now = self._clock()
        with self._database.write() as connection:
            gone = connection.execute(
                sa.delete(inspection_alerts).where(inspection_alerts.c.created_at < now - days * _DAY_S)
            ).rowcount
            connection.execute(
                sa.delete(inspection_silences).where(inspection_silences.c.raised_at < now - _DAY_S)
            )
        if gone:
            self._database.overwrite()
        return gone

    def _hash(self, place: str, *parts: str) -> str:
        return self._sealer.mac("\0".join(parts).encode(), place).hex()[:32]


def alert_place(name: str, owner: str, level: int, state: str) -> str:
    """Of an alert: one whose state was altered does not open either."""
    return f"inspection_alerts.data:{name}:{owner}:{Level(level).word}:{state}"


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
