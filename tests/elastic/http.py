"""The stand-in's HTTP."""

from __future__ import annotations

import base64
import gzip
import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.elastic.mappings import Answer, Closed, Json
from tests.elastic.queries import filtered

if TYPE_CHECKING:
    from tests.elastic.server import ElasticServer

__all__ = ["Threads", "basic", "handler"]

_VERSION = {
    "number": "9.1.0",
    "build_flavor": "default",
    "build_type": "docker",
    "build_hash": "0",
    "build_date": "2025-07-24",
    "build_snapshot": False,
    "lucene_version": "10.2.2",
    "minimum_wire_compatibility_version": "8.19.0",
    "minimum_index_compatibility_version": "8.0.0",
}


class Threads(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, *arguments: Any) -> None:
        self.open: set[Any] = set()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, or that does not trust the certificate, is no error here."""

    def end(self) -> None:
        """Close all connections, as a server does that ends."""
        self.server_close()
        for request in list(self.open):
            self.shutdown_request(request)


def handler(server: ElasticServer) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        elastic = server

    return Handler


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    elastic: ElasticServer
    timeout = 30
    disable_nagle_algorithm = True
    wbufsize = -1  # an answer's head and body in one packet

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the signature is Python's
        """Nothing."""

    def _serve(self) -> None:
        try:
            body = self._body()
            found = self._routed(body)
        except Answer as answer:
            self._send(answer.status, answer.body, answer.headers)
            self.close_connection = self.close_connection or answer.status == 413
        except Closed:
            self.close_connection = True
        else:
            self._send(200, found, {})

    do_GET = do_POST = do_PUT = do_HEAD = _serve  # noqa: N815 - the names are Python's

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            length = int(self.headers.get("Content-Length") or 0)
            if length > self.elastic.most_bytes:
                raise Answer(413)
            body = self.rfile.read(length)
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if len(body) > self.elastic.most_bytes:
            raise Answer(413)
        return body

    def _rights(self) -> frozenset[str]:
        server = self.elastic
        if server.logins is None:
            return server.all_rights
        rights = server.logins.get(self.headers.get("Authorization", ""))
        if rights is None:
            reason = f"unable to authenticate user for REST request [{self.path}]"
            raise Answer(401, "security_exception", reason, WWW_Authenticate='Basic realm="security", ApiKey')
        return rights

    def _need(self, right: str, rights: frozenset[str]) -> None:
        if right not in rights:
            raise Answer(
                403, "security_exception", f"action is unauthorized, it needs one of the privileges [{right}]"
            )

    def _check_type(self, body: bytes, *, lines: bool) -> None:
        given = self.headers.get("Content-Type", "")
        compatible = re.fullmatch(
            r"application/vnd\.elasticsearch\+(x-ndjson|json); ?compatible-with=(\d+)", given
        )
        accept = self.headers.get("Accept", "")
        asked = re.search(r"compatible-with=(\d+)", accept)
        if compatible and (compatible[2] not in ("8", "9") or not asked or asked[1] != compatible[2]):
            reason = f"Content-Type version must be either version 9 or 8, and that of Accept: [{given}] [{accept}]"
            raise Answer(400, "media_type_header_exception", reason)
        plain = given.partition(";")[0].strip()
        kinds = {"application/x-ndjson", "application/json"} if lines else {"application/json"}
        if body and not compatible and plain not in kinds:
            raise Answer(
                406, "media_type_header_exception", f"Content-Type header [{given}] is not supported"
            )

    def _routed(self, body: bytes) -> Json | None:  # noqa: C901, PLR0911, PLR0912 - one for each route
        server = self.elastic
        url = urlsplit(self.path)
        params = {name: values[-1] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        parts = [unquote(part) for part in url.path.strip("/").split("/") if part]
        server.requests.append(f"{self.command} {url.path}")
        rights = self._rights()
        method = "GET" if self.command == "HEAD" else self.command
        if parts[-1:] == ["_bulk"] and method in ("POST", "PUT") and len(parts) <= 2:
            self._check_type(body, lines=True)
            answer = server.bulk(parts[0] if len(parts) == 2 else None, body, params, rights)
            wanted = [path.split(".") for path in params.get("filter_path", "").split(",") if path]
            return filtered(answer, wanted) if wanted else answer
        self._check_type(body, lines=False)
        content: Json = json.loads(body) if body else {}
        match method, parts:
            case "GET", []:
                return {
                    "name": "stand-in", "cluster_name": "stand-in", "cluster_uuid": "k3pQbZ1iTtCq2b2Xg1Yb0A",
                    "version": _VERSION, "tagline": "You Know, for Search",
                }  # fmt: skip
            case "GET", ["_cat", "health"]:
                return {}
            case "PUT", ["_ilm", "policy", name]:
                self._need("manage", rights)
                return server.put_policy(name, content)
            case "PUT", ["_index_template", name]:
                self._need("manage", rights)
                return server.put_template(name, content)
            case "PUT", ["_data_stream", name]:
                self._need("manage", rights)
                return server.put_stream(name)
            case "GET", ["_data_stream", name]:
                self._need("view_index_metadata", rights)
                if name not in server.streams:
                    raise Answer(404, "index_not_found_exception", f"no such index [{name}]")
                return {"data_streams": [{"name": name, "indices": server.streams[name], "status": "GREEN"}]}
            case "PUT", [name] if not name.startswith("_"):
                self._need("manage", rights)
                return server.put_index(name, content)
            case "GET", [name] if not name.startswith("_"):
                self._need("view_index_metadata", rights)
                return {index.name: {"mappings": index.mappings or {}} for index in server._of(name)}
            case "POST", [name, "_refresh"]:
                self._need("maintenance", rights)
                return server.refresh(name)
            case "POST", [name, "_rollover"]:
                self._need("manage", rights)
                return server.rollover(name)
            case "POST" | "GET", [name, "_search"]:
                self._need("read", rights)
                return server.search(name, content)
            case "POST" | "GET", [name, "_count"]:
                self._need("read", rights)
                return server.count(name, content)
        raise Answer(
            400, "illegal_argument_exception", f"no handler found for uri [{self.path}] and method [{method}]"
        )

    def _send(self, code: int, body: Json | None, headers: dict[str, str]) -> None:
        data = json.dumps(body).encode() if body is not None else b""
        accept = self.headers.get("Accept", "")
        compatible = re.search(r"application/vnd\.elasticsearch\+json; ?compatible-with=\d+", accept)
        self.send_response(code)
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Type", compatible[0] if compatible else "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        if code == 413:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def basic(user: str, password: str) -> str:
    """A header's value."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
