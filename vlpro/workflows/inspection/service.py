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
from datetime import UTC, datetime
from typing import Any, Literal

from vlpro.audit.events import Event, Outcome
from vlpro.chat.service import ChatService, Piece, Question, Turn, Upload
from vlpro.engines.interface import Language
from vlpro.errors import BadRequestError, BusyError, NotFoundError, UnsupportedError, VlproError
from vlpro.identity.labels import Level, check_read
from vlpro.identity.principal import Person
from vlpro.imaging.encode import to_jpeg, to_png
from vlpro.imaging.picture import Picture
from vlpro.workflows.inspection import golden, sight, thermal
from vlpro.workflows.inspection.alerts import Alert, AlertState, finding_of, in_quiet_hours
from vlpro.workflows.inspection.drawing import annotated
from vlpro.workflows.inspection.options import InspectionOptions
from vlpro.workflows.inspection.result import Inspection, Method
from vlpro.workflows.inspection.store import (
    Copper,
    Decision,
    GoldenTemplate,
    Inspected,
    InspectionStore,
    Source,
)
from vlpro.workflows.inspection.thermal import Printed
from vlpro.workflows.paging import place_of

__all__ = ["Asked", "InspectionService", "Page", "Shown"]

log = logging.getLogger(__name__)

_AT_ONCE = 2  # comparisons; each keeps a processor busy
_MOST_WAITING = 32
_TEMPLATE_BYTES = 200_000_000  # pixels of golden templates that stay in memory
_RECENT_BYTES = 64_000_000  # pictures that are not stored, to look at
_RECENT_S = 900.0
_SWEEP_S = 3_600.0
_QUALITY = 90  # of the JPEG to look at
_HEAT = ("热", "温", "过烧", "hot", "heat", "thermal", "temperature", "warm")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be inspected.

    Args:
        image: The picture.
        template: A golden picture of the caller's own; None: the product's stored one.
        product: What it is; may be empty.
        station: Where; may be empty.
        method: How; ``auto`` chooses.
        copper: Which of a board's two tones its conductors are; None: as stored with the golden picture.
        instruction: What to look for, for an engine that sees.
        language: In which such an engine names what it found.
        source: How the picture came.
    """

    image: Upload
    template: Upload | None = None
    product: str = ""
    station: str = ""
    method: Literal["auto"] | Method = "auto"
    copper: Copper | None = None
    instruction: str = ""
    language: Language = "zh"
    source: Source = "api"


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
    """Inspects pictures of boards and equipment. Results, templates and alerts belong to who made them.

    Args:
        chat: Reads pictures; asks the engine where one that sees is wanted.
        store: Where all is kept.
        options: Of the settings.
        keeps_pictures: Whether the policy keeps pictures; otherwise those of results stay until a person has
            decided. Called off the event loop.
        printed: Reads the text in a thermal picture for somebody; None: nothing here can.
        deliver: Hands a new alert on to other systems; None: there are none.
        clock: Unix time.

    Attributes:
        raised: Set whenever an alert is to be published.
    """

    def __init__(
        self,
        chat: ChatService,
        store: InspectionStore,
        options: InspectionOptions,
        *,
        keeps_pictures: Callable[[], bool],
        printed: Callable[[Picture, Person], Awaitable[Sequence[Printed]]] | None = None,
        deliver: Callable[[Alert], Awaitable[None]] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.options = options
        self.store = store
        self.raised = asyncio.Event()
        self._chat = chat
        self._recorder = chat.recorder
        self._keeps_pictures = keeps_pictures
        self._printed = printed
        self._deliver = deliver
        self._clock = clock
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._inside = 0
        self._templates: OrderedDict[tuple[str, float], Picture] = OrderedDict()
        self._recent: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._sweeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to delete what is over."""
        self._sweeping = asyncio.create_task(self._sweep())

    async def close(self) -> None:
        """End, and forget the pictures in memory."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            with suppress(asyncio.CancelledError):
                await self._sweeping
        self._templates.clear()
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
            stored = await self._stored(person, asked)
            method, subject = self._method(asked, has_template=stored is not None)
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
            name = f"insp_{secrets.token_hex(12)}"
            started = await self._recorder.anote(
                Event.WORKFLOW_STARTED, object=name, detail=self._start(asked, method, picture, template)
            )
            try:
                result = await self._found(person, asked, (method, subject), (picture, *template))
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
                    },
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

    async def _stored(self, person: Person, asked: Asked) -> GoldenTemplate | None:
        """The product's own golden template, where it would be used."""
        if asked.template is not None or not asked.product or asked.method not in ("auto", "template"):
            return None
        name = self.store.template_id(person.id, asked.product)
        found = await asyncio.to_thread(self.store.template, name)
        return found if found is not None and found.level <= person.level else None

    def _method(self, asked: Asked, *, has_template: bool) -> tuple[Method, sight.Subject]:
        """How to inspect; and what an engine that sees is to look for.

        Raises:
            BadRequestError: It cannot be done so; names the field.
        """
        sees = self._chat.engine.capabilities.sees
        hot = any(word in asked.instruction.casefold() for word in _HEAT)
        method = asked.method
        if method == "auto":
            method = self._automatic(asked, has_template=has_template, hot=hot)
        if method != "template" and asked.copper is not None:
            raise UnsupportedError(
                f"Method {method} does not ask which tone is copper. Leave copper out, or set method to template.",
                zh=f"{method} 方式不使用 copper，请去掉该参数，或将 method 设为 template。",
                param="copper",
            )
        if method == "template":
            if asked.instruction:
                raise UnsupportedError(
                    "A comparison with a golden picture takes no instruction. Leave instruction out, or set method "
                    "to sight.",
                    zh="与标准图比对不接受 instruction，请去掉该参数，或将 method 设为 sight。",
                    param="instruction",
                )
            if asked.template is None and not has_template:
                raise _no_template(asked.product)
            return "template", "board"
        if asked.template is not None:
            raise UnsupportedError(
                f"Method {method} compares with no golden picture. Leave template_image out, or set method to "
                "template.",
                zh=f"{method} 方式不使用标准图，请去掉 template_image，或将 method 设为 template。",
                param="template_image",
            )
        if method == "thermal":
            # Why a region is hot is for an engine that sees; where it is, the region finder tells surer.
            return ("sight", "heat") if asked.instruction and sees else ("thermal", "heat")
        if not sees:
            raise _does_not_see("method")
        return "sight", "heat" if hot else "board"

    def _automatic(self, asked: Asked, *, has_template: bool, hot: bool) -> Method:
        if asked.template is not None or (has_template and not asked.instruction):
            return "template"
        if hot:
            return "thermal"
        if self._chat.engine.capabilities.sees:
            return "sight"
        if asked.instruction:
            raise _does_not_see("instruction")
        return "template"

    async def _template(self, asked: Asked, stored: GoldenTemplate | None) -> Picture:
        if asked.template is not None:
            return await self._chat.reader.read(
                asked.template.data, max_pixels_used=self.options.max_pixels, param=asked.template.param
            )
        if stored is None:
            raise _no_template(asked.product)
        known = self._templates.get((stored.id, stored.created))
        if known is not None:
            self._templates.move_to_end((stored.id, stored.created))
            return known
        found = await asyncio.to_thread(self.store.template_picture, stored.id)
        if found is None:
            raise _no_template(asked.product)
        one, png = found
        read = await self._chat.reader.read(png, max_pixels_used=self.options.max_pixels)
        # By the digest of the file that somebody sent, not of the clean one that was stored.
        read = replace(read, sha256=one.sha256)
        self._templates[one.id, one.created] = read
        while (
            len(self._templates) > 1
            and sum(p.pixels.nbytes for p in self._templates.values()) > _TEMPLATE_BYTES
        ):
            self._templates.popitem(last=False)
        return read

    def _start(
        self, asked: Asked, method: Method, picture: Picture, template: Sequence[Picture]
    ) -> dict[str, Any]:
        detail: dict[str, Any] = {
            "workflow": "inspection",
            "method": method,
            "source": asked.source,
            "product": asked.product,
            "station": asked.station,
            "images": [_named(picture)],
        }
        if template:
            detail["template"] = _named(template[0])
        if method == "sight":
            detail |= {
                "engine": self._chat.engine.name,
                "model": self._chat.engine.capabilities.model,
            }
        return detail

    async def _found(
        self,
        person: Person,
        asked: Asked,
        how: tuple[Method, sight.Subject],
        pictures: Sequence[Picture],
    ) -> Inspection:
        (method, subject), picture = how, pictures[0]
        if method == "sight":
            return await self._seen(person, asked, subject, picture)
        printed: Sequence[Printed] = ()
        if method == "thermal" and self._printed is not None:
            printed = await self._printed(picture, person)
        async with self._turns:
            if method == "template":
                return await asyncio.to_thread(golden.inspect, picture, pictures[1], copper=asked.copper)
            found = await asyncio.to_thread(thermal.inspect, picture, printed)
        return _without_sight(found) if asked.instruction else found

    async def _seen(
        self, person: Person, asked: Asked, subject: sight.Subject, picture: Picture
    ) -> Inspection:
        """What an engine that sees finds; its verdict is always ``review``."""
        text = "\n".join(filter(None, (asked.instruction, sight.question(subject, asked.language))))
        question = Question(
            turns=(Turn("user", (picture, text)),),
            language=asked.language,
            param="instruction",
            owner=person.id,
        )
        async with aclosing(self._chat.answer(question)) as pieces:
            written = "".join([piece.text async for piece in pieces if isinstance(piece, Piece)])
        return await asyncio.to_thread(sight.inspect, picture, written)

    async def _keep(self, made: Inspected, picture: bytes) -> Shown:
        """Store an inspection, and raise its alert."""
        finding = finding_of(
            made.result, product=made.product, station=made.station, rules=self.options.rules
        )
        if finding is not None:
            made = replace(made, alert=self.store.alert_id(made.owner, made.station, made.sha256))

        def add() -> Inspected:
            keeps = made.result.verdict != "pass" or self._keeps_pictures()
            return self.store.add(made, picture if keeps else None)

        stored = await asyncio.to_thread(add)
        if not stored.has_picture:
            self._remember(stored.id, picture)
        if finding is None or stored.alert is None:
            return Shown(stored, has_picture=True)
        now = datetime.fromtimestamp(self._clock(), UTC).astimezone()
        quiet = in_quiet_hours(finding, stored.station, self.options.quiet_hours, now)
        alert = Alert(
            id=stored.alert,
            owner=stored.owner,
            level=stored.level,
            created=self._clock(),
            state="silenced" if quiet else "open",
            inspection=stored.id,
            product=stored.product,
            station=stored.station,
            kinds=finding.kinds,
            defects=finding.defects,
            score=finding.score,
            verdict=stored.result.verdict,
            screening=stored.screening,
            picture_sha256=stored.sha256,
        )
        alert, new = await asyncio.to_thread(
            self.store.raise_alert, alert, quiet_s=finding.quiet_s, to_mqtt=self.options.mqtt is not None
        )
        if new:
            await self._raised(alert)
        return Shown(stored, has_picture=True, alert=(alert.id, alert.state))

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
        if alert.state != "open":
            return
        self.raised.set()
        if self._deliver is not None:
            try:
                await self._deliver(alert)
            except VlproError as error:  # the alert stands: on the record, and on the page
                log.error("%s is not handed on: %s", alert.id, error.message)  # noqa: TRY400 - no trace

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
        names = [one.alert for one in found if one.alert is not None]
        states = await asyncio.to_thread(self.store.alert_states, names) if names else {}
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

    # --- golden templates

    async def put_template(
        self, person: Person, product: str, image: Upload, *, copper: Copper | None = None
    ) -> GoldenTemplate:
        """Store the golden picture of a product, in place of the one before.

        Args:
            person: Whose.
            product: Its name.
            image: The picture.
            copper: Which of its two tones the conductors are; None: as its colours suggest.

        Raises:
            BadRequestError: It is no usable picture.
        """
        read = await self._chat.reader.read(
            image.data, max_pixels_used=self.options.max_pixels, param=image.param
        )
        name = self.store.template_id(person.id, product)
        one = GoldenTemplate(
            name,
            person.id,
            int(person.level),
            self._clock(),
            product,
            read.original_width,
            read.original_height,
            read.sha256,
            copper,
        )
        await self._recorder.anote(
            Event.TEMPLATE_CHANGED, object=name, detail={"product": product, "images": [_named(read)]}
        )
        png = await asyncio.to_thread(to_png, read)
        await asyncio.to_thread(self.store.put_template, one, png)
        self._forget_template(name)
        return one

    async def template(self, person: Person, product: str) -> GoldenTemplate:
        """What is known of one's own template. Raises: NotFoundError."""
        found = await asyncio.to_thread(self.store.template, self.store.template_id(person.id, product))
        if found is None:
            raise _no_such_template(product)
        check_read(person.level, Level(found.level))
        return found

    async def template_picture(self, person: Person, product: str) -> bytes:
        """One's own template, as PNG. Raises: NotFoundError."""
        one = await self.template(person, product)
        found = await asyncio.to_thread(self.store.template_picture, one.id)
        if found is None:
            raise _no_such_template(product)
        return found[1]

    async def templates(self, person: Person) -> list[GoldenTemplate]:
        """One's own templates, by product."""
        return await asyncio.to_thread(self.store.templates, person.id, person.level)

    async def delete_template(self, person: Person, product: str) -> str:
        """Delete one's own template; returns its id. Raises: NotFoundError."""
        one = await self.template(person, product)
        await self._recorder.anote(
            Event.TEMPLATE_CHANGED, object=one.id, detail={"product": product, "images": []}
        )
        self._forget_template(one.id)
        if not await asyncio.to_thread(self.store.delete_template, one.id):
            raise _no_such_template(product)
        return one.id

    def _forget_template(self, name: str) -> None:
        for key in [key for key in self._templates if key[0] == name]:
            del self._templates[key]

    # --- alerts

    async def alerts(
        self, person: Person, *, state: AlertState | None, after: str, limit: int
    ) -> tuple[list[Alert], str | None]:
        """One's own alerts, the newest first; and what to ask for the page after.

        Raises:
            BadRequestError: ``after`` is no such value.
        """
        before = place_of(after)
        found = await asyncio.to_thread(
            self.store.alerts, person.id, person.level, state=state, before=before, limit=limit + 1
        )
        more, found = found[limit:], found[:limit]
        return found, f"{found[-1].created!r}~{found[-1].id}" if more else None

    async def alert(self, person: Person, name: str) -> Alert:
        """One's own alert. Raises: NotFoundError, ForbiddenError."""
        found = await asyncio.to_thread(self.store.alert, name[:64])
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
        found = await self.alert(person, name)
        if found.state == "acknowledged":
            return found
        await self._recorder.anote(
            Event.FINDING_ACKNOWLEDGED, object=name, detail={"inspection": found.inspection}
        )
        seen = replace(
            found, state="acknowledged", acknowledged_by=by, acknowledged_at=self._clock(), note=note
        )
        if not await asyncio.to_thread(self.store.acknowledge, seen):
            return await self.alert(person, name)
        return seen

    async def _sweep(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self.store.sweep, self.options.days)
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


