"""The key file: 32 random bytes in hexadecimal, outside the data folder."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from vlpro.errors import ConfigError

__all__ = ["make_key_file", "read_key_file"]

_KEY_BYTES = 32


def make_key_file(path: Path) -> None:
    """Write a new random key, for its owner's eyes only.

    Raises:
        ConfigError: The file exists, or cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be made: {error.strerror}. An existing key is never overwritten.",
            zh=f"无法创建 {path}：{error.strerror}。已有的密钥不会被覆盖。",
            param="key_file",
        ) from error
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(_KEY_BYTES) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_key_file(path: Path, data_dir: Path) -> bytes:
    """The key in a file.

    Args:
        path: The file; only its owner may have any right to it.
        data_dir: The folder of the data, in which it must not lie: a copy of the data would hold the key to it.

    Returns:
        32 bytes.

    Raises:
        ConfigError: The file is missing, readable by others, inside the data folder, or no key.
    """
    place = path.resolve()
    if place.is_relative_to(data_dir.resolve()):
        raise ConfigError(
            f"The key file {path} lies inside the data folder. Keep it elsewhere: a copy of the data must not hold "
            "the key to it.",
            zh=f"密钥文件 {path} 位于数据文件夹内，请移到别处：数据的副本不应带有密钥。",
            param="key_file",
        )
    try:
        mode = place.stat().st_mode
        text = place.read_text(encoding="ascii").strip()
        key = bytes.fromhex(text)
    except OSError as error:
        raise ConfigError(
            f"The key file {path} cannot be read: {error.strerror}. Make one: vlpro key {path}",
            zh=f"无法读取密钥文件 {path}：{error.strerror}。可用 vlpro key {path} 生成。",
            param="key_file",
        ) from error
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise ConfigError(
            f"The key file {path} is not a key: 64 hexadecimal digits. Make one: vlpro key FILE",
            zh=f"密钥文件 {path} 的内容不是密钥（应为 64 个十六进制数字）。可用 vlpro key 文件 生成。",
            param="key_file",
        )
    if not stat.S_ISREG(mode) or mode & 0o077:
        raise ConfigError(
            f"The key file {path} is open to other users. Close it: chmod 600 {path}",
            zh=f"密钥文件 {path} 对其他用户开放。请执行 chmod 600 {path}",
            param="key_file",
        )
    return key
