"""Golden templates in the database: sealed, each under a data key of its own, bound to owner and level."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from vlpro.crypto import DataKey, Sealer
from vlpro.db import Database
from vlpro.identity.labels import Level
from vlpro.workflows.inspection.tables import golden_templates

__all__ = ["Copper", "GoldenTemplate", "TemplateStore", "template_place"]

Copper = Literal["dark", "light"]
"""Which of a board's two tones its conductors are."""


@dataclass(frozen=True, slots=True)
class GoldenTemplate:
    """What is known of a golden template, without its pixels."""

    id: str
    owner: str
    level: int
    created: float
    product: str
    width: int
    height: int
    sha256: str
    copper: Copper | None = None


class TemplateStore:
    """Golden templates by id. Blocks: not for the event loop.

    Args:
        database: Migrated.
        sealer: Wraps data keys.
    """

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    def id_of(self, owner: str, product: str) -> str:
        """Under which the template of a product is stored: tells nothing of the product."""
        return "tpl_" + self._sealer.mac(f"{owner}\0{product}".encode(), "golden_templates.id").hex()[:32]

    def put(self, one: GoldenTemplate, png: bytes) -> None:
        """Store a golden template in place of the one before.

        Args:
            one: What is known of it.
            png: Its clean pixels.
        """
        place = template_place(one.id, one.owner, one.level)
        key, wrapped = self._sealer.new_data_key(place)
        told = {name: getattr(one, name) for name in ("product", "width", "height", "sha256", "copper")}
        row = {
            "id": one.id,
            "owner": one.owner,
            "level": one.level,
            "created_at": one.created,
            "key": wrapped,
            "data": key.seal(_json(told), f"golden_templates.data:{one.id}"),
            "picture": key.seal(png, f"golden_templates.picture:{one.id}"),
        }
        with self._database.write() as connection:
            connection.execute(sa.delete(golden_templates).where(golden_templates.c.id == one.id))
            connection.execute(sa.insert(golden_templates).values(row))
        self._database.overwrite()

    def get(self, name: str) -> GoldenTemplate | None:
        """What is known of a template; None: there is none."""
        with self._database.read() as connection:
            row = connection.execute(_TEMPLATES.where(golden_templates.c.id == name)).one_or_none()
        return None if row is None else self._template(row)[0]

    def picture(self, name: str) -> tuple[GoldenTemplate, bytes] | None:
        """A template with its pixels, as PNG; None: there is none."""
        with self._database.read() as connection:
            row = connection.execute(
                sa.select(golden_templates).where(golden_templates.c.id == name)
            ).one_or_none()
        if row is None:
            return None
        one, key = self._template(row)
        return one, key.open(bytes(row.picture), f"golden_templates.picture:{name}")

    def all_of(self, owner: str, level: Level) -> list[GoldenTemplate]:
        """A person's templates up to a level, by product."""
        own = _TEMPLATES.where(golden_templates.c.owner == owner, golden_templates.c.level <= int(level))
        with self._database.read() as connection:
            rows = connection.execute(own.limit(1_000)).all()
        return sorted((self._template(row)[0] for row in rows), key=lambda one: one.product)

    def delete(self, name: str) -> bool:
        """Delete a template with its key; whether it was there."""
        with self._database.write() as connection:
            gone = connection.execute(
                sa.delete(golden_templates).where(golden_templates.c.id == name)
            ).rowcount
        if gone:
            self._database.overwrite()
        return bool(gone)

    def _template(self, row: Any) -> tuple[GoldenTemplate, DataKey]:
        key = self._sealer.data_key(bytes(row.key), template_place(row.id, row.owner, row.level))
        told = json.loads(key.open(bytes(row.data), f"golden_templates.data:{row.id}"))
        return GoldenTemplate(row.id, row.owner, row.level, row.created_at, **told), key


_TEMPLATES = sa.select(
    golden_templates.c.id,
    golden_templates.c.owner,
    golden_templates.c.level,
    golden_templates.c.created_at,
    golden_templates.c.key,
    golden_templates.c.data,
)


def template_place(name: str, owner: str, level: int) -> str:
    """Of a template's wrapped data key: one that is given to somebody else, or a lower level, does not open."""
    return f"golden_templates.key:{name}:{owner}:{Level(level).word}"


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
