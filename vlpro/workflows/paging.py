"""Where a page of a list goes on."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from vlpro.errors import BadRequestError

__all__ = ["ordered", "place_of", "place_of_id"]


def place_of(after: str) -> tuple[float, str] | None:
    """The Unix time and the id of the last one of the page before; None: there is none.

    Args:
        after: As ``next`` of that page has it: time, ``~``, id.

    Raises:
        BadRequestError: It is something else.
    """
    if not after:
        return None
    when, _, name = after.partition("~")
    try:
        return float(when), name
    except ValueError:
        raise BadRequestError(
            "after is `next` of the page before.", zh="after 应为上一页的 next。", param="after"
        ) from None


def place_of_id(
    connection: sa.Connection, own: sa.Select[Any], after: str | None
) -> tuple[float, str] | None:
    """The same for pages that go on behind an id.

    Args:
        connection: To look it up.
        own: Time and id of the rows that the list is of, as :func:`ordered` has them.
        after: Id of the last one of the page before; None: there is none.

    Raises:
        BadRequestError: None of them has this id.
    """
    if after is None:
        return None
    row = connection.execute(own.where(own.selected_columns.id == after)).one_or_none()
    if row is None:
        raise BadRequestError(
            "after is the id of the last one of the page before.",
            zh="after 应为上一页最后一项的编号。",
            param="after",
        )
    return row[0], row[1]


def ordered(
    query: sa.Select[Any], table: sa.Table, last: tuple[float, str] | None, *, newest_first: bool = True
) -> sa.Select[Any]:
    """Go through rows by the time when they were made, and their id.

    Args:
        query: Which rows of the table.
        table: With ``created_at`` and ``id``.
        last: Both of the last row of the page before; None: from the beginning.
        newest_first: In which order.
    """
    columns = (table.c.created_at, table.c.id)
    if last is not None:
        place, there = sa.tuple_(*columns), sa.tuple_(*map(sa.literal, last))
        query = query.where(place < there if newest_first else place > there)
    return query.order_by(*(column.desc() if newest_first else column for column in columns))
