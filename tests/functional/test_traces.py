"""Traces: what a collector gets of a request, what it never gets, and that nobody waits for it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.functional.server import chat, picture_file, run
from tests.ports import free_port
from vlpro.config import Settings
from vlpro.errors import ConfigError
from vlpro.gateway.app import parts
from vlpro.sealed import destinations_of

CANARY = "count to 9 for Wang-Kanarienvogel"  # no digits: those an id may have by chance
FOREIGN = "0af7651916cd43dd8448eb211c80319c"


@dataclass
class Collector:
    """What came to a collector."""

    url: str
    bodies: list[bytes] = field(default_factory=list)

    def spans(self) -> list[Any]:
        found = []
        for body in self.bodies:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                found += [span for scope in resource.scope_spans for span in scope.spans]
        return found


@contextmanager
def collector() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.path == "/v1/traces" and self.headers["content-type"] == "application/x-protobuf":
                held.bodies.append(body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the library's
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        held = Collector(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield held
        finally:
            server.shutdown()
            thread.join()


def test_a_question_is_a_trace_of_queue_engine_and_audit_without_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "somebodys=word")
    with collector() as to:
        with (
            run(Settings(engine="fake", data_dir=tmp_path, otel_endpoint=to.url)) as server,
            server.http() as http,
        ):
            headers = {
                "traceparent": f"00-{FOREIGN}-b7ad6b7169203331-01",
                "authorization": "Bearer sk-canary",
            }
            reply = http.post("/v1/chat/completions", json=chat(CANARY, picture_file()), headers=headers)
            assert reply.status_code == 200
            request_id = reply.headers["x-request-id"]
        # The end of the service sends what waits.
        spans = to.spans()

    (request,) = [span for span in spans if span.name == "POST /v1/chat/completions"]
    said = {one.key: one.value for one in request.attributes}
    assert said["vlpro.request_id"].string_value == request_id
    assert said["http.response.status_code"].int_value == 200
    assert request.trace_id.hex() != FOREIGN
    assert not request.parent_span_id
    ours = [span for span in spans if span.trace_id == request.trace_id]
    named = {span.name: span for span in ours}
    assert {"question", "queue", "engine", "audit"} <= set(named)
    question, queue, engine = named["question"], named["queue"], named["engine"]
    assert question.parent_span_id == request.span_id
    assert queue.parent_span_id == engine.parent_span_id == question.span_id
    assert queue.start_time_unix_nano == question.start_time_unix_nano
    assert queue.end_time_unix_nano == engine.start_time_unix_nano
    assert engine.end_time_unix_nano == question.end_time_unix_nano
    figures = {one.key: one.value for one in question.attributes}
    assert figures["gen_ai.usage.output_tokens"].int_value >= 9
    assert [event.name for event in engine.events] == ["first token"]
    recorded = {one.value.string_value for span in ours if span.name == "audit" for one in span.attributes}
    assert {"chat:question:asked", "chat:answer:completed"} <= recorded
    everything = b"".join(to.bodies)
    for word in (b"Kanarienvogel", b"Wang", b"sk-canary", b"127.0.0.1", b"somebodys", bytes.fromhex(FOREIGN)):
        assert word not in everything


def test_a_failed_request_is_told_and_its_exception_is_not(tmp_path: Path) -> None:
    with collector() as to:
        with run(Settings(engine="fake", data_dir=tmp_path, otel_endpoint=to.url)) as server:
            assert server.post("/v1/chat/completions", chat("please fail")).status_code == 502
        (request,) = [span for span in to.spans() if span.name == "POST /v1/chat/completions"]
    assert request.status.code == 2  # STATUS_CODE_ERROR
    assert not request.events


def test_nobody_waits_for_a_collector_that_is_not_there(tmp_path: Path) -> None:
    endpoint = f"http://127.0.0.1:{free_port()}"
    with run(Settings(engine="fake", data_dir=tmp_path, otel_endpoint=endpoint)) as server:
        assert server.post("/v1/chat/completions", chat("count to 3")).status_code == 200


def test_a_sealed_service_reaches_the_collector_by_the_relay(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, otel_endpoint="https://collector.example.cn:4318/otlp")
    assert destinations_of(settings) == ["collector.example.cn:4318"]


def test_without_the_packages_the_setting_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "vlpro.gateway.otel", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigError, match=r"vlpro\[otel\]") as refused:
        parts(Settings(engine="fake", data_dir=tmp_path, otel_endpoint="http://127.0.0.1:4318"))
    assert refused.value.param == "otel_endpoint"


@pytest.mark.parametrize("url", ["collector:4318", "ftp://collector", "http://", "http://a b", "http://a?b"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="otel_endpoint"):
        Settings(otel_endpoint=url)
