"""A stand-in for Elasticsearch with dense vectors, as strict as the requests that are used.

It searches exactly where the real one walks a graph; scores are those of ``max_inner_product``, as its documentation
gives them. Elastic's own client is let loose on it, too (tests/unit/knowledge/test_elastic_index.py).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from tests.elastic.http import Threads
from tests.elastic.mappings import Answer, Json, only

__all__ = ["KnnServer"]

_SHARDS = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}


class KnnServer:
    """The server.

    Args:
        key: Encoded API key; empty: none is wanted.
    """

    def __init__(self, key: str = "") -> None:
        self.key = key
        self.mappings: dict[str, Json] = {}
        self.written: dict[str, dict[str, Json]] = {}
        self.seen: dict[str, dict[str, Json]] = {}  # by searches: after a refresh
        self.faults: list[int] = []
        self.spoil: Any = lambda answer: answer
        self.bodies: list[str] = []
        self.lock = threading.Lock()
        self.url = ""

    @contextmanager
    def running(self) -> Iterator[KnnServer]:
        """Serve until the block ends."""
        server = Threads(("127.0.0.1", 0), type("Handler", (_Handler,), {"elastic": self}))
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.end()
            thread.join(10)

    def answer(self, method: str, parts: list[str], params: dict[str, str], body: bytes) -> Json:
        """What a request is answered with. Raises: Answer."""
        match method, parts:
            case "PUT", [name] if not name.startswith("_"):
                return self._create(name, json.loads(body))
            case "GET", [name, "_mapping"]:
                return {name: {"mappings": self._mapping(name)}}
            case "POST" | "PUT", ["_bulk"] | [_, "_bulk"]:
                return self._bulk(parts[0], body, params)
            case "POST", [name, "_refresh"]:
                self._refresh(name)
                return {"_shards": _SHARDS}
            case "POST", [name, "_delete_by_query"]:
                return self._delete(name, json.loads(body), params)
            case "POST", [name, "_search"]:
                return self._search(name, json.loads(body))
        raise Answer(400, "illegal_argument_exception", f"no handler for {method} {parts}")

    def _mapping(self, name: str) -> Json:
        if name not in self.mappings:
            raise Answer(404, "index_not_found_exception", f"no such index [{name}]")
        return self.mappings[name]

    def _refresh(self, name: str) -> None:
        self._mapping(name)
        self.seen[name] = dict(self.written[name])

    def _create(self, name: str, body: Json) -> Json:
        only(body, {"mappings", "settings", "aliases"}, "create_index")
        if name in self.mappings:
            raise Answer(400, "resource_already_exists_exception", name)
        mapping = body["mappings"]
        only(mapping, {"dynamic", "properties"}, "mappings")
        for field, told in mapping["properties"].items():
            allowed = {
                "keyword": {"type"},
                "boolean": {"type"},
                "integer": {"type", "index"},
                "dense_vector": {"type", "dims", "index", "similarity", "index_options"},
            }
            only(told, allowed[told["type"]], field)
            if told["type"] == "dense_vector":
                assert told["similarity"] in ("cosine", "dot_product", "l2_norm", "max_inner_product")
                assert told["index_options"]["type"] in ("hnsw", "int8_hnsw", "int4_hnsw", "bbq_hnsw")
                assert 1 <= told["dims"] <= 4096
        self.mappings[name], self.written[name], self.seen[name] = mapping, {}, {}
        return {"acknowledged": True, "shards_acknowledged": True, "index": name}

    def _bulk(self, name: str, body: bytes, params: dict[str, str]) -> Json:
        if params.keys() - {"filter_path", "refresh"} or not body.endswith(b"\n"):
            raise Answer(400, "illegal_argument_exception", "bulk")
        lines = body[:-1].split(b"\n")
        items: list[Json] = []
        for action, source in zip(lines[::2], lines[1::2], strict=True):
            ((operation, told),) = json.loads(action).items()
            assert operation == "index"
            name = told.get("_index", name)
            item: Json = {"_id": told["_id"], "status": 201}
            try:
                self._check(name, json.loads(source))
                self.written[name][told["_id"]] = json.loads(source)
            except Answer as refused:
                item |= {
                    "status": 400,
                    "error": {"type": "document_parsing_exception", "reason": str(refused)},
                }
            items.append({operation: item})
        if params.get("refresh") in ("true", ""):
            self._refresh(name)
        return {"errors": any("error" in item["index"] for item in items), "took": 1, "items": items}

    def _check(self, name: str, source: Json) -> None:
        properties = self._mapping(name)["properties"]
        for field, value in source.items():
            if field not in properties:  # dynamic: strict
                raise Answer(400, "strict_dynamic_mapping_exception", field)
            kind = properties[field]["type"]
            if kind == "dense_vector":
                right = len(value) == properties[field]["dims"] and np.isfinite(value).all()
            else:
                of = {"keyword": str, "integer": int, "boolean": bool}[kind]
                right = all(type(one) is of for one in (value if isinstance(value, list) else [value]))
            if not right:
                raise Answer(400, "document_parsing_exception", f"failed to parse field [{field}]")

    def _delete(self, name: str, body: Json, params: dict[str, str]) -> Json:
        assert params.keys() <= {"conflicts", "refresh"}
        gone = [i for i, source in self.seen[name].items() if self._meets(name, body["query"], source)]
        for i in gone:
            self.written[name].pop(i, None)
        if params.get("refresh") == "true":
            self._refresh(name)
        return {"took": 1, "timed_out": False, "deleted": len(gone), "version_conflicts": 0, "failures": []}

    def _meets(self, name: str, query: Json, source: Json) -> bool:
        ((kind, told),) = query.items()
        if kind == "bool":
            only(told, {"filter"}, "bool")
            return all(self._meets(name, one, source) for one in told["filter"])
        assert kind in ("term", "terms")
        ((field, wanted),) = told.items()
        if self._mapping(name)["properties"][field]["type"] not in ("keyword", "boolean"):
            raise Answer(400, "query_shard_exception", f"[{field}] is not indexed")
        has = source.get(field, [])
        has = has if isinstance(has, list) else [has]
        return bool(set(has) & set(wanted if kind == "terms" else [wanted]))

    def _search(self, name: str, body: Json) -> Json:
        self._mapping(name)
        only(body, {"knn", "query", "aggs", "size", "_source", "track_total_hits"}, "search")
        sources = self.seen[name]
        if "aggs" in body:
            return self._listed(name, body)
        if "knn" in body:
            knn = body["knn"]
            only(knn, {"field", "query_vector", "k", "num_candidates", "filter"}, "knn")
            if not knn["k"] <= knn["num_candidates"] <= 10_000:
                raise Answer(400, "illegal_argument_exception", "[num_candidates] must be in [k, 10000]")
            filters, vector, most = knn["filter"], knn["query_vector"], knn["k"]
        else:
            scored = body["query"]["script_score"]
            only(scored, {"query", "script"}, "script_score")
            only(scored["script"], {"source", "params"}, "script")
            assert scored["script"]["source"] == "dotProduct(params.vector, 'vector') + 2.0"
            filters, vector, most = [scored["query"]], scored["script"]["params"]["vector"], body["size"]
        hits: list[Json] = []
        for i, source in sources.items():
            if "vector" not in source or not all(self._meets(name, one, source) for one in filters):
                continue
            product = float(np.dot(source["vector"], vector))
            bent = product + 1 if product >= 0 else 1 / (1 - product)
            score = bent if "knn" in body else product + 2
            shown = {field: source[field] for field in body["_source"] if field in source}
            hits.append({"_index": name, "_id": i, "_score": score, "_source": shown})
        hits.sort(key=lambda hit: -hit["_score"])
        found = {"max_score": None, "hits": hits[: min(most, body["size"])]}
        return {"took": 1, "timed_out": False, "_shards": _SHARDS, "hits": found}

    def _listed(self, name: str, body: Json) -> Json:
        assert body["size"] == 0
        ((label, of),) = body["aggs"].items()
        only(of["composite"], {"size", "sources", "after"}, "composite")
        fields = [next(iter(source.values()))["terms"]["field"] for source in of["composite"]["sources"]]
        keys = {
            tuple(source[field] for field in fields)
            for source in self.seen[name].values()
            if self._meets(name, body["query"], source)
        }
        after = tuple(of["composite"].get("after", {}).values())
        listed = [key for key in sorted(keys) if key > after][: of["composite"]["size"]]
        buckets = [{"key": dict(zip(fields, key, strict=True)), "doc_count": 1} for key in listed]
        part: Json = {"buckets": buckets}
        if buckets:
            part["after_key"] = buckets[-1]["key"]
        return {
            "took": 1,
            "timed_out": False,
            "_shards": _SHARDS,
            "hits": {"hits": []},
            "aggregations": {label: part},
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    elastic: KnnServer
    timeout = 30
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the signature is Python's
        """Nothing."""

    def _serve(self) -> None:
        elastic = self.elastic
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        url = urlsplit(self.path)
        params = {name: values[-1] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        with elastic.lock:
            elastic.bodies.append(body.decode())
            fault = elastic.faults.pop(0) if elastic.faults else 200
            if elastic.key and self.headers.get("authorization") != f"ApiKey {elastic.key}":
                fault = 401
            try:
                parts = [unquote(part) for part in url.path.strip("/").split("/")]
                answer = elastic.answer(self.command, parts, params, body) if fault == 200 else {}
                status, answer = fault, elastic.spoil(answer)
            except Answer as refused:
                status, answer = refused.status, refused.body or {}
        content = json.dumps(answer).encode()
        self.send_response(status)
        compatible = "application/vnd.elasticsearch+json" in self.headers.get("accept", "")
        kind = "application/vnd.elasticsearch+json;compatible-with=9" if compatible else "application/json"
        self.send_header("content-type", kind)
        self.send_header("x-elastic-product", "Elasticsearch")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = _serve  # noqa: N815 - the names are Python's
