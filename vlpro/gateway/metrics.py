"""What is measured, in Prometheus' terms: counted while it happens, or looked up when somebody asks.

Every label is bounded by the code: routes are templates, codes are words of our own. No id, name, address or key is
ever one.
"""

from __future__ import annotations

import re

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.exposition import generate_latest

from vlpro.chat.service import Measured

__all__ = ["METHODS", "Metrics"]

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_REQUEST_SECONDS = (0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600)
_TOKENS_A_SECOND = (1, 2, 5, 10, 20, 40, 60, 80, 100, 150, 200, 400)
_CODE = re.compile(r"[a-z][a-z0-9_]{0,39}")
_MOST_CODES = 200
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Of HTTP; others count as one."""


class Metrics:
    """One application's figures, in a registry of its own.

    Attributes:
        registry: Where other collectors may be put beside.
    """

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # else each series comes twice, with the time of its first value
        self.registry = CollectorRegistry(auto_describe=False)
        self._requests = Counter(
            "vlpro_http_requests",
            "Requests that were answered, by route, method and class of status.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "vlpro_http_request_duration_seconds",
            "Seconds from a request's first line to its answer's last byte, by route and method.",
            ("route", "method"),
            buckets=_REQUEST_SECONDS,
            registry=self.registry,
        )
        self._refusals = Counter(
            "vlpro_refusals", "Errors that were answered, by code.", ("code",), registry=self.registry
        )
        self._questions = Counter(
            "vlpro_questions",
            "Questions that came to an end, by outcome: answered, failed, stopped.",
            ("outcome",),
            registry=self.registry,
        )
        self._wait = Histogram(
            "vlpro_question_wait_seconds",
            "Seconds that questions waited for their turn, the reading of their pictures included.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._first = Histogram(
            "vlpro_time_to_first_token_seconds",
            "Seconds from a question to the first piece of its answer.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._speed = Histogram(
            "vlpro_tokens_per_second",
            "Tokens of an answer a second, from its turn to its end.",
            buckets=_TOKENS_A_SECOND,
            registry=self.registry,
        )
        self._tokens = Counter(
            "vlpro_tokens",
            "Tokens that engines read (in) and wrote (out), in their own count.",
            ("direction",),
            registry=self.registry,
        )
        self._cached = Counter(
            "vlpro_tokens_cached",
            "Tokens read that an engine knew from before: prefixes and pictures that it did not compute again.",
            registry=self.registry,
        )
        self._hits = Counter(
            "vlpro_cache_hits",
            "Questions of which an engine knew a part from before.",
            registry=self.registry,
        )
        self._codes: set[str] = set()
        for outcome in ("answered", "failed", "stopped"):
            self._questions.labels(outcome)
        for direction in ("in", "out"):
            self._tokens.labels(direction)

    def request(self, route: str, method: str, status: int, seconds: float, code: str = "") -> None:
        """Count a request.

        Args:
            route: Its template.
            method: Of HTTP; unknown ones count as one.
            status: That it was answered with.
            seconds: That it took.
            code: Of the error that it was answered with; empty: none.
        """
        method = method if method in METHODS else "other"
        self._requests.labels(route, method, f"{status // 100}xx").inc()
        self._seconds.labels(route, method).observe(seconds)
        if code:
            self._refusals.labels(self._known(code)).inc()

    def question(self, measured: Measured) -> None:
        """Count a question that came to its end."""
        self._questions.labels(measured.outcome).inc()
        usage, timing = measured.usage, measured.timing
        self._tokens.labels("in").inc(usage.prompt_tokens)
        self._tokens.labels("out").inc(usage.completion_tokens)
        if usage.cached_tokens:
            self._cached.inc(usage.cached_tokens)
            self._hits.inc()
        if timing is None:
            return
        self._wait.observe(timing.queued_ms / 1000)
        if timing.first_token_ms is not None:
            self._first.observe(timing.first_token_ms / 1000)
        if timing.tokens_per_s is not None:
            self._speed.observe(timing.tokens_per_s)

    def text(self) -> bytes:
        """All of it, in Prometheus' text format 0.0.4. Reads files and databases: not for the event loop."""
        return generate_latest(self.registry)

    def _known(self, code: str) -> str:
        """A code as a label: what is no word of ours, or beyond what is reasonable, counts as one."""
        if code not in self._codes:
            if not _CODE.fullmatch(code) or len(self._codes) >= _MOST_CODES:
                return "other"
            self._codes.add(code)
        return code
