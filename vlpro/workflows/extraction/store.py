"""Extractions in the database: what was read, and the pictures, sealed under a data key of their own.

What stands in clear is what the database needs: ids, owner, level, times, state, verdict. Each sealed value is bound
to its table, row and version, the wrapped key to owner and level; so a value that was altered, moved or exchanged for
an older one does not open.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from vlpro.crypto import DataKey, Sealer
from vlpro.db import Database
from vlpro.errors import ConflictError, NotFoundError, VlproError
from vlpro.identity.labels import Level
from vlpro.workflows.extraction.result import Check, ExtractedField, Extraction, Verdict
from vlpro.workflows.extraction.stored import Correction, Head, PageNote, Seen, Stored
from vlpro.workflows.extraction.tables import extraction_marks, extraction_pages, extractions
from vlpro.workflows.paging import ordered

__all__ = [
    "ExtractionStore",
    "changed_meanwhile",
    "extraction_place",
    "no_such_extraction",
]


def extraction_place(name: str, owner: str, level: int) -> str:
    """Where a wrapped key belongs."""
    return f"extractions.key:{name}:{owner}:{int(level)}"


def no_such_extraction(*, foreign: bool = False) -> NotFoundError:
    """There is none of this id."""
    return NotFoundError(
        "There is no such result. It may have been deleted.",
        zh="没有这个结果，可能已被删除。",
        param="id",
        foreign=foreign,
    )


class ExtractionStore:
    """Results by id. Blocks: not for the event loop.

    Args:
        database: Migrated.
        sealer: Wraps data keys, and makes the marks of documents.
        clock: Unix time.
    """

    def __init__(self, database: Database, sealer: Sealer, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock

    # --- writing

    def new_id(self, owner: str, once: str) -> str:
        """Id of a new result; the same for the same ``once`` of the same person, where there is one."""
        if not once:
            return f"ext_{secrets.token_hex(12)}"
        return "ext_" + self._sealer.mac(f"{owner}\0{once}".encode(), "extractions.id").hex()[:24]

    def add(self, stored: Stored, pictures: Sequence[bytes], mark: bytes | None) -> None:
        """Store a new result.

        Args:
            stored: It; its key is made here.
            pictures: JPEG files of its pages, in order.
            mark: What identifies the document (:meth:`mark`); None: nothing does.

        Raises:
            ConflictError: Its id is taken: the same is asked for twice at this moment.
            DatabaseError: The database does not answer.
        """
        try:
            self._add(stored, pictures, mark)
        except IntegrityError as error:
            raise ConflictError(
                "Another request with this Idempotency-Key has just been answered. Send it again.",
                zh="另一个使用该 Idempotency-Key 的请求刚刚完成，请重新发送。",
                param="Idempotency-Key",
                code="idempotency_conflict",
            ) from error

    def _add(self, stored: Stored, pictures: Sequence[bytes], mark: bytes | None) -> None:
        place = extraction_place(stored.id, stored.owner, stored.level)
        key, wrapped = self._sealer.new_data_key(place)
        stored.key = key
        with self._database.write() as connection:
            connection.execute(
                sa.insert(extractions).values(
                    id=stored.id,
                    owner=stored.owner,
                    level=int(stored.level),
                    created_at=stored.created,
                    updated_at=stored.updated,
                    version=stored.version,
                    state=stored.state,
                    verdict=stored.extraction.verdict,
                    handed_over=stored.handed_over,
                    key=wrapped,
                    data=_sealed(key, stored),
                )
            )
            if pictures:
                connection.execute(
                    sa.insert(extraction_pages),
                    [
                        {
                            "extraction": stored.id,
                            "number": number,
                            "data": key.seal(data, _page_place(stored.id, number)),
                        }
                        for number, data in enumerate(pictures, 1)
                    ],
                )
            if mark is not None:
                connection.execute(
                    sa.insert(extraction_marks).values(
                        mark=mark, extraction=stored.id, owner=stored.owner, created_at=stored.created
                    )
                )

    def save(
        self,
        stored: Stored,
        *,
        at: float | None = None,
        drop_pictures: bool = False,
        drop_mark: bool = False,
        also: Callable[[sa.Connection], None] | None = None,
    ) -> None:
        """Store a changed result; its version is one more afterwards.

        Args:
            stored: As it is to be from now on, with the version that it was read with.
            at: Unix time of the change; None: now.
            drop_pictures: Whether its pictures go.
            drop_mark: Whether the same document is not known again.
            also: Done in the same transaction, so that it is done if and only if the result is stored.

        Raises:
            ConflictError: Somebody changed it since it was read.
            NotFoundError: It was deleted.
        """
        assert stored.key is not None  # noqa: S101 - it was read, or added
        before = stored.version
        stored.version, stored.updated = before + 1, self._clock() if at is None else at
        changed = (
            sa.update(extractions)
            .where(extractions.c.id == stored.id, extractions.c.version == before)
            .values(
                version=stored.version,
                updated_at=stored.updated,
                state=stored.state,
                verdict=stored.extraction.verdict,
                handed_over=stored.handed_over,
                data=_sealed(stored.key, stored),
            )
        )
        with self._database.write() as connection:
            if not connection.execute(changed).rowcount:
                stored.version = before
                there = connection.execute(sa.select(extractions.c.id).where(extractions.c.id == stored.id))
                raise changed_meanwhile() if there.scalar() is not None else no_such_extraction()
            if drop_pictures:
                connection.execute(
                    sa.delete(extraction_pages).where(extraction_pages.c.extraction == stored.id)
                )
            if drop_mark:
                connection.execute(
                    sa.delete(extraction_marks).where(extraction_marks.c.extraction == stored.id)
                )
            if also is not None:
                also(connection)
        if drop_pictures:
            self._database.overwrite()

    def delete(
        self, name: str, *, keep_mark: bool, also: Callable[[sa.Connection, str], None] | None = None
    ) -> None:
        """Delete a result with its key and pictures.

        Args:
            name: Its id.
            keep_mark: Whether the same document is still known again: what was approved is not paid twice.
            also: Done in the same transaction, for its id.
        """
        with self._database.write() as connection:
            connection.execute(sa.delete(extractions).where(extractions.c.id == name))
            if not keep_mark:
                connection.execute(sa.delete(extraction_marks).where(extraction_marks.c.extraction == name))
            if also is not None:
                also(connection, name)
        self._database.overwrite()

    def delete_before(
        self, moment: float, limit: int = 200, *, also: Callable[[sa.Connection, str], None]
    ) -> int:
        """Delete results that nobody touched since; marks of those that were approved stay.

        Args:
            moment: Unix time.
            limit: How many at most.
            also: As of :meth:`delete`.

        Returns:
            How many went.
        """
        old = (
            sa.select(extractions.c.id, extractions.c.state)
            .where(extractions.c.updated_at < moment)
            .limit(limit)
        )
        with self._database.read() as connection:
            found = connection.execute(old).all()
        for row in found:
            self.delete(row.id, keep_mark=row.state == "approved", also=also)
        return len(found)

    # --- what identifies a document

    def mark(self, identity: Sequence[str]) -> bytes:
        """A keyed hash of what makes a document this one and no other: nobody can try invoices against it."""
        return self._sealer.mac(json.dumps(list(identity), ensure_ascii=False).encode(), "extraction_marks")

    def remark(self, stored: Stored, mark: bytes | None) -> None:
        """Know a result by another mark from now on; None: by none."""
        with self._database.write() as connection:
            connection.execute(sa.delete(extraction_marks).where(extraction_marks.c.extraction == stored.id))
            if mark is not None:
                connection.execute(
                    sa.insert(extraction_marks).values(
                        mark=mark, extraction=stored.id, owner=stored.owner, created_at=stored.created
                    )
                )

    def seen(self, mark: bytes) -> Seen | None:
        """The first result of a document."""
        query = (
            sa.select(extraction_marks)
            .where(extraction_marks.c.mark == mark)
            .order_by(extraction_marks.c.created_at, extraction_marks.c.extraction)
            .limit(1)
        )
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return Seen(row.extraction, row.owner, row.created_at) if row is not None else None

    # --- reading

    def load(self, name: str) -> Stored | None:
        """One result; None: there is none.

        Raises:
            VlproError: ``integrity_error``: something of it was altered.
        """
        with self._database.read() as connection:
            row = connection.execute(sa.select(extractions).where(extractions.c.id == name)).one_or_none()
            if row is None:
                return None
            pages = connection.execute(
                sa.select(extraction_pages.c.number).where(extraction_pages.c.extraction == name)
            ).scalars()
            return self._opened(row, frozenset(pages))

    def picture(self, stored: Stored, number: int) -> bytes | None:
        """The JPEG of a page; None: it is not stored (any more)."""
        assert stored.key is not None  # noqa: S101 - it was read
        query = sa.select(extraction_pages.c.data).where(
            extraction_pages.c.extraction == stored.id, extraction_pages.c.number == number
        )
        with self._database.read() as connection:
            data = connection.execute(query).scalar()
        return stored.key.open(data, _page_place(stored.id, number)) if data is not None else None

    def page(
        self,
        owner: str,
        level: Level,
        *,
        reviews: bool,
        states: Sequence[str] = (),
        before: tuple[float, str] | None = None,
        limit: int,
    ) -> list[Stored | Head]:
        """Results that a person may see, the newest first: one's own, and what was handed over to reviewers.

        Args:
            owner: Who.
            level: The highest level that they may read.
            reviews: Whether they see what others handed over.
            states: Only these; none: all.
            before: When the last one of the page before was made, and its id.
            limit: How many at most.
        """
        query = sa.select(extractions).where(_visible(owner, level, reviews))
        if states:
            query = query.where(extractions.c.state.in_(states))
        with self._database.read() as connection:
            rows = connection.execute(ordered(query, extractions, before).limit(limit)).all()
        return [self._listed(row) for row in rows]

    def counts(self, owner: str, level: Level, *, reviews: bool, since: float) -> tuple[int, int]:
        """How many open results a person may see, and how many that were decided since a time."""
        opened = sa.func.count().filter(extractions.c.state == "open")
        decided = sa.func.count().filter(extractions.c.state != "open", extractions.c.updated_at >= since)
        query = sa.select(opened, decided).where(_visible(owner, level, reviews))
        with self._database.read() as connection:
            row = connection.execute(query).one()
        return int(row[0]), int(row[1])

    def _listed(self, row: sa.Row[Any]) -> Stored | Head:
        try:
            return self._opened(row, frozenset())
        except VlproError:
            return Head(
                row.id,
                row.owner,
                Level(row.level),
                row.created_at,
                row.updated_at,
                row.state,
                row.verdict,
            )

    def _opened(self, row: sa.Row[Any], pages: frozenset[int]) -> Stored:
        key = self._sealer.data_key(row.key, extraction_place(row.id, row.owner, row.level))
        told = json.loads(key.open(row.data, _data_place(row), row.version))
        notes = tuple(
            PageNote(**note, available=number in pages) for number, note in enumerate(told["pages"], 1)
        )
        corrections = {name: Correction(*each) for name, each in told["corrections"].items()}
        return Stored(
            id=row.id,
            owner=row.owner,
            level=Level(row.level),
            created=row.created_at,
            updated=row.updated_at,
            state=row.state,
            handed_over=row.handed_over,
            extraction=_extraction(told["extraction"], row.verdict),
            engine=told["engine"],
            pages=notes,
            version=row.version,
            corrections=corrections,
            confirmed=tuple(told["confirmed"]),
            reason=told["reason"],
            decided_by=told["decided_by"],
            decided=told["decided"],
            duplicate_of=told["duplicate_of"],
            deliver=told["deliver"],
            metadata=told["metadata"],
            schema=told["schema"],
            key=key,
        )


def changed_meanwhile() -> ConflictError:
    """Somebody else changed the same result."""
    return ConflictError(
        "Somebody changed this result meanwhile. Load it again, then decide.",
        zh="该结果已被他人修改，请重新载入后再处理。",
        param="version",
        code="version_conflict",
    )


def _visible(owner: str, level: Level, reviews: bool) -> sa.ColumnElement[bool]:  # noqa: FBT001
    own = extractions.c.owner == owner
    whose = sa.or_(own, extractions.c.handed_over.is_(sa.true())) if reviews else own
    return sa.and_(extractions.c.level <= int(level), whose)


def _data_place(row: sa.Row[Any] | Stored) -> str:
    """State and verdict are bound, too: they decide what may be done with it."""
    verdict = row.extraction.verdict if isinstance(row, Stored) else row.verdict
    return f"extractions.data:{row.id}:{row.state}:{verdict}:{int(row.handed_over)}"


def _page_place(name: str, number: int) -> str:
    return f"extraction_pages.data:{name}:{number}"


def _sealed(key: DataKey, stored: Stored) -> bytes:
    told: Mapping[str, Any] = {
        "extraction": asdict(stored.extraction),
        "engine": stored.engine,
        "pages": [{"name": page.name, "sha256": page.sha256} for page in stored.pages],
        "corrections": {name: [one.value, one.normalized] for name, one in stored.corrections.items()},
        "confirmed": list(stored.confirmed),
        "reason": stored.reason,
        "decided_by": stored.decided_by,
        "decided": stored.decided,
        "duplicate_of": stored.duplicate_of,
        "deliver": stored.deliver,
        "metadata": stored.metadata,
        "schema": stored.schema,
    }
    plain = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
    return key.seal(plain, _data_place(stored), stored.version)


def _extraction(told: Mapping[str, Any], verdict: Verdict) -> Extraction:
    return Extraction(
        template=told["template"],
        fields={name: _field(each) for name, each in told["fields"].items()},
        checks=tuple(Check(**check) for check in told["checks"]),
        verdict=verdict,
        items=tuple({name: _field(each) for name, each in item.items()} for item in told["items"]),
        pages=tuple((width, height) for width, height in told["pages"]),
    )


def _field(told: Mapping[str, Any]) -> ExtractedField:
    box = told["box"]
    return ExtractedField(
        value=told["value"],
        normalized=told["normalized"],
        confidence=told["confidence"],
        box=(box[0], box[1], box[2], box[3]) if box is not None else None,
        page=told["page"],
        checks=tuple(Check(**check) for check in told["checks"]),
    )
