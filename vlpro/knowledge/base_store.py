"""Knowledge bases in the database, apart from their documents: name and description are sealed, a key a base."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Collection

import sqlalchemy as sa

from vlpro.crypto import Sealer
from vlpro.db import Database
from vlpro.errors import ConflictError
from vlpro.identity.labels import Level
from vlpro.identity.principal import Person
from vlpro.knowledge.document import Base, base_data, base_key_place
from vlpro.knowledge.tables import knowledge_bases, knowledge_documents

__all__ = ["BaseStore"]

_documents = knowledge_documents.c


class BaseStore:
    """Bases by id. Blocks: not for the event loop.

    Args:
        database: Migrated.
        sealer: Wraps data keys.
        clock: Unix time.
    """

    def __init__(self, database: Database, sealer: Sealer, *, clock: Callable[[], float] = time.time) -> None:
        self.database = database
        self._sealer = sealer
        self._clock = clock

    def add_base(
        self, person: Person, *, name: str, description: str, shared: bool, level: Level, most: int
    ) -> Base:
        """Make a base. Raises: ConflictError, where the person has as many as they may."""
        base = Base(f"kb_{secrets.token_hex(12)}", person.id, level, shared, self._clock(), name, description)
        key, wrapped = self._sealer.new_data_key(base_key_place(base.id, base.owner, base.level))
        own = (
            sa.select(sa.func.count())
            .select_from(knowledge_bases)
            .where(knowledge_bases.c.owner == person.id)
        )
        with self.database.write() as connection:
            if int(connection.execute(own).scalar_one()) >= most:
                raise ConflictError(
                    f"You have {most} knowledge bases, which is all you may. Delete one.",
                    zh=f"您已有 {most} 个知识库，达到上限，请先删除一个。",
                    code="too_many_bases",
                )
            connection.execute(
                sa.insert(knowledge_bases).values(
                    id=base.id,
                    owner=base.owner,
                    level=int(base.level),
                    shared=base.shared,
                    created_at=base.created,
                    key=wrapped,
                    data=key.seal(base_data(base), f"knowledge_bases.data:{base.id}"),
                )
            )
        return base

    def named(self, names: Collection[str]) -> list[Base]:
        """Bases by their ids; those that are not there are left out. Raises: VlproError, ``integrity_error``."""
        return self._bases(knowledge_bases.c.id.in_(names))

    def bases(self, person: Person) -> list[Base]:
        """All that a person may see, by name."""
        c = knowledge_bases.c
        seen = sa.and_(c.level <= int(person.level), sa.or_(c.owner == person.id, c.shared))
        return sorted(self._bases(seen), key=lambda one: (one.name.casefold(), one.id))

    def change_base(self, base: Base) -> None:
        """Store another name, description, or who sees it."""
        c = knowledge_bases.c
        with self.database.write() as connection:
            wrapped = connection.execute(sa.select(c.key).where(c.id == base.id)).scalar_one_or_none()
            if wrapped is None:
                return
            key = self._sealer.data_key(bytes(wrapped), base_key_place(base.id, base.owner, base.level))
            data = key.seal(base_data(base), f"knowledge_bases.data:{base.id}")
            connection.execute(
                sa.update(knowledge_bases).where(c.id == base.id).values(shared=base.shared, data=data)
            )

    def _bases(self, where: sa.ColumnElement[bool]) -> list[Base]:
        c = knowledge_bases.c
        with self.database.read() as connection:
            rows = connection.execute(sa.select(knowledge_bases).where(where)).all()
            counted = connection.execute(
                sa.select(
                    _documents.base, sa.func.count(), sa.func.coalesce(sa.func.sum(_documents.pages), 0)
                )
                .where(_documents.state == "ready", _documents.base.in_(sa.select(c.id).where(where)))
                .group_by(_documents.base)
            ).all()
        counts = {base: (int(documents), int(pages)) for base, documents, pages in counted}
        found = []
        for row in rows:
            key = self._sealer.data_key(bytes(row.key), base_key_place(row.id, row.owner, row.level))
            told = json.loads(key.open(bytes(row.data), f"knowledge_bases.data:{row.id}"))
            documents, pages = counts.get(row.id, (0, 0))
            found.append(
                Base(
                    row.id,
                    row.owner,
                    Level(row.level),
                    bool(row.shared),
                    row.created_at,
                    told["name"],
                    told["description"],
                    documents,
                    pages,
                )
            )
        return found
