"""Which files of the model were found right, so that they need not be read again at each start.

Kept in the data folder under a keyed hash: who can write there, but has no key, cannot make an altered file pass. An
entry is good for one folder, one manifest and some days; a file whose stamp
(:func:`vlpro.engines.model_files.stamps`) differs is read again in any case.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from pathlib import Path
from typing import Any

from vlpro.audit.canonical import encode
from vlpro.crypto import Sealer
from vlpro.engines.model_files import Manifest, Stamps

__all__ = ["CheckedFiles"]

_DAY_S = 86_400
_PLACE = "model.checked:1"


class CheckedFiles:
    """The entry of one model's folder.

    Args:
        data_dir: Folder of the data.
        sealer: Makes the keyed hash.
        folder: The model's.
        manifest: What its files must be.
        days: How long an entry is good.
    """

    def __init__(
        self, data_dir: Path, sealer: Sealer, folder: Path, manifest: Manifest, *, days: int
    ) -> None:
        self._path = data_dir / "model-checked.json"
        self._sealer = sealer
        self._of = {
            "folder": str(folder.resolve()),
            "manifest": hashlib.sha256(manifest.to_json().encode()).hexdigest(),
        }
        self._valid_s = days * _DAY_S

    def known(self, now: float) -> tuple[Stamps, float]:
        """What was found right, and when; nothing where there is no entry, or none that counts.

        Args:
            now: Unix time.
        """
        try:
            stored = json.loads(self._path.read_bytes())
            entry, mac = stored["entry"], bytes.fromhex(stored["mac"])
            right = hmac.compare_digest(self._mac(entry), mac)
            of = {name: entry[name] for name in self._of}
            at = float(entry["time"])
            files: dict[str, str] = entry["files"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return {}, 0.0
        if not right or of != self._of or not 0 <= now - at <= self._valid_s:
            return {}, 0.0
        return files, at

    def remember(self, files: Stamps, now: float) -> None:
        """Keep an entry; one that cannot be written only costs time at the next start.

        Args:
            files: Stamps that were the same before and after all files were read.
            now: Unix time at which that began.
        """
        entry: dict[str, Any] = {**self._of, "time": int(now), "files": dict(files)}
        content = json.dumps({"entry": entry, "mac": self._mac(entry).hex()}, indent=2)
        new = self._path.with_suffix(f".{os.getpid()}")
        try:
            new.write_text(content, encoding="utf-8")
            new.replace(self._path)
        except OSError:
            new.unlink(missing_ok=True)

    def _mac(self, entry: dict[str, Any]) -> bytes:
        return self._sealer.mac(encode(entry), _PLACE)
