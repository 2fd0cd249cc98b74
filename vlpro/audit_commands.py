"""What ``vlpro audit …`` does: verify the record, prove, export and archive it, show its public key."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlpro import config
from vlpro.audit.archive import archive, check_days
from vlpro.audit.checkpoint import public_key
from vlpro.audit.cosigned import Cosigned
from vlpro.audit.errors import VerificationError
from vlpro.audit.events import Event
from vlpro.audit.export import export
from vlpro.audit.place import LOCK, audit_database_url, audit_sealer
from vlpro.audit.proof import prove, prove_archived
from vlpro.audit.record import Entry
from vlpro.audit.service import open_log
from vlpro.audit.sm2 import PUBLIC_BYTES, Sm2Key, why_not
from vlpro.audit.sources import ArchiveFile, DatabaseSource, ExportFile, Source, archive_files
from vlpro.audit.verify import Summary, read_copies, verify
from vlpro.audit.verify_process import no_copies
from vlpro.db import Database
from vlpro.errors import AuditError, ConfigError, VlproError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vlpro.audit.log import AuditLog

__all__ = ["run"]

Language = Callable[[str, str], str]
Progress = Callable[[int, int], None]


def run(options: argparse.Namespace, language: Language, progress: Callable[[], Progress]) -> None:
    """Run one command.

    Args:
        options: Of the command line; ``audit`` is the command's name.
        language: Chooses between a sentence in Chinese and in English.
        progress: Makes a bar.

    Raises:
        VlproError: It was refused, or something is wrong with the record.
    """
    commands = {
        "verify": _verify,
        "prove": _prove,
        "export": _export,
        "archive": _archive,
        "key": _key,
    }
    try:
        commands[options.audit](options, language, progress)
    except VerificationError as error:
        raise AuditError(error.diagnostics(), zh=error.diagnostics(chinese=True)) from error


def _verify(options: argparse.Namespace, language: Language, progress: Callable[[], Progress]) -> None:
    settings = config.load()
    keys, cosigned = _trusted(options.key, settings)
    # An export may be a part, and rightly end before the last checkpoint that was copied.
    chosen = options.copies or (settings.audit_copy if not options.export else None)
    copies = (
        read_copies(Path(chosen), keys, cosigned)
        if chosen and (options.copies or Path(chosen).exists())
        else []
    )
    parts = _archives(options.archives) if options.archives else None
    with ExitStack() as held:
        source: Source
        if options.export:
            source = ExportFile(Path(options.export))
        else:
            source = DatabaseSource(held.enter_context(_database(options, settings)))
        found = verify(
            source, keys=keys, archives=parts, copies=copies, cosigned=cosigned, progress=progress()
        )
    if chosen and not copies and found.checkpoints:
        raise no_copies(str(chosen))
    if not found.first and not found.archived:
        raise AuditError("There are no audit records to verify.", zh="没有可校验的审计记录。")
    sys.stdout.write(_told(found, language))


def _told(found: Summary, language: Language) -> str:
    """What was verified, and what was not."""
    lines = [
        language(
            f"第 {found.first} 至 {found.last} 条审计记录完整、未被改动（{found.since} 至 {found.until}）。",
            f"Audit records {found.first} to {found.last} are whole and unaltered ({found.since} to {found.until}).",
        )
        if found.first
        else language(
            "数据库中没有记录，全部在归档中。", "The database has no records: all are in archives."
        ),
        language(
            f"检查点 {found.checkpoints} 个，签名至第 {found.signed} 条；其后 {found.unsigned} 条仅由链保护。",
            f"{found.checkpoints} checkpoints, signed up to record {found.signed}; {found.unsigned} after it are "
            "bound by the chain alone.",
        ),
    ]
    if found.copies:
        lines.append(
            language(
                f"与别处保存的 {found.copies} 个检查点副本一致。",
                f"{found.copies} copies of checkpoints kept elsewhere agree.",
            )
        )
    else:
        lines.append(
            language(
                "没有检查点副本：尾部被截断或恢复到旧副本时无法发现（--copies）。",
                "No copies of checkpoints: a cut tail, or an older copy put back, would not show (--copies).",
            )
        )
    if found.sm2:
        lines.append(
            language(f"SM2 签名 {found.sm2} 个，全部正确。", f"{found.sm2} SM2 signatures are right.")
        )
    if found.sm2_unchecked:
        why, why_zh = why_not()
        lines.append(
            language(
                f"{found.sm2_unchecked} 个 SM2 签名未校验：{why_zh}。",
                f"{found.sm2_unchecked} SM2 signatures were NOT checked: {why}.",
            )
        )
    if found.archived:
        lines.append(
            language(
                f"第 1 至 {found.archived} 条在 {found.sealed} 个归档中，未校验（--archives）。",
                f"Records 1 to {found.archived} are in {found.sealed} archives and were not verified (--archives).",
            )
        )
    elif found.first > 1:
        lines.append(
            language(
                "这是一部分：更早的记录不在其中。", "This is a part: the records before it are not in it."
            )
        )
    if found.root is None and found.first:
        lines.append(
            language("起始状态未知，未比对根哈希。", "Its beginning is not known: roots were not compared.")
        )
    if found.times_backwards:
        first = ", ".join(f"{seq} (−{seconds:g} s)" for seq, seconds in found.backwards)
        lines.append(
            language(
                f"时钟回拨 {found.times_backwards} 次：{first}。",
                f"The clock went back {found.times_backwards} times: {first}.",
            )
        )
    if found.root is not None:
        lines.append(f"{language('日志', 'Log')} {found.log_id}, {language('根', 'root')} {found.root.hex()}")
    return "\n".join(lines) + "\n"


def _prove(options: argparse.Namespace, language: Language, _: Callable[[], Progress]) -> None:
    settings = config.load()
    key = _hex(options.key, 32) if options.key else public_key(_sealer(settings).signing_seed)
    archived = _archive_with(options.archives, options.seq) if options.archives else None
    if archived is not None and options.since is None:
        proof = prove_archived(archived, options.seq, key)
    else:
        with _database(options, settings) as database:
            proof = prove(database, options.seq, key, since=options.since)
    text = json.dumps(proof, ensure_ascii=False, indent=1) + "\n"
    if not options.output:
        sys.stdout.write(text)
        return
    with _written(options.output) as write:
        write(text)
    size = json.loads(proof["checkpoint"])["size"]
    sys.stdout.write(
        language(
            f"{options.output}：第 {options.seq} 条记录属于 {size} 条处的检查点。\n"
            f"查验：python deploy/audit/verify_proof.py {options.output} {proof['key']}\n",
            f"{options.output}: record {options.seq} is part of the checkpoint of {size} records.\n"
            f"To check it: python deploy/audit/verify_proof.py {options.output} {proof['key']}\n",
        )
    )


def _export(options: argparse.Namespace, language: Language, progress: Callable[[], Progress]) -> None:
    settings = config.load()
    first, last = getattr(options, "from"), options.to
    if not options.database:  # what leaves the service's own database is on the record
        with _log(settings) as log:
            said = {"from": first, "to": last} | _who()
            log.record(Entry(Event.LOG_EXPORTED, object=Path(options.output).name[:64], detail=said))
    with _database(options, settings) as database, _written(options.output) as write:
        done = export(database, write, first=first, last=last, progress=progress())
    sys.stdout.write(
        language(
            f"{options.output}：第 {done.first} 至 {done.last} 条记录，{done.checkpoints} 个检查点。\n",
            f"{options.output}: records {done.first} to {done.last}, {done.checkpoints} checkpoints.\n",
        )
    )


def _archive(options: argparse.Namespace, language: Language, progress: Callable[[], Progress]) -> None:
    settings = config.load()
    days = options.days if options.days is not None else settings.audit_days
    check_days(days)
    folder = Path(options.archives) if options.archives else settings.data_dir / "archives"
    with _log(settings) as log:
        made = archive(log, folder, days=days, detail=_who(), progress=progress())
    for sealed in made:
        sys.stdout.write(f"{folder / sealed.name}\n")
    sys.stdout.write(
        language(
            f"{len(made)} 个归档；{days} 天以内的记录留在数据库中。请把归档复制到别处。\n",
            f"{len(made)} archives; records of the last {days} days stay. Copy the archives elsewhere.\n",
        )
        if made
        else language(f"没有早于 {days} 天的完整段。\n", f"There is no whole part older than {days} days.\n")
    )


def _key(_: argparse.Namespace, _language: Language, _progress: Callable[[], Progress]) -> None:
    settings = config.load()
    seed = _sealer(settings).signing_seed
    sys.stdout.write(public_key(seed).hex() + "\n")
    if settings.crypto == "gm":
        sys.stdout.write(Sm2Key.derived(seed).public.hex() + "\n")


# --- where things are


def _url(settings: config.Settings) -> str:
    return audit_database_url(
        data_dir=settings.data_dir,
        database_url=settings.database_url.get_secret_value(),
        audit_database_url=settings.audit_database_url.get_secret_value(),
    )


def _sealer(settings: config.Settings) -> Any:
    return audit_sealer(
        profile=settings.profile,
        data_dir=settings.data_dir,
        key_file=settings.key_file,
        key_token=settings.key_token,
        crypto=settings.crypto,
    )


@contextmanager
def _database(options: argparse.Namespace, settings: config.Settings) -> Iterator[Database]:
    """The audit's database; never made here."""
    url = options.database or _url(settings)
    path = url.removeprefix("sqlite:///")
    if path != url and not Path(path).exists():
        raise AuditError(f"There is no audit database at {path}.", zh=f"{path} 处没有审计数据库。")
    database = Database(url, lock=LOCK)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def _log(settings: config.Settings) -> Iterator[AuditLog]:
    """The service's own log, to go on with; the service may be running."""
    with _database(argparse.Namespace(database=None), settings) as database:
        gm = settings.crypto == "gm"
        log = open_log(database, _sealer(settings), gm=gm, settle=False, copy=settings.audit_copy)
        log.start()
        try:
            yield log
        finally:
            log.stop()


