"""Read a backup back: verify all of it, and put it into an empty place where it shall live on."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import struct
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from vlpro import db
from vlpro.audit.checkpoint import public_key
from vlpro.audit.cosigned import Cosigned
from vlpro.audit.errors import VerificationError
from vlpro.audit.events import Event
from vlpro.audit.record import Actor, Entry
from vlpro.audit.service import MIGRATIONS, open_log
from vlpro.audit.sources import DatabaseSource, archive_files
from vlpro.audit.summary import Summary
from vlpro.audit.verify import verify
from vlpro.backup import postgresql
from vlpro.backup.manifest import Manifest
from vlpro.backup.state import RESTORING, sync_folder
from vlpro.backup.stores import Stores, known_revisions
from vlpro.backup.stream import SealedReader
from vlpro.crypto import Sealer
from vlpro.errors import BackupError
from vlpro.identity.tables import sessions, sign_ins

__all__ = ["Restored", "check", "restore"]

_MOST_MANIFEST = 64 * 2**20
_PIECE = 2**20
_MARGIN = 64 * 2**20
_NEAR = ".part"

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Restored:
    """What was read back.

    Args:
        manifest: What was in the backup.
        audit: What of the audit was verified; None: its dump of PostgreSQL was only read.
        sessions: Sessions and unfinished sign-ins that were ended.
    """

    manifest: Manifest
    audit: Summary | None
    sessions: int = 0


def check(path: Path, sealer: Sealer, *, progress: Progress = lambda *_: None) -> Restored:
    """Verify a backup; nothing but temporary files is written.

    Args:
        path: The backup.
        sealer: The keys of the service that made it.
        progress: Is given how many bytes are done, and how many there are.

    Raises:
        BackupError: It is not what was written, or too new for this version.
    """
    with _opened(path, sealer) as (manifest, reader):
        folder = Path(tempfile.gettempdir())
        _check_room(folder, manifest.size)
        with tempfile.TemporaryDirectory(prefix="vlpro-check-") as made:
            _unpack(manifest, reader, Path(made), progress)
            if manifest.store == "sqlite":
                _check_database(Path(made) / "vlpro.db")
                return Restored(manifest, _verified(manifest, Stores.of(Path(made)), sealer))
            for member in manifest.members:
                if member.name.endswith(".dump"):
                    postgresql.check_dump(Path(made) / member.name)
            return Restored(manifest, None)


def restore(
    path: Path,
    sealer: Sealer,
    into: Path,
    *,
    database_url: str = "",
    audit_database_url: str = "",
    gm: bool = False,
    copy: Path | None = None,
    detail: Mapping[str, Any] | None = None,
    actor: Actor | None = None,
    progress: Progress = lambda *_: None,
) -> Restored:
    """Put a backup into an empty place, verified, and brought to this version.

    Nothing is there before all was verified. The audit of PostgreSQL alone can be verified only in its database.

    Args:
        path: The backup.
        sealer: The keys of the service that made it.
        into: The data folder: a new one, or one with nothing in it but a file named ``key``.
        database_url: The empty database of PostgreSQL; of SQLite the file, if it is not to lie in ``into``.
        audit_database_url: The same of the audit, where it had its own.
        gm: Whether the service signs its audit with SM2, too.
        copy: File of the copies of checkpoints, empty or absent, in which those of the restored record begin; None:
            nowhere.
        detail: What the record of it says, too.
        actor: Who does it.
        progress: Is given how many bytes are done, and how many there are.

    Raises:
        AuditError: The copy of a checkpoint cannot be written.
        BackupError: The backup is not what was written, or too new; or the place is not empty.
        ConfigError: The audit is signed otherwise than the settings say.
        DatabaseError: The database does not answer.
    """
    with _opened(path, sealer) as (manifest, reader):
        stores = _place(manifest, into, database_url, audit_database_url)
        _check_copy(copy)
        part, placing = into / RESTORING, False
        try:
            into.mkdir(mode=0o700, parents=True, exist_ok=True)
            into.chmod(0o700)
            part.mkdir(mode=0o700)
            _check_room(into, manifest.size)
            _unpack(manifest, reader, part, progress)
            if manifest.store == "sqlite":
                _check_database(part / "vlpro.db")
                staged = Stores.of(part)
            else:
                _fill(manifest, part, stores)
                staged = stores
            summary = _verified(manifest, staged, sealer, archives=part / "archives")
            ended = _bring_up(staged)
            _record(staged, sealer, manifest, path, gm=gm, copy=copy, actor=actor, detail=detail)
            placing = True
            _move(part, into, stores)
            placing = False
        except OSError as error:
            raise BackupError(
                f"The backup cannot be put into {into}: {error.strerror}. Put that right, remove everything there "
                "but the file named key, and restore again.",
                zh=f"无法将备份恢复到 {into}：{error.strerror}。"
                "请排除原因，删除其中除 key 以外的所有内容，再重新恢复。",
                param="into",
            ) from error
        finally:
            if not placing:  # half of it may be in its place: while this folder is there, no service starts
                shutil.rmtree(part, ignore_errors=True)
    return Restored(manifest, summary, ended)


@contextmanager
def _opened(path: Path, sealer: Sealer) -> Iterator[tuple[Manifest, SealedReader]]:
    """A backup's manifest, being one that this version can restore; and the rest."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise BackupError(
            f"The backup {path} cannot be read: {error.strerror}.",
            zh=f"无法读取备份 {path}：{error.strerror}。",
            param="file",
        ) from error
    with file:
        reader = SealedReader(file, sealer)
        (size,) = struct.unpack(">I", reader.exactly(4))
        manifest = Manifest.parse(reader.exactly(min(size, _MOST_MANIFEST)))
        for revision, folder in zip(manifest.schema, (db.MIGRATIONS, MIGRATIONS), strict=True):
            if revision not in known_revisions(folder):
                raise BackupError(
                    f"The backup was made by a newer version ({manifest.version}, schema {revision}). Restore it "
                    "with that version.",
                    zh=f"备份由更新的版本（{manifest.version}，结构 {revision}）制作，请用该版本恢复。",
                    param="file",
                )
        yield manifest, reader


