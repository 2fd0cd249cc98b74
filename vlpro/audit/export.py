"""The record, or a part of it, as lines that anybody can read and verify without the product."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from vlpro.audit.leaves import frontier_at
from vlpro.audit.sources import (
    StoredCheckpoint,
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

__all__ = ["Exported", "export"]

_EACH = 2000


@dataclass(frozen=True, slots=True)
class Exported:
    """What was exported: its first and last record, and how many checkpoints."""

    first: int
    last: int
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
        write: Is given each line.
        first: From this record; None: from the first that is in the database.
        last: To this one; None: to the last.
        progress: Is given how many records are written, and how many there are.

    Raises:
        NotFoundError: There are no such records here.
        VerificationError: The tree before a part cannot be had, since something is missing or altered.
        DatabaseError: The database does not answer.
    """
    with snapshot(database) as connection:
        least, most = connection.execute(
            sa.select(sa.func.min(records.c.seq), sa.func.max(records.c.seq))
        ).one()
        begin, end = first if first is not None else least, last if last is not None else most
        if least is None or begin < least or end > most or begin > end:
            raise NotFoundError(
                f"The database has the records from {least} to {most}; earlier ones are in archives."
                if least is not None
                else "The database has no audit records.",
                zh=f"数据库中有第 {least} 至 {most} 条记录，更早的在归档中。"
                if least is not None
                else "数据库中没有审计记录。",
            )
        if begin > 1:
            before = frontier_at(connection, begin - 1)
            write(before_line(before.size, b"".join(before.roots)))
        signed = written = 0
        for item in in_order(connection, begin, end):
            if isinstance(item, StoredRecord):
                write(record_line(item.data))
                written += 1
                if written % _EACH == 0:
                    progress(written, end - begin + 1)
            elif isinstance(item, StoredCheckpoint):
                write(checkpoint_line(item.data, item.signature))
                signed += 1
    progress(1, 1)
    return Exported(begin, end, signed)
