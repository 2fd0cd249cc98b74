"""Files for batches: ``/v1/files``, as OpenAI's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from vlpro.errors import BadRequestError
from vlpro.gateway.deps import Needs, ServicesOf
from vlpro.gateway.stream import Download
from vlpro.gateway.uploads import Form
from vlpro.identity.permissions import Permission
from vlpro.identity.principal import Principal
from vlpro.schema import batches as batch_schema
from vlpro.workflows.batch.batch import COMPLETED, FAILED
from vlpro.workflows.batch.files import Purpose, StoredFile

__all__ = ["router"]

router = APIRouter(prefix="/files", tags=["batches"])

Who = Annotated[Principal, Depends(Needs(Permission.WORKFLOW_USE))]
FileId = Annotated[str, Path(max_length=64)]

_PURPOSES: tuple[Purpose, ...] = ("batch", "user_data", "vision")
_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "purpose"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "purpose": {"type": "string", "enum": list(_PURPOSES)},
                        "expires_after[anchor]": {"type": "string", "enum": ["created_at"]},
                        "expires_after[seconds]": {"type": "integer", "minimum": 3600, "maximum": 2592000},
                    },
                }
            }
        },
    }
}


@router.post("", openapi_extra=_FORM)
async def add(request: Request, services: ServicesOf, who: Who) -> batch_schema.File:
    """Send a file: requests of a batch (JSON Lines), or pictures, PDFs and zip archives of them (user_data)."""
    form = Form(request)
    made = await services.batches.add_file(who.person, form.file(), lambda: _told(form))
    return _file(made)


@router.get("")
async def find(
    *,
    services: ServicesOf,
    who: Who,
    purpose: Annotated[str | None, Query(max_length=32)] = None,
    after: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
    order: Literal["asc", "desc"] = "desc",
) -> batch_schema.FileList:
    """One's own files."""
    found, more = await asyncio.to_thread(
        services.batches.files.page,
        who.person,
        purpose=purpose,
        after=after,
        limit=limit,
        newest_first=order == "desc",
    )
    data = [_file(file) for file in found]
    ends = {"first_id": data[0].id, "last_id": data[-1].id} if data else {}
    return batch_schema.FileList(data=data, has_more=more, **ends)


@router.get("/{file_id}")
async def get(file_id: FileId, services: ServicesOf, who: Who) -> batch_schema.File:
    """What is known of a file."""
    return _file(await asyncio.to_thread(services.batches.files.get, who.person, file_id))


@router.delete("/{file_id}")
async def delete(file_id: FileId, services: ServicesOf, who: Who) -> batch_schema.FileDeleted:
    """Delete a file, unless a batch still reads it."""
    await asyncio.to_thread(services.batches.files.delete, who.person, file_id)
    return batch_schema.FileDeleted(id=file_id)


@router.get(
    "/{file_id}/content",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}, "description": "The file"}},
)
async def content(file_id: FileId, services: ServicesOf, who: Who) -> Response:
    """The file itself; results of a batch as JSON Lines."""
    batches = services.batches
    file = await asyncio.to_thread(batches.files.get, who.person, file_id)
    if file.batch is not None:
        batch = await asyncio.to_thread(batches.store.get, who.person, file.batch)
        state = COMPLETED if file.id.endswith("o") else FAILED
        pieces, media = batches.store.lines.results(batch, state), "application/jsonl"
    else:
        pieces, media = batches.files.parts(file), "application/octet-stream"
    return Download(
        _in_threads(pieces),
        name=f"{file.id}.jsonl" if file.batch else file.id,
        media_type=media,
        slow_client_timeout_s=services.settings.slow_client_timeout_s,
    )


async def _in_threads(pieces: Iterable[bytes]) -> AsyncGenerator[bytes, None]:
    """Pieces that are read from the database, off the event loop, in blocks of at least 64 KiB."""
    source = iter(pieces)

    def some() -> bytes:
        block = bytearray()
        for piece in source:
            block += piece
            if len(block) >= 65_536:
                break
        return bytes(block)

    while block := await asyncio.to_thread(some):
        yield block


def _told(form: Form) -> tuple[str, Purpose, float | None]:
    fields = dict(form.fields)
    named = fields.pop("purpose", None)
    purpose = next((known for known in _PURPOSES if known == named), None)
    if purpose is None:
        raise BadRequestError(
            f"purpose must be one of {', '.join(_PURPOSES)}.",
            zh=f"purpose 须为 {'、'.join(_PURPOSES)} 之一。",
            param="purpose",
            code="missing_required_parameter" if named is None else "invalid_value",
        )
    anchor, seconds = fields.pop("expires_after[anchor]", None), fields.pop("expires_after[seconds]", None)
    if fields:
        name = next(iter(fields))
        raise BadRequestError(
            f"Unknown parameter: {name}. Leave it out.",
            zh=f"未知参数：{name}，请去掉。",
            param=name,
            code="unknown_parameter",
        )
    if anchor is None and seconds is None:
        return form.filename, purpose, None
    if anchor != "created_at" or not (seconds or "").isascii() or not (seconds or "").isdecimal():
        raise _expiry()
    keep_s = int((seconds or "")[:12])
    if not 3_600 <= keep_s <= 2_592_000:
        raise _expiry()
    return form.filename, purpose, float(keep_s)


def _expiry() -> BadRequestError:
    return BadRequestError(
        "expires_after needs anchor created_at and 3600 to 2592000 seconds.",
        zh="expires_after 须为 anchor=created_at，seconds 在 3600 到 2592000 之间。",
        param="expires_after",
    )


def _file(file: StoredFile) -> batch_schema.File:
    return batch_schema.File(
        id=file.id,
        bytes=file.bytes,
        created_at=int(file.created),
        expires_at=int(file.expires),
        filename=file.name,
        purpose=file.purpose,
    )
