"""When the model's files are read whole, and what the record says of it."""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vlpro.audit.events import Outcome
from vlpro.config import Settings
from vlpro.crypto import Sealer
from vlpro.engines.checked_files import CheckedFiles
from vlpro.engines.model_files import Manifest, find_manifest, stamps
from vlpro.errors import ModelFilesError, VlproError

__all__ = ["ModelCheck", "model_check_of"]

_DAY_S = 86_400


class ModelCheck:
    """The check of one model's folder, which an engine makes before it loads it.

    Args:
        folder: The model's.
        manifest: What its files must be.
        kept: Where is kept what was found right; None: everything is read each time.
        days: For how many days.
    """

    def __init__(self, folder: Path, manifest: Manifest, kept: CheckedFiles | None, days: int) -> None:
        self._folder, self._manifest, self._kept = folder, manifest, kept
        self._began = time.time()
        self._known, self._at = kept.known(self._began) if kept else ({}, 0.0)
        self._until = self._at + days * _DAY_S
        self._before = stamps(folder, manifest)

    @property
    def options(self) -> dict[str, object]:
        """For the engine: files that it need not read again, and until when."""
        return {"known": (dict(self._known), self._until)}

    def outcome(self, problem: VlproError | None) -> tuple[Outcome, dict[str, Any]] | None:
        """What is put on the record when the engine is ready, or is not; None: it is not about files.

        Args:
            problem: Why it is not.
        """
        said: dict[str, Any] = {
            "model": self._manifest.name,
            "manifest": hashlib.sha256(self._manifest.to_json().encode()).hexdigest(),
        }
        if problem is not None:
            if problem.code != ModelFilesError.default_code:
                return None
            return Outcome.FAILED, said | {"file": problem.param or "", "why": problem.code}
        now = stamps(self._folder, self._manifest)
        known = sum(now[name] == self._known.get(name) for name in now) if time.time() <= self._until else 0
        if self._kept is not None and not known and now == self._before:
            self._kept.remember(now, self._began)
        since = datetime.fromtimestamp(self._at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if known else None
        return Outcome.OK, said | {"files": len(now), "read": len(now) - known} | (
            {"since": since} if since else {}
        )


def model_check_of(settings: Settings, sealer: Sealer) -> ModelCheck | None:
    """The check of the model that the settings name; None: there is none, or it is refused by its engine."""
    if not settings.model_dir:
        return None
    folder = Path(settings.model_dir).absolute()
    try:
        manifest = find_manifest(settings.model_manifest, folder)
    except ModelFilesError:
        return None
    days = settings.model_check_days
    kept: CheckedFiles | None = None
    if settings.model_check == "cached":
        kept = CheckedFiles(settings.data_dir, sealer, folder, manifest, days=days)
    return ModelCheck(folder, manifest, kept, days)
