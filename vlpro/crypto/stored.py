"""Sealed values in a database: under which keys they are, and how they come under the newest one.

What a data key seals is not touched: the data key alone is wrapped anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa

from vlpro.crypto.ciphers import Cipher
from vlpro.crypto.sealer import HEAD_BYTES, Sealer

__all__ = ["Database", "Found", "SealedColumn", "count", "reseal"]

_BATCH = 100  # rows of one transaction: on SQLite nobody else writes meanwhile
_OLD = b"\x01"


class Database(Protocol):
    """As :class:`vlpro.db.Database`."""

    def read(self) -> AbstractContextManager[sa.Connection]:
        """A connection that only reads."""

    def write(self) -> AbstractContextManager[sa.Connection]:
        """A transaction."""


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column of values that a :class:`Sealer` made.

    Args:
        column: The column.
        key: A column that is unique in its table.
        place: The place of a row's value, as it was sealed for.
        needs: Other columns that ``place`` asks for.
    """

    column: sa.Column[Any]
    key: sa.Column[Any]
    place: Callable[[sa.Row[Any]], str]
    needs: tuple[sa.Column[Any], ...] = ()

    @property
    def name(self) -> str:
        """Table and column."""
        return str(self.column)


@dataclass(frozen=True, slots=True)
class Found:
    """What key and cipher some values are under.

    Args:
        key: The key's id; empty: of the format before keys had ids.
        cipher: The cipher.
    """

    key: bytes
    cipher: Cipher


def count(database: Database, column: SealedColumn) -> Mapping[Found, int]:
    """How many values there are under which key and cipher."""
    head = _head(column)
    old = sa.func.substr(column.column, 1, 1, type_=sa.LargeBinary) == _OLD
    listed = (
        sa.select(sa.case((old, sa.literal(_OLD, sa.LargeBinary)), else_=head).label("head"))
        .where(column.column.is_not(None))
        .subquery()
    )
    with database.read() as connection:
        rows = connection.execute(sa.select(listed.c.head, sa.func.count()).group_by(listed.c.head)).all()
    found: Counter[Found] = Counter()
    for head_bytes, number in rows:
        found[_found(bytes(head_bytes))] += number
    return found


def reseal(database: Database, column: SealedColumn, sealer: Sealer) -> Iterator[int]:
    """Bring all values under the newest key and the cipher in use, some rows a transaction.

    A value that is changed meanwhile stays as it was changed: whoever did it sealed it anew.

    Args:
        database: Where the table is.
        column: Of the values.
        sealer: Knows all their keys.

    Yields:
        After each transaction, how many were sealed anew in it.

    Raises:
        VlproError: ``integrity_error``: a value does not open. Names its place; those before it are done.
    """
    rows = (
        sa.select(column.key.label("key_of_row"), column.column.label("sealed"), *column.needs)
        .where(column.column.is_not(None), _head(column) != sealer.newest_head)
        .order_by(column.key)
        .limit(_BATCH)
    )
    last: Any = None
    while True:
        with database.read() as connection:
            part = connection.execute(rows if last is None else rows.where(column.key > last)).all()
        if not part:
            return
        last = part[-1].key_of_row
        renewed = [(row, sealer.rewrapped(bytes(row.sealed), column.place(row))) for row in part]
        changed = 0
        with database.write() as connection:
            for row, sealed in renewed:
                if sealed is not None:
                    changed += connection.execute(
                        sa.update(column.column.table)
                        .where(column.key == row.key_of_row, column.column == row.sealed)
                        .values({column.column: sealed})
                    ).rowcount
        yield changed


def _head(column: SealedColumn) -> sa.Function[bytes]:
    return sa.func.substr(column.column, 1, HEAD_BYTES, type_=sa.LargeBinary)


def _found(head: bytes) -> Found:
    if head[:1] == _OLD or len(head) < HEAD_BYTES or head[1] not in list(Cipher):
        return Found(b"", Cipher.AES_256_GCM)
    return Found(head[2:], Cipher(head[1]))
