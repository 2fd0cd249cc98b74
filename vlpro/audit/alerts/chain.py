"""Whether the newest records still are what they were when they were first seen, and follow from each other."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from vlpro.audit.tree import leaf_hash

__all__ = ["Break", "Row", "Tail", "content_of"]


@dataclass(frozen=True, slots=True)
class Row:
    """A record as it is stored: number, hash and bytes."""

    seq: int
    hash: bytes
    data: bytes

    @classmethod
    def of(cls, seq: int, digest: object, data: object) -> Row:
        """From a table's columns, in which whoever tampers may have put anything."""
        return cls(seq, _bytes(digest), _bytes(data))


@dataclass(frozen=True, slots=True)
class Break:
    """Where the chain does not hold, and what shows it, in English and Chinese."""

    seq: int
    en: str
    zh: str


class Tail:
    """The end of the chain, remembered.

    Args:
        most: Records that are remembered.
    """

    def __init__(self, most: int) -> None:
        self._known: deque[_Known] = deque(maxlen=most)

    @property
    def last(self) -> int:
        """Number of the newest record that was seen; 0: none was."""
        return self._known[-1].seq if self._known else 0

    @property
    def first(self) -> int:
        """Number of the oldest that is remembered; 0: there is none."""
        return self._known[0].seq if self._known else 0

    def follow(self, rows: Sequence[Row]) -> tuple[list[dict[str, Any]], list[Break]]:
        """Take new records, in their order.

        Returns:
            What they say, as far as it is legible; and the first place, if any, at which they do not link.
        """
        said: list[dict[str, Any]] = []
        breaks: list[Break] = []
        for row in rows:
            content = content_of(row.data)
            if not breaks and (reason := self._reason(row, content)) is not None:
                breaks.append(reason)
            if content is not None and content.get("seq") == row.seq:
                said.append(content)
            self._known.append(_Known.of(row))
        return said, breaks

    def recheck(self, rows: Iterable[Row], *, since: int, archived: int) -> Break | None:
        """Look at remembered records again.

        Args:
            rows: What is stored now, from some number up to the last one that is remembered.
            since: That number.
            archived: Number of the newest record that was moved to an archive: up to it, they may be gone.

        Returns:
            The first one that is not what it was; from then on, what is stored now is what is remembered.
        """
        now = {row.seq: _Known.of(row) for row in rows}
        found = next(
            (
                _removed(known.seq) if known.seq not in now else _altered(known.seq)
                for known in self._known
                if known.seq >= since
                and known != now.get(known.seq)
                and (known.seq in now or known.seq > archived)
            ),
            None,
        )
        if found is not None:
            earlier = [known for known in self._known if known.seq < since]
            self._known.clear()
            self._known.extend(earlier + [now[seq] for seq in sorted(now)])
        return found

    def _reason(self, row: Row, content: dict[str, Any] | None) -> Break | None:
        seq = row.seq
        if leaf_hash(row.data) != row.hash or content is None or content.get("seq") != seq:
            return _altered(seq)
        if not self._known:
            return None
        last = self._known[-1]
        if seq != last.seq + 1:
            return _removed(last.seq + 1)
        if content.get("prev") != last.hash.hex():
            return Break(
                seq, f"record {seq} does not follow from the one before", f"第 {seq} 条记录与上一条不衔接"
            )
        return None


@dataclass(frozen=True, slots=True)
class _Known:
    """What is remembered of a record: its hash, and that of its bytes."""

    seq: int
    hash: bytes
    leaf: bytes

    @classmethod
    def of(cls, row: Row) -> _Known:
        return cls(row.seq, row.hash, leaf_hash(row.data))


def _altered(seq: int) -> Break:
    return Break(seq, f"record {seq} was altered", f"第 {seq} 条记录已被改动")


def _removed(seq: int) -> Break:
    return Break(seq, f"record {seq} was removed", f"第 {seq} 条记录已被删除")


def content_of(data: bytes) -> dict[str, Any] | None:
    """What a record says; None: it is not legible."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _bytes(value: object) -> bytes:
    if isinstance(value, bytes | memoryview):
        return bytes(value)
    return value.encode("utf-8", "replace") if isinstance(value, str) else b""
