"""Reports in the database: sealed under a data key of their own, which is deleted with them.

What stands in clear is what the database needs: ids, owner, level, time. Each sealed value is bound to its table and
row, the wrapped key to owner and level; so a value that was altered or moved does not open.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from vlpro.crypto import DataKey, Sealer
from vlpro.db import Database
from vlpro.identity.labels import Level
from vlpro.workflows.paging import ordered
from vlpro.workflows.report.result import Box, Finding, Report, ReportPicture
from vlpro.workflows.report.tables import report_pictures, reports

__all__ = ["ReportStore", "StoredReport", "report_place"]


@dataclass(frozen=True, slots=True)
class StoredReport:
    """A report as it is stored.

    Args:
        id: Its name in the API.
        owner: Whose it is.
        level: How confidential.
        created: Unix time.
        report: What it says.
        pictures: Numbers of the pictures that are still stored.
    """

    id: str
    owner: str
    level: Level
    created: float
    report: Report
    pictures: frozenset[int]


def report_place(name: str, owner: str, level: int) -> str:
    """Of a wrapped data key: a report that is given to somebody else, or a lower level, does not open."""
    return f"reports.key:{name}:{owner}:{Level(level).word}"


class ReportStore:
    """Reports by id. Blocks: not for the event loop.

    Args:
        database: Migrated.
        sealer: Wraps data keys.
    """

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    def add(self, stored: StoredReport, pictures: Sequence[bytes]) -> None:
        """Store a report.

        Args:
            stored: The report.
            pictures: JPEG files, in its pictures' order.

        Raises:
            DatabaseError: The database does not answer.
        """
        key, wrapped = self._sealer.new_data_key(report_place(stored.id, stored.owner, stored.level))
        data = json.dumps(asdict(stored.report), ensure_ascii=False, separators=(",", ":")).encode()
        with self._database.write() as connection:
            connection.execute(
                sa.insert(reports).values(
                    id=stored.id,
                    owner=stored.owner,
                    level=int(stored.level),
                    created_at=stored.created,
                    key=wrapped,
                    data=key.seal(data, _data_place(stored.id)),
                )
            )
            for number, picture in enumerate(pictures, 1):
                sealed = key.seal(picture, _picture_place(stored.id, number))
                connection.execute(
                    sa.insert(report_pictures).values(report=stored.id, number=number, data=sealed)
                )

    def get(self, name: str) -> StoredReport | None:
        """A report; None: there is none. Raises: VlproError, ``integrity_error``: it was altered."""
        kept = sa.select(report_pictures.c.number).where(report_pictures.c.report == name)
        with self._database.read() as connection:
            row = connection.execute(sa.select(reports).where(reports.c.id == name)).one_or_none()
            numbers = frozenset(connection.execute(kept).scalars()) if row is not None else frozenset()
        return None if row is None else self._opened(row, numbers)

    def picture(self, stored: StoredReport, number: int) -> bytes | None:
        """The JPEG of a picture; None: it is not kept (any more)."""
        query = (
            sa.select(reports.c.key, report_pictures.c.data)
            .join(report_pictures, report_pictures.c.report == reports.c.id)
            .where(reports.c.id == stored.id, report_pictures.c.number == number)
        )
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        key = self._key(row.key, stored.id, stored.owner, stored.level)
        return key.open(bytes(row.data), _picture_place(stored.id, number))

    def page(
        self, owner: str, level: Level, *, before: tuple[float, str] | None, limit: int
    ) -> list[StoredReport]:
        """A person's reports up to a level, the newest first.

        Args:
            owner: Whose.
            level: The highest.
            before: When the last one of the page before was made, and its id.
            limit: How many at most.
        """
        c = reports.c
        query = sa.select(reports).where(c.owner == owner, c.level <= int(level))
        with self._database.read() as connection:
            rows = connection.execute(ordered(query, reports, before).limit(limit)).all()
            kept = connection.execute(
                sa.select(report_pictures.c.report, report_pictures.c.number).where(
                    report_pictures.c.report.in_([row.id for row in rows])
                )
            ).all()
        return [
            self._opened(row, frozenset(one.number for one in kept if one.report == row.id)) for row in rows
        ]

    def delete(self, name: str) -> None:
        """Delete a report with its key and pictures."""
        with self._database.write() as connection:
            connection.execute(sa.delete(reports).where(reports.c.id == name))
        self._database.overwrite()

    def sweep(self, *, reports_before: float, pictures_before: float | None) -> int:
        """Delete what is over.

        Args:
            reports_before: Unix time: reports that were made before it.
            pictures_before: Likewise, pictures of reports; None: they stay.

        Returns:
            How many rows went.
        """
        with self._database.write() as connection:
            old = sa.select(reports.c.id).where(reports.c.created_at < (pictures_before or 0))
            gone = connection.execute(
                sa.delete(report_pictures).where(report_pictures.c.report.in_(old))
            ).rowcount
            gone += connection.execute(
                sa.delete(reports).where(reports.c.created_at < reports_before)
            ).rowcount
        if gone:
            self._database.overwrite()
        return gone

    def _opened(self, row: sa.Row[Any], pictures: frozenset[int]) -> StoredReport:
        key = self._key(row.key, row.id, row.owner, row.level)
        told = json.loads(key.open(bytes(row.data), _data_place(row.id)))
        report = Report(
            **{
                **told,
                "findings": tuple(
                    Finding(**{**one, "boxes": tuple(map(_box, one["boxes"]))}) for one in told["findings"]
                ),
                "pictures": tuple(ReportPicture(**one) for one in told["pictures"]),
            }
        )
        return StoredReport(row.id, row.owner, Level(row.level), row.created_at, report, pictures)

    def _key(self, wrapped: bytes, name: str, owner: str, level: int) -> DataKey:
        return self._sealer.data_key(bytes(wrapped), report_place(name, owner, level))


def _data_place(name: str) -> str:
    return f"reports.data:{name}"


def _picture_place(name: str, number: int) -> str:
    return f"report_pictures.data:{name}:{number}"


def _box(sides: Sequence[int]) -> Box:
    x1, y1, x2, y2 = sides
    return x1, y1, x2, y2
