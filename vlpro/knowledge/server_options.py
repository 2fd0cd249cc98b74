"""Servers inside the network that a knowledge base may use; imports no client, so that settings stay light."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr

__all__ = ["ElasticsearchOptions", "EmbeddingOptions", "RerankOptions"]

_FROZEN = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

_Url = Annotated[
    str,
    Field(
        pattern=r"^https?://\S+$",
        description="Base URL of an OpenAI-compatible server inside the network, with /v1",
    ),
]
_Key = Annotated[SecretStr, Field(description="Bearer token, if that server wants one")]
_Ca = Annotated[
    str,
    Field(
        description="PEM file of the authority that signed that server's certificate; empty: those that the system "
        "trusts"
    ),
]
_Socket = Annotated[
    str, Field(description="Unix socket on which that server listens; empty: over the network")
]
_Written = Annotated[
    str,
    Field(
        pattern=r"^(?s:.*)\{text\}(?s:.*)$",
        description="How it is written to the model; {text} stands for it",
    ),
]


class EmbeddingOptions(BaseModel):
    """A server that makes vectors (``/v1/embeddings``)."""

    model_config = _FROZEN

    url: _Url
    model: Annotated[str, Field(min_length=1, description="The model's name on that server")]
    dimensions: Annotated[
        int, Field(ge=8, le=4096, description="Length of its vectors; another one is an error")
    ]
    key: _Key = SecretStr("")
    ca: _Ca = ""
    socket: _Socket = ""
    query: _Written = "{text}"
    passage: _Written = "{text}"
    sees: Annotated[
        bool,
        Field(
            description="Whether the model takes pictures, as Qwen3-VL-Embedding on vLLM does: pages are found by "
            "their looks, too"
        ),
    ] = False
    instruction: Annotated[
        str, Field(min_length=1, description="To a model that sees: what a question's vector is for")
    ] = "Retrieve images or text relevant to the user's query."
    least: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="Score from which the best hit counts as an answer; each model has its own. 0: every best "
            "hit does, and nothing is said not to be in the documents",
        ),
    ] = 0
    batch: Annotated[int, Field(ge=1, le=1024, description="Most texts of one request")] = 32
    concurrency: Annotated[int, Field(ge=1, le=64, description="Most requests in flight")] = 4


class RerankOptions(BaseModel):
    """A server that ranks the best hits once more (``/v1/rerank``)."""

    model_config = _FROZEN

    url: _Url
    model: Annotated[str, Field(min_length=1, description="The model's name on that server")]
    key: _Key = SecretStr("")
    ca: _Ca = ""
    socket: _Socket = ""
    sees: Annotated[
        bool,
        Field(
            description="Whether the model takes pictures, as Qwen3-VL-Reranker on vLLM does: it gets the page"
        ),
    ] = False
    best: Annotated[int, Field(ge=2, le=100, description="How many of the best hits it is asked about")] = 20


class ElasticsearchOptions(BaseModel):
    """The cluster of ``index`` elasticsearch."""

    model_config = _FROZEN

    url: Annotated[
        str, Field(pattern=r"^https?://\S+$", description="Its address, such as https://elk.example.cn:9200")
    ]
    api_key: Annotated[SecretStr, Field(description="API key in its encoded form (id:key in base64)")] = (
        SecretStr("")
    )
    ca: _Ca = ""
    index: Annotated[
        str,
        Field(
            pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$", description="Name of the index; made where it is missing"
        ),
    ] = "vlpro-knowledge"
