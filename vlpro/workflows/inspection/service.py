"""An inspection's path: its pictures read in, recorded, compared, stored; and where it must be, an alert raised."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

from vlpro.audit.events import Event, Outcome
from vlpro.chat.service import ChatService, Piece, Question, Turn
from vlpro.errors import BusyError, NotFoundError, VlproError
from vlpro.identity.labels import Level, check_read
from vlpro.identity.principal import Person
from vlpro.imaging.encode import to_jpeg
from vlpro.imaging.picture import Picture
from vlpro.knowledge.references import References
from vlpro.workflows.inspection import golden, sight, thermal
from vlpro.workflows.inspection.alerts import AlertState, finding_of
from vlpro.workflows.inspection.drawing import annotated
from vlpro.workflows.inspection.explaining import Explaining
from vlpro.workflows.inspection.method import Asked, method_of
from vlpro.workflows.inspection.options import InspectionOptions
from vlpro.workflows.inspection.raising import InspectionAlerts
from vlpro.workflows.inspection.result import Inspection, Method
from vlpro.workflows.inspection.store import Decision, Inspected, InspectionStore
from vlpro.workflows.inspection.template_store import GoldenTemplate
from vlpro.workflows.inspection.templates import GoldenTemplates, named, no_template
from vlpro.workflows.inspection.thermal import Printed
from vlpro.workflows.paging import place_of

__all__ = ["InspectionService", "Page", "Shown"]

log = logging.getLogger(__name__)

_AT_ONCE = 2  # comparisons; each keeps a processor busy
_MOST_WAITING = 32
_RECENT_BYTES = 64_000_000  # pictures that are not stored, to look at
_RECENT_S = 900.0
_SWEEP_S = 3_600.0
_QUALITY = 90  # of the JPEG to look at


@dataclass(frozen=True, slots=True)
class Shown:
    """An inspection as it stands now, with the state of its alert."""

    inspected: Inspected
    has_picture: bool
    alert: tuple[str, AlertState] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a person's inspections, the newest first; ``next``: what to ask for the page after."""

    inspections: tuple[Shown, ...]
    next: str | None


