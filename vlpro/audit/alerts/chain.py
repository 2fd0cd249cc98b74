"""Whether the newest records still are what they were when they were first seen, and follow from each other."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from vlpro.audit.tree import leaf_hash

__all__ = ["Break", "Row", "Tail"]


@dataclass(frozen=True, slots=True)
class Row:
    """A record as it is stored: number, hash, time and bytes."""

    seq: int
    hash: bytes
    time: float
    data: bytes


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
        self._known: deque[tuple[int, bytes]] = deque(maxlen=most)

    @property
    def last(self) -> int:
        """Number of the newest record that was seen; 0: none was."""
        return self._known[-1][0] if self._known else 0

    @property
    def first(self) -> int:
        """Number of the oldest that is remembered; 0: there is none."""
        return self._known[0][0] if self._known else 0

    def follow(self, rows: Sequence[Row]) -> tuple[list[dict[str, Any]], list[Break]]:
        """Take new records, in their order.

        Returns:
            What they say, as far as it is legible; and the first place, if any, at which they do not link.
        """
        said: list[dict[str, Any]] = []
        breaks: list[Break] = []
        for row in rows:
            content = _content(row.data)
            if not breaks and (reason := self._reason(row, content)) is not None:
                breaks.append(reason)
            if content is not None:
                said.append(content)
            self._known.append((row.seq, row.hash))
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
        now = {row.seq: row for row in rows}
        found: Break | None = None
        for seq, digest in self._known:
            if seq < since or (seq not in now and seq <= archived):
                continue
            row = now.get(seq)
            if row is None:
                found = Break(seq, f"record {seq} was removed", f"第 {seq} 条记录已被删除")
            elif row.hash != digest or leaf_hash(row.data) != digest:
                found = Break(seq, f"record {seq} was altered", f"第 {seq} 条记录已被改动")
            if found is not None:
                break
        if found is not None:
            earlier = [known for known in self._known if known[0] < since]
            self._known.clear()
            self._known.extend(earlier + [(seq, row.hash) for seq, row in sorted(now.items())])
        return found

    def _reason(self, row: Row, content: dict[str, Any] | None) -> Break | None:
        seq = row.seq
        if leaf_hash(row.data) != row.hash or content is None or content.get("seq") != seq:
            return Break(seq, f"record {seq} was altered", f"第 {seq} 条记录已被改动")
        if not self._known:
            return None
        last, digest = self._known[-1]
        if seq != last + 1:
            return Break(last + 1, f"record {last + 1} was removed", f"第 {last + 1} 条记录已被删除")
        if content.get("prev") != digest.hex():
            return Break(
                seq, f"record {seq} does not follow from the one before", f"第 {seq} 条记录与上一条不衔接"
            )
        return None


def _content(data: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(data)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None
