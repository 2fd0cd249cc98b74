"""The API's client, for the page and for Python programs: typed calls over HTTP, or straight into an application.

A page that runs inside the service calls the API in memory (:class:`AppTransport`): the same door, with the same
authentication, limits and checks, but without a socket, so that it also works where the service may open none.
"""

from __future__ import annotations

from vlpro.client.accounts import AccountCalls, RoleFilter
from vlpro.client.audit import AuditCalls
from vlpro.client.batches import BatchCalls
from vlpro.client.calls import ApiError
from vlpro.client.chat import ChatCalls
from vlpro.client.compliance import ComplianceCalls
from vlpro.client.extractions import ExtractionCalls
from vlpro.client.inspections import InspectionCalls
from vlpro.client.knowledge import KnowledgeCalls
from vlpro.client.reports import ReportCalls
from vlpro.client.transport import IN_PROCESS, AppTransport, connect_in_process, in_process

__all__ = [
    "ADDRESS_HEADER",
    "BACKGROUND_HEADER",
    "IN_PROCESS",
    "SESSION_COOKIE",
    "ApiError",
    "AppTransport",
    "Client",
    "RoleFilter",
    "connect_in_process",
    "in_process",
]

ADDRESS_HEADER = "x-vlpro-address"
"""Where the person before the page is, as the service saw it; from elsewhere it is overwritten."""
BACKGROUND_HEADER = "x-vlpro-background"
"""The page asks by itself: a session that does only this goes idle."""
SESSION_COOKIE = "__Host-vlpro_session"
"""The cookie of who is signed in; its prefix keeps it to this host, and to TLS."""


class Client(
    ChatCalls,
    BatchCalls,
    ExtractionCalls,
    InspectionCalls,
    ReportCalls,
    KnowledgeCalls,
    AccountCalls,
    AuditCalls,
    ComplianceCalls,
):
    """Calls of the API that are this product's own; for chat completions use any OpenAI client.

    Args:
        base_url: Of the service, without ``/v1``.
        transport: As of httpx; :func:`in_process` for the page.
        key: API key, if one is needed.
        timeout_s: Seconds to wait for an answer.
        headers: More headers for every request.

    Every method raises :class:`ApiError` where the API refuses or does not answer.
    """