class InspectionService:
    """Inspects pictures of boards and equipment. Results belong to who asked for them.

    Args:
        chat: Reads pictures; asks the engine where one that sees is wanted.
        store: Where inspections are.
        templates: What boards are compared with.
        alerts: Raised by what is found.
        options: Of the settings.
        references: Finds passages of knowledge bases that explain what is seen.
        keeps_pictures: Whether the policy keeps pictures; otherwise those of results stay until a person has
            decided. Called off the event loop.
        printed: Reads the text in a thermal picture for somebody; None: nothing here can.
        clock: Unix time.
    """

    def __init__(
        self,
        chat: ChatService,
        store: InspectionStore,
        templates: GoldenTemplates,
        alerts: InspectionAlerts,
        options: InspectionOptions,
        *,
        references: References,
        keeps_pictures: Callable[[], bool],
        printed: Callable[[Picture, Person], Awaitable[Sequence[Printed]]] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.options = options
        self.store = store
        self.templates = templates
        self.alerts = alerts
        self._chat = chat
        self._recorder = chat.recorder
        self._references = references
        self._keeps_pictures = keeps_pictures
        self._printed = printed
        self._clock = clock
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._inside = 0
        self._recent: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._sweeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Hand on alerts that were left, and begin to delete what is over."""
        try:
            await self.alerts.catch_up()
        except VlproError as error:
            log.warning("alerts that were left are not handed on: %s", error.message)
        self._sweeping = asyncio.create_task(self._sweep())

    async def close(self) -> None:
        """End, and forget the pictures in memory."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            with suppress(asyncio.CancelledError):
                await self._sweeping
        self.templates.clear()
        self._recent.clear()

    # --- one inspection

    async def inspect(self, person: Person, asked: Asked) -> Shown:
        """Inspect a picture.

        Args:
            person: Whose inspection it is.
            asked: What, and how.

        Raises:
            BadRequestError: A picture cannot be used, the method needs what is not there, or the engine does not see.
            BusyError: Too many are being inspected.
            EngineError: An engine failed.
            AuditError: It cannot be recorded, and is not done.
            DatabaseError: It cannot be stored.
        """
        async with self._place():
            began = time.perf_counter()
            stored = None
            if asked.template is None and asked.product and asked.method in ("auto", "template"):
                stored = await self.templates.find(person, asked.product)
            method, subject = method_of(
                asked, has_template=stored is not None, sees=self._chat.engine.capabilities.sees
            )
            if method == "template" and stored is not None and asked.copper is None:
                asked = replace(asked, copper=stored.copper)
            pixels = (
                self._chat.engine.capabilities.picture_pixels
                if method == "sight"
                else self.options.max_pixels
            )
            wanted = [
                self._chat.reader.read(asked.image.data, max_pixels_used=pixels, param=asked.image.param)
            ]
            if method == "template":
                wanted.append(self._template(asked, stored))
            picture, *template = await _all(wanted)
            explaining = Explaining(self._references, person, asked, self._chat.masking)
            name = f"insp_{secrets.token_hex(12)}"
            started = await self._recorder.anote(
                Event.WORKFLOW_STARTED, object=name, detail=self._start(asked, method, picture, template)
            )
            try:
                result = await self._found(explaining, asked, (method, subject), (picture, *template))
                seconds = time.perf_counter() - began
                kept = await asyncio.to_thread(to_jpeg, picture, quality=_QUALITY)
                await self._recorder.anote(
                    Event.WORKFLOW_COMPLETED,
                    object=name,
                    detail={
                        "workflow": "inspection",
                        "started": started,
                        "method": result.method,
                        "verdict": result.verdict,
                        "defects": len(result.defects),
                        "seconds": round(seconds, 3),
                    }
                    | explaining.record(result),
                )
            except BaseException as error:
                why = error.code if isinstance(error, VlproError) else "stopped"
                self._recorder.later(
                    Event.WORKFLOW_COMPLETED,
                    object=name,
                    outcome=Outcome.FAILED if isinstance(error, VlproError) else Outcome.REFUSED,
                    detail={"workflow": "inspection", "started": started, "why": why},
                )
                raise
            made = Inspected(
                id=name,
                owner=person.id,
                level=int(person.level),
                created=self._clock(),
                product=asked.product,
                station=asked.station,
                source=asked.source,
                sha256=picture.sha256,
                result=result,
                seconds=round(seconds, 4),
            )
            return await self._keep(made, kept)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        if self._inside >= _AT_ONCE + _MOST_WAITING:
            raise BusyError(
                f"{self._inside} pictures are being inspected. Try again in a second.",
                zh=f"正在检测 {self._inside} 张图片，请 1 秒后再试。",
                retry_after=1,
            )
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    async def _template(self, asked: Asked, stored: GoldenTemplate | None) -> Picture:
        if asked.template is not None:
            return await self._chat.reader.read(
                asked.template.data, max_pixels_used=self.options.max_pixels, param=asked.template.param
            )
        if stored is None:
            raise no_template(asked.product)
        return await self.templates.pixels(stored)

    def _start(
        self, asked: Asked, method: Method, picture: Picture, template: Sequence[Picture]
    ) -> dict[str, Any]:
        detail: dict[str, Any] = {
            "workflow": "inspection",
            "method": method,
            "source": asked.source,
            "product": asked.product,
            "station": asked.station,
            "images": [named(picture)],
        }
        if template:
            detail["template"] = named(template[0])
        if asked.bases:
            detail["bases"] = list(asked.bases)
        if method == "sight":
            detail |= {
                "engine": self._chat.engine.name,
                "model": self._chat.engine.capabilities.model,
            }
        return detail

    async def _found(
        self,
        explaining: Explaining,
        asked: Asked,
        how: tuple[Method, sight.Subject],
        pictures: Sequence[Picture],
    ) -> Inspection:
        (method, subject), picture = how, pictures[0]
        if method == "sight":
            return await self._seen(explaining, asked, subject, picture)
        printed: Sequence[Printed] = ()
        if method == "thermal" and self._printed is not None:
            printed = await self._printed(picture, explaining.person)
        async with self._turns:
            if method == "template":
                found = await asyncio.to_thread(golden.inspect, picture, pictures[1], copper=asked.copper)
            else:
                found = await asyncio.to_thread(thermal.inspect, picture, printed)
        found = await explaining.beside(subject, found)
        return _without_sight(found) if method == "thermal" and asked.instruction else found

    async def _seen(
        self, explaining: Explaining, asked: Asked, subject: sight.Subject, picture: Picture
    ) -> Inspection:
        """What an engine that sees finds; its verdict is always ``review``."""
        text = "\n".join(filter(None, (asked.instruction, sight.question(subject, asked.language))))
        question = Question(
            turns=(Turn("user", (picture, text)),),
            language=asked.language,
            param="instruction",
            owner=explaining.person.id,
            finds=explaining.finds(subject),
        )
        async with aclosing(self._chat.answer(question)) as pieces:
            written = "".join([piece.text async for piece in pieces if isinstance(piece, Piece)])
        return explaining.cited(await asyncio.to_thread(sight.inspect, picture, written))

    async def _keep(self, made: Inspected, picture: bytes) -> Shown:
        """Store an inspection, and raise its alert."""
        finding = finding_of(
            made.result, product=made.product, station=made.station, rules=self.options.rules
        )
        if finding is not None:
            made = replace(made, alert=self.alerts.id_of(made))

        def add() -> Inspected:
            keeps = made.result.verdict != "pass" or self._keeps_pictures()
            return self.store.add(made, picture if keeps else None)

        stored = await asyncio.to_thread(add)
        if not stored.has_picture:
            self._remember(stored.id, picture)
        if finding is None:
            return Shown(stored, has_picture=True)
        alert = await self.alerts.raise_for(stored, finding)
        return Shown(stored, has_picture=True, alert=(alert.id, alert.state))

    # --- what was found before

    async def get(self, person: Person, name: str) -> Shown:
        """One's own inspection.

        Raises:
            NotFoundError: There is none of this id, or it is somebody else's.
            ForbiddenError: It is marked above the level that the person may read now.
        """
        found = await self._own(person, name)
        return (await self._shown([found]))[0]

    async def page(self, person: Person, *, after: str, limit: int) -> Page:
        """One's own inspections, the newest first.

        Args:
            person: Whose.
            after: ``next`` of the page before; empty: from the newest.
            limit: How many at most.

        Raises:
            BadRequestError: ``after`` is no such value.
        """
        before = place_of(after)
        found = await asyncio.to_thread(
            self.store.page, person.id, person.level, before=before, limit=limit + 1
        )
        more, found = found[limit:], found[:limit]
        last = f"{found[-1].created!r}~{found[-1].id}" if more else None
        return Page(tuple(await self._shown(found)), last)

    async def picture(self, person: Person, name: str, *, boxes: bool = True) -> bytes:
        """The inspected picture, a JPEG.

        Args:
            person: Whose.
            name: Of the inspection.
            boxes: Whether its defects are drawn on it, numbered from 1.

        Raises:
            NotFoundError: As :meth:`get`; or it is no longer kept, and says so.
        """
        found = await self._own(person, name)
        kept = self._recalled(name) or await asyncio.to_thread(self.store.picture, name)
        if kept is None:
            raise NotFoundError(
                "The picture of this inspection is no longer kept. Inspect it again to see it.",
                zh="该检测的图片已不再保存，如需查看请重新检测。",
                code="picture_not_kept",
            )
        if not boxes:
            return kept
        read = await self._chat.reader.read(kept, max_pixels_used=self.options.max_pixels)
        return await asyncio.to_thread(annotated, read, found.result)

    async def decide(self, person: Person, name: str, verdict: Literal["pass", "fail"], *, by: str) -> Shown:
        """Say what a person found when looking at it.

        Args:
            person: Who.
            name: Of the inspection.
            verdict: The decision.
            by: Login.

        Raises:
            NotFoundError: As :meth:`get`.
            ConflictError: Somebody else decided in the same instant.
        """
        found = await self._own(person, name)
        await self._recorder.anote(
            Event.WORKFLOW_DECIDED,
            object=name,
            detail={"workflow": "inspection", "decision": verdict, "found": found.result.verdict},
        )
        changed = replace(found, decision=Decision(verdict, by, self._clock()))

        def change() -> Inspected:
            return self.store.change(changed, keep_picture=self._keeps_pictures())

        stored = await asyncio.to_thread(change)
        self._recent.pop(name, None)
        return (await self._shown([stored]))[0]

    async def delete(self, person: Person, name: str) -> None:
        """Delete one's own inspection, with its picture.

        Raises:
            NotFoundError: As :meth:`get`.
        """
        await self._own(person, name)
        await self._recorder.anote(
            Event.WORKFLOW_DECIDED, object=name, detail={"workflow": "inspection", "decision": "deleted"}
        )
        self._recent.pop(name, None)
        if not await asyncio.to_thread(self.store.delete, name):
            raise _unknown()

    async def _own(self, person: Person, name: str) -> Inspected:
        found = await asyncio.to_thread(self.store.get, name[:64])
        if found is None or found.owner != person.id:
            raise _unknown(foreign=found is not None)
        check_read(person.level, Level(found.level))
        return found

    async def _shown(self, found: Sequence[Inspected]) -> list[Shown]:
        states = await self.alerts.states([one.alert for one in found if one.alert is not None])
        return [
            Shown(
                one,
                has_picture=one.has_picture or self._recalled(one.id) is not None,
                alert=(one.alert, states[one.alert]) if one.alert in states and one.alert else None,
            )
            for one in found
        ]

    def _remember(self, name: str, picture: bytes) -> None:
        now = time.monotonic()
        self._recent[name] = (now, picture)
        while self._recent and (
            sum(len(data) for _, data in self._recent.values()) > _RECENT_BYTES
            or next(iter(self._recent.values()))[0] < now - _RECENT_S
        ):
            self._recent.popitem(last=False)

    def _recalled(self, name: str) -> bytes | None:
        known = self._recent.get(name)
        return known[1] if known is not None and known[0] >= time.monotonic() - _RECENT_S else None

    async def _sweep(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self.store.sweep, self.options.days)
                await asyncio.to_thread(self.alerts.store.sweep, self.options.days)
            except VlproError as error:
                log.warning("inspections that are over were not deleted: %s", error.message)
            await asyncio.sleep(_SWEEP_S)


async def _all(wanted: Sequence[Awaitable[Picture]]) -> list[Picture]:
    """All pictures; where one cannot be used, the others are let go."""
    tasks = [asyncio.ensure_future(one) for one in wanted]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()


def _without_sight(found: Inspection) -> Inspection:
    """Say that nobody was there to follow the instruction: the regions stand by themselves."""
    return replace(
        found,
        message=f"{found.message} The instruction was not followed: the engine in use does not see. It takes the "
        "model to say why a region is hot.".strip(),
        zh=f"{found.zh}当前引擎不能看图，未按 instruction 判断；要说明发热原因，需安装模型。",
    )


def _unknown(*, foreign: bool = False) -> NotFoundError:
    return NotFoundError(
        "There is no such inspection.", zh="没有这次检测。", code="inspection_not_found", foreign=foreign
    )
