"""What checks of clauses may use: the settings, the live system, and a scratch system to try things on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vlpro.audit.recorder import LogRecorder
from vlpro.compliance.live import Live
from vlpro.compliance.options import ComplianceOptions
from vlpro.compliance.scratch import Scratch
from vlpro.config import Settings
from vlpro.crypto import Sealer
from vlpro.engines.interface import Engine
from vlpro.identity.permissions import Permission
from vlpro.identity.service import Identity

__all__ = ["Application", "Context", "Route"]


@dataclass(frozen=True, slots=True)
class Route:
    """A way into the application.

    Args:
        method: Of HTTP.
        path: With ids of nothing.
        permission: That it takes; None: a page of one's own account, for whoever is signed in.
    """

    method: str
    path: str
    permission: Permission | None


@dataclass(frozen=True, slots=True)
class Application:
    """The application, served to nobody yet, and what is inside.

    Args:
        asgi: The application (ASGI), with its lifespan.
        identity: Its accounts.
        recorder: Of its audit.
        engine: What answers.
        routes: All its routes but those on which one signs in, and probes.
    """

    asgi: Any
    identity: Identity
    recorder: LogRecorder
    engine: Engine
    routes: tuple[Route, ...]


@dataclass
class Context:
    """What checks may use.

    Args:
        settings: Of the live system.
        sealer: What opens its secrets, and signs.
        folder: For what checks write; removed afterwards.
        application: Makes an application of settings; the gateway's.
        told: What the operator tells of the deployment.
        key: API key of a user of the running service; empty: none was given.
    """

    settings: Settings
    sealer: Sealer
    folder: Path
    application: Callable[[Settings], Application]
    told: ComplianceOptions = field(default_factory=ComplianceOptions)
    key: str = field(default="", repr=False)
    _scratch: Scratch | None = field(default=None, init=False)
    _live: Live | None = field(default=None, init=False)

    @property
    def scratch(self) -> Scratch:
        """The scratch system; started when it is first asked for."""
        if self._scratch is None:
            self._scratch = Scratch(self)
        return self._scratch

    @property
    def live(self) -> Live:
        """What the live system has stored."""
        if self._live is None:
            self._live = Live(self.settings)
        return self._live

    def close(self) -> None:
        """End the scratch system, and give connections back."""
        if self._scratch is not None:
            self._scratch.close()
        if self._live is not None:
            self._live.close()
