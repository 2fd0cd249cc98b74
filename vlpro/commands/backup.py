"""``vlpro backup``: all that is stored, at one point in time, in one sealed file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vlpro.commands.terminal import Json, WrongUsageError, answer, progress, t

if TYPE_CHECKING:
    from vlpro.backup.make import Made
    from vlpro.backup.stores import Stores
    from vlpro.config import Settings

__all__ = ["app", "stores_of"]

app = typer.Typer()


@app.command(
    help=t(
        "在服务运行时备份所存储的全部内容（加密）",
        "back up all that is stored, sealed, while the service runs",
    )
)
def backup(
    *,
    to: Annotated[
        Path,
        typer.Option(
            "--to",
            metavar="PATH",
            help=t(
                "已有的文件夹（文件按时间命名），或新文件",
                "a folder, for a file named by the time; or a new file",
            ),
        ),
    ],
    keep: Annotated[
        int | None,
        typer.Option(
            "--keep",
            metavar="N",
            min=1,
            help=t(
                "文件夹中保留几个；最后一个校验过的始终保留",
                "how many stay in the folder; the last that was verified always does",
            ),
        ),
    ] = None,
    json: Json = False,
) -> None:
    from vlpro import config
    from vlpro.backup.make import make
    from vlpro.backup.snapshot import check_schema
    from vlpro.commands.audit_access import audit_log, sealer, who

    if keep is not None and not to.is_dir():
        raise WrongUsageError(
            "--keep is for a folder: with --to FILE nothing is deleted.",
            zh="--keep 只用于文件夹：--to 指定文件时不会删除任何备份。",
        )
    settings = config.load()
    stores = stores_of(settings)
    check_schema(stores)  # before the log is opened, which would bring it up to this version
    with audit_log(settings) as log, progress(t("备份", "backup")) as told:
        made = make(stores, sealer(settings), log, to, keep=keep, detail=who(), progress=told)
    answer(_as_json(made), _as_text(made, settings), json=json)


def stores_of(settings: Settings) -> Stores:
    """Where the service of these settings stores."""
    from vlpro.backup.stores import Stores

    files = (settings.key_file, settings.audit_copy, Path(settings.model_dir) if settings.model_dir else None)
    return Stores.of(
        settings.data_dir,
        settings.database_url.get_secret_value(),
        settings.audit_database_url.get_secret_value(),
        left_out=tuple(file for file in files if file is not None),
    )


def _as_json(made: Made) -> dict[str, Any]:
    manifest = made.manifest
    return {
        "file": str(made.path),
        "size": made.size,
        "sha256": made.sha256,
        "at": manifest.at,
        "files": len(manifest.members),
        "audit_sequence": manifest.audit.sequence,
        "audit_root": manifest.audit.root,
        "removed": [str(path) for path in made.removed],
    }


def _as_text(made: Made, settings: Settings) -> str:
    sequence = made.manifest.audit.sequence
    lines = [
        t(
            f"{made.path}：{made.size:,} 字节，审计至第 {sequence} 条。",
            f"{made.path}: {made.size:,} bytes, with the audit up to record {sequence}.",
        )
    ]
    lines += [t(f"已删除 {path}", f"Deleted {path}") for path in made.removed]
    key = settings.data_dir / "key" if settings.key_file is None else settings.key_file
    lines.append(
        t(
            f"备份中没有密钥，没有密钥就无法恢复：请把 {key} 另外保存在别处。",
            f"The key is not in it, and without the key it cannot be restored: keep a copy of {key} elsewhere.",
        )
    )
    return "\n".join(lines)
