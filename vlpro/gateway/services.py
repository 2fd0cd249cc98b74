"""All services of one application, made from the settings."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from vlpro import errors
from vlpro.audit.recorder import LogRecorder, NullRecorder, Recorder
from vlpro.chat.conversation_service import ConversationService
from vlpro.chat.pictures import PictureStore
from vlpro.chat.service import ChatService
from vlpro.chat.store import ConversationStore
from vlpro.config import Settings
from vlpro.device import DeviceMonitor
from vlpro.engines.interface import Engine
from vlpro.engines.model_files import find_manifest
from vlpro.gateway.deps import Services
from vlpro.gateway.extracting import deliveries_of, extractions_of, reader_of
from vlpro.gateway.inspecting import inspections_of
from vlpro.gateway.knowing import knowledge_of
from vlpro.gateway.profile import (
    batches_of,
    compliance_of,
    exports_of,
    queries_of,
    rules_of,
    storage_of,
    verifications_of,
)
from vlpro.gateway.reporting import reports_of
from vlpro.gateway.storage import Storage
from vlpro.gateway.traces import traces_of
from vlpro.identity.service import Identity
from vlpro.imaging.ingest import Limits
from vlpro.imaging.pdf import PdfLimits
from vlpro.imaging.workers import WorkerPool
from vlpro.knowledge.answer import KnowledgeAnswers

__all__ = ["services_of"]


def services_of(
    settings: Settings,
    engine: Engine,
    recorder: Recorder | None = None,
    identity: Identity | None = None,
    store: ConversationStore | None = None,
    *,
    where: Storage | None = None,
) -> Services:
    """All services; the engine is not started yet. Without a recorder nothing is recorded: for tests."""
    recorder, where = recorder or NullRecorder(), where or storage_of(settings, identity)
    audited = recorder if isinstance(recorder, LogRecorder) and identity is not None else None
    limits = Limits(
        max_bytes=settings.max_image_bytes,
        max_pixels=settings.max_image_pixels,
        max_side=settings.max_image_side,
        max_aspect=settings.max_image_aspect,
        max_decode_bytes=settings.max_image_decode_bytes,
    )
    chat_service = ChatService(
        engine,
        limits=limits,
        reader=WorkerPool(
            limits,
            seconds=settings.image_timeout_s,
            with_sm3=settings.crypto == "gm",
            pdf_limits=PdfLimits(
                max_bytes=settings.max_pdf_bytes,
                max_pages=settings.max_pdf_pages,
                max_picture_pixels=settings.max_image_pixels,
            ),
        ),
        max_images=settings.max_images,
        max_text_chars=settings.max_text_chars,
        max_choices=settings.max_choices,
        queue_size=settings.queue_size,
        answer_timeout_s=settings.answer_timeout_s,
        answer_language=settings.answer_language,
        share_prefixes=settings.share_prefixes,
        recorder=recorder,
        model_digest=_model_digest(settings),
    )
    pictures = PictureStore(max_bytes=settings.max_picture_store_bytes, ttl_s=settings.idle_ttl_s)
    rules = rules_of(settings, identity)
    deliveries, reader = deliveries_of(settings, where, recorder), reader_of(settings, chat_service)
    knowledge = knowledge_of(settings, where, reader, recorder, limits=limits, engine=engine)
    return Services(
        settings=settings,
        chat=chat_service,
        conversations=ConversationService(
            chat_service,
            pictures,
            limits=limits,
            max_images=settings.max_images,
            max_conversations=settings.max_conversations,
            ttl_s=settings.idle_ttl_s,
            reads_ahead=settings.read_ahead,
            store=store,
            rules=rules,
            search_bytes=settings.max_search_bytes,
        ),
        device=DeviceMonitor(),
        batches=batches_of(
            settings,
            identity,
            where,
            recorder,
            chat_service.reader,
            picture_pixels=engine.capabilities.picture_pixels,
        ),
        inspections=inspections_of(
            settings, where, chat_service, reader, deliveries, knowledge=knowledge, rules=rules
        ),
        deliveries=deliveries,
        extractions=extractions_of(
            settings, identity, where, chat_service, reader, deliveries=deliveries, rules=rules
        ),
        reports=reports_of(settings, identity, where, chat_service, rules=rules),
        knowledge=knowledge,
        knowledge_answers=KnowledgeAnswers(knowledge.finder, chat_service, reader),
        started=int(time.time()),
        traces=traces_of(settings.otel_endpoint, settings.otel_ca),
        recorder=recorder,
        storage=where,
        identity=identity,
        audit=queries_of(settings, audited) if audited else None,
        audit_exports=exports_of(audited) if audited else None,
        verifications=verifications_of(settings, audited) if audited else None,
        compliance=compliance_of(settings, audited) if audited else None,
    )


def _model_digest(settings: Settings) -> str:
    """SHA-256 over the manifest of the model's files, hexadecimal; empty where there are none."""
    if not settings.model_dir:
        return ""
    try:
        manifest = find_manifest(settings.model_manifest, Path(settings.model_dir))
    except errors.ModelFilesError:
        return ""  # the engine says so, and does not load
    return hashlib.sha256(manifest.to_json().encode()).hexdigest()
