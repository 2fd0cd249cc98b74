"""The services of extractions and of what goes to other systems, made from the settings."""

from __future__ import annotations

from collections.abc import Callable

from vlpro.audit.recorder import Recorder
from vlpro.chat.history import Rules
from vlpro.chat.service import ChatService
from vlpro.config import Settings
from vlpro.engines import registry
from vlpro.engines.worker.client import WorkerEngine
from vlpro.gateway.storage import Storage
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


def deliveries_of(settings: Settings, where: Storage, recorder: Recorder) -> Deliveries:
    """What brings results to other systems; not started yet.

    Raises:
        ConfigError: A file of certificates cannot be read.
    """
    return Deliveries(Outbox(*where), settings.delivery, recorder)


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
    where: Storage,
    chat: ChatService,
    reader: PageReader,
    *,
    deliveries: Deliveries,
    rules: Callable[[], Rules],
) -> ExtractionService:
    """What reads documents as fields; not started yet.

    Raises:
        ConfigError: A template is wrong.
    """

    def masking() -> Masking | None:
        return identity.policies.known.exports if identity is not None else None

    return ExtractionService(
        chat,
        reader,
        ExtractionStore(*where),
        load_templates(settings.templates),
        deliveries,
        max_pages=settings.max_images,
        rules=rules,
        masking=masking,
    )
