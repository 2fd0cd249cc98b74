"""Whether the service can answer, and why not: in words that tell an outsider nothing about its inside."""

from __future__ import annotations

import asyncio
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from vlpro.audit.recorder import LogRecorder
from vlpro.errors import VlproError

if TYPE_CHECKING:
    from vlpro.gateway.deps import Services

__all__ = ["REASONS", "Readiness", "Reason"]

_FRESH_S = 2.0  # anybody may ask, and each look asks the databases
_LOOK_S = 3.0
_FAILED_S = 30.0  # after a failed write of the audit: nobody may come to try another one
_FREE_BYTES = 500_000_000
_FREE_SHARE = 0.05  # of a small disk


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the service is not ready.

    Args:
        code: For programs.
        message: For people, in English.
        zh: The same in Chinese.
    """

    code: str
    message: str
    zh: str


_ALL = (
    Reason(
        "draining",
        "The service is about to end: it finishes what was begun.",
        zh="服务即将停止，正在完成已有请求。",
    ),
    Reason("engine_starting", "The engine is being loaded.", zh="推理引擎正在加载。"),
    Reason(
        "engine_failed",
        "The engine does not load; the service's log says why.",
        zh="推理引擎无法加载，原因见服务日志。",
    ),
    Reason("audit_not_writable", "The audit record cannot be written.", zh="审计记录无法写入。"),
    Reason("database_unreachable", "The database does not answer.", zh="数据库没有响应。"),
    Reason("disk_nearly_full", "The disk of the data folder is nearly full.", zh="数据文件夹所在磁盘将满。"),
)
REASONS = {reason.code: reason for reason in _ALL}
"""All reasons by their code."""


class Readiness:
    """Finds out whether the service can answer.

    Args:
        services: The application's.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._found: tuple[str, ...] = ()
        self._looked_at = float("-inf")
        self._looking: asyncio.Future[tuple[str, ...]] | None = None

    async def reasons(self) -> list[Reason]:
        """Why it is not ready; empty: it is. What databases and disk say is up to two seconds old."""
        found = list(self._at_once())
        if time.monotonic() - self._looked_at > _FRESH_S:
            if self._looking is None or self._looking.done():  # one at a time, however many ask
                self._looking = asyncio.ensure_future(asyncio.to_thread(self.look))
            done, _ = await asyncio.wait({self._looking}, timeout=_LOOK_S)
            found += self._looking.result() if done else ("database_unreachable",)
        else:
            found += self._found
        return [REASONS[code] for code in found]

    def ready(self) -> bool:
        """Whether it is. Asks databases: not for the event loop."""
        return not (*self._at_once(), *self.look())

    def look(self) -> tuple[str, ...]:
        """What databases and disk say, as codes. Not for the event loop."""
        found: list[str] = []
        services = self._services
        recorder = services.recorder
        if isinstance(recorder, LogRecorder):
            failed_at = recorder.audit.failed_at
            recently = failed_at is not None and time.monotonic() - failed_at < _FAILED_S
            if recently or not _writable(recorder):
                found.append("audit_not_writable")
        try:
            with services.storage.database.read() as connection:
                connection.execute(sa.select(1))
        except VlproError:
            found.append("database_unreachable")
        try:
            disk = shutil.disk_usage(services.settings.data_dir)
        except OSError:
            found.append("disk_nearly_full")  # not even there any more
        else:
            if disk.free < min(_FREE_BYTES, _FREE_SHARE * disk.total):
                found.append("disk_nearly_full")
        self._found, self._looked_at = tuple(found), time.monotonic()
        return self._found

    def _at_once(self) -> tuple[str, ...]:
        engine, found = self._services.chat.engine, list[str]()
        if self._services.draining.active:
            found.append("draining")
        if not engine.ready:
            found.append("engine_failed" if engine.problem is not None else "engine_starting")
        return tuple(found)


def _writable(recorder: LogRecorder) -> bool:
    try:
        with recorder.audit.database.write(alone=True):
            return True
    except VlproError:
        return False
