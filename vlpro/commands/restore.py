"""``vlpro restore``: a backup verified, and put into an empty place."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vlpro.commands.terminal import Json, WrongUsageError, answer, progress, t

if TYPE_CHECKING:
    from vlpro.backup.restore import Restored
    from vlpro.commands.terminal import Progress
    from vlpro.compliance.selftest import Result
    from vlpro.config import Settings
    from vlpro.crypto import Sealer

__all__ = ["app"]

app = typer.Typer()


@app.command(help=t("校验备份，并恢复到空文件夹", "verify a backup, and put it into an empty folder"))
def restore(
    *,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help=t(
                "备份；用 --check 时也可为文件夹，取最新的",
                "the backup; with --check also a folder: its newest",
            ),
        ),
    ],
    into: Annotated[
        Path | None,
        typer.Option(
            "--into",
            metavar="FOLDER",
            help=t(
                "新的数据文件夹；PostgreSQL 的备份还需 VLPRO_DATABASE_URL 指向空数据库",
                "the new data folder; of PostgreSQL, VLPRO_DATABASE_URL names an empty database, too",
            ),
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help=t("只校验，不恢复", "only verify, and restore nothing"))
    ] = False,
    json: Json = False,
) -> None:
    from vlpro import config

    if check == (into is not None):
        raise WrongUsageError("Give either --into FOLDER or --check.", zh="请指定 --into 文件夹 或 --check。")
    settings = config.load()
    with progress(t("读取", "read")) as told:
        if into is None:
            path, found = _checked(settings, file, told)
            tried = None
        else:
            path, found = file, _restored(settings, file, into, told)
            tried = _selftest(settings, into)
    answer(_as_json(path, found, tried), _as_text(path, found, into), json=json)


def _checked(settings: Settings, file: Path, told: Progress) -> tuple[Path, Restored]:
    """Verify; that it was done is on the record of the service here, if there is one."""
    from vlpro.audit.events import Event, Outcome
    from vlpro.audit.record import Entry
    from vlpro.backup import state
    from vlpro.backup.restore import check
    from vlpro.backup.retention import newest
    from vlpro.backup.snapshot import check_schema
    from vlpro.commands.audit_access import audit_log, sealer, who
    from vlpro.commands.backup import stores_of
    from vlpro.errors import VlproError

    def record(outcome: Outcome, **more: Any) -> bool:
        try:
            check_schema(stores_of(settings))
        except VlproError:
            return False  # no service here, or one of another version
        with audit_log(settings) as log:
            log.record(Entry(Event.BACKUP_VERIFIED, outcome=outcome, object=path.name, detail=who() | more))
        return True

    path = newest(file) if file.is_dir() else file
    try:
        found = check(path, sealer(settings), progress=told)
    except VlproError as error:
        record(Outcome.FAILED, error=error.code)
        raise
    if record(Outcome.OK, sequence=found.manifest.audit.sequence):
        state.remember(settings.data_dir, verified={"at": time.time(), "file": str(path.resolve())})
    return path, found


def _restored(settings: Settings, file: Path, into: Path, told: Progress) -> Restored:
    from vlpro.audit.record import Actor
    from vlpro.backup.restore import restore as put_back
    from vlpro.commands.audit_access import who

    said = who()
    own = into.resolve() == settings.data_dir.resolve()  # else it is tried beside the service that goes on
    return put_back(
        file,
        _sealer(settings, into),
        into,
        database_url=settings.database_url.get_secret_value(),
        audit_database_url=settings.audit_database_url.get_secret_value(),
        gm=settings.crypto == "gm",
        copy=settings.audit_copy if own else None,
        detail=said,
        actor=Actor(login=str(said["user"]), role="machine"),
        progress=told,
    )


def _sealer(settings: Settings, into: Path) -> Sealer:
    """The key of the service that made the backup: as in the settings, or, in profile ``local``, in the folder."""
    from vlpro.audit.place import audit_sealer
    from vlpro.errors import BackupError

    if settings.profile == "local" and settings.key_file is None and not (into / "key").exists():
        raise BackupError(
            f"The key is missing. Put the file named key of the old data folder into {into}, or name the key file "
            "with VLPRO_KEY_FILE.",
            zh=f"缺少密钥。请把原数据文件夹中名为 key 的文件放入 {into}，或用 VLPRO_KEY_FILE 指定密钥文件。",
            param="key_file",
        )
    return audit_sealer(
        profile=settings.profile,
        data_dir=into,
        key_file=settings.key_file,
        key_token=settings.key_token,
        crypto=settings.crypto,
    )


def _selftest(settings: Settings, into: Path) -> list[Result]:
    """Try all promises on what was restored. Raises: ConfigError where one is broken."""
    import os

    from vlpro.compliance.promises import PROMISES
    from vlpro.compliance.selftest import refuse, run
    from vlpro.process import keep_memory_private
    from vlpro.sealing.offline import OFFLINE

    os.environ.update(OFFLINE)
    keep_memory_private()
    there = settings.model_copy(update={"data_dir": into})
    results = run(PROMISES, there, _sealer(settings, into))
    refuse(results)
    return results


def _as_json(path: Path, found: Restored, tried: list[Result] | None) -> dict[str, Any]:
    manifest = found.manifest
    said: dict[str, Any] = {
        "file": str(path),
        "version": manifest.version,
        "at": manifest.at,
        "files": len(manifest.members),
        "size": manifest.size,
        "audit_sequence": manifest.audit.sequence,
        "audit_root": manifest.audit.root,
        "audit_verified": found.audit is not None,
    }
    if tried is not None:
        kept = [result for result in tried if result.verdict == "kept"]
        said |= {"sessions_ended": found.sessions, "selftest": {"tried": len(tried), "kept": len(kept)}}
    return said


def _as_text(path: Path, found: Restored, into: Path | None) -> str:
    from datetime import datetime

    manifest = found.manifest
    made = datetime.fromtimestamp(manifest.at).astimezone().strftime("%Y-%m-%d %H:%M %z")
    lines = [
        t(
            f"{path}：{made}，版本 {manifest.version}，{len(manifest.members)} 个文件，"
            f"{manifest.size:,} 字节，完整未改动。",
            f"{path}: of {made}, version {manifest.version}, {len(manifest.members)} files, "
            f"{manifest.size:,} bytes, whole and unaltered.",
        )
    ]
    if found.audit is None:
        lines.append(
            t(
                "审计在 PostgreSQL 转储中，只校验了可读性；恢复时才校验审计链。",
                "The audit lies in a dump of PostgreSQL, which was only read: its chain is verified by a restore.",
            )
        )
    else:
        sequence, root = manifest.audit.sequence, manifest.audit.root
        lines.append(
            t(
                f"审计至第 {sequence} 条完整，根 {root}。",
                f"The audit is whole up to record {sequence}, with root {root}.",
            )
        )
    if into is not None:
        lines += [
            t(
                f"已恢复到 {into}，自检通过。结束了 {found.sessions} 个会话，用户需重新登录。",
                f"It was restored into {into}, and the self-test passed. {found.sessions} sessions were ended: "
                "people sign in anew.",
            ),
            t(
                "此后撤销的账号和 API 密钥又有效了：请对照其他副本中的审计记录（docs/backup.md）。",
                "What was withdrawn since, such as accounts and API keys, is in force again: compare with the "
                "copies of the audit elsewhere (docs/backup.md).",
            ),
        ]
    return "\n".join(lines)
