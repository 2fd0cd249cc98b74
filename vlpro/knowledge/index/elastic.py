"""The index in Elasticsearch, for companies that run one: dense vectors, and codes as keyed hashes.

As in PostgreSQL, a vector lies there in clear and no text does: ranking by words takes place here, on what the store
decrypts, so Elasticsearch's own BM25 over clear text is not used. The nearest are found by Elasticsearch's graph
(HNSW over vectors of 8 bits), which may miss some; those with a code are all looked at.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any
from urllib.parse import quote

import httpx

from vlpro.engines.upstream import Upstream
from vlpro.errors import ConfigError, DatabaseError
from vlpro.knowledge.embedding.interface import Vectors
from vlpro.knowledge.index.interface import Candidate, Index, IndexedPage
from vlpro.logs import safe_words

__all__ = ["ElasticIndex"]

SETTINGS = "knowledge.elasticsearch."
"""How the settings' names begin."""

log = logging.getLogger(__name__)

_TIMEOUT_S = 30.0
_MOST_ANSWER = 32_000_000  # bytes
_ROWS = 500  # of one request
_LISTED = 1_000  # documents of one request
_MOST_CANDIDATES = 10_000  # Elasticsearch's own bound
_CODE_BYTES = 16
_SCORE = "dotProduct(params.vector, 'vector') + 2.0"  # Elasticsearch takes no score below 0
_PLACE = ["base", "document", "page", "passage"]


