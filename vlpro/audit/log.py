"""The log: many who record, one who writes. What :meth:`AuditLog.record` has returned for is on the disk."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import sqlalchemy as sa

from vlpro.audit.checkpoint import Checkpoint, Signer, sm2_key_said
from vlpro.audit.events import Event
from vlpro.audit.record import FIRST, Entry, Record, column, make
from vlpro.audit.tables import checkpoints, contents, records
from vlpro.audit.tree import Frontier
from vlpro.db import Database
from vlpro.errors import AuditError, VlproError

__all__ = ["AuditLog", "last_record"]

log = logging.getLogger(__name__)

_MOST = 512  # records in one transaction
_JUMP_S = 5.0
_LOOK_S = 0.005
_READ = 10_000
_END = sa.select(records.c.seq, records.c.hash).order_by(records.c.seq.desc()).limit(1)
_COLUMNS = [each.name for each in records.columns]
_INSERT = f"INSERT INTO {records.name} ({', '.join(_COLUMNS)}) VALUES "  # noqa: S608 - names of our own


@dataclass(slots=True)
class _Waiting:
    entry: Entry
    done: Future[int] | asyncio.Future[int]
    told: bool = False


class AuditLog:
    """Appends records, in groups that share one write to the disk.

    Each group is one transaction that runs alone: it reads where the chain ends, continues it, and commits. Several
    replicas on one PostgreSQL so keep one chain.

    Args:
        database: Of the audit; on SQLite a file of its own.
        signer: Signs checkpoints.
        every_records: Records after which a checkpoint is signed.
        every_s: Seconds after which one is, if anything was recorded.
        copied: Is given each checkpoint, to keep it in a second place; what it raises stops the log.
        clock: Unix time.

    Attributes:
        failed: What went wrong last; whoever tells people of it takes it away.
        failed_at: When writing or signing last failed, by time.monotonic(); None: it has worked since.
    """

    def __init__(
        self,
        database: Database,
        signer: Signer,
        *,
        every_records: int = 1000,
        every_s: float = 300.0,
        copied: Callable[[Checkpoint], None] = lambda _: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.database = database
        self.signer = signer
        self.failed: Exception | None = None
        self.failed_at: float | None = None
        self._writing = 0  # records of the group that is being written
        self._every_records = every_records
        self._every_s = every_s
        self._copied = copied
        self._clock = clock
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._open = threading.Lock()  # so that nothing is put behind the end of the queue
        self._unsigned = 0  # records of this process since the last checkpoint
        self._signed_at = time.monotonic()
        self._drift = clock() - time.monotonic()
        self._cosigner = ThreadPoolExecutor(1, "audit-sm2")
        self._cosigning: Future[Checkpoint] | None = None

    @property
    def waiting(self) -> int:
        """Records that were given to the log and are not on the disk yet."""
        return self._queue.qsize() + self._writing

    @property
    def unsigned(self) -> int:
        """Records of this process that no checkpoint covers yet."""
        return self._unsigned

    @property
    def checkpoint_age_s(self) -> float:
        """Seconds since this process signed its last checkpoint, or since it started."""
        return time.monotonic() - self._signed_at

    def start(self) -> None:
        """Begin to write."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Write what waits, sign a last checkpoint, and end."""
        with self._open:
            thread, self._thread = self._thread, None
            if thread is not None:
                self._queue.put(None)
        if thread is not None:
            thread.join()

    def submit(self, entry: Entry) -> Future[int]:
        """Have something recorded; the future has the record's number once it is on the disk, or an AuditError."""
        done: Future[int] = Future()
        if not self._put(_Waiting(entry, done)):
            done.set_exception(_not_written())
        return done

    def record(self, entry: Entry) -> int:
        """Record, and wait until it is on the disk. Blocks: not for the event loop.

        Returns:
            The record's number.

        Raises:
            AuditError: It could not be written. What was to be recorded must not happen.
        """
        return self.submit(entry).result()

    async def arecord(self, entry: Entry) -> int:
        """As :meth:`record`, for the event loop."""
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if not self._put(_Waiting(entry, done)):
            raise _not_written()
        return await done

    def _put(self, waiting: _Waiting) -> bool:
        with self._open:
            if self._thread is not None:
                self._queue.put(waiting)
            return self._thread is not None

    # --- the writer

    def _run(self) -> None:
        going = True
        while going:
            batch, going = self._next()
            self._writing = len(batch)
            try:
                if batch:
                    self._write(batch)
                    self.failed_at = None
                self._sign(last=not going)
            except Exception as error:
                log.exception("the audit log failed")
                self.failed, self.failed_at = error, time.monotonic()
            finally:
                self._writing = 0
                _tell([(waiting, None) for waiting in batch if not waiting.told])

    def _next(self) -> tuple[list[_Waiting], bool]:
        """What waits; and whether there will be more. Waits for the first."""
        batch: list[_Waiting] = []
        try:
            # A checkpoint that waits for its signature shall not wait for the next record.
            waiting = self._queue.get(timeout=_LOOK_S if self._cosigning else min(1.0, self._every_s))
            while waiting is not None:
                # Who has cancelled does not wait, but it is recorded all the same.
                batch.append(waiting)
                if len(batch) == _MOST:
                    break
                waiting = self._queue.get_nowait()
        except queue.Empty:
            return batch, True
        else:
            return batch, waiting is not None

    def _write(self, batch: Sequence[_Waiting]) -> None:
        entries: list[tuple[Entry, _Waiting | None]] = [(waiting.entry, waiting) for waiting in batch]
        drift = self._clock() - time.monotonic()
        if abs(drift - self._drift) > _JUMP_S:
            moved = {"seconds": round(drift - self._drift, 3)}
            entries.insert(0, (Entry(Event.CLOCK_JUMPED, detail=moved), None))
            self._drift = drift
        made: list[Record] = []
        written: list[_Waiting | None] = []  # who waits for each
        try:
            with self.database.write(alone=True) as connection:
                seq, prev = last_record(connection)
                for entry, waiting in entries:
                    try:
                        record = make(entry, seq=seq + 1, prev=prev, now=self._clock())
                    except ValueError:
                        log.exception("an entry cannot be written down: %s", entry.event)
                        continue  # who waits for it is told at the end of the group
                    made.append(record)
                    written.append(waiting)
                    seq, prev = record.seq, record.hash
                if made:
                    self._insert(connection, made)
                kept = [(name, data) for record in made for name, data in record.entry.contents.items()]
                if kept:
                    connection.execute(
                        sa.insert(contents), [{"id": name, "data": data} for name, data in kept]
                    )
        except VlproError:
            if not self._arrived(made):
                raise
        self._unsigned += len(made)
        _tell([(who, record.seq) for record, who in zip(made, written, strict=True) if who is not None])

    def _insert(self, connection: sa.Connection, made: Sequence[Record]) -> None:
        """All records in one statement: between two of them, SQLite's driver would let the event loop run first."""
        mark = "?" if self.database.sqlite else "%s"
        row = f"({', '.join([mark] * len(_COLUMNS))})"
        connection.exec_driver_sql(
            f"{_INSERT}{', '.join([row] * len(made))}",
            tuple(value for record in made for value in self.row(record).values()),
        )

    def _arrived(self, made: Sequence[Record]) -> bool:
        """After a commit whose outcome was lost: whether its records are there."""
        if not made:
            return False
        try:
            with self.database.read() as connection:
                found = connection.execute(
                    sa.select(records.c.hash).where(records.c.seq == made[-1].seq)
                ).scalar()
        except VlproError:
            return False
        return found is not None and bytes(found) == made[-1].hash

    @staticmethod
    def row(record: Record) -> dict[str, object]:
        """A record as its table has it, in the order of the columns."""
        actor = record.entry.actor
        return {
            "seq": record.seq,
            "hash": record.hash,
            "time": record.time,
            "event": str(record.entry.event),
            "outcome": str(record.entry.outcome),
            "login": column("login", actor.login),
            "session": column("session", actor.session or actor.key),
            "address": column("address", actor.address),
            "object": column("object", record.entry.object),
            "data": record.data,
        }

    # --- checkpoints

    def _sign(self, *, last: bool = False) -> None:
        """Sign a checkpoint, if it is time. Its signature with SM2 is made meanwhile, and nothing waits for it."""
        if self._cosigning is not None and (last or self._cosigning.done()):
            self._store_cosigned()
        due = time.monotonic() - self._signed_at >= self._every_s
        if (
            self._cosigning is None
            and self._unsigned
            and (due or last or self._unsigned >= self._every_records)
        ):
            self._checkpoint()
            while self._cosigning is not None and last:
                self._store_cosigned()
                if (
                    self._unsigned
                ):  # another replica has signed less meanwhile, and nobody may come after this one
                    self._checkpoint()

    def _checkpoint(self) -> None:
        with self.database.write(alone=True) as connection:
            before = self.signer.last(connection)
            size, _ = last_record(connection)
            self._unsigned, self._signed_at = 0, time.monotonic()
            if before is not None and before.size >= size:
                return  # another replica has signed
            if sm2_key_said(connection) != self.signer.sm2.hex():
                self._unsigned = 1
                raise AuditError(
                    "Another replica signs the audit record otherwise, so none is signed here. Give all the same "
                    "VLPRO_CRYPTO and key file.",
                    zh="另一个副本对审计记录的签名方式不同，因此这里不再签署。"
                    "请为所有副本设置相同的 VLPRO_CRYPTO 和密钥文件。",
                )
            frontier = before.frontier() if before is not None else Frontier()
            while frontier.size < size:
                leaves = connection.execute(
                    sa.select(records.c.seq, records.c.hash)
                    .where(records.c.seq > frontier.size)
                    .order_by(records.c.seq)
                    .limit(_READ)
                ).all()
                for leaf in leaves:
                    if leaf.seq != frontier.size + 1:
                        raise AuditError(
                            f"Audit record {frontier.size + 1} is missing: no checkpoint is signed. "
                            "Run vlpro audit verify.",
                            zh=f"审计记录缺少第 {frontier.size + 1} 条，未签署检查点。请运行 vlpro audit verify。",
                        )
                    frontier.append(bytes(leaf.hash))
            signed = self.signer.sign(frontier, before, self._clock())
            if not self.signer.sm2:
                _store(connection, signed)
        if self.signer.sm2:
            self._cosigning = self._cosigner.submit(self.signer.cosigned, signed)
        else:
            self._copied(signed)

    def _store_cosigned(self) -> None:
        """Store the checkpoint that waited for its signature with SM2, unless another replica has signed one."""
        if self._cosigning is None:
            return
        self._unsigned += 1  # until it is stored: so it is made again in time
        try:
            signed = self._cosigning.result()
            with self.database.write(alone=True) as connection:
                before = self.signer.last(connection)
                if not signed.follows(before):
                    return
                _store(connection, signed)
            self._unsigned -= 1
            self._copied(signed)
        finally:
            self._cosigning = None


