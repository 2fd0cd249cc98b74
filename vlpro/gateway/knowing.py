"""The service of knowledge bases, made from the settings."""

from __future__ import annotations

from vlpro.audit.recorder import Recorder
from vlpro.config import Settings
from vlpro.engines.interface import Engine
from vlpro.gateway.storage import Storage
from vlpro.imaging.ingest import Limits
from vlpro.imaging.pdf import PdfLimits
from vlpro.imaging.workers import WorkerPool
from vlpro.knowledge.given import GivenPages
from vlpro.knowledge.ingest import Ingest
from vlpro.knowledge.office import OfficeConverter
from vlpro.knowledge.options import KnowledgeOptions
from vlpro.knowledge.parts import embedder_of, index_of, ranking_of, reranker_of
from vlpro.knowledge.service import KnowledgeService
from vlpro.knowledge.store import KnowledgeStore
from vlpro.workflows.reading import PageReader

__all__ = ["knowledge_of"]


def knowledge_of(
    settings: Settings,
    where: Storage,
    reader: PageReader,
    recorder: Recorder,
    *,
    limits: Limits,
    engine: Engine,
) -> KnowledgeService:
    """What keeps knowledge bases; not started yet.

    Raises:
        ConfigError: A setting is wrong.
    """
    options = settings.knowledge or KnowledgeOptions()
    database, sealer = where
    store, embedder = KnowledgeStore(database, sealer), embedder_of(options)
    pictures = WorkerPool(
        limits,
        seconds=settings.image_timeout_s,
        pdf_limits=PdfLimits(
            max_bytes=options.max_bytes,
            max_pages=options.max_pages,
            max_picture_pixels=settings.max_image_pixels,
        ),
    )
    ingest = Ingest(
        store,
        pictures,
        reader,
        embedder,
        OfficeConverter(timeout_s=options.office_timeout_s, memory_mb=options.office_memory_mb),
        max_base_pages=options.max_base_pages,
    )
    return KnowledgeService(
        store,
        index_of(options, embedder, database, sealer),
        embedder,
        ingest=ingest,
        pictures=pictures,
        recorder=recorder,
        options=options,
        ranking=ranking_of(options),
        reranker=reranker_of(options),
        given=GivenPages(engine.forget),
    )
