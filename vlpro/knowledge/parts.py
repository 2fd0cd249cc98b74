"""What the settings choose: who makes vectors, where they lie, who ranks once more."""

from __future__ import annotations

from vlpro.crypto import Sealer
from vlpro.db import Database
from vlpro.engines.upstream import Upstream
from vlpro.knowledge.embedding.interface import Embedder
from vlpro.knowledge.embedding.nano import NanoEmbedder
from vlpro.knowledge.embedding.server import SETTINGS as EMBEDDING
from vlpro.knowledge.embedding.server import EmbeddingServer
from vlpro.knowledge.index.elastic import SETTINGS as ELASTICSEARCH
from vlpro.knowledge.index.elastic import ElasticIndex
from vlpro.knowledge.index.interface import Index
from vlpro.knowledge.index.memory import MemoryIndex
from vlpro.knowledge.index.postgres import PostgresIndex, prepare
from vlpro.knowledge.options import KnowledgeOptions
from vlpro.knowledge.rerank import SETTINGS as RERANK
from vlpro.knowledge.rerank import Reranker
from vlpro.knowledge.search import Ranking

__all__ = ["embedder_of", "index_of", "ranking_of", "reranker_of"]


def embedder_of(options: KnowledgeOptions) -> Embedder:
    """Who makes vectors: the server of the settings, or the embedded model.

    Raises:
        ConfigError: A setting of the server cannot be meant.
    """
    server = options.embedding
    if server is None:
        return NanoEmbedder()
    return EmbeddingServer(
        Upstream(
            server.url,
            key=server.key.get_secret_value(),
            ca=server.ca,
            socket=server.socket,
            settings=EMBEDDING,
        ),
        model=server.model,
        dimensions=server.dimensions,
        query=server.query,
        passage=server.passage,
        sees=server.sees,
        instruction=server.instruction,
        batch=server.batch,
        concurrency=server.concurrency,
    )


def index_of(options: KnowledgeOptions, embedder: Embedder, database: Database, sealer: Sealer) -> Index:
    """Where vectors lie. Blocks, where that is elsewhere: it is made ready there.

    Args:
        options: The settings.
        embedder: Whose vectors they are.
        database: The service's own.
        sealer: Its keyed hash hides codes elsewhere.

    Raises:
        ConfigError: It cannot be made ready: says what to do.
        DatabaseError: It does not answer.
    """
    if options.index == "postgres":
        postgres = PostgresIndex(database, sealer.mac, model=embedder.model, dimensions=embedder.dimensions)
        prepare(database)
        return postgres
    if options.index == "elasticsearch" and options.elasticsearch is not None:
        cluster = options.elasticsearch
        way = Upstream(
            cluster.url,
            key=cluster.api_key.get_secret_value(),
            scheme="ApiKey",
            ca=cluster.ca,
            settings=ELASTICSEARCH,
        )
        elastic = ElasticIndex(
            way, cluster.index, sealer.mac, model=embedder.model, dimensions=embedder.dimensions
        )
        elastic.prepare()
        return elastic
    return MemoryIndex(embedder.dimensions)


def ranking_of(options: KnowledgeOptions) -> Ranking:
    """The weights; what is an answer depends on the model of the vectors."""
    return Ranking() if options.embedding is None else Ranking(least=options.embedding.least)


def reranker_of(options: KnowledgeOptions) -> Reranker | None:
    """Who ranks once more; None: nobody.

    Raises:
        ConfigError: A setting of it cannot be meant.
    """
    server = options.rerank
    if server is None:
        return None
    way = Upstream(
        server.url, key=server.key.get_secret_value(), ca=server.ca, socket=server.socket, settings=RERANK
    )
    return Reranker(way, model=server.model, sees=server.sees)
