"""Files that commands write and that an administrator named."""

from __future__ import annotations

from pathlib import Path

from vlpro.errors import ConfigError

__all__ = ["write_bytes", "write_text"]


def write_text(path: Path, text: str) -> None:
    """Write a file as UTF-8.

    Raises:
        ConfigError: It cannot be written.
    """
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file.

    Raises:
        ConfigError: It cannot be written.
    """
    try:
        path.write_bytes(data)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror}.",
            zh=f"无法写入 {path}：{error.strerror}。",
            param="output",
        ) from error
