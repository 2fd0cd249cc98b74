"""Who may see which knowledge base, and who may change it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from vlpro.errors import ForbiddenError, NotFoundError
from vlpro.identity.principal import Person
from vlpro.knowledge.document import Base, Document
from vlpro.knowledge.store import KnowledgeStore

__all__ = ["Access"]


class Access:
    """Gives out what a person may have; what there is not, and what they may not see, is refused alike.

    Args:
        store: Where the bases lie.
    """

    def __init__(self, store: KnowledgeStore) -> None:
        self._store = store

    async def base(self, person: Person, name: str) -> Base:
        """A base.

        Raises:
            NotFoundError: There is none of this id for this person.
        """
        return (await self.seen(person, [name]))[0]

    async def seen(self, person: Person, names: Sequence[str]) -> list[Base]:
        """Bases in this order. Raises: as :meth:`base`."""
        known = {base.id: base for base in await asyncio.to_thread(self._store.named, names)}
        for found in map(known.get, names):
            if found is None or found.level > person.level or not (found.shared or found.owner == person.id):
                raise NotFoundError(
                    "There is no such knowledge base. GET /v1/knowledge-bases lists those that you may see.",
                    zh="没有这个知识库，GET /v1/knowledge-bases 可列出您能查看的知识库。",
                    param="knowledge_base",
                    foreign=found is not None,
                )
        return [known[name] for name in names]

    async def own(self, person: Person, name: str) -> Base:
        """A base that a person may change. Raises: as :meth:`base`; ForbiddenError."""
        base = await self.base(person, name)
        if base.owner != person.id:
            raise ForbiddenError(
                "This knowledge base is somebody else's: you may search it, and not change it.",
                zh="该知识库由他人维护，您可以检索，不能修改。",
                code="not_your_base",
            )
        return base

    async def versions(self, base: str, name: str) -> list[Document]:
        """A document's versions, the newest first. Raises: NotFoundError."""
        found = await asyncio.to_thread(self._store.versions, base, name)
        if not found:
            raise NotFoundError(
                "There is no such document in this knowledge base.",
                zh="该知识库中没有这个文档。",
                param="name",
            )
        return found
