"""What the commands of the audit work on: its database, its log, its keys, and the files that they write."""

from __future__ import annotations

import getpass
import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlpro.audit.checkpoint import public_key
from vlpro.audit.cosigned import Cosigned
from vlpro.audit.errors import VerificationError
from vlpro.audit.place import LOCK, audit_database_url, audit_sealer
from vlpro.audit.service import open_log
from vlpro.audit.sm2 import PUBLIC_BYTES, Sm2Key, why_not
from vlpro.db import Database
from vlpro.errors import AuditError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vlpro.audit.log import AuditLog
    from vlpro.config import Settings

__all__ = [
    "audit_database",
    "audit_log",
    "check_key",
    "key_of",
    "refused_where_unverified",
    "sealer",
    "trusted",
    "url_of",
    "who",
    "written",
]


def url_of(settings: Settings) -> str:
    """The audit's database, by the settings."""
    return audit_database_url(
        data_dir=settings.data_dir,
        database_url=settings.database_url.get_secret_value(),
        audit_database_url=settings.audit_database_url.get_secret_value(),
    )


def check_key(settings: Settings) -> None:
    """See that there is a key: in profile ``local`` it would be made, in a folder that was mistyped, too.

    Raises:
        ConfigError: There is none.
    """
    if settings.profile == "local" and settings.key_file is None and not (settings.data_dir / "key").exists():
        raise ConfigError(
            f"Nothing is stored in {settings.data_dir} yet. Is VLPRO_DATA_DIR right? A public key can be "
            "named instead where --key is an option.",
            zh=f"{settings.data_dir} 中尚未存储任何内容。VLPRO_DATA_DIR 是否正确？"
            "有 --key 选项的命令也可直接指定公钥。",
            param="data_dir",
        )


def sealer(settings: Settings) -> Any:
    """The keys of the audit. Raises: ConfigError where there are none."""
    check_key(settings)
    return audit_sealer(
        profile=settings.profile,
        data_dir=settings.data_dir,
        key_file=settings.key_file,
        key_token=settings.key_token,
        crypto=settings.crypto,
    )


@contextmanager
def audit_database(settings: Settings, url: str | None) -> Iterator[Database]:
    """The audit's database; never made here.

    Raises:
        AuditError: There is none.
    """
    url = url or url_of(settings)
    path = url.removeprefix("sqlite:///")
    if path != url and not Path(path).exists():
        raise AuditError(f"There is no audit database at {path}.", zh=f"{path} 处没有审计数据库。")
    database = Database(url, lock=LOCK)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def audit_log(settings: Settings) -> Iterator[AuditLog]:
    """The service's own log, to go on with; the service may be running."""
    with audit_database(settings, None) as database:
        gm = settings.crypto == "gm"
        log = open_log(database, sealer(settings), gm=gm, settle=False, copy=settings.audit_copy)
        log.start()
        try:
            yield log
        finally:
            log.stop()


@contextmanager
def refused_where_unverified() -> Iterator[None]:
    """What is wrong with the record becomes the command's refusal."""
    try:
        yield
    except VerificationError as error:
        raise AuditError(error.diagnostics(), zh=error.diagnostics(chinese=True)) from error


def trusted(given: list[str], settings: Settings) -> tuple[list[bytes], Cosigned]:
    """The public keys of Ed25519 that are trusted, and what checks SM2: by those given, else by the service's own."""
    keys = [key_of(text, 32, PUBLIC_BYTES) for text in given]
    of_sm2 = [key for key in keys if len(key) == PUBLIC_BYTES]
    keys = [key for key in keys if len(key) != PUBLIC_BYTES]
    if not keys:
        keys = [public_key(sealer(settings).signing_seed)]
    if not given and settings.crypto == "gm" and not why_not()[0]:
        of_sm2 = [Sm2Key.derived(sealer(settings).signing_seed).public]
    return keys, Cosigned(of_sm2)


def key_of(text: str, *sizes: int) -> bytes:
    """A public key: 32 bytes are one of Ed25519, 65 one of SM2.

    Raises:
        ConfigError: It is none of these sizes.
    """
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) not in sizes:
        digits = " or ".join(str(2 * size) for size in sizes)
        raise ConfigError(
            f"{text} is no public key: {digits} hexadecimal digits (vlpro audit key).",
            zh=f"{text} 不是公钥：应为 {digits.replace('or', '或')} 个十六进制数字（vlpro audit key）。",
            param="key",
        )
    return key


def who() -> dict[str, Any]:
    """Who sits at the machine, as the system knows it."""
    with suppress(KeyError, OSError):
        return {"at": "machine", "user": os.environ.get("SUDO_USER") or getpass.getuser()}
    return {"at": "machine", "user": str(os.getuid())}


@contextmanager
def written(path: Path) -> Iterator[Callable[[str], object]]:
    """A new file for its owner's eyes only, there as a whole or not at all.

    Raises:
        ConfigError: It cannot be written.
    """
    unfinished = path.with_name(path.name + ".part")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            yield file.write
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException as error:
        with suppress(OSError):
            unfinished.unlink()
        if not isinstance(error, OSError):
            raise
        raise ConfigError(
            f"{path} cannot be written: {error.strerror}.",
            zh=f"无法写入 {path}：{error.strerror}。",
            param="output",
        ) from error
