"""What checks of clauses may use: the settings, the live system, and a scratch system to try things on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vlpro.audit.recorder import LogRecorder
from vlpro.compliance.live import Live
from vlpro.compliance.scratch import Scratch
from vlpro.config import Settings
from vlpro.crypto import Sealer
from vlpro.engines.interface import Engine
from vlpro.identity.permissions import Permission
from vlpro.identity.service import Identity

__all__ = ["Application", "Asked", "Context", "Route"]


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


@dataclass(frozen=True, slots=True)
class Asked:
    """What whoever asks for a report tells of the deployment.

    Args:
        url: Of the running service; empty: ``public_url`` of the settings.
        ca: PEM file of the authority of its certificate; None: those that the system trusts.
        ports: TCP ports on which this machine is meant to listen for others; None: nobody said.
        advisories: Database of advisories (OSV); None: there is none here.
        lock: File of what should be installed, with hashes; None: the one beside the software, if any.
    """

    url: str = ""
    ca: Path | None = None
    ports: tuple[int, ...] | None = None
    advisories: Path | None = None
    lock: Path | None = None


@dataclass
class Context:
    """What checks may use.

    Args:
        settings: Of the live system.
        sealer: What opens its secrets, and signs.
        folder: For what checks write; removed afterwards.
        application: Makes an application of settings; the gateway's.
        asked: What was told of the deployment.
    """

    settings: Settings
    sealer: Sealer
    folder: Path
    application: Callable[[Settings], Application]
    asked: Asked = field(default_factory=Asked)
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
