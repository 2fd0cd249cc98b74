"""What a knowledge base and a version of a document are, apart from its pages."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from vlpro.identity.labels import Level

__all__ = [
    "Base",
    "Document",
    "Failure",
    "State",
    "base_data",
    "base_key_place",
    "document_data",
    "document_key_place",
]

State = Literal["queued", "reading", "ready", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Base:
    """A knowledge base.

    Args:
        id: Its name in the API.
        owner: Whose it is.
        level: How confidential.
        shared: Whether everybody who may read its level sees it.
        created: Unix time.
        name: What people call it.
        description: What it is for.
        documents: How many it has that are ready.
        pages: How many pages those have.
    """

    id: str
    owner: str
    level: Level
    shared: bool
    created: float
    name: str
    description: str
    documents: int = 0
    pages: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a document was not read in: as :class:`~vlpro.errors.VlproError` has it."""

    code: str | None
    message: str
    zh: str


@dataclass(frozen=True, slots=True)
class Document:
    """One version of a document.

    Args:
        id: Of the version.
        base: Its base.
        name: Its file's name.
        version: From 1.
        state: How far it is.
        created: Unix time.
        size: Of the file, bytes.
        sha256: Of the file.
        pages: How many it has; 0 as long as nobody knows.
        pages_done: How many are read in.
        model: That made its vectors.
        error: Why it failed.
    """

    id: str
    base: str
    name: str
    version: int
    state: State
    created: float
    size: int
    sha256: str
    pages: int = 0
    pages_done: int = 0
    model: str = ""
    error: Failure | None = None


def base_key_place(name: str, owner: str, level: int) -> str:
    """Of a wrapped data key: a base that is given to somebody else, or a lower level, does not open."""
    return f"knowledge_bases.key:{name}:{owner}:{Level(level).word}"


def document_key_place(name: str, base: str) -> str:
    """Of a wrapped data key: a document that is put into another base does not open."""
    return f"knowledge_documents.key:{name}:{base}"


def base_data(base: Base) -> bytes:
    """What of a base is sealed."""
    return json.dumps({"name": base.name, "description": base.description}, ensure_ascii=False).encode()


def document_data(document: Document) -> bytes:
    """What of a version is sealed with it."""
    error = document.error
    told = {
        "name": document.name,
        "sha256": document.sha256,
        "model": document.model,
        "error": {"code": error.code, "message": error.message, "zh": error.zh}
        if error is not None
        else None,
    }
    return json.dumps(told, ensure_ascii=False).encode()