def _named(picture: Picture) -> dict[str, Any]:
    """A picture, as the record names it."""
    return {
        "sha256": picture.sha256,
        "bytes": picture.size,
        "format": picture.format,
        "width": picture.original_width,
        "height": picture.original_height,
    } | ({"sm3": picture.sm3} if picture.sm3 else {})


def _unknown(*, foreign: bool = False) -> NotFoundError:
    return NotFoundError(
        "There is no such inspection.", zh="没有这次检测。", code="inspection_not_found", foreign=foreign
    )


def _no_such_template(product: str) -> NotFoundError:
    return NotFoundError(
        f"There is no golden picture for product {product}.",
        zh=f"产品 {product} 没有标准图。",
        code="template_not_found",
    )


def _no_template(product: str) -> BadRequestError:
    if product:
        return BadRequestError(
            f"There is no golden picture for product {product}. Send one as template_image, or store one: PUT "
            f"/v1/inspections/templates/{product}.",
            zh=f"产品 {product} 没有标准图。请在 template_image 中发送，或先保存："
            f"PUT /v1/inspections/templates/{product}。",
            param="template_image",
            code="template_not_found",
        )
    return BadRequestError(
        "There is nothing to compare with. Send a golden picture as template_image, or name a product that has one.",
        zh="没有可比对的标准图。请在 template_image 中发送，或用 product 指定已保存标准图的产品。",
        param="template_image",
        code="missing_required_parameter",
    )


def _does_not_see(param: str) -> UnsupportedError:
    return UnsupportedError(
        "The engine in use reads text and does not see. Send a golden picture (template_image), use method thermal, "
        "or add the model.",
        zh="当前引擎只识别文字，不能看图判断。请提供标准图（template_image）、使用 thermal 方式，或安装模型。",
        param=param,
    )
