"""The service of reports, made from the settings; and its results on their way to the wire."""

from __future__ import annotations

from collections.abc import Callable

from vlpro import report_schema as wire
from vlpro.chat.history import Rules
from vlpro.chat.service import ChatService
from vlpro.config import Settings
from vlpro.gateway import extraction_translate
from vlpro.gateway.profile import database_of, sealer_of
from vlpro.identity.labels import Level
from vlpro.identity.service import Identity
from vlpro.masking import Masking
from vlpro.workflows.report.options import ReportOptions
from vlpro.workflows.report.service import Asked, ReportService, Shown
from vlpro.workflows.report.store import ReportStore, StoredReport

__all__ = ["asked", "report", "reports_of"]


def reports_of(
    settings: Settings, identity: Identity | None, chat: ChatService, *, rules: Callable[[], Rules]
) -> ReportService:
    """What makes reports; not started yet.

    Raises:
        ConfigError: The database cannot be used.
        DatabaseError: It does not answer.
    """

    def masking() -> Masking | None:
        return identity.policies.known.exports if identity is not None else None

    if identity is not None:
        store = ReportStore(identity.database, identity.sealer)
    else:
        store = ReportStore(database_of(settings), sealer_of(settings))
    return ReportService(
        chat,
        store,
        settings.report or ReportOptions(),
        producer=settings.content_producer,
        keeps_pictures=lambda: rules().keep_images,
        masking=masking,
    )


def asked(body: wire.NewReport, settings: Settings) -> Asked:
    """A request's files and wishes.

    Raises:
        ImageError: A file is no data URL, no base64, or too large; names the field.
    """
    return Asked(
        inputs=extraction_translate.inputs(body.input, settings),
        instruction=body.instruction.strip(),
        title=" ".join(body.title.split()),
        language=body.language,
        level=Level.of(body.level) if body.level is not None else None,
    )


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