class ElasticIndex(Index):
    """An index of a cluster.

    Args:
        upstream: The way to it.
        index: Its name.
        mac: Keyed hash of data for a place: :meth:`vlpro.crypto.Sealer.mac`.
        model: Of the vectors. Those of another one lie there until their document is put again, and are not found.
        dimensions: Length of its vectors.
    """

    def __init__(
        self,
        upstream: Upstream,
        index: str,
        mac: Callable[[bytes, str], bytes],
        *,
        model: str,
        dimensions: int,
    ) -> None:
        self._upstream = upstream
        self._index = index
        self._mac = mac
        self._model = hashlib.sha256(model.encode()).hexdigest()[:16]
        self._dimensions = dimensions
        self._http = upstream.blocking_client(read_s=_TIMEOUT_S)

    def prepare(self) -> None:
        """Make the index where it is missing.

        Raises:
            ConfigError: The key's rights are too few, or the index is one for other vectors.
            DatabaseError: Elasticsearch does not answer.
        """
        status, found = self._ask("GET", f"/{self._index}/_mapping", known=(404,))
        if status == 404:
            self._ask("PUT", f"/{self._index}", {"mappings": self._mapping()})
            return
        try:
            (mapping,) = (one["mappings"]["properties"]["vector"]["dims"] for one in found.values())
        except (KeyError, TypeError, ValueError, AttributeError):
            mapping = None
        if mapping != self._dimensions:
            raise ConfigError(
                f"Elasticsearch's index {self._index} is not for vectors of {self._dimensions} numbers: set "
                f"{SETTINGS}index to another name, which is made then.",
                zh=f"Elasticsearch 索引 {self._index} 与 {self._dimensions} 维向量不符：请将 {SETTINGS}index "
                "改为其他名称，系统会自动创建。",
                param=f"{SETTINGS}index",
            )

    def put(self, base: str, document: str, pages: Sequence[IndexedPage]) -> None:
        """Found page by page while it is written; :meth:`kept` lists it when it is whole."""
        self.remove(base, document)
        rows = self._rows(base, document, pages)
        while batch := list(islice(rows, _ROWS)):
            self._bulk(batch)
        # The mark goes last, so that a document that was broken off is put again.
        passages = sum(len(page.vectors) for page in pages)
        whole = {"base": base, "document": document, "model": self._model, "whole": True, "passage": passages}
        self._bulk([("whole", whole)])
        self._ask("POST", f"/{self._index}/_refresh")

    def remove(self, base: str, document: str | None = None) -> None:
        """Elasticsearch overwrites what was removed when it next merges."""
        filters = [{"term": {"base": base}}]
        if document is not None:
            filters.append({"term": {"document": document}})
        self._ask("POST", f"/{self._index}/_refresh")  # it sees only what a refresh has shown
        self._ask(
            "POST",
            f"/{self._index}/_delete_by_query?conflicts=proceed&refresh=true",
            {"query": {"bool": {"filter": filters}}},
        )

    def kept(self) -> Mapping[tuple[str, str], int]:
        """All whole documents whose vectors are of the model in use."""
        found: dict[tuple[str, str], int] = {}
        sources = [{name: {"terms": {"field": name}}} for name in ("base", "document", "passage")]
        listed: dict[str, Any] = {"size": _LISTED, "sources": sources}
        query = {"bool": {"filter": [{"term": {"whole": True}}, {"term": {"model": self._model}}]}}
        while True:
            _, answer = self._ask(
                "POST",
                f"/{self._index}/_search",
                {"size": 0, "query": query, "aggs": {"documents": {"composite": listed}}},
            )
            try:
                part = answer["aggregations"]["documents"]
                for key in (one["key"] for one in part["buckets"]):
                    found[key["base"], key["document"]] = int(key["passage"])
            except (KeyError, TypeError, ValueError):
                raise self._nonsense() from None
            if "after_key" not in part:
                return found
            listed["after"] = part["after_key"]

    def candidates(
        self, bases: Collection[str], vector: Vectors, codes: frozenset[str], limit: int
    ) -> list[Candidate]:
        """Two requests at most: the nearest of all, and the nearest of those with a code."""
        if not bases:
            return []
        numbers = [float(number) for number in vector]
        filters = [{"terms": {"base": sorted(bases)}}, {"term": {"model": self._model}}]
        nearest = {
            "field": "vector",
            "query_vector": numbers,
            "k": limit,
            "num_candidates": min(_MOST_CANDIDATES, 10 * limit),
            "filter": filters,
        }
        found = dict.fromkeys(self._found({"knn": nearest}, limit, lambda s: s - 1 if s >= 1 else 1 - 1 / s))
        if codes:
            coded = {"terms": {"codes": self._hashed(codes)}}
            scored = {
                "query": {"bool": {"filter": [*filters, coded]}},
                "script": {"source": _SCORE, "params": {"vector": numbers}},
            }
            places = {(one.base, one.document, one.page, one.passage) for one in found}
            for one in self._found({"query": {"script_score": scored}}, limit, lambda s: s - 2):
                if (one.base, one.document, one.page, one.passage) not in places:
                    found[one] = None
        return list(found)

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def _mapping(self) -> dict[str, Any]:
        exact: dict[str, Any] = {"type": "keyword"}
        number = {"type": "integer", "index": False}
        return {
            "dynamic": "strict",
            "properties": {
                **dict.fromkeys(("base", "document", "model", "codes"), exact),
                **dict.fromkeys(("page", "passage"), number),
                "whole": {"type": "boolean"},
                "vector": {
                    "type": "dense_vector",
                    "dims": self._dimensions,
                    "index": True,
                    "similarity": "max_inner_product",
                    "index_options": {"type": "int8_hnsw"},
                },
            },
        }

    def _rows(
        self, base: str, document: str, pages: Sequence[IndexedPage]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        for page in pages:
            for passage, (vector, codes) in enumerate(zip(page.vectors, page.codes, strict=True)):
                row = {
                    "base": base,
                    "document": document,
                    "page": page.page,
                    "passage": passage,
                    "model": self._model,
                    "codes": self._hashed(codes),
                    "vector": [float(number) for number in vector],
                }
                yield f"{page.page}/{passage}", row

    def _bulk(self, rows: Iterable[tuple[str, dict[str, Any]]]) -> None:
        lines = []
        for place, row in rows:
            name = f"{row['base']}/{row['document']}/{place}"
            lines += [json.dumps({"index": {"_id": name}}), json.dumps(row)]
        body = "\n".join([*lines, ""]).encode()
        path = f"/{self._index}/_bulk?filter_path=errors,items.*.error.type"
        _, answer = self._ask("POST", path, body)
        if answer.get("errors") is not False:
            log.warning("%surl took not all rows: %s", SETTINGS, ascii(answer.get("items"))[:500])
            raise self._nonsense()

    def _found(
        self, search: dict[str, Any], limit: int, product: Callable[[float], float]
    ) -> Iterator[Candidate]:
        body = {**search, "size": limit, "_source": _PLACE, "track_total_hits": False}
        _, answer = self._ask("POST", f"/{self._index}/_search", body)
        shards = answer.get("_shards")
        if answer.get("timed_out") or not isinstance(shards, dict) or shards.get("failed", 1):
            raise self._nonsense()  # a part of the index did not answer
        try:
            for hit in answer["hits"]["hits"]:
                base, document, page, passage = (hit["_source"][name] for name in _PLACE)
                yield Candidate(
                    str(base), str(document), int(page), int(passage), product(float(hit["_score"]))
                )
        except (KeyError, TypeError, ValueError, ZeroDivisionError):
            raise self._nonsense() from None

    def _hashed(self, codes: frozenset[str]) -> list[str]:
        place = "knowledge_vectors.codes"
        return sorted(self._mac(code.encode(), place)[:_CODE_BYTES].hex() for code in codes)

    def _ask(
        self,
        method: str,
        path: str,
        content: dict[str, Any] | bytes | None = None,
        *,
        known: tuple[int, ...] = (),
    ) -> tuple[int, dict[str, Any]]:
        """Status and object of an answer; ``known``: statuses beside success that the caller wants to see."""
        body = (
            content
            if isinstance(content, bytes)
            else b""
            if content is None
            else json.dumps(content).encode()
        )
        kind = "application/x-ndjson" if isinstance(content, bytes) else "application/json"
        headers = {"content-type": kind} if body else {}
        url = self._upstream.url + quote(path, safe="/?&=,.*_-")
        try:
            with self._http.stream(method, url, content=body, headers=headers) as reply:
                text = bytearray()
                for piece in reply.iter_bytes():
                    text += piece
                    if len(text) > _MOST_ANSWER:
                        raise self._nonsense()
        except httpx.TransportError as error:
            log.warning("%surl: %s", SETTINGS, safe_words(error))
            raise self._silent(error) from error
        status = reply.status_code
        if not 200 <= status < 300 and status not in known:
            log.warning("%surl answered %s: %s", SETTINGS, status, self._upstream.for_log(bytes(text)))
            raise self._refusal(status)
        with suppress(ValueError, RecursionError):
            found = json.loads(text)
            if isinstance(found, dict):
                return status, found
        raise self._nonsense()

    def _refusal(self, status: int) -> ConfigError | DatabaseError:
        if status in (401, 403):
            return ConfigError(
                f"Elasticsearch refuses {SETTINGS}api_key, or its rights are too few: read, write, maintenance, "
                f"view_index_metadata and create_index on {self._index}.",
                zh=f"Elasticsearch 拒绝了 {SETTINGS}api_key 或其权限不足：需要 {self._index} 的 read、write、"
                "maintenance、view_index_metadata 和 create_index 权限。",
                param=f"{SETTINGS}api_key",
            )
        if status in (408, 429) or status >= 500:
            return DatabaseError(
                "Elasticsearch is too busy, or a part of it is down. Try again shortly.",
                zh="Elasticsearch 过于繁忙或部分不可用，请稍后重试。",
            )
        return self._nonsense()

    def _silent(self, error: Exception) -> DatabaseError | ConfigError:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return ConfigError(
                f"The certificate of Elasticsearch is not trusted. Check {SETTINGS}ca and the host in {SETTINGS}url.",
                zh=f"Elasticsearch 的证书不受信任，请检查 {SETTINGS}ca 和 {SETTINGS}url 中的主机名。",
                param=f"{SETTINGS}ca",
            )
        return DatabaseError(
            "Elasticsearch does not answer. Try again; if it goes on, tell your administrator.",
            zh="Elasticsearch 没有响应，请重试；若持续出现，请告知管理员。",
        )

    @staticmethod
    def _nonsense() -> DatabaseError:
        return DatabaseError(
            "Elasticsearch did not do what was asked. The log of this service says more.",
            zh="Elasticsearch 未能完成请求，详见本服务日志。",
        )
