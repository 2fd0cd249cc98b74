"""Settings of knowledge bases."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from vlpro.knowledge.server_options import ElasticsearchOptions, EmbeddingOptions, RerankOptions

__all__ = ["KnowledgeOptions"]

Positive = Annotated[int, Field(gt=0)]


class KnowledgeOptions(BaseModel):
    """A table of the settings; each of its fields has a default."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    max_bytes: Annotated[Positive, Field(description="Largest document, bytes")] = 50_000_000
    max_pages: Annotated[int, Field(ge=1, le=20_000, description="Most pages of a document")] = 2_000
    max_documents: Annotated[Positive, Field(description="Most documents of a base")] = 10_000
    max_bases: Annotated[Positive, Field(description="Most bases of a person")] = 50
    max_base_pages: Annotated[Positive, Field(description="Most pages of a base")] = 200_000
    candidates: Annotated[
        int, Field(ge=10, le=1_000, description="Passages that the index gives to be ranked")
    ] = 60
    office_timeout_s: Annotated[
        int, Field(ge=5, le=3_600, description="Seconds that LibreOffice may take over a document")
    ] = 180
    office_memory_mb: Annotated[
        int, Field(ge=512, le=65_536, description="Memory that LibreOffice may take for a document, MiB")
    ] = 2_048
    index: Annotated[
        Literal["memory", "postgres", "elasticsearch"],
        Field(
            description="Where the vectors lie; postgres: in the service's own database, with pgvector; in both of "
            "the others they lie in clear ([knowledge.md](knowledge.md))"
        ),
    ] = "memory"
    embedding: Annotated[
        EmbeddingOptions | None,
        Field(description="A server that makes vectors; none: the embedded model does"),
    ] = None
    rerank: Annotated[
        RerankOptions | None,
        Field(description="A server that ranks the best hits once more; none: nobody does"),
    ] = None
    elasticsearch: Annotated[
        ElasticsearchOptions | None, Field(description="The cluster of index elasticsearch")
    ] = None

    @model_validator(mode="after")
    def _together(self) -> KnowledgeOptions:
        if (self.index == "elasticsearch") != (self.elasticsearch is not None):
            raise ValueError("knowledge.index elasticsearch and knowledge.elasticsearch go together")
        return self
