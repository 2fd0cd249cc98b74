"""Knowledge bases in the database: what is written or seen is sealed, each version of a document under its own key.

What stands in clear is what the database needs: ids, owner, level, state, counts, and a keyed hash of each document's
name. Each sealed value is bound to its table and row; deleting a version deletes its key.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

import sqlalchemy as sa

from vlpro.crypto import DataKey
from vlpro.errors import ConflictError
from vlpro.knowledge.base_store import BaseStore
from vlpro.knowledge.document import Base, Document, Failure, document_data, document_key_place
from vlpro.knowledge.index.interface import Candidate, IndexedPage
from vlpro.knowledge.packing import (
    PageVectors,
    pack_content,
    pack_vectors,
    unpack_content,
    unpack_for_index,
    unpack_passages,
    unpack_some,
)
from vlpro.knowledge.passages import PageContent
from vlpro.knowledge.search import Stored
from vlpro.knowledge.tables import (
    knowledge_bases,
    knowledge_documents,
    knowledge_pages,
    knowledge_parts,
    knowledge_pictures,
)

__all__ = ["KnowledgeStore"]

_PART_BYTES = 1 << 20
_AT_ONCE = 50  # rows that a transaction deletes
_HELD_S = 30.0  # who has not said for so long that a document is being read in has ended

_documents, _pages = knowledge_documents.c, knowledge_pages.c


class KnowledgeStore(BaseStore):
    """Bases and documents by id. Blocks: not for the event loop.

    Args:
        database: Migrated.
        sealer: Wraps data keys.
        clock: Unix time.
    """

    def delete_base(self, name: str) -> None:
        """Delete a base with all its documents."""
        with self.database.write() as connection:
            connection.execute(
                sa.update(knowledge_documents).where(_documents.base == name).values(state="deleted")
            )
        self.drop_deleted(name)
        with self.database.write() as connection:
            connection.execute(sa.delete(knowledge_bases).where(knowledge_bases.c.id == name))
        self.database.overwrite()

    # --- documents

    def add_document(self, base: Base, name: str, data: bytes, sha256: str, *, most: int) -> Document:
        """Put a file down as the next version of a document, to be read in; one that still waits gives way.

        Raises:
            ConflictError: The base has as many documents as it may, or was deleted.
        """
        document = f"kdoc_{secrets.token_hex(12)}"
        key, wrapped = self._sealer.new_data_key(document_key_place(document, base.id))
        hashed = self._hashed(base.id, name)
        where = sa.and_(_documents.base == base.id, _documents.name == hashed)
        alone = sa.select(knowledge_bases.c.id).where(knowledge_bases.c.id == base.id).with_for_update()
        with self.database.write() as connection:
            if connection.execute(alone).scalar() is None:
                raise ConflictError("The base was deleted.", zh="知识库已被删除。", code="base_deleted")
            held = connection.execute(
                sa.select(sa.func.count(sa.distinct(_documents.name))).where(
                    _documents.base == base.id, _documents.state != "deleted", _documents.name != hashed
                )
            ).scalar_one()
            if held >= most:
                raise ConflictError(
                    f"This knowledge base has {most} documents, which is all it may. Delete some, or make another.",
                    zh=f"该知识库已有 {most} 个文档，达到上限，请删除一些或新建知识库。",
                    code="too_many_documents",
                )
            last = connection.execute(sa.select(sa.func.max(_documents.version)).where(where)).scalar()
            made = Document(
                document, base.id, name, (last or 0) + 1, "queued", self._clock(), len(data), sha256
            )
            connection.execute(
                sa.update(knowledge_documents)
                .where(where, _documents.state != "ready")
                .values(state="deleted")
            )
            connection.execute(
                sa.insert(knowledge_documents).values(
                    id=document,
                    base=base.id,
                    name=hashed,
                    version=made.version,
                    state="queued",
                    created_at=made.created,
                    held_until=0.0,
                    bytes=len(data),
                    pages=0,
                    pages_done=0,
                    key=wrapped,
                    data=key.seal(document_data(made), _data_place(document)),
                )
            )
            self._put_parts(connection, document, key, data)
        self.drop_deleted(base.id)
        return made

    def versions(self, base: str, name: str) -> list[Document]:
        """The versions of a document, the newest first: the one that answers, and one that is not ready."""
        return self._found(_documents.base == base, _documents.name == self._hashed(base, name))

    def version(self, document: str) -> Document | None:
        """One version; None: it is gone."""
        found = self._found(_documents.id == document)
        return found[0] if found else None

    def documents(self, base: str) -> list[Document]:
        """The newest version of each document of a base, by name."""
        newest: dict[str, Document] = {}
        for one in self._found(_documents.base == base):
            newest.setdefault(one.name, one)
        return sorted(newest.values(), key=lambda one: (one.name.casefold(), one.name))

    def ready(self) -> list[tuple[str, str]]:
        """Base and id of all versions that answer."""
        query = sa.select(_documents.base, _documents.id).where(_documents.state == "ready")
        with self.database.read() as connection:
            return [(base, document) for base, document in connection.execute(query).all()]

    def pages_of(self, base: str) -> int:
        """How many pages all documents of a base have together."""
        query = sa.select(sa.func.coalesce(sa.func.sum(_documents.pages), 0)).where(
            _documents.base == base, _documents.state.in_(("ready", "reading", "queued"))
        )
        with self.database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def claim(self) -> Document | None:
        """The next document that is to be read in, now ours; None: there is none, or others read them."""
        now = self._clock()
        waits = sa.and_(_documents.state.in_(("queued", "reading")), _documents.held_until < now)
        query = sa.select(_documents.id).where(waits).order_by(_documents.created_at, _documents.id).limit(1)
        with self.database.write() as connection:
            name = connection.execute(query).scalar()
            if name is None:
                return None
            taken = connection.execute(
                sa.update(knowledge_documents)
                .where(_documents.id == name, waits)
                .values(state="reading", held_until=now + _HELD_S)
            ).rowcount
        return self.version(name) if taken else None

    def hold(self, document: str) -> None:
        """Say that a document is still being read in, so that nobody else begins to."""
        self._set(document, held_until=self._clock() + _HELD_S, reading=True)

    def let_go(self, document: str) -> None:
        """Have another one read a document in, or us after a restart: at once."""
        self._set(document, held_until=0.0)

    def tidy(self) -> None:
        """Finish what an earlier process was deleting; on SQLite nobody else is, so what it read in is free, too."""
        done = sa.select(_documents.id).where(_documents.state == "ready")
        ended = sa.select(_documents.id).where(_documents.state.in_(("failed", "cancelled")))
        with self.database.write() as connection:
            for table in (knowledge_parts, knowledge_pictures, knowledge_pages):
                connection.execute(sa.delete(table).where(table.c.document.in_(ended)))
            connection.execute(sa.delete(knowledge_parts).where(knowledge_parts.c.document.in_(done)))
            if self.database.sqlite:
                connection.execute(sa.update(knowledge_documents).values(held_until=0.0))
        self.drop_deleted()

    def file(self, document: Document) -> bytes:
        """A document's file, as long as it is not read in."""
        key = self._key(document.id, document.base)
        query = sa.select(knowledge_parts).where(knowledge_parts.c.document == document.id)
        with self.database.read() as connection:
            rows = connection.execute(query.order_by(knowledge_parts.c.number)).all()
        return b"".join(key.open(bytes(row.data), _part_place(document.id, row.number)) for row in rows)

    def put_file(self, document: Document, data: bytes) -> None:
        """Another file in a document's place: what an office file was made into."""
        key = self._key(document.id, document.base)
        with self.database.write() as connection:
            connection.execute(sa.delete(knowledge_parts).where(knowledge_parts.c.document == document.id))
            self._put_parts(connection, document.id, key, data)

    def begin(self, document: Document, *, pages: int, model: str) -> Document:
        """It is known how many pages a document has, and which model makes its vectors."""
        begun = replace(document, pages=pages, model=model)
        key = self._key(document.id, document.base)
        self._set(document.id, pages=pages, data=key.seal(document_data(begun), _data_place(document.id)))
        return begun

    def add_page(
        self,
        document: Document,
        number: int,
        content: PageContent,
        vectors: PageVectors,
        picture: bytes | None,
    ) -> bool:
        """Store a page; whether the document is still to be read in.

        Args:
            document: Which version.
            number: Of the page, from 1.
            content: What it says.
            vectors: Of that.
            picture: A JPEG; None: it is stored already.
        """
        key = self._key(document.id, document.base)
        values = {
            "vectors": key.seal(pack_vectors(vectors), _vectors_place(document.id, number)),
            "content": key.seal(pack_content(content), _content_place(document.id, number)),
        }
        with self.database.write() as connection:
            goes_on = connection.execute(
                sa.update(knowledge_documents)
                .where(_documents.id == document.id, _documents.state == "reading")
                .values(pages_done=number, held_until=self._clock() + _HELD_S)
            ).rowcount
            if not goes_on:
                return False
            connection.execute(
                sa.delete(knowledge_pages).where(_pages.document == document.id, _pages.number == number)
            )
            connection.execute(
                sa.insert(knowledge_pages).values(document=document.id, number=number, **values)
            )
            if picture is not None:
                c = knowledge_pictures.c
                connection.execute(
                    sa.delete(knowledge_pictures).where(c.document == document.id, c.number == number)
                )
                sealed = key.seal(picture, _picture_place(document.id, number))
                connection.execute(
                    sa.insert(knowledge_pictures).values(document=document.id, number=number, data=sealed)
                )
        return True

    def finish(self, document: Document) -> bool:
        """A document is read in: it answers from now on, and the version before it is deleted with the file.

        Returns:
            Whether it was still to be read in.
        """
        hashed = self._hashed(document.base, document.name)
        older = sa.and_(
            _documents.base == document.base, _documents.name == hashed, _documents.version < document.version
        )
        with self.database.write() as connection:
            done = connection.execute(
                sa.update(knowledge_documents)
                .where(_documents.id == document.id, _documents.state == "reading")
                .values(state="ready", held_until=0.0)
            ).rowcount
            if done:
                connection.execute(sa.update(knowledge_documents).where(older).values(state="deleted"))
        if done:
            self._drop_rows(knowledge_parts, document.id)
            self.drop_deleted(document.base)
        return bool(done)

    def end(
        self, document: Document, state: Literal["failed", "cancelled"], error: Failure | None = None
    ) -> bool:
        """A document is not read in any further: what was read of it goes; whether it still was to be."""
        key = self._key(document.id, document.base)
        ended = replace(document, error=error)
        with self.database.write() as connection:
            done = connection.execute(
                sa.update(knowledge_documents)
                .where(_documents.id == document.id, _documents.state.in_(("queued", "reading")))
                .values(
                    state=state,
                    held_until=0.0,
                    data=key.seal(document_data(ended), _data_place(document.id)),
                )
            ).rowcount
        if done:
            self._drop_contents(document.id)
            self.database.overwrite()
        return bool(done)

    def delete_document(self, base: str, name: str) -> list[Document]:
        """Delete all versions of a document; those that were there."""
        found = self.versions(base, name)
        with self.database.write() as connection:
            connection.execute(
                sa.update(knowledge_documents)
                .where(_documents.id.in_([one.id for one in found]))
                .values(state="deleted")
            )
        self.drop_deleted(base)
        return found

    def drop_deleted(self, base: str | None = None) -> None:
        """Delete what is left of deleted versions: some rows a transaction, the key with the last of them."""
        query = sa.select(_documents.id).where(_documents.state == "deleted")
        if base is not None:
            query = query.where(_documents.base == base)
        with self.database.read() as connection:
            names = connection.execute(query).scalars().all()
        for name in names:
            self._drop_contents(name)
            with self.database.write() as connection:
                connection.execute(sa.delete(knowledge_documents).where(_documents.id == name))
        if names:
            self.database.overwrite()

    # --- pages

    def contents(self, document: Document, after: int) -> list[tuple[int, PageContent]]:
        """What some pages of a version say: those after one of them."""
        key = self._key(document.id, document.base)
        return [
            (
                row.number,
                unpack_content(key.open(bytes(row.content), _content_place(document.id, row.number))),
            )
            for row in self._some(document.id, after, _pages.content)
        ]

    def indexed(self, document: str, base: str) -> Iterator[IndexedPage]:
        """The pages of a version, as the index takes them."""
        key = self._key(document, base)
        last = 0
        while rows := self._some(document, last, _pages.vectors):
            for row in rows:
                packed = key.open(bytes(row.vectors), _vectors_place(document, row.number))
                yield IndexedPage(row.number, *unpack_for_index(packed))
            last = rows[-1].number

    def change_vectors(self, document: Document, number: int, vectors: PageVectors) -> None:
        """Other vectors of a page."""
        key = self._key(document.id, document.base)
        sealed = key.seal(pack_vectors(vectors), _vectors_place(document.id, number))
        with self.database.write() as connection:
            connection.execute(
                sa.update(knowledge_pages)
                .where(_pages.document == document.id, _pages.number == number)
                .values(vectors=sealed)
            )

    def stored(self, candidates: Sequence[Candidate]) -> list[Stored]:
        """What is known of candidates; those that are not there any more are left out."""
        if not candidates:
            return []
        wanted: dict[tuple[str, int], list[Candidate]] = {}
        for one in candidates:
            wanted.setdefault((one.document, one.page), []).append(one)
        names = {document for document, _ in wanted}
        # A join with a table of them, since SQLite looks through all pages for one of a list of pairs.
        columns = sa.column("document", sa.String), sa.column("number", sa.Integer)
        places = sa.values(*columns, name="wanted").data(list(wanted)).cte("wanted")
        with self.database.read() as connection:
            heads = connection.execute(
                sa.select(knowledge_documents).where(_documents.id.in_(names), _documents.state == "ready")
            ).all()
            rows = connection.execute(
                sa.select(knowledge_pages).join(
                    places, sa.and_(_pages.document == places.c.document, _pages.number == places.c.number)
                )
            ).all()
        known = {row.id: (self._data_key(row), self._opened(row)) for row in heads}
        found = []
        for row in rows:
            if row.document not in known:
                continue
            key, document = known[row.document]
            numbers = {one.passage for one in wanted[row.document, row.number]}
            said = key.open(bytes(row.content), _content_place(row.document, row.number))
            size, passages = unpack_passages(said, numbers)
            vectors = unpack_some(
                key.open(bytes(row.vectors), _vectors_place(row.document, row.number)), numbers
            )
            found += [
                Stored(
                    document.base,
                    document.name,
                    document.id,
                    row.number,
                    number,
                    passages[number],
                    size,
                    *vectors[number],
                )
                for number in sorted(passages.keys() & vectors.keys())
            ]
        return found

    def picture(self, document: str, base: str, number: int) -> bytes | None:
        """The JPEG of a page; None: there is none."""
        c = knowledge_pictures.c
        query = sa.select(c.data).where(c.document == document, c.number == number)
        with self.database.read() as connection:
            data = connection.execute(query).scalar()
        if data is None:
            return None
        return self._key(document, base).open(bytes(data), _picture_place(document, number))

    # ---

    def _some(self, document: str, after: int, column: sa.Column[Any]) -> Sequence[sa.Row[Any, Any]]:
        """Pages of a version, in order."""
        query = sa.select(_pages.number, column).where(_pages.document == document, _pages.number > after)
        with self.database.read() as connection:
            return connection.execute(query.order_by(_pages.number).limit(_AT_ONCE)).all()

    def _found(self, *where: sa.ColumnElement[bool]) -> list[Document]:
        query = sa.select(knowledge_documents).where(*where, _documents.state != "deleted")
        with self.database.read() as connection:
            rows = connection.execute(query.order_by(_documents.version.desc())).all()
        return [self._opened(row) for row in rows]

    def _opened(self, row: sa.Row[Any]) -> Document:
        told = json.loads(self._data_key(row).open(bytes(row.data), _data_place(row.id)))
        error = told["error"]
        return Document(
            row.id,
            row.base,
            told["name"],
            row.version,
            row.state,
            row.created_at,
            row.bytes,
            told["sha256"],
            row.pages,
            row.pages_done,
            told["model"],
            Failure(**error) if error is not None else None,
        )

    def _data_key(self, row: Any) -> DataKey:
        return self._sealer.data_key(bytes(row.key), document_key_place(row.id, row.base))

    def _key(self, document: str, base: str) -> DataKey:
        """Raises: ConflictError, where the version was deleted meanwhile."""
        with self.database.read() as connection:
            row = connection.execute(
                sa.select(_documents.id, _documents.base, _documents.key).where(
                    _documents.id == document, _documents.base == base
                )
            ).one_or_none()
        if row is None:
            raise ConflictError("The document was deleted.", zh="文档已被删除。", code="document_deleted")
        return self._data_key(row)

    def _set(self, document: str, *, reading: bool = False, **values: Any) -> None:
        where = [_documents.id == document, *([_documents.state == "reading"] if reading else [])]
        with self.database.write() as connection:
            connection.execute(sa.update(knowledge_documents).where(*where).values(**values))

    def _put_parts(self, connection: sa.Connection, document: str, key: DataKey, data: bytes) -> None:
        for number, first in enumerate(range(0, len(data), _PART_BYTES)):
            sealed = key.seal(data[first : first + _PART_BYTES], _part_place(document, number))
            connection.execute(
                sa.insert(knowledge_parts).values(document=document, number=number, data=sealed)
            )

    def _drop_contents(self, document: str) -> None:
        for table in (knowledge_parts, knowledge_pictures, knowledge_pages):
            self._drop_rows(table, document)

    def _drop_rows(self, table: sa.Table, document: str) -> None:
        """Some a transaction, so that nobody else who writes waits for long."""
        c = table.c
        while True:
            with self.database.write() as connection:
                some = sa.select(c.number).where(c.document == document).limit(_AT_ONCE)
                numbers = connection.execute(some).scalars().all()
                if not numbers:
                    return
                connection.execute(sa.delete(table).where(c.document == document, c.number.in_(numbers)))

    def _hashed(self, base: str, name: str) -> bytes:
        return self._sealer.mac(name.encode(), f"knowledge_documents.name:{base}")


def _data_place(document: str) -> str:
    return f"knowledge_documents.data:{document}"


def _part_place(document: str, number: int) -> str:
    return f"knowledge_parts.data:{document}:{number}"


def _content_place(document: str, number: int) -> str:
    return f"knowledge_pages.content:{document}:{number}"


def _vectors_place(document: str, number: int) -> str:
    return f"knowledge_pages.vectors:{document}:{number}"


def _picture_place(document: str, number: int) -> str:
    return f"knowledge_pictures.data:{document}:{number}"
