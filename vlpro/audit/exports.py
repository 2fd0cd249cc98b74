"""The record taken out by its administrator: for a reason, on the record before the first byte and after the last."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import sqlalchemy as sa

from vlpro.audit.checkpoint import Signer
from vlpro.audit.errors import VerificationError
from vlpro.audit.events import Event, Outcome
from vlpro.audit.export import stretches
from vlpro.audit.recorder import Recorder
from vlpro.audit.search import DATA, Filter, as_found, narrowed
from vlpro.audit.tables import records
from vlpro.audit.tabular import BEGINS, as_csv, as_json_lines
from vlpro.db import Database
from vlpro.errors import BadRequestError, NotFoundError, VlproError

__all__ = ["LEAST_REASON", "AuditExports", "Kind", "Prepared"]

log = logging.getLogger(__name__)

Kind = Literal["csv", "jsonl", "record"]

LEAST_REASON = 4  # characters
_LASTS_S = 300.0
_MOST_PREPARED = 100
_STRETCH = 50_000  # records that are looked through in one question
_EACH = 1000  # that are in memory


@dataclass(frozen=True, slots=True)
class Prepared:
    """An export that may be fetched, once.

    Args:
        id: Names it.
        account: Who may fetch it.
        kind: csv, jsonl; or record: all of it, with its checkpoints, to be verified elsewhere.
        wanted: Which records; of no account for ``record``.
        reason: Why.
        name: Of the file.
        until: When it lapses, as ``time.monotonic`` has it.
    """

    id: str
    account: str
    kind: Kind
    wanted: Filter
    reason: str
    name: str
    until: float


@dataclass(slots=True)
class _Taken:
    """What went out so far."""

    records: int = 0
    bytes: int = 0
    checkpoints: int = 0


class AuditExports:
    """Exports of the record.

    Args:
        database: Of the audit.
        recorder: Records them.
        signer: Tells the newest checkpoint.
        clock: Unix time.
    """

    def __init__(
        self,
        database: Database,
        recorder: Recorder,
        signer: Signer,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._signer = signer
        self._clock = clock
        self._prepared: dict[str, Prepared] = {}

    def prepare(self, account: str, kind: Kind, wanted: Filter, reason: str) -> Prepared:
        """Say what is to be exported, and why; nothing goes out yet.

        Args:
            account: Whose export it is.
            kind: Of the file.
            wanted: Which records.
            reason: Why they are taken out.

        Raises:
            BadRequestError: There is no reason; or a filter, though all is asked for.
        """
        if len(reason.strip()) < LEAST_REASON:
            raise BadRequestError(
                "Say why you take the record out, in four characters or more.",
                zh="请填写导出理由（至少 4 个字）。",
                param="reason",
            )
        if kind == "record" and wanted != Filter():
            raise BadRequestError(
                "The verifiable export has all records: leave the filter out, or ask for csv or jsonl.",
                zh="可核验的导出包含全部记录：请去掉筛选条件，或选择 csv、jsonl。",
                param="filter",
            )
        now = time.monotonic()
        kept = [one for one in self._prepared.values() if one.until > now][-_MOST_PREPARED:]
        self._prepared = {one.id: one for one in kept}
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(self._clock()))
        name = f"vlpro-audit-{stamp}Z.{'csv' if kind == 'csv' else 'jsonl'}"
        made = Prepared(
            f"exp_{secrets.token_hex(16)}", account, kind, wanted, reason.strip()[:200], name, now + _LASTS_S
        )
        self._prepared[made.id] = made
        return made

    def take(self, account: str, identifier: str) -> Prepared:
        """What was prepared, to be fetched now; it is gone afterwards.

        Raises:
            NotFoundError: It was fetched, has lapsed, or is somebody else's.
        """
        found = self._prepared.get(identifier)
        if found is None or found.account != account or found.until < time.monotonic():
            raise NotFoundError(
                "There is no such export any more: it can be fetched once, within five minutes. Begin it again.",
                zh="导出已失效：只能在五分钟内下载一次。请重新导出。",
                code="export_not_found",
            )
        return self._prepared.pop(identifier)

    async def begin(self, asked: Prepared) -> AsyncGenerator[bytes, None]:
        """Record that it goes out.

        Returns:
            The file, some at a time; how it ended is recorded, too. What it raises breaks the file off.

        Raises:
            AuditError: It cannot be recorded: nothing goes out.
            NotFoundError: There are no records.
            DatabaseError: The database does not answer.
        """
        first, last, detail = await asyncio.to_thread(self._standing)
        wanted = {name: value for name, value in asdict(asked.wanted).items() if value}
        detail |= {"format": asked.kind, "filter": wanted, "reason": asked.reason}
        seq = await self._recorder.anote(Event.LOG_EXPORTED, object=asked.name, detail=detail)
        return self._file(asked, seq, first, last)

    # ---

    def _standing(self) -> tuple[int, int, dict[str, Any]]:
        with self._database.read() as connection:
            first = connection.execute(sa.select(sa.func.min(records.c.seq))).scalar()
            last = connection.execute(sa.select(sa.func.max(records.c.seq))).scalar()
            signed = self._signer.last(connection)
        if first is None or last is None:
            raise NotFoundError("The database has no audit records.", zh="数据库中没有审计记录。")
        said = {"first": first, "last": last, "signed": 0, "root": ""}
        if signed is not None:
            said |= {"signed": signed.size, "root": signed.root.hex()}
        return first, last, said

    async def _file(self, asked: Prepared, seq: int, first: int, last: int) -> AsyncGenerator[bytes, None]:
        taken, digest, why = _Taken(), hashlib.sha256(), "client_gone"
        pieces = self._pieces(asked, first, last, taken)
        try:
            while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                data = piece.encode()
                digest.update(data)
                taken.bytes += len(data)
                if data:
                    yield data
            why = ""
        except (VlproError, VerificationError):
            why = "failed"
            raise
        finally:
            detail: dict[str, Any] = {"export": seq} | asdict(taken)
            detail |= {"why": why} if why else {"sha256": digest.hexdigest()}
            outcome = Outcome.FAILED if why else Outcome.OK
            # Nobody can wait: whoever took it may be gone.
            self._recorder.later(Event.LOG_EXPORT_ENDED, object=asked.name, outcome=outcome, detail=detail)

    def _pieces(self, asked: Prepared, first: int, last: int, taken: _Taken) -> Iterator[str]:
        if asked.kind == "record":
            for stretch in stretches(self._database, first, last):
                taken.records += stretch.records
                taken.checkpoints += stretch.checkpoints
                yield stretch.lines
            return
        yield BEGINS[asked.kind]
        written = as_csv if asked.kind == "csv" else as_json_lines
        begin = first
        while begin <= last:
            end = min(begin + _STRETCH - 1, last)
            with self._database.read() as connection:
                query = narrowed(sa.select(records.c.seq, DATA), asked.wanted, connection)
                query = query.where(records.c.seq >= begin, records.c.seq <= end)
                rows = connection.execute(query.order_by(records.c.seq).limit(_EACH)).all()
            begin = rows[-1].seq + 1 if len(rows) == _EACH else end + 1
            taken.records += len(rows)
            yield written(as_found(row.seq, bytes(row.data)) for row in rows)
