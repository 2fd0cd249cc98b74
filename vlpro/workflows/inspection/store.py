"""Inspections in the database: sealed, each under a data key of its own, which is deleted with it.

What stands in clear is what the database needs: ids, owner, level, times; each of them is bound into what is sealed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import sqlalchemy as sa

from vlpro.chat.material import Citation
from vlpro.crypto import Sealer
from vlpro.db import Database
from vlpro.errors import ConflictError
from vlpro.identity.labels import Level
from vlpro.workflows.inspection.result import Defect, Inspection
from vlpro.workflows.inspection.tables import inspections
from vlpro.workflows.paging import ordered

__all__ = [
    "Decision",
    "Inspected",
    "InspectionStore",
    "Source",
    "inspection_place",
]

Source = Literal["api", "folder", "mqtt"]
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided about an inspection; times are Unix seconds."""

    verdict: Literal["pass", "fail"]
    by: str
    at: float


@dataclass(frozen=True, slots=True)
class Inspected:
    """A stored inspection.

    Args:
        id: Its id.
        owner: Whose.
        level: Its label.
        created: Unix time.
        product: What was inspected; may be empty.
        station: Where; may be empty.
        source: How the picture came.
        sha256: Of the picture as it was sent.
        result: What was found.
        seconds: From the picture's arrival to the finding.
        has_picture: Whether the picture is stored.
        decision: What a person decided; None: nobody has.
        alert: Id of its alert; None: it raised none.
        version: Of the row.
    """

    id: str
    owner: str
    level: int
    created: float
    product: str
    station: str
    source: Source
    sha256: str
    result: Inspection
    seconds: float
    has_picture: bool = False
    decision: Decision | None = None
    alert: str | None = None
    version: int = field(default=1, compare=False)

    @property
    def screening(self) -> bool:
        """Whether it rests on what a model saw, and nobody has confirmed it yet."""
        return self.result.method == "sight"


