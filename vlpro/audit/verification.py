"""Verification of the whole record on demand: one at a time, beside the service, and on the record itself."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from vlpro import job
from vlpro.audit.checkpoint import Signer
from vlpro.audit.events import Event, Outcome
from vlpro.audit.recorder import ACTOR, Recorder
from vlpro.audit.tables import records
from vlpro.audit.verify_process import Work
from vlpro.db import Database
from vlpro.errors import AuditError, ConflictError, VlproError

__all__ = ["Running", "Verifications", "Verified"]

log = logging.getLogger(__name__)

_MODULE = "vlpro.audit.verify_process"


@dataclass(slots=True)
class Running:
    """A verification that goes on.

    Args:
        by: Login of who began it.
        began: Unix time.
        read: Records that were read.
        of: Records that there are, about; 0: not known yet.
        stopped_by: Login of who stopped it; empty: nobody did.
    """

    by: str
    began: float
    read: int = 0
    of: int = 0
    stopped_by: str = ""


@dataclass(frozen=True, slots=True)
class Verified:
    """A verification that ended, as it is on the record.

    Args:
        seq: Number of its record.
        time: When it ended, as its record has it.
        by: Login of who began it.
        detail: What was found: see :meth:`Verifications.start`.
    """

    seq: int
    time: str
    by: str
    detail: Mapping[str, Any]


class Verifications:
    """Has the stored record verified.

    Args:
        url: Of the audit's database.
        database: The same, opened.
        signer: Of checkpoints; its public keys are trusted.
        copy: File with copies of checkpoints; None: none is configured.
        recorder: Records that it was verified.
        clock: Unix time.
    """

    def __init__(
        self,
        url: str,
        database: Database,
        signer: Signer,
        copy: Path | None,
        recorder: Recorder,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._url = url
        self._database = database
        self._signer = signer
        self._copy = copy
        self._recorder = recorder
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._running: Running | None = None

    @property
    def running(self) -> Running | None:
        """What goes on; None: nothing."""
        return self._running

    def start(self) -> Running:
        """Begin to verify; for the event loop.

        Its end goes on the record, with ``result``: ``whole`` and what was verified; ``wrong`` and what was found, at
        which record; ``stopped``, and by whom; or ``failed``, and why.

        Raises:
            ConflictError: One goes on already.
        """
        if self._running is not None:
            raise ConflictError(
                "The record is being verified already. Wait for its end, or stop it.",
                zh="正在核验审计记录。请等待结束，或先停止。",
                code="verification_running",
            )
        self._running = Running(ACTOR.get().login, self._clock())
        self._task = asyncio.create_task(self._run(self._running))
        return self._running

    async def stop(self) -> None:
        """End what goes on, if anything does, and wait until that is on the record."""
        if self._running is None or self._task is None:
            return
        self._running.stopped_by = ACTOR.get().login
        self._task.cancel()
        await asyncio.wait((self._task,))

    def last(self) -> Verified | None:
        """The last one that ended, by the record; None: there is none here. Blocks: not for the event loop.

        Raises:
            DatabaseError: The database does not answer.
        """
        with self._database.read() as connection:
            row = connection.execute(
                sa.select(records.c.seq, records.c.data)
                .where(records.c.event == str(Event.LOG_VERIFIED))
                .order_by(records.c.seq.desc())
                .limit(1)
            ).one_or_none()
        if row is None:
            return None
        try:
            said = json.loads(row.data)
            return Verified(row.seq, str(said["time"]), str(said["login"]), dict(said["detail"]))
        except (ValueError, KeyError, TypeError):
            return None  # it was altered, which the next verification finds

    # ---

    async def _run(self, running: Running) -> None:
        began = time.monotonic()
        try:
            detail = await self._verified(running)
        except asyncio.CancelledError:
            detail = {"result": "stopped", "stopped_by": running.stopped_by, "read": running.read}
        except (OSError, ValueError, VlproError) as error:
            log.exception("the record could not be verified")
            detail = {"result": "failed", "message": str(error)}
        detail["seconds"] = round(time.monotonic() - began, 1)
        detail["size"] = running.of
        outcome = Outcome.OK if detail["result"] == "whole" else Outcome.FAILED
        if detail["result"] == "wrong":
            log.error("verification of the audit record: %s", detail["message"])
        try:
            await self._recorder.anote(Event.LOG_VERIFIED, outcome=outcome, detail=detail)
        except AuditError as error:
            log.error("%s was not recorded: %s", Event.LOG_VERIFIED, error.message)  # noqa: TRY400 - it says all
        finally:
            self._running = None

    async def _verified(self, running: Running) -> dict[str, Any]:
        signer = self._signer
        work = Work(self._url, (signer.public.hex(),), signer.sm2.hex(), str(self._copy or ""))

        def progress(told: dict[str, Any]) -> None:
            running.read, running.of = told["read"], told["of"]

        result, detail = await job.run(_MODULE, asdict(work), progress)
        if result == "whole":
            running.read = running.of = detail["records"]
        return {"result": result} | detail
