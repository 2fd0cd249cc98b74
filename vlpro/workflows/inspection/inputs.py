"""Where pictures come from by themselves: a watched folder and a broker, as the settings name them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from vlpro.identity.service import Identity
from vlpro.workflows.inspection.folder import WatchedFolder
from vlpro.workflows.inspection.operator import Operator
from vlpro.workflows.inspection.service import InspectionService

if TYPE_CHECKING:
    from vlpro.workflows.inspection.mqtt import MqttInput

__all__ = ["Inputs"]

log = logging.getLogger(__name__)

_PAUSE_S = 5.0


class Inputs:
    """Runs what the settings name.

    Args:
        service: Inspects, and has the options.
        identity: The accounts; None: profile ``local``.
        data_dir: Where the service keeps its own files.
        max_bytes: Of a picture.

    Raises:
        ConfigError: Something that the options name cannot be used.
    """

    def __init__(
        self, service: InspectionService, identity: Identity | None, *, data_dir: Path, max_bytes: int
    ) -> None:
        self._wanted: list[WatchedFolder | MqttInput] = []
        self._running: list[asyncio.Task[None]] = []
        folder, mqtt = service.options.folder, service.options.mqtt
        if folder is not None:
            operator = Operator(identity, folder.account, "folder")
            self._wanted.append(
                WatchedFolder(service, folder, operator, data_dir=data_dir, max_bytes=max_bytes)
            )
        if mqtt is not None:
            from vlpro.workflows.inspection.mqtt import MqttInput  # noqa: PLC0415 - only who names a broker needs it

            operator = Operator(identity, mqtt.account, "mqtt")
            self._wanted.append(MqttInput(service, mqtt, operator, max_bytes=max_bytes))

    def start(self) -> None:
        """Begin to take pictures."""
        self._running = [asyncio.create_task(_always(one.run)) for one in self._wanted]

    async def stop(self) -> None:
        """End; what is being inspected is taken up at the next start."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._running = []


async def _always(run: Callable[[], Awaitable[None]]) -> None:
    """Run something that should not end; where it does, begin again."""
    while True:
        try:
            await run()
        except Exception:
            log.exception("what takes pictures in has failed, and begins again")
        await asyncio.sleep(_PAUSE_S)
