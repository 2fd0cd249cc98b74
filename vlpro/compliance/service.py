"""Compliance reports for administrators: made beside the service, one at a time; listed, opened, taken out.

Each report that was made, broke off or was stopped is on the audit's record, and so is each look at one.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from tempfile import mkdtemp
from typing import Any, Literal

from pydantic import BaseModel, SecretStr

from vlpro import job
from vlpro.audit.events import Event, Outcome
from vlpro.audit.recorder import ACTOR, Recorder
from vlpro.compliance.report import Content, new_id
from vlpro.compliance.report_errors import ReportVerificationError
from vlpro.compliance.report_store import ReportStore
from vlpro.config import Settings
from vlpro.errors import AuditError, ConflictError, NotFoundError

__all__ = ["ComplianceReports", "Run", "revealed"]

log = logging.getLogger(__name__)

_ENDED = 20  # runs that came to nothing, remembered until the service ends
_LISTED = 50

State = Literal["running", "made", "failed", "stopped"]


@dataclass(slots=True)
class Run:
    """A report that is being made, or came to nothing.

    Args:
        id: Of the report.
        by: Login of who asked for it.
        began: Unix time.
        done: Checks that are done.
        total: Checks that there are; 0: not known yet.
        check: The last one that was done.
        state: How it stands.
        problem: Why it came to nothing, in both languages.
        stopped_by: Login of who stopped it; empty: nobody, the service ended.
    """

    id: str
    by: str
    began: float
    done: int = 0
    total: int = 0
    check: str = ""
    state: State = "running"
    problem: Mapping[str, str] = field(default_factory=dict)
    stopped_by: str = ""


class ComplianceReports:
    """Has reports made, and gives them out.

    Args:
        store: Where they lie.
        module: Name of the module that makes one, as a process.
        settings: Of the service.
        recorder: Of the audit.
        clock: Unix time.
    """

    def __init__(
        self,
        store: ReportStore,
        module: str,
        settings: Settings,
        recorder: Recorder,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._module = module
        self._settings = settings
        self._recorder = recorder
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._running: Run | None = None
        self._closed = False
        self._ended: OrderedDict[str, Run] = OrderedDict()

    @property
    def running(self) -> Run | None:
        """The one that is being made; None: none is."""
        return self._running

    def close(self) -> None:
        """Make none from now on: a system that a report is made with must not begin another one."""
        self._closed = True

    def start(self) -> Run:
        """Begin to make one; for the event loop.

        Raises:
            ConflictError: One is being made already, or none is made here.
        """
        if self._closed:
            raise ConflictError(
                "This service makes no compliance reports.",
                zh="本服务不生成合规报告。",
                code="compliance_closed",
            )
        if self._running is not None:
            raise ConflictError(
                "A compliance report is being made already. Wait for its end, or stop it.",
                zh="正在生成合规报告。请等待完成，或先停止。",
                code="compliance_running",
            )
        self._running = Run(new_id(), ACTOR.get().login, self._clock())
        self._task = asyncio.create_task(self._run(self._running))
        return self._running

    async def stop(self, report: str = "") -> Run | None:
        """End what is being made, and wait until that is on the record.

        Args:
            report: Its id; empty: whichever it is.

        Returns:
            It; None: nothing was being made.

        Raises:
            NotFoundError: The one of this id is not being made.
        """
        run, task = self._running, self._task
        if report and (run is None or run.id != report):
            raise NotFoundError(
                "This report is not being made.", zh="没有正在生成的这份报告。", param="report_id"
            )
        if run is None or task is None:
            return None
        run.stopped_by = ACTOR.get().login
        task.cancel()
        await asyncio.wait((task,))
        return run

    async def listed(self) -> list[Run | Content | ReportVerificationError]:
        """The newest first: what is being made, what came to nothing, what was made; whatever was altered, why."""
        stored = await asyncio.to_thread(self._store.listed, _LISTED)
        runs = [*self._ended.values(), *([self._running] if self._running is not None else [])]
        return [*reversed(runs), *stored]

    def run(self, report: str) -> Run | None:
        """The one of this id that is being made, or came to nothing; None: it is neither."""
        if self._running is not None and self._running.id == report:
            return self._running
        return self._ended.get(report)

    async def open(self, report: str) -> Content:
        """One report, all of whose files were verified; the look is recorded first.

        Raises:
            NotFoundError: There is none.
            VlproError: It is not as it was signed.
            AuditError: The look cannot be recorded.
        """
        found = await asyncio.to_thread(self._store.open, report)
        await self._recorder.anote(Event.COMPLIANCE_READ, object=report)
        return found.content

    async def file(self, report: str, name: str) -> bytes:
        """A file of a report; that it goes out is recorded first. Raises: as :meth:`open`."""
        data = await asyncio.to_thread(self._store.file, report, name)
        await self._recorder.anote(Event.COMPLIANCE_READ, object=report, detail={"file": name})
        return data

    # ---

    async def _run(self, run: Run) -> None:
        began = time.monotonic()
        detail: dict[str, Any] = {}
        try:
            detail = await self._made(run)
            run.state = detail["result"]
        except asyncio.CancelledError:
            run.state = "stopped"
            detail = {"result": "stopped", "stopped_by": run.stopped_by, "checks": run.done}
        except (OSError, ValueError) as error:
            log.exception("the compliance report was not made")
            run.state = "failed"
            run.problem = {"en": f"The report broke off: {error}", "zh": f"报告生成中断：{error}"}
            detail = {"result": "failed", "message": str(error)}
        detail["seconds"] = round(time.monotonic() - began, 1)
        outcome = Outcome.OK if run.state == "made" else Outcome.FAILED
        try:
            await self._recorder.anote(
                Event.COMPLIANCE_CREATED, object=run.id, outcome=outcome, detail=detail
            )
        except AuditError as error:
            log.error("%s was not recorded: %s", Event.COMPLIANCE_CREATED, error.message)  # noqa: TRY400 - it says all
        finally:
            self._running = None
            if run.state != "made":
                self._ended[run.id] = run
                while len(self._ended) > _ENDED:
                    self._ended.popitem(last=False)

    async def _made(self, run: Run) -> dict[str, Any]:
        # What it writes on its way goes with this folder, however it ends.
        folder = await asyncio.to_thread(mkdtemp, prefix="vlpro-comply-")
        try:
            return await self._worked(run, folder)
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))

    async def _worked(self, run: Run, folder: str) -> dict[str, Any]:
        def progress(told: dict[str, Any]) -> None:
            run.done, run.total, run.check = told["done"], told["total"], told["check"]

        work = {"id": run.id, "by": run.by, "settings": revealed(self._settings)}
        result, told = await job.run(self._module, work, progress, environment={"TMPDIR": folder})
        if result == job.FAILED:
            run.problem = {"en": told["message"], "zh": told["message_zh"]}
            return {"result": "failed", "message": told["message"]}
        return {"result": result, **told}


def revealed(settings: Settings) -> dict[str, Any]:
    """All settings as JSON values, secrets too: for a pipe to a process of ours, and nothing else."""

    def plain(value: Any) -> Any:
        if isinstance(value, SecretStr):
            return value.get_secret_value()
        if isinstance(value, BaseModel):
            return value.model_dump()
        if isinstance(value, PurePath):
            return str(value)
        if isinstance(value, set | frozenset):
            return sorted(value)
        raise TypeError(type(value).__name__)

    made: dict[str, Any] = json.loads(json.dumps(settings.model_dump(), default=plain))
    return made
