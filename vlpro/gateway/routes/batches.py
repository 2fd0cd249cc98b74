"""Many questions at once: ``/v1/batches``, as OpenAI's; with files instead of requests, pause, resume and lines."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Response

from vlpro import schema
from vlpro.audit.recorder import ACTOR
from vlpro.gateway.deps import Needs, Services, ServicesOf
from vlpro.gateway.strict import StrictRoute
from vlpro.identity.permissions import Permission
from vlpro.identity.principal import Principal
from vlpro.schema import batches as batch_schema
from vlpro.workflows.batch.batch import COMPLETED, FAILED, WAITING, Batch, Head, Line
from vlpro.workflows.batch.results import said_in
from vlpro.workflows.batch.store import result_file

__all__ = ["router"]

router = APIRouter(prefix="/batches", tags=["batches"], route_class=StrictRoute)

Who = Annotated[Principal, Depends(Needs(Permission.WORKFLOW_USE))]
BatchId = Annotated[str, Path(max_length=64)]

_MEDIA = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "pdf": "application/pdf",
}
_STATES: dict[int, Literal["waiting", "completed", "failed"]] = {
    WAITING: "waiting",
    COMPLETED: "completed",
    FAILED: "failed",
}


@router.post("")
async def create(body: batch_schema.NewBatch, services: ServicesOf, who: Who) -> batch_schema.Batch:
    """Begin a batch: requests of a file, or one instruction or template for many files."""
    if body.input is None:
        head = Head(
            endpoint=body.endpoint or "",
            window=body.completion_window,
            inputs=(body.input_file_id or "",),
            jsonl=True,
            metadata=body.metadata,
        )
    else:
        head = Head(
            endpoint="/v1/extractions" if body.template else "/v1/chat/completions",
            window=body.completion_window,
            inputs=tuple(body.input.file_ids),
            jsonl=False,
            instruction=body.instruction,
            template=body.template,
            metadata=body.metadata,
        )
    return _told(services, await services.batches.create(who, ACTOR.get(), head))


@router.get("")
async def find(
    services: ServicesOf,
    who: Who,
    after: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> batch_schema.BatchList:
    """One's own batches, the newest first."""
    found, more = await asyncio.to_thread(services.batches.store.page, who.person, after=after, limit=limit)
    data = [_told(services, batch) for batch in found]
    ends = {"first_id": data[0].id, "last_id": data[-1].id} if data else {}
    return batch_schema.BatchList(data=data, has_more=more, **ends)


@router.get("/{batch_id}")
async def get(batch_id: BatchId, services: ServicesOf, who: Who) -> batch_schema.Batch:
    """One batch."""
    return _told(services, await asyncio.to_thread(services.batches.store.get, who.person, batch_id))


@router.post("/{batch_id}/cancel")
async def cancel(batch_id: BatchId, services: ServicesOf, who: Who) -> batch_schema.Batch:
    """End a batch; what was answered stays."""
    return _told(services, await services.batches.cancel(who.person, batch_id))


@router.post("/{batch_id}/pause")
async def pause(batch_id: BatchId, services: ServicesOf, who: Who) -> batch_schema.Batch:
    """Ask no further lines until it is resumed."""
    return _told(services, await services.batches.pause(who.person, batch_id))


@router.post("/{batch_id}/resume")
async def resume(batch_id: BatchId, services: ServicesOf, who: Who) -> batch_schema.Batch:
    """Go on, with the permissions of who resumes."""
    return _told(services, await services.batches.resume(who.person, batch_id, ACTOR.get()))


@router.delete("/{batch_id}")
async def delete(
    *,
    batch_id: BatchId,
    services: ServicesOf,
    who: Who,
    files: Annotated[bool, Query(description="Also the files it read that no other batch names")] = False,
) -> schema.Deleted:
    """Delete a batch that has ended, with its results, and the files it read if that is asked."""
    await services.batches.delete(who.person, batch_id, files=files)
    return schema.Deleted(id=batch_id, object="batch.deleted")