def _check_copy(copy: Path | None) -> None:
    """Copies of the record as it was would contradict the restored one, which ends earlier."""
    if copy is None:
        return
    try:
        copy.touch(mode=0o600)
        size = copy.stat().st_size
    except OSError as error:
        raise BackupError(
            f"The copies of checkpoints cannot be written to {copy}: {error.strerror}. Put that right, and restore "
            "again.",
            zh=f"无法写入检查点副本 {copy}：{error.strerror}。请排除原因后重新恢复。",
            param="audit_copy",
        ) from error
    if size:
        raise BackupError(
            f"{copy} holds copies of checkpoints of the record as it was. Keep it under another name, so that "
            "those of the restored record begin a new file, and restore again.",
            zh=f"{copy} 中是恢复前审计记录的检查点副本。请将其改名保留，使恢复后的记录从新文件开始，然后重新恢复。",
            param="audit_copy",
        )


def _place(manifest: Manifest, into: Path, database_url: str, audit_database_url: str) -> Stores:
    """Where it goes, being empty."""
    if into.is_symlink() or (into.exists() and not into.is_dir()):
        raise BackupError(f"{into} is no folder.", zh=f"{into} 不是文件夹。", param="into")
    if (into / RESTORING).exists():
        raise BackupError(
            f"A restore into {into} did not come to its end, or is running. Unless it is, remove everything there "
            "but the file named key, and restore again.",
            zh=f"恢复到 {into} 的操作未完成，或正在进行。若未在进行，请删除其中除 key 以外的所有内容，再重新恢复。",
            param="into",
        )
    if into.exists() and any(entry.name != "key" for entry in into.iterdir()):
        raise BackupError(
            f"{into} is not empty. A backup is restored into a new folder only; move the old one away first.",
            zh=f"{into} 不为空。备份只能恢复到新文件夹，请先移走旧的。",
            param="into",
        )
    if manifest.store == "sqlite":
        if database_url.startswith("postgres"):
            raise BackupError(
                "This is a backup of SQLite: it is restored into a folder, without VLPRO_DATABASE_URL.",
                zh="这是 SQLite 的备份，只能恢复到文件夹：请不要设置 VLPRO_DATABASE_URL。",
                param="database_url",
            )
        stores = Stores.of(into, database_url, audit_database_url)
        for path in stores.database_files:
            if path.exists() or path.is_symlink():
                raise BackupError(
                    f"{path} is there already. Move it away; or leave out VLPRO_DATABASE_URL and "
                    f"VLPRO_AUDIT_DATABASE_URL, so that everything goes into {into}.",
                    zh=f"{path} 已存在。请先移走；或去掉 VLPRO_DATABASE_URL 和 VLPRO_AUDIT_DATABASE_URL，"
                    f"使全部内容恢复到 {into}。",
                    param="into",
                )
        return stores
    if not database_url.startswith("postgres"):
        raise BackupError(
            "This is a backup of PostgreSQL: name the new, empty database with VLPRO_DATABASE_URL or --database-url.",
            zh="这是 PostgreSQL 的备份：请用 VLPRO_DATABASE_URL 或 --database-url 指定新的空数据库。",
            param="database_url",
        )
    own = any(member.name == "audit.dump" for member in manifest.members)
    if own != bool(audit_database_url):
        raise BackupError(
            "The audit of this backup has a database of its own: name an empty one with VLPRO_AUDIT_DATABASE_URL."
            if own
            else "The audit of this backup lies in the service's database: leave out VLPRO_AUDIT_DATABASE_URL.",
            zh="此备份的审计有单独的数据库：请用 VLPRO_AUDIT_DATABASE_URL 指定一个空数据库。"
            if own
            else "此备份的审计与服务在同一数据库：请不要设置 VLPRO_AUDIT_DATABASE_URL。",
            param="audit_database_url",
        )
    stores = Stores.of(into, database_url, audit_database_url)
    for url in {stores.database_url, stores.audit_url}:
        postgresql.check_empty(url)
    return stores