def _archives(folder: str) -> list[ArchiveFile]:
    if not Path(folder).is_dir():
        raise ConfigError(f"{folder} is no folder.", zh=f"{folder} 不是文件夹。", param="archives")
    return archive_files(Path(folder))


def _archive_with(folder: str, seq: int) -> Path | None:
    """The archive that has a record, by its name."""
    for path in sorted(Path(folder).glob("audit-*-*.jsonl.gz")):
        first, last = (int(part) for part in path.name.split(".")[0].split("-")[1:])
        if first <= seq <= last:
            return path
    return None


def _trusted(given: list[str], settings: config.Settings) -> tuple[list[bytes], Cosigned]:
    """The public keys of Ed25519 that are trusted, and what checks SM2: by those given, else by the service's own."""
    keys = [_hex(text, 32, PUBLIC_BYTES) for text in given]
    of_sm2 = [key for key in keys if len(key) == PUBLIC_BYTES]
    keys = [key for key in keys if len(key) != PUBLIC_BYTES]
    if not keys:
        keys = [public_key(_sealer(settings).signing_seed)]
    if not given and settings.crypto == "gm" and not why_not()[0]:
        of_sm2 = [Sm2Key.derived(_sealer(settings).signing_seed).public]
    return keys, Cosigned(of_sm2)


def _hex(text: str, *sizes: int) -> bytes:
    """A public key: 32 bytes are one of Ed25519, 65 one of SM2."""
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


def _who() -> dict[str, Any]:
    """Who sits at the machine, as the system knows it."""
    with suppress(KeyError, OSError):
        return {"at": "machine", "user": os.environ.get("SUDO_USER") or getpass.getuser()}
    return {"at": "machine", "user": str(os.getuid())}


@contextmanager
def _written(name: str) -> Iterator[Callable[[str], object]]:
    """A new file for its owner's eyes only, there as a whole or not at all."""
    path = Path(name)
    unfinished = path.with_name(path.name + ".part")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            yield file.write
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        raise ConfigError(
            f"{name} cannot be written: {error.strerror}.",
            zh=f"无法写入 {name}：{error.strerror}。",
            param="output",
        ) from error
    except VlproError:
        unfinished.unlink(missing_ok=True)
        raise
