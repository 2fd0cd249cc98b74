"""Ships what is recorded: in order, everything, once."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from vlpro.audit.record import FIRST
from vlpro.audit.ship.destination import Destination, Outcome
from vlpro.audit.ship.documents import Document, Kind, of_checkpoint, of_record
from vlpro.audit.ship.errors import RefusedError, ShippingError, StoppedError, TooLargeError, UnavailableError
from vlpro.audit.ship.masking import Masked, MaskingRule
from vlpro.audit.ship.options import ShipOptions
from vlpro.audit.ship.position import Position, PositionFile
from vlpro.audit.ship.store import Store, StoredRecord
from vlpro.audit.tree import leaf_hash
from vlpro.errors import DatabaseError

__all__ = ["Shipper"]

_FIRST_WAIT_S = 0.5
_MOST_ASKED = 10_000  # numbers that a destination is asked about at once
_TELL_S = 60.0

_AFTER_A_RESTORE = (
    "If you restored one, go on with another audit_ship.index (syslog: remove the position file): "
    "docs/audit-shipping.md, After a restore. If not, keep both as they are, and find out who did this."
)
_AFTER_A_RESTORE_ZH = (
    "若您恢复过备份，请改用另一个索引（audit_ship.index；syslog：删除位置文件）继续："
    "见 docs/audit-shipping.md 的 After a restore。若没有，请保留两边原状并查明原因。"
)

Teller = Callable[[str, str], None]


class Shipper:
    """Copies a log to one destination.

    What was confirmed is kept as a position, and everything behind it is sent again after an interruption, except
    what the destination says that it has: it is asked about the numbers that are in doubt. Where it names another
    hash for a number, the shipper stops: nothing is written over, and nothing that differs is taken for a copy.

    Args:
        store: The log.
        destination: Where to.
        file: Keeps the position.
        options: Sizes and times.
        tell: Is given each sentence for the operator, in English and Chinese.
        stop: Set from outside to end.
    """

    def __init__(
        self,
        store: Store,
        destination: Destination,
        file: PositionFile,
        options: ShipOptions,
        *,
        tell: Teller,
        stop: threading.Event | None = None,
    ) -> None:
        self._store = store
        self._to = destination
        self._file = file
        self._options = options
        self._tell = tell
        self._stop = stop or threading.Event()
        self._position = Position(destination.name)
        self._doubt = dict.fromkeys(Kind, 0)  # up to which number the destination may have more than is known
        self._masking = MaskingRule(always=options.masked)
        self._ready = False
        self._said = ""
        self._told_at = time.monotonic()
        self._told_seq = -1

    @property
    def position(self) -> Position:
        """What is known to have arrived."""
        return self._position

    def run(self, *, patience_s: float | None = None) -> None:
        """Ship.

        Args:
            patience_s: None: for ever. Else until everything that is there has arrived; seconds without any
                progress after which it gives up.

        Raises:
            ShippingError: It gave up; a StoppedError: going on would hide something.
            DatabaseError: It gave up, since the store cannot be read.
            ConfigError: The position cannot be kept.
        """
        self._position = self._file.load(self._to.name)
        failures, moved_at, before = 0, time.monotonic(), self._position
        while not self._stop.is_set():
            wait_s = self._options.poll_s
            try:
                more = self._step()
            except StoppedError:
                raise
            except (ShippingError, DatabaseError) as error:
                if self._position != before:
                    failures, moved_at, before = 0, time.monotonic(), self._position
                if patience_s is not None and time.monotonic() - moved_at >= patience_s:
                    raise
                failures += 1
                wait_s = self._pause(failures, getattr(error, "wait_s", 0.0))
                if patience_s is not None:
                    wait_s = min(wait_s, max(0.0, moved_at + patience_s - time.monotonic()))
                self._complain(error, failures)
            else:
                if failures:
                    self._tell("Shipping goes on.", "恢复发送。")
                failures, self._said, moved_at, before = 0, "", time.monotonic(), self._position
                self._progress(at_rest=not more and (patience_s is not None or self._told_seq < 0))
                if more:
                    wait_s = 0.0
                elif patience_s is not None:
                    return
            self._stop.wait(wait_s)

    def _pause(self, failures: int, asked_s: float) -> float:
        """Seconds until the next attempt: twice as long each time, by chance a part of it, never less than asked."""
        longest: float = min(self._options.most_wait_s, _FIRST_WAIT_S * 2.0 ** min(failures, 20))
        return max(asked_s, longest * random.uniform(0.5, 1.0))  # noqa: S311 - not a secret

    def _complain(self, error: ShippingError | DatabaseError, failures: int) -> None:
        """Once for each kind of failure, and then from time to time."""
        if error.message != self._said or failures & (failures - 1) == 0:
            self._said = error.message
            self._tell(f"{error.message} Trying again.", f"{error.zh}将重试。")

    def _progress(self, *, at_rest: bool) -> None:
        now, seq = time.monotonic(), self._position.seq
        if seq != self._told_seq and (at_rest or now - self._told_at >= _TELL_S):
            self._told_at, self._told_seq = now, seq
            self._tell(f"Shipped: records up to {seq}.", f"已发送至第 {seq} 条记录。")

    # --- one step

    def _step(self) -> bool:
        """Ship the next records, and the checkpoints about what was shipped; whether there may be more."""
        if not self._ready and not self._prepare():
            return False
        options, position = self._options, self._position
        found = self._store.records(position.seq, options.batch, options.batch_bytes)
        self._still_here(position)  # after it: what was read follows what is here
        if found:
            documents = self._documents(found)
            self._deliver(Kind.RECORD, documents)
            now = self._masking.now
            self._keep(
                replace(
                    position, seq=found[-1].seq, hash=found[-1].hash.hex(), masked=now.on, names=now.names
                )
            )
        return self._checkpoints() or bool(found)

    def _checkpoints(self) -> bool:
        position = self._position
        found = self._store.checkpoints(position.checkpoint, position.seq, self._options.batch)
        if found:
            labels = self._options.labels
            documents = [
                of_checkpoint(one.size, one.data, one.signature, one.sm2, log=position.log, labels=labels)
                for one in found
            ]
            self._deliver(Kind.CHECKPOINT, documents)
            self._keep(replace(position, checkpoint=found[-1].size))
        return bool(found)

    def _prepare(self) -> bool:
        """Find out where to begin; False: there is no log yet."""
        log = self._store.log_id()
        if log is None:
            return False
        position = self._position
        if position.log and position.log != log:
            self._tell(
                f"The store holds the log {log}, no longer {position.log}: it is shipped from its beginning.",
                f"数据库中的日志是 {log}，不再是 {position.log}：从头发送。",
            )
        if position.log != log:
            position = Position(position.to, log)
        self._to.prepare()
        first = self._still_here(position)
        if self._to.can_be_asked:
            position = self._as_far_as_it_is(position)
        if position.seq + 1 < first:
            self._tell(
                f"The store begins at record {first}: those from {position.seq + 1} on are not in it any more.",
                f"数据库从第 {first} 条开始：第 {position.seq + 1} 条起的记录已不在其中。",
            )
        self._position = self._with_policy(position, first)
        self._ready = True
        return True

    def _still_here(self, position: Position) -> int:
        """See that the store has what was shipped; it may be cut, or put back, at any time.

        Returns:
            The number of its first record.

        Raises:
            StoppedError: It has less, or another record.
        """
        first, last = self._store.ends()
        if position.seq > last:
            raise StoppedError(
                f"{position.seq} records were shipped, and the store ends at {last}: its end was cut off, or a "
                f"backup was restored. {_AFTER_A_RESTORE}",
                zh=f"已发送 {position.seq} 条记录，但数据库只到第 {last} 条：末尾被截断，或恢复了备份。"
                f"{_AFTER_A_RESTORE_ZH}",
            )
        stored = self._store.hash_of(position.seq)
        if stored is not None and stored.hex() != position.hash:
            raise _differs(position.seq)
        return first

    def _with_policy(self, position: Position, first: int) -> Position:
        """A position with how copies are masked there, as the record says."""
        known = Masked() if first <= 1 else None
        if position.masked is not None:
            known = Masked(position.masked, position.names)
        self._masking.begin(self._store.decisions(), position.seq, known)
        if known is None and self._masking.now == Masked(on=True):
            self._tell(
                "Whether copies are to be masked was decided in records that are archived, and the position file "
                "does not know: they are masked, until mask_shipped is decided again.",
                "副本是否脱敏的决定已在归档记录中，位置文件也未记载：将一律脱敏，直到重新设置 mask_shipped。",
            )
        now = self._masking.now
        return replace(position, masked=now.on, names=now.names)

    def _as_far_as_it_is(self, position: Position) -> Position:
        """The position, but never beyond the destination's own end; what it has behind the position is in doubt."""
        records, checkpoints = (self._to.last(kind, position.log) for kind in Kind)
        self._doubt = {Kind.RECORD: records, Kind.CHECKPOINT: checkpoints}
        if records < position.seq:
            self._tell(
                f"{position.seq} records were shipped, and the destination ends at {records}: "
                "the rest is sent again.",
                f"已发送 {position.seq} 条记录，但目标只到第 {records} 条：其余将重新发送。",
            )
            stored = self._store.hash_of(records)
            position = replace(position, seq=records, hash=stored.hex() if stored is not None else "")
        return replace(position, checkpoint=min(position.checkpoint, checkpoints))

    def _documents(self, found: Sequence[StoredRecord]) -> list[Document]:
        """Records as documents, each checked against the one before; what is wrong is told, and shipped with it."""
        position, options = self._position, self._options
        self._masking.now = Masked(position.masked is not False, position.names)  # these may be sent again
        prev = bytes.fromhex(position.hash) if position.hash else FIRST if found[0].seq == 1 else None
        documents: list[Document] = []
        for stored in found:
            if problem := _problem(stored, prev):
                self._tell(
                    f"Record {stored.seq} of the store: {problem}.",
                    f"数据库第 {stored.seq} 条记录有问题：{problem}。",
                )
            documents.append(
                of_record(
                    stored.seq,
                    stored.hash,
                    stored.data,
                    log=position.log,
                    masking=self._masking.of(stored.data, sound=not problem),
                    labels=options.labels,
                    problem=problem,
                )
            )
            prev = stored.hash
        return documents

    def _keep(self, position: Position) -> None:
        self._file.save(position)
        self._position = position

    # --- delivery

    def _deliver(self, kind: Kind, documents: Sequence[Document]) -> None:
        """Return only when each of these documents is at the destination, under its number, as it is here."""
        pending = list(documents)
        if self._doubt[kind] >= pending[0].number:
            pending = self._missing(pending)
        for part in self._parts(pending):
            try:
                self._send(part)
            except ShippingError as error:
                if error.doubtful and self._to.can_be_asked:
                    self._doubt[kind] = max(self._doubt[kind], documents[-1].number)
                raise

    def _parts(self, documents: Sequence[Document]) -> list[list[Document]]:
        """Requests of the allowed size."""
        parts: list[list[Document]] = []
        size = 0
        for document in documents:
            size += len(document.body)
            if not parts or size > self._options.batch_bytes:
                parts.append([])
                size = len(document.body)
            parts[-1].append(document)
        return parts

    def _send(self, documents: list[Document]) -> None:
        """Send until nothing is left that may be taken later."""
        failures = 0
        while documents:
            try:
                outcome = self._to.put(documents)
            except TooLargeError as error:
                self._smaller(documents, error)
                return
            documents = self._rest(outcome)
            if documents:
                failures = 0 if outcome.arrived else failures + 1
                if failures >= 3 or self._stop.is_set():
                    raise UnavailableError(
                        f"{len(documents)} documents are not taken: {outcome.again[0][1][:300]}",
                        zh=f"{len(documents)} 个文档未被接收：{outcome.again[0][1][:300]}",
                        doubtful=True,
                    )
                self._stop.wait(self._pause(failures, 0.0))

    def _rest(self, outcome: Outcome) -> list[Document]:
        """What must be sent again."""
        if outcome.there:
            missing = self._missing(outcome.there)  # the same document, or another one?
            if missing:
                raise UnavailableError(
                    f"{len(missing)} documents are there, and are not found.",
                    zh=f"{len(missing)} 个文档已存在但检索不到。",
                    doubtful=True,
                )
        again = [document for document, _ in outcome.again]
        for document, reason in outcome.refused:
            if document.content["event"]["kind"] == "pipeline_error":
                raise StoppedError(
                    f"{document.kind} {document.number} is refused, and so is its bare text ({reason[:300]}). "
                    "Nothing after it is shipped.",
                    zh=f"第 {document.number} 号文档被拒绝，仅含原文时也被拒绝（{reason[:300]}）。"
                    "其后的记录不再发送。",
                )
            self._tell(
                f"{document.kind} {document.number} is refused as it is ({reason[:300]}): its exact text is shipped "
                "without the other fields.",
                f"第 {document.number} 号文档被拒绝（{reason[:300]}）：仅发送其原文。",
            )
            again.append(document.set_aside(reason))
        return again

    def _smaller(self, documents: list[Document], error: RefusedError) -> None:
        """Send in halves what is too large at once."""
        if len(documents) == 1:
            only = documents[0]
            if only.content["event"]["kind"] != "pipeline_error":
                self._send([only.set_aside(error.message)])
                return
            raise StoppedError(
                f"{only.kind} {only.number} alone is too large for the destination ({len(only.body)} bytes): raise "
                "its limit (http.max_content_length). Nothing after it is shipped.",
                zh=f"第 {only.number} 号文档本身已超过目标上限（{len(only.body)} 字节）："
                "请提高 http.max_content_length。其后的记录不再发送。",
            ) from error
        half = len(documents) // 2
        self._send(documents[:half])
        self._send(documents[half:])

    def _missing(self, documents: Sequence[Document]) -> list[Document]:
        """Those that the destination does not have.

        Raises:
            StoppedError: It has another one under the same number.
        """
        missing: list[Document] = []
        for begin in range(0, len(documents), _MOST_ASKED):
            part = documents[begin : begin + _MOST_ASKED]
            # Numbers have gaps where some were sent already, and checkpoints have them always.
            there: dict[int, list[str]] = {}
            low = part[0].number
            while low <= part[-1].number:
                high = min(part[-1].number, low + _MOST_ASKED - 1)
                there |= self._to.present(part[0].kind, part[0].log, low, high)
                low = high + 1
            for document in part:
                found = there.get(document.number)
                if found is None:
                    missing.append(document)
                elif set(found) != {document.hash}:
                    raise _differs(document.number)
        return missing


def _problem(stored: StoredRecord, prev: bytes | None) -> str:
    """What is wrong with a record in its place; empty: nothing is."""
    try:
        content = json.loads(stored.data)
        told, before = content["seq"], content["prev"]
    except (ValueError, KeyError, TypeError):
        return "its bytes are no record"
    if leaf_hash(stored.data) != stored.hash:
        return "its hash is not that of its bytes"
    if told != stored.seq:
        return f"it says that it is record {told}"
    if prev is not None and before != prev.hex():
        return "it does not follow from the one before: that one was altered, replaced or removed"
    return ""


def _differs(number: int) -> StoppedError:
    return StoppedError(
        f"The destination has another record under number {number} than the store: one of them was altered, or a "
        f"backup was restored and went on. Nothing is written over. {_AFTER_A_RESTORE}",
        zh=f"目标中第 {number} 号记录与数据库不同：其中之一被改动，或恢复备份后又继续写入。"
        f"不会覆盖任何内容。{_AFTER_A_RESTORE_ZH}",
    )
