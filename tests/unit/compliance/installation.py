"""A folder of packages, as pip leaves it."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

__all__ = ["install"]


def install(
    folder: Path, name: str, version: str, files: dict[str, str] | None = None, **headers: str
) -> dict[str, Path]:
    """Put a package in place.

    Args:
        folder: Of the packages.
        name: Its name.
        version: Its version; empty: its metadata has none.
        files: Content by path.
        **headers: More of its metadata, with _ for -.

    Returns:
        Its files by path.
    """
    stem = name.replace("-", "_")
    info = f"{stem}-{version or '0'}.dist-info"
    told = ["Metadata-Version: 2.4", f"Name: {name}", *([f"Version: {version}"] if version else [])]
    told += [f"{header.replace('_', '-')}: {value}" for header, value in headers.items()]
    contents = {f"{stem}/__init__.py": "", **(files or {}), f"{info}/METADATA": "\n".join(told) + "\n"}
    lines = []
    for path, content in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
        digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(content.encode())}")
    (folder / info / "RECORD").write_text("\n".join([*lines, f"{info}/RECORD,,"]) + "\n")
    return {path: folder / path for path in (*contents, f"{info}/RECORD")}
