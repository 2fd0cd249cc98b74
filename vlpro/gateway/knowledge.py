"""Between the wire and knowledge bases: names of documents in paths, values as they are told, bases of a question."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import Depends, Path, Query, Request

from vlpro.chat.service import Finds
from vlpro.errors import BadRequestError, VlproError
from vlpro.gateway.deps import Services, principal_of
from vlpro.identity.labels import Level
from vlpro.identity.permissions import Permission
from vlpro.identity.principal import Person
from vlpro.knowledge.document import Base, Document
from vlpro.knowledge.passages import Box
from vlpro.knowledge.search import Found
from vlpro.knowledge.service import KnowledgeStatus
from vlpro.schema import knowledge as wire

__all__ = [
    "Boxes",
    "DocumentName",
    "allowed",
    "base",
    "document",
    "finds",
    "hits",
    "location",
    "names",
    "status",
]

_MOST_NAME = 200
_MOST_BOXES = 64
_JOBS: dict[str, Literal["queued", "in_progress", "completed", "failed", "cancelled"]] = {
    "queued": "queued",
    "reading": "in_progress",
    "ready": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
}


async def _document_name(
    request: Request, name: Annotated[str, Path(description="The file's name, percent-encoded")]
) -> str:
    """The name of a document as the path has it, in one form (NFC).

    Raises:
        BadRequestError: It is no name of a file.
    """
    raw = bytes(request.scope.get("raw_path") or b"").lower()
    if "/" in name or "\\" in name or b"%2f" in raw:
        raise _bad_name(
            "A document's name is that of a file, without folders: no / and no \\.",
            "文档名称是不含文件夹的文件名，不能包含 / 或 \\。",
        )
    if name.strip() in ("", ".", "..") or name != name.strip():
        raise _bad_name(
            "A document's name may not be empty or only dots, nor begin or end with a space.",
            "文档名称不能为空或仅为点号，首尾也不能有空格。",
        )
    if "\ufffd" in name or not name.isprintable():
        raise _bad_name(
            "A document's name must be UTF-8, percent-encoded in the path, without control characters.",
            "文档名称须为 UTF-8，在路径中用百分号编码，不能含控制字符。",
        )
    name = unicodedata.normalize("NFC", name)
    if len(name) > _MOST_NAME:
        raise _bad_name(
            f"A document's name has at most {_MOST_NAME} characters.", f"文档名称最多 {_MOST_NAME} 个字符。"
        )
    return name


def _bad_name(message: str, zh: str) -> BadRequestError:
    return BadRequestError(message, zh=zh, param="name", code="invalid_document_name")


async def _boxes(
    box: Annotated[
        tuple[str, ...],
        Query(
            max_length=_MOST_BOXES, description="Marked on the page: x1,y1,x2,y2 in its pixels; several times"
        ),
    ] = (),
) -> tuple[Box, ...]:
    """Boxes to be marked. Raises: BadRequestError."""
    found: list[Box] = []
    for index, told in enumerate(box):
        numbers = told.split(",")
        if len(numbers) != 4 or not all(n.isascii() and n.isdecimal() and len(n) < 7 for n in numbers):
            raise BadRequestError(
                "A box is four whole numbers, x1,y1,x2,y2, in pixels of the page.",
                zh="box 为四个整数 x1,y1,x2,y2，单位是页面像素。",
                param=f"box[{index}]",
            )
        x1, y1, x2, y2 = map(int, numbers)
        found.append((min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)))
    return tuple(found)


DocumentName = Annotated[str, Depends(_document_name)]
Boxes = Annotated[tuple[Box, ...], Depends(_boxes)]


async def finds(
    services: Services, request: Request, asked: str | Sequence[str] | None
) -> tuple[Finds | None, Level]:
    """What finds the material of a question, and how confidential it is at most.

    Args:
        services: The services.
        request: Whose permission is needed, where bases are asked for.
        asked: The field ``knowledge_base``.

    Raises:
        ForbiddenError: Who asks may not use knowledge bases.
        NotFoundError: There is no such base for this person.
    """
    if asked is None:
        return None, Level.PUBLIC
    level = await allowed(services, request, asked)
    return services.knowledge_answers.finds(principal_of(request).person, names(asked)), level


async def allowed(services: Services, request: Request, asked: str | Sequence[str]) -> Level:
    """How confidential the bases of the field ``knowledge_base`` are at most, if who asks may use them all.

    Raises:
        ForbiddenError: Who asks may not use knowledge bases.
        NotFoundError: There is no such base for this person.
    """
    principal = principal_of(request)
    principal.require(Permission.KNOWLEDGE_USE)
    several = not isinstance(asked, str)
    levels = [
        (
            await named(
                services, principal.person, name, f"knowledge_base[{index}]" if several else "knowledge_base"
            )
        ).level
        for index, name in enumerate(names(asked))
    ]
    return max(levels)


def names(asked: str | Sequence[str] | None) -> tuple[str, ...]:
    """The bases of the field ``knowledge_base``, each once."""
    return tuple(dict.fromkeys([asked] if isinstance(asked, str) else asked or ()))


async def named(services: Services, person: Person, name: str, param: str) -> Base:
    """A base that a field of a request names. Raises: NotFoundError, which names the field."""
    try:
        return await services.knowledge.base(person, name)
    except VlproError as error:
        error.param = param
        raise


def location(base_id: str, name: str) -> str:
    """Where a document is, for the header ``Location``."""
    return f"/v1/knowledge-bases/{quote(base_id, safe='')}/documents/{quote(name, safe='')}"


def base(held: Base, person: Person) -> wire.KnowledgeBase:
    """A base as somebody sees it."""
    return wire.KnowledgeBase(
        id=held.id,
        created=int(held.created),
        name=held.name,
        description=held.description,
        shared=held.shared,
        level=held.level.word,
        writable=held.owner == person.id,
        documents=held.documents,
        pages=held.pages,
    )


def status(told: KnowledgeStatus) -> wire.KnowledgeIndexStatus:
    """What finds pages."""
    return wire.KnowledgeIndexStatus(
        embedder=told.embedder,
        index=told.index,
        pages=told.pages,
        passages=told.passages,
        loading=told.loading,
    )


def document(held: Document) -> wire.KnowledgeDocument:
    """A document, with the work on it."""
    error = held.error
    return wire.KnowledgeDocument(
        id=held.id,
        base=held.base,
        name=held.name,
        version=held.version,
        created=int(held.created),
        bytes=held.size,
        sha256=held.sha256,
        status=held.state,
        pages=held.pages,
        pages_done=held.pages_done,
        error=(
            wire.KnowledgeError(code=error.code or "failed", message=error.message, message_zh=error.zh)
            if error is not None
            else None
        ),
        job=wire.KnowledgeJob(id=held.id, status=_JOBS[held.state]),
    )


def hits(found: Found) -> wire.KnowledgeHits:
    """What a search found."""
    return wire.KnowledgeHits(
        hits=[
            wire.KnowledgeHit(
                base=hit.base,
                document=hit.document,
                page=hit.page,
                score=round(hit.score, 4),
                text=hit.text,
                boxes=list(hit.boxes),
                page_size=hit.page_size,
            )
            for hit in found.hits
        ],
        answers=found.answers,
    )
