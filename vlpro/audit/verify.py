"""Whether a whole record is what was written: every byte, every place, every signature, in one pass.

The rules are here and read nothing; :mod:`vlpro.audit.sources` reads. What is wrong is raised, never returned.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any

from vlpro.audit.checkpoint import Checkpoint, opened
from vlpro.audit.cosigned import Cosigned
from vlpro.audit.errors import Finding, VerificationError
from vlpro.audit.events import Event
from vlpro.audit.record import FIRST, column
from vlpro.audit.seal import Seal, opened_seal
from vlpro.audit.sources import (
    Item,
    Source,
    StoredBefore,
    StoredCheckpoint,
    StoredRecord,
    StoredSeal,
    checkpoint_line,
    sm2_of,
)
from vlpro.audit.tree import EMPTY, Frontier

__all__ = ["Copy", "Summary", "read_copies", "verify"]

_SAID = itemgetter(
    "v", "seq", "prev", "time", "event", "outcome", "login", "session", "key", "address", "object"
)
_COLUMNS = ("time", "event", "outcome", "login", "session", "address", "object")
_SIGNING = (str(Event.LOG_BEGUN), str(Event.SIGNING_CHANGED))
_decode = json.JSONDecoder().raw_decode
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError)
_TOLD = 5  # times that the clock went back, in the summary
_EACH = 2000  # records after which it is told how far the work is


@dataclass(frozen=True, slots=True)
class Copy:
    """What a copy of a checkpoint says, its signature being right.

    Args:
        size: How many records.
        root: Of their tree.
        log_id: Of which log.
        time: When it was signed.
    """

    size: int
    root: bytes
    log_id: str
    time: str


@dataclass(frozen=True, slots=True)
class Summary:
    """What was verified.

    Args:
        log_id: Which log; empty where nothing tells.
        first: Number of the first record that was read; 0: there was none.
        last: Of the last one.
        checkpoints: How many.
        signed: Size that the last checkpoint signs.
        root: Of the tree over all records, 32 bytes; None for a part whose beginning is not known.
        since: Time of the first record that was read, as it says it.
        until: Time of the last one.
        sealed: Archives that were told of, or read.
        archived: Last record that lies in an archive and was not read; 0: none.
        copies: Copies of checkpoints that agree.
        backwards: Times that the clock went back: the record, and by how many seconds; the first few.
        times_backwards: How often it did.
        sm2: Signatures with SM2 that are right, those of copies included.
        sm2_unchecked: Signatures with SM2 that could not be checked, since this machine has no SM2.
    """

    log_id: str
    first: int
    last: int
    checkpoints: int
    signed: int
    root: bytes | None
    since: str
    until: str
    sealed: int
    archived: int
    copies: int
    backwards: tuple[tuple[int, float], ...]
    times_backwards: int
    sm2: int = 0
    sm2_unchecked: int = 0

    @property
    def records(self) -> int:
        """How many records were read."""
        return self.last - self.first + 1 if self.first else 0

    @property
    def unsigned(self) -> int:
        """Records after the last checkpoint: for them only the chain speaks."""
        return self.last - max(self.signed, self.first - 1) if self.first else 0


def verify(
    source: Source,
    *,
    keys: Sequence[bytes],
    archives: Iterable[Source] | None = None,
    copies: Sequence[Copy] = (),
    log_id: str | None = None,
    cosigned: Cosigned | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Summary:
    """Verify a record.

    Args:
        source: Where it is read from.
        keys: Public keys whose signatures are trusted, 32 bytes each.
        archives: The archives before it, in order; None: they are not at hand, and what lies in them is only told.
        copies: Of checkpoints, kept elsewhere (:func:`read_copies`).
        log_id: The log that it must be; None: whichever the record says.
        cosigned: Checks signatures with SM2; None: by the keys that the log names.
        progress: Is given how many records were read, and about how many there are.

    Raises:
        VerificationError: Something is not what it must be; it names the first record where this shows.
        AuditError: OpenSSL has failed at a signature with SM2.
        DatabaseError: The database does not answer.
    """
    parts = list(archives) if archives is not None else []
    total = sum(part.count() for part in (*parts, source))
    cosigned = cosigned or Cosigned()
    state = _Verifier(
        keys, copies, log_id, cosigned, whole=archives is not None, progress=progress, total=total
    )
    try:
        for part in parts:
            state.read(part)
        state.begin_last()
        state.read(source)
        summary = state.end()
    finally:
        cosigned.finish()  # what is wrong with an earlier checkpoint comes first
    progress(max(1, total), max(1, total))
    return replace(summary, sm2=cosigned.right, sm2_unchecked=cosigned.unchecked)


def read_copies(path: Path, keys: Sequence[bytes], cosigned: Cosigned | None = None) -> list[Copy]:
    """Copies of checkpoints from a file, one a line as ``Checkpoint.as_json`` writes them.

    Args:
        path: The file.
        keys: Public keys whose signatures are trusted, 32 bytes each.
        cosigned: Checks signatures with SM2; None: by the keys that the copies name.

    Raises:
        VerificationError: A line is none, or a signature is wrong.
        AuditError: OpenSSL has failed at a signature with SM2.
    """
    cosigned = cosigned or Cosigned()
    found = []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                found.append(_copy(line, f"{path.name}:{number}", keys, cosigned))
    except OSError as error:
        raise VerificationError(
            f"{path} cannot be read: {error.strerror}", zh=f"{path} 无法读取：{error.strerror}"
        ) from error
    finally:
        cosigned.finish()
    return found


def _copy(line: bytes, place: str, keys: Sequence[bytes], cosigned: Cosigned) -> Copy:
    try:
        content = json.loads(line)
        data, signature = content["checkpoint"].encode(), bytes.fromhex(content["signature"])
        sm2 = sm2_of(content)
        written = checkpoint_line(data, signature, sm2)
    except (ValueError, KeyError, TypeError, AttributeError):
        written = ""
    if written.encode().rstrip() != line.rstrip(b"\r\n"):
        raise VerificationError(
            f"line {place} of the copies is no checkpoint: it was altered or cut",
            zh=f"副本 {place} 行不是检查点：被改动或截断",
            found=repr(line[:200]),
        )
    checkpoint = opened(data, signature, keys, sm2=sm2)
    cosigned.signature(checkpoint)
    said = json.loads(data)
    return Copy(checkpoint.size, checkpoint.root, said["log"], said["time"])


class _Verifier:
    """The state of one verification: everything that the next item must agree with."""

    def __init__(
        self,
        keys: Sequence[bytes],
        copies: Sequence[Copy],
        log_id: str | None,
        cosigned: Cosigned,
        *,
        whole: bool,
        progress: Callable[[int, int], None],
        total: int,
    ) -> None:
        self._keys = keys
        self._log_id = log_id
        self._cosigned = cosigned
        self._whole = whole  # archives are at hand, so that nothing may be missing
        self._progress = progress
        self._total = total
        self._copies = iter(sorted(copies, key=lambda copy: copy.size))
        self._copy = next(self._copies, None)
        self._agreeing = 0  # copies
        self._agreed = 0  # size of the last copy that agrees

        self._first = 0
        self._seq = 0
        self._prev: str | None = FIRST.hex()  # what the next record must name; None: not known
        self._frontier: Frontier | None = Frontier()  # None: not known
        self._since = self._until = ""
        self._moment = float("-inf")
        self._before_last: Any = None  # what the last record named
        self._begun: Any = None  # what the first record says of its log, until the second confirms it
        self._backwards: list[tuple[int, float]] = []
        self._times_backwards = 0
        self._part = False

        self._checkpoint: Checkpoint | None = None  # the last one
        self._ahead: Checkpoint | None = None  # the first one that counts more records than there are
        self._count = 0
        self._last_signed = 0
        self._in_archives = whole
        self._known: dict[int, bytes] = {}  # hashes of the archives' checkpoints, by size
        self._sealed: Seal | None = None
        self._seals = 0
        self._archived = 0

    def read(self, source: Source) -> None:
        """Verify all that a source has."""
        self._part = source.part and not self._seq
        with closing(source.items()) as items:
            for item in items:
                if type(item) is StoredRecord:
                    self._record(item, items)
                elif type(item) is StoredCheckpoint:
                    self._signed(item)
                elif type(item) is StoredSeal:
                    self._seal(item)
                elif type(item) is StoredBefore:
                    self._before(item)

    def begin_last(self) -> None:
        """After the archives comes what repeats their checkpoints and seals."""
        self._checkpoint = None
        self._sealed = None
        self._in_archives = False

    # --- records

    def _record(self, item: StoredRecord, rest: Iterator[Item]) -> None:
        stored, seq = item.seq, self._seq + 1
        try:
            told, prev, time, said = _parsed(item.data)
        except _UNREADABLE:
            raise self._unreadable(item) from None
        if not self._first:
            seq = self._begin(stored if stored is not None else told)
            self._since = time
        leaf = sha256(b"\x00" + item.data).digest()
        if told != seq or (stored is not None and stored != seq):
            self._misplaced(seq, told, prev, item)
        if item.hash is not None and (item.hash != leaf or item[3:] != said):
            self._beside(seq, leaf, said, item, rest)
        if prev != self._prev and self._prev is not None:
            self._unlinked(seq, leaf, rest)
        if said[0] < self._moment:
            self._went_back(seq, self._moment - said[0])
        if said[1] in _SIGNING:
            self._cosigned.told(json.loads(item.data).get("detail"))
        if seq == 1:
            self._begun = said[6] if said[1] == Event.LOG_BEGUN else ""
        elif self._begun is not None:
            self._identify()
        self._seq, self._prev, self._before_last = seq, leaf.hex(), prev
        self._moment, self._until = said[0], time
        if self._frontier is not None:
            self._frontier.append(leaf)
        if self._copy is not None and self._copy.size <= seq:
            self._compare(seq, self._frontier.root() if self._frontier is not None else None)
        if seq % _EACH == 0:
            self._progress(min(seq - self._first + 1, self._total), max(1, self._total))

    def _went_back(self, seq: int, seconds: float) -> None:
        """Clocks do; it is told."""
        self._times_backwards += 1
        if len(self._backwards) < _TOLD:
            self._backwards.append((seq, round(seconds, 6)))

    def _unreadable(self, item: StoredRecord) -> VerificationError:
        if item.seq is not None and item.seq > self._seq + 1 and self._seq:
            self._gap(item.seq)
        return VerificationError(
            "its bytes are no record",
            item.seq or self._seq + 1,
            zh="内容无法解析为记录",
            finding=Finding.UNREADABLE,
            found=repr(item.data)[:200],
            meaning="It was overwritten, or the disk is damaged. Compare with a copy or an archive.",
            meaning_zh="内容被覆盖或磁盘损坏。请与副本或归档比对。",
        )

    def _begin(self, seq: int) -> int:
        """The first record that is read has this number; it is right, or told. Returns it."""
        if self._archived and (self._frontier is None or self._frontier.size != self._archived):
            raise self._no_checkpoint()
        if self._part and seq > 0:
            if self._frontier is not None and self._frontier.size != seq - 1:
                self._frontier = None
            self._seq = seq - 1
            self._prev = None if seq > 1 else self._prev
        elif seq != self._seq + 1:
            self._gap(seq)
        self._first = seq
        return seq

    def _no_checkpoint(self) -> VerificationError:
        return VerificationError(
            "the checkpoint at the end of the archives is missing",
            self._archived,
            zh="归档末尾处的检查点缺失",
            finding=Finding.MISSING,
        )

    def _identify(self) -> None:
        """The first record says which log this is; the second has confirmed it."""
        log_id, self._begun = self._begun, None
        if not isinstance(log_id, str) or not log_id:
            raise VerificationError(
                "it is not the beginning of a log",
                1,
                zh="不是日志的开始",
                finding=Finding.ALTERED,
                expected=f"event {Event.LOG_BEGUN}",
                meaning="The first record was replaced.",
                meaning_zh="第一条记录被替换。",
            )
        if self._log_id is not None and self._log_id != log_id:
            raise _other_log(self._log_id, log_id)
        self._log_id = log_id
        if self._copy is not None and self._copy.log_id != log_id:
            raise _other_log(self._copy.log_id, log_id, self._copy)

    def _gap(self, stored: int) -> None:
        expected = self._seq + 1
        if stored < expected:
            raise VerificationError(
                "it stands where no record may be",
                stored,
                zh="出现在不应有记录的位置",
                finding=Finding.INSERTED,
                expected=f"record {expected}",
                found=f"record {stored}",
                meaning="It was inserted, or is there twice.",
                meaning_zh="被插入，或重复出现。",
            )
        through = f" to {stored - 1}" if stored - 1 > expected else ""
        through_zh = f"至第 {stored - 1} 条" if through else ""
        raise VerificationError(
            f"it is missing{', and all' + through if through else ''}",
            expected,
            zh=f"{through_zh}缺失",
            finding=Finding.MISSING,
            expected=f"record {expected}",
            found=f"record {stored}",
            meaning="Records were deleted. Copies elsewhere (Elasticsearch, exports, archives) may still have them.",
            meaning_zh="记录被删除。其他副本（Elasticsearch、导出、归档）中可能仍有。",
        )

    def _misplaced(self, seq: int, told: int, prev: Any, item: StoredRecord) -> None:
        if item.seq is not None and item.seq != seq:
            self._gap(item.seq)
        common: dict[str, Any] = {"expected": f"seq {seq}", "found": f"seq {told}"}
        if told == self._seq and prev == self._before_last and self._seq >= self._first:
            same = self._prev == sha256(b"\x00" + item.data).hexdigest()
            if item.seq is None or not same:
                raise VerificationError(
                    "it stands here twice"
                    if same
                    else "it was inserted: what comes after it follows from the one before",
                    told,
                    zh="重复出现" if same else "是插入的：其后的记录紧接在它之前的那条",
                    finding=Finding.DUPLICATE if same else Finding.INSERTED,
                    **common,
                )
        if item.seq is None and told > seq:
            self._gap(told)
        duplicate = told < seq
        raise VerificationError(
            f"its bytes are those of record {told}",
            seq,
            zh=f"内容是第 {told} 条记录的",
            finding=Finding.MOVED,
            **common,
            meaning="It was moved or copied here" + (", or one was inserted before." if duplicate else "."),
            meaning_zh="记录被移动或复制到此处" + ("，或此前插入了一条。" if duplicate else "。"),
        )

    def _unlinked(self, seq: int, leaf: bytes, rest: Iterator[Item]) -> None:
        """It does not follow from the one before. Which of the two was altered, the one after tells."""
        following = _following(rest)
        confirmed = following is None or following[1] == leaf.hex()
        if seq == 1 or self._seq < self._first or not confirmed:
            raise VerificationError(
                "it does not follow from the one before: it was altered, or both were",
                seq,
                zh="与前一条不衔接：该记录被改动，或两条都被改动",
                finding=Finding.ALTERED,
                expected=f"prev {self._prev}",
                meaning="Its hash was altered with it. A copy elsewhere tells what it said.",
                meaning_zh="其哈希也一并被改动。其他副本可以说明原文。",
            )
        raise VerificationError(
            f"it was altered, and its hash with it: record {seq} follows from another one",
            self._seq,
            zh=f"该记录连同其哈希被改动：第 {seq} 条所衔接的是另一条",
            finding=Finding.ALTERED,
            expected=f"hash as record {seq} names it",
            found=f"hash {self._prev}",
            meaning="What the record says is not what was written. A copy elsewhere tells what it said.",
            meaning_zh="记录内容不是当初写入的内容。其他副本可以说明原文。",
        )

    def _beside(
        self, seq: int, leaf: bytes, said: tuple[Any, ...], item: StoredRecord, rest: Iterator[Item]
    ) -> None:
        """What stands beside the bytes must be what they say; columns hold no more of a text than fits."""
        if item.hash != leaf:
            self._altered(seq, leaf, item, rest)
        for name, stored, value in zip(_COLUMNS, item[3:], said, strict=True):
            if stored != (column(name, value) if isinstance(value, str) else value):
                raise VerificationError(
                    f"the column {name} was altered: it says something else than the record's bytes",
                    seq,
                    zh=f"{name} 列被改动：与记录内容不一致",
                    finding=Finding.COLUMN,
                    expected=repr(value),
                    found=repr(stored),
                    meaning="A search would not find it, or find it wrongly. The record itself is right.",
                    meaning_zh="检索会找不到或误找到它。记录本身未变。",
                )

    def _altered(self, seq: int, leaf: bytes, item: StoredRecord, rest: Iterator[Item]) -> None:
        following = _following(rest)
        common: dict[str, Any] = {"expected": f"hash {leaf.hex()}", "found": f"hash {_hex(item.hash)}"}
        if following is not None and following[1] == leaf.hex():
            raise VerificationError(
                "the hash beside it was altered; its bytes are right",
                seq,
                zh="其哈希列被改动，内容未变",
                finding=Finding.COLUMN,
                **common,
            )
        raise VerificationError(
            "it was altered: its bytes are not those that were hashed",
            seq,
            zh="内容被改动：与写入时的哈希不符",
            finding=Finding.ALTERED,
            **common,
            meaning="What the record says is not what was written. A copy elsewhere tells what it said.",
            meaning_zh="记录内容不是当初写入的内容。其他副本可以说明原文。",
        )

    # --- checkpoints, seals, copies

    def _signed(self, item: StoredCheckpoint) -> None:
        try:
            data, signature = bytes(item.data), bytes(item.signature)
        except (TypeError, ValueError):
            data, signature = b"", b""
        if self._begun is not None:
            self._identify()
        checkpoint = opened(
            data, signature, self._keys, log_id=self._log_id, roots=_bytes(item.roots), sm2=_sm2(item.sm2)
        )
        self._cosigned.signature(checkpoint)
        self._follows(item, checkpoint)
        size = checkpoint.size
        if self._part and not self._first:
            self._cosigned.place(checkpoint, bound=False)
            if item.roots is not None:
                self._frontier, self._last_signed = checkpoint.frontier(), size
        elif size <= self._archived:
            self._cosigned.place(checkpoint, bound=False)
            self._count += 1
            self._compare(size, checkpoint.root)
            self._frontier = checkpoint.frontier()
        elif not self._in_archives and size <= max(self._known, default=0):
            self._repeated(checkpoint)
        elif size > self._seq:
            self._ahead = self._ahead or checkpoint
        elif size < self._seq:
            raise VerificationError(
                "the checkpoint stands behind records that it does not count",
                size,
                zh="检查点位于它不包含的记录之后",
                finding=Finding.REPLAYED,
            )
        else:
            self._cosigned.place(checkpoint, bound=True)
            self._count += 1
            self._root(checkpoint, item.roots)
            if self._in_archives:
                self._known[size] = checkpoint.hash

    def _follows(self, item: StoredCheckpoint, checkpoint: Checkpoint) -> None:
        """A checkpoint must stand in its place, and name the one before."""
        said = json.loads(checkpoint.data)
        size = checkpoint.size
        self._log_id = str(said["log"])
        if item.size is not None and item.size != size:
            raise VerificationError(
                f"the checkpoint stored for {item.size} records is the one of {size}",
                item.size,
                zh=f"为 {item.size} 条记录保存的检查点实为 {size} 条的",
                finding=Finding.REPLAYED,
                meaning="An older checkpoint was put in the place of another.",
                meaning_zh="较早的检查点被放到了另一个的位置。",
            )
        last, self._checkpoint = self._checkpoint, checkpoint
        before = last.hash.hex() if last is not None else EMPTY.hex()
        if not (last is None and self._part) and said.get("prev") != before:
            raise VerificationError(
                "the checkpoint does not follow from the one before",
                size,
                zh="检查点与前一个检查点不衔接",
                finding=Finding.REPLAYED if last is not None and size <= last.size else Finding.MISSING,
                expected=f"prev {before}",
                found=f"prev {said.get('prev')}",
                meaning="A checkpoint before it was removed or put in the place of another.",
                meaning_zh="此前有检查点被删除，或被放到另一个的位置。",
            )

    def _repeated(self, checkpoint: Checkpoint) -> None:
        """A checkpoint of the database for what was read from the archives."""
        if checkpoint.size >= self._first and self._known.get(checkpoint.size) != checkpoint.hash:
            raise VerificationError(
                "the archives hold another checkpoint for it, or none",
                checkpoint.size,
                zh="归档中此处的检查点不同或不存在",
                finding=Finding.REPLAYED,
            )
        checkpoint.frontier()

    def _root(self, checkpoint: Checkpoint, roots: bytes | None) -> None:
        """The tree over the records read must be the one that was signed."""
        signed, self._last_signed = self._last_signed, checkpoint.size
        if self._frontier is None:
            return
        if self._frontier.root() != checkpoint.root:
            first, last = signed + 1, checkpoint.size
            changed = _changed(self._frontier, checkpoint)
            if changed is not None:
                first, last = max(first, changed[0]), changed[1]
            raise VerificationError(
                f"from here to record {last} at least one was altered, and all hashes after it made to fit: the "
                "signed root is another one",
                first,
                zh=f"从此条至第 {last} 条中至少有一条被改动，其后的哈希全部重算：签名的根与之不符",
                finding=Finding.REWRITTEN,
                expected=f"root {checkpoint.root.hex()}",
                found=f"root {self._frontier.root().hex()}",
                meaning="Somebody rewrote the record but has no key. A copy elsewhere tells which record.",
                meaning_zh="有人重写了记录但没有密钥。其他副本可以说明是哪一条。",
            )
        if roots is not None and roots != b"".join(self._frontier.roots):
            raise VerificationError(
                "the subtrees beside a checkpoint were altered",
                checkpoint.size,
                zh="检查点旁保存的子树被改动",
                finding=Finding.COLUMN,
            )

    def _before(self, item: StoredBefore) -> None:
        """A part tells the tree before it; the next signed root proves it."""
        size, roots = item
        try:
            frontier = Frontier(size, [roots[i : i + 32] for i in range(0, len(roots), 32)])
        except ValueError:
            frontier = None
        if frontier is None or any(len(root) != 32 for root in frontier.roots):
            raise VerificationError(
                "what is said of the records before it is nothing", zh="对此前记录的说明无法解析"
            )
        if not self._first:
            self._frontier, self._last_signed = frontier, size
        elif size > self._seq:
            self._gap(size + 1)
        elif size < self._seq or (self._frontier is not None and frontier.roots != self._frontier.roots):
            raise VerificationError(
                "its archive does not follow from the one before",
                size + 1,
                zh="其归档与前一个不衔接",
                finding=Finding.MISSING,
            )

    def _seal(self, item: StoredSeal) -> None:
        data, signature, sm2 = _bytes(item.data), _bytes(item.signature), _sm2(item.sm2)
        found = opened_seal(data, signature, self._keys, log_id=self._log_id, sm2=sm2)
        self._cosigned.signature(found)
        if self._log_id is None:
            self._log_id = str(json.loads(found.data)["log"])
        last, self._sealed = self._sealed, found
        if item.last is not None and item.last != found.last:
            raise VerificationError(
                f"the seal stored for record {item.last} is that of {found.last}",
                item.last,
                zh=f"为第 {item.last} 条保存的封印实为第 {found.last} 条的",
                finding=Finding.REPLAYED,
            )
        begins = last.last + 1 if last is not None else 1
        if found.first != begins and not (last is None and self._part):
            raise VerificationError(
                f"the seal of the archive that has it is missing; the next one begins with record {found.first}",
                min(begins, found.first),
                zh=f"包含该记录的归档封印缺失，下一个从第 {found.first} 条开始",
                finding=Finding.MISSING,
            )
        if item.sha256 is not None:  # in the archive itself, behind its records
            self._sealed_here(found, item.sha256)
        elif found.last > self._seq:
            if self._whole:
                raise VerificationError(
                    f"it lies in the archive {found.name}, which is not among those given",
                    max(found.first, self._seq + 1),
                    zh=f"该记录在归档 {found.name} 中，但所给归档里没有",
                    finding=Finding.MISSING,
                    meaning="Put the archive back, or verify without --archives, which tells what is missing.",
                    meaning_zh="请放回该归档，或不带 --archives 校验（会说明缺少哪些）。",
                )
            self._archived = self._seq = found.last
            self._prev, self._before_last = found.end.hex(), None
            self._frontier = None  # until the checkpoint at this place
            self._last_signed = found.last
            self._seals += 1

    def _sealed_here(self, found: Seal, read: bytes) -> None:
        if found.sha256 != read:
            raise VerificationError(
                f"the archive {found.name} is not what was sealed",
                found.first,
                zh=f"归档 {found.name} 与封印不符",
                finding=Finding.ALTERED,
            )
        root = self._frontier.root() if self._frontier is not None else found.root
        if (found.last, found.end.hex(), found.root) != (self._seq, self._prev, root):
            raise VerificationError(
                f"the archive {found.name} does not end as its seal says",
                found.last,
                zh=f"归档 {found.name} 的结尾与封印不符",
                finding=Finding.REPLAYED,
            )
        self._seals += 1

    def _compare(self, size: int, root: bytes | None) -> None:
        """Copies of a checkpoint must be of this very record.

        Args:
            size: Of the tree that is known now; copies of smaller ones are of records that are not at hand.
            root: Its root; None: not known.
        """
        while (copy := self._copy) is not None and copy.size <= size:
            if self._log_id is not None and copy.log_id != self._log_id:
                raise _other_log(copy.log_id, self._log_id, copy)
            if copy.size == size and root is not None:
                if root != copy.root:
                    raise VerificationError(
                        f"the record was replaced: a copy of the checkpoint of {size} records, signed {copy.time}, "
                        f"has another root. Up to record {self._agreed} the copies agree",
                        self._agreed + 1,
                        zh=f"记录被替换：{copy.time} 签署的 {size} 条处检查点副本的根不同。"
                        f"到第 {self._agreed} 条为止副本一致",
                        finding=Finding.REPLACED,
                        expected=f"root {copy.root.hex()}",
                        found=f"root {root.hex()}",
                        meaning="The database was put back to an older copy and went on from there, or somebody who "
                        "has the key rewrote it.",
                        meaning_zh="数据库被恢复到较早的副本后继续写入，或持有密钥的人重写了它。",
                    )
                self._agreeing += 1
                self._agreed = size
            self._copy = next(self._copies, None)

    def end(self) -> Summary:
        """Nothing more comes; what must still be there?"""
        if self._begun is not None:
            self._identify()
        if self._archived and (self._frontier is None or self._frontier.size < self._archived):
            raise self._no_checkpoint()
        ahead, copy = self._ahead, self._copy
        if copy is not None and self._log_id is not None and copy.log_id != self._log_id:
            raise _other_log(copy.log_id, self._log_id, copy)
        if ahead is not None and ahead.size <= self._seq:
            raise VerificationError(
                "a checkpoint stands before records that it counts",
                ahead.size,
                zh="检查点位于它所包含的记录之前",
                finding=Finding.REPLAYED,
            )
        if ahead is not None:
            last = self._checkpoint.size if self._checkpoint is not None else ahead.size
            raise VerificationError(
                f"it is missing, and all after it: the tail was cut. A checkpoint counts {last} records",
                self._seq + 1,
                zh=f"该条及其后的记录缺失：尾部被截断。检查点计有 {last} 条",
                finding=Finding.CUT,
                expected=f"{last} records",
                found=f"{self._seq} records",
            )
        if copy is not None:
            *_, newest = chain([copy], self._copies)
            raise VerificationError(
                f"the record ends before it, but a copy of a checkpoint, signed {newest.time}, counts {newest.size} "
                "records",
                self._seq + 1,
                zh=f"记录在此之前结束，但 {newest.time} 签署的检查点副本计有 {newest.size} 条",
                finding=Finding.SHORTER,
                expected=f"{newest.size} records",
                found=f"{self._seq} records",
                meaning="The whole database was put back to an older copy, or its tail was cut together with its "
                "checkpoints: from the record alone, the two are the same.",
                meaning_zh="整个数据库被恢复到较早的副本，或尾部连同检查点一起被截断：仅凭记录本身无法区分二者。",
            )
        return Summary(
            log_id=self._log_id or "",
            first=self._first,
            last=self._seq if self._first else 0,
            checkpoints=self._count,
            signed=self._last_signed,
            root=self._frontier.root() if self._frontier is not None and self._first else None,
            since=self._since,
            until=self._until,
            sealed=self._seals,
            archived=self._archived,
            copies=self._agreeing,
            backwards=tuple(self._backwards),
            times_backwards=self._times_backwards,
        )


def _parsed(data: bytes) -> tuple[int, str, str, tuple[Any, ...]]:
    """What a record's bytes say: its number, what it names as the one before, when, and what its columns must say."""
    text = data.decode()
    content, end = _decode(text)
    version, seq, prev, time, event, outcome, login, session, key, address, thing = _SAID(content)
    moment = datetime.fromisoformat(time).timestamp()
    if end != len(text) or version != 1:
        raise ValueError
    return seq, prev, time, (moment, event, outcome, login, session or key, address, thing)


