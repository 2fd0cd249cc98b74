"""The key file: where it may lie, who may read it, how it is read and replaced."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vlpro.crypto.ciphers import KEY_BYTES
from vlpro.crypto.keys import Keys
from vlpro.crypto.secret_memory import wipe
from vlpro.crypto.token import Token, token_of
from vlpro.errors import ConfigError, VlproError

__all__ = ["KeyFile", "make_key_file", "read_key_file"]

_CREDENTIAL = "credential:"
_MOST_BYTES = 65_536
_WRAPPED = b"vlpro wrapped key file 1\n"


class KeyFile:
    """A key file.

    Args:
        path: Of the file; only its owner may have any right to it. ``credential:NAME``: what systemd hands the
            service under this name (LoadCredential=, LoadCredentialEncrypted=).
        data_dir: The folder of the data, in which it must not lie: a copy of the data would hold the key to it.
            None: it may lie anywhere.
        token: PKCS#11 URI of the key that the file is wrapped with; empty: it is not.

    Raises:
        ConfigError: The URI is wrong, or the service was given no credentials.
    """

    def __init__(self, path: Path, data_dir: Path | None = None, *, token: str = "") -> None:
        self._credential = str(path).startswith(_CREDENTIAL)
        self.path = _credential(str(path)) if self._credential else path
        self._data_dir = data_dir
        self._token: Token | None = token_of(token) if token else None

    @property
    def places(self) -> tuple[Path, ...]:
        """What a confined process must be able to read.

        The file's folder, since a rotation puts a new file in the old one's place; of a token, the module and the
        file of its PIN.
        """
        token = self._token
        return (self.path.resolve().parent, *(token.places if token is not None else ()))

    def stamp(self) -> tuple[int, int, int] | None:
        """Changes when the file does; None: it cannot be seen."""
        try:
            seen = self.path.stat()
        except OSError:
            return None
        return seen.st_ino, seen.st_size, seen.st_mtime_ns

    def read(self) -> Keys:
        """The keys in it.

        Raises:
            ConfigError: The file is missing, readable by others, inside the data folder, or no key file; or the token
                does not open it.
        """
        path = self.path
        if self._data_dir is not None and path.resolve().is_relative_to(self._data_dir.resolve()):
            raise ConfigError(
                f"The key file {path} lies inside the data folder. Keep it elsewhere: a copy of the data must not "
                "hold the key to it.",
                zh=f"密钥文件 {path} 位于数据文件夹内，请移到别处：数据的副本不应带有密钥。",
                param="key_file",
            )
        text = bytearray()
        try:
            text, seen = _content(path)
            if not self._credential and (not stat.S_ISREG(seen.st_mode) or seen.st_mode & 0o077):
                raise _open_to_others(path)
            if text.startswith(_WRAPPED):
                text = self._unwrapped(text)
            elif self._token is not None:
                raise ConfigError(
                    f"The key file {path} is not wrapped by the token of VLPRO_KEY_TOKEN. Wrap it: vlpro key wrap",
                    zh=f"密钥文件 {path} 未由 VLPRO_KEY_TOKEN 的密码设备加密。请执行 vlpro key wrap",
                    param="key_token",
                )
            return Keys.parse(text)
        except OSError as error:
            raise ConfigError(
                f"The key file {path} cannot be read: {error.strerror}. Make one: vlpro key make {path}",
                zh=f"无法读取密钥文件 {path}：{error.strerror}。可用 vlpro key make {path} 生成。",
                param="key_file",
            ) from error
        except ValueError as error:
            raise ConfigError(
                f"The key file {path} is not a key: 64 hexadecimal digits, or a line for each key. Make one: "
                "vlpro key make FILE",
                zh=f"密钥文件 {path} 的内容不是密钥（应为 64 个十六进制数字，或每行一个密钥）。"
                "可用 vlpro key make 文件 生成。",
                param="key_file",
            ) from error
        finally:
            wipe(text)

    def make(self) -> None:
        """Write a new random key, for its owner's eyes only.

        Raises:
            ConfigError: The file exists, or cannot be written.
        """
        text = bytearray(secrets.token_hex(KEY_BYTES).encode() + b"\n")
        try:
            with _new(
                self.path, "An existing key is never overwritten.", "已有的密钥不会被覆盖。"
            ) as descriptor:
                os.write(descriptor, self._wrapped(text))
        finally:
            wipe(text)

    def replace(self, keys: Keys) -> None:
        """Put other keys in the file's place, in one step; owner and rights stay.

        Raises:
            ConfigError: It is a credential, is being replaced already, or cannot be written.
        """
        if self._credential:
            raise ConfigError(
                f"{_CREDENTIAL}{self.path.name} is systemd's copy, which cannot be changed. Name the file that it is "
                "made from: docs/encryption.md, section systemd credentials.",
                zh=f"{_CREDENTIAL}{self.path.name} 是 systemd 提供的只读副本。请指定其来源文件："
                "见 docs/encryption.md 的 systemd 一节。",
                param="key_file",
            )
        new = self.path.with_name(self.path.name + ".new")
        text = keys.text()
        try:
            seen = self.path.stat()
            with _new(
                new, "Is a rotation running? Else remove it.", "是否正在轮换？否则请删除它。"
            ) as descriptor:
                os.fchown(descriptor, seen.st_uid, seen.st_gid)
                os.write(descriptor, self._wrapped(text))
            new.replace(self.path)
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            new.unlink(missing_ok=True)
            raise ConfigError(
                f"The key file {self.path} cannot be replaced: {error.strerror}.",
                zh=f"无法更新密钥文件 {self.path}：{error.strerror}。",
                param="key_file",
            ) from error
        finally:
            wipe(text)

    def _wrapped(self, text: bytearray) -> bytes:
        if self._token is None:
            return bytes(text)
        return _WRAPPED + self._token.wrap(text, _WRAPPED).hex().encode() + b"\n"

    def _unwrapped(self, text: bytearray) -> bytearray:
        if self._token is None:
            raise ConfigError(
                f"The key file {self.path} is wrapped by a token: name it with VLPRO_KEY_TOKEN.",
                zh=f"密钥文件 {self.path} 由密码设备加密，请用 VLPRO_KEY_TOKEN 指定该设备。",
                param="key_token",
            )
        return self._token.unwrap(bytes.fromhex(text[len(_WRAPPED) :].decode("ascii")), _WRAPPED)


def make_key_file(path: Path) -> None:
    """Write a new random key, for its owner's eyes only.

    Raises:
        ConfigError: The file exists, or cannot be written.
    """
    KeyFile(path).make()


def read_key_file(path: Path, data_dir: Path | None) -> Keys:
    """The keys in a file.

    Args:
        path: As for :class:`KeyFile`.
        data_dir: As for :class:`KeyFile`.

    Raises:
        ConfigError: The file is missing, readable by others, inside the data folder, or no key.
    """
    return KeyFile(path, data_dir).read()


def _content(path: Path) -> tuple[bytearray, os.stat_result]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = bytearray(_MOST_BYTES)
        size = os.readv(descriptor, [text])
        del text[size:]
        return text, os.fstat(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _new(path: Path, en: str, zh: str) -> Iterator[int]:
    """A new file, for its owner's eyes only, on the disk at the end of the block. Raises: ConfigError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be made: {error.strerror}. {en}",
            zh=f"无法创建 {path}：{error.strerror}。{zh}",
            param="key_file",
        ) from error
    try:
        yield descriptor
        os.fsync(descriptor)
    except (OSError, VlproError):
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def _credential(name: str) -> Path:
    name = name.removeprefix(_CREDENTIAL)
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    if not folder or "/" in name or name in ("", ".", ".."):
        raise ConfigError(
            f"There is no credential {name}: systemd gave the service none. Add to its unit: "
            f"LoadCredentialEncrypted={name}",
            zh=f"没有凭据 {name}：systemd 未向服务提供。请在服务单元中加入 LoadCredentialEncrypted={name}",
            param="key_file",
        )
    return Path(folder) / name


def _open_to_others(path: Path) -> ConfigError:
    return ConfigError(
        f"The key file {path} is open to other users. Close it: chmod 600 {path}",
        zh=f"密钥文件 {path} 对其他用户开放。请执行 chmod 600 {path}",
        param="key_file",
    )
