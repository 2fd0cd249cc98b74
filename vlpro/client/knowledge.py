"""Knowledge bases: documents, and what is found in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO

from vlpro import schema
from vlpro.client.calls import Calls, part
from vlpro.schema import knowledge as wire

__all__ = ["KnowledgeCalls"]

_BASES = "/v1/knowledge-bases"


class KnowledgeCalls(Calls):
    """Knowledge bases: documents, and what is found in them."""

    def new_knowledge_base(self, asked: wire.NewKnowledgeBase) -> wire.KnowledgeBase:
        """Make a knowledge base."""
        return self._send(wire.KnowledgeBase, _BASES, asked)

    def knowledge_bases(self) -> wire.KnowledgeBaseList:
        """All bases that one may see, and what finds their pages."""
        return self._call(wire.KnowledgeBaseList, "GET", _BASES)

    def knowledge_base(self, base_id: str) -> wire.KnowledgeBase:
        """One base."""
        return self._call(wire.KnowledgeBase, "GET", _base(base_id))

    def change_knowledge_base(self, base_id: str, change: wire.KnowledgeBaseChange) -> wire.KnowledgeBase:
        """Change name, description or who sees it; what ``change`` was not given stays."""
        return self._send(wire.KnowledgeBase, _base(base_id), change, method="PATCH")

    def delete_knowledge_base(self, base_id: str) -> schema.Deleted:
        """Delete a base with all its documents."""
        return self._call(schema.Deleted, "DELETE", _base(base_id))

    def put_document(self, base_id: str, name: str, data: bytes | BinaryIO) -> wire.KnowledgeDocument:
        """Put a document into a base, or another version of it; it is read in the background.

        Args:
            base_id: Of the base.
            name: What the file is called; with its ending.
            data: Its bytes, or a file that is open to read.
        """
        return self._call(
            wire.KnowledgeDocument,
            "PUT",
            _document(base_id, name),
            content=data,
            headers={"content-type": "application/octet-stream"},
        )

    def documents(
        self,
        base_id: str,
        *,
        after: str = "",
        limit: int = 100,
        name: str = "",
        status: Sequence[wire.DocumentState] = (),
    ) -> wire.KnowledgeDocumentList:
        """A base's documents by name.

        Args:
            base_id: Of the base.
            after: ``next`` of the page before.
            limit: How many at most, up to 1,000.
            name: Only those whose name has this in it.
            status: Only those in one of these states; none: all.
        """
        asked: dict[str, Any] = {"limit": limit, "status": list(status)}
        asked |= {key: value for key, value in (("after", after), ("name", name)) if value}
        path = f"{_base(base_id)}/documents"
        return self._call(wire.KnowledgeDocumentList, "GET", path, params=asked)

    def document(self, base_id: str, name: str) -> wire.KnowledgeDocument:
        """One document, with how far it is read."""
        return self._call(wire.KnowledgeDocument, "GET", _document(base_id, name))

    def cancel_document(self, base_id: str, name: str) -> wire.KnowledgeDocument:
        """Stop reading a document in; an older version that was ready goes on answering."""
        return self._call(wire.KnowledgeDocument, "POST", f"{_document(base_id, name)}/cancel")

    def delete_document(self, base_id: str, name: str) -> schema.Deleted:
        """Delete a document, all its versions."""
        return self._call(schema.Deleted, "DELETE", _document(base_id, name))

    def document_page(
        self, base_id: str, name: str, number: int, *, boxes: Sequence[wire.WireBox] = ()
    ) -> bytes:
        """A page as a JPEG.

        Args:
            base_id: Of the base.
            name: Of the document.
            number: Of the page, from 1.
            boxes: Marked on it, up to 64.
        """
        marked = {"box": [",".join(map(str, box)) for box in boxes[:64]]}
        return self._bytes(f"{_document(base_id, name)}/pages/{number}", params=marked)

    def search_knowledge_base(self, base_id: str, query: str, *, limit: int = 5) -> wire.KnowledgeHits:
        """Find passages in one base."""
        asked = wire.NewKnowledgeSearch(query=query, limit=limit)
        return self._send(wire.KnowledgeHits, f"{_base(base_id)}/search", asked)

    def search_knowledge(self, query: str, bases: Sequence[str], *, limit: int = 5) -> wire.KnowledgeHits:
        """Find passages in several bases."""
        asked = wire.NewKnowledgeSearchOver(query=query, bases=list(bases), limit=limit)
        return self._send(wire.KnowledgeHits, f"{_BASES}/search", asked)


def _base(base_id: str) -> str:
    return f"{_BASES}/{part(base_id)}"


def _document(base_id: str, name: str) -> str:
    return f"{_base(base_id)}/documents/{part(name)}"
