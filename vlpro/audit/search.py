"""Finds records by what they say, the newest first, a stretch of the log at a time and never for long.

No filter can make an answer slow: what is looked at grows while it is quick, and ends when its time is over. Whoever
asked goes on from there.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from vlpro.audit.tables import records
from vlpro.audit.tree import leaf_hash
from vlpro.db import Database

__all__ = ["DATA", "Filter", "Found", "Page", "as_found", "narrowed", "search"]

_PAGE = 50
_LEAST = 2_000  # records in the first stretch
_GROWS = 4  # times as many in the next one, where there is time

# Whoever alters SQLite's file may leave a text where bytes were: the record is shown all the same.
DATA = sa.cast(records.c.data, sa.LargeBinary).label("data")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records are wanted; what is left empty does not matter.

    Args:
        event: Its name, or its beginning up to a colon.
        outcome: ok, refused or failed.
        login: Whose.
        session: Id of a session or a key.
        address: Where from.
        object: To what.
        since: Unix time, from.
        until: Unix time, before.
        text: Anywhere in the record; A and a are the same.
    """

    event: str = ""
    outcome: str = ""
    login: str = ""
    session: str = ""
    address: str = ""
    object: str = ""
    since: float | None = None
    until: float | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """One record: its number, its hash, and what it says.

    Args:
        seq: Its number.
        hash: Of its bytes as they are now, so that the next record's ``prev`` tells whether they were altered.
        said: Empty where the bytes are no record any more.
    """

    seq: int
    hash: str
    said: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """Records, the newest first.

    Args:
        found: The records.
        before: Ask for those before this number next; None: there are no more.
        complete: Whether everything was looked at; else the page is full, or its time was over.
    """

    found: tuple[Found, ...]
    before: int | None
    complete: bool


def search(database: Database, wanted: Filter, below: int, *, seconds: float) -> Page:
    """Records that match, fifty at most.

    Args:
        database: Of the audit.
        wanted: Which.
        below: Only those with smaller numbers.
        seconds: After which no further stretch is begun.

    Raises:
        DatabaseError: The database does not answer.
    """
    end = time.monotonic() + seconds
    found: list[int] = []
    with database.read() as connection:
        query = narrowed(sa.select(records.c.seq), wanted, connection).order_by(records.c.seq.desc())
        lowest = connection.execute(sa.select(sa.func.min(records.c.seq))).scalar() or below
        top, length = below, _LEAST
        bounded = wanted.since is None and wanted.until is None
        while top > lowest and len(found) < _PAGE:
            began = time.monotonic()
            floor = max(lowest, top - length)
            stretch = query.where(records.c.seq >= floor, records.c.seq < top).limit(_PAGE - len(found))
            found += connection.execute(stretch).scalars()
            top = floor if len(found) < _PAGE else found[-1]
            left = end - time.monotonic()
            if left <= 0:
                break
            length = _next(length, time.monotonic() - began, left)
            if not bounded and len(found) < _PAGE:
                bounded = True
                lowest, top = _bounds(connection, wanted, lowest, top)
        if lowest >= top:
            return Page(_read(connection, found), None, complete=True)
        return Page(_read(connection, found), top, complete=False)


def narrowed(query: sa.Select[Any], wanted: Filter, connection: sa.Connection) -> sa.Select[Any]:
    """A question that is about what is wanted only.

    Args:
        query: Of records.
        wanted: Which.
        connection: Tells which events there are.
    """
    for name in ("outcome", "login", "session", "address", "object"):
        value = getattr(wanted, name)
        if value:
            query = query.where(records.c[name] == value)
    if wanted.event.endswith(":"):
        query = query.where(records.c.event.in_(_events(connection, wanted.event)))
    elif wanted.event:
        query = query.where(records.c.event == wanted.event)
    if wanted.since is not None:
        query = query.where(records.c.time >= wanted.since)
    if wanted.until is not None:
        query = query.where(records.c.time < wanted.until)
    if wanted.text:
        query = query.where(_holds(wanted.text, sqlite=connection.dialect.name == "sqlite"))
    return query


def as_found(seq: int, data: bytes) -> Found:
    """A record as it is shown."""
    try:
        said = json.loads(data)
    except ValueError:
        said = {}
    return Found(seq, leaf_hash(data).hex(), said if isinstance(said, dict) else {})


def _next(length: int, took: float, left: float) -> int:
    """How long the next stretch is, so that it ends in time."""
    return max(_LEAST, min(length * _GROWS, int(length / max(took, 1e-4) * left)))


def _bounds(connection: sa.Connection, wanted: Filter, lowest: int, top: int) -> tuple[int, int]:
    """Between which numbers all records of a time lie, whatever its clock did; from the index of times alone."""
    # "+ 0", or both databases would walk through the records themselves, from either end.
    query = sa.select(sa.func.min(records.c.seq + 0), sa.func.max(records.c.seq + 0))
    timed = Filter(since=wanted.since, until=wanted.until)
    first, last = connection.execute(narrowed(query, timed, connection)).one()
    return (max(lowest, first), min(top, last + 1)) if first is not None else (top, top)


def _events(connection: sa.Connection, prefix: str) -> list[str]:
    """The events with this beginning that there are: each by one look into their index."""
    event, last = records.c.event, prefix
    names: list[str] = []
    while True:
        query = sa.select(sa.func.min(event)).where(event > last, event < prefix[:-1] + ";")
        name = connection.execute(query).scalar()
        if name is None:
            return names
        names.append(name)
        last = name


def _holds(text: str, *, sqlite: bool) -> sa.ColumnElement[bool]:
    """Whether a record's bytes hold a text; of letters, only A and a, B and b and so on are the same."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    pattern = f"%{escaped}%"
    if sqlite:  # LIKE takes A for a by itself, and is twice as quick as with lower() around it
        return sa.cast(records.c.data, sa.Text).like(pattern, escape="\\")
    if not any(char.isascii() and char.isalpha() for char in text):  # the bytes tell: three times as quick
        return records.c.data.bool_op("LIKE")(sa.literal(pattern.encode(), sa.LargeBinary))
    said = sa.func.convert_from(records.c.data, "UTF8", type_=sa.Text)
    return said.collate("C").ilike(pattern, escape="\\")


def _read(connection: sa.Connection, numbers: list[int]) -> tuple[Found, ...]:
    if not numbers:
        return ()
    query = sa.select(records.c.seq, DATA).where(records.c.seq.in_(numbers)).order_by(records.c.seq.desc())
    return tuple(as_found(row.seq, bytes(row.data)) for row in connection.execute(query))
