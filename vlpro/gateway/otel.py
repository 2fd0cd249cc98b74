"""Spans by OpenTelemetry's SDK, sent by OTLP over HTTP (opentelemetry.io/docs/specs/otlp) to a collector inside.

What a client sends as ``traceparent`` is not taken: nobody outside joins their requests into a trace of ours.
"""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from vlpro import __version__
from vlpro.audit.events import Event
from vlpro.chat.service import Measured
from vlpro.gateway.traces import Ended, NoTraces
from vlpro.sealing import outside

__all__ = ["Traces"]

log = logging.getLogger(__name__)

_TIMEOUT_S = 5.0
_EVERY_MS = 2_000
_MOST = 2_048  # spans that wait to be sent; what is beyond is dropped
_AT_ONCE = 512
_SERVER_FAILED = 500


class Traces(NoTraces):
    """Spans, sent in batches by a thread; a collector that does not answer loses spans and delays nobody.

    Args:
        endpoint: URL of the collector, without ``/v1/traces``.
        ca: PEM file of the authority of its certificate; empty: those that the system trusts.

    Raises:
        OSError: ``ca`` cannot be read.
    """

    def __init__(self, endpoint: str, ca: str = "") -> None:
        # All by argument: what OTEL_… of the environment says counts for nothing.
        provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=Resource({"service.name": "vlpro", "service.version": __version__}),
            span_limits=SpanLimits(max_span_attributes=16),
            shutdown_on_exit=False,
        )
        provider.add_span_processor(
            BatchSpanProcessor(
                _Exporter(endpoint.rstrip("/") + "/v1/traces", ssl.create_default_context(cafile=ca or None)),
                max_queue_size=_MOST,
                schedule_delay_millis=_EVERY_MS,
                max_export_batch_size=_AT_ONCE,
                export_timeout_millis=int(_TIMEOUT_S * 1000),
            )
        )
        self._provider = provider
        self._tracer = provider.get_tracer("vlpro")

    @contextmanager
    def request(self) -> Iterator[Ended]:
        """Around a request: spans that are begun within are its parts."""
        span = self._tracer.start_span(
            "request",
            context=trace.set_span_in_context(trace.INVALID_SPAN),
            kind=trace.SpanKind.SERVER,
        )

        def ended(route: str, method: str, status: int, request_id: str) -> None:
            span.update_name(f"{method} {route}")
            span.set_attributes(
                {
                    "http.request.method": method,
                    "http.route": route,
                    "http.response.status_code": status,
                    "vlpro.request_id": request_id,
                }
            )
            if status >= _SERVER_FAILED:
                span.set_status(trace.StatusCode.ERROR)

        try:
            # An exception may say what was asked: it is not put on the span.
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                yield ended
        finally:
            span.end()

    def question(self, measured: Measured) -> None:
        """A question ended: a span, with its queue and its engine as parts."""
        timing = measured.timing
        if timing is None or timing.total_ms is None:
            return
        came = time.time_ns() - int(timing.total_ms * 1e6)
        turn, end = came + int(timing.queued_ms * 1e6), came + int(timing.total_ms * 1e6)
        figures: dict[str, Any] = {
            "vlpro.outcome": measured.outcome,
            "gen_ai.usage.input_tokens": measured.usage.prompt_tokens,
            "gen_ai.usage.output_tokens": measured.usage.completion_tokens,
            "vlpro.cached_tokens": measured.usage.cached_tokens,
        }
        whole = self._tracer.start_span("question", start_time=came, attributes=figures)
        within = trace.set_span_in_context(whole)
        self._tracer.start_span("queue", context=within, start_time=came).end(turn)
        engine = self._tracer.start_span("engine", context=within, start_time=turn)
        if timing.first_token_ms is not None:
            engine.add_event("first token", timestamp=came + int(timing.first_token_ms * 1e6))
        engine.end(end)
        whole.end(end)

    def recorded(self, event: Event, seconds: float) -> None:
        """A record is durable: a span of what was waited for it."""
        now = time.time_ns()
        begun = self._tracer.start_span(
            "audit", start_time=now - int(seconds * 1e9), attributes={"vlpro.event": str(event)}
        )
        begun.end(now)

    def close(self) -> None:
        """Send what waits. Blocks, for some seconds at most: not for the event loop."""
        self._provider.shutdown()


class _Exporter(SpanExporter):
    """OTLP over our own connections, which the relay makes where the service is sealed."""

    def __init__(self, url: str, tls: ssl.SSLContext) -> None:
        self._url = url
        self._http = httpx.Client(
            transport=outside.transport(tls), timeout=_TIMEOUT_S, trust_env=False, follow_redirects=False
        )
        self._failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send some spans."""
        body = encode_spans(spans).SerializeToString()
        try:
            answer = self._http.post(
                self._url, content=body, headers={"content-type": "application/x-protobuf"}
            )
            answer.raise_for_status()
        except (httpx.HTTPError, OSError) as error:
            if not self._failing:  # once, until it answers again
                log.warning("the collector of traces does not take them: %s", type(error).__name__)
            self._failing = True
            return SpanExportResult.FAILURE
        self._failing = False
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Let go of the connections."""
        self._http.close()