def _store(connection: sa.Connection, signed: Checkpoint) -> None:
    connection.execute(
        sa.insert(checkpoints).values(
            size=signed.size,
            data=signed.data,
            signature=signed.signature,
            roots=signed.roots,
            sm2=signed.sm2 or None,
        )
    )


def last_record(connection: sa.Connection) -> tuple[int, bytes]:
    """Number and hash of the last record."""
    last = connection.execute(_END).one_or_none()
    return (last.seq, bytes(last.hash)) if last is not None else (0, FIRST)


def _tell(outcomes: Sequence[tuple[_Waiting, int | None]]) -> None:
    """Tell who waits: the number of the record, or None where there is none. Each event loop is woken once."""
    loops: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[int], int | None]]] = {}
    for waiting, seq in outcomes:
        waiting.told = True
        if isinstance(waiting.done, asyncio.Future):
            loops.setdefault(waiting.done.get_loop(), []).append((waiting.done, seq))
        elif waiting.done.set_running_or_notify_cancel():
            _settle([(waiting.done, seq)])
    for loop, settled in loops.items():
        with suppress(RuntimeError):  # it has ended, and those who waited with it
            loop.call_soon_threadsafe(_settle, settled)


def _settle(settled: Sequence[tuple[Future[int] | asyncio.Future[int], int | None]]) -> None:
    for done, seq in settled:
        if done.done():
            continue  # cancelled
        if seq is None:
            done.set_exception(_not_written())
        else:
            done.set_result(seq)


def _not_written() -> AuditError:
    return AuditError(
        "The audit record cannot be written, so nothing is done. Tell your administrator.",
        zh="审计记录无法写入，操作没有执行。请告知管理员。",
    )
