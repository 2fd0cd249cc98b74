"""The service of reports, made from the settings; and its results on their way to the wire."""

from __future__ import annotations

from collections.abc import Callable

from vlpro.chat.history import Rules
from vlpro.chat.service import ChatService
from vlpro.config import Settings
from vlpro.errors import BadRequestError, ImageError
from vlpro.gateway import extraction_translate
from vlpro.gateway.storage import Storage
from vlpro.identity.labels import Level
from vlpro.identity.principal import Person
from vlpro.identity.service import Identity
from vlpro.masking import Masking
from vlpro.schema import reports as wire
from vlpro.schema.extractions import InputFilePart
from vlpro.workflows.batch.files import FileStore
from vlpro.workflows.pages import Input
from vlpro.workflows.report.options import ReportOptions
from vlpro.workflows.report.service import Asked, ReportService, Shown
from vlpro.workflows.report.store import ReportStore, StoredReport

__all__ = ["asked", "report", "reports_of"]


def reports_of(
    settings: Settings,
    identity: Identity | None,
    where: Storage,
    chat: ChatService,
    *,
    rules: Callable[[], Rules],
) -> ReportService:
    """What makes reports; not started yet."""

    def masking() -> Masking | None:
        return identity.policies.known.exports if identity is not None else None

    return ReportService(
        chat,
        ReportStore(*where),
        settings.report or ReportOptions(),
        producer=settings.content_producer,
        keeps_pictures=lambda: rules().keep_images,
        masking=masking,
    )


def asked(body: wire.NewReport, settings: Settings, files: FileStore, person: Person) -> Asked:
    """A request's files and wishes. Blocks: not for the event loop.

    Args:
        body: The request.
        settings: With the limits of files.
        files: Where those lie that were sent before.
        person: Whose they are.

    Raises:
        BadRequestError: A file cannot be used; names the field.
        NotFoundError: There is no such file.
    """
    return Asked(
        inputs=[
            _input(part, f"input[{index}]", settings, files, person) for index, part in enumerate(body.input)
        ],
        instruction=body.instruction.strip(),
        title=" ".join(body.title.split()),
        language=body.language,
        level=Level.of(body.level) if body.level is not None else None,
    )


def _input(part: wire.ReportPart, where: str, settings: Settings, files: FileStore, person: Person) -> Input:
    if not isinstance(part, wire.ReportFilePart):
        return extraction_translate.input_of(part, where, settings)
    if (part.file_data is None) == (part.file_id is None):
        raise BadRequestError(
            "A file is either inside the request (file_data) or sent before (file_id): give one of the two.",
            zh="文件应放在 file_data 中，或先上传后用 file_id 指定，两者选一。",
            param=f"{where}.file_id",
        )
    if part.file_data is not None:
        inside = InputFilePart(type="input_file", file_data=part.file_data, filename=part.filename)
        return extraction_translate.input_of(inside, where, settings)
    param = f"{where}.file_id"
    stored = files.get(person, str(part.file_id), param=param)
    most = max(settings.max_pdf_bytes, settings.max_image_bytes)
    if stored.bytes > most:
        raise ImageError(
            f"This file is larger than {most / 1e6:g} MB.",
            zh=f"文件超过 {most / 1e6:g} MB。",
            param=param,
            code="image_too_large",
        )
    return Input(b"".join(files.parts(stored)), part.filename or stored.name, param)


def report(shown: Shown, service: ReportService) -> wire.Report:
    """A report as its owner sees it."""
    error = shown.error
    return wire.Report(
        id=shown.id,
        created=int(shown.created),
        status=shown.state,
        level=shown.level.word,
        progress=wire.ReportProgress(done=shown.done, steps=shown.steps),
        report=_content(shown.stored, service) if shown.stored is not None else None,
        error=(
            wire.ReportFailure(code=error.code, message=error.message, message_zh=error.zh)
            if error is not None
            else None
        ),
    )


def _content(stored: StoredReport, service: ReportService) -> wire.ReportContent:
    held, label = stored.report, service.label(stored.id)
    return wire.ReportContent(
        title=held.title,
        summary=held.summary,
        verdict=held.verdict,
        findings=[
            wire.ReportFinding(
                number=number,
                image=one.image,
                text=one.text,
                severity=one.severity,
                basis=one.basis,
                boxes=list(one.boxes),
            )
            for number, one in enumerate(held.findings, 1)
        ],
        images=[
            wire.ReportImage(
                number=number,
                name=one.name,
                page=one.page,
                width=one.width,
                height=one.height,
                sha256=one.sha256,
                available=number in stored.pictures,
            )
            for number, one in enumerate(held.pictures, 1)
        ],
        instruction=held.instruction,
        language=held.language,
        engine=held.engine,
        model=held.model,
        sees=held.sees,
        notice=label.notice(held.language),
        AIGC=wire.AigcLabel(**label.fields()),
    )
