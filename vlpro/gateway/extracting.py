"""The services of extractions and of what goes to other systems, made from the settings."""

from __future__ import annotations

from collections.abc import Callable

from vlpro.audit.recorder import Recorder
from vlpro.chat.history import Rules
from vlpro.chat.service import ChatService
from vlpro.config import Settings
from vlpro.crypto import Sealer
from vlpro.db import Database
from vlpro.engines import registry
from vlpro.engines.worker.client import WorkerEngine
from vlpro.gateway.profile import database_of, sealer_of
from vlpro.identity.service import Identity
from vlpro.masking import Masking
from vlpro.workflows.delivery.outbox import Outbox
from vlpro.workflows.delivery.service import Deliveries
from vlpro.workflows.extraction.service import ExtractionService
from vlpro.workflows.extraction.store import ExtractionStore
from vlpro.workflows.extraction.template import load_templates
from vlpro.workflows.reading import PageReader

__all__ = ["deliveries_of", "extractions_of", "reader_of"]

_READER = "ocr"


def deliveries_of(settings: Settings, identity: Identity | None, recorder: Recorder) -> Deliveries:
    """What brings results to other systems; not started yet.

    Raises:
        ConfigError: A file of certificates cannot be read, or the database cannot be used.
        DatabaseError: It does not answer.
    """
    return Deliveries(Outbox(*_stored(settings, identity)), settings.delivery, recorder)


def reader_of(settings: Settings, chat: ChatService) -> PageReader:
    """What reads the text of pages, whatever engine answers."""
    return PageReader(
        chat,
        lambda: WorkerEngine(registry.create(_READER), {}, idle_unload_s=settings.idle_unload_s),
        queue_size=settings.queue_size,
        timeout_s=settings.answer_timeout_s,
    )


def extractions_of(
    settings: Settings,
    identity: Identity | None,
    chat: ChatService,
    reader: PageReader,
    deliveries: Deliveries,
    *,
    rules: Callable[[], Rules],
) -> ExtractionService:
    """What reads documents as fields; not started yet.

    Raises:
        ConfigError: A template is wrong, or the database cannot be used.
        DatabaseError: It does not answer.
    """

    def masking() -> Masking | None:
        return identity.policies.known.exports if identity is not None else None

    return ExtractionService(
        chat,
        reader,
        ExtractionStore(*_stored(settings, identity)),
        load_templates(settings.templates),
        deliveries,
        max_pages=settings.max_images,
        rules=rules,
        masking=masking,
    )


def _stored(settings: Settings, identity: Identity | None) -> tuple[Database, Sealer]:
    if identity is not None:
        return identity.database, identity.sealer
    return database_of(settings), sealer_of(settings)