def _following(rest: Iterator[Item]) -> Any:
    """What the next record says: its number and what it names as the one before; None where there is none."""
    for item in rest:
        if type(item) is StoredRecord:
            try:
                said = json.loads(item.data)
                return said["seq"], said["prev"]
            except (ValueError, KeyError, TypeError):
                return None
    return None


def _changed(found: Frontier, checkpoint: Checkpoint) -> tuple[int, int] | None:
    """The first complete subtree that differs from the signed one: its first and last record; None: not known."""
    try:
        signed = checkpoint.frontier()
    except VerificationError:
        return None
    begin, bits = 0, [1 << bit for bit in range(found.size.bit_length()) if found.size >> bit & 1][::-1]
    for bit, is_there, was_signed in zip(bits, found.roots, signed.roots, strict=True):
        if is_there != was_signed:
            return begin + 1, begin + bit
        begin += bit
    return None


def _other_log(expected: str, found: str, copy: Copy | None = None) -> VerificationError:
    of = f"the copies ({copy.time}) are" if copy is not None else "expected is"
    of_zh = f"副本（{copy.time}）属于" if copy is not None else "应为"
    return VerificationError(
        f"the record was replaced by that of another log: {of} {expected}, it is {found}",
        zh=f"记录被另一份日志替换：{of_zh} {expected}，实为 {found}",
        finding=Finding.REPLACED,
        expected=expected,
        found=found,
        meaning="Another database was put in the place of this one; or the copies are of another installation.",
        meaning_zh="数据库被换成另一个；或副本属于另一套部署。",
    )


def _sm2(value: Any) -> bytes | None:
    """What a column of signatures with SM2 holds; what is none is a wrong one."""
    return value if value is None or isinstance(value, bytes) else repr(value).encode()


def _hex(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else repr(value)


def _bytes(value: Any) -> bytes:
    """What a column of bytes holds; SQLite would hold anything."""
    return value if isinstance(value, bytes) else b""