def _check_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size + _MARGIN:
        raise BackupError(
            f"There is too little room in {folder}: {size + _MARGIN:,} bytes are needed, {free:,} are free. Make "
            "room there, or name another folder: --into; for --check the variable TMPDIR.",
            zh=f"{folder} 空间不足：需要 {size + _MARGIN:,} 字节，可用 {free:,} 字节。"
            "请腾出空间，或指定其他文件夹：--into；--check 用环境变量 TMPDIR。",
            param="into",
        )


def _unpack(manifest: Manifest, reader: SealedReader, folder: Path, progress: Progress) -> None:
    """Write the files, each being what the manifest says; and see that nothing follows."""
    done = 0
    for member in manifest.members:
        target = folder / member.name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        hashed, left = hashlib.sha256(), member.size
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            while left:
                piece = reader.read(min(left, _PIECE))
                if not piece:
                    raise _not_as_listed(member.name)
                hashed.update(piece)
                file.write(piece)
                left -= len(piece)
                done += len(piece)
                progress(done, manifest.size)
            file.flush()
            os.fsync(file.fileno())
        if hashed.hexdigest() != member.sha256:
            raise _not_as_listed(member.name)
    if reader.read(1):
        raise BackupError(
            "The backup holds more than its list of contents names. It is not used.",
            zh="备份内容多于其清单所列，不予使用。",
            param="file",
        )


def _not_as_listed(name: str) -> BackupError:
    return BackupError(
        f"{name} is not what the backup's list of contents says. Use another backup.",
        zh=f"{name} 与备份的内容清单不符，请使用其他备份。",
        param="file",
    )


def _check_database(path: Path) -> None:
    """See that SQLite finds nothing wrong with a file. Raises: BackupError."""
    database = db.Database(f"sqlite:///{path}")
    try:
        with database.read() as connection:
            said = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    except sa.exc.DatabaseError as error:
        said = str(error.orig)
    finally:
        database.close()
    if said != "ok":
        raise BackupError(
            f"The database in the backup was damaged already when it was copied: {said}. Use an older backup.",
            zh=f"备份中的数据库在复制时已损坏：{said}。请使用更早的备份。",
            param="file",
        )


