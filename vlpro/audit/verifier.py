"""The rules of verification: what each record, checkpoint and seal must be, as they come one after another."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import datetime
from hashlib import sha256
from operator import itemgetter
from typing import Any

from vlpro.audit import findings
from vlpro.audit.checkpoint import Checkpoint, opened
from vlpro.audit.copies import Comparison, Copy
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
)
from vlpro.audit.summary import Summary
from vlpro.audit.tree import EMPTY, Frontier

__all__ = ["Verifier"]

_SAID = itemgetter(
    "v", "seq", "prev", "time", "event", "outcome", "login", "session", "key", "address", "object"
)
_COLUMNS = ("time", "event", "outcome", "login", "session", "address", "object")
_SIGNING = (str(Event.LOG_BEGUN), str(Event.SIGNING_CHANGED))
_decode = json.JSONDecoder().raw_decode
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError)
_TOLD = 5  # times that the clock went back, in the summary
_EACH = 2000  # records after which it is told how far the work is


class Verifier:
    """The state of one verification: everything that the next item must agree with.

    Args:
        keys: Public keys whose signatures are trusted, 32 bytes each.
        copies: Of checkpoints, kept elsewhere.
        log_id: The log that it must be; None: whichever the record says.
        cosigned: Checks signatures with SM2.
        whole: Whether archives are at hand, so that nothing may be missing.
        progress: Is given how many records were read, and about how many there are.
        total: About how many there are.
    """

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
        self._whole = whole
        self._progress = progress
        self._total = total
        self._copies = Comparison(copies)

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
        """Verify all that a source has. Raises: VerificationError, AuditError."""
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
            raise self._misplaced(seq, told, prev, item)
        if item.hash is not None and (item.hash != leaf or item[3:] != said):
            self._beside(seq, leaf, said, item, rest)
        if prev != self._prev and self._prev is not None:
            raise self._unlinked(seq, self._prev, leaf, rest)
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
        if self._copies.next <= seq:
            root = self._frontier.root() if self._frontier is not None else None
            self._copies.compare(seq, root, self._log_id)
        if seq % _EACH == 0:
            self._progress(min(seq - self._first + 1, self._total), max(1, self._total))

    def _went_back(self, seq: int, seconds: float) -> None:
        """Clocks do; it is told."""
        self._times_backwards += 1
        if len(self._backwards) < _TOLD:
            self._backwards.append((seq, round(seconds, 6)))

    def _unreadable(self, item: StoredRecord) -> VerificationError:
        if item.seq is not None and item.seq > self._seq + 1 and self._seq:
            return self._gap(item.seq)
        return findings.unreadable(item.seq or self._seq + 1, item.data)

    def _begin(self, seq: int) -> int:
        """The first record that is read has this number; it is right, or told. Returns it."""
        if self._archived and (self._frontier is None or self._frontier.size != self._archived):
            raise findings.no_checkpoint(self._archived)
        if self._part and seq > 0:
            if self._frontier is not None and self._frontier.size != seq - 1:
                self._frontier = None
            self._seq = seq - 1
            self._prev = None if seq > 1 else self._prev
        elif seq != self._seq + 1:
            raise self._gap(seq)
        self._first = seq
        return seq

    def _identify(self) -> None:
        """The first record says which log this is; the second has confirmed it."""
        log_id, self._begun = self._begun, None
        if not isinstance(log_id, str) or not log_id:
            raise findings.no_beginning()
        if self._log_id is not None and self._log_id != log_id:
            raise findings.other_log(self._log_id, log_id)
        self._log_id = log_id
        self._copies.check_log(log_id)

    def _gap(self, stored: int) -> VerificationError:
        expected = self._seq + 1
        if stored < expected:
            return findings.no_place(stored, expected)
        return findings.missing(expected, stored)

    def _misplaced(self, seq: int, told: int, prev: Any, item: StoredRecord) -> VerificationError:
        if item.seq is not None and item.seq != seq:
            return self._gap(item.seq)
        if told == self._seq and prev == self._before_last and self._seq >= self._first:
            same = self._prev == sha256(b"\x00" + item.data).hexdigest()
            if item.seq is None or not same:
                return findings.repeated(told, seq, same=same)
        return self._gap(told) if item.seq is None and told > seq else findings.moved(seq, told)

    def _unlinked(self, seq: int, hashed: str, leaf: bytes, rest: Iterator[Item]) -> VerificationError:
        """It does not follow from the one before. Which of the two was altered, the one after tells."""
        following = _following(rest)
        confirmed = following is None or following[1] == leaf.hex()
        if seq == 1 or self._seq < self._first or not confirmed:
            return findings.unlinked(seq, hashed)
        return findings.altered_with_hash(self._seq, hashed)

    def _beside(
        self, seq: int, leaf: bytes, said: tuple[Any, ...], item: StoredRecord, rest: Iterator[Item]
    ) -> None:
        """What stands beside the bytes must be what they say; columns hold no more of a text than fits."""
        if item.hash != leaf:
            following, found = _following(rest), _hex(item.hash)
            if following is not None and following[1] == leaf.hex():
                raise findings.hash_column(seq, leaf, found)
            raise findings.altered(seq, leaf, found)
        for name, stored, value in zip(_COLUMNS, item[3:], said, strict=True):
            if stored != (column(name, value) if isinstance(value, str) else value):
                raise findings.column(seq, name, value, stored)

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
            self._copies.compare(size, checkpoint.root, self._log_id)
            self._frontier = checkpoint.frontier()
        elif not self._in_archives and size <= max(self._known, default=0):
            self._repeated(checkpoint)
        elif size > self._seq:
            self._ahead = self._ahead or checkpoint
        elif size < self._seq:
            raise findings.late_checkpoint(size)
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
            raise findings.other_checkpoint(item.size, size)
        last, self._checkpoint = self._checkpoint, checkpoint
        before = last.hash.hex() if last is not None else EMPTY.hex()
        if not (last is None and self._part) and said.get("prev") != before:
            finding = Finding.REPLAYED if last is not None and size <= last.size else Finding.MISSING
            raise findings.unlinked_checkpoint(size, before, said.get("prev"), finding)

    def _repeated(self, checkpoint: Checkpoint) -> None:
        """A checkpoint of the database for what was read from the archives."""
        if checkpoint.size >= self._first and self._known.get(checkpoint.size) != checkpoint.hash:
            raise findings.not_archived(checkpoint.size)
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
            raise findings.rewritten(first, last, checkpoint.root, self._frontier.root())
        if roots is not None and roots != b"".join(self._frontier.roots):
            raise findings.subtrees(checkpoint.size)

    def _before(self, item: StoredBefore) -> None:
        """A part tells the tree before it; the next signed root proves it."""
        size, roots = item
        try:
            frontier = Frontier(size, [roots[i : i + 32] for i in range(0, len(roots), 32)])
        except ValueError:
            frontier = None
        if frontier is None or any(len(root) != 32 for root in frontier.roots):
            raise findings.unknown_before()
        if not self._first:
            self._frontier, self._last_signed = frontier, size
        elif size > self._seq:
            raise self._gap(size + 1)
        elif size < self._seq or (self._frontier is not None and frontier.roots != self._frontier.roots):
            raise findings.unlinked_archive(size + 1)

    def _seal(self, item: StoredSeal) -> None:
        data, signature, sm2 = _bytes(item.data), _bytes(item.signature), _sm2(item.sm2)
        found = opened_seal(data, signature, self._keys, log_id=self._log_id, sm2=sm2)
        self._cosigned.signature(found)
        if self._log_id is None:
            self._log_id = str(json.loads(found.data)["log"])
        last, self._sealed = self._sealed, found
        if item.last is not None and item.last != found.last:
            raise findings.other_seal(item.last, found.last)
        begins = last.last + 1 if last is not None else 1
        if found.first != begins and not (last is None and self._part):
            raise findings.missing_seal(min(begins, found.first), found.first)
        if item.sha256 is not None:  # in the archive itself, behind its records
            self._sealed_here(found, item.sha256)
        elif found.last > self._seq:
            if self._whole:
                raise findings.missing_archive(max(found.first, self._seq + 1), found.name)
            self._archived = self._seq = found.last
            self._prev, self._before_last = found.end.hex(), None
            self._frontier = None  # until the checkpoint at this place
            self._last_signed = found.last
            self._seals += 1

    def _sealed_here(self, found: Seal, read: bytes) -> None:
        if found.sha256 != read:
            raise findings.altered_archive(found.first, found.name)
        root = self._frontier.root() if self._frontier is not None else found.root
        if (found.last, found.end.hex(), found.root) != (self._seq, self._prev, root):
            raise findings.other_end(found.last, found.name)
        self._seals += 1

    def end(self) -> Summary:
        """Nothing more comes; what must still be there? Raises: VerificationError."""
        if self._begun is not None:
            self._identify()
        if self._archived and (self._frontier is None or self._frontier.size < self._archived):
            raise findings.no_checkpoint(self._archived)
        self._copies.check_log(self._log_id)
        ahead = self._ahead
        if ahead is not None and ahead.size <= self._seq:
            raise findings.early_checkpoint(ahead.size)
        if ahead is not None:
            last = self._checkpoint.size if self._checkpoint is not None else ahead.size
            raise findings.cut(self._seq + 1, last)
        self._copies.end(self._seq)
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
            copies=self._copies.agreeing,
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


def _sm2(value: Any) -> bytes | None:
    """What a column of signatures with SM2 holds; what is none is a wrong one."""
    return value if value is None or isinstance(value, bytes) else repr(value).encode()


def _hex(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else repr(value)


def _bytes(value: Any) -> bytes:
    """What a column of bytes holds; SQLite would hold anything."""
    return value if isinstance(value, bytes) else b""
