"""The record, or a part of it, as lines that anybody can read and verify without the product."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from vlpro.audit.leaves import frontier_at
from vlpro.audit.sources import (
    StoredRecord,
    before_line,
    checkpoint_line,
    in_order,
    record_line,
    snapshot,
)
from vlpro.audit.tables import records
from vlpro.db import Database
from vlpro.errors import NotFoundError

__all__ = ["Exported", "Stretch", "export", "stretches"]

_EACH = 1000  # records at a time: what is in memory, and how long the database is kept from its housekeeping


@dataclass(frozen=True, slots=True)
class Exported:
    """What was exported: its first and last record, and how many checkpoints."""

    first: int
    last: int
    checkpoints: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """Lines of an export that follow each other, and of how many records and checkpoints they are."""

    lines: str
    records: int
    checkpoints: int


def export(
    database: Database,
    write: Callable[[str], object],
    *,
    first: int | None = None,
    last: int | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Exported:
    """Write a line for each record, and one for each checkpoint.

    A part begins with a line for the tree before it, so that every checkpoint in it can be verified. What stands
    behind the last checkpoint of a part is bound by the chain alone.

    Args:
        database: Of the audit.
        write: Is given lines.
        first: From this record; None: from the first that is in the database.
        last: To this one; None: to the last.
        progress: Is given how many records are written, and how many there are.

    Raises:
        NotFoundError: There are no such records here, or no more: they were archived meanwhile.
        VerificationError: The tree before a part cannot be had, since something is missing or altered.
        DatabaseError: The database does not answer.
    """
    begin, end = _range(database, first, last)
    signed = written = 0
    for stretch in stretches(database, begin, end):
        write(stretch.lines)
        written += stretch.records
        signed += stretch.checkpoints
        progress(min(written, end - begin + 1), end - begin + 1)
    progress(1, 1)
    return Exported(begin, end, signed)


def stretches(database: Database, first: int, last: int) -> Iterator[Stretch]:
    """The lines of an export, some at a time. Records are only added: the next ones need no snapshot of the first.

    Args:
        database: Of the audit.
        first: From this record.
        last: To this one.

    Raises:
        NotFoundError, VerificationError, DatabaseError: As :func:`export`.
    """
    if first > 1:
        with snapshot(database) as connection:
            before = frontier_at(connection, first - 1)
        yield Stretch(before_line(before.size, b"".join(before.roots)), 0, 0)
    for begin in range(first, last + 1, _EACH):
        end = min(begin + _EACH - 1, last)
        with snapshot(database) as connection:
            items = list(in_order(connection, begin, end))
            least = connection.execute(sa.select(sa.func.min(records.c.seq))).scalar()
        if least is None or least > begin:
            raise _not_here(least, None)
        stored = sum(isinstance(item, StoredRecord) for item in items)
        lines = (
            record_line(item.data)
            if isinstance(item, StoredRecord)
            else checkpoint_line(item.data, item.signature, item.sm2)
            for item in items
        )
        yield Stretch("".join(lines), stored, len(items) - stored)


def _range(database: Database, first: int | None, last: int | None) -> tuple[int, int]:
    with snapshot(database) as connection:
        least, most = connection.execute(
            sa.select(sa.func.min(records.c.seq), sa.func.max(records.c.seq))
        ).one()
    begin, end = first if first is not None else least, last if last is not None else most
    if least is None or begin < least or end > most or begin > end:
        raise _not_here(least, most)
    return begin, end


def _not_here(least: int | None, most: int | None) -> NotFoundError:
    if least is None:
        return NotFoundError("The database has no audit records.", zh="数据库中没有审计记录。")
    to, to_zh = (f" to {most}", f"至 {most}") if most is not None else (" on", "起")
    return NotFoundError(
        f"The database has the records from {least}{to}; earlier ones are in archives.",
        zh=f"数据库中有第 {least} {to_zh} 条记录，更早的在归档中。",
    )
