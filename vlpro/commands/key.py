"""``vlpro key``: make the key file, rotate its keys, tell what is under which, retire old ones."""

from __future__ import annotations

import os
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from vlpro.commands.key_access import opened_keys
from vlpro.commands.terminal import Json, answer, progress, t

if TYPE_CHECKING:
    from vlpro.crypto import Cipher
    from vlpro.crypto.keys import SealingKey

__all__ = ["app"]


class _Keys(TyperGroup):
    """``vlpro key FILE`` is short for ``vlpro key make FILE``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["make", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_Keys, help=t("加密存储内容的密钥", "the keys of what is stored encrypted"))

_QUIET_S = 3600
"""Seconds that a newer key must have sealed before an older one goes: what is sealed outside the database, such as
the cookie of a sign-in at a provider (ten minutes), must be gone."""


@app.command(help=t("生成密钥文件", "make a key file"))
def make(
    *,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help=t("须在数据文件夹之外", "outside the data folder"))
    ],
    json: Json = False,
) -> None:
    from vlpro import config
    from vlpro.crypto import KeyFile

    KeyFile(file, token=config.load().key_token).make()
    answer(
        {"file": str(file)},
        t(
            f"已生成 {file}。请备份到别处：丢失后，用它加密的内容无法恢复。\n使用：VLPRO_KEY_FILE={file}",
            f"{file} was made. Keep a copy elsewhere: what it encrypts cannot be had without it.\n"
            f"To use it: VLPRO_KEY_FILE={file}",
        ),
        json=json,
    )


@app.command(help=t("列出密钥，以及各有多少内容", "list the keys, and how much is under which"))
def status(*, json: Json = False) -> None:
    from vlpro.crypto.stored import count

    with opened_keys(record=False) as opened:
        counts = {column.name: count(database, column) for database, column in opened.columns}
        keys, file, cipher, now = opened.sealer.keys, opened.file, opened.sealer.cipher, time.time()
    newest = keys.newest(now)
    stale = sum(
        number
        for found in counts.values()
        for which, number in found.items()
        if (which.key, which.cipher) != (newest.id, cipher)
    )
    said = {
        "file": str(file.path),
        "memory": keys.memory,
        "cipher": _named(cipher),
        "keys": [{"id": key.id.hex(), "since": _since(key), "in_use": key is newest} for key in keys.sealing],
        "values": [
            {"column": name, "key": which.key.hex() or None, "cipher": _named(which.cipher), "count": number}
            for name, found in counts.items()
            for which, number in found.items()
        ],
        "to_reseal": stale,
    }
    lines = [f"{file.path}  {_named(cipher)}  {keys.memory}"]
    for key in keys.sealing:
        state = t("正在使用", "in use") if key is newest else ""
        state = state or (t("尚未启用", "not yet") if key.since > now else t("只用于解密", "opens only"))
        lines.append(f"{key.id.hex()}  {_since(key) or '-':<20}  {state}")
    for name, found in counts.items():
        for which, number in sorted(found.items(), key=lambda pair: pair[0].key):
            shown = which.key.hex() or t("旧格式", "format 1")
            line = f"  {name:<24}  {shown:<8}  {_named(which.cipher):<11}  {number:>9,}"
            if which.key and all(key.id != which.key for key in keys.sealing):
                line += t("  密钥文件中没有此密钥", "  no such key in the key file")
            lines.append(line)
    lines.append(
        t(
            f"{stale} 个值尚未用当前密钥加密。" + " 请执行 vlpro key reseal。" * bool(stale),
            f"{stale} values are not under the key in use." + " Run vlpro key reseal." * bool(stale),
        )
    )
    answer(said, "\n".join(lines), json=json)


@app.command(
    help=t("加入新密钥并改用它加密（服务不中断）", "add a key and seal with it; the service goes on")
)
def rotate(
    *,
    after: Annotated[
        int,
        typer.Option(
            "--after",
            metavar="SECONDS",
            min=0,
            help=t(
                "多少秒后启用，以便先分发到多台机器；默认立即",
                "seconds until it seals, to bring the file to several machines first; at once where left out",
            ),
        ),
    ] = 0,
    json: Json = False,
) -> None:
    from vlpro.crypto.ciphers import KEY_BYTES

    with opened_keys() as opened:
        keys = opened.file.read().with_key(os.urandom(KEY_BYTES), float(int(time.time()) + after))
        added, since = keys.sealing[-1].id.hex(), _since(keys.sealing[-1])
        opened.record("added", added, since=since)
        opened.file.replace(keys)
    said: dict[str, Any] = {"key": added, "since": since}
    text = t(
        f"已加入密钥 {added}，自 {since} 起使用。请更新密钥文件的备份。",
        f"Key {added} was added; it seals from {since} on. Back the key file up again.",
    )
    if after:
        text += "\n" + t(
            "此前请把密钥文件分发到所有机器，之后执行 vlpro key reseal。",
            "Bring the key file to all machines before that; then run vlpro key reseal.",
        )
        answer(said, text, json=json)
        return
    if not json:
        answer(said, text, json=False)
    done, newest = _resealed()
    answer(said | {"values": done}, _resealed_text(done, newest), json=json)


@app.command(help=t("把旧密钥加密的内容改用新密钥", "bring what is under older keys under the newest"))
def reseal(*, json: Json = False) -> None:
    done, newest = _resealed()
    answer({"key": newest, "values": done}, _resealed_text(done, newest), json=json)


def _resealed() -> tuple[int, str]:
    """How many values were sealed anew, and with which key."""
    from vlpro.crypto.stored import reseal

    with opened_keys() as opened:
        done = 0
        with progress(t("加密", "sealing")) as show:
            for number, (database, column) in enumerate(opened.columns):
                show(number, len(opened.columns), column.name)
                for count in reseal(database, column, opened.sealer):
                    done += count
            show(1, 1)
        newest = opened.sealer.keys.newest(time.time()).id.hex()
        opened.record("resealed", newest, values=done)
    return done, newest


def _resealed_text(done: int, newest: str) -> str:
    return t(f"{done} 个值已改用密钥 {newest} 加密。", f"{done} values were sealed anew with key {newest}.")


@app.command(help=t("移除不再需要的旧密钥", "remove an old key that nothing needs"))
def retire(
    *,
    id_: Annotated[
        str,
        typer.Argument(metavar="ID", help=t("见 vlpro key status", "as vlpro key status shows it")),
    ],
    json: Json = False,
) -> None:
    from vlpro.crypto.stored import count
    from vlpro.errors import ConfigError, ConflictError

    with opened_keys() as opened:
        keys, now = opened.file.read(), time.time()
        newest = keys.newest(now)
        retired = next((key for key in keys.sealing if key.id.hex() == id_), None)
        if retired is None:
            raise ConfigError(
                f"There is no key {id_} in the key file. Look: vlpro key status",
                zh=f"密钥文件中没有密钥 {id_}。请用 vlpro key status 查看。",
                param="id",
            )
        if retired is newest:
            raise ConflictError(
                f"Key {id_} is in use. Rotate first: vlpro key rotate",
                zh=f"密钥 {id_} 正在使用。请先执行 vlpro key rotate。",
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
                f"Key {id_} is still needed ({named}). Run vlpro key reseal first.",
                zh=f"仍有内容需要密钥 {id_}（{named}）。请先执行 vlpro key reseal。",
            )
        opened.record("retired", id_)
        opened.file.replace(keys.without(retired.id))
    answer(
        {"key": id_},
        t(
            f"已移除密钥 {id_}。恢复更早的数据库备份仍需要当时的密钥文件，请与那些备份一同保存。",
            f"Key {id_} was removed. A database backup from before needs the key file of that time: keep it "
            "as long as those backups.",
        ),
        json=json,
    )


@app.command(help=t("用密码设备加密现有的密钥文件", "wrap the key file with the token of VLPRO_KEY_TOKEN"))
def wrap(*, json: Json = False) -> None:
    from vlpro import config
    from vlpro.crypto import KeyFile
    from vlpro.errors import ConfigError

    settings = config.load()
    if not settings.key_token or settings.key_file is None:
        raise ConfigError(
            "Name the key file and the token: VLPRO_KEY_FILE and VLPRO_KEY_TOKEN.",
            zh="请设置 VLPRO_KEY_FILE 和 VLPRO_KEY_TOKEN。",
            param="key_token",
        )
    keys = KeyFile(settings.key_file, settings.data_dir).read()
    KeyFile(settings.key_file, settings.data_dir, token=settings.key_token).replace(keys)
    answer(
        {"file": str(settings.key_file)},
        t(
            f"{settings.key_file} 已由密码设备加密。原来的明文副本仍然有效，请妥善保管或销毁。",
            f"{settings.key_file} is wrapped by the token now. Copies from before are not: lock them away, or "
            "destroy them.",
        ),
        json=json,
    )


def _since(key: SealingKey) -> str | None:
    return datetime.fromtimestamp(key.since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if key.since else None


def _named(cipher: Cipher) -> str:
    from vlpro.crypto import Cipher

    return {Cipher.AES_256_GCM: "AES-256-GCM", Cipher.SM4_GCM: "SM4-GCM"}[cipher]
