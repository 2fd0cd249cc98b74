"""What ``vlpro key …`` does: make the key file, rotate its keys, tell what is under which, retire old ones."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlpro import config
from vlpro.crypto import Cipher, KeyFile, Sealer
from vlpro.crypto.ciphers import KEY_BYTES
from vlpro.crypto.keys import SealingKey
from vlpro.errors import ConfigError, ConflictError

if TYPE_CHECKING:  # making a key file needs no database, and takes a third of the time without
    from vlpro.audit.recorder import LogRecorder
    from vlpro.crypto.stored import SealedColumn
    from vlpro.db import Database

__all__ = ["run"]

Language = Callable[[str, str], str]

_QUIET_S = 3600
"""Seconds that a newer key must have sealed before an older one goes: what is sealed outside the database, such as
the cookie of a sign-in at a provider (ten minutes), must be gone."""

_NAMES = {Cipher.AES_256_GCM: "AES-256-GCM", Cipher.SM4_GCM: "SM4-GCM"}


def run(options: argparse.Namespace, language: Language) -> None:
    """Run one command.

    Args:
        options: Of the command line; ``key`` is the command's name.
        language: Chooses between a sentence in Chinese and in English.

    Raises:
        VlproError: It was refused, or a stored value does not open.
    """
    commands = {
        "make": _make,
        "status": _status,
        "rotate": _rotate,
        "reseal": _reseal,
        "retire": _retire,
        "wrap": _wrap,
    }
    commands[options.key](options, language)


def _make(options: argparse.Namespace, language: Language) -> None:
    KeyFile(Path(options.file), token=config.load().key_token).make()
    sys.stdout.write(
        language(
            f"已生成 {options.file}。请备份到别处：丢失后，用它加密的内容无法恢复。\n"
            f"使用：VLPRO_KEY_FILE={options.file}\n",
            f"{options.file} was made. Keep a copy elsewhere: what it encrypts cannot be had without it.\n"
            f"To use it: VLPRO_KEY_FILE={options.file}\n",
        )
    )


def _wrap(_: argparse.Namespace, language: Language) -> None:
    settings = config.load()
    if not settings.key_token or settings.key_file is None:
        raise ConfigError(
            "Name the key file and the token: VLPRO_KEY_FILE and VLPRO_KEY_TOKEN.",
            zh="请设置 VLPRO_KEY_FILE 和 VLPRO_KEY_TOKEN。",
            param="key_token",
        )
    keys = KeyFile(settings.key_file, settings.data_dir).read()
    KeyFile(settings.key_file, settings.data_dir, token=settings.key_token).replace(keys)
    sys.stdout.write(
        language(
            f"{settings.key_file} 已由密码设备加密。原来的明文副本仍然有效，请妥善保管或销毁。\n",
            f"{settings.key_file} is wrapped by the token now. Copies from before are not: lock them away, or "
            "destroy them.\n",
        )
    )


def _status(options: argparse.Namespace, language: Language) -> None:
    from vlpro.crypto.stored import count  # noqa: PLC0415 - as above

    with _opened(record=False) as opened:
        counts = {column.name: count(database, column) for database, column in opened.columns}
        keys, file, now = opened.sealer.keys, opened.file, time.time()
    newest = keys.newest(now)
    stale = sum(
        number
        for found in counts.values()
        for which, number in found.items()
        if (which.key, which.cipher) != (newest.id, opened.sealer.cipher)
    )
    if options.json:
        said = {
            "file": str(file.path),
            "memory": keys.memory,
            "cipher": _NAMES[opened.sealer.cipher],
            "keys": [
                {"id": key.id.hex(), "since": _since(key), "in_use": key is newest} for key in keys.sealing
            ],
            "values": [
                {
                    "column": name,
                    "key": which.key.hex() or None,
                    "cipher": _NAMES[which.cipher],
                    "count": number,
                }
                for name, found in counts.items()
                for which, number in found.items()
            ],
            "to_reseal": stale,
        }
        sys.stdout.write(json.dumps(said, indent=2) + "\n")
        return
    lines = [f"{file.path}  {_NAMES[opened.sealer.cipher]}  {keys.memory}"]
    for key in keys.sealing:
        state = language("正在使用", "in use") if key is newest else ""
        state = state or (
            language("尚未启用", "not yet") if key.since > now else language("只用于解密", "opens only")
        )
        lines.append(f"{key.id.hex()}  {_since(key) or '-':<20}  {state}")
    for name, found in counts.items():
        for which, number in sorted(found.items(), key=lambda pair: pair[0].key):
            shown = which.key.hex() or language("旧格式", "format 1")
            line = f"  {name:<24}  {shown:<8}  {_NAMES[which.cipher]:<11}  {number:>9,}"
            if which.key and all(key.id != which.key for key in keys.sealing):
                line += language("  密钥文件中没有此密钥", "  no such key in the key file")
            lines.append(line)
    lines.append(
        language(
            f"{stale} 个值尚未用当前密钥加密。" + (" 请执行 vlpro key reseal。" if stale else ""),
            f"{stale} values are not under the key in use." + (" Run vlpro key reseal." if stale else ""),
        )
    )
    sys.stdout.write("\n".join(lines) + "\n")


def _rotate(options: argparse.Namespace, language: Language) -> None:
    with _opened() as opened:
        since = float(int(time.time()) + options.after)
        keys = opened.file.read().with_key(os.urandom(KEY_BYTES), since)
        added = keys.sealing[-1].id.hex()
        opened.record("added", added, since=_since(keys.sealing[-1]))
        opened.file.replace(keys)
        sys.stdout.write(
            language(
                f"已加入密钥 {added}，自 {_since(keys.sealing[-1])} 起使用。请更新密钥文件的备份。\n",
                f"Key {added} was added; it seals from {_since(keys.sealing[-1])} on. Back the key file up again.\n",
            )
        )
        if options.after:
            sys.stdout.write(
                language(
                    "此前请把密钥文件分发到所有机器，之后执行 vlpro key reseal。\n",
                    "Bring the key file to all machines before that; then run vlpro key reseal.\n",
                )
            )
            return
    _reseal(options, language)


def _reseal(_: argparse.Namespace, language: Language) -> None:
    from vlpro.crypto.stored import reseal  # noqa: PLC0415 - as above

    with _opened() as opened:
        done = 0
        for database, column in opened.columns:
            for number in reseal(database, column, opened.sealer):
                done += number
        newest = opened.sealer.keys.newest(time.time()).id.hex()
        opened.record("resealed", newest, values=done)
    sys.stdout.write(
        language(
            f"{done} 个值已改用密钥 {newest} 加密。\n", f"{done} values were sealed anew with key {newest}.\n"
        )
    )


def _retire(options: argparse.Namespace, language: Language) -> None:
    from vlpro.crypto.stored import count  # noqa: PLC0415 - as above

    with _opened() as opened:
        keys, now = opened.file.read(), time.time()
        newest = keys.newest(now)
        retired = next((key for key in keys.sealing if key.id.hex() == options.id), None)
        if retired is None:
            raise ConfigError(
                f"There is no key {options.id} in the key file. Look: vlpro key status",
                zh=f"密钥文件中没有密钥 {options.id}。请用 vlpro key status 查看。",
                param="id",
            )
        if retired is newest:
            raise ConflictError(
                f"Key {options.id} is in use. Rotate first: vlpro key rotate",
                zh=f"密钥 {options.id} 正在使用。请先执行 vlpro key rotate。",
            )
        if retired.since < newest.since and now - newest.since < _QUIET_S:
            minutes = int((_QUIET_S - now + newest.since) // 60) + 1
            raise ConflictError(
                f"The newest key has sealed for less than an hour. Try again in {minutes} minutes: until then "
                "something outside the database may need the older one.",
                zh=f"新密钥启用不足一小时，请 {minutes} 分钟后再试：此前数据库之外可能仍有内容需要旧密钥。",
            )
        oldest = retired is keys.sealing[0]
        used: Counter[str] = Counter()
        for database, column in opened.columns:
            for which, number in count(database, column).items():
                # what has no id yet is under one of the oldest keys
                if which.key == retired.id or (not which.key and oldest):
                    used[column.name] += number
        if used:
            named = ", ".join(f"{name}: {number}" for name, number in used.items())
            raise ConflictError(
                f"Key {options.id} is still needed ({named}). Run vlpro key reseal first.",
                zh=f"仍有内容需要密钥 {options.id}（{named}）。请先执行 vlpro key reseal。",
            )
        opened.record("retired", options.id)
        opened.file.replace(keys.without(retired.id))
    sys.stdout.write(
        language(
            f"已移除密钥 {options.id}。恢复更早的数据库备份仍需要当时的密钥文件，请与那些备份一同保存。\n",
            f"Key {options.id} was removed. A database backup from before needs the key file of that time: keep it "
            "as long as those backups.\n",
        )
    )


class _Opened:
    """The keys, the databases, and the audit."""

    def __init__(self, sealer: Sealer, main: Database, recorder: LogRecorder) -> None:
        from vlpro.sealed_columns import AUDIT, MAIN  # noqa: PLC0415 - as above

        self.sealer = sealer
        self._recorder = recorder
        self.columns: tuple[tuple[Any, SealedColumn], ...] = (
            *((main, column) for column in MAIN),
            *((recorder.audit.database, column) for column in AUDIT),
        )

    @property
    def file(self) -> KeyFile:
        assert self.sealer.file is not None  # noqa: S101 - sealer_of reads one
        return self.sealer.file

    def record(self, what: str, key: str, **more: Any) -> None:
        """Put it on the record; before it is done, so that nothing is done without."""
        from vlpro.audit.events import Event  # noqa: PLC0415 - as above

        self._recorder.note(Event.KEYS_CHANGED, object=key, detail={"what": what, **more})


@contextmanager
def _opened(*, record: bool = True) -> Iterator[_Opened]:
    from vlpro.audit.record import Actor  # noqa: PLC0415 - as above
    from vlpro.audit.recorder import ACTOR  # noqa: PLC0415 - likewise
    from vlpro.gateway.profile import database_of, recorder_of, sealer_of  # noqa: PLC0415 - likewise

    settings = config.load()
    sealer = sealer_of(settings)
    main = database_of(settings)
    recorder = recorder_of(settings, sealer)
    if record:
        recorder.audit.start()
        ACTOR.set(Actor(login=getpass.getuser(), role="machine"))
    try:
        yield _Opened(sealer, main, recorder)
    finally:
        if record:
            recorder.audit.stop()
        recorder.audit.database.close()
        main.close()


def _since(key: SealingKey) -> str | None:
    return datetime.fromtimestamp(key.since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if key.since else None
