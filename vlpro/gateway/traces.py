"""Traces, where somebody asked for them: a span for each request, and within it for queue, engine and audit.

Off unless ``otel_endpoint`` names a collector inside; then :mod:`vlpro.gateway.otel` makes them. A span holds route
templates, statuses, figures and the request's id: no question, answer, name, address or key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vlpro.audit.events import Event
from vlpro.chat.service import Measured
from vlpro.errors import ConfigError

__all__ = ["Ended", "NoTraces", "traces_of"]

Ended = Callable[[str, str, int, str], None]
"""Is told how a request ended: its route's template, method, status and id."""


class NoTraces:
    """The default: nothing is made of anything."""

    @contextmanager
    def request(self) -> Iterator[Ended]:
        """Around a request."""
        yield lambda _route, _method, _status, _request_id: None

    def question(self, measured: Measured) -> None:
        """A question ended."""

    def recorded(self, event: Event, seconds: float) -> None:
        """A record is durable."""

    def close(self) -> None:
        """Send what waits."""


def traces_of(endpoint: str, ca: str = "") -> NoTraces:
    """Traces as the settings have them.

    Args:
        endpoint: URL of a collector, without ``/v1/traces``; empty: none are made.
        ca: PEM file of the authority of its certificate; empty: those that the system trusts.

    Raises:
        ConfigError: The packages of the extra ``otel`` are not installed, or the file cannot be read.
    """
    if not endpoint:
        return NoTraces()
    try:
        from vlpro.gateway.otel import Traces  # noqa: PLC0415 - the SDK is an extra, and slow to import

        return Traces(endpoint, ca)
    except ImportError as error:
        raise ConfigError(
            "Traces need OpenTelemetry: pip install 'vlpro[otel]', or leave VLPRO_OTEL_ENDPOINT out.",
            zh="链路追踪需要 OpenTelemetry：请 pip install 'vlpro[otel]'，或去掉 VLPRO_OTEL_ENDPOINT。",
            param="otel_endpoint",
        ) from error
    except OSError as error:
        raise ConfigError(
            f"otel_ca cannot be read: {error.strerror or 'it is no certificate'}. Name a PEM file.",
            zh="无法读取 otel_ca，请指定 PEM 文件。",
            param="otel_ca",
        ) from error