@router.get("/{batch_id}/lines")
async def lines(
    *,
    batch_id: BatchId,
    services: ServicesOf,
    who: Who,
    after: Annotated[int, Query(ge=0, le=10**9, description="Number of the last line before")] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    status: Literal["waiting", "completed", "failed"] | None = None,
) -> batch_schema.BatchLineList:
    """A batch's files, pages or requests in their order, and what became of each."""
    store = services.batches.store
    batch = await asyncio.to_thread(store.get, who.person, batch_id)
    state = next((number for number, word in _STATES.items() if word == status), None)
    found = await asyncio.to_thread(store.lines.some, batch, after=after, limit=limit + 1, state=state)
    return batch_schema.BatchLineList(
        data=[_line(line) for line in found[:limit]], has_more=len(found) > limit
    )


@router.get(
    "/{batch_id}/results",
    response_class=Response,
    responses={200: {"content": {media: {} for media in _MEDIA.values()}, "description": "The file"}},
)
async def results(
    batch_id: BatchId,
    services: ServicesOf,
    who: Who,
    format: Annotated[batch_schema.ExportFormat, Query()],  # noqa: A002 - the API's word
    language: Annotated[Literal["zh", "en"], Query(description="Of the file's own words")] = "zh",
) -> Response:
    """What became of each line, as one file; Word and PDF with the pictures. That it goes out is recorded first."""
    data = await services.batches.results(who.person, batch_id, format, language)
    headers = {
        "content-disposition": f'attachment; filename="{batch_id}.{format}"',
        "cache-control": "no-store",
    }
    return Response(data, media_type=_MEDIA[format], headers=headers)


def _line(line: Line) -> batch_schema.BatchLine:
    answer: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    if line.answer is not None:
        said = json.loads(line.answer)
        error = said["error"]
        body = said["response"]["body"] if said["response"] is not None else None
        if line.state == COMPLETED:
            answer = body
        elif isinstance(body, dict):
            error = body.get("error")
    return batch_schema.BatchLine(
        number=line.number,
        custom_id=line.source["id"],
        status=_STATES[line.state],
        answer=answer,
        text=said_in(answer) if answer is not None and "fields" not in answer else None,
        error=error,
    )


def _told(services: Services, batch: Batch) -> batch_schema.Batch:
    head, progress = batch.head, services.batches.worker.progress(batch)
    times = {f"{state}_at": int(when) for state, when in head.times.items()}
    results = {
        name: result_file(batch.id, state)
        for name, state, count in (
            ("output_file_id", COMPLETED, batch.completed),
            ("error_file_id", FAILED, batch.failed),
        )
        if count and not batch.going
    }
    used = batch.usage
    return batch_schema.Batch(
        id=batch.id,
        endpoint=head.endpoint,
        model=services.chat.engine.capabilities.model,
        errors=batch_schema.BatchErrors(data=[dict(error) for error in head.errors]) if head.errors else None,
        input_file_id=head.inputs[0],
        completion_window=head.window,
        status=batch.state,
        created_at=int(batch.created),
        expires_at=int(batch.expires),
        request_counts=batch_schema.BatchCounts(
            total=batch.total, completed=batch.completed, failed=batch.failed
        ),
        usage=batch_schema.BatchUsage(
            input_tokens=used.prompt_tokens,
            input_tokens_details=batch_schema.InputTokens(cached_tokens=used.cached_tokens),
            output_tokens=used.completion_tokens,
            output_tokens_details=batch_schema.OutputTokens(),
            total_tokens=used.prompt_tokens + used.completion_tokens,
        ),
        metadata=dict(head.metadata) if head.metadata is not None else None,
        vlpro=batch_schema.BatchExtension(
            paused=batch.paused,
            why=head.why,
            waits_for=progress.waits_for,
            instruction=head.instruction,
            template=head.template,
            files=0 if head.jsonl else len(head.inputs),
            per_second=progress.per_second,
            seconds_left=progress.seconds_left,
        ),
        **results,
        **times,
    )