def _fill(manifest: Manifest, part: Path, stores: Stores) -> None:
    """Fill the empty databases; the dumps are then gone from the folder."""
    urls = {"database.dump": stores.database_url, "audit.dump": stores.audit_url}
    for member in manifest.members:
        if member.name in urls:
            postgresql.restore(urls[member.name], part / member.name)
            (part / member.name).unlink()


def _verified(manifest: Manifest, stores: Stores, sealer: Sealer, *, archives: Path | None = None) -> Summary:
    """The audit, being whole, and the very one that was backed up."""
    folder = archives or stores.data_dir / "archives"
    parts = archive_files(folder) if folder.is_dir() else None
    database = stores.audit()
    try:
        key = public_key(sealer.signing_seed)
        summary = verify(DatabaseSource(database), keys=[key], archives=parts or None, cosigned=Cosigned())
    except VerificationError as error:
        raise BackupError(
            f"The audit record in the backup is not what was written: {error.diagnostics()}",
            zh=f"备份中的审计记录不是当初写入的内容：{error.diagnostics(chinese=True)}",
            param="file",
        ) from error
    finally:
        database.close()
    found = (summary.last or summary.archived, summary.root.hex() if summary.root else None)
    listed = (manifest.audit.sequence, manifest.audit.root)
    if (
        found[0] != listed[0]
        or (found[1] is not None and found[1] != listed[1])
        or (summary.log_id and summary.log_id != manifest.audit.log_id)
    ):
        raise BackupError(
            f"The audit record in the backup is another one than its list of contents says: {found[0]} records with "
            f"root {found[1]}, not {listed[0]} with {listed[1]}. Use another backup.",
            zh=f"备份中的审计记录与其清单不符：{found[0]} 条，根 {found[1]}；应为 {listed[0]} 条，根 {listed[1]}。"
            "请使用其他备份。",
            param="file",
        )
    return summary


def _bring_up(stores: Stores) -> int:
    """Bring both databases to this version, and end all sessions; how many there were."""
    main, audit = stores.database(), stores.audit()
    try:
        main.migrate()
        audit.migrate(folder=MIGRATIONS)
        with main.write() as connection:
            return sum(connection.execute(sa.delete(table)).rowcount for table in (sessions, sign_ins))
    finally:
        main.close()
        audit.close()


def _record(
    stores: Stores,
    sealer: Sealer,
    manifest: Manifest,
    path: Path,
    *,
    gm: bool,
    copy: Path | None,
    actor: Actor | None,
    detail: Mapping[str, Any] | None,
) -> None:
    """Put the restore on the restored record, and a copy of the checkpoint that covers it where copies lie."""
    database = stores.audit()
    try:
        log = open_log(database, sealer, gm=gm, settle=False, copy=copy)
        log.start()
        try:
            said = {"made": manifest.at, "sequence": manifest.audit.sequence, "version": manifest.version}
            entry = Entry(
                Event.BACKUP_RESTORED, actor or Actor(), object=path.name, detail=said | dict(detail or {})
            )
            log.record(entry)
        finally:
            log.stop()
        if log.failed is not None:
            raise log.failed
    finally:
        database.close()


def _move(part: Path, into: Path, stores: Stores) -> None:
    """Everything from the folder beside to its place, the databases last: without them a service would begin anew."""
    files = dict(zip(("vlpro.db", "audit.db"), stores.database_files, strict=True)) if stores.sqlite else {}
    for entry in sorted(part.iterdir(), key=lambda path: path.suffix == ".db"):
        target = files.get(entry.name, into / entry.name)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            _rename(entry, target)
            sync_folder(target.parent)
    sync_folder(into)


def _rename(entry: Path, target: Path) -> None:
    """Also to another file system: never half of it under its name."""
    try:
        entry.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        near = target.with_name(target.name + _NEAR)
        descriptor = os.open(near, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as there, entry.open("rb") as here:
            shutil.copyfileobj(here, there, _PIECE)
            there.flush()
            os.fsync(there.fileno())
        near.rename(target)
