"""``vlpro audit``: the record verified, proved, exported, archived and copied elsewhere; its public key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vlpro.commands.terminal import Json, WrongUsageError, answer, print_json, progress, say, t, tell

if TYPE_CHECKING:
    from vlpro.audit.ship.options import ShipOptions
    from vlpro.audit.sources import ArchiveFile

__all__ = ["app"]

app = typer.Typer(help=t("审计记录", "the audit's records"))

DatabaseUrl = Annotated[
    str | None,
    typer.Option("--database", metavar="URL", help=t("默认由设置得出", "by the settings where left out")),
]
Archives = Annotated[
    Path | None,
    typer.Option("--archives", metavar="DIR", help=t("归档所在文件夹", "folder of the archives")),
]
_TRUSTED = t("受信任的公钥；默认由密钥文件得出", "public key to trust; the key file's where left out")


@app.command(help=t("校验全部记录", "verify the whole record"))
def verify(
    *,
    database: DatabaseUrl = None,
    export: Annotated[
        Path | None,
        typer.Option(
            "--export",
            metavar="FILE",
            help=t("改为校验导出文件", "an exported file, not the database"),
        ),
    ] = None,
    copies: Annotated[
        Path | None,
        typer.Option(
            "--copies",
            metavar="FILE",
            help=t(
                "别处保存的检查点副本；默认 VLPRO_AUDIT_COPY",
                "copies of checkpoints; VLPRO_AUDIT_COPY where left out",
            ),
        ),
    ] = None,
    archives: Archives = None,
    key: Annotated[list[str] | None, typer.Option("--key", metavar="HEX", help=_TRUSTED)] = None,
    json: Json = False,
) -> None:
    from contextlib import ExitStack

    from vlpro import config
    from vlpro.audit import verify as reading
    from vlpro.audit.copies import read_copies
    from vlpro.audit.sources import DatabaseSource, ExportFile, Source
    from vlpro.audit.verify_process import no_copies
    from vlpro.commands.audit_access import audit_database, refused_where_unverified, trusted
    from vlpro.commands.audit_summary import as_json, as_text
    from vlpro.errors import AuditError

    settings = config.load()
    with ExitStack() as held:
        held.enter_context(refused_where_unverified())
        keys, cosigned = trusted(key or [], settings)
        # An export may be a part, and rightly end before the last checkpoint that was copied.
        chosen = copies or (settings.audit_copy if not export else None)
        kept = read_copies(chosen, keys, cosigned) if chosen and (copies or chosen.exists()) else []
        parts = _archives(archives) if archives else None
        source: Source
        if export:
            source = ExportFile(export)
        else:
            source = DatabaseSource(held.enter_context(audit_database(settings, database)))
        found = reading.verify(
            source,
            keys=keys,
            archives=parts,
            copies=kept,
            cosigned=cosigned,
            progress=held.enter_context(progress()),
        )
        if chosen and not kept and found.checkpoints:
            raise no_copies(str(chosen))
    if not found.first and not found.archived:
        raise AuditError("There are no audit records to verify.", zh="没有可校验的审计记录。")
    answer(as_json(found), as_text(found), json=json)


@app.command(help=t("证明一条记录属于已签名的记录", "prove that a record is part of what was signed"))
def prove(
    *,
    seq: Annotated[int, typer.Argument(metavar="SEQ", help=t("记录编号", "the record's number"))],
    since: Annotated[
        int | None,
        typer.Option(
            "--since",
            metavar="SIZE",
            help=t("并证明延续了此检查点", "prove also that this checkpoint is continued"),
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help=t("默认标准输出", "stdout where left out")),
    ] = None,
    database: DatabaseUrl = None,
    archives: Archives = None,
    key: Annotated[str | None, typer.Option("--key", metavar="HEX", help=_TRUSTED)] = None,
    json: Json = False,
) -> None:
    from json import dumps, loads

    from vlpro import config
    from vlpro.audit import proof as proofs
    from vlpro.audit.checkpoint import public_key
    from vlpro.commands.audit_access import (
        audit_database,
        key_of,
        refused_where_unverified,
        sealer,
        written,
    )

    settings = config.load()
    with refused_where_unverified():
        of_log = key_of(key, 32) if key else public_key(sealer(settings).signing_seed)
        archived = _archive_with(archives, seq) if archives else None
        if archived is not None and since is None:
            proof = proofs.prove_archived(archived, seq, of_log)
        else:
            with audit_database(settings, database) as opened:
                proof = proofs.prove(opened, seq, of_log, since=since)
    if output is None:
        print_json(proof)
        return
    with written(output) as write:
        write(dumps(proof, ensure_ascii=False, indent=1) + "\n")
    size = loads(proof["checkpoint"])["size"]
    answer(
        {"output": str(output), "seq": seq, "size": size, "key": proof["key"]},
        t(
            f"{output}：第 {seq} 条记录属于 {size} 条处的检查点。\n"
            f"查验：python deploy/audit/verify_proof.py {output} {proof['key']}",
            f"{output}: record {seq} is part of the checkpoint of {size} records.\n"
            f"To check it: python deploy/audit/verify_proof.py {output} {proof['key']}",
        ),
        json=json,
    )


@app.command(help=t("导出为 JSON 行", "export as lines of JSON"))
def export(
    *,
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help=t("新文件", "a new file"))],
    first: Annotated[
        int | None, typer.Option("--from", metavar="SEQ", help=t("从此条", "from this record"))
    ] = None,
    last: Annotated[
        int | None, typer.Option("--to", metavar="SEQ", help=t("到此条", "to this record"))
    ] = None,
    database: DatabaseUrl = None,
    json: Json = False,
) -> None:
    from vlpro import config
    from vlpro.audit import export as exporting
    from vlpro.audit.events import Event
    from vlpro.audit.record import Entry
    from vlpro.commands.audit_access import (
        audit_database,
        audit_log,
        refused_where_unverified,
        who,
        written,
    )

    settings = config.load()
    with refused_where_unverified():
        if not database:  # what leaves the service's own database is on the record
            with audit_log(settings) as log:
                said: dict[str, Any] = {"from": first, "to": last} | who()
                log.record(Entry(Event.LOG_EXPORTED, object=output.name[:64], detail=said))
        with (
            audit_database(settings, database) as opened,
            written(output) as write,
            progress() as show,
        ):
            done = exporting.export(opened, write, first=first, last=last, progress=show)
    answer(
        {
            "output": str(output),
            "first": done.first,
            "last": done.last,
            "checkpoints": done.checkpoints,
        },
        t(
            f"{output}：第 {done.first} 至 {done.last} 条记录，{done.checkpoints} 个检查点。",
            f"{output}: records {done.first} to {done.last}, {done.checkpoints} checkpoints.",
        ),
        json=json,
    )


@app.command(help=t("把旧记录移入签名的归档", "move old records into signed archives"))
def archive(
    *,
    archives: Archives = None,
    days: Annotated[
        int | None,
        typer.Option(
            "--days",
            metavar="DAYS",
            help=t(
                "早于多少天，至少 180；默认 VLPRO_AUDIT_DAYS，否则 365",
                "older than this, 180 at least; VLPRO_AUDIT_DAYS where left out, else 365",
            ),
        ),
    ] = None,
    json: Json = False,
) -> None:
    from vlpro import config
    from vlpro.audit import archive as archiving
    from vlpro.commands.audit_access import audit_log, refused_where_unverified, who

    settings = config.load()
    days = days if days is not None else settings.audit_days
    archiving.check_days(days)
    folder = archives or settings.data_dir / "archives"
    with refused_where_unverified(), audit_log(settings) as log, progress() as show:
        made = archiving.archive(log, folder, days=days, detail=who(), progress=show)
    names = [str(folder / sealed.name) for sealed in made]
    answer(
        {"archives": names, "days": days},
        "\n".join(
            [
                *names,
                t(
                    f"{len(made)} 个归档；{days} 天以内的记录留在数据库中。请把归档复制到别处。",
                    f"{len(made)} archives; records of the last {days} days stay. Copy the archives elsewhere.",
                )
                if made
                else t(f"没有早于 {days} 天的完整段。", f"There is no whole part older than {days} days."),
            ]
        ),
        json=json,
    )


@app.command(name="key", help=t("显示签署检查点的公钥", "show the public key of checkpoints"))
def key_(*, json: Json = False) -> None:
    from vlpro import config
    from vlpro.audit.checkpoint import public_key
    from vlpro.audit.sm2 import Sm2Key
    from vlpro.commands.audit_access import sealer

    settings = config.load()
    seed = sealer(settings).signing_seed
    keys = {"ed25519": public_key(seed).hex()}
    if settings.crypto == "gm":
        keys["sm2"] = Sm2Key.derived(seed).public.hex()
    answer(keys, "\n".join(keys.values()), json=json)


@app.command(
    help=t("将审计记录复制到 Elasticsearch 或 syslog", "copy the records to Elasticsearch or syslog")
)
def ship(
    *,
    once: Annotated[
        bool,
        typer.Option("--once", help=t("发送完现有记录后结束", "end when all has arrived")),
    ] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help=t("只核对：比较两边的记录", "only compare what is here and there")),
    ] = False,
    database: DatabaseUrl = None,
    json: Json = False,
) -> None:
    import signal
    import threading

    from vlpro import config
    from vlpro.audit.ship import command
    from vlpro.audit.ship.position import position_file
    from vlpro.commands.audit_access import url_of
    from vlpro.errors import ConfigError

    if json and not check:
        raise WrongUsageError("--json belongs to --check.", zh="--json 需与 --check 一起使用。")
    if once and check:
        raise WrongUsageError("Give either --once or --check.", zh="--once 与 --check 只能给出一个。")
    settings = config.load()
    chosen = settings.audit_ship
    if chosen is None:
        raise ConfigError(
            "Say where the records are copied to: VLPRO_AUDIT_SHIP, or [audit_ship] in vlpro.toml.",
            zh="请设置审计记录的发送目标：VLPRO_AUDIT_SHIP，或 vlpro.toml 中的 [audit_ship]。",
            param="audit_ship",
        )
    url = database or url_of(settings)
    state = position_file(chosen, settings.data_dir)
    if check:
        _checked(chosen, url, state, json=json)
        return
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    command.ship(chosen, url, state, once=once, tell=lambda en, zh: tell(t(zh, en)), stop=stop)


def _checked(chosen: ShipOptions, url: str, state: Path, *, json: bool) -> None:
    from vlpro.audit.ship.command import check
    from vlpro.errors import AuditError

    told: list[dict[str, str]] = []

    def say_or_keep(en: str, zh: str) -> None:
        told.append({"en": en, "zh": zh})
        if not json:
            say(t(zh, en))

    same = check(chosen, url, state, tell=say_or_keep)
    if json:
        print_json({"same": same, "found": told})
    if not same:
        raise AuditError("The copy is not the same.", zh="两边不一致。")


def _archives(folder: Path) -> list[ArchiveFile]:
    from vlpro.audit.sources import archive_files
    from vlpro.errors import ConfigError

    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder.", zh=f"{folder} 不是文件夹。", param="archives")
    return archive_files(folder)


def _archive_with(folder: Path, seq: int) -> Path | None:
    """The archive that has a record, by its name."""
    for path in sorted(folder.glob("audit-*-*.jsonl.gz")):
        first, last = (int(part) for part in path.name.split(".")[0].split("-")[1:])
        if first <= seq <= last:
            return path
    return None
