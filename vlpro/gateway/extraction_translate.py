"""Between the wire and extractions."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from datetime import UTC, datetime

from vlpro.config import Settings
from vlpro.errors import ImageError
from vlpro.gateway.translate import upload
from vlpro.identity.labels import Level
from vlpro.schema import extractions as wire
from vlpro.workflows.delivery.outbox import Delivery
from vlpro.workflows.extraction.reading import Asked
from vlpro.workflows.extraction.service import ExtractionService, Measured
from vlpro.workflows.extraction.standing import Standing
from vlpro.workflows.extraction.stored import Head
from vlpro.workflows.extraction.template import Column, Field, Template
from vlpro.workflows.pages import Input

__all__ = [
    "asked",
    "corrections",
    "delivery",
    "extraction",
    "file_name",
    "input_of",
    "item",
    "known",
    "template",
]

_PDF = re.compile(r"data:application/pdf(;[^,]*)?;base64,", re.IGNORECASE)
# By which a result is told from others in a list: whom it is from, and how much.
_NAMING = ("seller", "merchant", "store", "company", "party_a", "name", "from", "number", "train")
_AMOUNTS = ("total", "amount", "price", "fare", "reading")


def asked(body: wire.NewExtraction, once: str, settings: Settings) -> Asked:
    """A request's files and wishes.

    Raises:
        ImageError: A file is no data URL, no base64, or too large; names the field.
    """
    return Asked(
        inputs=[input_of(part, f"input[{index}]", settings) for index, part in enumerate(body.input)],
        template=body.template,
        schema=body.schema_,
        review=body.review,
        deliver=body.deliver or "",
        level=Level.of(body.level) if body.level is not None else None,
        metadata=body.metadata,
        once=once,
    )


def input_of(part: wire.InputPart, where: str, settings: Settings) -> Input:
    """A file of a request.

    Args:
        part: With the file.
        where: The part's place in the request.
        settings: With the limits of files.

    Raises:
        ImageError: As :func:`asked`.
    """
    match part:
        case wire.FilePart():
            field, url, name = "file.file_data", part.file.file_data, part.file.filename
        case wire.InputFilePart():
            field, url, name = "file_data", part.file_data, part.filename
        case _:
            field, url, name = "image_url.url", part.image_url.url, None
    param = f"{where}.{field}"
    return Input(_bytes(url, param, settings), _plain_name(name or ""), param)


def _bytes(url: str, param: str, settings: Settings) -> bytes:
    found = _PDF.match(url)
    if found is None:
        return upload(url, param, settings.max_image_bytes).data
    encoded = url[found.end() :]
    if len(encoded) // 4 * 3 > settings.max_pdf_bytes + 2:
        raise ImageError(
            f"The PDF is larger than {settings.max_pdf_bytes / 1e6:g} MB.",
            zh=f"PDF 超过 {settings.max_pdf_bytes / 1e6:g} MB。",
            param=param,
            code="pdf_too_large",
        )
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ImageError(
            "The PDF is not valid base64.",
            zh="PDF 不是有效的 base64 编码。",
            param=param,
            code="invalid_base64",
        ) from None


def _plain_name(name: str) -> str:
    """A file's name without folders and without what does not print."""
    last = re.split(r"[\\/]", name)[-1]
    return "".join(letter for letter in last if letter.isprintable())[:255]


def extraction(found: Standing, deliveries: Sequence[Delivery] = ()) -> wire.ExtractionInfo:
    """A result as one person sees it."""
    stored = found.stored
    return wire.ExtractionInfo.model_validate(
        found.as_json()
        | {
            "duplicate_of": stored.duplicate_of or None,
            "unsettled": list(found.unsettled),
            "review": stored.handed_over,
            "own": found.own,
            "deliver": stored.deliver or None,
            "pages": [
                {
                    "page": number,
                    "width": size[0],
                    "height": size[1],
                    "name": note.name,
                    "available": note.available,
                }
                for number, (note, size) in enumerate(zip(stored.pages, found.now.pages, strict=False), 1)
            ],
            "deliveries": [delivery(one).model_dump() for one in deliveries],
        }
    )


def item(found: Standing | Head, person: str) -> wire.ExtractionItem:
    """A result as it is listed."""
    if isinstance(found, Head):
        return wire.ExtractionItem(
            id=found.id,
            created=int(found.created),
            updated=int(found.updated),
            template="",
            name="",
            verdict=found.verdict,
            state=found.state,
            level=found.level.word,
            own=found.owner == person,
            damaged=True,
        )
    stored, title = found.stored, found.template.title if found.template is not None else None
    return wire.ExtractionItem(
        id=stored.id,
        created=int(stored.created),
        updated=int(stored.updated),
        template=stored.extraction.template,
        title=title.en if title is not None else "",
        title_zh=title.zh if title is not None else "",
        name=_called(found),
        amount=_first(found, _AMOUNTS),
        verdict=found.now.verdict,
        state=stored.state,
        level=stored.level.word,
        own=found.own,
    )


def _first(found: Standing, names: Sequence[str]) -> str | None:
    values = (found.now.fields[name].normalized for name in names if name in found.now.fields)
    return next((value[:120] for value in values if value), None)


def _called(found: Standing) -> str:
    files = (page.name for page in found.stored.pages if page.name)
    return _first(found, _NAMING) or next(files, "")


def template(one: Template) -> wire.TemplateInfo:
    """A kind of document."""
    return wire.TemplateInfo(
        name=one.name,
        title=one.title.en,
        title_zh=one.title.zh,
        fields=[_field(field) for field in one.fields],
        items=[_field(column) for column in one.columns],
    )


def _field(one: Field | Column) -> wire.TemplateField:
    required = isinstance(one, Field) and one.required
    return wire.TemplateField(
        name=one.name, title=one.title.en, title_zh=one.title.zh, type=one.type, required=required
    )


def corrections(found: Measured) -> wire.Corrections:
    """What people corrected."""
    told = []
    for stored, name, right in found.corrections:
        read = stored.extraction.fields[name]
        told.append(
            wire.Correction(
                extraction=stored.id,
                template=stored.extraction.template,
                field=name,
                read=read.normalized,
                right=right,
                confidence=round(read.confidence, 3),
                page=read.page,
                box=read.box,
                engine=stored.engine,
            )
        )
    return wire.Corrections(
        data=told,
        extractions=found.extractions,
        fields=found.fields,
        unchanged=found.fields - len(told),
    )


def delivery(one: Delivery) -> wire.DeliveryInfo:
    """A result on its way."""
    return wire.DeliveryInfo(
        id=one.id,
        target=one.target,
        state=one.state,
        tries=one.tries,
        problem=one.problem or None,
        created=int(one.created),
        updated=int(one.updated),
        next_try=int(one.next) if one.state == "waiting" else None,
    )


def file_name(kind: str) -> str:
    """Of an export."""
    return f"extractions-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.{kind}"


def known(service: ExtractionService) -> wire.TemplateList:
    """All kinds of documents, and where results can go."""
    return wire.TemplateList(
        data=[template(one) for one in service.templates.values()],
        targets=list(service.deliveries.targets),
    )
