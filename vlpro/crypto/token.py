"""A hardware security module that opens the key file: PKCS#11 (OASIS, version 2.40 and later).

An AES key in the module, which never leaves it, encrypts the key file (CKM_AES_GCM). It is asked at the start and
when the key file changes, not for each value: what the service needs all day is in its memory. Who steals the file
has nothing without the module and its PIN.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from vlpro.crypto.ciphers import NONCE_BYTES, TAG_BYTES
from vlpro.errors import ConfigError

__all__ = ["Token", "token_of"]

_ONE_AT_A_TIME = threading.Lock()  # signing in and out is the process's, not the session's
_CREDENTIAL = "credential:"
_KNOWN = {"token", "serial", "object", "id", "type"}


@dataclass(frozen=True, slots=True)
class Token:
    """A key in a token, as a PKCS#11 URI names it.

    Args:
        module: Path of the module's library.
        pin_source: Where the PIN stands: a file's path, or ``credential:NAME``.
        label: The token's label; empty: any.
        serial: The token's serial number; empty: any.
        key_label: The key's label; empty: any.
        key_id: The key's id; empty: any.
    """

    module: str
    pin_source: str
    label: str = ""
    serial: str = ""
    key_label: str = ""
    key_id: bytes = b""

    @property
    def places(self) -> tuple[Path, ...]:
        """The module's library, and the file of the PIN. What the module itself reads is not known here."""
        return Path(self.module), _pin_file(self.pin_source)

    def wrap(self, data: bytes | bytearray, bound: bytes) -> bytes:
        """Encrypt in the token. Raises: ConfigError."""
        nonce = os.urandom(NONCE_BYTES)
        with self._key() as key:
            return nonce + bytes(key.encrypt(bytes(data), **_gcm(nonce, bound)))

    def unwrap(self, sealed: bytes, bound: bytes) -> bytearray:
        """Decrypt what :meth:`wrap` made. Raises: ConfigError."""
        with self._key() as key:
            return bytearray(key.decrypt(sealed[NONCE_BYTES:], **_gcm(sealed[:NONCE_BYTES], bound)))

    @contextmanager
    def _key(self) -> Iterator[Any]:
        try:
            import pkcs11  # noqa: PLC0415 - an extra
        except ModuleNotFoundError as error:
            raise ConfigError(
                "VLPRO_KEY_TOKEN needs the client for PKCS#11: pip install 'vlpro[pkcs11]'.",
                zh="使用 VLPRO_KEY_TOKEN 需要 PKCS#11 客户端：pip install 'vlpro[pkcs11]'。",
                param="key_token",
            ) from error
        from pkcs11 import Attribute, KeyType, ObjectClass  # noqa: PLC0415 - likewise

        wanted: dict[Attribute, object] = {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.AES,
        }
        if self.key_label:
            wanted[Attribute.LABEL] = self.key_label
        if self.key_id:
            wanted[Attribute.ID] = self.key_id
        pin = _pin(self.pin_source)
        try:
            with _ONE_AT_A_TIME:
                token = pkcs11.lib(self.module).get_token(
                    token_label=self.label or None, token_serial=self.serial.encode() or None
                )
                with token.open(user_pin=pin) as session:
                    found = list(session.get_objects(wanted))
                    if len(found) != 1:
                        raise _wrong(f"{len(found)} AES keys fit it", f"有 {len(found)} 个 AES 密钥与之相符")
                    yield found[0]
        except (pkcs11.PKCS11Error, RuntimeError) as error:
            raise _wrong(*_said(error)) from error


def token_of(uri: str) -> Token:
    """The key that a PKCS#11 URI names (RFC 7512).

    Args:
        uri: Such as ``pkcs11:token=vlpro;object=kek;type=secret-key?module-path=/usr/lib/…so&pin-source=file:/…``.

    Raises:
        ConfigError: It is no such URI, holds the PIN itself, or says something that is not understood here.
    """
    scheme, _, rest = uri.partition(":")
    path, _, query = rest.partition("?")
    named, asked = _pairs(path, ";"), _pairs(query, "&")
    source = unquote(asked.get("pin-source", "")).removeprefix("file://").removeprefix("file:")
    if "pin-value" in asked:
        raise _wrong(
            "pin-value would stand in the settings; name a file: pin-source=file:/path",
            "不要在设置中写 PIN（pin-value），请用 pin-source=file:/路径",
        )
    if (
        scheme != "pkcs11"
        or named.keys() - _KNOWN
        or asked.keys() - {"module-path", "pin-source"}
        or named.get("type", "secret-key") != "secret-key"
        or not named.get("object", "") + named.get("id", "")
        or not asked.get("module-path")
        or not source
    ):
        raise _wrong(
            "write pkcs11:token=LABEL;object=KEY?module-path=/path/of.so&pin-source=file:/path (RFC 7512)",
            "格式为 pkcs11:token=标签;object=密钥?module-path=/路径.so&pin-source=file:/路径（RFC 7512）",
        )
    return Token(
        module=unquote(asked["module-path"]),
        pin_source=source,
        label=unquote(named.get("token", "")),
        serial=unquote(named.get("serial", "")),
        key_label=unquote(named.get("object", "")),
        key_id=unquote_to_bytes(named.get("id", "")),
    )


def _gcm(nonce: bytes, bound: bytes) -> dict[str, Any]:
    from pkcs11 import GCMParams, Mechanism  # noqa: PLC0415 - an extra

    return {
        "mechanism": Mechanism.AES_GCM,
        "mechanism_param": GCMParams(nonce, bound, TAG_BYTES * 8),
    }


def _pairs(text: str, between: str) -> dict[str, str]:
    return {name: value for part in text.split(between) if part for name, _, value in [part.partition("=")]}


def _pin_file(source: str) -> Path:
    if not source.startswith(_CREDENTIAL):
        return Path(source)
    return Path(os.environ.get("CREDENTIALS_DIRECTORY", "")) / source.removeprefix(_CREDENTIAL)


def _pin(source: str) -> str:
    path = _pin_file(source)
    try:
        if not source.startswith(_CREDENTIAL) and path.stat().st_mode & 0o077:
            raise _wrong(
                f"the PIN's file {path} is open to other users: chmod 600 {path}",
                f"PIN 文件 {path} 对其他用户开放，请执行 chmod 600 {path}",
            )
        return path.read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(f"its PIN cannot be read from {path}", f"无法从 {path} 读取 PIN") from error


def _said(error: Exception) -> tuple[str, str]:
    """What a module's error means; the library's errors have their name alone."""
    kind = type(error).__name__
    known = {
        "NoSuchToken": ("there is no such token", "没有该密码设备"),
        "PinIncorrect": ("the PIN is wrong", "PIN 不正确"),
        "PinLocked": ("the PIN is locked after too many tries", "PIN 因多次错误已锁定"),
        "EncryptedDataInvalid": (
            "the key file was wrapped with another key, or altered",
            "密钥文件由其他密钥加密，或已被改动",
        ),
        "MechanismInvalid": ("the token cannot do AES-GCM", "该密码设备不支持 AES-GCM"),
    }
    return known.get(kind, (f"the module says {kind} {error}".rstrip(), f"模块返回 {kind} {error}".rstrip()))


def _wrong(en: str, zh: str) -> ConfigError:
    return ConfigError(
        f"The token of VLPRO_KEY_TOKEN cannot be used: {en}.",
        zh=f"VLPRO_KEY_TOKEN 指定的密码设备无法使用：{zh}。",
        param="key_token",
    )
