"""What routes are given: the services, and who asks.

The functions are coroutines although they wait for nothing: FastAPI sends every other one through a thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from vlpro.chat.conversation_service import ConversationService
from vlpro.chat.service import ChatService
from vlpro.config import Settings
from vlpro.device import DeviceMonitor

__all__ = ["Owner", "RequestIdOf", "Services", "ServicesOf"]


@dataclass(frozen=True, slots=True)
class Services:
    """All services of one application; ``started`` is its Unix time of start."""

    settings: Settings
    chat: ChatService
    conversations: ConversationService
    device: DeviceMonitor
    started: int


async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def _owner(request: Request) -> str:  # noqa: ARG001 - profile local knows one person; sessions come with accounts
    return "local"


async def _request_id(request: Request) -> str:
    return str(request.scope.get("state", {}).get("request_id", ""))


ServicesOf = Annotated[Services, Depends(_services)]
Owner = Annotated[str, Depends(_owner)]
RequestIdOf = Annotated[str, Depends(_request_id)]
