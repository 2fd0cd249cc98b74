"""What routes are given: the services, and who asks.

The functions are coroutines although they wait for nothing: FastAPI sends every other one through a thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, TypeVar

from fastapi import Depends, Request, params

from vlpro.audit.exports import AuditExports
from vlpro.audit.query import AuditQueries
from vlpro.audit.recorder import Recorder
from vlpro.audit.verification import Verifications
from vlpro.chat.conversation_service import ConversationService
from vlpro.chat.service import ChatService
from vlpro.compliance.service import ComplianceReports
from vlpro.config import Settings
from vlpro.device import DeviceMonitor
from vlpro.engines.interface import Usage
from vlpro.errors import NotFoundError, UnauthenticatedError, VlproError
from vlpro.gateway.draining import Draining
from vlpro.gateway.metrics import Metrics
from vlpro.gateway.storage import Storage
from vlpro.gateway.traces import NoTraces
from vlpro.identity.permissions import Permission
from vlpro.identity.principal import Person, Principal
from vlpro.identity.service import Identity
from vlpro.knowledge.answer import KnowledgeAnswers
from vlpro.knowledge.service import KnowledgeService
from vlpro.workflows.batch.service import BatchService
from vlpro.workflows.delivery.service import Deliveries
from vlpro.workflows.extraction.service import ExtractionService
from vlpro.workflows.inspection.service import InspectionService
from vlpro.workflows.report.service import ReportService

__all__ = [
    "Asker",
    "AskerOf",
    "AuditExportsOf",
    "AuditOf",
    "ConversationAskerOf",
    "IdentityOf",
    "Needs",
    "Owner",
    "RequestIdOf",
    "Services",
    "ServicesOf",
    "VerificationsOf",
    "needs",
    "principal_of",
]

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Services:
    """All services of one application; ``started`` is its Unix time of start, ``identity`` None in profile local."""

    settings: Settings
    chat: ChatService
    conversations: ConversationService
    device: DeviceMonitor
    batches: BatchService
    inspections: InspectionService
    deliveries: Deliveries
    extractions: ExtractionService
    reports: ReportService
    knowledge: KnowledgeService
    knowledge_answers: KnowledgeAnswers
    started: int
    recorder: Recorder
    storage: Storage
    identity: Identity | None = None
    audit: AuditQueries | None = None
    audit_exports: AuditExports | None = None
    verifications: Verifications | None = None
    compliance: ComplianceReports | None = None
    metrics: Metrics = field(default_factory=Metrics)
    draining: Draining = field(default_factory=Draining)
    traces: NoTraces = field(default_factory=NoTraces)


@dataclass(frozen=True, slots=True)
class Asker:
    """Whose question it is, and who counts its tokens; None: nobody does."""

    person: Person
    spent: Callable[[Usage], None] | None = None


def principal_of(request: Request) -> Principal:
    """Who asks, as the guard found out.

    Raises:
        UnauthenticatedError: Nobody passed the guard.
    """
    principal = request.scope.get("state", {}).get("principal")
    if not isinstance(principal, Principal):
        raise UnauthenticatedError
    return principal


class Needs:
    """A dependency that lets pass who has a permission; every route of the API has one.

    Args:
        permission: Which.
    """

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(self, request: Request) -> Principal:
        """Who asks. Raises: UnauthenticatedError, ForbiddenError."""
        principal = principal_of(request)
        principal.require(self.permission)
        return principal


def needs(permission: Permission) -> params.Depends:
    """As :class:`Needs`, for the ``dependencies`` of a route or router."""
    return params.Depends(Needs(permission))


async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def _identity(request: Request) -> Identity:
    """The accounts. Raises: NotFoundError in profile local, which has none."""
    services: Services = request.app.state.services
    if services.identity is None:
        raise NotFoundError("Profile local has no accounts.", zh="local 模式没有账号。")
    return services.identity


async def _audit(request: Request) -> AuditQueries:
    """The record. Raises: NotFoundError in profile local, where nobody is its administrator."""
    services: Services = request.app.state.services
    return _there(services.audit)


async def _audit_exports(request: Request) -> AuditExports:
    """As :func:`_audit`."""
    services: Services = request.app.state.services
    return _there(services.audit_exports)


async def _verifications(request: Request) -> Verifications:
    """As :func:`_audit`."""
    services: Services = request.app.state.services
    return _there(services.verifications)


def _there(service: T | None) -> T:
    if service is None:
        raise NotFoundError("Profile local has no audit administrator.", zh="local 模式没有审计管理员。")
    return service


async def _owner(
    principal: Annotated[Principal, Depends(Needs(Permission.CONVERSATION_USE))],
) -> Person:
    return principal.person


async def _asker(
    request: Request, principal: Annotated[Principal, Depends(Needs(Permission.ANSWER_CREATE))]
) -> Asker:
    return asker(request.app.state.services, principal)


async def _conversation_asker(
    request: Request, principal: Annotated[Principal, Depends(Needs(Permission.CONVERSATION_USE))]
) -> Asker:
    return asker(request.app.state.services, principal)


def asker(services: Services, principal: Principal) -> Asker:
    """Who asks, with the counter of the key that was used."""
    key, identity = principal.key, services.identity
    if key is None or identity is None:
        return Asker(principal.person)

    def spent(usage: Usage) -> None:
        tokens = usage.prompt_tokens + usage.completion_tokens
        _in_background(asyncio.to_thread(identity.keys.spend, key, tokens))

    return Asker(principal.person, spent)


_running: set[asyncio.Task[None]] = set()


def _in_background(work: Awaitable[None]) -> None:
    async def done() -> None:
        try:
            await work
        except VlproError as error:
            log.warning("a key's tokens were not counted: %s", error.message)

    task = asyncio.ensure_future(done())
    _running.add(task)
    task.add_done_callback(_running.discard)


async def _request_id(request: Request) -> str:
    return str(request.scope.get("state", {}).get("request_id", ""))


ServicesOf = Annotated[Services, Depends(_services)]
AuditOf = Annotated[AuditQueries, Depends(_audit)]
AuditExportsOf = Annotated[AuditExports, Depends(_audit_exports)]
VerificationsOf = Annotated[Verifications, Depends(_verifications)]
IdentityOf = Annotated[Identity, Depends(_identity)]
Owner = Annotated[Person, Depends(_owner)]
AskerOf = Annotated[Asker, Depends(_asker)]
ConversationAskerOf = Annotated[Asker, Depends(_conversation_asker)]
RequestIdOf = Annotated[str, Depends(_request_id)]
