"""A stand-in for Elasticsearch, as strict as the parts that are used: Bulk API, data streams, mappings, search.

It is kept honest by clients that others wrote (tests/functional/test_elastic.py): what it takes from them is what the
real one takes, and answers that they would not understand do not pass. It is no Elasticsearch: no shards, no analysis
of texts, a few queries only; what it does not know it refuses.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.elastic.http import Threads, handler
from tests.elastic.mappings import Answer, Closed, Json, check, check_mappings, document, only
from tests.elastic.queries import meets, picked, values

__all__ = ["ALL_RIGHTS", "WRITER", "ElasticServer", "Fault", "lost", "partial", "slow", "status"]

WRITER = frozenset({"create_doc", "read", "maintenance", "view_index_metadata"})
"""What the shipper is given."""
ALL_RIGHTS = WRITER | {"manage", "index"}
_WINDOW = 10_000
_SHARDS = {"total": 2, "successful": 2, "skipped": 0, "failed": 0}


@dataclass(frozen=True)
class Fault:
    """What happens to one bulk request; the next one meets the next fault, or none.

    Args:
        before: Called before anything is stored.
        after: Called when everything is stored.
        item: Status of an item by its place; None: it is taken.
    """

    before: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None
    item: Callable[[int], int | None] = lambda _: None


def status(code: int, **headers: str) -> Fault:
    """The request is refused as a whole."""

    def refuse() -> None:
        words = {429: "es_rejected_execution_exception", 503: "cluster_block_exception"}
        raise Answer(code, "" if code in (413, 502) else words.get(code, "exception"), "not now", **headers)

    return Fault(before=refuse)


def lost(*, stored: bool) -> Fault:
    """The connection is closed without an answer."""

    def close() -> None:
        raise Closed

    return Fault(after=close) if stored else Fault(before=close)


def slow(seconds: float) -> Fault:
    """The answer takes its time."""
    return Fault(after=lambda: time.sleep(seconds))


def partial(every: int, code: int = 429) -> Fault:
    """Each so-many-th item is refused."""
    return Fault(item=lambda place: code if place % every == 0 else None)


@dataclass
class Stored:
    """A document."""

    source: Json
    seen: bool = False  # by searches: after a refresh


@dataclass
class Index:
    """An index.

    Args:
        name: Its name.
        mappings: What its documents may hold; None: anything.
        stream: The data stream that it is a part of.
    """

    name: str
    mappings: Json | None
    stream: str = ""
    documents: dict[str, Stored] = field(default_factory=dict)


class ElasticServer:
    """The server.

    Args:
        logins: Values of the header Authorization, and the rights that each gives.
        most_bytes: Largest body.
        refreshes: Whether a search sees what was written at once, as it would after a second.
    """

    def __init__(
        self,
        logins: dict[str, frozenset[str]] | None = None,
        *,
        most_bytes: int = 100_000_000,
        refreshes: bool = False,
    ) -> None:
        self.logins = logins
        self.most_bytes = most_bytes
        self.refreshes = refreshes
        self.faults: list[Fault] = []
        self.poison: Callable[[Json], str | None] = lambda _: None
        self.bulks = 0
        self.largest = 0
        self.requests: list[str] = []
        self.policies: dict[str, Json] = {}
        self.templates: dict[str, Json] = {}
        self.streams: dict[str, list[str]] = {}
        self.indices: dict[str, Index] = {}
        self.lock = threading.RLock()
        self.port = 0

    all_rights = ALL_RIGHTS

    # --- what tests look at

    def documents(self, target: str = "vlpro-audit") -> list[tuple[str, Json]]:
        """Ids and documents of a target."""
        with self.lock:
            return [(i, stored.source) for index in self._of(target) for i, stored in index.documents.items()]

    def install(self, folder: Path) -> None:
        """What deploy/elk/README.md has the administrator do."""

        def read(name: str) -> Json:
            found: Json = json.loads((folder / name).read_text(encoding="utf-8"))
            return found

        self.put_policy("vlpro-audit", read("ilm-policy.json"))
        self.put_template("vlpro-audit", read("index-template.json"))
        self.put_stream("vlpro-audit")

    @contextmanager
    def running(self, *, certificate: Path | None = None, port: int = 0) -> Iterator[ElasticServer]:
        """Serve on a port of this machine until the block ends.

        Args:
            certificate: PEM file with a key beside it (``.key``).
            port: 0: any.
        """
        server = Threads(("127.0.0.1", port), handler(self))
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, certificate.with_suffix(".key"))
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = server.server_address[1]
        thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.end()
            thread.join(10)

    # --- administration

    def put_policy(self, name: str, body: Json) -> Json:
        """Of index lifecycles."""
        only(body, {"policy"}, "policy")
        only(body["policy"], {"phases", "_meta"}, "policy")
        for phase, content in body["policy"]["phases"].items():
            only(content, {"min_age", "actions"}, phase)
            if phase not in ("hot", "warm", "cold", "frozen", "delete"):
                raise Answer(
                    400,
                    "illegal_argument_exception",
                    f"Timeseries lifecycle does not support phase [{phase}]",
                )
        self.policies[name] = body
        return {"acknowledged": True}

    def put_template(self, name: str, body: Json) -> Json:
        """Of indices."""
        allowed = {"index_patterns", "data_stream", "template", "priority", "_meta", "version", "composed_of"}
        only(body, allowed, "index_template")
        only(body["template"], {"settings", "mappings", "aliases"}, "template")
        check_mappings(body["template"].get("mappings", {}), top=True)
        self.templates[name] = body
        return {"acknowledged": True}

    def put_stream(self, name: str) -> Json:
        """A data stream; a template must have foreseen it."""
        if name in self.streams:
            raise Answer(400, "resource_already_exists_exception", f"data_stream [{name}] already exists")
        if "data_stream" not in (self._template(name) or {}):
            raise Answer(
                400,
                "illegal_argument_exception",
                f"no matching index template found for data stream [{name}]",
            )
        self.streams[name] = []
        self.rollover(name)
        return {"acknowledged": True}

    def put_index(self, name: str, body: Json) -> Json:
        """An index that is no data stream."""
        only(body, {"mappings", "settings", "aliases"}, "create_index")
        self.indices[name] = Index(name, body.get("mappings"))
        return {"acknowledged": True, "shards_acknowledged": True, "index": name}

    def rollover(self, name: str) -> Json:
        """A new index behind a data stream: ids of the older ones do not count in it."""
        if name not in self.streams:
            raise Answer(400, "illegal_argument_exception", f"rollover target [{name}] does not exist")
        template = self._template(name)
        assert template is not None
        behind = f".ds-{name}-2026.11.27-{len(self.streams[name]) + 1:06}"
        self.indices[behind] = Index(behind, template["template"].get("mappings", {}), stream=name)
        self.streams[name].append(behind)
        return {"acknowledged": True, "rolled_over": True, "new_index": behind}

    def _template(self, name: str) -> Json | None:
        found = [t for t in self.templates.values() if any(_matches(p, name) for p in t["index_patterns"])]
        return max(found, key=lambda t: t.get("priority", 0), default=None)

    def _of(self, target: str) -> list[Index]:
        if target in self.streams:
            return [self.indices[name] for name in self.streams[target]]
        if target in self.indices:
            return [self.indices[target]]
        raise Answer(404, "index_not_found_exception", f"no such index [{target}]")

    # --- bulk

    def bulk(self, target: str | None, body: bytes, params: dict[str, str], rights: frozenset[str]) -> Json:
        """The Bulk API."""
        unknown = params.keys() - {"filter_path", "refresh", "pretty", "timeout", "pipeline"}
        if unknown:
            names = ", ".join(sorted(unknown))
            raise Answer(
                400,
                "illegal_argument_exception",
                f"request [/_bulk] contains unrecognized parameter: [{names}]",
            )
        with self.lock:
            self.bulks += 1
            self.largest = max(self.largest, len(body))
            fault = self.faults.pop(0) if self.faults else Fault()
        fault.before()
        if not body.endswith(b"\n"):
            raise Answer(
                400, "illegal_argument_exception", "The bulk request must be terminated by a newline [\\n]"
            )
        lines = iter(body[:-1].split(b"\n"))
        operations: list[tuple[str, str, str | None, bytes]] = []
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            operations.append(self._operation(number, line, target, lines))
        if not operations:
            raise Answer(
                400, "action_request_validation_exception", "Validation Failed: 1: no requests added;"
            )
        with self.lock:
            items = [
                {
                    operation: self._one(
                        operation, index, given, line, rights=rights, refused=fault.item(place)
                    )
                }
                for place, (operation, index, given, line) in enumerate(operations)
            ]
            if params.get("refresh") in ("true", "wait_for", ""):
                self._refresh_all()
        fault.after()
        failed = any("error" in next(iter(item.values())) for item in items)
        return {"errors": failed, "took": 3, "items": items}

    @staticmethod
    def _operation(
        number: int, line: bytes, target: str | None, lines: Iterator[bytes]
    ) -> tuple[str, str, str | None, bytes]:
        malformed = f"Malformed action/metadata line [{number}], expected START_OBJECT or END_OBJECT"
        try:
            action = json.loads(line)
            ((operation, of),) = action.items()
        except (ValueError, AttributeError):
            raise Answer(400, "illegal_argument_exception", malformed) from None
        if operation not in ("create", "index"):
            raise Answer(
                400, "illegal_argument_exception", f"the stand-in knows create and index, not {operation}"
            )
        if not isinstance(of, dict):
            raise Answer(400, "illegal_argument_exception", malformed)
        for name in of:
            if name not in ("_index", "_id", "routing", "pipeline", "require_alias", "require_data_stream"):
                reason = f"Action/metadata line [{number}] contains an unknown parameter [{name}]"
                raise Answer(400, "illegal_argument_exception", reason)
        index, given = of.get("_index", target), of.get("_id")
        if index is None:
            raise Answer(
                400, "action_request_validation_exception", "Validation Failed: 1: index is missing;"
            )
        if given is not None and not isinstance(given, str):
            given = str(given)
        try:
            return operation, index, given, next(lines)
        except StopIteration:
            raise Answer(400, "illegal_argument_exception", "The bulk request ends with an action") from None

    def _one(
        self,
        operation: str,
        target: str,
        given: str | None,
        line: bytes,
        *,
        rights: frozenset[str],
        refused: int | None,
    ) -> Json:
        """One item's result."""
        if target not in self.streams and target not in self.indices:
            template = self._template(target)
            if template is not None and "data_stream" in template:
                self.put_stream(target)
            else:  # so does the real one, and guesses the types
                self.indices[target] = Index(target, (template or {}).get("template", {}).get("mappings"))
        index = self._of(target)[-1]
        said: Json = {
            "_index": index.name,
            "_id": given or f"auto{len(index.documents)}{time.monotonic_ns()}",
        }
        try:
            source = self._taken(operation, index, given, line, rights=rights, refused=refused)
        except Answer as answer:
            return said | {"status": answer.status, "error": answer.error}
        there = said["_id"] in index.documents
        index.documents[said["_id"]] = Stored(source, seen=self.refreshes)
        return said | {
            "_version": 1 + there,
            "result": "updated" if there else "created",
            "_shards": {"total": 2, "successful": 1, "failed": 0},
            "_seq_no": len(index.documents) - 1,
            "_primary_term": 1,
            "status": 200 if there else 201,
        }

    def _taken(
        self,
        operation: str,
        index: Index,
        given: str | None,
        line: bytes,
        *,
        rights: frozenset[str],
        refused: int | None,
    ) -> Json:
        """The document, if the index takes it."""
        if refused is not None:
            raise Answer(
                refused, "es_rejected_execution_exception", "rejected execution of primary operation"
            )
        if "index" not in rights and (operation != "create" or "create_doc" not in rights):
            word = f"action [indices:data/write/bulk] is unauthorized for API key on indices [{index.name}]"
            raise Answer(403, "security_exception", word)
        if index.stream and operation != "create":
            word = "only write ops with an op_type of create are allowed in data streams"
            raise Answer(400, "illegal_argument_exception", word)
        if given is not None and not 0 < len(given.encode()) <= 512:
            raise Answer(400, "illegal_argument_exception", "id must be 1 to 512 bytes long")
        source = document(line)
        if index.stream and "@timestamp" not in source:
            word = "data stream timestamp field [@timestamp] is missing"
            raise Answer(400, "document_parsing_exception", word)
        if index.mappings is not None:
            check(source, index.mappings, "")
        if reason := self.poison(source):
            raise Answer(400, "document_parsing_exception", reason)
        if operation == "create" and given in index.documents:
            word = f"[{given}]: version conflict, document already exists (current version [1])"
            raise Answer(409, "version_conflict_engine_exception", word)
        return source

    # --- search

    def refresh(self, target: str) -> Json:
        """Let searches see what was written."""
        with self.lock:
            for index in self._of(target):
                for stored in index.documents.values():
                    stored.seen = True
        return {"_shards": _SHARDS}

    def _refresh_all(self) -> None:
        for name in self.indices:
            self.refresh(name)

    def count(self, target: str, body: Json) -> Json:
        """How many a query finds."""
        only(body, {"query"}, "count")
        return {"count": len(self._found(target, body.get("query", {"match_all": {}}))), "_shards": _SHARDS}

    def search(self, target: str, body: Json) -> Json:
        """What a query finds."""
        only(body, {"query", "size", "from", "sort", "_source", "track_total_hits", "search_after"}, "search")
        size, begin = body.get("size", 10), body.get("from", 0)
        if size + begin > _WINDOW:
            reason = f"Result window is too large, from + size must be less than or equal to: [{_WINDOW}]"
            raise Answer(400, "illegal_argument_exception", reason)
        found = self._found(target, body.get("query", {"match_all": {}}))
        sorts = body.get("sort", [])
        for order in reversed(sorts):
            ((name, how),) = order.items() if isinstance(order, dict) else ((order, "asc"),)
            if isinstance(how, dict):
                only(how, {"order", "unmapped_type", "missing"}, "sort")
                how = how.get("order", "asc")
            if how not in ("asc", "desc"):
                raise Answer(400, "illegal_argument_exception", f"No enum constant SortOrder.{how}")
            found.sort(key=lambda hit, by=str(name): (values(hit[2], by) or [0])[0], reverse=how == "desc")
        hits = []
        for index, given, source in found[begin : begin + size]:
            shown = source
            if isinstance(body.get("_source"), list):
                shown = picked(source, body["_source"])
            hit: Json = {"_index": index, "_id": given, "_score": None, "_source": shown}
            if sorts:
                names = [next(iter(one)) if isinstance(one, dict) else one for one in sorts]
                hit["sort"] = [(values(source, name) or [None])[0] for name in names]
            hits.append(hit)
        exact = body.get("track_total_hits", False) is True or len(found) <= _WINDOW
        total = {"value": len(found) if exact else _WINDOW, "relation": "eq" if exact else "gte"}
        return {
            "took": 2,
            "timed_out": False,
            "_shards": _SHARDS,
            "hits": {"total": total, "max_score": None, "hits": hits},
        }

    def _found(self, target: str, query: Json) -> list[tuple[str, str, Json]]:
        with self.lock:
            return [
                (index.name, given, stored.source)
                for index in self._of(target)
                for given, stored in index.documents.items()
                if stored.seen and meets(query, stored.source)
            ]


def _matches(pattern: str, name: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name) is not None
