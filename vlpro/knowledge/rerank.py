"""A second opinion on the best hits: a reranking model behind ``/rerank``, as Jina, Cohere and vLLM have it.

Qwen3-VL-Reranker reads the question and a passage together, with the page's picture where it is given, and says how
well they fit. It is asked about a few hits only: it costs a prompt each.
"""

from __future__ import annotations

import base64
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from vlpro.engines.control import parted
from vlpro.engines.upstream import Upstream
from vlpro.errors import EngineError
from vlpro.knowledge.search import Found, Hit
from vlpro.knowledge.servers import ModelServer

__all__ = ["Reranked", "Reranker", "reordered"]

log = logging.getLogger(__name__)

SETTINGS = "knowledge.rerank."
"""How the settings' names begin."""


@dataclass(frozen=True, slots=True)
class Reranked:
    """What is ranked.

    Args:
        text: Of a passage.
        picture: Of its page, as a JPEG; for a model that sees.
    """

    text: str
    picture: bytes | None = None


class Reranker:
    """One server.

    Args:
        upstream: The way to it; its URL with ``/v1``.
        model: The model's name there.
        sees: Whether the model takes pictures; otherwise they are left out.
    """

    def __init__(self, upstream: Upstream, *, model: str, sees: bool = False) -> None:
        self._server = ModelServer(upstream, SETTINGS)
        self.model = model
        self.sees = sees

    async def scores(self, query: str, documents: Sequence[Reranked]) -> list[float]:
        """How well each answers the question, in their order: the more, the better; comparable within one call.

        Raises:
            EngineError: The server refuses, does not answer, or answers nonsense.
        """
        if not documents:
            return []
        answer = await self._server.post(
            "/rerank",
            {
                "model": self.model,
                "query": parted(query),
                "documents": [self._document(document) for document in documents],
                "top_n": len(documents),
            },
        )
        results = answer.get("results")
        if not isinstance(results, list) or len(results) != len(documents):
            raise self._server.nonsense(f"not {len(documents)} results")
        found: dict[int, float] = {}
        for result in results:
            place, score = _read(result)
            if place is None or not 0 <= place < len(documents) or place in found:
                raise self._server.nonsense("not one result a document")
            if score is None:
                raise self._server.nonsense("a score is no number")
            found[place] = score
        return [found[place] for place in range(len(documents))]

    async def stop(self) -> None:
        """Close its connections."""
        await self._server.stop()

    def _document(self, document: Reranked) -> str | dict[str, Any]:
        text = parted(document.text)
        if not self.sees or document.picture is None:
            return str(text)
        url = f"data:image/jpeg;base64,{base64.b64encode(document.picture).decode()}"
        return {
            "content": [
                {"type": "image_url", "image_url": {"url": url}},
                {"type": "text", "text": text},
            ]
        }


async def reordered(
    found: Found,
    query: str,
    reranker: Reranker,
    picture: Callable[[Hit], Awaitable[bytes]],
    limit: int,
) -> Found:
    """The best hits in the model's order; each keeps its own score, and whether they answer stays as it was judged.

    Args:
        found: More hits than are wanted, the best first: all are asked about.
        query: As asked.
        reranker: Where it does not answer, the order stays, and the log says so.
        picture: Gives the JPEG of a hit's page; called where the model sees, once a page.
        limit: How many hits are wanted.
    """
    pages: dict[tuple[str, int], bytes] = {}
    if reranker.sees:
        for hit in found.hits:
            if (hit.version, hit.page) not in pages:
                pages[hit.version, hit.page] = await picture(hit)
    documents = [Reranked(hit.text, pages.get((hit.version, hit.page))) for hit in found.hits]
    try:
        scores = await reranker.scores(query, documents)
    except EngineError as error:
        log.warning("hits are in their own order: %s", error)
        return replace(found, hits=found.hits[:limit])
    order = sorted(range(len(scores)), key=lambda place: -scores[place])
    return replace(found, hits=tuple(found.hits[place] for place in order[:limit]))


def _read(result: object) -> tuple[int | None, float | None]:
    """Place and score of a result; None, where it is not what it should be."""
    if not isinstance(result, dict):
        return None, None
    place, score = result.get("index"), result.get("relevance_score")
    number = math.nan
    if isinstance(score, int | float) and not isinstance(score, bool):
        with suppress(OverflowError):
            number = float(score)
    return (place if type(place) is int else None), (number if math.isfinite(number) else None)
