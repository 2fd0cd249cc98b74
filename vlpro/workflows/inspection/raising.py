"""Alerts of inspections: raised once, put on the record, handed on, and acknowledged by a person."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from vlpro.audit.events import Event
from vlpro.audit.recorder import Recorder
from vlpro.errors import NotFoundError, VlproError
from vlpro.identity.labels import Level, check_read
from vlpro.identity.principal import Person
from vlpro.workflows.inspection.alert_store import AlertStore
from vlpro.workflows.inspection.alerts import Alert, AlertState, Finding, in_quiet_hours
from vlpro.workflows.inspection.options import InspectionOptions
from vlpro.workflows.inspection.store import Inspected
from vlpro.workflows.paging import place_of

__all__ = ["InspectionAlerts"]

log = logging.getLogger(__name__)

_CATCH_UP_S = 3_600.0


class InspectionAlerts:
    """Alerts; each belongs to whose inspection raised it.

    Args:
        store: Where they are.
        recorder: Of the audit.
        options: Of the settings.
        deliver: Hands an alert on to other systems, once however often it is called; None: there are none.
        clock: Unix time.

    Attributes:
        store: As above.
        raised: Set whenever an alert is to be published.
    """

    def __init__(
        self,
        store: AlertStore,
        recorder: Recorder,
        options: InspectionOptions,
        *,
        deliver: Callable[[Alert], Awaitable[None]] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self.raised = asyncio.Event()
        self._recorder = recorder
        self._options = options
        self._deliver = deliver
        self._clock = clock

    def id_of(self, one: Inspected) -> str:
        """Of the alert that an inspection raises."""
        return self.store.id_of(one.owner, one.station, one.sha256)

    async def states(self, names: Sequence[str]) -> dict[str, AlertState]:
        """How alerts stand now, by id; those that are there."""
        return await asyncio.to_thread(self.store.states, names) if names else {}

    async def raise_for(self, one: Inspected, finding: Finding) -> Alert:
        """Raise an inspection's alert, or find it raised already.

        Raises:
            AuditError: It cannot be recorded.
            DatabaseError: It cannot be stored.
        """
        now = datetime.fromtimestamp(self._clock(), UTC).astimezone()
        quiet = in_quiet_hours(finding, one.station, self._options.quiet_hours, now)
        alert = Alert(
            id=self.id_of(one),
            owner=one.owner,
            level=one.level,
            created=self._clock(),
            state="silenced" if quiet else "open",
            inspection=one.id,
            product=one.product,
            station=one.station,
            kinds=finding.kinds,
            defects=finding.defects,
            score=finding.score,
            verdict=one.result.verdict,
            screening=one.screening,
            picture_sha256=one.sha256,
        )
        alert, new = await asyncio.to_thread(
            self.store.raise_once, alert, quiet_s=finding.quiet_s, to_mqtt=self._options.mqtt is not None
        )
        if new:
            await self._raised(alert)
        return alert

    async def _raised(self, alert: Alert) -> None:
        """Put a new alert on the record, and hand it on."""
        await self._recorder.anote(
            Event.FINDING_RAISED,
            object=alert.id,
            detail={
                "inspection": alert.inspection,
                "product": alert.product,
                "station": alert.station,
                "kinds": list(alert.kinds),
                "defects": alert.defects,
                "state": alert.state,
            },
        )
        if alert.state == "open":
            self.raised.set()
            await self._hand_on(alert)

    async def catch_up(self) -> None:
        """Hand on what a process before this one raised, but did not come to hand on; nothing goes out twice."""
        if self._deliver is None:
            return
        for alert in await asyncio.to_thread(self.store.open_since, self._clock() - _CATCH_UP_S):
            await self._hand_on(alert)

    async def _hand_on(self, alert: Alert) -> None:
        if self._deliver is None:
            return
        try:
            await self._deliver(alert)
        except VlproError as error:  # the alert stands: on the record, and on the page
            log.error("%s is not handed on: %s", alert.id, error.message)  # noqa: TRY400 - no trace

    async def page(
        self, person: Person, *, state: AlertState | None, after: str, limit: int
    ) -> tuple[list[Alert], str | None]:
        """One's own alerts, the newest first; and what to ask for the page after.

        Raises:
            BadRequestError: ``after`` is no such value.
        """
        before = place_of(after)
        found = await asyncio.to_thread(
            self.store.page, person.id, person.level, state=state, before=before, limit=limit + 1
        )
        more, found = found[limit:], found[:limit]
        return found, f"{found[-1].created!r}~{found[-1].id}" if more else None

    async def get(self, person: Person, name: str) -> Alert:
        """One's own alert. Raises: NotFoundError, ForbiddenError."""
        found = await asyncio.to_thread(self.store.get, name[:64])
        if found is None or found.owner != person.id:
            raise NotFoundError(
                "There is no such alert.",
                zh="没有这条告警。",
                code="alert_not_found",
                foreign=found is not None,
            )
        check_read(person.level, Level(found.level))
        return found

    async def acknowledge(self, person: Person, name: str, *, by: str, note: str) -> Alert:
        """Say that somebody saw to an alert; the first one who did stays on it.

        Args:
            person: Who.
            name: Of the alert.
            by: Login.
            note: What was done; may be empty.

        Raises:
            NotFoundError: There is none of this id, or it is somebody else's.
        """
        found = await self.get(person, name)
        if found.state == "acknowledged":
            return found
        await self._recorder.anote(
            Event.FINDING_ACKNOWLEDGED, object=name, detail={"inspection": found.inspection}
        )
        seen = replace(
            found, state="acknowledged", acknowledged_by=by, acknowledged_at=self._clock(), note=note
        )
        if not await asyncio.to_thread(self.store.acknowledge, seen):
            return await self.get(person, name)
        return seen