class InspectionStore:
    """Inspections by id. Blocks: not for the event loop.

    Args:
        database: Migrated.
        sealer: Wraps data keys.
        clock: Unix time.
    """

    def __init__(self, database: Database, sealer: Sealer, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock

    def add(self, one: Inspected, picture: bytes | None) -> Inspected:
        """Store an inspection.

        Args:
            one: The inspection.
            picture: A JPEG of its clean pixels; None: it is not kept.

        Returns:
            As it is stored.

        Raises:
            DatabaseError: The database does not answer.
        """
        stored = replace(one, has_picture=picture is not None, version=1)
        key, wrapped = self._sealer.new_data_key(inspection_place(one.id, one.owner, one.level))
        row = {
            "id": one.id,
            "owner": one.owner,
            "level": one.level,
            "created_at": one.created,
            "version": 1,
            "key": wrapped,
            "data": key.seal(_inspected_bytes(stored), f"inspections.data:{one.id}", 1),
            "picture": None if picture is None else key.seal(picture, f"inspections.picture:{one.id}"),
        }
        with self._database.write() as connection:
            connection.execute(sa.insert(inspections).values(row))
        return stored

    def get(self, name: str) -> Inspected | None:
        """An inspection; None: there is none. Raises: VlproError, ``integrity_error``: it was altered."""
        with self._database.read() as connection:
            row = connection.execute(_HEADS.where(inspections.c.id == name)).one_or_none()
        return None if row is None else self._inspected(row)

    def picture(self, name: str) -> bytes | None:
        """The picture of an inspection, a JPEG; None: it is not kept."""
        wanted = sa.select(
            inspections.c.owner, inspections.c.level, inspections.c.key, inspections.c.picture
        ).where(inspections.c.id == name)
        with self._database.read() as connection:
            row = connection.execute(wanted).one_or_none()
        if row is None or row.picture is None:
            return None
        key = self._sealer.data_key(bytes(row.key), inspection_place(name, row.owner, row.level))
        return key.open(bytes(row.picture), f"inspections.picture:{name}")

    def page(
        self, owner: str, level: Level, *, before: tuple[float, str] | None, limit: int
    ) -> list[Inspected]:
        """A person's inspections up to a level, the newest first.

        Args:
            owner: Whose.
            level: The highest.
            before: When the last one of the page before was made, and its id.
            limit: How many at most.
        """
        c = inspections.c
        own = _HEADS.where(c.owner == owner, c.level <= int(level))
        with self._database.read() as connection:
            rows = connection.execute(ordered(own, inspections, before).limit(limit)).all()
        return [self._inspected(row) for row in rows]

    def change(self, one: Inspected, *, keep_picture: bool) -> Inspected:
        """Store what a person decided.

        Args:
            one: As it was read, with the change.
            keep_picture: Whether the picture stays.

        Raises:
            ConflictError: It was changed since it was read, or deleted.
        """
        with self._database.write() as connection:
            stored_key = sa.select(inspections.c.key).where(
                inspections.c.id == one.id, inspections.c.version == one.version
            )
            wrapped = connection.execute(stored_key).scalar()
            if wrapped is None:
                raise _changed()
            stored = replace(one, version=one.version + 1, has_picture=one.has_picture and keep_picture)
            key = self._sealer.data_key(bytes(wrapped), inspection_place(one.id, one.owner, one.level))
            values: dict[str, Any] = {
                "version": stored.version,
                "data": key.seal(_inspected_bytes(stored), f"inspections.data:{one.id}", stored.version),
            }
            if not keep_picture:
                values["picture"] = None
            done = connection.execute(
                sa.update(inspections)
                .where(inspections.c.id == one.id, inspections.c.version == one.version)
                .values(values)
            )
            if not done.rowcount:
                raise _changed()
        if one.has_picture and not keep_picture:
            self._database.overwrite()
        return stored

    def delete(self, name: str) -> bool:
        """Delete an inspection with its key; whether it was there. Its alert stays."""
        with self._database.write() as connection:
            gone = connection.execute(sa.delete(inspections).where(inspections.c.id == name)).rowcount
        if gone:
            self._database.overwrite()
        return bool(gone)

    def _inspected(self, row: Any) -> Inspected:
        key = self._sealer.data_key(bytes(row.key), inspection_place(row.id, row.owner, row.level))
        told = json.loads(key.open(bytes(row.data), f"inspections.data:{row.id}", row.version))
        return _inspected_of(told, row)

    def sweep(self, days: int) -> int:
        """Delete what is older than so many days; returns how many."""
        old = inspections.c.created_at < self._clock() - days * _DAY_S
        with self._database.write() as connection:
            gone = connection.execute(sa.delete(inspections).where(old)).rowcount
        if gone:
            self._database.overwrite()
        return gone


_HEADS = sa.select(
    inspections.c.id,
    inspections.c.owner,
    inspections.c.level,
    inspections.c.created_at,
    inspections.c.version,
    inspections.c.key,
    inspections.c.data,
    inspections.c.picture.is_not(None).label("has_picture"),
)


def inspection_place(name: str, owner: str, level: int) -> str:
    """Of an inspection's wrapped data key: one that is given to somebody else, or a lower level, does not open."""
    return f"inspections.key:{name}:{owner}:{Level(level).word}"


def _inspected_bytes(one: Inspected) -> bytes:
    told = {
        "product": one.product,
        "station": one.station,
        "source": one.source,
        "sha256": one.sha256,
        "result": asdict(one.result),
        "seconds": one.seconds,
        "decision": asdict(one.decision) if one.decision is not None else None,
        "alert": one.alert,
    }
    return _json(told)


def _inspected_of(told: Mapping[str, Any], row: Any) -> Inspected:
    result, decision = told["result"], told["decision"]
    defects = tuple(Defect(**{**defect, "box": _four(defect["box"])}) for defect in result["defects"])
    shift, cited = result["shift"], result.get("citations")
    return Inspected(
        id=row.id,
        owner=row.owner,
        level=row.level,
        created=row.created_at,
        product=told["product"],
        station=told["station"],
        source=told["source"],
        sha256=told["sha256"],
        result=Inspection(
            **{
                **result,
                "defects": defects,
                "shift": tuple(shift) if shift is not None else None,
                "citations": tuple(map(_citation, cited)) if cited is not None else None,
            }
        ),
        seconds=told["seconds"],
        has_picture=row.has_picture,
        decision=Decision(**decision) if decision is not None else None,
        alert=told["alert"],
        version=row.version,
    )


def _citation(told: Mapping[str, Any]) -> Citation:
    return Citation(**{**told, "boxes": tuple(map(_four, told["boxes"]))})


def _four(box: Sequence[int]) -> tuple[int, int, int, int]:
    x1, y1, x2, y2 = box
    return x1, y1, x2, y2


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _changed() -> ConflictError:
    return ConflictError(
        "This inspection was changed or deleted meanwhile. Load it again.",
        zh="该检测记录已被修改或删除，请重新载入。",
    )
